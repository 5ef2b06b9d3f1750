//! A run whose dictionaries are fitted: passes over the activations of its text in place of optimiser steps, then the same measuring
//! and the same files as any run's. It keeps no checkpoint: an interrupted fit begins again from the text.

use api::Progress;
use std::{
    ops::Range,
    time::{Duration, Instant},
};

use super::{
    TrainError,
    checkpoint::State,
    feed::Contexts,
    left_out,
    run::{Inputs, Observer, Outcome, finish, normaliser},
    trainee::Trainee,
};
use crate::{
    baseline::{self, Stream},
    dictionary::{Back, Normaliser},
    metrics::{Mask, close_up},
};

/// How often progress is told at most.
const PROGRESS: Duration = Duration::from_millis(500);

/// Runs `inputs.config`, all of whose dictionaries are fitted.
///
/// # Errors
/// The model's, the text's and the files', and activations that a kind cannot be fitted to.
pub fn run(inputs: Inputs<'_>, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
    let Inputs {
        config,
        backend,
        model_hash,
        tokens,
        ..
    } = inputs;
    for dictionary in &config.dictionaries {
        backend.computes(dictionary.kind.name())?;
    }
    let began = Instant::now();
    let normaliser = normaliser(inputs)?;
    observer.resumed(0);
    let mut stream = OfText {
        inputs,
        width: backend.model().width(config.at)?,
        contexts: Contexts::new(config, tokens),
        normaliser,
        mask: left_out::mask(backend, tokens, config)?,
        observer: &mut *observer,
        told: Instant::now(),
    };
    let fitted = match baseline::fit(&config.dictionaries, backend.model().facts().d_vocab, &mut stream) {
        Ok(fitted) => fitted,
        Err(End::Stopped) => return Ok(Outcome::Stopped { step: 0 }),
        Err(End::Failed(error)) => return Err(error),
    };
    let mut state = State::new(config, model_hash.to_string(), normaliser);
    // they share the passes, so each has its share of the time
    let seconds = began.elapsed().as_secs_f64() * rayon::current_num_threads() as f64;
    state.seconds.fill(seconds / config.dictionaries.len() as f64);
    let fitted = config.dictionaries.iter().zip(fitted);
    let trainees: Vec<_> = fitted
        .map(|(c, dictionary)| Trainee::new(c.objective, c.lr, dictionary, config.adam))
        .collect();
    finish(inputs, &state, &trainees, observer)
}

/// Why the passes ended early.
enum End {
    Failed(TrainError),
    Stopped,
}

impl From<TrainError> for End {
    fn from(error: TrainError) -> Self {
        End::Failed(error)
    }
}

impl From<api::ConfigError> for End {
    fn from(error: api::ConfigError) -> Self {
        End::Failed(error.into())
    }
}

/// The activations of a run's text in the run's order, as its dictionaries see them.
struct OfText<'a> {
    inputs: Inputs<'a>,
    width: usize,
    contexts: Contexts<'a>,
    normaliser: Normaliser,
    mask: Option<Mask>,
    observer: &'a mut dyn Observer,
    told: Instant,
}

impl Stream for OfText<'_> {
    type Error = End;

    fn width(&self) -> usize {
        self.width
    }

    fn n_batches(&self) -> usize {
        self.inputs.config.n_steps() * self.inputs.config.accumulation
    }

    fn pass(&mut self, stage: &str, range: Range<usize>, each: &mut dyn FnMut(&[f32], &[u32])) -> Result<(), End> {
        let Inputs { config, backend, .. } = self.inputs;
        let mut x = Vec::new();
        let (first, since) = (range.start, Instant::now());
        for batch in range.clone() {
            self.tell(stage, batch - first, range.len(), since)?;
            let (step, index) = (batch / config.accumulation, batch % config.accumulation);
            let contexts = self.contexts.of_step(step).swap_remove(index);
            backend.activations(config.at, &contexts, &mut x)?;
            let mut ids = contexts.concat();
            if let Some(mask) = &self.mask {
                let kept = mask.kept(&ids, &x);
                close_up(&mut x, &kept);
                let mut places = kept.iter();
                ids.retain(|_| places.next().copied().unwrap_or(true));
            }
            self.normaliser.apply(&mut x, self.width, &mut Back::default());
            each(&x, &ids);
        }
        self.tell(stage, range.len(), range.len(), since)
    }
}

impl OfText<'_> {
    /// Says how far a pass is, and asks whether it is to end.
    fn tell(&mut self, stage: &str, done: usize, of: usize, since: Instant) -> Result<(), End> {
        if self.observer.stop() {
            return Err(End::Stopped);
        }
        if self.told.elapsed() > PROGRESS {
            self.told = Instant::now();
            let tokens = |batches: usize| (batches * self.inputs.config.batch_tokens()) as u64;
            self.observer.progress(Progress {
                stage: format!("fitting: {stage}"),
                done: tokens(done),
                total: tokens(of),
                unit: "tokens".into(),
                rate: tokens(done) as f64 / since.elapsed().as_secs_f64().max(1e-9),
            });
        }
        Ok(())
    }
}
