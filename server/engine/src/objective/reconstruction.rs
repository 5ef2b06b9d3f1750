//! The reconstruction term: mse(x, x̂) = Σ (x − x̂)² / (n · d), the mean over tokens and dimensions (e2e_sae `out_to_in`).

use rayon::prelude::*;

use crate::{
    dictionary::SEGMENT,
    kernel::{Real, par_sum, simd},
};

/// Σ (x − x̂)² over a batch; `x` and `x_hat` [n_tokens, d].
pub fn squared_error<R: Real>(x: &[R], x_hat: &[R], d: usize) -> f64 {
    let rows = SEGMENT * d;
    par_sum(x.len().div_ceil(rows), &|i| {
        let range = i * rows..((i + 1) * rows).min(x.len());
        simd(|| {
            let mut sum = 0.0;
            for (x, x_hat) in x[range.clone()].chunks(d).zip(x_hat[range.clone()].chunks(d)) {
                let mut lanes = [R::ZERO; 16];
                for (x, x_hat) in x.chunks(16).zip(x_hat.chunks(16)) {
                    for ((a, b), lane) in x.iter().zip(x_hat).zip(&mut lanes) {
                        *lane += (*a - *b) * (*a - *b);
                    }
                }
                sum += lanes.iter().copied().sum::<R>().f64();
            }
            sum
        })
    })
}

/// grad = `scale` · (x̂ − x): with scale = 2 / (n · d), the derivative of the term by x̂. All [n_tokens, d].
pub fn gradient<R: Real>(x: &[R], x_hat: &[R], scale: R, grad: &mut [R], d: usize) {
    let rows = SEGMENT * d;
    grad.par_chunks_mut(rows)
        .zip(x.par_chunks(rows))
        .zip(x_hat.par_chunks(rows))
        .for_each(|((grad, x), x_hat)| {
            simd(|| {
                for ((g, a), b) in grad.iter_mut().zip(x).zip(x_hat) {
                    *g = scale * (*b - *a);
                }
            });
        });
}
