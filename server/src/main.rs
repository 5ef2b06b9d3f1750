//! `saescope`: one program that trains, evaluates, inspects and compares sparse dictionaries of language models.
//! The command line is in `commands`, the API in `http`, what runs for long in `jobs`.

mod cache;
mod commands;
mod http;
mod hub;
mod jobs;
mod page;
mod pareto;
mod render;
mod short;
mod site;
mod workspace;

use clap::Parser as _;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("SAESCOPE_LOG").unwrap_or_else(|_| EnvFilter::new("warn,saescope=info,tower_http=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    commands::run(commands::Cli::parse())
}
