//! What is computed from a batch, whoever computes it, and the sums over all batches that the metrics are made of.

use api::{HookPoint, Measurement, Site, TokenSet};
use rayon::prelude::*;

use super::{
    logits::Compared,
    sums::{Moments, NO_VARIANCE, PointSums, Sums},
};
use crate::{
    kernel::sum_squares,
    model::{Model, ModelError},
};

const SETS: [TokenSet; 3] = [TokenSet::Ordinary, TokenSet::PositionZero, TokenSet::Special];
/// The first of them.
const ORDINARY: usize = 0;

/// The text to measure on.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// Its contexts, all of one length.
    pub contexts: &'a [&'a [u32]],
    /// Special tokens' ids, which the metrics leave out.
    pub special: &'a [u32],
    /// Contexts per batch.
    pub batch: usize,
}

/// What one batch of contexts gave. Tokens are numbered through all its contexts.
#[derive(Debug, Default)]
pub struct Batch {
    /// The clean activations [n_tokens, width] at each of [`points`].
    pub clean: Vec<Vec<f32>>,
    /// Per dictionary.
    pub answers: Vec<Answer>,
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
    /// Per feature: on how many ordinary tokens it fired.
    pub firings: Vec<u32>,
    /// Per point of [`points`] and token: ‖spliced − clean‖².
    pub squared_errors: Vec<Vec<f64>>,
    /// Per token: cross-entropies and KL.
    pub compared: Compared,
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

/// What computes a batch: it gets the contexts and, per token, whether it is an ordinary one.
pub type Compute<'a, E> = dyn FnMut(&[&[u32]], &[bool]) -> Result<Batch, E> + 'a;

/// Measures dictionaries of `d_sae` features each at `at`, with `compute` for the batches. `progress` is told the tokens
/// done and wanted and may end the pass by answering false; what was measured until then is given.
///
/// # Errors
/// When the model has no such point, and whatever `compute` fails with.
pub fn measure<E: From<ModelError>>(
    model: &Model<f32>,
    at: HookPoint,
    d_sae: &[usize],
    text: Text<'_>,
    progress: &mut dyn FnMut(u64, u64) -> bool,
    compute: &mut Compute<'_, E>,
) -> Result<Vec<Vec<Measurement>>, E> {
    let n_ctx = text.contexts.first().map_or(0, |c| c.len());
    let mut totals = Totals::new(model, at, d_sae)?;
    let mut done = 0;
    for contexts in text.contexts.chunks(text.batch) {
        let sets = sets(contexts, text.special);
        let ordinary: Vec<bool> = sets.iter().map(|set| *set == ORDINARY).collect();
        totals.add(&compute(contexts, &ordinary)?, &sets, n_ctx);
        done += contexts.len();
        if !progress((done * n_ctx) as u64, (text.contexts.len() * n_ctx) as u64) {
            break;
        }
    }
    Ok(totals.measurements())
}

/// Which of [`SETS`] each token belongs to.
fn sets(contexts: &[&[u32]], special: &[u32]) -> Vec<usize> {
    let set = |position: usize, token: u32| match (position, special.contains(&token)) {
        (0, _) => 1,
        (_, true) => 2,
        _ => ORDINARY,
    };
    let of = |context: &&[u32]| -> Vec<usize> { context.iter().enumerate().map(|(i, t)| set(i, *t)).collect() };
    contexts.iter().flat_map(of).collect()
}

/// Everything summed up so far.
struct Totals {
    at: Vec<HookPoint>,
    widths: Vec<usize>,
    /// Per point and set of tokens.
    moments: Vec<[Moments; 3]>,
    /// Per dictionary and set of tokens.
    sums: Vec<[Sums; 3]>,
    /// Per dictionary and feature: firings on ordinary tokens.
    firings: Vec<Vec<u32>>,
}

impl Totals {
    fn new(model: &Model<f32>, at: HookPoint, d_sae: &[usize]) -> Result<Self, ModelError> {
        model.width(at)?;
        let points = points(model, at);
        let widths = points.iter().map(|p| model.width(*p)).collect::<Result<Vec<_>, _>>()?;
        let sums = Sums {
            points: vec![PointSums::default(); points.len()],
            ..Sums::default()
        };
        Ok(Self {
            moments: vec![Default::default(); points.len()],
            sums: vec![[sums.clone(), sums.clone(), sums]; d_sae.len()],
            firings: d_sae.iter().map(|n| vec![0; *n]).collect(),
            at: points,
            widths,
        })
    }

    fn add(&mut self, batch: &Batch, sets: &[usize], n_ctx: usize) {
        let Self {
            widths,
            moments,
            sums,
            firings,
            ..
        } = self;
        let clean = |point: usize, t: usize| -> &[f32] { &batch.clean[point][t * widths[point]..(t + 1) * widths[point]] };
        // each point's activations once, for all dictionaries: the moments, and the distance to this batch's mean
        let distances: Vec<Vec<Option<f64>>> = moments
            .par_iter_mut()
            .enumerate()
            .map(|(point, moments)| {
                for (t, set) in sets.iter().enumerate() {
                    moments[*set].add(clean(point, t));
                }
                distances(sets, |t| clean(point, t))
            })
            .collect();
        let dictionaries = sums.par_iter_mut().zip(firings).zip(&batch.answers);
        dictionaries.for_each(|((sums, firings), answer)| {
            firings.iter_mut().zip(&answer.firings).for_each(|(sum, n)| *sum += n);
            let d = widths[0];
            let x_hat = |t: usize| &answer.x_hat[t * d..(t + 1) * d];
            let swapped = self::distances(sets, x_hat);
            for (t, set) in sets.iter().enumerate() {
                let sums = &mut sums[*set];
                sums.n += 1;
                sums.l0 += u64::from(answer.l0[t]);
                sums.l1 += answer.l1[t];
                if t % n_ctx + 1 < n_ctx {
                    sums.n_next += 1;
                    sums.ce_model += f64::from(answer.compared.ce_model[t]);
                    sums.ce_spliced += f64::from(answer.compared.ce_spliced[t]);
                }
                sums.kl += answer.compared.kl[t];
                let norm = |v: &[f32]| f64::from(sum_squares(v)).sqrt();
                sums.norm_ratio += norm(x_hat(t)) / norm(clean(0, t)).max(1e-12);
                sums.swapped.add_explained(answer.squared_errors[0][t], swapped[t]);
                for (p, point) in sums.points.iter_mut().enumerate() {
                    point.squared_error += answer.squared_errors[p][t];
                    point.per_token.add_explained(answer.squared_errors[p][t], distances[p][t]);
                }
            }
        });
    }

    fn measurements(&self) -> Vec<Vec<Measurement>> {
        let per_dictionary = self.sums.iter().zip(&self.firings).map(|(sums, firings)| {
            let at_least = |n: u32| firings.iter().filter(|f| **f >= n).count() as u64;
            let per_set = SETS.iter().enumerate().flat_map(|(s, set)| {
                let variances: Vec<_> = self.moments.iter().map(|moments| moments[s].variance()).collect();
                let alive = (s == ORDINARY).then(|| (at_least(1), at_least(10)));
                sums[s].measurements(*set, &self.at, &self.widths, &variances, alive)
            });
            per_set.collect()
        });
        per_dictionary.collect()
    }
}

/// ‖v_t − mean(v)‖² of every token, the mean over the batch's tokens of the same set; none where that is only rounding.
fn distances<'a>(sets: &[usize], v: impl Fn(usize) -> &'a [f32]) -> Vec<Option<f64>> {
    let mut moments = vec![Moments::default(); SETS.len()];
    for (t, set) in sets.iter().enumerate() {
        moments[*set].add(v(t));
    }
    let means: Vec<Vec<f64>> = moments.iter().map(Moments::mean).collect();
    let distance = |(t, set): (usize, &usize)| {
        let distance: f64 = v(t)
            .iter()
            .zip(&means[*set])
            .map(|(v, mean)| (f64::from(*v) - mean).powi(2))
            .sum();
        (distance > NO_VARIANCE * f64::from(sum_squares(v(t)))).then_some(distance)
    };
    sets.iter().enumerate().map(distance).collect()
}
