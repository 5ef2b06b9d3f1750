//! Where a run computes: the seam between what a run is (order, schedule, checkpoints, curves) and what computes it.
//! [`Cpu`] is the engine's own [`Device`]; whoever computes elsewhere brings another.

use api::{HookPoint, KindName, TrainConfig};

use super::{TrainError, pass::Pass, step::Stepper, trainee::Trainee};
use crate::{
    dictionary::Normaliser,
    kernel::{par_sum, simd, sum_squares},
    metrics::{self, Evaluated, Mask, Passes, Processor, Subject, Text},
    model::Model,
};

/// What computes.
pub trait Device: Send + Sync {
    /// What it is called, for people.
    fn name(&self) -> &str;

    /// Brings a model to the device.
    ///
    /// # Errors
    /// The device's: no memory for it, say.
    fn backend<'m>(&self, model: &'m Model<f32>) -> Result<Box<dyn Backend + 'm>, TrainError>;
}

/// One model on one device.
pub trait Backend: Send + Sync {
    /// The model as it was loaded: its facts, hook points and widths.
    fn model(&self) -> &Model<f32>;

    /// Refuses a kind of dictionary that is not computed here.
    ///
    /// # Errors
    /// With the kind, and what to do.
    fn computes(&self, _kind: KindName) -> Result<(), TrainError> {
        Ok(())
    }

    /// Whether tokens can be left out here, in training and in measurement.
    fn leaves_out(&self) -> bool {
        false
    }

    /// Σ ‖x‖² of the activations at `at` over `contexts`, all of one length.
    ///
    /// # Errors
    /// The model's and the device's.
    fn squares(&self, at: HookPoint, contexts: &[&[u32]]) -> Result<f64, TrainError>;

    /// `x` becomes the activations [n_tokens, width] at `at` on `contexts`, all of one length.
    ///
    /// # Errors
    /// The model's and the device's.
    fn activations(&self, at: HookPoint, contexts: &[&[u32]], x: &mut Vec<f32>) -> Result<(), TrainError>;

    /// Makes ready to train `trainees`, which see the activations at `config.at` through `normaliser`.
    ///
    /// # Errors
    /// When the model has no such hook point, and the device's.
    fn steps<'a>(
        &'a self,
        config: &TrainConfig,
        normaliser: Normaliser,
        trainees: Vec<Trainee<f32>>,
    ) -> Result<Box<dyn Steps + 'a>, TrainError>;

    /// What computes what `subjects` at `at` do to the model, batch by batch.
    ///
    /// # Errors
    /// When the model has no such hook point, and the device's.
    fn passes<'a>(&'a self, at: HookPoint, subjects: &'a [Subject<'a>]) -> Result<Box<dyn Passes<TrainError> + 'a>, TrainError>;

    /// Measures `subjects`: see [`metrics::measure`].
    ///
    /// # Errors
    /// The model's and the device's.
    fn evaluate(
        &self,
        at: HookPoint,
        subjects: &[Subject<'_>],
        text: Text<'_>,
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<Vec<Evaluated>, TrainError> {
        let d_sae: Vec<usize> = subjects.iter().map(|s| s.dictionary.d_sae()).collect();
        let mut passes = self.passes(at, subjects)?;
        metrics::measure(self.model(), at, &d_sae, text, progress, &mut *passes)
    }
}

/// The optimiser steps of a run's dictionaries.
pub trait Steps {
    /// From now on, no gradient comes of the tokens that `mask` leaves out; where a [`Backend`] leaves out.
    fn leave_out(&mut self, _mask: Mask) {}

    /// Before the first step of a run: what the initial weights take from its first batch.
    ///
    /// # Errors
    /// The model's and the device's.
    fn prepare(&mut self, contexts: &[&[u32]]) -> Result<(), TrainError>;

    /// The loss and its gradient over `batches` (each some contexts of equal length), averaged; no parameter moves.
    ///
    /// # Errors
    /// The model's and the device's, and a loss or gradient that is not finite, naming the dictionary.
    fn gradients(&mut self, batches: &[Vec<&[u32]>]) -> Result<(), TrainError>;

    /// As [`Steps::prepare`], from single vectors `x` [n, width] of a buffer, in the model's scale.
    ///
    /// # Errors
    /// The device's, also where it has no such steps.
    fn prepare_vectors(&mut self, x: &[f32]) -> Result<(), TrainError>;

    /// As [`Steps::gradients`], for dictionaries that are all local, over batches of single vectors [n, width] of a buffer, in the
    /// model's scale. `seconds` of one thread were spent on them before.
    ///
    /// # Errors
    /// The device's, also where it has no such steps; a loss or gradient that is not finite, naming the dictionary.
    fn gradients_of_vectors(&mut self, batches: &[Vec<f32>], seconds: f64) -> Result<(), TrainError>;

    /// Moves every dictionary's parameters along the last gradient, clipped, at `factor` times its peak learning rate.
    ///
    /// # Errors
    /// The device's.
    fn update(&mut self, factor: f64) -> Result<(), TrainError>;

    /// Brings the trainees' weights and moments here, where the steps are made elsewhere.
    ///
    /// # Errors
    /// The device's.
    fn fetch(&mut self) -> Result<(), TrainError>;

    /// The dictionaries: terms, norms and times are the last step's, weights and moments those of the last [`Steps::fetch`].
    fn trainees(&self) -> &[Trainee<f32>];
}

/// The processor, with rayon's current pool.
#[derive(Clone, Copy, Debug)]
pub struct Cpu;

impl Device for Cpu {
    fn name(&self) -> &str {
        "cpu"
    }

    fn backend<'m>(&self, model: &'m Model<f32>) -> Result<Box<dyn Backend + 'm>, TrainError> {
        Ok(Box::new(OnCpu(model)))
    }
}

/// A model where it was loaded.
struct OnCpu<'m>(&'m Model<f32>);

impl Backend for OnCpu<'_> {
    fn model(&self) -> &Model<f32> {
        self.0
    }

    fn leaves_out(&self) -> bool {
        true
    }

    fn activations(&self, at: HookPoint, contexts: &[&[u32]], x: &mut Vec<f32>) -> Result<(), TrainError> {
        Ok(Pass::new(self.0, at)?.prefix(self.0, contexts, x)?)
    }

    fn squares(&self, at: HookPoint, contexts: &[&[u32]]) -> Result<f64, TrainError> {
        let (mut x, width) = (Vec::new(), self.0.width(at)?);
        self.activations(at, contexts, &mut x)?;
        Ok(par_sum(x.len() / width, &|t| {
            simd(|| sum_squares(&x[t * width..(t + 1) * width])).into()
        }))
    }

    fn steps<'a>(
        &'a self,
        config: &TrainConfig,
        normaliser: Normaliser,
        trainees: Vec<Trainee<f32>>,
    ) -> Result<Box<dyn Steps + 'a>, TrainError> {
        Ok(Box::new(Stepper::new(self.0, config, normaliser, trainees)?))
    }

    fn passes<'a>(&'a self, at: HookPoint, subjects: &'a [Subject<'a>]) -> Result<Box<dyn Passes<TrainError> + 'a>, TrainError> {
        self.0.width(at)?;
        Ok(Box::new(Processor::new(self.0, at, subjects)))
    }
}

impl Steps for Stepper<'_, f32> {
    fn leave_out(&mut self, mask: Mask) {
        Stepper::leave_out(self, mask);
    }

    fn prepare(&mut self, contexts: &[&[u32]]) -> Result<(), TrainError> {
        Stepper::prepare(self, contexts)
    }

    fn gradients(&mut self, batches: &[Vec<&[u32]>]) -> Result<(), TrainError> {
        Stepper::gradients(self, batches)
    }

    fn prepare_vectors(&mut self, x: &[f32]) -> Result<(), TrainError> {
        Stepper::prepare_vectors(self, x);
        Ok(())
    }

    fn gradients_of_vectors(&mut self, batches: &[Vec<f32>], seconds: f64) -> Result<(), TrainError> {
        Stepper::gradients_of_vectors(self, batches, seconds)
    }

    fn update(&mut self, factor: f64) -> Result<(), TrainError> {
        Stepper::update(self, factor);
        Ok(())
    }

    fn fetch(&mut self) -> Result<(), TrainError> {
        Ok(())
    }

    fn trainees(&self) -> &[Trainee<f32>] {
        &self.trainees
    }
}
