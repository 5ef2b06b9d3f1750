//! `saescope train`: one dictionary.

use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

use super::{Global, sweep::Sweep};

/// Train one dictionary
///
/// Takes the options of `sweep`, each with one value. Ctrl-C keeps a checkpoint; the same command goes on from it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  saescope train --model models/stories260k --corpus stories.json --at blocks.2.hook_resid_pre
  saescope train --model models/stories260k --corpus stories.json --at blocks.2.hook_resid_pre \\
      --objective e2e --target-l0 20 --tokens 1000000")]
pub struct Train {
    #[command(flatten)]
    sweep: Sweep,
}

impl Train {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        self.sweep.run_as("train", global)
    }
}
