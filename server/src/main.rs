//! `saescope`: one program that trains, evaluates, inspects and compares sparse dictionaries of language models.
//! The command line is in `commands`, the API in `http`, what runs for long in `jobs`.

mod ask;
mod behaviours;
mod cache;
mod commands;
mod demo;
mod device;
mod exported;
mod http;
mod hub;
mod imported;
mod jobs;
mod known;
mod memory;
mod model_name;
mod on_text;
mod page;
mod pareto;
mod render;
mod room;
mod saelens;
mod short;
mod site;
mod workspace;

use clap::Parser as _;
use std::{
    io::{IsTerminal as _, stderr},
    process::ExitCode,
};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    // a statement that waits while every core is busy is no news
    let default = "warn,sqlx::query=error,saescope=info,tower_http=info";
    let filter = EnvFilter::try_from_env("SAESCOPE_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal())
        .with_writer(stderr)
        .log_internal_errors(false) // where stderr is closed there is nobody to tell
        .init();
    commands::run(commands::Cli::parse())
}
