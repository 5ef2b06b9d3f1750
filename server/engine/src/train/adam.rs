//! Adam (Kingma and Ba 2015, with the corrected moments as torch computes them), and clipping by the norm of all gradients.

use rayon::prelude::*;

use crate::{
    dictionary::Parameters,
    kernel::{Real, par_sum, simd, sum_squares},
};

/// Numbers per task: fixed, so that sums do not depend on the thread count.
const CHUNK: usize = 1 << 14;

/// The optimiser's state for one dictionary.
#[derive(Clone, Debug)]
pub struct Adam<R> {
    constants: api::Adam,
    /// First moments.
    pub first: Parameters<R>,
    /// Second moments.
    pub second: Parameters<R>,
    /// Steps made.
    pub steps: usize,
}

impl<R: Real> Adam<R> {
    /// Before the first step.
    pub fn new(constants: api::Adam, parameters: &Parameters<R>) -> Self {
        Self {
            constants,
            first: parameters.zeros_like(),
            second: parameters.zeros_like(),
            steps: 0,
        }
    }

    /// One step: every parameter moves by −lr · m̂ / (√v̂ + ε), with the gradient taken `scale` times.
    pub fn step(&mut self, lr: f64, scale: f64, grads: &Parameters<R>, parameters: &mut Parameters<R>) {
        self.steps += 1;
        let api::Adam { beta1, beta2, eps } = self.constants;
        let correction1 = 1.0 - beta1.powi(self.steps as i32);
        let correction2 = (1.0 - beta2.powi(self.steps as i32)).sqrt();
        let [scale, decay1, keep1, decay2, keep2] = [scale, beta1, 1.0 - beta1, beta2, 1.0 - beta2].map(R::of);
        let [step, root, eps] = [lr / correction1, 1.0 / correction2, eps].map(R::of);
        for (((p, g), m), v) in parameters
            .0
            .iter_mut()
            .zip(&grads.0)
            .zip(&mut self.first.0)
            .zip(&mut self.second.0)
        {
            p.data
                .par_chunks_mut(CHUNK)
                .zip(g.data.par_chunks(CHUNK))
                .zip(m.data.par_chunks_mut(CHUNK))
                .zip(v.data.par_chunks_mut(CHUNK))
                .for_each(|(((p, g), m), v)| {
                    simd(|| {
                        for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
                            let g = scale * *g;
                            *m = decay1 * *m + keep1 * g;
                            *v = decay2 * *v + keep2 * g * g;
                            *p -= step * *m / (v.sqrt() * root + eps);
                        }
                    });
                });
        }
    }
}

/// The norm of all gradients together.
pub fn norm<R: Real>(grads: &Parameters<R>) -> f64 {
    let mut total = 0.0;
    for tensor in &grads.0 {
        let chunk = |i: usize| &tensor.data[i * CHUNK..((i + 1) * CHUNK).min(tensor.data.len())];
        total += par_sum(tensor.data.len().div_ceil(CHUNK), &|i| simd(|| sum_squares(chunk(i))).f64());
    }
    total.sqrt()
}

/// The factor that brings a gradient of norm `norm` down to `max` (torch's `clip_grad_norm_`), 1 for smaller ones.
pub fn clip(norm: f64, max: f64) -> f64 {
    (max / (norm + 1e-6)).min(1.0)
}
