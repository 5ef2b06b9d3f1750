//! AuxK: dead features learn from what the others leave over (Gao et al. 2024, arXiv 2406.04093; dictionary_learning's TopK
//! trainers):
//!
//! e = sg(x − x̂), ê = D z_dead, term = α Σ‖e − ê‖² / Σ‖e − mean(e)‖²
//!
//! z_dead are the k_aux = min(d_in / 2, number of dead features) largest activations of dead features, of each token. A feature
//! is dead when it has not fired for some number of tokens before the step.

use super::{
    codes::Entries,
    forward::{Forward, Seen, error_gradient},
    parameters::Tensor,
    tile::{self, Path, Scratch},
};
use crate::kernel::{Real, par_sum};

/// Whole numbers above this are not exact in f32.
const MOST: f64 = (1u64 << 24) as f64;
/// Tokens per task.
const TOKENS: usize = 512;

/// The term's settings, and which features are dead.
#[derive(Clone, Copy, Debug)]
pub struct AuxK<'a, R> {
    /// α.
    pub coefficient: f64,
    /// Tokens without firing after which a feature is dead.
    pub dead_tokens: u64,
    /// Tokens since each feature fired [d_sae].
    pub since_fired: &'a [R],
}

impl<R: Real> AuxK<'_, R> {
    /// Whether feature `j` is dead.
    pub fn is_dead(&self, j: usize) -> bool {
        self.since_fired[j].f64() >= self.dead_tokens as f64
    }

    /// Features per token, where x̂ is `d_out` wide.
    pub fn k(&self, d_out: usize) -> usize {
        let n_dead = (0..self.since_fired.len()).filter(|j| self.is_dead(*j)).count();
        n_dead.min(d_out / 2)
    }

    /// The term of a batch `x` [n_tokens, d_out] (of a transcoder, what x̂ is to be) whose x̂ and dead features' activations are in `forward`; leaves the derivative by ê in `side_out`.
    /// `decoder` [d_sae, d_out].
    pub fn term(&self, x: &[R], decoder: &[R], per_number: f64, forward: &mut Forward<R>, path: Path, scratch: &Scratch<R>) {
        let Forward {
            x_hat,
            side,
            side_out,
            target,
            ..
        } = forward;
        forward.auxiliary = 0.0;
        if side.nnz() == 0 {
            return;
        }
        target.clear();
        target.extend(x.iter().zip(&*x_hat).map(|(x, x_hat)| *x - *x_hat));
        let d = decoder.len() / side.d_sae;
        let n_tokens = (x.len() / d) as f64;
        let variance = variation(target, d);
        if variance == 0.0 {
            side.segments.iter_mut().for_each(|segment| segment.retain(|_| false));
            return;
        }
        side_out.resize(x.len(), R::ZERO);
        tile::combine(side, Entries::Values, decoder, None, side_out, path, scratch);
        // the term is a ratio: as many times as there are tokens it is summed as an error is
        let weight = self.coefficient * n_tokens / variance;
        forward.auxiliary = weight * error_gradient(target, side_out, R::of(2.0 * per_number * weight));
    }
}

/// Σ ‖e − mean(e)‖² over the rows of `e` [n_tokens, d].
fn variation<R: Real>(e: &[R], d: usize) -> f64 {
    let n = e.len() / d;
    let column = |i: usize, of: &(dyn Fn(f64) -> f64 + Sync)| {
        par_sum(n.div_ceil(TOKENS), &|task| {
            let tokens = task * TOKENS..((task + 1) * TOKENS).min(n);
            tokens.map(|t| of(e[t * d + i].f64())).sum()
        })
    };
    let of_column = |i: usize| {
        let mean = column(i, &|e| e) / n as f64;
        column(i, &|e| (e - mean) * (e - mean))
    };
    (0..d).map(of_column).sum()
}

/// Counts a step's tokens: 0 for what fired in it.
pub fn count<R: Real>(since_fired: &mut Tensor<R>, seen: &Seen) {
    for (count, fired) in since_fired.data.iter_mut().zip(&seen.fired) {
        let more = (count.f64() + seen.n_tokens as f64).min(MOST);
        *count = if *fired { R::ZERO } else { R::of(more) };
    }
}
