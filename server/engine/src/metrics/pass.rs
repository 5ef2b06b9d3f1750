//! One pass over text that measures dictionaries: what is computed from a batch, whoever computes it.

use api::{HookPoint, Measurement, Site};

use super::{
    clean::check_batch,
    firings::Firings,
    logits::Compared,
    mask::Mask,
    sums::Moments,
    totals::{ORDINARY, SPECIAL, Totals, sets},
};
use crate::model::{Model, ModelError};

/// How much is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// What one pass gives: for the curves of a run, which are measured often.
    #[default]
    Curves,
    /// Also what the model loses without the hook point (a pass for the mean activation, and two more passes of the rest of the
    /// model, which all dictionaries share), and intervals.
    Results,
}

/// The text to measure on, and how much.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// Its contexts, all of one length.
    pub contexts: &'a [&'a [u32]],
    /// Special tokens' ids, which the metrics leave out.
    pub special: &'a [u32],
    /// Contexts per batch.
    pub batch: usize,
    /// Of each token of the contexts, the document it belongs to, counted from 0; none where that is not known, and contexts
    /// are resampled instead.
    pub documents: Option<&'a [u32]>,
    /// How much is measured.
    pub depth: Depth,
}

/// What one batch of contexts gave. Tokens are numbered through all its contexts.
#[derive(Debug, Default)]
pub struct Batch {
    /// The clean activations [n_tokens, width] at each of [`points`].
    pub clean: Vec<Vec<f32>>,
    /// Per dictionary.
    pub answers: Vec<Answer>,
    /// Per vector that was put in place of every activation.
    pub ablations: Vec<Compared>,
}

/// What one batch gave for one dictionary.
#[derive(Debug, Default)]
pub struct Answer {
    /// The dictionary's output [n_tokens, width], in the model's scale.
    pub x_hat: Vec<f32>,
    /// Per token: the features that fired.
    pub l0: Vec<u32>,
    /// Per token: Σ of their activations.
    pub l1: Vec<f64>,
    /// Per unit and feature: on how many ordinary tokens it fired.
    pub firings: Firings,
    /// Per point of [`points`] and token: ‖spliced − clean‖².
    pub squared_errors: Vec<Vec<f64>>,
    /// Per token: cross-entropies and KL.
    pub compared: Compared,
}

/// What was measured of one dictionary.
#[derive(Clone, Debug, Default)]
pub struct Evaluated {
    /// The metrics.
    pub metrics: Vec<Measurement>,
    /// Per feature: on how many ordinary tokens it fired.
    pub firings: Vec<u32>,
    /// Ordinary tokens.
    pub n_tokens: u64,
}

/// The points at which a dictionary at `at` is measured: its own, then every later block's input and the last block's output.
pub fn points(model: &Model<f32>, at: HookPoint) -> Vec<HookPoint> {
    let n_layers = model.facts().n_layers;
    let mut points = vec![at];
    points.extend((at.next_block()..n_layers).map(HookPoint::resid_pre));
    let last = HookPoint::block(n_layers - 1, Site::ResidPost);
    if at < last {
        points.push(last);
    }
    points
}

/// What computes batches, wherever it does.
pub trait Passes<E> {
    /// From now on, `mask` says which tokens are left out: the model's own activation stays in their place.
    fn leave_out(&mut self, _mask: Mask) {}

    /// Which tokens are left out.
    fn mask(&self) -> Option<&Mask> {
        None
    }

    /// The clean activations [n_tokens, width] at the hook point.
    ///
    /// # Errors
    /// The model's and the device's.
    fn activations(&mut self, contexts: &[&[u32]]) -> Result<Vec<f32>, E>;

    /// Everything of a batch: `units` are what the ordinary tokens' firings are counted by, none for tokens whose firings are not
    /// counted; `ablations` are vectors [width], each of which is put in place of every activation.
    ///
    /// # Errors
    /// The model's and the device's.
    fn batch(&mut self, contexts: &[&[u32]], units: &[Option<u32>], ablations: &[Vec<f32>]) -> Result<Batch, E>;
}

/// Measures dictionaries of `d_sae` features each at `at`, with `passes` for the batches. `progress` is told the tokens
/// done and wanted and may end the pass by answering false; what was measured until then is given.
///
/// # Errors
/// When the model has no such point, or gives what is not finite, and whatever `passes` fails with.
pub fn measure<E: From<ModelError>>(
    model: &Model<f32>,
    at: HookPoint,
    d_sae: &[usize],
    text: Text<'_>,
    progress: &mut dyn FnMut(u64, u64) -> bool,
    passes: &mut dyn Passes<E>,
) -> Result<Vec<Evaluated>, E> {
    let n_ctx = text.contexts.first().map_or(0, |c| c.len());
    let mut totals = Totals::new(model, at, d_sae, text)?;
    let points = points(model, at);
    let ablations = match text.depth {
        Depth::Curves => Vec::new(),
        Depth::Results => {
            let mut mean = mean_activation(text, passes)?;
            // where there are no ordinary tokens
            mean.resize(totals.width(), 0.0);
            vec![vec![0.0; mean.len()], mean]
        }
    };
    let mut done = 0;
    for contexts in text.contexts.chunks(text.batch) {
        let sets = sets_of(contexts, text, passes)?;
        let units = totals.counted_by(&sets, done * n_ctx);
        let batch = passes.batch(contexts, &units, &ablations)?;
        check_batch(&points, contexts, &batch)?;
        totals.add(&batch, &sets, n_ctx, done * n_ctx);
        done += contexts.len();
        if !progress((done * n_ctx) as u64, (text.contexts.len() * n_ctx) as u64) {
            break;
        }
    }
    Ok(totals.evaluated())
}

/// Which set each token belongs to; what is left out is none of the ordinary ones.
fn sets_of<E>(contexts: &[&[u32]], text: Text<'_>, passes: &mut dyn Passes<E>) -> Result<Vec<usize>, E> {
    let mut sets = sets(contexts, text.special);
    let Some(mask) = passes.mask().cloned() else {
        return Ok(sets);
    };
    let x = passes.activations(contexts)?;
    let kept = mask.kept(&contexts.concat(), &x);
    for (set, _) in sets.iter_mut().zip(kept).filter(|(set, kept)| **set == ORDINARY && !kept) {
        *set = SPECIAL;
    }
    Ok(sets)
}

/// mean(x) over the ordinary tokens of the whole text.
fn mean_activation<E>(text: Text<'_>, passes: &mut dyn Passes<E>) -> Result<Vec<f32>, E> {
    let mut moments = Moments::default();
    for contexts in text.contexts.chunks(text.batch) {
        let x = passes.activations(contexts)?;
        let sets = sets_of(contexts, text, passes)?;
        for (set, x) in sets.iter().zip(x.chunks_exact(x.len() / sets.len().max(1))) {
            if *set == ORDINARY {
                moments.add(x);
            }
        }
    }
    Ok(moments.mean().into_iter().map(|mean| mean as f32).collect())
}
