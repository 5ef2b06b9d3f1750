//! One optimiser step of all the dictionaries of a run.

use api::{ConfigError, HookPoint, TrainConfig};

use super::{
    TrainError,
    pass::{Pass, Reading, Wanted},
    trainee::Trainee,
};
use crate::{
    dictionary::{Back, Normaliser, Scratch},
    kernel::Real,
    metrics::{Mask, close_up, spread},
    model::Model,
};

/// All that a step needs.
pub struct Stepper<'m, R> {
    /// The dictionaries.
    pub trainees: Vec<Trainee<R>>,
    model: &'m Model<R>,
    at: HookPoint,
    normaliser: Normaliser,
    max_grad_norm: f64,
    pass: Pass<R>,
    scratch: Scratch<R>,
    /// The batch, as the dictionaries see it.
    x: Vec<R>,
    /// From what they give of it to the model's activations.
    back: Back<R>,
    /// What transcoders read, once per hook point.
    readings: Vec<Reading<R>>,
    /// Which tokens are left out.
    mask: Option<Mask>,
    /// Of a batch some of whose tokens are.
    partly: Option<Partly<R>>,
}

/// A batch some of whose tokens are left out: `x` and what transcoders read hold the others alone.
struct Partly<R> {
    /// Which tokens count.
    kept: Vec<bool>,
    /// The activations of all, in the model's scale.
    clean: Vec<R>,
    /// Per dictionary that looks past: its output, with the model's own activations where tokens are left out.
    x_hats: Vec<Vec<R>>,
    /// Scratch: the gradient by an output.
    grad: Vec<R>,
}

impl<'m, R: Real> Stepper<'m, R> {
    /// For the dictionaries `trainees`, which see the activations at `config.at` through `normaliser`.
    ///
    /// # Errors
    /// When the model has no such hook point.
    pub fn new(
        model: &'m Model<R>,
        config: &TrainConfig,
        normaliser: Normaliser,
        trainees: Vec<Trainee<R>>,
    ) -> Result<Self, TrainError> {
        let mut points: Vec<HookPoint> = trainees.iter().filter_map(|t| t.dictionary.kind().read_at()).collect();
        points.sort_unstable();
        points.dedup();
        points.iter().try_for_each(|at| model.width(*at).map(drop))?;
        Ok(Self {
            readings: points.into_iter().map(|at| Reading { at, x: Vec::new() }).collect(),
            trainees,
            model,
            at: config.at,
            normaliser,
            max_grad_norm: config.max_grad_norm,
            pass: Pass::new(model, config.at)?,
            scratch: Scratch::new(),
            x: Vec::new(),
            back: Back::default(),
            mask: None,
            partly: None,
        })
    }

    /// From now on, no gradient comes of the tokens that `mask` leaves out.
    pub fn leave_out(&mut self, mask: Mask) {
        self.mask = Some(mask);
    }

    /// Before the first step: what the initial weights take from the run's first batch.
    ///
    /// # Errors
    /// The model's.
    pub fn prepare(&mut self, contexts: &[&[u32]]) -> Result<(), TrainError> {
        self.prefix(contexts)?;
        for trainee in &mut self.trainees {
            trainee.prepare_to(input(trainee, &self.readings, &self.x), &self.x);
        }
        self.pass.take_seconds();
        Ok(())
    }

    /// What the dictionaries see of a batch.
    fn prefix(&mut self, contexts: &[&[u32]]) -> Result<(), TrainError> {
        self.pass.prefix_with(self.model, contexts, &mut self.x, &mut self.readings)?;
        if let Some(mask) = &self.mask {
            let kept = mask.kept(&contexts.concat(), &self.x);
            if !kept.contains(&true) {
                return Err(nothing_left());
            }
            let clean = self.x.clone();
            close_up(&mut self.x, &kept);
            self.readings.iter_mut().for_each(|reading| close_up(&mut reading.x, &kept));
            self.partly = Some(Partly {
                kept,
                clean,
                x_hats: Vec::new(),
                grad: Vec::new(),
            });
        }
        // the pass keeps its own copy for the clean suffix
        self.normalise();
        for reading in &mut self.readings {
            // a scale is the same at every point, and where tokens have their own there are no transcoders
            let width = self.model.width(reading.at)?;
            self.normaliser.apply(&mut reading.x, width, &mut Back::default());
        }
        Ok(())
    }

    /// As [`Stepper::prepare`], from single vectors `x` [n, width] in the model's scale.
    pub fn prepare_vectors(&mut self, x: &[R]) {
        self.take(x);
        self.trainees.iter_mut().for_each(|trainee| trainee.prepare(&self.x));
    }

    /// The loss and its gradient over `batches` (each some contexts of equal length), averaged; no parameter moves.
    ///
    /// # Errors
    /// The model's, and a loss or gradient that is not finite, naming the dictionary.
    pub fn gradients(&mut self, batches: &[Vec<&[u32]>]) -> Result<(), TrainError> {
        self.trainees.iter_mut().for_each(Trainee::begin);
        for contexts in batches {
            self.prefix(contexts)?;
            self.batch(1.0 / batches.len() as f64)?;
        }
        self.complete()
    }

    /// As [`Stepper::gradients`], for dictionaries that are all local, over batches of single vectors [n, width] in the model's scale.
    /// `seconds` of one thread were spent on them before.
    ///
    /// # Errors
    /// A loss or gradient that is not finite, naming the dictionary.
    ///
    /// # Panics
    /// When a dictionary's objective looks past its hook point: it needs whole contexts.
    pub fn gradients_of_vectors(&mut self, batches: &[Vec<R>], seconds: f64) -> Result<(), TrainError> {
        assert!(
            !self.trainees.iter().any(Trainee::looks_past),
            "only local dictionaries learn from single vectors"
        );
        self.trainees.iter_mut().for_each(Trainee::begin);
        for x in batches {
            self.take(x);
            self.batch(1.0 / batches.len() as f64)?;
        }
        let n = self.trainees.len();
        self.trainees
            .iter_mut()
            .for_each(|trainee| trainee.seconds += seconds / n as f64);
        self.complete()
    }

    /// Vectors in the model's scale become those that the dictionaries see.
    fn take(&mut self, x: &[R]) {
        self.x.clear();
        self.x.extend_from_slice(x);
        self.normalise();
    }

    fn normalise(&mut self) {
        self.normaliser.apply(&mut self.x, self.pass.width(), &mut self.back);
    }

    /// After a step's last batch: the gradients complete, and checked.
    fn complete(&mut self) -> Result<(), TrainError> {
        for (index, trainee) in self.trainees.iter_mut().enumerate() {
            trainee.complete();
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
            trainee.update(factor, self.max_grad_norm);
        }
    }

    /// Adds what a batch in `self.x` gives; the pass stands behind its prefix, unless all dictionaries are local.
    fn batch(&mut self, weight: f64) -> Result<(), TrainError> {
        // the model's loss is over all tokens, the dictionary's over those that count
        let all = self.partly.as_ref().map_or(self.x.len(), |partly| partly.clean.len());
        let n = all / self.pass.width();
        for trainee in &mut self.trainees {
            let x = input(trainee, &self.readings, &self.x);
            trainee.forward_to(x, &self.x, weight, &self.scratch);
            if trainee.looks_past() {
                trainee.output(&self.back);
            }
        }
        // in layers without later blocks a downstream term was refused when the run began
        let n_hooks = self.model.facts().n_layers.saturating_sub(self.at.next_block()).max(1) as f64;
        let d_model = self.model.facts().d_model;
        let downstream = weight / (n * d_model) as f64 / n_hooks;
        if self.trainees.iter().any(Trainee::looks_past) {
            if let Some(partly) = &mut self.partly {
                let past = self.trainees.iter().filter(|t| t.looks_past());
                partly.x_hats = past.map(|t| partly.output(t.x_hat())).collect();
            }
            let partly = self.partly.as_ref();
            let wanted: Vec<_> = self
                .trainees
                .iter()
                .filter(|t| Trainee::looks_past(t))
                .enumerate()
                .map(|(k, t)| Wanted {
                    x_hat: partly.map_or(t.x_hat(), |partly| &partly.x_hats[k]),
                    kl: weight * t.kl_wanted() / n as f64,
                    downstream: downstream * t.objective.downstream(),
                })
                .collect();
            self.pass.suffixes(self.model, &wanted)?;
        }
        let mut answer = 0;
        for trainee in &mut self.trainees {
            if trainee.looks_past() {
                let (kl, squared_error, seconds) = match &mut self.partly {
                    None => self.pass.answer(answer, trainee.grad_out()),
                    Some(partly) => {
                        partly.grad.resize(partly.clean.len(), R::ZERO);
                        let answered = self.pass.answer(answer, &mut partly.grad);
                        close_up(&mut partly.grad, &partly.kept);
                        trainee.grad_out().copy_from_slice(&partly.grad);
                        answered
                    }
                };
                answer += 1;
                self.back.gradient(trainee.grad_out());
                trainee.take_kl(kl / n as f64, weight);
                trainee.terms.downstream += downstream * squared_error;
                trainee.seconds += seconds;
            }
            let x = input(trainee, &self.readings, &self.x);
            trainee.backward(x, weight, &self.scratch);
        }
        self.share_seconds();
        Ok(())
    }

    /// Adds to each dictionary its share of what they had in common: the prefix serves all, the clean pass beyond it only
    /// those whose objectives look there.
    fn share_seconds(&mut self) {
        let (prefix, clean) = self.pass.take_seconds();
        let n_past = self.trainees.iter().filter(|t| t.looks_past()).count();
        let n = self.trainees.len();
        for trainee in &mut self.trainees {
            trainee.seconds += prefix / n as f64;
            if trainee.looks_past() {
                trainee.seconds += clean / n_past as f64;
            }
        }
    }
}

impl<R: Real> Partly<R> {
    /// What the model goes on with, of a dictionary's output for the tokens that count.
    fn output(&self, x_hat: &[R]) -> Vec<R> {
        let mut all = self.clean.clone();
        spread(x_hat, &self.kept, &mut all);
        all
    }
}

/// The error of a step all of whose tokens are left out.
pub(super) fn nothing_left() -> TrainError {
    let message = "leaves no token of a step to train on; expected larger batches, or fewer tokens left out";
    ConfigError::new("leave_out", message).into()
}

/// What a dictionary reads of a batch: what is at its hook point, `x`, but for transcoders.
fn input<'x, R: Real>(trainee: &Trainee<R>, readings: &'x [Reading<R>], x: &'x [R]) -> &'x [R] {
    let read_at = trainee.dictionary.kind().read_at();
    readings
        .iter()
        .find(|reading| Some(reading.at) == read_at)
        .map_or(x, |reading| &reading.x)
}
