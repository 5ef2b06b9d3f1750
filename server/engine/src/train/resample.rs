//! Resampling (Bricken et al. 2023, "Towards Monosemanticity"; dictionary_learning's Standard and Gated trainers): dead features
//! begin anew, each at an input that the dictionary reconstructs badly.
//!
//! At every step whose number is a multiple of `every`, what has been silent for more than every / 2 steps is dead. Each dead
//! feature is given an input of the step, drawn without repetition with probability proportional to its squared error. With x' what
//! the encoder sees of it and x̂' its direction: encoder row = 0.2 · (mean norm of the alive rows) · x̂', decoder row = x̂', biases 0, and
//! the optimiser's moments of all of these 0. The feature fires on its input then: 0.2 · (that norm) · ‖x'‖ is above 0.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::adam::Adam;
use crate::{
    dictionary::{Dictionary, SparseCodes, Tensor},
    kernel::{Real, scale, simd, sum_squares},
};

/// The new encoder rows' norm over the mean of the alive ones.
const NORM: f64 = 0.2;

/// Which features are dead, and what they may become.
#[derive(Clone, Debug)]
pub struct Resampler<R> {
    every: usize,
    warmup: usize,
    n_steps: usize,
    seed: u64,
    /// Steps for which each feature has been silent [d_sae].
    silent: Tensor<R>,
    fired: Vec<bool>,
    /// The present step's inputs [n_tokens, d_in] and their squared errors, where it is one of resampling.
    inputs: Vec<R>,
    errors: Vec<f64>,
}

impl<R: Real> Resampler<R> {
    /// For `d_sae` features in a run of `n_steps`, with a warm-up of the learning rate after each resampling.
    pub fn new((every, warmup): (usize, usize), d_sae: usize, n_steps: usize, seed: u64) -> Self {
        Self {
            every,
            warmup,
            n_steps,
            seed,
            silent: Tensor::zeros("silent", &[d_sae]),
            fired: vec![false; d_sae],
            inputs: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// What a checkpoint has of it.
    pub fn state(&self) -> &Tensor<R> {
        &self.silent
    }

    /// The same, to be read.
    pub fn state_mut(&mut self) -> &mut Tensor<R> {
        &mut self.silent
    }

    /// Whether features are resampled at the end of step `step`, from 0: where as many steps are left as lie between two.
    fn is_due(&self, step: usize) -> bool {
        step > 0 && step.is_multiple_of(self.every) && step + self.every <= self.n_steps
    }

    /// The factor on the learning rate at `step`.
    pub fn factor(&self, step: usize) -> f64 {
        let since = match step % self.every {
            0 => self.every,
            since => since,
        };
        match step.checked_sub(since) {
            Some(last) if self.is_due(last) && since < self.warmup => since as f64 / self.warmup as f64,
            _ => 1.0,
        }
    }

    /// Before the first batch of a step.
    pub fn begin(&mut self) {
        self.fired.fill(false);
        self.inputs.clear();
        self.errors.clear();
    }

    /// A batch of step `step`: what fired, and, where it is needed, `x` and `x_hat` [n_tokens, d_in].
    pub fn see(&mut self, step: usize, codes: &SparseCodes<R>, x: &[R], x_hat: &[R]) {
        for id in codes.segments.iter().flat_map(|segment| &segment.ids) {
            self.fired[*id as usize] = true;
        }
        if !self.is_due(step) {
            return;
        }
        self.inputs.extend_from_slice(x);
        let d = x.len() / codes.n_tokens();
        let error = |(x, x_hat): (&[R], &[R])| x.iter().zip(x_hat).map(|(a, b)| (a.f64() - b.f64()).powi(2)).sum::<f64>();
        self.errors.extend(x.chunks_exact(d).zip(x_hat.chunks_exact(d)).map(error));
    }

    /// After step `step`'s update.
    pub fn settle(&mut self, step: usize, dictionary: &mut Dictionary<R>, adam: &mut Adam<R>) {
        for (silent, fired) in self.silent.data.iter_mut().zip(&self.fired) {
            *silent = if *fired { R::ZERO } else { *silent + R::ONE };
        }
        if !self.is_due(step) {
            return;
        }
        let is_dead = |j: usize| self.silent.data[j].f64() > self.every as f64 / 2.0;
        let d_sae = dictionary.d_sae();
        let dead: Vec<usize> = (0..d_sae).filter(|j| is_dead(*j)).collect();
        let directions = self.draw(step, dead.len(), dictionary);
        let d_in = dictionary.d_in();
        let rows = dictionary.parameters().0[0].data.chunks_exact(d_in).enumerate();
        let norms: Vec<f64> = rows
            .filter(|(j, _)| !is_dead(*j))
            .map(|(_, row)| simd(|| sum_squares(row)).f64().sqrt())
            .collect();
        let mean = match norms.len() {
            0 => 1.0,
            n => norms.iter().sum::<f64>() / n as f64,
        };
        let revived: Vec<(usize, Vec<R>)> = dead.into_iter().zip(directions).collect();
        for moments in [&mut adam.first, &mut adam.second] {
            for tensor in &mut moments.0 {
                revived.iter().for_each(|(j, _)| feature_mut(tensor, *j, d_sae).fill(R::ZERO));
            }
        }
        dictionary.update(|parameters| {
            for tensor in &mut parameters.0 {
                let (is_encoder, is_decoder) = (tensor.name == "W_enc", tensor.name == "W_dec");
                for (j, direction) in &revived {
                    let own = feature_mut(tensor, *j, d_sae);
                    match is_encoder || is_decoder {
                        true => own.copy_from_slice(direction),
                        false => own.fill(R::ZERO),
                    }
                    if is_encoder {
                        scale(own, R::of(NORM * mean));
                    }
                }
            }
        });
        revived.iter().for_each(|(j, _)| self.silent.data[*j] = R::ZERO);
    }

    /// The directions of at most `n` of the step's inputs as the encoder sees them, drawn without repetition by their squared
    /// errors: those of the smallest −ln(u) / error, u uniform (Efraimidis and Spirakis 2006).
    fn draw(&self, step: usize, n: usize, dictionary: &Dictionary<R>) -> Vec<Vec<R>> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(step as u64);
        let keyed = self.errors.iter().map(|error| -(1.0 - rng.random::<f64>()).ln() / error);
        let mut order: Vec<(f64, usize)> = keyed.zip(0..).filter(|(key, _)| key.is_finite()).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        let d = dictionary.d_in();
        let direction = |(_, t): (f64, usize)| {
            let mut input = self.inputs[t * d..(t + 1) * d].to_vec();
            if let Some(bias) = dictionary.centre() {
                input.iter_mut().zip(bias).for_each(|(x, b)| *x -= *b);
            }
            let norm = sum_squares(&input).sqrt();
            scale(&mut input, R::ONE / norm);
            input.iter().all(|x| x.is_finite()).then_some(input)
        };
        order.into_iter().filter_map(direction).take(n).collect()
    }
}

/// What of a tensor is feature `j`'s: its row, or its number; nothing of what is not by feature.
fn feature_mut<R>(tensor: &mut Tensor<R>, j: usize, d_sae: usize) -> &mut [R] {
    if tensor.name == "b_dec" {
        return &mut [];
    }
    let width = tensor.data.len() / d_sae;
    &mut tensor.data[j * width..(j + 1) * width]
}
