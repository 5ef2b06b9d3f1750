//! The sizes beyond which a run is refused: far above what anyone has trained, far below where arithmetic would overflow.

use crate::{ConfigError, DictionaryConfig, PretrainConfig, TokenizerSource, TrainConfig};

/// Tokens per context.
const N_CTX: u64 = 1 << 20;
/// Tokens per batch.
const BATCH_TOKENS: u64 = 1 << 28;
/// Tokens per optimiser step.
const STEP_TOKENS: u64 = 1 << 32;
/// Tokens of a run.
const TOKENS: u64 = 1 << 50;
/// Vectors of a buffer.
const BUFFER_TOKENS: u64 = 1 << 36;
/// Features of a dictionary; the widest that were published have some 2^25.
const D_SAE: u64 = 1 << 28;
/// Dictionaries of a run.
const DICTIONARIES: u64 = 1 << 14;
/// Width of a new language model's residual stream.
const D_MODEL: u64 = 1 << 20;
/// Blocks of a new language model.
const N_LAYERS: u64 = 1 << 14;
/// Tokens of a new tokenizer.
const VOCAB_SIZE: u64 = 1 << 24;

impl TrainConfig {
    /// Refuses sizes beyond the limits, so that everything else may multiply them without a second thought.
    ///
    /// # Errors
    /// The first field that is too large.
    pub(crate) fn check_sizes(&self) -> Result<(), ConfigError> {
        at_most("n_ctx", self.packing.n_ctx as u64, N_CTX)?;
        let batch_tokens = product("batch", self.batch, self.packing.n_ctx as u64, BATCH_TOKENS, "a batch")?;
        product(
            "accumulation",
            self.accumulation,
            batch_tokens,
            STEP_TOKENS,
            "an optimiser step",
        )?;
        at_most("tokens", self.tokens, TOKENS)?;
        at_most("buffer_tokens", self.buffer.map_or(0, |b| b.tokens as u64), BUFFER_TOKENS)?;
        at_most("dictionaries", self.dictionaries.len() as u64, DICTIONARIES)?;
        let mut widths = self.dictionaries.iter().map(|dictionary| dictionary.d_sae as u64);
        widths.try_for_each(|d_sae| at_most("d_sae", d_sae, D_SAE))
    }

    /// Bytes of weights, gradients and Adam's two moments of all dictionaries, at a hook point of `width`, in f32: the least
    /// that a run needs.
    pub fn state_bytes(&self, width: usize) -> u128 {
        const NUMBERS: u128 = 4;
        const BYTES: u128 = 4;
        let n_parameters = |d: &DictionaryConfig| d.kind.n_parameters(width, d.d_sae);
        self.dictionaries.iter().map(n_parameters).sum::<u128>() * NUMBERS * BYTES
    }
}

impl PretrainConfig {
    /// Refuses sizes beyond the limits, as those of a [`TrainConfig`] are.
    ///
    /// # Errors
    /// The first field that is too large.
    pub(crate) fn check_sizes(&self) -> Result<(), ConfigError> {
        at_most("n_ctx", self.shape.n_ctx as u64, N_CTX)?;
        product("batch", self.batch, self.shape.n_ctx as u64, BATCH_TOKENS, "a batch")?;
        at_most("tokens", self.tokens, TOKENS)?;
        at_most("d_model", self.shape.d_model as u64, D_MODEL)?;
        at_most("n_layers", self.shape.n_layers as u64, N_LAYERS)?;
        match self.tokenizer {
            TokenizerSource::Trained { vocab_size } => at_most("vocab_size", vocab_size as u64, VOCAB_SIZE),
            TokenizerSource::Given { .. } => Ok(()),
        }
    }
}

fn at_most(field: &str, value: u64, max: u64) -> Result<(), ConfigError> {
    if value <= max {
        Ok(())
    } else {
        Err(ConfigError::new(field, format!("found {value}; expected {max} or less")))
    }
}

/// `value · tokens`, which is how many tokens `what` has.
fn product(field: &str, value: usize, tokens: u64, max: u64, what: &str) -> Result<u64, ConfigError> {
    (value as u64)
        .checked_mul(tokens)
        .filter(|product| *product <= max)
        .ok_or_else(|| {
            let message = format!("found {value}, of {tokens} tokens each; expected at most {max} tokens in {what}");
            ConfigError::new(field, message)
        })
}
