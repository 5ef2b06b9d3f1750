//! `saescope import`: a dictionary of another tool, measured and kept like any other.

use anyhow::Result;
use api::{BosPolicy, EosPolicy, EvaluationSplit, HookPoint, ResidualFrame};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

use super::{Global, reading_options::ReadingOptions, runs, say::note, workspace};
use crate::{
    hub,
    imported::{Wanted, locate, stage},
    room,
};

/// Read a dictionary that another tool has written, measure it, and add it to the registry
///
/// Formats: SAELens, dictionary_learning, sparsify, OpenAI, Gemma Scope, Llama Scope, Qwen Scope, Goodfire, circuit-tracer, e2e_sae, sparse_coding. It is measured on the model and the text that are
/// given, as a trained dictionary is. Pickles are read as data and never executed. docs/METHODS.md says what each format is read as.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  saescope import trainer_0 --model EleutherAI/pythia-70m --corpus stories.json
  saescope import ae.pt --model gpt2 --corpus stories.json --at blocks.6.hook_resid_pre
  saescope import apollo-research/e2e-saes-gpt2/e2e_similar_ce_layer_6.pt --model gpt2 --corpus stories.json
  saescope import gpt2-small-res-jb/blocks.8.hook_resid_pre --model gpt2 --corpus stories.json
  saescope import google/gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71 --model google/gemma-2-2b --corpus stories.json
  saescope import transcoder_7 --model gpt2 --corpus stories.json --read-at blocks.6.ln2.hook_normalized --at blocks.6.hook_mlp_out")]
pub struct Import {
    /// A folder, a file, a repository on the hub with the folder or file in it: owner/name/path, or a name of SAELens': release/id
    #[arg(value_name = "SOURCE")]
    source: String,
    /// The language model: a Hugging Face folder, a registered name, or a name on the hub
    #[arg(long, value_name = "FOLDER|NAME")]
    model: String,
    /// Take it for that model, whatever the file calls the one that it is for
    #[arg(long)]
    any_model: bool,
    /// The text to measure on: a file or a folder of files, or a registered name
    #[arg(long, value_name = "FILE|NAME")]
    corpus: String,
    #[command(flatten)]
    reading: ReadingOptions,
    /// Where the dictionary reads and writes, a transcoder writes [default: what the file says]
    #[arg(long, value_name = "HOOK POINT")]
    at: Option<HookPoint>,
    /// Where a transcoder reads [default: what the file says]
    #[arg(long, value_name = "HOOK POINT")]
    read_at: Option<HookPoint>,
    /// How the residual stream is read: raw or centred [default: as the dictionary's tool does]
    #[arg(long)]
    residual: Option<ResidualFrame>,
    /// Its number, from 0, in a file of several
    #[arg(long, value_name = "N")]
    number: Option<usize>,
    /// Tokens per context [default: what the file says, else the model's, at most 256]
    #[arg(long, value_name = "N")]
    n_ctx: Option<usize>,
    /// What the BOS token opens: document, context or none [default: what the file says, else document, where the tokenizer has one]
    #[arg(long)]
    bos: Option<BosPolicy>,
    /// What the EOS token closes: document or none [default: none]
    #[arg(long)]
    eos: Option<EosPolicy>,
    /// The text of the metrics: held_out or validation [default: held_out]
    #[arg(long, value_name = "TEXT")]
    evaluate_on: Option<EvaluationSplit>,
    /// Tokens for the metrics [default: 65,536]
    #[arg(long, value_name = "N")]
    eval_tokens: Option<usize>,
    /// Write a row for it to this file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Import it anew, also where it is in the registry
    #[arg(long)]
    fresh: bool,
}

impl Import {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        runs::check_csv(self.csv.as_deref())?;
        workspace::on(global, async |workspace| {
            let (path, normaliser) = locate(&self.source, hub::Show::Bars).await?;
            let model = workspace::model(&workspace, &self.model).await?;
            let corpus = workspace::corpus(&workspace, &self.corpus, &self.reading.reading()).await?;
            let wanted = Wanted {
                source: self.source,
                path,
                number: self.number,
                normaliser,
                model,
                any_model: self.any_model,
                corpus: corpus.id,
                at: self.at,
                read_at: self.read_at,
                residual: self.residual,
                n_ctx: self.n_ctx,
                bos: self.bos,
                eos: self.eos,
                evaluate_on: self.evaluate_on,
                eval_tokens: self.eval_tokens,
            };
            let staged = stage(&workspace.store, wanted).await?;
            room::check_asked(&workspace, &[&staged.config]).await?;
            let (facts, config) = (&staged.facts, &staged.config);
            note!(
                "a {} dictionary of {} features, from a file of {}; {} at {}, residual {}",
                config.dictionaries[0].kind.name(),
                config.dictionaries[0].d_sae,
                facts.format,
                config.model,
                config.at,
                config.residual
            );
            if let Some(read_at) = config.dictionaries[0].kind.read_at() {
                note!("it reads at {read_at}");
            }
            for sentence in &staged.taken {
                note!("{sentence}");
            }
            if facts.model.is_none() {
                note!("the file names no model; that it is for '{}' is yours to know", config.model);
            }
            let ids = runs::jobs(&workspace, vec![(staged.config, staged.command)], self.fresh).await?;
            runs::to_the_end(&workspace, &ids, "saescope import", self.csv.as_deref()).await
        })
    }
}
