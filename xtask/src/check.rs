//! `cargo xtask check`: all that can be said about the tree without running the program.

use crate::{
    build::{self, NATIVE, PAGE, cargo, root, run},
    lint,
    stage::stage,
    tidy,
};
use anyhow::{Result, bail};

/// Format, rules of the tree, lints of both targets with the documentation; the quick ones first.
pub fn check() -> Result<()> {
    stage("format", || run(cargo()?.args(["fmt", "--all", "--check"])))?;
    stage("rules of the tree", rules)?;
    stage("clippy and documentation, with the dependencies", || {
        lint::lint(&[NATIVE, &["--all-targets"]].concat(), true)
    })?;
    // the page's own profile, so that its build finds its dependencies compiled
    stage("clippy of the page, with its dependencies", || {
        build::ensure_wasm_target()?;
        lint::lint(PAGE, false)
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
