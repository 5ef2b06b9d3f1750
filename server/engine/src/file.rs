//! Files that are either whole or not there.

use std::{fs, io, io::Write, path::Path};

/// Writes `bytes` beside `path` under a temporary name, syncs, and renames: after a crash the old file is there, or the new.
///
/// # Errors
/// The system's; nothing is left behind then.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // the store removes what crashes leave under such names
    let mut file = tempfile::Builder::new()
        .prefix(".saescope-")
        .suffix(".tmp")
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    // the name itself is safe once the folder is synced; not every file system lets a folder be opened
    if let Ok(folder) = fs::File::open(folder) {
        folder.sync_all()?;
    }
    Ok(())
}
