//! Where cargo puts what it builds, asked of cargo itself: `CARGO_TARGET_DIR` counts, relative to where the command
//! was given, and so does `target-dir` in one of its configuration files.

use crate::build::root;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The folders of this call.
pub struct Folders {
    /// Programs and documentation, and what is made for people.
    pub target: PathBuf,
    /// What cargo makes on the way; the same folder unless a configuration file names another.
    pub build: PathBuf,
}

static FOLDERS: OnceLock<Folders> = OnceLock::new();

/// Asks cargo once, before anything is built.
///
/// # Errors
/// When cargo cannot be started or does not say.
pub fn ask() -> Result<&'static Folders> {
    if let Some(known) = FOLDERS.get() {
        return Ok(known);
    }
    // in the folder of the caller, not at the root: a relative folder is meant from there
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
        .arg(root().join("Cargo.toml"));
    let asked = command.output().context("cannot start `cargo metadata`")?;
    ensure!(
        asked.status.success(),
        "`cargo metadata` failed: {}",
        String::from_utf8_lossy(&asked.stderr).trim()
    );
    let said = serde_json::from_slice(&asked.stdout).context("`cargo metadata` did not write JSON")?;
    let found = read(&said)?;
    Ok(FOLDERS.get_or_init(|| found))
}

fn read(metadata: &Value) -> Result<Folders> {
    let folder = |name: &str| metadata[name].as_str().map(|path| Path::new(path).to_path_buf());
    let target = folder("target_directory").context("`cargo metadata` names no target_directory")?;
    Ok(Folders {
        build: folder("build_directory").unwrap_or_else(|| target.clone()),
        target,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_cargo_makes_on_the_way_may_lie_elsewhere() {
        let one = read(&json!({"target_directory": "/t"})).unwrap();
        assert_eq!(
            (one.target.as_path(), one.build.as_path()),
            (Path::new("/t"), Path::new("/t"))
        );
        let two = read(&json!({"target_directory": "/t", "build_directory": "/b"})).unwrap();
        assert_eq!(
            (two.target.as_path(), two.build.as_path()),
            (Path::new("/t"), Path::new("/b"))
        );
        assert!(read(&json!({})).is_err());
    }
}
