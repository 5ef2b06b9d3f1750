//! The commands that need nothing but cargo: `cargo serve`, `cargo xtask check`, `cargo xtask test`.
//! Printing is what this program is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod browser;
mod build;
mod check;
#[cfg(all(test, unix))]
mod ci_tests;
mod folders;
mod interop;
mod lint;
mod page;
mod serve;
mod site;
mod slowest;
mod stage;
mod test;
mod tidy;

use std::{env, process::ExitCode};

const USAGE: &str = "\
usage: cargo serve [ARGS…]          build the page and the server, then run `saescope serve ARGS…`
       cargo xtask page             build the page only, into target/site
       cargo xtask build            build the page and the server
       cargo xtask check            format, clippy for both targets, docs, the rules of the tree
       cargo xtask test [FILTER]    every test, those in a real browser included
       cargo xtask interop          files to and from sae-lens and dictionary-learning (PyPI, some gigabytes)";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    if let Some(read) = lint::asked(&args) {
        return read.map_or_else(failed, |well| if well { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let rest = args.get(1..).unwrap_or_default();
    let done = match args.first().map(String::as_str) {
        Some("serve") => serve::serve(rest),
        Some("page") => page::build(),
        Some("build") => page::build().and_then(|()| build::server()).and_then(|()| build::say_where()),
        Some("check") => check::check(),
        Some("test") => test::test(rest),
        Some("interop") => interop::interop(),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            Ok(())
        }
        other => {
            eprintln!("unknown command `{}`\n{USAGE}", other.unwrap_or_default());
            return ExitCode::from(2);
        }
    };
    stage::summary();
    done.map_or_else(failed, |()| ExitCode::SUCCESS)
}

fn failed(error: anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
