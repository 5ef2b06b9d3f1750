//! A registered dictionary in another tool's files.

use anyhow::{Context as _, Result};
use api::{ConfigError, DictionaryId};
use engine::{
    dictionary::{DictionaryError, load, load_fired},
    exchange::{Facts, Format, pack, write},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use store::Store;

/// A dictionary to be written.
#[derive(Debug)]
pub struct Export {
    id: DictionaryId,
    file: PathBuf,
    facts: Facts,
}

/// The formats that are written, by the names that the command line and the API have for them.
pub const WRITTEN: [(&str, Format); 2] = [
    ("saelens", Format::SaeLens),
    ("dictionary_learning", Format::DictionaryLearning),
];

/// Finds the dictionary `id`, to be written as `format` has it.
///
/// # Errors
/// A dictionary that is not there, or whose file is damaged.
pub async fn export(store: &Store, id: DictionaryId, format: Format) -> Result<Export> {
    let missing = || ConfigError::new("dictionary", format!("there is no dictionary {id} in the registry"));
    let info = store.dictionary(id).await?.ok_or_else(missing)?;
    let job = store.job(info.job).await?;
    let n_ctx = job.and_then(|job| job.config.training().map(|config| config.packing.n_ctx));
    let facts = Facts {
        model: Some(info.model.0.clone()),
        hook: Some(info.at.to_string()),
        residual: Some(info.residual),
        n_ctx,
        ..Facts::new(format)
    };
    let file = store.verify_dictionary(id).await?;
    Ok(Export { id, file, facts })
}

impl Export {
    /// Writes it into `folder`, which is made if it is not there. Takes as long as reading and writing the weights does.
    ///
    /// # Errors
    /// A dictionary that the format cannot say ([`ConfigError`] of `format`); files that cannot be read or written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let (dictionary, file) = load(&self.file)?;
        let fired = load_fired(&self.file)?.filter(|fired| fired.n_tokens > 0);
        let frequencies = fired.map(|fired| -> Vec<f32> {
            let share = |n: &u32| (f64::from(*n) / fired.n_tokens as f64) as f32;
            fired.firings.iter().map(share).collect()
        });
        let facts = Facts {
            normaliser: file.normaliser,
            ..self.facts.clone()
        };
        write(&dictionary, &facts, frequencies.as_deref(), folder).map_err(|error| match error {
            // the folder is of no interest where the dictionary is what does not fit
            DictionaryError::Format { message, .. } => {
                let (id, format) = (self.id, self.facts.format);
                ConfigError::new(
                    "format",
                    format!("dictionary {id} cannot be written as {format}'s: {message}"),
                )
                .into()
            }
            io @ DictionaryError::Io { .. } => anyhow::Error::from(io),
        })
    }

    /// As [`Export::write`], as one zip archive whose files lie in the folder `name`.
    ///
    /// # Errors
    /// As [`Export::write`], and of 4 GiB or more.
    pub fn zip(&self, name: &str) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        self.write(folder.path())?;
        let entries = fs::read_dir(folder.path()).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
        let mut files = Vec::new();
        for entry in entries.context("cannot read what was written")? {
            let path = entry.path();
            let content = fs::read(&path).with_context(|| format!("cannot read '{}'", path.display()))?;
            files.push((format!("{name}/{}", entry.file_name().display()), content));
        }
        files.sort();
        let too_large = || {
            let message = format!("dictionary {} is of 4 GiB or more; write it with saescope export", self.id);
            ConfigError::new("format", message)
        };
        Ok(pack(&files).ok_or_else(too_large)?)
    }
}
