//! `saescope export`: a dictionary in another tool's files.

use anyhow::{Context as _, Result};
use api::{ConfigError, DictionaryId};
use clap::{Args, ValueEnum};
use engine::{
    dictionary::load,
    exchange::{Facts, Format, write},
};
use std::{path::PathBuf, process::ExitCode};

use super::{Global, say::say, workspace};

/// Write a dictionary as SAELens or dictionary_learning have it
///
/// Activations come out in the model's units: a scale of the input is folded into biases and thresholds.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  saescope export --dictionary 7 --format saelens --to sae_7")]
pub struct Export {
    /// The dictionary's number
    #[arg(long, value_name = "N")]
    dictionary: i64,
    /// Whose files
    #[arg(long, value_enum)]
    format: Written,
    /// The folder to write to, which is made if it is not there
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
}

/// The formats that are written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Written {
    /// SAELens 6: cfg.json, sae_weights.safetensors
    Saelens,
    /// dictionary_learning: ae.pt, config.json
    #[value(name = "dictionary_learning")]
    DictionaryLearning,
}

impl Export {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        workspace::on(global, async |workspace| {
            let id = DictionaryId(self.dictionary);
            let missing = || ConfigError::new("dictionary", format!("there is no dictionary {id} in the registry"));
            let info = workspace.store.dictionary(id).await?.ok_or_else(missing)?;
            let job = workspace.store.job(info.job).await?;
            let n_ctx = job.and_then(|job| job.config.training().map(|config| config.packing.n_ctx));
            let (dictionary, file) = load(&workspace.store.verify_dictionary(id).await?)?;
            let format = match self.format {
                Written::Saelens => Format::SaeLens,
                Written::DictionaryLearning => Format::DictionaryLearning,
            };
            let facts = Facts {
                model: Some(info.model.0.clone()),
                hook: Some(file.at.to_string()),
                residual: Some(file.residual),
                n_ctx,
                normaliser: file.normaliser,
                ..Facts::new(format)
            };
            write(&dictionary, &facts, None, &self.to)
                .with_context(|| format!("dictionary {id} cannot be written as {format}'s"))?;
            say!("dictionary {id}, as {format} has it, in {}", self.to.display())?;
            Ok(ExitCode::SUCCESS)
        })
    }
}
