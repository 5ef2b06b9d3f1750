//! The command line: one file per subcommand. Only this folder prints, and only through `say`.

mod asked;
mod behaviours;
mod compare;
mod contrast;
mod corpus;
mod demo;
mod derive;
mod evaluate;
mod export;
mod import;
mod jobs;
mod known;
mod plot;
mod pretrain;
mod probe;
mod pull;
mod randomise;
mod reading_options;
mod report;
mod reproduce;
mod runs;
mod say;
mod serve;
mod storyworld;
mod sweep;
mod sweep_options;
mod table;
mod tokens;
mod train;
mod verify;
mod which;
mod workspace;

use crate::device::Kind;
use clap::{Args, Parser, Subcommand};
use std::{num::NonZeroUsize, path::PathBuf, process::ExitCode};

/// Train, evaluate, inspect and compare sparse dictionaries (sparse autoencoders) of language models, in the browser.
#[derive(Debug, Parser)]
#[command(name = "saescope", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every subcommand takes.
#[derive(Debug, Args)]
pub struct Global {
    /// The data folder: registry, models, corpora, jobs and dictionaries
    #[arg(long, global = true, env = "SAESCOPE_DATA", default_value = "data", value_name = "FOLDER")]
    data: PathBuf,
    /// Threads for training and measuring [default: all cores]
    #[arg(long, global = true, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// What computes
    #[arg(long, global = true, value_enum, default_value_t = Kind::Cpu)]
    device: Kind,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Train(train::Train),
    Sweep(sweep::Sweep),
    Contrast(contrast::Contrast),
    Corpus(corpus::Corpus),
    Derive(derive::Derive),
    Evaluate(evaluate::Evaluate),
    Import(import::Import),
    Export(export::Export),
    Reproduce(reproduce::Reproduce),
    Tokens(tokens::Tokens),
    Compare(compare::Compare),
    Probe(probe::Probe),
    Behaviours(behaviours::Behaviours),
    Verify(verify::Verify),
    Demo(demo::Demo),
    Known(known::Known),
    Plot(plot::Plot),
    Pretrain(pretrain::Pretrain),
    Pull(pull::Pull),
    Randomise(randomise::Randomise),
    Storyworld(storyworld::StoryworldCommand),
    Jobs(jobs::Jobs),
    Cancel(jobs::Cancel),
    Resume(jobs::Resume),
}

impl Global {
    /// Threads to compute with: those that were asked for, else one per core.
    fn n_threads(&self) -> usize {
        self.threads
            .or_else(|| std::thread::available_parallelism().ok())
            .map_or(1, NonZeroUsize::get)
    }
}

/// Runs what the command line asks for. Exit status: 0 done, 1 failed, 2 what was asked for cannot be used.
pub fn run(cli: Cli) -> ExitCode {
    let result = match cli.command {
        Command::Serve(command) => command.run(&cli.global),
        Command::Train(command) => command.run(&cli.global),
        Command::Sweep(command) => command.run(&cli.global),
        Command::Contrast(command) => command.run(&cli.global),
        Command::Corpus(command) => command.run(&cli.global),
        Command::Derive(command) => command.run(&cli.global),
        Command::Evaluate(command) => command.run(&cli.global),
        Command::Import(command) => command.run(&cli.global),
        Command::Export(command) => command.run(&cli.global),
        Command::Reproduce(command) => command.run(&cli.global),
        Command::Tokens(command) => command.run(&cli.global),
        Command::Compare(command) => command.run(&cli.global),
        Command::Probe(command) => command.run(&cli.global),
        Command::Behaviours(command) => command.run(&cli.global),
        Command::Verify(command) => command.run(&cli.global),
        Command::Demo(command) => command.run(&cli.global),
        Command::Known(command) => command.run(&cli.global),
        Command::Plot(command) => command.run(&cli.global),
        Command::Pretrain(command) => command.run(&cli.global),
        Command::Pull(command) => command.run(&cli.global),
        Command::Randomise(command) => command.run(&cli.global),
        Command::Storyworld(command) => command.run(&cli.global),
        Command::Jobs(command) => command.run(&cli.global),
        Command::Cancel(command) => command.run(&cli.global),
        Command::Resume(command) => command.run(&cli.global),
    };
    match result {
        Ok(code) => code,
        Err(error) if error.is::<say::Unheard>() => ExitCode::SUCCESS,
        Err(error) => {
            say::note!("error: {error:#}");
            let is_usage = error.chain().any(|cause| cause.is::<api::ConfigError>());
            ExitCode::from(if is_usage { 2 } else { 1 })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_subcommand_shows_an_example() {
        for sub in Cli::command().get_subcommands_mut().filter(|s| s.get_name() != "help") {
            let help = sub.render_long_help().to_string();
            assert!(
                help.contains(&format!("saescope {}", sub.get_name())),
                "{}: {help}",
                sub.get_name()
            );
            assert!(help.contains("Example"), "{}: {help}", sub.get_name());
        }
    }

    #[test]
    fn global_options_stand_on_either_side() {
        for args in [["saescope", "--data", "d", "jobs"], ["saescope", "jobs", "--data", "d"]] {
            assert_eq!(Cli::try_parse_from(args).unwrap().global.data, PathBuf::from("d"));
        }
    }
}
