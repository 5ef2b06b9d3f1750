//! What a dictionary's explained variance is held against: that of as many principal components of the activations that it is measured
//! on.

use api::TrainConfig;

use super::{Backend, TrainError, findings::Reference, results::final_contexts};
use crate::{baseline::Moments, corpus::TokenFile, kernel::symmetric_eigen};

/// Tokens that they are computed from, at most.
const TOKENS: usize = 1 << 14;
/// The widest activations whose components are computed: their matrix takes the cube of the width.
const WIDEST: usize = 1024;

/// The explained variance of principal components at a run's hook point.
pub struct Components {
    /// Of the first, the first two, …
    explained: Vec<f64>,
}

impl Components {
    /// From the first tokens of the text of `config.evaluation`; none where all activations are the same, or too wide.
    ///
    /// # Errors
    /// The model's and the device's.
    pub fn new(backend: &dyn Backend, tokens: &TokenFile, config: &TrainConfig) -> Result<Option<Self>, TrainError> {
        let width = backend.model().width(config.at)?;
        if width > WIDEST {
            return Ok(None);
        }
        let (_, contexts) = final_contexts(tokens, config);
        let special = &tokens.manifest().special;
        let (mut moments, mut x, mut ordinary) = (Moments::new(width), Vec::new(), Vec::new());
        let n_contexts = TOKENS.div_ceil(config.packing.n_ctx);
        for batch in contexts[..contexts.len().min(n_contexts)].chunks(config.batch) {
            backend.activations(config.at, batch, &mut x)?;
            // those that explained variance is about
            ordinary.clear();
            let places = batch.iter().flat_map(|context| context.iter().enumerate());
            for ((position, token), row) in places.zip(x.chunks_exact(width)) {
                if position > 0 && !special.contains(token) {
                    ordinary.extend_from_slice(row);
                }
            }
            moments.add(&ordinary);
        }
        if moments.n() == 0 {
            return Ok(None);
        }
        let values = symmetric_eigen(moments.covariance(), width).values;
        let total: f64 = values.iter().sum();
        if total.is_nan() || total <= 0.0 {
            return Ok(None);
        }
        let sums = values.iter().scan(0.0, |sum, value| {
            *sum += value / total;
            Some(*sum)
        });
        Ok(Some(Self {
            explained: sums.collect(),
        }))
    }

    /// As many as a dictionary's `l0`.
    pub fn like(&self, l0: f64) -> Reference {
        let directions = (l0.ceil() as usize).clamp(1, self.explained.len());
        Reference {
            directions,
            explained_variance: self.explained[directions - 1],
        }
    }
}
