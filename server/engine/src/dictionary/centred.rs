//! x' = x − b_dec: for the kinds that take the decoder's bias from the input, and its gradient on that way.

use rayon::prelude::*;

use crate::kernel::{Real, axpy, simd};

/// Tokens per task.
const TOKENS: usize = 512;

/// out = x − bias; `x` [n_tokens, d], `bias` [d].
pub fn centre<R: Real>(x: &[R], bias: &[R], out: &mut Vec<R>) {
    let d = bias.len();
    out.resize(x.len(), R::ZERO);
    out.par_chunks_mut(TOKENS * d)
        .zip(x.par_chunks(TOKENS * d))
        .for_each(|(out, x)| {
            simd(|| {
                for (out, x) in out.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
                    for ((o, x), b) in out.iter_mut().zip(x).zip(bias) {
                        *o = *x - *b;
                    }
                }
            });
        });
}

/// The bias' gradient through the encoder: grad −= Σ_j sum_j rows_j, where sum_j is Σ over tokens of the loss' derivative by
/// ⟨rows_j, x'⟩. `rows` [n, d], `grad` [d].
pub fn through_input<R: Real>(rows: &[R], sums: impl Iterator<Item = R>, grad: &mut [R]) {
    simd(|| {
        for (row, sum) in rows.chunks_exact(grad.len()).zip(sums) {
            axpy(grad, -sum, row);
        }
    });
}
