//! How this program calls cargo. Every native call selects the same packages, because cargo unifies features
//! over the packages selected: another selection would compile the dependencies again.

use crate::folders;
use anyhow::{Context, Result, ensure};
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// The target of the page.
pub const WASM: &str = "wasm32-unknown-unknown";

/// Everything that is built natively; `frontend` needs leptos with features that exclude the server's.
pub const NATIVE: &[&str] = &[
    "-p", "api", "-p", "app", "-p", "engine", "-p", "gpu", "-p", "store", "-p", "server", "-p", "tests", "-p", "xtask",
];

/// The page.
pub const PAGE: &[&str] = &["-p", "frontend", "--target", WASM, "--profile", "wasm-release"];

/// The root of the repository: of the clone that `cargo run` was called in, where it was, because clones may share what is built.
pub fn root() -> PathBuf {
    let own = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&own)
        .parent()
        .expect("xtask lies inside the repository")
        .to_path_buf()
}

/// Where cargo puts programs.
///
/// # Errors
/// When cargo does not say.
pub fn target() -> Result<PathBuf> {
    Ok(folders::ask()?.target.clone())
}

/// The cargo that started this program, at the root of the repository, building into the same folder from there.
///
/// # Errors
/// When cargo does not say where it builds.
pub fn cargo() -> Result<Command> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).env("CARGO_TARGET_DIR", target()?);
    // `cargo run` describes this crate to this program; build scripts that watch these (ring's does) would run again
    for (name, _) in env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"]
            .iter()
            .any(|prefix| name.to_string_lossy().starts_with(prefix))
        {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// Runs `command` with this program's input and output.
///
/// # Errors
/// When it cannot be started or fails; the message names it.
pub fn run(command: &mut Command) -> Result<()> {
    let name = describe(command);
    let status = command.status().with_context(|| format!("cannot start `{name}`"))?;
    ensure!(status.success(), "`{name}` failed ({status})");
    Ok(())
}

fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Builds `target/debug/saescope`, with the page that lies in `target/site` inside.
pub fn server() -> Result<()> {
    run(cargo()?.arg("build").args(NATIVE).args(["--bin", "saescope"]))
}

/// The server's binary, built or not.
///
/// # Errors
/// When cargo does not say where it builds.
pub fn binary() -> Result<PathBuf> {
    Ok(target()?.join("debug").join(format!("saescope{}", env::consts::EXE_SUFFIX)))
}

/// Says where the program lies.
///
/// # Errors
/// When cargo does not say where it builds.
pub fn say_where() -> Result<()> {
    println!("the program: {}", binary()?.display());
    Ok(())
}

/// Adds the page's target to the toolchain when it is missing: rustup does it by itself only where
/// automatic installation is on.
///
/// # Errors
/// When it is missing and there is no rustup, or rustup fails.
pub fn ensure_wasm_target() -> Result<()> {
    let asked = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", WASM])
        .current_dir(root())
        .output()
        .context("cannot start `rustc`; install Rust from https://rustup.rs")?;
    let folder = PathBuf::from(String::from_utf8_lossy(&asked.stdout).trim());
    if asked.status.success() && folder.is_dir() {
        return Ok(());
    }
    println!("the toolchain has no {WASM}: adding it");
    run(Command::new("rustup").args(["target", "add", WASM]).current_dir(root()))
        .with_context(|| format!("the page needs the target {WASM}; add it to the toolchain of rust-toolchain.toml"))
}
