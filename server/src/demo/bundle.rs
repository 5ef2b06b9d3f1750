//! A set as it is shipped: `about.json`, the model's folder, the dictionaries' weights and the runs' curves. The one in the
//! repository's `demo/` is inside the binary.

use anyhow::{Context as _, Result, ensure};
use api::{DictionaryInfo, HistoryPoint, JobConfig, KnownFeatures};
use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use super::recipe::Recipe;

include!(concat!(env!("OUT_DIR"), "/demo.rs"));

/// The version of the set's form.
pub const FORM: u32 = 1;

/// The file that says what is in a set.
const ABOUT: &str = "about.json";

/// What is in a set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// The version of this file's form.
    pub form: u32,
    /// What it was made of.
    pub recipe: Recipe,
    /// The model's hash, and the files of its folder.
    pub model_hash: String,
    /// Those files, under `model/`.
    pub model_files: Vec<String>,
    /// The text's hash, which the generator must come to again.
    pub corpus_hash: String,
    /// The runs that made the dictionaries, in their order.
    pub runs: Vec<Run>,
}

/// A run of a set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// What it did.
    pub config: JobConfig,
    /// The command that does the same.
    pub command: String,
    /// Its sweep, by the place of the sweep's first run in the list.
    pub sweep: usize,
    /// When it began, in seconds since 1970.
    pub started: i64,
    /// When it ended.
    pub finished: i64,
    /// The file of its curves: JSON lines, thinned out, gzipped.
    pub history: String,
    /// What it made, in the order of its config.
    pub dictionaries: Vec<Made>,
}

/// A dictionary of a set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// The file of its weights.
    pub file: String,
    /// The file of what it knows of storyworld's labels, gzipped.
    pub known: String,
    /// What is known of it; the numbers are the registry's to say.
    pub info: DictionaryInfo,
}

/// A set, where it lies.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// What is in it.
    pub about: About,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Binary,
    Folder(PathBuf),
}

impl Bundle {
    /// The one inside the binary; none where the program was built without it.
    ///
    /// # Errors
    /// A set of another form; tested.
    pub fn embedded() -> Result<Option<Self>> {
        if !DEMO.iter().any(|(name, _)| *name == ABOUT) {
            return Ok(None);
        }
        Self::at(Place::Binary).map(Some)
    }

    /// The one in `folder`.
    ///
    /// # Errors
    /// A folder that holds none.
    pub fn read(folder: &Path) -> Result<Self> {
        Self::at(Place::Folder(folder.to_owned()))
    }

    fn at(place: Place) -> Result<Self> {
        #[derive(Deserialize)]
        struct Form {
            form: u32,
        }
        let bytes = place.file(ABOUT)?;
        let not_one = || format!("'{ABOUT}' of the shipped set");
        let Form { form } = serde_json::from_slice(&bytes).with_context(not_one)?;
        ensure!(
            form == FORM,
            "{}: its form is {form}; this program reads form {FORM}",
            not_one()
        );
        let about = serde_json::from_slice(&bytes).with_context(not_one)?;
        Ok(Self { about, place })
    }

    /// A file's content.
    ///
    /// # Errors
    /// There is no such file, or it cannot be read.
    pub fn file(&self, name: &str) -> Result<Cow<'static, [u8]>> {
        self.place.file(name)
    }

    /// The content of a gzipped file.
    fn unpacked(&self, name: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let packed = self.file(name)?;
        let read = GzDecoder::new(&packed[..]).read_to_end(&mut bytes);
        read.with_context(|| format!("'{name}' of the shipped set is damaged"))?;
        Ok(bytes)
    }

    /// What a dictionary knows of storyworld's labels.
    ///
    /// # Errors
    /// As [`Bundle::file`]; a file that says something else.
    pub fn known(&self, made: &Made) -> Result<KnownFeatures> {
        let bytes = self.unpacked(&made.known)?;
        serde_json::from_slice(&bytes).with_context(|| format!("'{}' of the shipped set", made.known))
    }

    /// The curves of a run.
    ///
    /// # Errors
    /// As [`Bundle::file`]; a line that is no point.
    pub fn history(&self, run: &Run) -> Result<Vec<HistoryPoint>> {
        let bytes = self.unpacked(&run.history)?;
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_slice(line).with_context(|| format!("'{}' of the shipped set", run.history)))
            .collect()
    }
}

impl Place {
    fn file(&self, name: &str) -> Result<Cow<'static, [u8]>> {
        match self {
            Place::Binary => {
                let found = DEMO.iter().find(|(other, _)| *other == name);
                let (_, bytes) = found.with_context(|| format!("the shipped set has no file '{name}'"))?;
                Ok(Cow::Borrowed(bytes))
            }
            Place::Folder(folder) => {
                let path = folder.join(name);
                let bytes = fs::read(&path).with_context(|| format!("cannot read '{}'", path.display()))?;
                Ok(Cow::Owned(bytes))
            }
        }
    }
}
