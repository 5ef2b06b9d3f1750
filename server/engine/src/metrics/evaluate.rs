//! One pass over text that measures any number of dictionaries at one hook point.

use api::{HookPoint, Measurement, Site, TokenSet};
use rayon::prelude::*;

use super::{
    logits::{self, Compared},
    sums::{Moments, NO_VARIANCE, PointSums, Sums},
};
use crate::{
    dictionary::{Dictionary, Path, Scratch, SparseCodes},
    kernel::{PerThread, scale, simd, sum_squares},
    model::{Cut, Hooks, Model, ModelError, NoHooks, Work},
};

const SETS: [TokenSet; 3] = [TokenSet::Ordinary, TokenSet::PositionZero, TokenSet::Special];

/// A dictionary to be measured; it sees `scale · x`.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The dictionary.
    pub dictionary: &'a Dictionary<f32>,
    /// Its input's scale.
    pub scale: f64,
}

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

/// Keeps the activations at some points, one [n_tokens, d_model] per point.
#[derive(Debug, Default)]
struct Keep {
    points: Vec<HookPoint>,
    values: Vec<Vec<f32>>,
}

impl Hooks<f32> for Keep {
    fn at(&mut self, point: HookPoint, value: &mut [f32]) {
        if let Some(i) = self.points.iter().position(|p| *p == point) {
            self.values[i].clear();
            self.values[i].extend_from_slice(value);
        }
    }
}

/// Σ (spliced − clean)² per token at some points.
struct Errors<'a> {
    clean: &'a Keep,
    per_token: &'a mut [Vec<f64>],
    n_tokens: usize,
}

impl Hooks<f32> for Errors<'_> {
    fn at(&mut self, point: HookPoint, value: &mut [f32]) {
        let Some(i) = self.clean.points.iter().position(|p| *p == point) else {
            return;
        };
        let d = value.len() / self.n_tokens;
        squared_errors(&self.clean.values[i], value, d, &mut self.per_token[i + 1]);
    }
}

fn squared_errors(x: &[f32], y: &[f32], d: usize, out: &mut Vec<f64>) {
    out.clear();
    simd(|| {
        out.extend(x.chunks_exact(d).zip(y.chunks_exact(d)).map(|(x, y)| {
            let mut lanes = [0f32; 16];
            for (x, y) in x.chunks(16).zip(y.chunks(16)) {
                for ((x, y), lane) in x.iter().zip(y).zip(&mut lanes) {
                    *lane += (*x - *y) * (*x - *y);
                }
            }
            lanes.iter().map(|l| f64::from(*l)).sum::<f64>()
        }));
    });
}

/// What one context gave for one dictionary.
#[derive(Debug, Default)]
struct Answer {
    compared: Compared,
    /// Per point (the dictionary's own first) and token.
    squared_errors: Vec<Vec<f64>>,
}

#[derive(Debug, Default)]
struct Slot {
    cut: Cut<f32>,
    kept: Keep,
    answers: Vec<Answer>,
}

#[derive(Default)]
struct Thread {
    work: Work<f32>,
    clean: Vec<f32>,
    spliced: Vec<f32>,
    logits: logits::Scratch,
}

/// Measures `subjects` at `at`. `progress` is told the tokens done and wanted and may end the pass by answering false; what
/// was measured until then is given.
///
/// # Errors
/// The model's.
pub fn evaluate(
    model: &Model<f32>,
    at: HookPoint,
    subjects: &[Subject<'_>],
    text: Text<'_>,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Vec<Vec<Measurement>>, ModelError> {
    let n_ctx = text.contexts.first().map_or(0, |c| c.len());
    let mut totals = Totals::new(model, at, subjects)?;
    let mut slots: Vec<Slot> = Vec::new();
    let threads = PerThread::<Thread>::new();
    let scratch = Scratch::new();
    let mut done = 0;
    for contexts in text.contexts.chunks(text.batch) {
        slots.resize_with(contexts.len(), Slot::default);
        slots.par_iter_mut().zip(contexts).try_for_each(|(slot, tokens)| {
            threads.with(|t| model.prefix(tokens, at, &mut slot.cut, &mut NoHooks, &mut t.work))
        })?;
        let x: Vec<f32> = slots.iter().flat_map(|s| s.cut.value.iter().copied()).collect();
        let outputs: Vec<(SparseCodes<f32>, Vec<f32>)> = subjects.iter().map(|s| output(s, &x, &scratch)).collect();
        let (later, width) = (&totals.at[1..], totals.widths[0]);
        slots
            .par_iter_mut()
            .zip(contexts)
            .enumerate()
            .try_for_each(|(index, (slot, tokens))| {
                let range = index * n_ctx * width..(index + 1) * n_ctx * width;
                threads.with(|t| {
                    context(
                        model,
                        slot,
                        tokens,
                        later,
                        outputs.iter().map(|(_, x_hat)| &x_hat[range.clone()]),
                        t,
                    )
                })
            })?;
        totals.add(&slots, contexts, &x, &outputs, text.special);
        done += contexts.len();
        if !progress((done * n_ctx) as u64, (text.contexts.len() * n_ctx) as u64) {
            break;
        }
    }
    Ok(totals.measurements())
}

fn output(subject: &Subject<'_>, x: &[f32], scratch: &Scratch<f32>) -> (SparseCodes<f32>, Vec<f32>) {
    let mut codes = SparseCodes::default();
    let mut scaled = x.to_vec();
    if subject.scale != 1.0 {
        scale(&mut scaled, subject.scale as f32);
    }
    subject.dictionary.encode(&scaled, &mut codes, scratch);
    let mut x_hat = scaled;
    subject.dictionary.decode(&codes, &mut x_hat, Path::default(), scratch);
    if subject.scale != 1.0 {
        scale(&mut x_hat, (1.0 / subject.scale) as f32);
    }
    (codes, x_hat)
}

/// The clean pass of one context, and the spliced pass of each dictionary.
fn context<'a>(
    model: &Model<f32>,
    slot: &mut Slot,
    tokens: &[u32],
    later: &[HookPoint],
    outputs: impl ExactSizeIterator<Item = &'a [f32]>,
    t: &mut Thread,
) -> Result<(), ModelError> {
    let Slot { cut, kept, answers } = slot;
    kept.points = later.to_vec();
    kept.values.resize_with(later.len(), Vec::new);
    answers.resize_with(outputs.len(), Answer::default);
    model.suffix(cut, &cut.value, &mut t.clean, kept, None, &mut t.work)?;
    for (x_hat, answer) in outputs.zip(answers) {
        answer.squared_errors.resize_with(later.len() + 1, Vec::new);
        squared_errors(
            &cut.value,
            x_hat,
            cut.value.len() / tokens.len(),
            &mut answer.squared_errors[0],
        );
        let mut errors = Errors {
            clean: kept,
            per_token: &mut answer.squared_errors,
            n_tokens: tokens.len(),
        };
        model.suffix(cut, x_hat, &mut t.spliced, &mut errors, None, &mut t.work)?;
        logits::compare(model, tokens, &t.clean, &t.spliced, &mut t.logits, &mut answer.compared);
    }
    Ok(())
}

/// Everything summed up so far.
struct Totals {
    /// The dictionary's point, then every later block's input and the last block's output.
    at: Vec<HookPoint>,
    widths: Vec<usize>,
    /// Per set of tokens and point.
    moments: Vec<Vec<Moments>>,
    /// Per dictionary and set of tokens.
    sums: Vec<[Sums; 3]>,
    /// Per dictionary and feature: firings on ordinary tokens.
    firings: Vec<Vec<u32>>,
}

impl Totals {
    fn new(model: &Model<f32>, at: HookPoint, subjects: &[Subject<'_>]) -> Result<Self, ModelError> {
        let n_layers = model.facts().n_layers;
        let mut points = vec![at];
        points.extend((at.next_block()..n_layers).map(HookPoint::resid_pre));
        let last = HookPoint::block(n_layers - 1, Site::ResidPost);
        if at < last {
            points.push(last);
        }
        let widths = points.iter().map(|p| model.width(*p)).collect::<Result<Vec<_>, _>>()?;
        let sums = Sums {
            points: vec![PointSums::default(); points.len()],
            ..Sums::default()
        };
        Ok(Self {
            moments: vec![vec![Moments::default(); points.len()]; SETS.len()],
            sums: vec![[sums.clone(), sums.clone(), sums]; subjects.len()],
            firings: subjects.iter().map(|s| vec![0; s.dictionary.d_sae()]).collect(),
            at: points,
            widths,
        })
    }

    fn add(&mut self, slots: &[Slot], contexts: &[&[u32]], x: &[f32], outputs: &[(SparseCodes<f32>, Vec<f32>)], special: &[u32]) {
        let n_ctx = contexts[0].len();
        let set = |position: usize, token: u32| match (position, special.contains(&token)) {
            (0, _) => 1,
            (_, true) => 2,
            _ => 0,
        };
        let sets: Vec<usize> = contexts
            .iter()
            .flat_map(|c| c.iter().enumerate().map(|(i, t)| set(i, *t)))
            .collect();
        let Self {
            widths,
            moments,
            sums,
            firings,
            ..
        } = self;
        // each point's activations once, for all dictionaries: the moments, and the distance to this batch's mean
        let clean = |point: usize, t: usize| -> &[f32] {
            let d = widths[point];
            match point {
                0 => &x[t * d..(t + 1) * d],
                _ => &slots[t / n_ctx].kept.values[point - 1][t % n_ctx * d..(t % n_ctx + 1) * d],
            }
        };
        let distances: Vec<Vec<Option<f64>>> = (0..widths.len())
            .into_par_iter()
            .map(|p| distances(&sets, |t| clean(p, t)))
            .collect();
        for (t, set) in sets.iter().enumerate() {
            for (point, moments) in moments[*set].iter_mut().enumerate() {
                moments.add(clean(point, t));
            }
        }
        sums.par_iter_mut()
            .zip(firings)
            .zip(outputs)
            .enumerate()
            .for_each(|(k, ((sums, firings), (codes, x_hat)))| {
                let d = widths[0];
                let swapped = self::distances(&sets, |t| &x_hat[t * d..(t + 1) * d]);
                for (t, set) in sets.iter().enumerate() {
                    let answer = &slots[t / n_ctx].answers[k];
                    let i = t % n_ctx;
                    let (ids, values) = codes.row(t);
                    let sums = &mut sums[*set];
                    sums.n += 1;
                    sums.l0 += ids.len() as u64;
                    sums.l1 += values.iter().map(|v| f64::from(*v)).sum::<f64>();
                    if *set == 0 {
                        ids.iter().for_each(|id| firings[*id as usize] += 1);
                    }
                    if i + 1 < n_ctx {
                        sums.n_next += 1;
                        sums.ce_model += f64::from(answer.compared.ce_model[i]);
                        sums.ce_spliced += f64::from(answer.compared.ce_spliced[i]);
                    }
                    sums.kl += answer.compared.kl[i];
                    let norm = |v: &[f32]| f64::from(sum_squares(v)).sqrt();
                    sums.norm_ratio += norm(&x_hat[t * d..(t + 1) * d]) / norm(clean(0, t)).max(1e-12);
                    sums.swapped.add_explained(answer.squared_errors[0][i], swapped[t]);
                    for (p, point) in sums.points.iter_mut().enumerate() {
                        point.squared_error += answer.squared_errors[p][i];
                        point.per_token.add_explained(answer.squared_errors[p][i], distances[p][t]);
                    }
                }
            });
    }

    fn measurements(&self) -> Vec<Vec<Measurement>> {
        let per_dictionary = self.sums.iter().zip(&self.firings).map(|(sums, firings)| {
            let at_least = |n: u32| firings.iter().filter(|f| **f >= n).count() as u64;
            let per_set = SETS.iter().enumerate().flat_map(|(s, set)| {
                let variances: Vec<_> = self.moments[s].iter().map(Moments::variance).collect();
                let alive = (*set == TokenSet::Ordinary).then(|| (at_least(1), at_least(10)));
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
