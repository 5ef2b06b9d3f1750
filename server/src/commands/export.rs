//! `saescope export`: a dictionary in another tool's files.

use anyhow::Result;
use api::DictionaryId;
use clap::{Args, ValueEnum};
use engine::exchange::Format;
use std::{path::PathBuf, process::ExitCode};

use super::{Global, say::say, workspace};
use crate::exported::export;

/// Write a dictionary in another tool's files
///
/// Activations come out in the model's units: a scale of the input is folded into biases and thresholds. What a format has no form for is
/// refused by name. Where the files do not say the place, the folder's path does: layers.5, …-res/layer_20, resid_post_mlp_v5/autoencoders.
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
    /// sparsify, topk and its transcoders: cfg.json, sae.safetensors
    Sparsify,
    /// OpenAI, relu and topk: a .pt
    #[value(name = "openai")]
    OpenAi,
    /// Gemma Scope, jumprelu and what is a case of it: params.npz
    #[value(name = "gemma_scope")]
    GemmaScope,
    /// e2e_sae, relu of the centred stream: samples_N.pt, final_config.yaml
    #[value(name = "e2e_sae")]
    E2eSae,
    /// sparse_coding, relu that is tied or without a bias: learned_dicts.pt
    #[value(name = "sparse_coding")]
    SparseCoding,
}

impl Export {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        workspace::on(global, async |workspace| {
            let id = DictionaryId(self.dictionary);
            let format = match self.format {
                Written::Saelens => Format::SaeLens,
                Written::DictionaryLearning => Format::DictionaryLearning,
                Written::Sparsify => Format::Sparsify,
                Written::OpenAi => Format::OpenAi,
                Written::GemmaScope => Format::GemmaScope,
                Written::E2eSae => Format::E2eSae,
                Written::SparseCoding => Format::SparseCoding,
            };
            export(&workspace.store, id, format).await?.write(&self.to)?;
            say!("dictionary {id}, as {format} has it, in {}", self.to.display())?;
            Ok(ExitCode::SUCCESS)
        })
    }
}
