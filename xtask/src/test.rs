//! `cargo xtask test`: every test there is, with the page in the binary and a real browser before it.

use crate::{
    browser::{self, Programs},
    build::{self, NATIVE, cargo, root, run},
    page, slowest,
    stage::stage,
    tidy,
};
use anyhow::{Context, Result};
use std::fs;

/// The crates that can have documentation tests: those with a library for the host.
const LIBRARIES: &[&str] = &["api", "app", "engine", "gpu", "store", "tests"];

/// Builds the page and the binary, then runs all tests, or those whose name holds a word of `filter`.
pub fn test(filter: &[String]) -> Result<()> {
    let programs = stage("browser and driver", browser::ensure)?;
    stage("the page", page::build)?;
    stage("the server and the tests", || {
        run(cargo()?.arg("build").args(NATIVE).args(["--tests", "--bin", "saescope"]))
    })?;
    stage("tests", || all(filter, &programs))?;
    let documented = tidy::crates_with_doc_tests(&root(), LIBRARIES)?;
    if filter.is_empty() && !documented.is_empty() {
        let packages = documented.iter().flat_map(|name| ["-p", *name]);
        stage("documentation tests", || run(cargo()?.args(["test", "--doc"]).args(packages)))?;
    }
    Ok(())
}

/// Runs what was built, under nextest where it is installed, and then names the slowest.
fn all(filter: &[String], programs: &Programs) -> Result<()> {
    let nextest = cargo()?.args(["nextest", "--version"]).output();
    let nextest = nextest.is_ok_and(|asked| asked.status.success());
    let mut command = cargo()?;
    if nextest {
        command
            .args(["nextest", "run", "--no-fail-fast"])
            .args(NATIVE)
            .arg("--tests")
            .args(filter);
    } else {
        command
            .args(["test", "--no-fail-fast"])
            .args(NATIVE)
            .args(["--tests", "--"])
            .args(filter);
    }
    command
        .env("SAESCOPE_BIN", build::binary()?)
        .env("RUST_LIB_BACKTRACE", "0") // an error says where it comes from
        .env("SAESCOPE_CHROMIUM", &programs.browser)
        .env("SAESCOPE_CHROMEDRIVER", &programs.driver);
    let report = build::target()?.join("nextest/default/junit.xml");
    if nextest && report.exists() {
        // another run's would be read where this one fails before it writes its own
        fs::remove_file(&report).with_context(|| format!("cannot remove {}", report.display()))?;
    }
    let passed = run(&mut command);
    if !nextest {
        println!("which tests are slowest only nextest tells: `cargo install cargo-nextest`");
    } else if report.exists() {
        slowest::print(&report)?;
    }
    passed
}
