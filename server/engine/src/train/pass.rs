//! The language model's part of a step: the frozen prefix once per batch, the clean pass once, and for every dictionary whose
//! objective looks past it the spliced pass and its gradient. Contexts are independent, so each is one task.

use api::HookPoint;
use rayon::prelude::*;
use std::time::Instant;

use crate::{
    kernel::{PerThread, Real},
    model::{Cut, Hooks, Model, ModelError, Tape, Work},
    objective::{
        downstream::{Backward, Compare, Forward, Record},
        kl::{self, Logits},
    },
};

/// What one dictionary wants of the model.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a, R> {
    /// x̂ of the whole batch [n_tokens, width], in the model's scale.
    pub x_hat: &'a [R],
    /// Times Σ over tokens of KL, its part of the loss; 0 for none.
    pub kl: f64,
    /// Times Σ (spliced − clean)² over tokens, dimensions and later blocks, its part of the loss; 0 for none.
    pub downstream: f64,
}

/// What came back for one dictionary and one context.
#[derive(Debug, Default)]
struct Answer<R> {
    grad: Vec<R>,
    kl: f64,
    squared_error: f64,
    seconds: f64,
}

/// The activations at a hook point below the pass' own, which a transcoder reads.
#[derive(Clone, Debug)]
pub struct Reading<R> {
    /// The hook point.
    pub at: HookPoint,
    /// Of the whole batch, [n_tokens, width].
    pub x: Vec<R>,
}

impl<R: Real> Hooks<R> for Vec<Reading<R>> {
    fn at(&mut self, point: HookPoint, value: &mut [R]) {
        for reading in self.iter_mut().filter(|reading| reading.at == point) {
            reading.x.clear();
            reading.x.extend_from_slice(value);
        }
    }
}

#[derive(Debug)]
struct Slot<R> {
    cut: Cut<R>,
    /// Of this context.
    readings: Vec<Reading<R>>,
    answers: Vec<Answer<R>>,
    prefix_seconds: f64,
    clean_seconds: f64,
}

struct Suffix<R> {
    work: Work<R>,
    tape: Tape<R>,
    record: Record<R>,
    compare: Compare<R>,
    logits: Logits<R>,
    clean: Vec<R>,
    spliced: Vec<R>,
    grad: Vec<R>,
}

impl<R: Real> Default for Suffix<R> {
    fn default() -> Self {
        Self {
            work: Work::default(),
            tape: Tape::default(),
            record: Record {
                first: 0,
                layers: Vec::new(),
            },
            compare: Compare::default(),
            logits: Logits::default(),
            clean: Vec::new(),
            spliced: Vec::new(),
            grad: Vec::new(),
        }
    }
}

/// One batch on its way through the model. Its memory is kept from batch to batch.
pub struct Pass<R> {
    at: HookPoint,
    width: usize,
    slots: Vec<Slot<R>>,
    threads: PerThread<Suffix<R>>,
}

impl<R: Real> Pass<R> {
    /// For dictionaries at `at`.
    ///
    /// # Errors
    /// When the model has no such point.
    pub fn new(model: &Model<R>, at: HookPoint) -> Result<Self, ModelError> {
        Ok(Self {
            at,
            width: model.width(at)?,
            slots: Vec::new(),
            threads: PerThread::new(),
        })
    }

    /// Width of the tensor at the hook point.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Seconds of one thread since the last call of this: of the prefix, and of the clean pass beyond it.
    pub fn take_seconds(&mut self) -> (f64, f64) {
        self.slots.iter_mut().fold((0.0, 0.0), |(prefix, clean), slot| {
            (
                prefix + std::mem::take(&mut slot.prefix_seconds),
                clean + std::mem::take(&mut slot.clean_seconds),
            )
        })
    }

    /// Runs the prefix on contexts of equal length; `x` becomes the activations at the hook point [n_tokens, width].
    ///
    /// # Errors
    /// When a context is longer than the model takes or has an unknown token.
    pub fn prefix(&mut self, model: &Model<R>, contexts: &[&[u32]], x: &mut Vec<R>) -> Result<(), ModelError> {
        self.prefix_with(model, contexts, x, &mut Vec::new())
    }

    /// As [`Pass::prefix`], and `readings` become the activations at their own hook points, on the way.
    ///
    /// # Errors
    /// As [`Pass::prefix`].
    pub fn prefix_with(
        &mut self,
        model: &Model<R>,
        contexts: &[&[u32]],
        x: &mut Vec<R>,
        readings: &mut Vec<Reading<R>>,
    ) -> Result<(), ModelError> {
        let n_ctx = contexts.first().map_or(0, |c| c.len());
        self.slots.resize_with(contexts.len(), || Slot {
            cut: Cut::default(),
            readings: Vec::new(),
            answers: Vec::new(),
            prefix_seconds: 0.0,
            clean_seconds: 0.0,
        });
        for reading in readings.iter_mut() {
            reading.x.clear();
        }
        for slot in &mut self.slots {
            slot.readings.clone_from(readings);
        }
        x.resize(contexts.len() * n_ctx * self.width, R::ZERO);
        let (at, threads) = (self.at, &self.threads);
        let x = x.par_chunks_mut((n_ctx * self.width).max(1));
        self.slots
            .par_iter_mut()
            .zip(contexts)
            .zip(x)
            .try_for_each(|((slot, tokens), x)| {
                let start = Instant::now();
                threads.with(|t| model.prefix(tokens, at, &mut slot.cut, &mut slot.readings, &mut t.work))?;
                x.copy_from_slice(&slot.cut.value);
                slot.prefix_seconds += start.elapsed().as_secs_f64();
                Ok::<(), ModelError>(())
            })?;
        for (k, reading) in readings.iter_mut().enumerate() {
            self.slots
                .iter()
                .for_each(|slot| reading.x.extend_from_slice(&slot.readings[k].x));
        }
        Ok(())
    }

    /// The clean pass, then for each dictionary the spliced pass, its losses, and its gradient by x̂.
    ///
    /// # Errors
    /// The model's.
    pub fn suffixes(&mut self, model: &Model<R>, wanted: &[Wanted<'_, R>]) -> Result<(), ModelError> {
        let first = self.at.next_block();
        let threads = &self.threads;
        let downstream = wanted.iter().any(|w| w.downstream > 0.0);
        self.slots.par_iter_mut().enumerate().try_for_each(|(index, slot)| {
            let Slot {
                cut,
                answers,
                clean_seconds,
                ..
            } = slot;
            answers.resize_with(wanted.len(), Answer::default);
            threads.with(|t| {
                let start = Instant::now();
                t.record.first = if downstream { first } else { usize::MAX };
                model.suffix(cut, &cut.value, &mut t.clean, &mut t.record, None, &mut t.work)?;
                *clean_seconds += start.elapsed().as_secs_f64();
                let range = index * cut.value.len()..(index + 1) * cut.value.len();
                for (wanted, answer) in wanted.iter().zip(answers) {
                    let start = Instant::now();
                    spliced(model, cut, &wanted.x_hat[range.clone()], wanted, t, answer)?;
                    answer.seconds = start.elapsed().as_secs_f64();
                }
                Ok(())
            })
        })
    }

    /// Copies the gradient by x̂ of the whole batch for dictionary `index` of the last [`Pass::suffixes`] to `grad`, and gives
    /// Σ KL, Σ (spliced − clean)², and the seconds of one thread that they took.
    pub fn answer(&self, index: usize, grad: &mut [R]) -> (f64, f64, f64) {
        let (mut kl, mut squared_error, mut seconds) = (0.0, 0.0, 0.0);
        let rows = grad.len() / self.slots.len();
        for (slot, grad) in self.slots.iter().zip(grad.chunks_mut(rows)) {
            let answer = &slot.answers[index];
            grad.copy_from_slice(&answer.grad);
            kl += answer.kl;
            squared_error += answer.squared_error;
            seconds += answer.seconds;
        }
        (kl, squared_error, seconds)
    }
}

fn spliced<R: Real>(
    model: &Model<R>,
    cut: &Cut<R>,
    x_hat: &[R],
    wanted: &Wanted<'_, R>,
    t: &mut Suffix<R>,
    answer: &mut Answer<R>,
) -> Result<(), ModelError> {
    t.compare.first = if wanted.downstream > 0.0 { t.record.first } else { usize::MAX };
    t.compare.scale = R::of(2.0 * wanted.downstream);
    t.compare.squared_error = 0.0;
    let mut hooks = Forward(&mut t.compare, &t.record);
    model.suffix(cut, x_hat, &mut t.spliced, &mut hooks, Some(&mut t.tape), &mut t.work)?;
    t.grad.resize(t.spliced.len(), R::ZERO);
    answer.kl = kl::kl(model, &t.clean, &t.spliced, R::of(wanted.kl), &mut t.grad, &mut t.logits);
    answer.squared_error = t.compare.squared_error;
    model.backward(&t.tape, &mut t.grad, &mut answer.grad, &mut Backward(&t.compare), &mut t.work);
    Ok(())
}
