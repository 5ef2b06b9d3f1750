//! `cargo xtask test`: every test there is, with the page in the binary and a real browser before it.

use crate::{
    browser,
    build::{self, NATIVE, cargo, root, run},
    page,
    stage::stage,
    tidy,
};
use anyhow::Result;

/// The crates that can have documentation tests: those with a library for the host.
const LIBRARIES: &[&str] = &["api", "app", "engine", "gpu", "store", "tests"];

/// Builds the page and the binary, then runs all tests, or those whose name holds a word of `filter`.
pub fn test(filter: &[String]) -> Result<()> {
    let programs = stage("browser and driver", browser::ensure)?;
    stage("the page", page::build)?;
    stage("the server and the tests", || {
        run(cargo().arg("build").args(NATIVE).args(["--tests", "--bin", "saescope"]))
    })?;
    stage("tests", || {
        let nextest = cargo()
            .args(["nextest", "--version"])
            .output()
            .is_ok_and(|asked| asked.status.success());
        let mut command = cargo();
        command
            .args(if nextest {
                &["nextest", "run"][..]
            } else {
                &["test", "--no-fail-fast"]
            })
            .args(NATIVE);
        command.args(["--tests"]);
        if nextest {
            command.args(["--no-fail-fast"]).args(filter);
        } else {
            command.arg("--").args(filter);
        }
        command.env("SAESCOPE_BIN", build::binary()).env("RUST_LIB_BACKTRACE", "0"); // an error says where it comes from
        command
            .env("SAESCOPE_CHROMIUM", &programs.browser)
            .env("SAESCOPE_CHROMEDRIVER", &programs.driver);
        run(&mut command)
    })?;
    let documented = tidy::crates_with_doc_tests(&root(), LIBRARIES)?;
    if filter.is_empty() && !documented.is_empty() {
        let packages = documented.iter().flat_map(|name| ["-p", *name]);
        stage("documentation tests", || run(cargo().args(["test", "--doc"]).args(packages)))?;
    }
    Ok(())
}
