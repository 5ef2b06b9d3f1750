//! The resolved config of a pretraining run: a new language model from a corpus.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

use crate::{
    Adam, BosPolicy, ConfigError, CorpusId, EosPolicy, Evaluation, ModelId, Packing, Schedule,
    config::{at_least, below_one, not_negative, positive},
};

/// The sizes of a new GPT-2. Its MLPs are 4 · d_model wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ModelShape {
    /// Number of blocks.
    pub n_layers: usize,
    /// Width of the residual stream; a multiple of `n_heads`.
    pub d_model: usize,
    /// Attention heads per block.
    pub n_heads: usize,
    /// The longest context, in tokens.
    pub n_ctx: usize,
}

/// Where the tokenizer comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "from", rename_all = "snake_case", deny_unknown_fields)]
pub enum TokenizerSource {
    /// A byte-level BPE, trained on the run's training text.
    Trained {
        /// Its tokens, the 256 bytes and the one special token included.
        vocab_size: usize,
    },
    /// A `tokenizer.json`.
    Given {
        /// The file, on the server's disk.
        path: String,
        /// Its SHA-256, in hexadecimal: a run refuses a file that has changed.
        sha256: String,
    },
}

/// How a model's weights are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WeightType {
    /// Half precision: rounded to 11 bits.
    F16,
    /// As they were trained.
    #[default]
    F32,
}

impl fmt::Display for WeightType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WeightType::F16 => "f16",
            WeightType::F32 => "f32",
        })
    }
}

impl FromStr for WeightType {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "f16" => Ok(WeightType::F16),
            "f32" => Ok(WeightType::F32),
            other => Err(ConfigError::new(
                "dtype",
                format!("unknown value '{other}'; expected f16 or f32"),
            )),
        }
    }
}

/// A pretraining run: a GPT-2 from random weights, trained to predict the next token of one corpus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PretrainConfig {
    /// What the new model will be called; a name that is taken gets a number.
    pub name: ModelId,
    /// The text.
    pub corpus: CorpusId,
    /// The tokenizer.
    pub tokenizer: TokenizerSource,
    /// The model's sizes.
    pub shape: ModelShape,
    /// Contexts per optimiser step. Each holds `n_ctx` predictions, from `n_ctx + 1` tokens.
    pub batch: usize,
    /// Predictions to train on; documents repeat, reshuffled, when they run out.
    pub tokens: u64,
    /// Peak learning rate.
    pub lr: f64,
    /// The learning rate's course.
    pub schedule: Schedule,
    /// The optimiser's constants.
    pub adam: Adam,
    /// Decoupled weight decay of matrices, times the learning rate; gains and biases have none.
    pub weight_decay: f64,
    /// Largest norm of the gradient; larger ones are scaled down to it.
    pub max_grad_norm: f64,
    /// Seed of the initial weights and of the order of the text.
    pub seed: u64,
    /// How the weights are written.
    pub dtype: WeightType,
    /// Optimiser steps between two log points.
    pub log_every_steps: usize,
    /// Optimiser steps between two checkpoints.
    pub checkpoint_every_steps: usize,
    /// How much text the loss is measured on, and how often.
    pub evaluation: Evaluation,
}

impl PretrainConfig {
    /// How the text is packed: a context's predictions need one token more than it has positions. BOS opens every document.
    pub fn packing(&self) -> Packing {
        Packing {
            n_ctx: self.shape.n_ctx + 1,
            bos: BosPolicy::Document,
            eos: EosPolicy::None,
        }
    }

    /// Predictions in one optimiser step.
    pub fn step_tokens(&self) -> usize {
        self.batch * self.shape.n_ctx
    }

    /// Optimiser steps of the whole run: `tokens` over the tokens of a step, rounded up.
    pub fn n_steps(&self) -> usize {
        self.tokens.div_ceil(self.step_tokens() as u64) as usize
    }

    /// The command line that makes the same model.
    pub fn command(&self) -> String {
        let Self {
            shape,
            schedule,
            adam,
            evaluation,
            ..
        } = self;
        let tokenizer = match &self.tokenizer {
            TokenizerSource::Trained { vocab_size } => format!("--vocab-size {vocab_size}"),
            TokenizerSource::Given { path, .. } => format!("--tokenizer '{path}'"),
        };
        format!(
            "saescope pretrain --corpus {} --name {} {tokenizer} --n-layers {} --d-model {} --n-heads {} --n-ctx {} --batch {} \
             --tokens {} --lr {} --warmup-steps {} --min-lr-factor {} --hold-steps {} --beta2 {} --weight-decay {} --max-grad-norm {} --seed {} \
             --dtype {} --evaluate-on {} --eval-tokens {} --validation-tokens {} --eval-every-steps {}",
            self.corpus,
            self.name,
            shape.n_layers,
            shape.d_model,
            shape.n_heads,
            shape.n_ctx,
            self.batch,
            self.tokens,
            self.lr,
            schedule.warmup_steps,
            schedule.min_lr_factor,
            schedule.hold_steps,
            adam.beta2,
            self.weight_decay,
            self.max_grad_norm,
            self.seed,
            self.dtype,
            evaluation.split,
            evaluation.n_tokens,
            evaluation.validation_tokens,
            evaluation.every_steps
        )
    }

    /// Checks what can be checked without the corpus and the tokenizer.
    ///
    /// # Errors
    /// The first field that cannot be used.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let ModelShape {
            n_layers,
            d_model,
            n_heads,
            n_ctx,
        } = self.shape;
        at_least("n_layers", n_layers, 1)?;
        at_least("d_model", d_model, 1)?;
        at_least("n_heads", n_heads, 1)?;
        at_least("n_ctx", n_ctx, 2)?;
        if !d_model.is_multiple_of(n_heads) {
            return Err(ConfigError::new(
                "n_heads",
                format!("found {n_heads}; expected a divisor of d_model {d_model}"),
            ));
        }
        if let TokenizerSource::Trained { vocab_size } = self.tokenizer {
            // the bytes and the special token
            at_least("vocab_size", vocab_size, 257)?;
        }
        at_least("batch", self.batch, 1)?;
        at_least("tokens", self.tokens as usize, 1)?;
        self.check_sizes()?;
        at_least("log_every_steps", self.log_every_steps, 1)?;
        at_least("checkpoint_every_steps", self.checkpoint_every_steps, 1)?;
        at_least("eval_tokens", self.evaluation.n_tokens, 1)?;
        at_least("validation_tokens", self.evaluation.validation_tokens, 1)?;
        at_least("eval_every_steps", self.evaluation.every_steps, 1)?;
        positive("lr", self.lr)?;
        self.schedule.validate(self.n_steps())?;
        below_one("beta1", self.adam.beta1)?;
        below_one("beta2", self.adam.beta2)?;
        positive("eps", self.adam.eps)?;
        not_negative("weight_decay", self.weight_decay)?;
        positive("max_grad_norm", self.max_grad_norm)?;
        Ok(())
    }
}
