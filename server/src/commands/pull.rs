//! `saescope pull`: a language model or a data set from the hub.

use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

use super::{Global, corpus, reading_options::ReadingOptions, say::say, workspace};

/// Fetch a language model or a data set from the Hugging Face hub and add it
///
/// HF_HOME, HF_ENDPOINT and HF_TOKEN are respected.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  saescope pull EleutherAI/pythia-70m
  saescope pull --dataset roneneldan/TinyStories --file data/validation-00000-of-00001-869c898b519ad725.parquet")]
pub struct Pull {
    /// The name on the hub
    #[arg(value_name = "NAME")]
    name: String,
    /// It is a data set
    #[arg(long)]
    dataset: bool,
    /// A file of the data set; may be given several times [default: its Parquet files, else its JSON files]
    #[arg(long, value_name = "FILE", requires = "dataset")]
    file: Vec<String>,
    #[command(flatten)]
    reading: ReadingOptions,
}

impl Pull {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        workspace::on(global, async |workspace| {
            if self.dataset {
                let corpus = workspace::pull_dataset(&workspace, &self.name, self.file, &self.reading.reading()).await?;
                corpus::say_read(&corpus)?;
                corpus::say_first(&corpus)?;
            } else {
                let model = workspace::pull_model(&workspace, &self.name).await?;
                say!(
                    "model {}: {}, {} parameters, in {}",
                    model.id,
                    model.family,
                    model.n_params,
                    model.folder
                )?;
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}
