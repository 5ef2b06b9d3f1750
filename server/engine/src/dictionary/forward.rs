//! What a forward pass in training leaves: for the loss, for the backward pass, and for the end of the step.

use rayon::prelude::*;

use super::codes::SparseCodes;
use crate::kernel::{Real, par_sum, simd};

/// Numbers per task.
const CHUNK: usize = 1 << 14;

/// One batch in training. Its memory is kept from batch to batch.
#[derive(Clone, Debug, Default)]
pub struct Forward<R> {
    /// The codes.
    pub codes: SparseCodes<R>,
    /// x̂ [n_tokens, d_in].
    pub x_hat: Vec<R>,
    /// Σ over tokens of the kind's sparsity penalty.
    pub penalty: f64,
    /// The kind's own further term, summed as the squared error is: it enters the loss `per_number` times.
    pub auxiliary: f64,
    /// What the step has seen so far, over its batches.
    pub seen: Seen,
    /// x − b_dec [n_tokens, d_in], for the kinds whose encoder sees that.
    pub(super) centred: Vec<R>,
    /// A second set of codes, of which the kind's own terms are made: open gates, dead features, features near their threshold.
    pub(super) side: SparseCodes<R>,
    /// What the second set decodes to [n_tokens, d_in], then the loss' derivative by that.
    pub(super) side_out: Vec<R>,
    /// What the second set is to decode to [n_tokens, d_in].
    pub(super) target: Vec<R>,
    /// The codes of each group of features, and what they and those before them decode to [n_tokens, d_in], then the loss'
    /// derivative by that; for the kind that has groups.
    pub(super) groups: Vec<(SparseCodes<R>, Vec<R>)>,
    /// What each token's matching pursuit has chosen, round by round, and how strongly.
    pub(super) walks: Vec<Vec<(u32, R)>>,
    /// For a choice among activations.
    pub(super) lists: Lists<R>,
}

/// Memory for a choice among activations.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists<R> {
    /// Values and places of all entries.
    pub(super) ranked: Vec<(R, u32)>,
    /// Above what each feature is looked at [d_sae].
    pub(super) floors: Vec<R>,
}

/// What an optimiser step has seen of its tokens, over all its batches.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Tokens.
    pub(super) n_tokens: usize,
    /// Per feature, whether it fired.
    pub(super) fired: Vec<bool>,
    /// Σ over batches of the smallest activation that fired, and the number of batches with one.
    pub(super) smallest: (f64, usize),
    /// Σ over tokens of the penalties Σ c^p of the present p and of the next, for the kind whose p falls.
    pub(super) powers: (f64, f64),
}

impl Seen {
    /// Before the first batch of a step.
    pub fn begin(&mut self) {
        self.n_tokens = 0;
        self.fired.clear();
        self.smallest = (0.0, 0);
        self.powers = (0.0, 0.0);
    }

    /// Adds a batch's codes.
    pub(super) fn add<R: Real>(&mut self, codes: &SparseCodes<R>) {
        self.n_tokens += codes.n_tokens();
        self.fired.resize(codes.d_sae, false);
        let mut smallest = f64::INFINITY;
        for segment in &codes.segments {
            segment.ids.iter().for_each(|id| self.fired[*id as usize] = true);
            smallest = segment.values.iter().fold(smallest, |least, v| least.min(v.f64()));
        }
        if smallest.is_finite() {
            self.smallest = (self.smallest.0 + smallest, self.smallest.1 + 1);
        }
    }
}

/// Turns `out` into `scale` · (out − target), and gives Σ (out − target)².
pub fn error_gradient<R: Real>(target: &[R], out: &mut [R], scale: R) -> f64 {
    let sum = par_sum(out.len().div_ceil(CHUNK), &|i| {
        let range = i * CHUNK..((i + 1) * CHUNK).min(out.len());
        simd(|| {
            let mut lanes = [R::ZERO; 16];
            for (a, b) in target[range.clone()].chunks(16).zip(out[range.clone()].chunks(16)) {
                for ((a, b), lane) in a.iter().zip(b).zip(&mut lanes) {
                    *lane += (*a - *b) * (*a - *b);
                }
            }
            lanes.iter().map(|l| l.f64()).sum()
        })
    });
    out.par_chunks_mut(CHUNK)
        .zip(target.par_chunks(CHUNK))
        .for_each(|(out, target)| {
            simd(|| out.iter_mut().zip(target).for_each(|(o, t)| *o = scale * (*o - *t)));
        });
    sum
}
