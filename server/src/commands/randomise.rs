//! `saescope randomise`: a language model's twin with random weights, as a model like any other.

use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

use super::{Global, say::say, workspace};
use crate::jobs::import;

/// Add a language model's twin with random weights: the control for what dictionaries find
///
/// Its matrices are drawn from normal distributions with the mean and standard deviation of the model's own; norms, tokenizer and
/// config stay. Dictionaries that are trained on it show what the architecture and the text give without learning.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  saescope randomise --model stories260k --seed 0
  saescope sweep --model stories260k-random-0 --corpus stories.json --at blocks.2.hook_resid_pre --target-l0 16")]
pub struct Randomise {
    /// The language model: a Hugging Face folder, a registered name, or a name on the hub
    #[arg(long, value_name = "FOLDER|NAME")]
    model: String,
    /// Seed of the weights
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

impl Randomise {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        workspace::on(global, async |workspace| {
            let model = workspace::model(&workspace, &self.model).await?;
            let twin = import::random_twin(&workspace, &model, self.seed).await?;
            say!(
                "model {}: {}, {} parameters, in {}",
                twin.id,
                twin.source,
                twin.n_params,
                twin.folder
            )?;
            Ok(ExitCode::SUCCESS)
        })
    }
}
