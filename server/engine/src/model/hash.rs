//! What a model is, as one number: the hash that a run keeps of its model.

use super::{ModelError, checkpoint::weight_files};
use sha2::{Digest, Sha256};
use std::{io, path::Path};

/// SHA-256 in hex over `config.json`, the weights and, where there is one, `tokenizer.json`, each with its name and length.
///
/// # Errors
/// When the folder has no config or weights, or a file cannot be read.
pub fn content_hash(folder: &Path) -> Result<String, ModelError> {
    let mut hasher = Sha256::new();
    let mut files = vec![folder.join("config.json")];
    files.extend(weight_files(folder)?);
    let tokenizer = folder.join("tokenizer.json");
    if tokenizer.is_file() {
        files.push(tokenizer);
    }
    for path in files {
        let read = |source| ModelError::Read {
            path: path.clone(),
            source,
        };
        let mut file = crate::file::open(&path).map_err(read)?;
        let length = file.metadata().map_err(read)?.len();
        let name = path.file_name().unwrap_or_default();
        hasher.update(name.as_encoded_bytes());
        hasher.update([0]);
        hasher.update(length.to_le_bytes());
        io::copy(&mut file, &mut hasher).map_err(read)?;
    }
    Ok(hex::encode(hasher.finalize()))
}
