//! `cargo xtask interop`: whether sae-lens and dictionary-learning, as PyPI has them, read what we write, and we what they write.
//! Their Python lies in `target/interop`; it is made once, and takes some gigabytes (torch).

use crate::{
    build::{NATIVE, cargo, run, target},
    stage::stage,
};
use anyhow::{Context, Result};
use std::{env, fs, path::Path, process::Command};

/// What is installed, and what says that it is.
const PACKAGES: &[&str] = &["sae-lens>=6", "dictionary-learning"];
const DONE: &str = "installed";

/// Makes the Python where it is missing, and runs the tests that need it.
pub fn interop() -> Result<()> {
    let folder = target()?.join("interop");
    let python = folder.join("venv/bin/python");
    if !folder.join(DONE).is_file() {
        stage("sae-lens and dictionary-learning", || install(&folder, &python))?;
    }
    stage("what they read and write", || {
        let mut command = cargo()?;
        command
            .arg("test")
            .args(NATIVE)
            .args(["--test", "exchange", "--", "interop::", "--nocapture"]);
        run(command.env("SAESCOPE_INTEROP_PYTHON", &python))
    })
}

/// PYTHON names the Python to begin from, where `python3` is not one of those that the tools take.
fn install(folder: &Path, python: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let begin = env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    run(Command::new(begin).args(["-m", "venv"]).arg(folder.join("venv")))?;
    // one after the other: dictionary-learning is content with the torch that sae-lens brings
    for package in PACKAGES {
        run(Command::new(python).args(["-m", "pip", "install", "--quiet", package]))?;
    }
    let done = folder.join(DONE);
    fs::write(&done, PACKAGES.join("\n")).with_context(|| format!("cannot write {}", done.display()))
}
