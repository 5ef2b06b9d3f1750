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
        let step = Step::new(self.constants, self.steps, lr, scale);
        for (((p, g), m), v) in parameters
            .0
            .iter_mut()
            .zip(&grads.0)
            .zip(&mut self.first.0)
            .zip(&mut self.second.0)
        {
            step.make(1.0, &mut p.data, &g.data, &mut m.data, &mut v.data);
        }
    }
}

/// One step's factors.
#[derive(Clone, Copy, Debug)]
pub struct Step<R> {
    scale: R,
    decay1: R,
    keep1: R,
    decay2: R,
    keep2: R,
    step: R,
    root: R,
    eps: R,
}

impl<R: Real> Step<R> {
    /// The step number `steps`, from 1, at learning rate `lr`, with the gradient taken `scale` times.
    pub fn new(constants: api::Adam, steps: usize, lr: f64, scale: f64) -> Self {
        let api::Adam { beta1, beta2, eps } = constants;
        let correction1 = 1.0 - beta1.powi(steps as i32);
        let correction2 = (1.0 - beta2.powi(steps as i32)).sqrt();
        Self {
            scale: R::of(scale),
            decay1: R::of(beta1),
            keep1: R::of(1.0 - beta1),
            decay2: R::of(beta2),
            keep2: R::of(1.0 - beta2),
            step: R::of(lr / correction1),
            root: R::of(1.0 / correction2),
            eps: R::of(eps),
        }
    }

    /// Makes it on some parameters, which are first taken `shrink` times (decoupled weight decay: 1 − lr · decay), with their
    /// gradients and moments.
    pub fn make(&self, shrink: f64, parameters: &mut [R], grads: &[R], first: &mut [R], second: &mut [R]) {
        let shrink = R::of(shrink);
        let step = *self;
        parameters
            .par_chunks_mut(CHUNK)
            .zip(grads.par_chunks(CHUNK))
            .zip(first.par_chunks_mut(CHUNK))
            .zip(second.par_chunks_mut(CHUNK))
            .for_each(|(((p, g), m), v)| {
                simd(|| {
                    for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
                        let g = step.scale * *g;
                        *m = step.decay1 * *m + step.keep1 * g;
                        *v = step.decay2 * *v + step.keep2 * g * g;
                        *p = shrink * *p - step.step * *m / (v.sqrt() * step.root + step.eps);
                    }
                });
            });
    }
}

/// The norm of all gradients together.
pub fn norm<R: Real>(grads: &Parameters<R>) -> f64 {
    grads.0.iter().map(|tensor| squares(&tensor.data)).sum::<f64>().sqrt()
}

/// Σ g² over a part of the gradients.
pub fn squares<R: Real>(grads: &[R]) -> f64 {
    let chunk = |i: usize| &grads[i * CHUNK..((i + 1) * CHUNK).min(grads.len())];
    par_sum(grads.len().div_ceil(CHUNK), &|i| simd(|| sum_squares(chunk(i))).f64())
}

/// The factor that brings a gradient of norm `norm` down to `max` (torch's `clip_grad_norm_`), 1 for smaller ones.
pub fn clip(norm: f64, max: f64) -> f64 {
    (max / (norm + 1e-6)).min(1.0)
}
