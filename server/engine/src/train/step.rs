//! One optimiser step of all the dictionaries of a run.

use api::{HookPoint, Objective, TrainConfig};
use std::time::Instant;

use super::{
    TrainError,
    adam::{Adam, clip, norm},
    pass::{Pass, Wanted},
};
use crate::{
    dictionary::{Dictionary, Parameters, Path, Scratch, SparseCodes},
    kernel::{Real, scale},
    model::Model,
    objective::{Terms, reconstruction},
};

/// A dictionary in training.
#[derive(Debug)]
pub struct Trainee<R> {
    /// Its objective.
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
    /// Seconds of one thread spent on it so far, without what the run's dictionaries have in common.
    pub seconds: f64,
    grads: Parameters<R>,
    codes: SparseCodes<R>,
    x_hat: Vec<R>,
    grad_out: Vec<R>,
}

impl<R: Real> Trainee<R> {
    /// Before the first step.
    pub fn new(objective: Objective, lr: f64, dictionary: Dictionary<R>, constants: api::Adam) -> Self {
        let parameters = dictionary.parameters();
        Self {
            objective,
            lr,
            adam: Adam::new(constants, parameters),
            grads: parameters.zeros_like(),
            terms: Terms::default(),
            l0: 0.0,
            grad_norm: 0.0,
            seconds: 0.0,
            codes: SparseCodes::default(),
            x_hat: Vec::new(),
            grad_out: Vec::new(),
            dictionary,
        }
    }

    /// The gradient of the last step, before clipping.
    pub fn grads(&self) -> &Parameters<R> {
        &self.grads
    }

    fn looks_past(&self) -> bool {
        !matches!(self.objective, Objective::Local { .. })
    }
}

/// All that a step needs.
pub struct Stepper<'m, R> {
    /// The dictionaries.
    pub trainees: Vec<Trainee<R>>,
    /// Seconds of one thread spent so far on what the dictionaries have in common.
    pub shared_seconds: f64,
    model: &'m Model<R>,
    at: HookPoint,
    scale: f64,
    max_grad_norm: f64,
    pass: Pass<R>,
    scratch: Scratch<R>,
    x: Vec<R>,
}

impl<'m, R: Real> Stepper<'m, R> {
    /// For the dictionaries `trainees`, which see `scale · x` at `config.at`.
    ///
    /// # Errors
    /// When the model has no such hook point.
    pub fn new(model: &'m Model<R>, config: &TrainConfig, scale: f64, trainees: Vec<Trainee<R>>) -> Result<Self, TrainError> {
        Ok(Self {
            trainees,
            shared_seconds: 0.0,
            model,
            at: config.at,
            scale,
            max_grad_norm: config.max_grad_norm,
            pass: Pass::new(model, config.at)?,
            scratch: Scratch::new(),
            x: Vec::new(),
        })
    }

    /// The dictionaries see this times x.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// The loss and its gradient over `batches` (each some contexts of equal length), averaged; no parameter moves.
    ///
    /// # Errors
    /// The model's, and a loss or gradient that is not finite, naming the dictionary.
    pub fn gradients(&mut self, batches: &[Vec<&[u32]>]) -> Result<(), TrainError> {
        for trainee in &mut self.trainees {
            trainee.grads.clear();
            trainee.terms = Terms::default();
            trainee.l0 = 0.0;
        }
        for contexts in batches {
            self.batch(contexts, 1.0 / batches.len() as f64)?;
        }
        for (index, trainee) in self.trainees.iter_mut().enumerate() {
            let start = Instant::now();
            trainee.dictionary.finish(&mut trainee.grads);
            trainee.grad_norm = norm(&trainee.grads);
            trainee.seconds += elapsed(start);
            let loss = trainee.terms.loss(&trainee.objective);
            if !loss.is_finite() || !trainee.grad_norm.is_finite() {
                return Err(TrainError::NotFinite {
                    dictionary: index,
                    loss,
                    grad_norm: trainee.grad_norm,
                });
            }
        }
        Ok(())
    }

    /// Moves every dictionary's parameters along the last gradient, clipped, at `factor` times its peak learning rate.
    pub fn update(&mut self, factor: f64) {
        for trainee in &mut self.trainees {
            let start = Instant::now();
            let Trainee {
                dictionary,
                adam,
                grads,
                lr,
                grad_norm,
                ..
            } = trainee;
            let clip = clip(*grad_norm, self.max_grad_norm);
            dictionary.update(|parameters| adam.step(*lr * factor, clip, grads, parameters));
            trainee.seconds += elapsed(start);
        }
    }

    fn batch(&mut self, contexts: &[&[u32]], weight: f64) -> Result<(), TrainError> {
        self.pass.prefix(self.model, contexts, &mut self.x)?;
        let d = self.pass.width();
        let n = self.x.len() / d;
        // the pass keeps its own copy for the clean suffix
        scale(&mut self.x, R::of(self.scale));
        let x = &self.x;
        let per_number = weight / (n * d) as f64;
        for trainee in &mut self.trainees {
            let start = Instant::now();
            trainee.x_hat.resize(n * d, R::ZERO);
            trainee.grad_out.resize(n * d, R::ZERO);
            trainee.dictionary.encode(x, &mut trainee.codes, &self.scratch);
            trainee
                .dictionary
                .decode(&trainee.codes, &mut trainee.x_hat, Path::default(), &self.scratch);
            trainee.terms.reconstruction += per_number * reconstruction::squared_error(x, &trainee.x_hat, d);
            trainee.terms.sparsity += per_number * trainee.codes.l1();
            trainee.l0 += weight * trainee.codes.nnz() as f64 / n as f64;
            if trainee.looks_past() {
                scale(&mut trainee.x_hat, R::of(1.0 / self.scale));
            } else {
                let scale = R::of(2.0 * per_number);
                reconstruction::gradient(x, &trainee.x_hat, scale, &mut trainee.grad_out, d);
            }
            trainee.seconds += elapsed(start);
        }
        // in layers without later blocks a downstream term was refused when the run began
        let n_hooks = self.model.facts().n_layers.saturating_sub(self.at.next_block()).max(1) as f64;
        let d_model = self.model.facts().d_model;
        let downstream = weight / (n * d_model) as f64 / n_hooks;
        if self.trainees.iter().any(Trainee::looks_past) {
            let wanted: Vec<_> = self
                .trainees
                .iter()
                .filter(|t| t.looks_past())
                .map(|t| Wanted {
                    x_hat: &t.x_hat,
                    kl: weight * t.objective.kl() / n as f64,
                    downstream: downstream * t.objective.downstream(),
                })
                .collect();
            self.pass.suffixes(self.model, &wanted)?;
        }
        self.shared_seconds += self.pass.take_shared_seconds();
        let mut answer = 0;
        for trainee in &mut self.trainees {
            let start = Instant::now();
            if trainee.looks_past() {
                let (kl, squared_error, seconds) = self.pass.answer(answer, &mut trainee.grad_out);
                answer += 1;
                scale(&mut trainee.grad_out, R::of(1.0 / self.scale));
                trainee.terms.kl += weight * kl / n as f64;
                trainee.terms.downstream += downstream * squared_error;
                trainee.seconds += seconds;
            }
            let sparsity = R::of(per_number * trainee.objective.sparsity());
            let Trainee {
                dictionary,
                codes,
                grad_out,
                grads,
                ..
            } = trainee;
            dictionary.backward(x, codes, grad_out, sparsity, grads, None, Path::default(), &self.scratch);
            trainee.seconds += elapsed(start);
        }
        Ok(())
    }
}

/// Seconds since `start` times the threads of the pool, all of which the dictionary's own passes use.
fn elapsed(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * rayon::current_num_threads() as f64
}
