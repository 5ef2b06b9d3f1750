//! The binary under test, as a user would start it.

use anyhow::{Context, Result, ensure};
use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests lies inside the repository")
}

/// The folder that holds the built binary and its tests: `target/debug`.
fn profile_folder() -> Result<PathBuf> {
    let test = env::current_exe().context("cannot find the test's own binary")?;
    let folder = test
        .parent()
        .and_then(Path::parent)
        .context("the test's binary lies in no target folder")?;
    Ok(folder.to_path_buf())
}

/// Where tests leave what a person may want to look at: `target/screenshots`.
///
/// # Errors
/// When the folder cannot be found or created.
pub fn screenshots() -> Result<PathBuf> {
    let profile = profile_folder()?;
    let folder = profile
        .parent()
        .context("the test's binary lies in no target folder")?
        .join("screenshots");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// The built `saescope`: the one that `SAESCOPE_BIN` names, else the one beside this test in the target folder.
///
/// # Errors
/// When it was not built; the message says how to.
pub fn binary() -> Result<PathBuf> {
    let file = match env::var_os("SAESCOPE_BIN") {
        Some(file) => file.into(),
        None => profile_folder()?.join(format!("saescope{}", env::consts::EXE_SUFFIX)),
    };
    ensure!(
        file.is_file(),
        "found no {}; build it with `cargo xtask build`, or run `cargo xtask test`",
        file.display()
    );
    Ok(file)
}

/// Runs `saescope ARGS` to its end, without the caller's settings of saescope or the hub.
///
/// # Errors
/// When it was not built or cannot be started.
pub fn saescope(args: &[&str]) -> Result<Output> {
    command(args)?.output().context("cannot start saescope")
}

/// `saescope ARGS`, ready to start: for tests that change its environment or kill it.
///
/// # Errors
/// When it was not built.
pub fn command(args: &[&str]) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command.args(args).current_dir(root());
    for variable in [
        "RUST_LOG",
        "RAYON_NUM_THREADS",
        "HF_HOME",
        "HF_ENDPOINT",
        "HF_TOKEN",
        "SAESCOPE_TOKEN",
    ] {
        command.env_remove(variable);
    }
    Ok(command)
}
