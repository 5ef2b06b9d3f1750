//! Files that are in their place either whole or not at all: written under a temporary name in the same folder, synced, renamed.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use sha2::{Digest, Sha256};

use crate::StoreError;

/// How temporary names begin and end; what a crash leaves behind is recognised by it.
const TEMPORARY_PREFIX: &str = ".saescope-";
const TEMPORARY_SUFFIX: &str = ".tmp";

/// How the names of folders in the data folder begin that uploads are received in.
pub const UPLOAD_PREFIX: &str = ".upload-";

/// Writes the file `path` by `write`, so that a reader (also after a crash) finds the former content or the new one, never a
/// part of it. The folder must exist.
///
/// # Errors
/// [`StoreError::File`] naming `path`; the former content is then still in place.
pub fn write_atomic(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), StoreError> {
    let named = |source| StoreError::file(path, source);
    let folder = folder_of(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_PREFIX).suffix(TEMPORARY_SUFFIX);
    // temporary files are private by default; an artifact has the rights that the user's umask gives
    #[cfg(unix)]
    builder.permissions(<fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666));
    let mut temporary = builder.tempfile_in(folder).map_err(named)?;
    write(temporary.as_file_mut()).map_err(named)?;
    temporary.as_file().sync_all().map_err(named)?;
    temporary.persist(path).map_err(|e| named(e.error))?;
    sync_folder(folder)
}

/// The SHA-256 of the file `path`, in hexadecimal; read in pieces.
///
/// # Errors
/// [`StoreError::File`] naming `path`.
pub fn checksum(path: &Path) -> Result<String, StoreError> {
    let named = |source| StoreError::file(path, source);
    let mut file = File::open(path).map_err(named)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece).map_err(named)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            n => hasher.update(&piece[..n]),
        }
    }
}

/// Moves the file `from` to `to`, which is replaced, and syncs `to`'s folder. Across file systems it is copied.
pub(crate) fn move_file(from: &Path, to: &Path) -> Result<(), StoreError> {
    match fs::rename(from, to) {
        Ok(()) => sync_folder(folder_of(to)),
        Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {
            let mut source = File::open(from).map_err(|e| StoreError::file(from, e))?;
            write_atomic(to, |file| io::copy(&mut source, file).map(drop))?;
            fs::remove_file(from).map_err(|e| StoreError::file(from, e))
        }
        Err(e) => Err(StoreError::file(from, e)),
    }
}

/// Makes the file's content durable.
pub(crate) fn sync_file(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|e| StoreError::file(path, e))
}

/// Whether `name` is one that [`write_atomic`] writes under.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY_PREFIX) && name.ends_with(TEMPORARY_SUFFIX)
}

/// Whether `name` is one that uploads ([`UPLOAD_PREFIX`]) or the engine's token files and activations are made under.
pub(crate) fn is_temporary_folder(name: &str) -> bool {
    [UPLOAD_PREFIX, ".packing-", ".replaced-", ".caching-"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes a rename in the folder durable.
fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    if cfg!(unix) {
        sync_file(folder)
    } else {
        Ok(()) // elsewhere a folder cannot be opened as a file, and the rename is durable by itself
    }
}
