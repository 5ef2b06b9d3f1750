//! The files of a folder that holds a dictionary.

use safetensors::tensor::TensorView;
use std::path::{Path, PathBuf};

use super::{
    errors::{io, refuse},
    limits::too_large,
    tensors::Array,
};
use crate::{dictionary::DictionaryError, file::write_atomic};

/// A file of `folder`.
///
/// # Errors
/// Where it is missing.
pub fn in_folder(folder: &Path, name: &str) -> Result<PathBuf, DictionaryError> {
    let path = folder.join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(refuse(folder, format!("'{name}' is missing; found {}", names(folder))))
}

/// The `.pt` of `folder`, where it has just one: what it is of is told by what is in it.
pub fn only_torch(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten().map(|e| e.path());
    let mut found = entries.filter(|path| path.is_file() && path.extension().is_some_and(|e| e == "pt"));
    found.next().filter(|_| found.next().is_none())
}

/// The names of what lies in `folder`, as messages list them.
pub fn names(folder: &Path) -> String {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .map(|entries| {
            entries
                .flatten()
                .map(|e| e.file_name().to_string_lossy().into_owned())
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    match names.len() {
        0 => "nothing".into(),
        1..=12 => names.join(", "),
        n => format!("{} and {} others", names[..10].join(", "), n - 10),
    }
}

/// Writes tensors as safetensors.
///
/// # Errors
/// When the file cannot be written.
pub fn write_safetensors(path: &Path, tensors: &[(&str, Array)]) -> Result<(), DictionaryError> {
    let mut views = Vec::new();
    for (name, array) in tensors {
        let view = TensorView::new(array.dtype, array.shape.clone(), &array.bytes);
        views.push((*name, view.map_err(|e| refuse(path, e.to_string()))?));
    }
    let bytes = safetensors::serialize(views, None).map_err(|e| refuse(path, e.to_string()))?;
    write_atomic(path, &bytes).map_err(|e| io(path, e))
}

/// Writes `bytes`, an archive, where there are any.
///
/// # Errors
/// Where there are none, as the archive would be of 4 GiB or more, and when the file cannot be written.
pub fn write_archive(path: &Path, bytes: Option<Vec<u8>>) -> Result<(), DictionaryError> {
    let bytes = bytes.ok_or_else(|| too_large(path))?;
    write_atomic(path, &bytes).map_err(|e| io(path, e))
}

/// Writes a config as JSON.
///
/// # Errors
/// When the file cannot be written.
pub fn write_json(path: &Path, config: &serde_json::Value) -> Result<(), DictionaryError> {
    write_atomic(path, format!("{config:#}\n").as_bytes()).map_err(|e| io(path, e))
}
