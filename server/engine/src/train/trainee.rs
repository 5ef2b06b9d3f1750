//! A dictionary in training: its part of a step, without the language model's.

use api::{Course, Objective, Origin, PostHoc};
use std::time::Instant;

use super::{
    adam::{Adam, clip, norm},
    resample::Resampler,
    target::{Search, Shown},
};
use crate::{
    dictionary::{Back, Dictionary, Forward, Parameters, Path, Scratch, Tensor},
    kernel::Real,
    objective::{Terms, balanced, reconstruction},
};

/// How many times the features that are asked for fire where matched weights begin, and what stands for their number where λ is
/// given: L0 is come to from above.
const ABOVE: f64 = 4.0;
const UNKNOWN_L0: f64 = 32.0;

/// A dictionary in training.
#[derive(Debug)]
pub struct Trainee<R> {
    /// Its objective, with the λ of the step that comes or is being made.
    pub objective: Objective,
    /// Its peak learning rate.
    pub lr: f64,
    /// The dictionary.
    pub dictionary: Dictionary<R>,
    /// Its optimiser.
    pub adam: Adam<R>,
    /// The terms of the last step's loss, means over its batches.
    pub terms: Terms,
    /// Mean number of features that fired in the last step.
    pub l0: f64,
    /// The last gradient's norm, before clipping.
    pub grad_norm: f64,
    /// Seconds of one thread spent on it so far, its share of what the run's dictionaries have in common included.
    pub seconds: f64,
    /// What it begins from: fresh weights take more from the first batch, and some origins train a part alone.
    origin: Origin,
    grads: Parameters<R>,
    forward: Forward<R>,
    grad_out: Vec<R>,
    /// Optimiser steps made, and those of the whole run.
    steps: usize,
    n_steps: usize,
    course: Course,
    /// λ as it is asked for: without its warm-up, where none is searched for.
    coefficient: f64,
    search: Search,
    resampler: Option<Resampler<R>>,
    /// The derivative of mse by x̂ while that of KL is on its way: kl+mse alone.
    grad_mse: Vec<R>,
    /// mse of the batch: kl+mse alone.
    batch_mse: f64,
}

impl<R: Real> Trainee<R> {
    /// Before the first step.
    pub fn new(objective: Objective, lr: f64, dictionary: Dictionary<R>, constants: api::Adam) -> Self {
        let parameters = dictionary.parameters();
        Self {
            objective,
            lr,
            origin: Origin::Fresh,
            adam: Adam::new(constants, parameters),
            grads: parameters.zeros_like(),
            terms: Terms::default(),
            l0: 0.0,
            grad_norm: 0.0,
            seconds: 0.0,
            forward: Forward::default(),
            grad_out: Vec::new(),
            steps: 0,
            n_steps: 0,
            course: Course::default(),
            coefficient: objective.sparsity(),
            search: Search::default(),
            resampler: None,
            grad_mse: Vec::new(),
            batch_mse: 0.0,
            dictionary,
        }
    }

    /// With a course over a run of `n_steps`; `seed` chooses the inputs at which features are resampled.
    #[must_use]
    pub fn with_course(mut self, course: &Course, seed: u64, n_steps: usize) -> Self {
        (self.course, self.n_steps) = (*course, n_steps);
        let (every, warmup) = (course.resample_steps, course.resample_warmup_steps);
        let d_sae = self.dictionary.d_sae();
        self.resampler = (every > 0).then(|| Resampler::new((every, warmup), d_sae, n_steps, seed));
        self.aim();
        self
    }

    /// Goes on after `steps` steps, with its search where it was then.
    pub fn resume(&mut self, steps: usize, search: Search) {
        (self.steps, self.adam.steps, self.search) = (steps, steps, search);
        self.aim();
    }

    /// Where its search for λ is.
    pub fn search(&self) -> Search {
        self.search
    }

    /// The λ that it is trained with once a warm-up is over; the last of a search.
    pub fn coefficient(&self) -> f64 {
        match self.course.target_l0 {
            Some(_) => self.search.coefficient,
            None => self.coefficient,
        }
    }

    /// What else a checkpoint keeps: for how long features have been silent, where they are resampled.
    pub fn silent(&self) -> &[Tensor<R>] {
        self.resampler
            .as_ref()
            .map_or(&[], |resampler| std::slice::from_ref(resampler.state()))
    }

    /// The same, to be read.
    pub fn silent_mut(&mut self) -> &mut [Tensor<R>] {
        match &mut self.resampler {
            Some(resampler) => std::slice::from_mut(resampler.state_mut()),
            None => &mut [],
        }
    }

    /// Gives the objective the λ of the step that comes.
    fn aim(&mut self) {
        let warmup = self.course.sparsity_warmup_steps;
        let risen = if self.steps < warmup {
            self.steps as f64 / warmup as f64
        } else {
            1.0
        };
        self.objective = self.objective.with_sparsity(risen * self.coefficient());
    }

    /// Ends an optimiser step, wherever it was made: λ is that of the next one.
    pub fn advance(&mut self) {
        if let Some(target) = self.course.target_l0
            // in the warm-up it is another λ that L0 follows from
            && (self.steps >= self.course.sparsity_warmup_steps || self.search.coefficient == 0.0)
        {
            let shown = Shown {
                l0: self.l0,
                rest: self.terms.loss(&self.objective.with_sparsity(0.0)),
                penalty: self.terms.sparsity,
            };
            self.search.follow(target, self.steps, self.n_steps, shown);
        }
        self.steps += 1;
        self.aim();
    }

    /// The same, where the weights are not fresh.
    pub fn from_origin(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    /// The gradient of the last step, before clipping.
    pub fn grads(&self) -> &Parameters<R> {
        &self.grads
    }

    /// Whether its objective looks at what comes after its hook point.
    pub fn looks_past(&self) -> bool {
        !matches!(self.objective, Objective::Local { .. })
    }

    /// Before the first step: what the weights take from `x` [n_tokens, d_in], the run's first batch.
    pub fn prepare(&mut self, x: &[R]) {
        self.prepare_to(x, x);
    }

    /// As [`Trainee::prepare`], where x̂ is to be `target` [n_tokens, d_out]: x itself, but for transcoders.
    pub fn prepare_to(&mut self, x: &[R], target: &[R]) {
        match self.origin {
            Origin::Fresh => self.dictionary.prepare_to(x, target),
            Origin::Matched => {
                self.dictionary.prepare_to(x, target);
                let aimed_at = self.course.target_l0.unwrap_or(UNKNOWN_L0);
                let l0 = (ABOVE * aimed_at).min(self.dictionary.d_sae() as f64 / 2.0);
                self.dictionary.match_to(x, target, l0);
            }
            _ => self.dictionary.prepare_trained(x),
        }
    }

    /// Before the first batch of a step: nothing summed up yet.
    pub fn begin(&mut self) {
        self.grads.clear();
        self.terms = Terms {
            reconstruction_share: self.dictionary.reconstruction_share(),
            ..Terms::default()
        };
        self.l0 = 0.0;
        self.forward.seen.begin();
        self.resampler.iter_mut().for_each(Resampler::begin);
    }

    /// Codes and x̂ of a batch `x` [n_tokens, d_in], in the dictionary's own scale, and the terms that follow from them, taken
    /// `weight` times. For local objectives the loss' derivative by x̂ is complete then.
    pub fn forward(&mut self, x: &[R], weight: f64, scratch: &Scratch<R>) {
        self.forward_to(x, x, weight, scratch);
    }

    /// As [`Trainee::forward`], where x̂ is to be `target` [n_tokens, d_out]: x itself, but for transcoders.
    pub fn forward_to(&mut self, x: &[R], target: &[R], weight: f64, scratch: &Scratch<R>) {
        let start = Instant::now();
        let d = self.dictionary.d_out();
        let per_number = weight / target.len() as f64;
        let forward = &mut self.forward;
        self.grad_out.resize(target.len(), R::ZERO);
        self.dictionary
            .forward_to(x, target, per_number, forward, Path::default(), scratch);
        if let Some(resampler) = &mut self.resampler {
            resampler.see(self.steps, &forward.codes, x, &forward.x_hat);
        }
        self.terms.reconstruction += per_number * reconstruction::squared_error(target, &forward.x_hat, d);
        self.terms.sparsity += per_number * forward.penalty;
        self.terms.auxiliary += per_number * forward.auxiliary;
        self.l0 += per_number * (forward.codes.nnz() * d) as f64;
        let by_mse = R::of(2.0 * per_number);
        match self.objective {
            Objective::Local { .. } => {
                let scale = by_mse * R::of(self.terms.reconstruction_share);
                reconstruction::gradient(target, &forward.x_hat, scale, &mut self.grad_out, d);
            }
            Objective::KlMse { .. } => {
                self.grad_mse.resize(target.len(), R::ZERO);
                self.batch_mse = reconstruction::squared_error(target, &forward.x_hat, d) / target.len() as f64;
                reconstruction::gradient(target, &forward.x_hat, by_mse, &mut self.grad_mse, d);
            }
            Objective::E2e { .. } | Objective::E2eDs { .. } => {}
        }
        self.seconds += elapsed(start);
    }

    /// The coefficient that the batch's KL and its gradient are asked for with, in units of the mean over tokens.
    pub fn kl_wanted(&self) -> f64 {
        match self.objective {
            // α is known when KL is
            Objective::KlMse { .. } => 1.0,
            objective => objective.kl(),
        }
    }

    /// Takes the batch's KL, its mean over tokens, of which [`Trainee::grad_out`] now holds the derivative by x̂ in the
    /// dictionary's own scale, `weight` times.
    pub fn take_kl(&mut self, kl: f64, weight: f64) {
        self.terms.kl += weight * kl;
        if let Objective::KlMse { .. } = self.objective {
            self.terms.balanced += weight * balanced::value(self.batch_mse, kl);
            let alpha = R::of(0.5 * balanced::alpha(self.batch_mse, kl));
            let half = R::of(0.5);
            for (grad, by_mse) in self.grad_out.iter_mut().zip(&self.grad_mse) {
                *grad = alpha * *grad + half * *by_mse;
            }
        }
    }

    /// x̂ in the model's scale, to which `back` leads from the dictionary's own.
    pub fn output(&mut self, back: &Back<R>) {
        back.output(&mut self.forward.x_hat);
    }

    /// x̂ [n_tokens, d_out] of the last batch.
    pub fn x_hat(&self) -> &[R] {
        &self.forward.x_hat
    }

    /// Where the loss' derivative by x̂ goes, for objectives that look past the hook point.
    pub fn grad_out(&mut self) -> &mut [R] {
        &mut self.grad_out
    }

    /// Adds the batch's gradient of the parameters.
    pub fn backward(&mut self, x: &[R], weight: f64, scratch: &Scratch<R>) {
        let start = Instant::now();
        let sparsity = R::of(weight / self.grad_out.len() as f64 * self.objective.sparsity());
        let Self {
            dictionary,
            forward,
            grad_out,
            grads,
            ..
        } = self;
        dictionary.backward(x, forward, grad_out, sparsity, grads, None, Path::default(), scratch);
        self.seconds += elapsed(start);
    }

    /// After the last batch of a step: the gradient complete, and its norm.
    pub fn complete(&mut self) {
        let start = Instant::now();
        self.dictionary.finish(&mut self.grads);
        if let Origin::Derived {
            by: PostHoc::RescaleShift,
            ..
        } = self.origin
        {
            // all but the scales and shifts of a gated dictionary is held
            let held = self.grads.0.iter_mut().filter(|t| !matches!(t.name, "r_mag" | "b_mag"));
            held.for_each(|tensor| tensor.data.fill(R::ZERO));
        }
        self.grad_norm = norm(&self.grads);
        self.seconds += elapsed(start);
    }

    /// Moves the parameters along the gradient, clipped to `max_grad_norm`, at `factor` times the peak learning rate.
    pub fn update(&mut self, factor: f64, max_grad_norm: f64) {
        let start = Instant::now();
        let Self {
            dictionary,
            adam,
            forward,
            grads,
            lr,
            grad_norm,
            resampler,
            steps,
            ..
        } = self;
        let clip = clip(*grad_norm, max_grad_norm);
        let factor = resampler
            .as_ref()
            .map_or(factor, |resampler| factor * resampler.factor(*steps));
        dictionary.update(|parameters| adam.step(*lr * factor, clip, grads, parameters));
        dictionary.settle(&forward.seen);
        if let Some(resampler) = resampler {
            resampler.settle(*steps, dictionary, adam);
        }
        self.advance();
        self.seconds += elapsed(start);
    }
}

/// Seconds since `start` times the threads of the pool, all of which the dictionary's own passes use.
fn elapsed(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * rayon::current_num_threads() as f64
}
