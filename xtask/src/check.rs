//! `cargo xtask check`: all that can be said about the tree without running the program.

use crate::{
    build::{self, NATIVE, WASM, cargo, root, run},
    stage::stage,
    tidy,
};
use anyhow::{Result, bail};

/// Format, lints of both targets, documentation, the rules of the tree; the quick ones first.
pub fn check() -> Result<()> {
    stage("format", || run(cargo().args(["fmt", "--all", "--check"])))?;
    stage("rules of the tree", rules)?;
    stage("clippy", || {
        run(cargo()
            .arg("clippy")
            .args(NATIVE)
            .args(["--all-targets", "--", "-D", "warnings"]))
    })?;
    // the page's own profile, so that its build reuses the macros and build scripts compiled here
    stage("clippy of the page", || {
        build::ensure_wasm_target()?;
        run(cargo().args([
            "clippy",
            "-p",
            "frontend",
            "--target",
            WASM,
            "--profile",
            "wasm-release",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    stage("documentation", || {
        run(cargo()
            .env("RUSTDOCFLAGS", "-D warnings")
            .args(["doc", "--no-deps"])
            .args(NATIVE))
    })
}

fn rules() -> Result<()> {
    let violations = tidy::violations(&root())?;
    for violation in &violations {
        eprintln!("{violation}");
    }
    if !violations.is_empty() {
        bail!(
            "the tree breaks {} of its rules; docs/ARCHITECTURE.md gives the reasons",
            violations.len()
        );
    }
    Ok(())
}
