//! The gradient of a batch: mean cross-entropy of the next token over all predictions of some contexts.
//!
//! Contexts are independent tasks. Their gradients are added up in a fixed number of lanes, each over consecutive contexts in
//! order, and the lanes one after another: a partition by the batch's size alone, so that the bits do not depend on the
//! number of threads.

use rayon::prelude::*;

use crate::{
    kernel::{PerThread, Real, add, simd},
    model::{Cut, LogitSlopes, ModelError, NoHooks, Tape, Trainable, Work},
    objective::cross_entropy::{CHUNK, cross_entropy},
};

/// At most as many partial gradients, and so as many threads that share a batch.
const LANES: usize = 16;
/// Of large models, as few as this: each is as large as the model.
const FEW_LANES: usize = 4;
/// Numbers in all lanes together, above which there are fewer.
const LANE_NUMBERS: usize = 1 << 27;
/// Numbers per task of the sum over lanes.
const SUM_CHUNK: usize = 1 << 14;

/// Memory for one thread.
struct Scratch<R> {
    cut: Cut<R>,
    work: Work<R>,
    tape: Tape<R>,
    out: Vec<R>,
    grad_out: Vec<R>,
    grad_embed: Vec<R>,
    logits: Vec<R>,
    slopes: LogitSlopes<R>,
}

impl<R: Real> Default for Scratch<R> {
    fn default() -> Self {
        Self {
            cut: Cut::default(),
            work: Work::default(),
            tape: Tape::for_weights(),
            out: Vec::new(),
            grad_out: Vec::new(),
            grad_embed: Vec::new(),
            logits: Vec::new(),
            slopes: LogitSlopes::default(),
        }
    }
}

/// One lane's sums.
struct Lane<R> {
    grads: Vec<R>,
    loss: f64,
}

/// A batch on its way through the model and back. Its memory is kept from batch to batch.
pub struct Pass<R> {
    lanes: Vec<Lane<R>>,
    threads: PerThread<Scratch<R>>,
}

impl<R: Real> Default for Pass<R> {
    fn default() -> Self {
        Self {
            lanes: Vec::new(),
            threads: PerThread::new(),
        }
    }
}

impl<R: Real> Pass<R> {
    /// The mean loss over the predictions of `contexts` (of two tokens or more each: all but the first are predicted), in nats,
    /// and into `grads` its gradient by all weights. On the threads of the current pool.
    ///
    /// # Errors
    /// The model's: a context that is too long, a token that is not in its vocabulary.
    ///
    /// # Panics
    /// When `grads` has another length than the weights, or a context has fewer than two tokens.
    pub fn gradient(&mut self, trainable: &Trainable<R>, contexts: &[&[u32]], grads: &mut [R]) -> Result<f64, ModelError> {
        let n_predictions: usize = contexts.iter().map(|context| context.len() - 1).sum();
        let scale = R::of(1.0 / n_predictions as f64);
        let per_lane = contexts_per_lane(contexts.len(), grads.len());
        self.lanes.resize_with(n_lanes(contexts.len(), grads.len()), || Lane {
            grads: Vec::new(),
            loss: 0.0,
        });
        let threads = &self.threads;
        self.lanes
            .par_iter_mut()
            .zip(contexts.par_chunks(per_lane))
            .try_for_each(|(lane, contexts)| {
                lane.grads.clear();
                lane.grads.resize(grads.len(), R::ZERO);
                lane.loss = 0.0;
                contexts.iter().try_for_each(|context| {
                    lane.loss += threads.with(|scratch| one_context(trainable, context, scale, &mut lane.grads, scratch))?;
                    Ok::<(), ModelError>(())
                })
            })?;
        let lanes = &self.lanes;
        grads.par_chunks_mut(SUM_CHUNK).enumerate().for_each(|(chunk, grads)| {
            let first = chunk * SUM_CHUNK;
            let part = first..first + grads.len();
            grads.copy_from_slice(&lanes[0].grads[part.clone()]);
            simd(
                #[inline(always)]
                || lanes[1..].iter().for_each(|lane| add(grads, &lane.grads[part.clone()])),
            );
        });
        let total: f64 = self.lanes.iter().map(|lane| lane.loss).sum();
        Ok(total / n_predictions as f64)
    }
}

/// Contexts of each lane, of a batch of `n_contexts` and a model of `n_numbers`.
fn contexts_per_lane(n_contexts: usize, n_numbers: usize) -> usize {
    let most = (LANE_NUMBERS / n_numbers.max(1)).clamp(FEW_LANES, LANES);
    n_contexts.div_ceil(most).max(1)
}

/// Partial gradients of a batch of `n_contexts`, each as large as the model, which has `n_numbers`.
pub(super) fn n_lanes(n_contexts: usize, n_numbers: usize) -> usize {
    n_contexts.div_ceil(contexts_per_lane(n_contexts, n_numbers))
}

/// Σ of the losses of one context's predictions; `scale` times its gradient is added to `grads`.
fn one_context<R: Real>(
    trainable: &Trainable<R>,
    context: &[u32],
    scale: R,
    grads: &mut [R],
    scratch: &mut Scratch<R>,
) -> Result<f64, ModelError> {
    let Scratch {
        cut,
        work,
        tape,
        out,
        grad_out,
        grad_embed,
        logits,
        slopes,
    } = scratch;
    let model = trainable.model();
    let (d_model, d_vocab) = (model.facts().d_model, model.facts().d_vocab);
    let (tokens, next) = (&context[..context.len() - 1], &context[1..]);
    model.prefix(tokens, api::HookPoint::Embed, cut, &mut NoHooks, work)?;
    model.suffix(cut, &cut.value, out, &mut NoHooks, Some(tape), work)?;
    grad_out.resize(out.len(), R::ZERO);
    let rows = (CHUNK / d_vocab).max(1);
    let mut loss = 0.0;
    for ((out, grad_out), next) in out
        .chunks(rows * d_model)
        .zip(grad_out.chunks_mut(rows * d_model))
        .zip(next.chunks(rows))
    {
        logits.resize(next.len() * d_vocab, R::ZERO);
        model.logits_for_gradient(out, logits, slopes);
        loss += cross_entropy(logits, next, scale);
        trainable.logits_backward(logits, slopes, out, grad_out, grads);
    }
    trainable.backward(tokens, tape, grad_out, grads, grad_embed, work);
    Ok(loss)
}
