//! One pass over text that measures any number of dictionaries at one hook point, on the processor.

use api::HookPoint;
use rayon::prelude::*;

use super::{
    firings::Firings,
    logits::{self, Compared},
    mask::{Mask, close_up, spread},
    pass::{Answer, Batch, Evaluated, Passes, Text, measure, points},
};
use crate::{
    dictionary::{Back, Dictionary, Normaliser, Path, Scratch, SparseCodes},
    kernel::{PerThread, simd},
    model::{Cut, Hooks, Model, ModelError, NoHooks, Work},
};

/// A dictionary to be measured.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The dictionary.
    pub dictionary: &'a Dictionary<f32>,
    /// How it sees activations.
    pub normaliser: Normaliser,
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
struct Spliced {
    compared: Compared,
    /// Per point (the dictionary's own first) and token.
    squared_errors: Vec<Vec<f64>>,
}

#[derive(Debug, Default)]
struct Slot {
    cut: Cut<f32>,
    /// What transcoders read.
    read: Keep,
    kept: Keep,
    spliced: Vec<Spliced>,
    ablated: Vec<Compared>,
}

#[derive(Default)]
struct Thread {
    work: Work<f32>,
    clean: Vec<f32>,
    /// The inputs of the unembedding, per dictionary and then per ablation.
    spliced: Vec<Vec<f32>>,
    /// An ablation's activations.
    ablated: Vec<f32>,
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
) -> Result<Vec<Evaluated>, ModelError> {
    let d_sae: Vec<usize> = subjects.iter().map(|s| s.dictionary.d_sae()).collect();
    measure(model, at, &d_sae, text, progress, &mut Processor::new(model, at, subjects))
}

/// What computes the batches on the processor; its memory is kept from batch to batch.
pub struct Processor<'a> {
    model: &'a Model<f32>,
    at: HookPoint,
    subjects: &'a [Subject<'a>],
    points: Vec<HookPoint>,
    /// Which tokens are left out.
    mask: Option<Mask>,
    /// Where transcoders read.
    reading: Vec<HookPoint>,
    slots: Vec<Slot>,
    threads: PerThread<Thread>,
    scratch: Scratch<f32>,
}

impl<'a> Processor<'a> {
    /// For dictionaries at `at`, which the model has.
    pub fn new(model: &'a Model<f32>, at: HookPoint, subjects: &'a [Subject<'a>]) -> Self {
        let mut reading: Vec<HookPoint> = subjects.iter().filter_map(|s| s.dictionary.kind().read_at()).collect();
        reading.sort_unstable();
        reading.dedup();
        Self {
            model,
            at,
            subjects,
            reading,
            points: points(model, at),
            mask: None,
            slots: Vec::new(),
            threads: PerThread::new(),
            scratch: Scratch::new(),
        }
    }
}

impl<E: From<ModelError>> Passes<E> for Processor<'_> {
    fn leave_out(&mut self, mask: Mask) {
        self.mask = Some(mask);
    }

    fn mask(&self) -> Option<&Mask> {
        self.mask.as_ref()
    }

    fn activations(&mut self, contexts: &[&[u32]]) -> Result<Vec<f32>, E> {
        Ok(self.prefix(contexts)?)
    }

    fn batch(&mut self, contexts: &[&[u32]], units: &[Option<u32>], ablations: &[Vec<f32>]) -> Result<Batch, E> {
        Ok(self.all(contexts, units, ablations)?)
    }
}

impl Processor<'_> {
    /// The activations at the hook point, of which cuts are kept.
    fn prefix(&mut self, contexts: &[&[u32]]) -> Result<Vec<f32>, ModelError> {
        let (model, at, threads, reading) = (self.model, self.at, &self.threads, &self.reading);
        self.slots.resize_with(contexts.len(), Slot::default);
        self.slots.par_iter_mut().zip(contexts).try_for_each(|(slot, tokens)| {
            slot.read.points.clone_from(reading);
            slot.read.values.resize_with(reading.len(), Vec::new);
            threads.with(|t| model.prefix(tokens, at, &mut slot.cut, &mut slot.read, &mut t.work))
        })?;
        Ok(self.slots.iter().flat_map(|s| s.cut.value.iter().copied()).collect())
    }

    fn all(&mut self, contexts: &[&[u32]], units: &[Option<u32>], ablations: &[Vec<f32>]) -> Result<Batch, ModelError> {
        let x = self.prefix(contexts)?;
        let Self {
            model,
            subjects,
            points,
            mask,
            reading,
            slots,
            threads,
            scratch,
            ..
        } = self;
        let later = &points[1..];
        let read = |k: usize| -> Vec<f32> { slots.iter().flat_map(|s| s.read.values[k].iter().copied()).collect() };
        let inputs: Vec<Vec<f32>> = (0..reading.len()).map(read).collect();
        let input = |s: &Subject<'_>| {
            let read_at = s.dictionary.kind().read_at();
            let k = reading.iter().position(|point| Some(*point) == read_at);
            k.map_or(&x[..], |k| &inputs[k])
        };
        let tokens = contexts.concat();
        let mut outputs: Vec<(SparseCodes<f32>, Vec<f32>)> =
            subjects.iter().map(|s| output(s, &tokens, input(s), scratch)).collect();
        if let Some(mask) = mask {
            let left_out: Vec<bool> = mask.kept(&tokens, &x).into_iter().map(|kept| !kept).collect();
            let mut own = x.clone();
            close_up(&mut own, &left_out);
            outputs.iter_mut().for_each(|(_, x_hat)| spread(&own, &left_out, x_hat));
        }
        slots
            .par_iter_mut()
            .zip(contexts)
            .enumerate()
            .try_for_each(|(index, (slot, tokens))| {
                let n = slot.cut.value.len();
                let outputs = outputs.iter().map(|(_, x_hat)| &x_hat[index * n..(index + 1) * n]);
                threads.with(|t| context(model, slot, tokens, later, outputs, ablations, t))
            })?;
        let slots = &*slots;
        let mut clean = vec![x];
        clean.par_extend((0..later.len()).into_par_iter().map(|p| {
            let values = slots.iter().flat_map(|slot| slot.kept.values[p].iter().copied());
            values.collect::<Vec<f32>>()
        }));
        let answers = outputs
            .into_par_iter()
            .zip(*subjects)
            .enumerate()
            .map(|(k, ((codes, x_hat), subject))| {
                let mut answer = of_codes(&codes, subject.dictionary.d_sae(), units);
                answer.x_hat = x_hat;
                answer.squared_errors.resize_with(points.len(), Vec::new);
                for spliced in slots.iter().map(|slot| &slot.spliced[k]) {
                    answer.compared.extend(&spliced.compared);
                    for (all, some) in answer.squared_errors.iter_mut().zip(&spliced.squared_errors) {
                        all.extend_from_slice(some);
                    }
                }
                answer
            })
            .collect();
        let ablated = |index: usize| {
            let mut all = Compared::default();
            slots.iter().for_each(|slot| all.extend(&slot.ablated[index]));
            all
        };
        Ok(Batch {
            clean,
            answers,
            ablations: (0..ablations.len()).map(ablated).collect(),
        })
    }
}

/// What an answer says of the codes alone.
fn of_codes(codes: &SparseCodes<f32>, d_sae: usize, units: &[Option<u32>]) -> Answer {
    let rows = || (0..units.len()).map(|t| codes.row(t));
    Answer {
        firings: Firings::of_tokens(units.iter().copied().zip(rows().map(|(ids, _)| ids)), d_sae),
        l0: rows().map(|(ids, _)| ids.len() as u32).collect(),
        // the signed baselines have codes below 0
        l1: rows()
            .map(|(_, values)| values.iter().map(|v| f64::from(v.abs())).sum())
            .collect(),
        ..Answer::default()
    }
}

fn output(subject: &Subject<'_>, tokens: &[u32], x: &[f32], scratch: &Scratch<f32>) -> (SparseCodes<f32>, Vec<f32>) {
    let mut codes = SparseCodes::default();
    let (mut seen, mut back) = (x.to_vec(), Back::default());
    subject.normaliser.apply(&mut seen, subject.dictionary.d_in(), &mut back);
    subject.dictionary.encode_tokens(tokens, &seen, &mut codes, scratch);
    let n_tokens = x.len() / subject.dictionary.d_in();
    let mut x_hat = vec![0.0; n_tokens * subject.dictionary.d_out()];
    subject
        .dictionary
        .reconstruct(&codes, &seen, &mut x_hat, Path::default(), scratch);
    back.output(&mut x_hat);
    (codes, x_hat)
}

/// The clean pass of one context, the spliced pass of each dictionary, and one for each ablation.
fn context<'a>(
    model: &Model<f32>,
    slot: &mut Slot,
    tokens: &[u32],
    later: &[HookPoint],
    outputs: impl ExactSizeIterator<Item = &'a [f32]>,
    ablations: &[Vec<f32>],
    t: &mut Thread,
) -> Result<(), ModelError> {
    let Slot {
        cut,
        kept,
        spliced,
        ablated,
        ..
    } = slot;
    kept.points = later.to_vec();
    kept.values.resize_with(later.len(), Vec::new);
    spliced.resize_with(outputs.len(), Spliced::default);
    ablated.resize_with(ablations.len(), Compared::default);
    t.spliced.resize_with(outputs.len() + ablations.len(), Vec::new);
    model.suffix(cut, &cut.value, &mut t.clean, kept, None, &mut t.work)?;
    let (of_dictionaries, of_ablations) = t.spliced.split_at_mut(outputs.len());
    for ((x_hat, answer), out) in outputs.zip(&mut *spliced).zip(of_dictionaries) {
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
        model.suffix(cut, x_hat, out, &mut errors, None, &mut t.work)?;
    }
    for (vector, out) in ablations.iter().zip(of_ablations) {
        t.ablated.clear();
        (0..tokens.len()).for_each(|_| t.ablated.extend_from_slice(vector));
        model.suffix(cut, &t.ablated, out, &mut NoHooks, None, &mut t.work)?;
    }
    let outs = spliced.iter_mut().map(|spliced| &mut spliced.compared).chain(ablated);
    let pairs = t.spliced.iter().map(Vec::as_slice).zip(outs);
    logits::compare(model, tokens, &t.clean, pairs, &mut t.logits);
    Ok(())
}
