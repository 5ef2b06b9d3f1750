//! How the readers of this module refuse a file.

use std::path::Path;

use crate::dictionary::DictionaryError;

/// `path` could not be read or written.
pub fn io(path: &Path, source: std::io::Error) -> DictionaryError {
    DictionaryError::Io {
        path: path.display().to_string(),
        source,
    }
}

/// `path` holds what cannot be used: what was found, and what was expected.
pub fn refuse(path: &Path, message: impl Into<String>) -> DictionaryError {
    DictionaryError::Format {
        path: path.display().to_string(),
        message: message.into(),
    }
}
