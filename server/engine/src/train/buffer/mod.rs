//! The buffer of activations: the numbers of the vectors that [`Mix`] says it holds. They come from the model, or from the disk where
//! a run before has left them; for the steps that draw from it there is no difference.

mod cache;
mod order;

pub use cache::{ActivationCache, Cached, Key};
pub use order::{Held, Mix};

use api::{HookPoint, TrainConfig};

use super::{TrainError, backend::Backend};
use crate::{
    corpus::{Split, TokenFile},
    metrics::Mask,
};

/// Where activations come from.
pub enum Source<'a> {
    /// The model, at each time they are wanted.
    Model(FromModel<'a>),
    /// The disk.
    Cache(Cached),
}

/// The activations that a model has on the contexts of a text.
#[derive(Clone, Copy)]
pub struct FromModel<'a> {
    /// The model.
    pub backend: &'a dyn Backend,
    /// The text; its training contexts are read.
    pub tokens: &'a TokenFile,
    /// Where.
    pub at: HookPoint,
}

impl FromModel<'_> {
    /// `x` becomes the activations [contexts · n_ctx, width] on `contexts`.
    ///
    /// # Errors
    /// The model's and the device's.
    pub fn read(&self, contexts: &[usize], x: &mut Vec<f32>) -> Result<(), TrainError> {
        let contexts: Vec<&[u32]> = contexts.iter().map(|i| self.tokens.context(Split::Train, *i)).collect();
        self.backend.activations(self.at, &contexts, x)
    }
}

impl Source<'_> {
    fn read(&self, contexts: &[usize], x: &mut Vec<f32>) -> Result<(), TrainError> {
        match self {
            Source::Model(model) => model.read(contexts, x),
            Source::Cache(cached) => {
                cached.read(contexts, x);
                Ok(())
            }
        }
    }
}

/// See the module.
pub struct Buffer<'a> {
    mix: Mix,
    source: Source<'a>,
    width: usize,
    n_ctx: usize,
    /// Contexts that are read at a time.
    batch: usize,
    /// A row per slot [slots, width].
    values: Vec<f32>,
    /// Which tokens are left out, and the text's.
    mask: Option<(Mask, &'a TokenFile)>,
    /// Whether a slot holds one that is.
    left_out: Vec<bool>,
    /// Scratch.
    read: Vec<f32>,
}

impl<'a> Buffer<'a> {
    /// The buffer `settings` of the run `config`, over the `n_contexts` of its text, as it is when `n_served` vectors, `width` wide,
    /// have been served.
    ///
    /// # Errors
    /// The source's.
    pub fn new(
        (config, settings): (&TrainConfig, api::Buffer),
        mask: Option<(Mask, &'a TokenFile)>,
        source: Source<'a>,
        n_contexts: usize,
        width: usize,
        n_served: u64,
    ) -> Result<Self, TrainError> {
        let n_ctx = config.packing.n_ctx;
        let shape = (settings.tokens, settings.mixing);
        let mut buffer = Self {
            mix: Mix::new(config.data_seed, shape, n_contexts, n_ctx, n_served),
            source,
            width,
            n_ctx,
            batch: config.batch,
            values: vec![0.0; settings.tokens * width],
            mask,
            left_out: vec![false; settings.tokens],
            read: Vec::new(),
        };
        let mut held = buffer.mix.held().to_vec();
        held.sort_unstable_by_key(|held| held.context);
        buffer.fill(&held)?;
        Ok(buffer)
    }

    /// The next `n` vectors [n, width] into `x`; fewer where some are left out.
    ///
    /// # Errors
    /// The source's.
    pub fn serve(&mut self, n: usize, x: &mut Vec<f32>) -> Result<(), TrainError> {
        x.clear();
        for _ in 0..n {
            if self.mix.is_due() {
                let new = self.mix.take_in();
                self.fill(&new)?;
            }
            let slot = self.mix.serve().slot;
            if !self.left_out[slot] {
                x.extend_from_slice(&self.values[slot * self.width..][..self.width]);
            }
        }
        Ok(())
    }

    /// Brings the numbers of `held`, in which the vectors of a context stand together, into their slots.
    fn fill(&mut self, held: &[Held]) -> Result<(), TrainError> {
        let groups: Vec<&[Held]> = held.chunk_by(|a, b| a.context == b.context).collect();
        for groups in groups.chunks(self.batch) {
            let contexts: Vec<usize> = groups.iter().map(|group| group[0].context).collect();
            self.source.read(&contexts, &mut self.read)?;
            for (k, held) in groups
                .iter()
                .enumerate()
                .flat_map(|(k, group)| group.iter().map(move |held| (k, held)))
            {
                let from = (k * self.n_ctx + held.token) * self.width;
                let x = &self.read[from..][..self.width];
                self.values[held.slot * self.width..][..self.width].copy_from_slice(x);
                if let Some((mask, tokens)) = &self.mask {
                    let token = tokens.context(Split::Train, held.context)[held.token];
                    self.left_out[held.slot] = !mask.keeps(token, x);
                }
            }
        }
        Ok(())
    }
}
