//! k-sparse probing of labelled texts (Gurnee et al. 2023; SAEBench's sparse probing): whether a few features, averaged over a text, tell
//! its label. The same of the model's own activations is what they are held against.

use rand::{Rng as _, SeedableRng as _, seq::SliceRandom as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{
    Subject,
    bootstrap::percentiles,
    clean::check_activations,
    logistic::{Linear, Problem, fit},
};
use crate::{
    dictionary::{Back, Scratch, SparseCodes},
    kernel::{PerThread, dot, simd},
    model::{Cut, Model, ModelError, NoHooks, Work},
};
use api::HookPoint;

/// Texts that are encoded together.
const BATCH: usize = 64;
/// Texts of each side in training and in the test, at most: SAEBench's 4,000 and 1,000 of both.
const MOST: [usize; 2] = [2000, 500];
/// Draws of an interval.
const N_DRAWS: usize = 1000;
/// The share of a side that trains where there are fewer.
const TRAIN: f64 = 0.8;

/// Texts as means over their tokens, position 0 and special tokens left out.
#[derive(Clone, Debug, Default)]
pub struct Pooled {
    /// Codes [n_texts, d_sae].
    pub features: Vec<f32>,
    /// Activations [n_texts, width], as the dictionary sees them.
    pub activations: Vec<f32>,
}

/// Reads `texts`, given as tokens. `progress` is told the texts done and wanted and may end it by answering false; then there is nothing.
///
/// # Errors
/// The model's.
pub fn pool(
    model: &Model<f32>,
    at: HookPoint,
    subject: Subject<'_>,
    texts: &[Vec<u32>],
    special: &[u32],
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Option<Pooled>, ModelError> {
    // a transcoder's features are of what it reads
    let at = subject.dictionary.kind().read_at().unwrap_or(at);
    let (d, d_sae) = (model.width(at)?, subject.dictionary.d_sae());
    let (threads, scratch) = (PerThread::<Work<f32>>::new(), Scratch::new());
    let mut pooled = Pooled {
        features: vec![0.0; texts.len() * d_sae],
        activations: vec![0.0; texts.len() * d],
    };
    let mut codes = SparseCodes::default();
    let rows = pooled
        .features
        .chunks_mut(BATCH * d_sae)
        .zip(pooled.activations.chunks_mut(BATCH * d));
    let (mut done, wanted) = (0, texts.len() as u64);
    for (texts, (features, activations)) in texts.chunks(BATCH).zip(rows) {
        let read = |tokens: &Vec<u32>| {
            let mut cut = Cut::default();
            // nothing is known of an empty text: its means are 0
            if tokens.is_empty() {
                return Ok(cut.value);
            }
            threads.with(|work| model.prefix(tokens, at, &mut cut, &mut NoHooks, work))?;
            Ok(cut.value)
        };
        let mut x = texts
            .par_iter()
            .map(read)
            .collect::<Result<Vec<Vec<f32>>, ModelError>>()?
            .concat();
        let tokens = texts.concat();
        check_activations(at, &tokens, &x)?;
        subject.normaliser.apply(&mut x, d, &mut Back::default());
        subject.dictionary.encode_tokens(&tokens, &x, &mut codes, &scratch);
        let mut first = 0;
        let means = features.chunks_exact_mut(d_sae).zip(activations.chunks_exact_mut(d));
        for (tokens, (features, activations)) in texts.iter().zip(means) {
            let counted = |(position, token): &(usize, &u32)| *position > 0 && !special.contains(token);
            let n = tokens.iter().enumerate().filter(counted).count().max(1) as f32;
            for (position, _) in tokens.iter().enumerate().filter(counted) {
                let (ids, values) = codes.row(first + position);
                for (id, value) in ids.iter().zip(values) {
                    features[*id as usize] += value / n;
                }
                let row = &x[(first + position) * d..(first + position + 1) * d];
                activations.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / n);
            }
            first += tokens.len();
        }
        done += texts.len() as u64;
        if !progress(done, wanted) {
            return Ok(None);
        }
    }
    Ok(Some(pooled))
}

/// The accuracies of k-sparse probes.
#[derive(Clone, Debug, PartialEq)]
pub struct Probed {
    /// The mean over labels of the accuracy on texts that were not trained on; each label against as many texts of the others.
    pub accuracy: f64,
    /// Its 95 % interval: from the 2.5th to the 97.5th percentile of 1,000 draws of each label's test texts, with the probes held fixed.
    pub interval: (f64, f64),
    /// Labels that were asked for: of two labels one, as the other is its opposite.
    pub n_labels: usize,
    /// Texts of training and of the test, all labels together.
    pub n_texts: [usize; 2],
}

/// Probes `values` [n_texts, width] for `labels` (below `n_labels`), on the `k` columns whose means differ most. None where no label has
/// two texts on either side.
pub fn probe(values: &[f32], labels: &[usize], n_labels: usize, k: usize, seed: u64) -> Option<Probed> {
    let width = values.len() / labels.len().max(1);
    let asked = if n_labels == 2 { 0..1 } else { 0..n_labels };
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut right, mut n_texts) = (Vec::new(), [0; 2]);
    for label in asked {
        let (mut yes, mut no): (Vec<usize>, Vec<usize>) = (0..labels.len()).partition(|text| labels[*text] == label);
        yes.shuffle(&mut random);
        no.shuffle(&mut random);
        let n = yes.len().min(no.len());
        if n < 2 {
            continue;
        }
        let n_train = ((n as f64 * TRAIN) as usize).clamp(1, MOST[0]);
        let n_test = (n - n_train).min(MOST[1]);
        let part = |from: usize, n: usize| [&yes[from..from + n], &no[from..from + n]].concat();
        let (train, test) = (part(0, n_train), part(n_train, n_test));
        let is_yes: Vec<bool> = labels.iter().map(|l| *l == label).collect();
        right.push(probe_on(values, width, &is_yes, [&train, &test], k).right);
        n_texts = [n_texts[0] + train.len(), n_texts[1] + test.len()];
    }
    (!right.is_empty()).then(|| Probed {
        accuracy: right.iter().map(|right| share(right)).sum::<f64>() / right.len() as f64,
        interval: interval(&right),
        n_labels: right.len(),
        n_texts,
    })
}

/// The share of texts whose label was told.
fn share(right: &[bool]) -> f64 {
    right.iter().filter(|right| **right).count() as f64 / right.len().max(1) as f64
}

/// The interval of the mean over labels of their shares.
fn interval(right: &[Vec<bool>]) -> (f64, f64) {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut draw = || {
        let mut of_label = |right: &Vec<bool>| {
            let n = (0..right.len())
                .filter(|_| right[random.random_range(0..right.len())])
                .count();
            n as f64 / right.len().max(1) as f64
        };
        right.iter().map(&mut of_label).sum::<f64>() / right.len() as f64
    };
    let mut draws: Vec<f64> = (0..N_DRAWS).map(|_| draw()).collect();
    percentiles(&mut draws)
}

/// A probe on a few columns.
struct Found {
    #[cfg_attr(not(test), expect(dead_code, reason = "tests hold them against scikit-learn's"))]
    columns: Vec<usize>,
    #[cfg_attr(not(test), expect(dead_code, reason = "tests hold them against scikit-learn's"))]
    linear: Linear,
    /// Of each test text, whether its label was told.
    right: Vec<bool>,
}

/// Chooses the `k` columns whose means over the training texts differ most (the first of equal ones), fits scikit-learn's
/// `LogisticRegression(C=1)` to them, and scores the test texts.
fn probe_on(values: &[f32], width: usize, yes: &[bool], [train, test]: [&[usize]; 2], k: usize) -> Found {
    let mut difference = vec![0.0; width];
    let n_yes = train.iter().filter(|text| yes[**text]).count() as f64;
    for text in train {
        let part = if yes[*text] {
            1.0 / n_yes
        } else {
            -1.0 / (train.len() as f64 - n_yes)
        };
        let row = &values[text * width..(text + 1) * width];
        difference
            .iter_mut()
            .zip(row)
            .for_each(|(sum, x)| *sum += part * f64::from(*x));
    }
    let mut columns: Vec<usize> = (0..width).collect();
    columns.sort_by(|a, b| difference[*b].abs().total_cmp(&difference[*a].abs()));
    columns.truncate(k);
    let rows = |texts: &[usize]| -> Vec<f64> {
        let row = |text: &usize| {
            columns
                .iter()
                .map(|column| f64::from(values[text * width + column]))
                .collect::<Vec<_>>()
        };
        texts.iter().flat_map(row).collect()
    };
    let n = train.len() as f64;
    let linear = fit(Problem {
        x: &rows(train),
        yes: &train.iter().map(|text| yes[*text]).collect::<Vec<_>>(),
        weights: &vec![1.0 / n; train.len()],
        ridge: 1.0 / n,
    });
    let x = rows(test);
    let says_yes = |x: &[f64]| {
        linear.bias
            + simd(
                #[inline(always)]
                || dot(x, &linear.weights),
            )
            > 0.0
    };
    let right = x
        .chunks_exact(columns.len())
        .zip(test)
        .map(|(x, text)| says_yes(x) == yes[*text]);
    let right = right.collect();
    Found { columns, linear, right }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::path::Path;

    #[derive(Deserialize)]
    struct Golden {
        width: usize,
        values: Vec<f32>,
        yes: Vec<bool>,
        train: Vec<usize>,
        test: Vec<usize>,
        probes: Vec<Probe>,
    }

    #[derive(Deserialize)]
    struct Probe {
        columns: Vec<usize>,
        weights: Vec<f64>,
        bias: f64,
        accuracy: f64,
    }

    #[test]
    fn probes_are_scikit_learns() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/probing/golden.json");
        let golden: Golden = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(golden.probes.len(), 3);
        for probe in golden.probes {
            let k = probe.columns.len();
            let found = probe_on(&golden.values, golden.width, &golden.yes, [&golden.train, &golden.test], k);
            assert_eq!(found.columns, probe.columns);
            let pairs = found
                .linear
                .weights
                .iter()
                .zip(&probe.weights)
                .chain([(&found.linear.bias, &probe.bias)]);
            for (ours, theirs) in pairs {
                assert!(
                    (ours - theirs).abs() < 1e-5 * theirs.abs().max(1.0),
                    "k = {k}: {ours}, scikit-learn {theirs}"
                );
            }
            assert_eq!(share(&found.right), probe.accuracy, "k = {k}");
        }
    }

    #[test]
    fn a_column_that_is_the_label_is_found_and_noise_is_not() {
        let mut random = ChaCha8Rng::seed_from_u64(0);
        let labels: Vec<usize> = (0..600).map(|text| text % 3).collect();
        let row = |label: &usize| {
            let noise = crate::kernel::normal(&mut random) as f32;
            [noise, if *label == 1 { 1.0 } else { 0.0 }, 0.5]
        };
        let values: Vec<f32> = labels.iter().flat_map(row).collect();
        let found = probe(&values, &labels, 3, 1, 0).unwrap();
        // one label has its column; of the two others, that column's being 0 tells each from half of its opposites
        assert!((found.accuracy - (1.0 + 0.75 + 0.75) / 3.0).abs() < 0.05, "{found:?}");
        assert_eq!((found.n_labels, found.n_texts), (3, [960, 240]));
        let noise: Vec<f32> = values.chunks(3).map(|row| row[0]).collect();
        let nothing = probe(&noise, &labels, 3, 1, 0).unwrap();
        assert!((nothing.accuracy - 0.5).abs() < 0.12, "{nothing:?}");
        assert_eq!(probe(&[1.0, 2.0], &[0, 1], 2, 1, 0), None);
        assert_eq!(probe(&values, &labels, 3, 1, 0), Some(found));
    }

    /// The normal approximation of the binomial's, for one label and for the mean of two.
    #[test]
    fn intervals_are_as_wide_as_binomial_ones() {
        let of = |n: usize, n_right: usize| (0..n).map(|i| i < n_right).collect::<Vec<bool>>();
        let variance = |n: f64, p: f64| p * (1.0 - p) / n;
        for (right, mean, variance) in [
            (vec![of(400, 300)], 0.75, variance(400.0, 0.75)),
            (
                vec![of(400, 300), of(100, 60)],
                0.675,
                (variance(400.0, 0.75) + variance(100.0, 0.6)) / 4.0,
            ),
        ] {
            let (low, high) = interval(&right);
            let wanted = 1.96 * variance.sqrt();
            for side in [mean - low, high - mean] {
                assert!((side / wanted - 1.0).abs() < 0.12, "{side}, {wanted}");
            }
        }
        assert_eq!(interval(&[of(30, 30)]), (1.0, 1.0));
    }
}
