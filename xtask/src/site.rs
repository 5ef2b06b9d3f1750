//! The folder that the server embeds: files, their brotli forms, and a manifest with their hashes.
//! Nothing is written when its content is already there, and nothing is compressed twice.

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// The manifest's name in the site's folder: a line `hash path` per file, sorted by path.
const MANIFEST: &str = "manifest";

/// A site being put together.
pub struct Site {
    folder: PathBuf,
    cache: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
}

impl Site {
    /// A site that will be written to `folder`; brotli forms are kept in `cache` by the hash of what they hold.
    pub fn new(folder: PathBuf, cache: PathBuf) -> Self {
        Self {
            folder,
            cache,
            files: BTreeMap::new(),
        }
    }

    /// Adds the file `path`, as the browser asks for it, without the leading slash.
    pub fn add(&mut self, path: &str, bytes: Vec<u8>) {
        self.files.insert(path.to_owned(), bytes);
    }

    /// Writes what changed and removes what is not part of the site. Gives the bytes as they are and as they are sent.
    ///
    /// # Errors
    /// When a file cannot be read, written or removed; the message names it.
    pub fn write(&self) -> Result<(usize, usize)> {
        fs::create_dir_all(&self.cache).with_context(|| format!("cannot create {}", self.cache.display()))?;
        let mut written = BTreeSet::from([self.folder.join(MANIFEST)]);
        let mut manifest = String::new();
        let (mut bytes, mut sent) = (0, 0);
        for (path, content) in &self.files {
            let hash = sha256(content);
            let file = self.folder.join(path);
            write_if_changed(&file, content)?;
            bytes += content.len();
            if let Some(small) = self.compressed(path, content, &hash)? {
                let file = self.folder.join(format!("{path}.br"));
                write_if_changed(&file, &small)?;
                written.insert(file);
                sent += small.len();
            } else {
                sent += content.len();
            }
            written.insert(file);
            manifest += &format!("{hash} {path}\n");
        }
        // the manifest first: an interrupted write must not leave one that lists what is gone
        write_if_changed(&self.folder.join(MANIFEST), manifest.as_bytes())?;
        remove_others(&self.folder, &written)?;
        Ok((bytes, sent))
    }

    /// The brotli form, from the cache where it is there; none for what is compressed already or does not shrink.
    fn compressed(&self, path: &str, content: &[u8], hash: &str) -> Result<Option<Vec<u8>>> {
        let packed_already = ["woff2", "woff", "png", "jpg", "ico"];
        if packed_already
            .iter()
            .any(|extension| path.ends_with(&format!(".{extension}")))
        {
            return Ok(None);
        }
        let kept = self.cache.join(format!("{hash}.br"));
        let small = match fs::read(&kept) {
            Ok(small) => small,
            Err(_) => {
                let small = brotli(content).with_context(|| format!("cannot compress {path}"))?;
                write_if_changed(&kept, &small)?;
                small
            }
        };
        Ok((small.len() < content.len()).then_some(small))
    }
}

/// The hash that names a content, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn brotli(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut small = Vec::new();
    let mut writer = brotli::CompressorWriter::new(&mut small, 1 << 16, 11, 22);
    writer.write_all(content)?;
    writer.flush()?;
    drop(writer);
    Ok(small)
}

/// Writes through a temporary name, so that an interrupted build leaves no half file behind.
fn write_if_changed(file: &Path, content: &[u8]) -> Result<()> {
    if fs::read(file).is_ok_and(|old| old == content) {
        return Ok(());
    }
    let folder = file.parent().expect("files of the site lie in its folder");
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    fs::write(&new, content).with_context(|| format!("cannot write {}", Path::new(&new).display()))?;
    fs::rename(&new, file).with_context(|| format!("cannot write {}", file.display()))
}

fn remove_others(folder: &Path, keep: &BTreeSet<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(&path, keep)?;
        } else if !keep.contains(&path) {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn written(folder: &Path, files: &[(&str, &str)]) -> (usize, usize) {
        let mut site = Site::new(folder.join("site"), folder.join("cache"));
        for (path, content) in files {
            site.add(path, content.as_bytes().to_vec());
        }
        site.write().unwrap()
    }

    fn modified(folder: &Path, path: &str) -> SystemTime {
        fs::metadata(folder.join("site").join(path)).unwrap().modified().unwrap()
    }

    #[test]
    fn a_second_write_touches_only_what_changed() {
        let folder = tempfile::tempdir().unwrap();
        let long = "a".repeat(1000);
        written(folder.path(), &[("style.css", &long), ("pkg/page.js", "one")]);
        let before = (modified(folder.path(), "style.css"), modified(folder.path(), "style.css.br"));
        std::thread::sleep(std::time::Duration::from_millis(20));
        let (bytes, sent) = written(folder.path(), &[("style.css", &long), ("pkg/page.js", "two")]);
        assert_eq!(
            before,
            (modified(folder.path(), "style.css"), modified(folder.path(), "style.css.br"))
        );
        assert_eq!(fs::read_to_string(folder.path().join("site/pkg/page.js")).unwrap(), "two");
        assert_eq!(bytes, 1003);
        assert!(sent < 100, "{sent}");
    }

    #[test]
    fn files_that_left_the_site_are_removed_and_the_manifest_lists_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path(), &[("old.txt", "x"), ("fonts/a.woff2", "font")]);
        written(folder.path(), &[("fonts/a.woff2", "font")]);
        assert!(!folder.path().join("site/old.txt").exists());
        let manifest = fs::read_to_string(folder.path().join("site/manifest")).unwrap();
        assert_eq!(manifest, format!("{} fonts/a.woff2\n", sha256(b"font")));
    }

    #[test]
    fn the_compressed_form_gives_the_content_back() {
        let content = "the page ".repeat(500);
        let mut back = Vec::new();
        let small = brotli(content.as_bytes()).unwrap();
        std::io::copy(&mut brotli::Decompressor::new(&small[..], 4096), &mut back).unwrap();
        assert_eq!(back, content.as_bytes());
        assert!(small.len() < content.len() / 20);
    }
}
