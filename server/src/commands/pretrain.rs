//! `saescope pretrain`: a new language model, trained here and now. The job stands in the registry like every other.

use anyhow::{Context as _, Result, bail};
use api::{
    Adam, ConfigError, CorpusInfo, Evaluation, EvaluationSplit, ModelId, ModelShape, PretrainConfig, Schedule, TokenizerSource,
    WeightType,
};
use clap::Args;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
};

use super::{
    Global,
    reading_options::ReadingOptions,
    runs,
    say::{note, say},
    workspace,
};
use crate::{
    jobs::Ended,
    room::{self, Moment},
    workspace::Workspace,
};

/// Train a language model (GPT-2) from random weights on a text
///
/// The model is written as a Hugging Face folder and added to the registry. Every default that is not given is printed. Ctrl-C
/// keeps a checkpoint; the same command goes on from it.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  saescope pretrain --corpus stories.jsonl --name stories --vocab-size 1024 --n-layers 4 --d-model 128 --n-heads 4 \\
      --n-ctx 256 --batch 16 --tokens 40000000 --lr 2e-3 --dtype f16")]
pub struct Pretrain {
    /// The text: a file or a folder of files (text, JSON lines, JSON array, CSV, TSV, Parquet), or a registered name
    #[arg(long, value_name = "FILE|NAME")]
    pub corpus: String,
    #[command(flatten)]
    pub reading: ReadingOptions,
    /// What to call the model [default: gpt2- and the corpus' name]
    #[arg(long)]
    pub name: Option<String>,
    /// A tokenizer.json to use; its tokenizer_config.json beside it names the BOS token [default: one is trained]
    #[arg(long, value_name = "FILE", conflicts_with = "vocab_size")]
    pub tokenizer: Option<PathBuf>,
    /// Tokens of the tokenizer that is trained on the text, a byte-level BPE [default: 1,024]
    #[arg(long, value_name = "N")]
    pub vocab_size: Option<usize>,
    /// Blocks [default: 4]
    #[arg(long, value_name = "N")]
    pub n_layers: Option<usize>,
    /// Width of the residual stream [default: 128]
    #[arg(long, value_name = "N")]
    pub d_model: Option<usize>,
    /// Attention heads per block [default: 4]
    #[arg(long, value_name = "N")]
    pub n_heads: Option<usize>,
    /// The longest context, in tokens [default: 256]
    #[arg(long, value_name = "N")]
    pub n_ctx: Option<usize>,
    /// Contexts per optimiser step [default: 4,096 tokens' worth]
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Tokens to train on; documents repeat, reshuffled, when they run out [default: 20,000,000]
    #[arg(long, value_name = "N")]
    pub tokens: Option<u64>,
    /// Peak learning rate [default: 0.002]
    #[arg(long, value_name = "NUMBER")]
    pub lr: Option<f64>,
    /// Optimiser steps of linear warm-up [default: 2 % of the run's]
    #[arg(long, value_name = "N")]
    pub warmup_steps: Option<usize>,
    /// Last learning rate as a fraction of the peak [default: 0.1]
    #[arg(long, value_name = "NUMBER")]
    pub min_lr_factor: Option<f64>,
    /// Optimiser steps at the end for which the last learning rate is held [default: 0]
    #[arg(long, value_name = "N")]
    pub hold_steps: Option<usize>,
    /// Decay of AdamW's second moment [default: 0.99]
    #[arg(long, value_name = "NUMBER")]
    pub beta2: Option<f64>,
    /// Weight decay of matrices [default: 0.1]
    #[arg(long, value_name = "NUMBER")]
    pub weight_decay: Option<f64>,
    /// Largest norm of the gradient; larger ones are scaled down to it [default: 1]
    #[arg(long, value_name = "NUMBER")]
    pub max_grad_norm: Option<f64>,
    /// Seed of the initial weights and of the order of the text [default: 0]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How the weights are written: f16 or f32 [default: f32]
    #[arg(long)]
    pub dtype: Option<WeightType>,
    /// The text of the final loss: held_out, or validation while settings are chosen [default: held_out]
    #[arg(long, value_name = "TEXT")]
    pub evaluate_on: Option<EvaluationSplit>,
    /// Tokens of that text for the final loss [default: 65,536]
    #[arg(long, value_name = "N")]
    pub eval_tokens: Option<usize>,
    /// Validation tokens for the curve during training [default: 16,384]
    #[arg(long, value_name = "N")]
    pub validation_tokens: Option<usize>,
    /// Optimiser steps between two measurements on the validation text [default: 5 % of the run's]
    #[arg(long, value_name = "N")]
    pub eval_every_steps: Option<usize>,
    /// Start anew, also where the same run is in the data folder, finished or not
    #[arg(long)]
    pub fresh: bool,
}

impl Pretrain {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        workspace::on(global, async |workspace| self.pretrain(workspace).await)
    }

    async fn pretrain(self, workspace: Arc<Workspace>) -> Result<ExitCode> {
        let corpus = workspace::corpus(&workspace, &self.corpus, &self.reading.reading()).await?;
        let (config, defaults) = self.config(&corpus)?;
        config.validate()?;
        room::check_pretraining(&workspace, &config, None, Moment::Asked)?;
        defaults.iter().for_each(|default| note!("default: {default}"));
        let (command, split) = (config.command(), config.evaluation.split);
        let ids = runs::jobs(&workspace, vec![(config, command)], self.fresh).await?;
        let [id] = ids[..] else {
            bail!("expected one job, found {}", ids.len())
        };
        let stop = Arc::new(AtomicBool::new(false));
        tokio::spawn(runs::stop_on_signal(stop.clone()));
        match runs::run_or_follow(&workspace, id, &workspace.owner("saescope pretrain"), &stop).await? {
            Ended::Done(_) => {}
            Ended::Failed(message) => bail!("job {id}: {message}"),
            Ended::Cancelled => bail!("job {id} was cancelled; the same command goes on from its checkpoint"),
            Ended::Lost => bail!("job {id} was taken over by another process"),
            Ended::Released => {
                runs::cancel_queued(&workspace, &ids).await?;
                note!("stopped; the same command goes on from the checkpoint");
                return Ok(ExitCode::from(130));
            }
        }
        print(&workspace, id, split).await?;
        Ok(ExitCode::SUCCESS)
    }

    /// The config, and the values that were not given.
    fn config(&self, corpus: &CorpusInfo) -> Result<(PretrainConfig, Vec<String>)> {
        let mut defaults = Defaults::default();
        let shape = ModelShape {
            n_layers: defaults.or(self.n_layers, "n_layers", 4),
            d_model: defaults.or(self.d_model, "d_model", 128),
            n_heads: defaults.or(self.n_heads, "n_heads", 4),
            n_ctx: defaults.or(self.n_ctx, "n_ctx", 256),
        };
        let tokenizer = match &self.tokenizer {
            Some(file) => given(file)?,
            None => TokenizerSource::Trained {
                vocab_size: defaults.or(self.vocab_size, "vocab_size", 1024),
            },
        };
        let batch = defaults.or(self.batch, "batch", (4096 / shape.n_ctx.max(1)).max(1));
        let tokens = defaults.or(self.tokens, "tokens", 20_000_000);
        let n_steps = tokens.div_ceil((batch as u64).saturating_mul(shape.n_ctx as u64).max(1)) as usize;
        let name = match &self.name {
            Some(name) => ModelId::from_name(name),
            None => defaults.or(None, "name", ModelId::from_name(&format!("gpt2-{}", corpus.id))),
        };
        let config = PretrainConfig {
            name,
            corpus: corpus.id.clone(),
            tokenizer,
            shape,
            batch,
            tokens,
            lr: defaults.or(self.lr, "lr", 2e-3),
            schedule: Schedule {
                warmup_steps: defaults.or(self.warmup_steps, "warmup_steps", n_steps / 50),
                min_lr_factor: defaults.or(self.min_lr_factor, "min_lr_factor", 0.1),
                hold_steps: defaults.or(self.hold_steps, "hold_steps", 0),
            },
            adam: Adam {
                beta2: defaults.or(self.beta2, "beta2", 0.99),
                ..Adam::default()
            },
            weight_decay: defaults.or(self.weight_decay, "weight_decay", 0.1),
            max_grad_norm: defaults.or(self.max_grad_norm, "max_grad_norm", 1.0),
            seed: defaults.or(self.seed, "seed", 0),
            dtype: defaults.or(self.dtype, "dtype", WeightType::F32),
            log_every_steps: (n_steps / 200).max(1),
            checkpoint_every_steps: (n_steps / 20).max(1),
            evaluation: Evaluation {
                split: defaults.or(self.evaluate_on, "evaluate_on", EvaluationSplit::HeldOut),
                n_tokens: defaults.or(self.eval_tokens, "eval_tokens", 65_536),
                validation_tokens: defaults.or(self.validation_tokens, "validation_tokens", 16_384),
                every_steps: defaults.or(self.eval_every_steps, "eval_every_steps", (n_steps / 20).max(1)),
            },
        };
        Ok((config, defaults.0))
    }
}

/// What was left out, as `field = value`.
#[derive(Default)]
struct Defaults(Vec<String>);

impl Defaults {
    fn or<T: std::fmt::Display>(&mut self, given: Option<T>, field: &str, default: T) -> T {
        given.unwrap_or_else(|| {
            self.0.push(format!("{field} = {default}"));
            default
        })
    }
}

fn given(file: &Path) -> Result<TokenizerSource> {
    let refused = |message: String| ConfigError::new("tokenizer", message);
    if file.file_name().is_none_or(|name| name != "tokenizer.json") {
        return Err(refused(format!("found '{}'; expected a file named tokenizer.json", file.display())).into());
    }
    let sha256 = engine::corpus::file_hash(file).map_err(|error| refused(error.to_string()))?;
    let path = std::path::absolute(file)?;
    Ok(TokenizerSource::Given {
        path: path.to_str().context("the tokenizer's path is not UTF-8")?.to_owned(),
        sha256,
    })
}

/// The model that the job made, and what it came to.
async fn print(workspace: &Workspace, id: api::JobId, split: EvaluationSplit) -> Result<()> {
    let source = format!("made by job {id}");
    let models = workspace.store.models().await?;
    let model = models.into_iter().find(|model| model.source == source);
    let history = workspace.store.history(id, 0).await?;
    let last = |name: &str| history.iter().rev().find_map(|point| point.values.get(name).copied());
    if let Some(model) = model {
        say!("model      {} ({} parameters)", model.id, model.n_params)?;
        say!("folder     {}", model.folder)?;
    }
    if let Some(loss) = last("final/loss") {
        say!("loss       {loss:.4} nats per token on {}", split.text())?;
    }
    if let Some(rate) = last("tokens_per_second") {
        say!("throughput {rate:.0} tokens per second")?;
    }
    Ok(())
}
