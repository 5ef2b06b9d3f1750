//! Where things lie in the data folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use api::{CorpusId, DictionaryId, JobId, ModelId, Packing};
use sha2::{Digest, Sha256};

use crate::{Store, StoreError};

/// The folders that exist in every data folder.
pub(crate) const FOLDERS: [&str; 7] = ["answers", "cache", "corpora", "dictionaries", "jobs", "labelled", "models"];

/// The ending of a dictionary's file.
pub(crate) const WEIGHTS: &str = "safetensors";

impl Store {
    /// The file of a dictionary's weights.
    pub fn dictionary_file(&self, id: DictionaryId) -> PathBuf {
        self.dictionaries_folder().join(format!("{id}.{WEIGHTS}"))
    }

    /// The folder of a job's checkpoint and whatever else it keeps while it runs; made if it is not there.
    pub fn job_folder(&self, id: JobId) -> PathBuf {
        let folder = self.data().join("jobs").join(id.to_string());
        // a folder that could not be made shows at the first write into it, which is an error that names it
        let _ = fs::create_dir_all(&folder);
        folder
    }

    /// The folder of a corpus as tokens, for one packing and one model's tokenizer (by the model's hash).
    pub fn corpus_folder(&self, id: &CorpusId, packing: &Packing, model_hash: &str) -> PathBuf {
        let Packing { n_ctx, bos, eos } = packing;
        let text = format!("n_ctx={n_ctx} bos={bos} eos={eos} model={model_hash}");
        let hash = hex::encode(Sha256::digest(text));
        self.corpus_root(id).join(&hash[..16])
    }

    /// The folder of activations that runs share. What is in it can be made again, and may be removed at any time.
    pub fn activations_folder(&self) -> PathBuf {
        self.data().join("cache").join("activations")
    }

    /// Another tool's dictionary as ours, until the run that `run` describes has begun from it. It can be made again from its source.
    pub fn import_file(&self, run: &str) -> PathBuf {
        let hash = hex::encode(Sha256::digest(run));
        self.data()
            .join("cache")
            .join("imports")
            .join(format!("{}.{WEIGHTS}", &hash[..16]))
    }

    /// The file of labelled texts that were uploaded, by the SHA-256 of their content.
    pub fn labelled_file(&self, sha256: &str) -> PathBuf {
        self.data().join("labelled").join(format!("{sha256}.jsonl"))
    }

    /// The folder of an uploaded or pulled corpus' files.
    pub fn corpus_source_folder(&self, id: &CorpusId) -> PathBuf {
        self.corpus_root(id).join("source")
    }

    /// The folder of an uploaded or pulled model's files.
    pub fn model_folder(&self, id: &ModelId) -> PathBuf {
        // an id that came over the wire may hold a path; its slug cannot
        self.data().join("models").join(ModelId::from_name(&id.0).0)
    }

    pub(crate) fn dictionaries_folder(&self) -> PathBuf {
        self.data().join("dictionaries")
    }

    fn corpus_root(&self, id: &CorpusId) -> PathBuf {
        self.data().join("corpora").join(CorpusId::from_name(&id.0).0)
    }
}

/// Makes the data folder and the folders in it.
pub(crate) fn create(data: &Path) -> Result<(), StoreError> {
    for folder in FOLDERS.map(|name| data.join(name)) {
        fs::create_dir_all(&folder).map_err(|e| StoreError::NotWritable {
            path: data.to_owned(),
            reason: e.to_string(),
        })?;
    }
    Ok(())
}
