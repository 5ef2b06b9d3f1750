//! What the steps of a run are given: contexts in order, or single vectors out of a buffer.

use api::{BufferPlace, ConfigError, TrainConfig};
use std::time::Instant;

use super::{
    TrainError,
    backend::Steps,
    buffer::{Buffer, Cached, FromModel, Key, Source},
    run::{Inputs, Observer},
    step::nothing_left,
};
use crate::{
    corpus::{Order, Split, TokenFile},
    metrics::Mask,
};

/// See the module.
pub(super) enum Feed<'a> {
    /// Whole contexts.
    Contexts(Contexts<'a>),
    /// Single vectors.
    Vectors(Box<Vectors<'a>>),
}

/// The contexts of a run's steps.
pub(super) struct Contexts<'a> {
    config: &'a TrainConfig,
    tokens: &'a TokenFile,
    order: Order,
}

impl<'a> Contexts<'a> {
    pub fn new(config: &'a TrainConfig, tokens: &'a TokenFile) -> Self {
        let order = Order::new(config.data_seed, tokens.n_contexts(Split::Train));
        Self { config, tokens, order }
    }

    /// The batches of a step.
    pub fn of_step(&mut self, step: usize) -> Vec<Vec<&'a [u32]>> {
        let TrainConfig { accumulation, batch, .. } = *self.config;
        let first = step * accumulation * batch;
        let mut positions = first..first + accumulation * batch;
        let mut context = |position: usize| self.tokens.context(Split::Train, self.order.at(position as u64));
        (0..accumulation)
            .map(|_| positions.by_ref().take(batch).map(&mut context).collect())
            .collect()
    }
}

/// The vectors of a run's steps.
pub(super) struct Vectors<'a> {
    buffer: Buffer<'a>,
    /// Vectors of a batch.
    n: usize,
    /// Those of the next step [n, width] each.
    batches: Vec<Vec<f32>>,
    /// Whether they have been served already, to prepare the first weights.
    are_served: bool,
}

impl Vectors<'_> {
    fn serve(&mut self) -> Result<(), TrainError> {
        if std::mem::take(&mut self.are_served) {
            return Ok(());
        }
        self.batches.iter_mut().try_for_each(|x| self.buffer.serve(self.n, x))?;
        match self.batches.iter().any(Vec::is_empty) {
            true => Err(nothing_left()),
            false => Ok(()),
        }
    }
}

impl<'a> Feed<'a> {
    /// For a run at `step`. None when `observer` says to stop while activations are written to disk.
    ///
    /// # Errors
    /// The model's, and what keeps activations from being read or written.
    pub fn new(
        inputs: Inputs<'a>,
        mask: Option<Mask>,
        step: usize,
        observer: &mut dyn Observer,
    ) -> Result<Option<Self>, TrainError> {
        let Inputs {
            config, backend, tokens, ..
        } = inputs;
        let Some(settings) = config.buffer else {
            return Ok(Some(Feed::Contexts(Contexts::new(config, tokens))));
        };
        let from = FromModel {
            backend,
            tokens,
            at: config.at,
        };
        let source = match settings.on {
            BufferPlace::Memory => Source::Model(from),
            BufferPlace::Disk => {
                let message = "found disk, but this run was given no folder for it; use memory";
                let cache = inputs.cache.ok_or_else(|| ConfigError::new("buffer_on", message))?;
                // the buffer reads ahead of what it serves
                let n_visited = config.n_steps() * config.accumulation * config.batch + settings.tokens / config.packing.n_ctx;
                let key = Key::new(&from, (inputs.model_hash, config.residual), config.data_seed, n_visited)?;
                match Cached::open(cache, &key, &from, config.batch, observer)? {
                    Some(cached) => Source::Cache(cached),
                    None => return Ok(None),
                }
            }
        };
        let n = config.batch_tokens();
        let n_served = (step * config.accumulation * n) as u64;
        let (n_contexts, width) = (tokens.n_contexts(Split::Train), backend.model().width(config.at)?);
        Ok(Some(Feed::Vectors(Box::new(Vectors {
            buffer: Buffer::new(
                (config, settings),
                mask.map(|mask| (mask, tokens)),
                source,
                n_contexts,
                width,
                n_served,
            )?,
            n,
            batches: vec![Vec::new(); config.accumulation],
            are_served: false,
        }))))
    }

    /// Before the first step of a run: what the initial weights take from its first batch.
    ///
    /// # Errors
    /// The model's and the device's.
    pub fn prepare(&mut self, steps: &mut dyn Steps) -> Result<(), TrainError> {
        match self {
            Feed::Contexts(contexts) => steps.prepare(&contexts.of_step(0)[0]),
            Feed::Vectors(vectors) => {
                vectors.serve()?;
                vectors.are_served = true;
                steps.prepare_vectors(&vectors.batches[0])
            }
        }
    }

    /// The loss and its gradient of step `step`; with a buffer, steps come one after another.
    ///
    /// # Errors
    /// As [`Steps::gradients`].
    pub fn gradients(&mut self, step: usize, steps: &mut dyn Steps) -> Result<(), TrainError> {
        match self {
            Feed::Contexts(contexts) => steps.gradients(&contexts.of_step(step)),
            Feed::Vectors(vectors) => {
                let start = Instant::now();
                vectors.serve()?;
                let seconds = start.elapsed().as_secs_f64() * rayon::current_num_threads() as f64;
                steps.gradients_of_vectors(&vectors.batches, seconds)
            }
        }
    }
}
