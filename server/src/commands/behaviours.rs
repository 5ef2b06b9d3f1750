//! `saescope behaviours`: what a language model has learnt of storyworld.

use anyhow::Result;
use api::ConfigError;
use clap::Args;
use std::process::ExitCode;

use super::{Global, say::say, workspace};
use crate::behaviours::{Questions, SEED, learnt};

/// Score a language model on storyworld: its loss beside the generator's own, and how often it goes on rightly
///
/// Asked are indirect object identification, agreement, closing brackets and quotes, and later years. A model is right where the
/// right continuations together have more probability than the wrong ones.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  saescope behaviours --model storyworld --prompts 1000")]
pub struct Behaviours {
    /// The model: its id, a Hugging Face folder, or its name on the hub
    #[arg(long, value_name = "NAME|FOLDER")]
    model: String,
    /// Prompts of each behaviour, each from another story
    #[arg(long, value_name = "N", default_value_t = 500)]
    prompts: usize,
    /// Stories for the loss
    #[arg(long, value_name = "N", default_value_t = 500)]
    stories: u64,
    /// The seed of the stories and the prompts: one that no training text has
    #[arg(long, value_name = "N", default_value_t = SEED)]
    seed: u64,
}

impl Behaviours {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        for (field, n) in [("prompts", self.prompts as u64), ("stories", self.stories)] {
            if n == 0 {
                return Err(ConfigError::new(field, "found 0; expected at least 1".to_owned()).into());
            }
        }
        let questions = Questions {
            n_prompts: self.prompts,
            n_stories: self.stories,
            seed: self.seed,
        };
        workspace::on(global, async |workspace| {
            let info = workspace::model(&workspace, &self.model).await?;
            for line in learnt(&workspace, &info, questions).await?.lines() {
                say!("{line}")?;
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}
