//! Files as they are read and written: read only where they are regular ones, written whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write},
    path::Path,
};

/// Opens `path` for reading where it is a regular file, or a link to one. Whatever path a user names is opened here: a named pipe
/// would wait for a writer for ever, and a device such as `/dev/zero` has no end.
///
/// # Errors
/// The system's; anything but a regular file, named as what it is.
pub fn open(path: &Path) -> io::Result<File> {
    // asked before it is opened: opening a pipe waits already
    let kind = fs::metadata(path)?.file_type();
    if kind.is_file() {
        return File::open(path);
    }
    let message = format!("it is {}; expected a regular file", name(kind));
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// The bytes of the regular file `path`.
///
/// # Errors
/// As [`open`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of the regular file `path`.
///
/// # Errors
/// As [`open`]; bytes that are not UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// What a path leads to, in words.
fn name(kind: fs::FileType) -> &'static str {
    if kind.is_dir() {
        return "a folder";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if kind.is_fifo() {
            return "a named pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    "neither a file nor a folder"
}

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
    if let Ok(folder) = File::open(folder) {
        folder.sync_all()?;
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, text) = (folder.path().join("pipe"), folder.path().join("text"));
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        fs::write(&text, "words").unwrap();
        std::os::unix::fs::symlink(&text, folder.path().join("link")).unwrap();
        assert_eq!(read_to_string(&folder.path().join("link")).unwrap(), "words");
        for (path, expected) in [
            (pipe.as_path(), "it is a named pipe; expected a regular file"),
            (Path::new("/dev/zero"), "it is a device; expected a regular file"),
            (folder.path(), "it is a folder; expected a regular file"),
        ] {
            assert_eq!(read(path).unwrap_err().to_string(), expected);
        }
    }
}
