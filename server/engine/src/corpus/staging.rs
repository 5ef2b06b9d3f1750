//! A token file in the making: written under a temporary name beside the wanted one, synced, then renamed.

use std::{
    fs::{self, File},
    path::Path,
};

use super::{CorpusError, Manifest, TokenFile, token_file::MANIFEST};

/// A folder under a temporary name beside the one that is wanted; gone when it is not finished.
pub(super) struct Staging {
    folder: tempfile::TempDir,
}

impl Staging {
    pub fn beside(folder: &Path) -> Result<Self, CorpusError> {
        // what is there may be replaced only where it is a token file, or nothing
        let is_empty = || fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
        if folder.exists() && !TokenFile::is_at(folder) && !is_empty() {
            return Err(CorpusError::Occupied { path: folder.to_owned() });
        }
        let parent = parent(folder);
        fs::create_dir_all(parent).map_err(CorpusError::io("create", parent))?;
        let folder = tempfile::Builder::new().prefix(".packing-").tempdir_in(parent);
        Ok(Self {
            folder: folder.map_err(CorpusError::io("create a folder in", parent))?,
        })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the manifest and gives the folder its name.
    pub fn finish(self, manifest: &Manifest, folder: &Path) -> Result<TokenFile, CorpusError> {
        let path = self.path().join(MANIFEST);
        let write = || {
            let mut file = File::create(&path)?;
            serde_json::to_writer_pretty(&mut file, manifest)?;
            file.sync_all()?;
            File::open(self.path())?.sync_all()
        };
        write().map_err(CorpusError::io("write", &path))?;
        let parent = parent(folder);
        let rename = |from: &Path, to: &Path| fs::rename(from, to).map_err(CorpusError::io("rename", from));
        if folder.exists() {
            // a folder that is not empty cannot be renamed onto: the old one steps aside and goes with `aside`
            let aside = tempfile::Builder::new().prefix(".replaced-").tempdir_in(parent);
            let aside = aside.map_err(CorpusError::io("create a folder in", parent))?;
            let old = aside.path().join("old");
            rename(folder, &old)?;
            if let Err(error) = rename(self.path(), folder) {
                rename(&old, folder)?;
                return Err(error);
            }
        } else {
            rename(self.path(), folder)?;
        }
        // it has moved: nothing is left to remove
        let _ = self.folder.keep();
        File::open(parent)
            .and_then(|parent| parent.sync_all())
            .map_err(CorpusError::io("sync", parent))?;
        TokenFile::open(folder)
    }
}

/// The folder that holds `folder`; the current one where a bare name is given.
fn parent(folder: &Path) -> &Path {
    folder
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}
