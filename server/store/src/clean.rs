//! What crashes left behind: temporary files and folders are removed, what never got its row is set aside.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::{
    Store, StoreError,
    artifact::{is_temporary, is_temporary_folder},
    folder::FOLDERS,
    open::At,
};

/// A temporary file or folder that nobody wrote to for so long belongs to nobody. Another process, perhaps on another machine,
/// may be at work on a younger one.
const GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// How deep temporary files are looked for below the data folder: corpora/<id>/<packing>/<file>.
const DEPTH: usize = 4;

impl Store {
    /// Sets aside what the registry does not know, and removes temporary files that nobody wrote to for a day: others may be
    /// another process'. Answers where what was set aside is then.
    pub(crate) async fn clean(&self) -> Result<Option<PathBuf>, StoreError> {
        let mut tx = self.begin().await?;
        let set_aside = self.set_aside_unknown(&mut tx).await?;
        tx.commit().await.at(self)?;
        let data = self.data().to_owned();
        tokio::task::spawn_blocking(move || {
            remove_temporary(&data, 0)?;
            FOLDERS
                .iter()
                .try_for_each(|folder| remove_temporary(&data.join(folder), DEPTH - 1))
        })
        .await??;
        Ok(set_aside)
    }
}

fn remove_temporary(folder: &Path, depth: usize) -> Result<(), StoreError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // another process may clean at the same time
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(StoreError::file(folder, e)),
    };
    for entry in entries {
        let entry = entry.map_err(|e| StoreError::file(folder, e))?;
        let path = entry.path();
        // not followed: a link leads out of the data folder
        let Ok(metadata) = entry.metadata() else { continue };
        let is_named = |kind: fn(&str) -> bool| entry.file_name().to_str().is_some_and(kind);
        if metadata.is_dir() && is_named(is_temporary_folder) {
            if is_old(&path) {
                gone(&path, fs::remove_dir_all(&path))?;
            }
        } else if metadata.is_dir() && depth > 0 {
            remove_temporary(&path, depth - 1)?;
        } else if metadata.is_file() && is_named(is_temporary) && is_old(&path) {
            gone(&path, fs::remove_file(&path))?;
        }
    }
    Ok(())
}

/// Whether neither `path` nor anything in it was written to within the grace. What cannot be looked at is left alone.
fn is_old(path: &Path) -> bool {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return false;
    };
    let age = metadata
        .modified()
        .ok()
        .and_then(|at| SystemTime::now().duration_since(at).ok());
    let are_old =
        || fs::read_dir(path).is_ok_and(|mut entries| entries.all(|entry| entry.is_ok_and(|entry| is_old(&entry.path()))));
    age.is_some_and(|age| age > GRACE) && (!metadata.is_dir() || are_old())
}

/// Another process may clean at the same time.
fn gone(path: &Path, removed: io::Result<()>) -> Result<(), StoreError> {
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StoreError::file(path, e)),
        _ => Ok(()),
    }
}
