//! How much memory a pretraining run takes: see [`crate::memory`].

use api::PretrainConfig;

use super::pass::n_lanes;
use crate::memory::{NUMBER, Needs, Sizes, THREAD};

/// The sizes of the model that `config` makes, with a vocabulary of `d_vocab` tokens.
pub fn sizes(config: &PretrainConfig, d_vocab: usize) -> Sizes {
    let shape = config.shape;
    let (d, layers) = (shape.d_model as u64, shape.n_layers as u64);
    let of_block = d.saturating_mul(d).saturating_mul(12).saturating_add(d.saturating_mul(13));
    let embeddings = d.saturating_mul((d_vocab as u64).saturating_add(shape.n_ctx as u64));
    Sizes {
        n_layers: shape.n_layers,
        d_model: shape.d_model,
        z_width: shape.d_model,
        n_heads: shape.n_heads,
        d_mlp: shape.d_model.saturating_mul(4),
        d_vocab,
        n_params: layers
            .saturating_mul(of_block)
            .saturating_add(embeddings)
            .saturating_add(d.saturating_mul(2)),
    }
}

/// What the run `config` takes with a vocabulary of `d_vocab` tokens, on `n_threads` threads.
pub fn needs(config: &PretrainConfig, d_vocab: usize, n_threads: usize) -> Needs {
    let sizes = sizes(config, d_vocab);
    let weights = sizes.weights();
    let n_ctx = config.shape.n_ctx as u128 + 1;
    let lanes = n_lanes(config.batch, usize::try_from(sizes.n_params).unwrap_or(usize::MAX)) as u128;
    let threads = (n_threads as u128).min(lanes).max(1);
    let (d, blocks) = (sizes.d_model as u128, sizes.n_layers as u128);
    // for the weights' gradients a tape keeps what the output projections read, too
    let outputs = blocks * n_ctx * (sizes.z_width + sizes.d_mlp) as u128 * NUMBER;
    let per_thread = sizes.work(n_ctx) + sizes.tape(n_ctx, blocks) + outputs + n_ctx * d * NUMBER * 5 + sizes.logits(2) + THREAD;
    Needs {
        // as it was drawn, before all weights are one vector
        model: weights,
        // weights, gradients and two moments; a checkpoint holds all but the gradients
        state: weights * 4 + weights * 3,
        activations: threads * per_thread + lanes * weights + config.batch as u128 * 16,
        codes: 0,
        buffer: 0,
        evaluation: config.evaluation.n_tokens.max(config.evaluation.validation_tokens) as u128 * 8,
    }
}
