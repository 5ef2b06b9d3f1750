//! How much memory a run takes, counted from its config before anything is asked of the system. What is counted is what the run holds
//! at its height: all that `train` and `pretrain` keep from batch to batch, what measuring adds to it, and a checkpoint that is being
//! written. Where it depends on the data (how many features fire), the most is taken that a run of its kind begins with.

use api::{HookPoint, ModelInfo, Site};

/// Bytes of a number.
pub(crate) const NUMBER: u128 = 4;

/// Bytes of a thread's scratch for matrix products and for tiles of features.
pub(crate) const THREAD: u128 = 16 << 20;

/// The sizes of a language model that memory depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Blocks.
    pub n_layers: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Width of what a block's heads write together.
    pub z_width: usize,
    /// Heads per block.
    pub n_heads: usize,
    /// Width of an MLP's hidden layer.
    pub d_mlp: usize,
    /// Tokens of the vocabulary.
    pub d_vocab: usize,
    /// Parameters.
    pub n_params: u64,
}

impl Sizes {
    /// Those of a registered model.
    pub fn of(model: &ModelInfo) -> Self {
        let z = HookPoint::block(0, Site::Z);
        Self {
            n_layers: model.n_layers,
            d_model: model.d_model,
            z_width: model.width(z).unwrap_or(model.d_model),
            n_heads: model.n_heads,
            d_mlp: model.d_mlp,
            d_vocab: model.d_vocab,
            n_params: model.n_params,
        }
    }

    /// Bytes of its weights.
    pub fn weights(&self) -> u128 {
        u128::from(self.n_params) * NUMBER
    }

    /// Bytes that one context of `n_tokens` takes on one thread on its way through the model, without a tape.
    pub(crate) fn work(&self, n_tokens: u128) -> u128 {
        let (d, z, mlp) = (self.d_model as u128, self.z_width as u128, self.d_mlp as u128);
        // value and residual, what a block reads and writes, a tile of scores with its gradients
        let per_token = 6 * d + 4 * z.max(mlp) + 3 * z + 3 * ATTENTION_ROWS;
        (n_tokens * per_token) * NUMBER + self.tape(n_tokens, 1)
    }

    /// Bytes of a tape over `n_blocks` blocks of one context.
    pub(crate) fn tape(&self, n_tokens: u128, n_blocks: u128) -> u128 {
        let (d, z, mlp) = (self.d_model as u128, self.z_width as u128, self.d_mlp as u128);
        // up to four norms; queries, keys and values; the hidden layer before and after its activation, and its gate
        let per_token = 4 * d + 3 * z + self.n_heads as u128 + 3 * mlp;
        n_blocks * n_tokens * per_token * NUMBER
    }

    /// Bytes of `n` chunks of logits.
    pub(crate) fn logits(&self, n: u128) -> u128 {
        // as `Model::logits_chunk` has it
        let rows = ((1 << 21) / self.d_vocab.max(1)).clamp(128, 512);
        n * rows as u128 * self.d_vocab as u128 * NUMBER
    }
}

/// Rows of a tile of attention's scores.
const ATTENTION_ROWS: u128 = 64;

/// What a run takes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The language model's weights.
    pub model: u128,
    /// Parameters, their gradients and moments, and a checkpoint of them while it is written.
    pub state: u128,
    /// Activations, their gradients, tapes and logits, of a batch and of each thread.
    pub activations: u128,
    /// Which features fire in a batch, and how strongly.
    pub codes: u128,
    /// The buffer of activations.
    pub buffer: u128,
    /// What measuring holds beside all this.
    pub evaluation: u128,
}

impl Needs {
    /// All of it.
    pub fn total(&self) -> u128 {
        self.parts().iter().map(|part| part.bytes).sum()
    }

    /// The parts with their names.
    pub fn parts(&self) -> [Part; 6] {
        let part = |what, bytes| Part { what, bytes };
        [
            part("the language model", self.model),
            part("weights, gradients, moments and a checkpoint", self.state),
            part("activations, tapes and logits", self.activations),
            part("codes", self.codes),
            part("the buffer", self.buffer),
            part("measuring", self.evaluation),
        ]
    }
}

/// A part of what a run takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub what: &'static str,
    /// Its bytes.
    pub bytes: u128,
}
