//! Activations on disk: a folder for each model, hook point and text, with `manifest.json` and the vectors of its contexts in
//! `activations.bin`, little-endian f32 [n_contexts, n_ctx, width], memory-mapped. All runs there share it. It is written under another name,
//! synced and renamed, and never written to again; what is in it follows from its key, so it may be removed at any time.

use api::{HookPoint, Progress, ResidualFrame};
use memmap2::Mmap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{FromModel, TrainError};
use crate::{
    corpus::{Order, Split},
    train::run::Observer,
};

/// Of this layout.
const VERSION: u32 = 1;
const MANIFEST: &str = "manifest.json";
const DATA: &str = "activations.bin";
/// Bytes of a number.
const NUMBER: u64 = 4;

/// Where activations are kept.
#[derive(Clone, Copy, Debug)]
pub struct ActivationCache<'a> {
    /// A folder that has nothing else in it.
    pub folder: &'a Path,
    /// How large all in it may become together.
    pub max_bytes: u64,
}

/// What activations follow from, and so what names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    version: u32,
    /// Another version of the program may round in another way.
    program: String,
    model_hash: String,
    residual: ResidualFrame,
    at: HookPoint,
    /// SHA-256 of the training text's tokens.
    tokens: String,
    n_ctx: usize,
    width: usize,
    n_contexts: usize,
    /// The seed of the order whose first contexts these are; none where they are all of the training text, which serve every order.
    first_of: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    key: Key,
    /// SHA-256 of the vectors' file, in hexadecimal.
    sha256: String,
}

impl Key {
    /// Of the activations on the first `n_wanted` contexts in the order of `seed`, or on all if there are not more. `model` is the
    /// model's hash and how its residual stream is read.
    pub fn new(from: &FromModel<'_>, model: (&str, ResidualFrame), seed: u64, n_wanted: usize) -> Result<Self, TrainError> {
        let manifest = from.tokens.manifest();
        let n_all = from.tokens.n_contexts(Split::Train);
        Ok(Self {
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").into(),
            model_hash: model.0.into(),
            residual: model.1,
            at: from.at,
            tokens: manifest.train.sha256.clone(),
            n_ctx: manifest.packing.n_ctx,
            width: from.backend.model().width(from.at)?,
            n_contexts: n_wanted.min(n_all),
            first_of: (n_wanted < n_all).then_some(seed),
        })
    }

    fn name(&self) -> Result<String, serde_json::Error> {
        Ok(hex::encode(Sha256::digest(serde_json::to_string(self)?))[..32].to_owned())
    }

    fn bytes(&self) -> u64 {
        (self.n_contexts * self.n_ctx * self.width) as u64 * NUMBER
    }

    /// The contexts in the order in which their activations are stored.
    fn contexts(&self, n_all: usize) -> Vec<usize> {
        match self.first_of {
            None => (0..self.n_contexts).collect(),
            Some(seed) => {
                let mut order = Order::new(seed, n_all);
                (0..self.n_contexts as u64).map(|position| order.at(position)).collect()
            }
        }
    }
}

/// Activations on disk, open and checked.
pub struct Cached {
    data: Mmap,
    /// Numbers of a context.
    per_context: usize,
    /// Where a context's activations stand; none where that is at its own index.
    places: Option<HashMap<usize, usize>>,
}

impl Cached {
    /// The activations of `key`, made from the model with `batch` contexts at a time if they are not there. None when `observer` says to
    /// stop.
    ///
    /// # Errors
    /// A folder that cannot be read or written, is full, or holds something else under the key's name; the model's.
    pub fn open(
        cache: ActivationCache<'_>,
        key: &Key,
        from: &FromModel<'_>,
        batch: usize,
        observer: &mut dyn Observer,
    ) -> Result<Option<Self>, TrainError> {
        let name = key.name().map_err(|e| failed(cache.folder, e))?;
        let folder = cache.folder.join(name);
        if !folder.exists() && !make(cache, key, from, batch, &folder, observer)? {
            return Ok(None);
        }
        let data = map(&folder, key)?;
        let contexts = key.contexts(from.tokens.n_contexts(Split::Train));
        Ok(Some(Self {
            data,
            per_context: key.n_ctx * key.width,
            places: key.first_of.map(|_| {
                contexts
                    .into_iter()
                    .enumerate()
                    .map(|(place, context)| (context, place))
                    .collect()
            }),
        }))
    }

    /// `x` becomes the activations [contexts · n_ctx, width] on `contexts`.
    ///
    /// # Panics
    /// When they are not among those of the key.
    pub fn read(&self, contexts: &[usize], x: &mut Vec<f32>) {
        // a map begins on a page and its length was checked: it is whole numbers
        let all: &[f32] = bytemuck::cast_slice(&self.data);
        x.clear();
        for context in contexts {
            let place = self.places.as_ref().map_or(*context, |places| places[context]);
            x.extend_from_slice(&all[place * self.per_context..][..self.per_context]);
        }
    }
}

fn failed(path: &Path, message: impl ToString) -> TrainError {
    TrainError::Activations {
        path: path.display().to_string(),
        message: message.to_string(),
    }
}

/// Opens what is stored for `key`, and checks it whole.
fn map(folder: &Path, key: &Key) -> Result<Mmap, TrainError> {
    let (path, data) = (folder.join(MANIFEST), folder.join(DATA));
    let again = "remove the folder, and it is made again";
    let manifest = fs::read(&path).map_err(|e| failed(&path, e))?;
    let manifest: Manifest =
        serde_json::from_slice(&manifest).map_err(|e| failed(&path, format!("not a manifest: {e}; {again}")))?;
    if manifest.key != *key {
        return Err(failed(
            &path,
            format!("it is of other activations than its name says; {again}"),
        ));
    }
    let file = File::open(&data).map_err(|e| failed(&data, e))?;
    let length = file.metadata().map_err(|e| failed(&data, e))?.len();
    if length != key.bytes() {
        let message = format!("damaged: it has {length} bytes; expected {}; {again}", key.bytes());
        return Err(failed(&data, message));
    }
    // SAFETY: these files are written under another name and renamed, and never written to again.
    #[allow(unsafe_code)]
    let bytes = unsafe { Mmap::map(&file) }.map_err(|e| failed(&data, e))?;
    let sha256 = hex::encode(Sha256::digest(&bytes));
    if sha256 != manifest.sha256 {
        let message = format!(
            "damaged: its SHA-256 is {sha256}, and the manifest says {}; {again}",
            manifest.sha256
        );
        return Err(failed(&data, message));
    }
    Ok(bytes)
}

/// Computes and writes the activations of `key` to `folder`; false when `observer` says to stop.
fn make(
    cache: ActivationCache<'_>,
    key: &Key,
    from: &FromModel<'_>,
    batch: usize,
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<bool, TrainError> {
    fs::create_dir_all(cache.folder).map_err(|e| failed(cache.folder, e))?;
    let held = size(cache.folder).map_err(|e| failed(cache.folder, e))?;
    if held.saturating_add(key.bytes()) > cache.max_bytes {
        let gib = |bytes: u64| format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30));
        let message = format!(
            "the activations of {} tokens at {} take {}, and the folder holds {} of the {} that it may; remove what is in it (it is made \
             again where it is wanted), raise SAESCOPE_CACHE_GIB, or keep the buffer in memory",
            key.n_contexts * key.n_ctx,
            key.at,
            gib(key.bytes()),
            gib(held),
            gib(cache.max_bytes)
        );
        return Err(failed(cache.folder, message));
    }
    // the store removes what crashes leave under such names
    let staging = tempfile::Builder::new().prefix(".caching-").tempdir_in(cache.folder);
    let staging = staging.map_err(|e| failed(cache.folder, e))?;
    let Some(sha256) = write(&staging.path().join(DATA), key, from, batch, observer)? else {
        return Ok(false);
    };
    let path = staging.path().join(MANIFEST);
    let manifest = Manifest {
        key: key.clone(),
        sha256,
    };
    let finish = || -> io::Result<()> {
        let mut file = File::create(&path)?;
        serde_json::to_writer_pretty(&mut file, &manifest)?;
        file.sync_all()?;
        File::open(staging.path())?.sync_all()
    };
    finish().map_err(|e| failed(&path, e))?;
    match fs::rename(staging.path(), folder) {
        Ok(()) => {
            // it has moved: nothing is left to remove
            let _ = staging.keep();
            let sync = File::open(cache.folder).and_then(|folder| folder.sync_all());
            sync.map_err(|e| failed(cache.folder, e))?;
        }
        // another process was faster; what it made is the same
        Err(_) if folder.exists() => {}
        Err(e) => return Err(failed(folder, e)),
    }
    Ok(true)
}

/// Writes the vectors' file and gives its checksum; none when `observer` says to stop.
fn write(
    path: &Path,
    key: &Key,
    from: &FromModel<'_>,
    batch: usize,
    observer: &mut dyn Observer,
) -> Result<Option<String>, TrainError> {
    let mut file = BufWriter::new(File::create(path).map_err(|e| failed(path, e))?);
    let (mut hasher, mut x, mut done) = (Sha256::new(), Vec::new(), 0);
    for contexts in key.contexts(from.tokens.n_contexts(Split::Train)).chunks(batch) {
        if observer.stop() {
            return Ok(None);
        }
        from.read(contexts, &mut x)?;
        let bytes: &[u8] = bytemuck::cast_slice(&x);
        hasher.update(bytes);
        file.write_all(bytes).map_err(|e| failed(path, e))?;
        done += contexts.len();
        observer.progress(Progress {
            stage: "keeping activations".into(),
            done: (done * key.n_ctx) as u64,
            total: (key.n_contexts * key.n_ctx) as u64,
            unit: "tokens".into(),
            rate: 0.0,
        });
    }
    let file = file.into_inner().map_err(|e| failed(path, e.into_error()))?;
    file.sync_all().map_err(|e| failed(path, e))?;
    Ok(Some(hex::encode(hasher.finalize())))
}

/// Bytes of all files in the folders of `folder`.
fn size(folder: &Path) -> io::Result<u64> {
    let files = |folder: PathBuf| -> io::Result<u64> {
        fs::read_dir(folder)?.try_fold(0, |sum, entry| Ok(sum + entry?.metadata()?.len()))
    };
    fs::read_dir(folder)?.try_fold(0, |sum, entry| {
        let entry = entry?;
        let size = if entry.metadata()?.is_dir() {
            files(entry.path())
        } else {
            Ok(0)
        };
        match size {
            // another process has just given it its name, or removed it
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(sum),
            size => Ok(sum + size?),
        }
    })
}
