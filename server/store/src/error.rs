//! What can go wrong with the registry and the files, said by path and with what to do.

use std::{
    io,
    path::{Path, PathBuf},
};

use api::{ApiError, ConfigError, ErrorKind};

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Something with that name or number is not there.
    #[error("there is no {0}")]
    NotFound(String),
    /// It cannot be done in the present state; the message says why.
    #[error("{0}")]
    Conflict(String),
    /// A value that cannot be stored.
    #[error(transparent)]
    Invalid(#[from] ConfigError),
    /// A file or folder could not be read or written (also: the disk is full).
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The data folder, or the registry in it, cannot be written.
    #[error("{path}: cannot be written: {reason}; choose another data folder or give this user the right to write it", path = path.display())]
    NotWritable {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The registry's file is something else.
    #[error("{path}: not a saescope registry (no SQLite database); choose another data folder or move the file away", path = path.display())]
    NotADatabase {
        /// The registry's file.
        path: PathBuf,
    },
    /// The registry's file is damaged.
    #[error("{path}: the registry is damaged ({reason}); restore it from a copy, or recover what is left with `sqlite3 {path} .recover`", path = path.display())]
    Damaged {
        /// The registry's file.
        path: PathBuf,
        /// What the check found.
        reason: String,
    },
    /// The registry was written by a newer program.
    #[error("{path}: the registry has schema {found}, this program knows up to {known}; use the newer saescope that wrote it, or another data folder", path = path.display())]
    NewerSchema {
        /// The registry's file.
        path: PathBuf,
        /// The version found.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// A row's text is not what this program writes there.
    #[error("{path}: {row} cannot be read: {reason}; restore the registry from a copy", path = path.display())]
    Row {
        /// The registry's file.
        path: PathBuf,
        /// Table and number or name.
        row: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An artifact is not what was written.
    #[error("{path}: sha256 {found}, expected {expected}; the file was damaged or replaced, restore it from a copy or make it again", path = path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// The checksum that it has.
        found: String,
        /// The checksum that it was written with.
        expected: String,
    },
    /// SQLite refused for another reason (also: the disk is full, or another process holds the registry for too long).
    #[error("{path}: {source}", path = path.display())]
    Database {
        /// The registry's file.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// The registry's tables could not be brought to this program's schema.
    #[error("{path}: {source}", path = path.display())]
    Migration {
        /// The registry's file.
        path: PathBuf,
        /// What went wrong.
        source: sqlx::migrate::MigrateError,
    },
    /// A thread that read or wrote a file ended early.
    #[error("a thread that worked on a file ended early: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

impl StoreError {
    /// Which kind of failure it is for a client.
    pub fn kind(&self) -> ErrorKind {
        match self {
            StoreError::NotFound(_) => ErrorKind::NotFound,
            StoreError::Conflict(_) => ErrorKind::Conflict,
            StoreError::Invalid(_) => ErrorKind::Invalid,
            _ => ErrorKind::Internal,
        }
    }

    /// `source` happened to `path`.
    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source,
        }
    }

    /// `source` happened to the registry `path`. The failures that have a remedy of their own are told apart by SQLite's
    /// primary result code, the low byte of the extended one.
    pub(crate) fn database(path: &Path, source: sqlx::Error) -> Self {
        let path = path.to_owned();
        let code = source
            .as_database_error()
            .and_then(|e| e.code())
            .and_then(|code| code.parse::<i32>().ok())
            .map(|code| code & 0xff);
        match code {
            // SQLITE_READONLY, SQLITE_CANTOPEN
            Some(8 | 14) => Self::NotWritable {
                path,
                reason: source.to_string(),
            },
            // SQLITE_CORRUPT
            Some(11) => Self::Damaged {
                path,
                reason: source.to_string(),
            },
            // SQLITE_NOTADB
            Some(26) => Self::NotADatabase { path },
            _ => Self::Database { path, source },
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let kind = error.kind();
        match error {
            StoreError::Invalid(config) => config.into(),
            other => ApiError::new(kind, other.to_string()),
        }
    }
}
