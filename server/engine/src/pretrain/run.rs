//! A pretraining run from its config to a trained model, with its loss on text that it was not trained on.

use api::{ConfigError, EvaluationSplit, HistoryPoint, PretrainConfig, Progress, WeightType};
use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    PretrainError,
    checkpoint::{self, State},
    initial::new_model,
    learner::Learner,
    loss::{Measured, documents, measure},
};
use crate::{
    corpus::{Order, Split, TokenFile},
    model::Trainable,
    train::{Observer, schedule},
};

/// How often progress is told at most.
const PROGRESS: Duration = Duration::from_millis(500);

/// What a run works on.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// Its config.
    pub config: &'a PretrainConfig,
    /// The text, packed as the config says.
    pub tokens: &'a TokenFile,
    /// The run's own folder, for its checkpoint. A checkpoint found there is resumed.
    pub folder: &'a Path,
}

/// How a run ended.
pub enum Outcome {
    /// With a model.
    Done(Box<Pretrained>),
    /// Because its observer said so; its checkpoint stands at `step`.
    Stopped {
        /// Steps made.
        step: usize,
    },
}

/// A trained model.
pub struct Pretrained {
    /// The model, its weights rounded as they will be written.
    pub trainable: Trainable<f32>,
    /// Its loss on the text that the config's evaluation names.
    pub measured: Measured,
    /// Predictions trained on.
    pub n_tokens: u64,
    /// How often the training text was passed over.
    pub n_passes: f64,
    /// Seconds that the optimiser steps took.
    pub seconds: f64,
}

/// Runs `inputs.config` on the threads of rayon's current pool.
///
/// # Errors
/// When the config does not fit the text, a loss is not finite, or a file cannot be read or written.
pub fn run(inputs: Inputs<'_>, observer: &mut dyn Observer) -> Result<Outcome, PretrainError> {
    let Inputs { config, tokens, folder } = inputs;
    config.validate()?;
    let manifest = tokens.manifest();
    if manifest.packing != config.packing() {
        return Err(ConfigError::new("packing", "the text is packed in another way than the config says").into());
    }
    let mut order = Order::new(config.seed, tokens.n_contexts(Split::Train));
    let inputs_hash = format!("{} {}", manifest.tokenizer_hash, manifest.train.sha256);
    let mut state = State::new(config, inputs_hash);
    let model = new_model(&config.shape, manifest.d_vocab, config.seed)?;
    let mut learner = Learner::new(Trainable::new(model));
    if let Some(found) = checkpoint::load(folder, &state, &mut learner)? {
        state = found;
    }
    observer.resumed(state.step);
    let n_ctx = config.shape.n_ctx;
    let validation = documents(tokens, Split::Validation, n_ctx, config.evaluation.validation_tokens);
    let n_steps = config.n_steps();
    let mut kept = state.step;
    let mut clock = Clock::new(state.step);
    while state.step < n_steps {
        let step = state.step;
        if observer.stop() {
            checkpoint::save(folder, &state, &learner)?;
            return Ok(Outcome::Stopped { step });
        }
        let start = Instant::now();
        learner.gradient(&batch(config, tokens, &mut order, step))?;
        if !learner.loss.is_finite() || !learner.grad_norm.is_finite() {
            return Err(PretrainError::NotFinite {
                step,
                kept,
                loss: learner.loss,
                grad_norm: learner.grad_norm,
            });
        }
        state.seconds += start.elapsed().as_secs_f64();
        // only now is it known that these weights give a finite loss: a checkpoint of others would end every resumed run
        if step != kept && step.is_multiple_of(config.checkpoint_every_steps) {
            checkpoint::save(folder, &state, &learner)?;
            kept = step;
        }
        let lr = config.lr * schedule::factor(&config.schedule, step, n_steps);
        let measured = step.is_multiple_of(config.evaluation.every_steps) || step + 1 == n_steps;
        if measured || step.is_multiple_of(config.log_every_steps) {
            let validation = if measured { validation.as_slice() } else { &[] };
            observer.history(vec![point(config, &learner, lr, validation)?]);
        }
        let start = Instant::now();
        learner.update(config.adam, lr, config.weight_decay, config.max_grad_norm);
        state.seconds += start.elapsed().as_secs_f64();
        state.step += 1;
        clock.tell(state.step, config, observer);
    }
    if kept != n_steps {
        checkpoint::save(folder, &state, &learner)?;
    }
    let mut trainable = learner.trainable;
    if config.dtype == WeightType::F16 {
        // what is measured is what will be written
        trainable.update(|weights| weights.iter_mut().for_each(|w| *w = half::f16::from_f32(*w).to_f32()));
    }
    let split = match config.evaluation.split {
        EvaluationSplit::HeldOut => Split::HeldOut,
        EvaluationSplit::Validation => Split::Validation,
    };
    let text = documents(tokens, split, n_ctx, config.evaluation.n_tokens);
    Ok(Outcome::Done(Box::new(Pretrained {
        measured: measure(trainable.model(), &text)?,
        trainable,
        n_tokens: (n_steps * config.step_tokens()) as u64,
        n_passes: (n_steps * config.batch) as f64 / tokens.n_contexts(Split::Train) as f64,
        seconds: state.seconds,
    })))
}

fn batch<'t>(config: &PretrainConfig, tokens: &'t TokenFile, order: &mut Order, step: usize) -> Vec<&'t [u32]> {
    let first = step * config.batch;
    (first..first + config.batch)
        .map(|position| tokens.context(Split::Train, order.at(position as u64)))
        .collect()
}

/// The curves' point of one step; the loss on `validation` where there is some.
fn point(
    config: &PretrainConfig,
    learner: &Learner<f32>,
    lr: f64,
    validation: &[Vec<u32>],
) -> Result<HistoryPoint, PretrainError> {
    let mut values = BTreeMap::from([
        ("loss".to_string(), learner.loss),
        ("lr".to_string(), lr),
        ("grad_norm".to_string(), learner.grad_norm),
    ]);
    if !validation.is_empty() {
        values.insert("validation/loss".into(), measure(learner.trainable.model(), validation)?.loss);
    }
    Ok(HistoryPoint {
        step: learner.steps,
        tokens: ((learner.steps + 1) * config.step_tokens()) as u64,
        dictionary: 0,
        values,
    })
}

/// Tells of progress now and then, with the rate since it last did.
struct Clock {
    told: Instant,
    at_step: usize,
}

impl Clock {
    fn new(step: usize) -> Self {
        Self {
            told: Instant::now(),
            at_step: step,
        }
    }

    fn tell(&mut self, step: usize, config: &PretrainConfig, observer: &mut dyn Observer) {
        let elapsed = self.told.elapsed();
        if elapsed < PROGRESS && step != config.n_steps() {
            return;
        }
        let per_step = config.step_tokens();
        let rate = ((step - self.at_step) * per_step) as f64 / elapsed.as_secs_f64().max(1e-9);
        *self = Self::new(step);
        observer.progress(Progress {
            stage: "training".into(),
            done: (step * per_step) as u64,
            total: (config.n_steps() * per_step) as u64,
            unit: "tokens".into(),
            rate,
        });
    }
}
