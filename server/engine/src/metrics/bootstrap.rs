//! The bootstrap over documents (Efron 1979): sums are kept per document, documents are drawn with replacement, and each metric
//! is computed from the sums of what was drawn. A difference of two means comes from the same draws, so it is a paired one.

use api::{Interval, Resampled};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{
    pass::Text,
    sums::{Of, Row, Spreads, spread},
};
use crate::kernel::{Mat, MatMut, par_matmul};

/// Resamples.
const N_RESAMPLES: usize = 1000;
/// The draws are the same in every evaluation of the same number of units.
const SEED: u64 = 0;
/// Units at most. Of more documents, neighbours are drawn together, which is the cautious side where they are alike.
const MOST_UNITS: usize = 4096;
/// Ends of the interval.
const ENDS: [f64; 2] = [0.025, 0.975];

/// Which tokens are drawn together.
#[derive(Debug)]
pub struct Units {
    /// The unit of each token of the text.
    pub of: Vec<u32>,
    /// How many there are.
    pub n: usize,
    /// What they are.
    pub over: Resampled,
}

impl Units {
    /// Those of `text`.
    pub fn new(text: Text<'_>) -> Self {
        let n_ctx = text.contexts.first().map_or(0, |c| c.len());
        let contexts = || (0..text.contexts.len() as u32).flat_map(|index| std::iter::repeat_n(index, n_ctx));
        let (mut of, over) = match text.documents {
            Some(documents) => (documents.to_vec(), Resampled::Documents),
            None => (contexts().collect(), Resampled::Contexts),
        };
        let mut n = of.iter().max().map_or(0, |last| *last as usize + 1);
        if n > MOST_UNITS {
            of.iter_mut()
                .for_each(|unit| *unit = (*unit as usize * MOST_UNITS / n) as u32);
            n = MOST_UNITS;
        }
        Self { of, n, over }
    }
}

/// Σ v [n_units, width] and Σ ‖v‖² [n_units] of some vectors.
#[derive(Clone, Debug)]
pub struct UnitMoments {
    sums: Vec<f64>,
    squares: Vec<f64>,
    width: usize,
}

impl UnitMoments {
    /// Nothing yet.
    pub fn new(n_units: usize, width: usize) -> Self {
        Self {
            sums: vec![0.0; n_units * width],
            squares: vec![0.0; n_units],
            width,
        }
    }

    /// Adds a vector of `unit`.
    pub fn add(&mut self, unit: usize, v: impl Iterator<Item = f64>) {
        let sums = &mut self.sums[unit * self.width..(unit + 1) * self.width];
        let squares = &mut self.squares[unit];
        for (sum, v) in sums.iter_mut().zip(v) {
            *sum += v;
            *squares += v * v;
        }
    }

    /// Σ ‖v − mean(v)‖² of each resample, whose numbers of vectors are `n`.
    fn spreads(&self, draws: &Draws, n: impl Iterator<Item = f64>) -> Vec<f64> {
        let sums = draws.sums(&self.sums, self.width);
        let squares = draws.sums(&self.squares, 1);
        let each = sums.chunks_exact(self.width.max(1)).zip(&squares).zip(n);
        each.map(|((sum, squares), n)| spread(*squares, sum, n)).collect()
    }
}

/// How often each resample has each unit.
#[derive(Debug)]
pub struct Draws {
    /// [n_resamples, n_units].
    counts: Vec<f64>,
    n_units: usize,
}

impl Draws {
    /// Draws among the units for which `counted`: as many as there are, with replacement.
    pub fn new(counted: &[bool]) -> Self {
        let units: Vec<usize> = (0..counted.len()).filter(|unit| counted[*unit]).collect();
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        let mut counts = vec![0.0; N_RESAMPLES * counted.len()];
        for resample in counts.chunks_exact_mut(counted.len().max(1)) {
            for _ in &units {
                resample[units[random.random_range(0..units.len())]] += 1.0;
            }
        }
        Self {
            counts,
            n_units: counted.len(),
        }
    }

    /// Draws as somebody else made them, [n_resamples, n_units].
    #[cfg(test)]
    pub fn given(draws: Vec<Vec<f64>>) -> Self {
        Self {
            n_units: draws[0].len(),
            counts: draws.concat(),
        }
    }

    /// How often any resample has any unit, at most.
    pub fn most(&self) -> f64 {
        self.counts.iter().copied().fold(0.0, f64::max)
    }

    /// Sums [n_resamples, width] of what was drawn from `per_unit` [n_units, width].
    pub fn sums(&self, per_unit: &[f64], width: usize) -> Vec<f64> {
        let n_resamples = self.counts.len() / self.n_units.max(1);
        let mut sums = vec![0.0; n_resamples * width];
        par_matmul(
            MatMut::new(&mut sums, n_resamples, width),
            0.0,
            1.0,
            Mat::new(&self.counts, n_resamples, self.n_units),
            Mat::new(per_unit, self.n_units, width),
        );
        sums
    }

    /// The intervals of [`Row::values`] over `rows`, a row per unit, in the same order: none where a resample does not have
    /// the value. `x` and `errors` are the moments of the activations and of their errors.
    pub fn intervals(&self, rows: &[Row], x: &UnitMoments, errors: &UnitMoments) -> Vec<Option<(f64, f64)>> {
        let rows: Vec<f64> = rows.iter().flat_map(|row| row.0).collect();
        let rows: Vec<Row> = self
            .sums(&rows, Of::COUNT)
            .chunks_exact(Of::COUNT)
            .map(|row| {
                let mut sums = Row::default();
                sums.0.copy_from_slice(row);
                sums
            })
            .collect();
        let n = || rows.iter().map(|row| row[Of::Tokens]);
        let (x_spreads, errors) = (x.spreads(self, n()), errors.spreads(self, n()));
        let mut samples: Vec<Vec<f64>> = Vec::new();
        for ((row, x_spread), error) in rows.iter().zip(x_spreads).zip(errors) {
            let spreads = Spreads {
                x: (x_spread > 0.0).then_some(x_spread),
                error,
            };
            let values = row.values(spreads, x.width, true);
            samples.resize_with(values.len(), Vec::new);
            for (samples, value) in samples.iter_mut().zip(values) {
                samples.extend(value.value);
            }
        }
        let whole = |samples: &mut Vec<f64>| (samples.len() == rows.len()).then(|| percentiles(samples));
        samples.iter_mut().map(whole).collect()
    }
}

/// The 2.5th and the 97.5th percentile, linear between neighbours (numpy's default; Hyndman and Fan's seventh).
pub fn percentiles(samples: &mut [f64]) -> (f64, f64) {
    samples.sort_unstable_by(f64::total_cmp);
    let [low, high] = ENDS.map(|share| {
        let at = share * (samples.len() - 1) as f64;
        let (below, above) = (samples[at as usize], samples[(at as usize + 1).min(samples.len() - 1)]);
        below + at.fract() * (above - below)
    });
    (low, high)
}

/// An interval as it is stored.
pub fn interval((low, high): (f64, f64), over: Resampled, n: usize) -> Interval {
    Interval {
        low,
        high,
        over,
        n: n as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::normal;
    use serde::Deserialize;
    use std::{collections::BTreeMap, path::Path};

    #[derive(Deserialize)]
    struct Golden {
        documents: Vec<Document>,
        draws: Vec<Vec<f64>>,
        intervals: BTreeMap<String, [f64; 2]>,
    }

    #[derive(Deserialize)]
    struct Document {
        x: Vec<Vec<f64>>,
        x_hat: Vec<Vec<f64>>,
        ce_loss_without_sae: Vec<f64>,
        ce_loss_with_sae: Vec<f64>,
        ce_zero: Vec<f64>,
    }

    #[test]
    fn intervals_are_numpys_of_the_same_draws() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/bootstrap/golden.json");
        let golden: Golden = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let (n, d) = (golden.documents.len(), golden.documents[0].x[0].len());
        let (mut x, mut errors) = (UnitMoments::new(n, d), UnitMoments::new(n, d));
        let mut rows = vec![Row::default(); n];
        for (unit, document) in golden.documents.iter().enumerate() {
            for (t, (v, v_hat)) in document.x.iter().zip(&document.x_hat).enumerate() {
                let error = || v.iter().zip(v_hat).map(|(x, y)| x - y);
                x.add(unit, v.iter().copied());
                errors.add(unit, error());
                let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                let row = &mut rows[unit];
                let (squares_in, squares_out) = (product(v, v), product(v_hat, v_hat));
                for (of, value) in [
                    (Of::Tokens, 1.0),
                    (Of::Next, 1.0),
                    (Of::CeModel, document.ce_loss_without_sae[t]),
                    (Of::CeSpliced, document.ce_loss_with_sae[t]),
                    (Of::CeZero, document.ce_zero[t]),
                    (Of::NormIn, squares_in.sqrt()),
                    (Of::NormOut, squares_out.sqrt()),
                    (Of::Norms, (squares_in * squares_out).sqrt()),
                    (Of::SquaresIn, squares_in),
                    (Of::SquaresOut, squares_out),
                    (Of::Product, product(v, v_hat)),
                    (Of::SquaredError, error().map(|e| e * e).sum()),
                ] {
                    row[of] += value;
                }
            }
        }
        let draws = Draws::given(golden.draws);
        let found = draws.intervals(&rows, &x, &errors);
        let names = Row::default().values(Spreads::default(), d, true).map(|value| value.name);
        assert!(golden.intervals.len() > 10);
        for (name, [low, high]) in golden.intervals {
            let index = names.iter().position(|n| *n == name).unwrap();
            let (ours_low, ours_high) = found[index].unwrap();
            for (ours, numpys) in [(ours_low, low), (ours_high, high)] {
                assert!(
                    (ours - numpys).abs() < 1e-9 * numpys.abs().max(1.0),
                    "{name}: {ours}, numpy {numpys}"
                );
            }
        }
    }

    /// Documents of different lengths whose tokens are alike: 95 % intervals have the true mean in about 95 of 100 corpora. (Intervals
    /// over tokens, as if they were independent, would have it in about 45.)
    #[test]
    fn intervals_cover_as_often_as_they_say() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let (n_corpora, n_documents) = (200, 80);
        let draws = Draws::new(&vec![true; n_documents]);
        let (mut n_covered, mut n_by_token) = (0, 0);
        for _ in 0..n_corpora {
            let mut rows = vec![Row::default(); n_documents];
            let mut tokens = Vec::new();
            for row in &mut rows {
                let level = normal(&mut random);
                let n = random.random_range(5..30);
                for _ in 0..n {
                    let value = 2.0 + level + 0.5 * normal(&mut random);
                    row[Of::Tokens] += 1.0;
                    row[Of::Kl] += value;
                    tokens.push(value);
                }
            }
            let none = UnitMoments::new(n_documents, 1);
            let (low, high) = draws.intervals(&rows, &none, &none)[KL].unwrap();
            n_covered += usize::from((low..=high).contains(&2.0));
            let mean = tokens.iter().sum::<f64>() / tokens.len() as f64;
            let variance = tokens.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / tokens.len() as f64;
            n_by_token += usize::from((mean - 2.0).abs() <= 1.96 * (variance / tokens.len() as f64).sqrt());
        }
        let [covered, by_token] = [n_covered, n_by_token].map(|n| f64::from(n as u32) / f64::from(n_corpora));
        // of 200 corpora, 95 % have a standard error of 1.5 %, and percentiles of 80 documents fall a little short
        assert!((0.9..=0.99).contains(&covered), "{covered}");
        assert!(by_token < 0.7, "{by_token}: the test could not tell documents from tokens");
    }

    /// Where of [`Row::values`] the KL is.
    const KL: usize = 9;

    #[test]
    fn a_difference_is_paired() {
        // every document loses just as much, however different they are
        let rows: Vec<Row> = (0..40)
            .map(|document| {
                let mut row = Row::default();
                row[Of::Tokens] = 10.0;
                row[Of::Next] = 10.0;
                row[Of::CeModel] = 10.0 * f64::from(document);
                row[Of::CeSpliced] = 10.0 * (f64::from(document) + 0.25);
                row
            })
            .collect();
        let none = UnitMoments::new(40, 1);
        let values = rows[0].values(Spreads::default(), 1, true);
        let found = Draws::new(&[true; 40]).intervals(&rows, &none, &none);
        let of = |name: &str| found[values.iter().position(|value| value.name == name).unwrap()].unwrap();
        let (low, high) = of("ce_increase");
        assert!((low - 0.25).abs() < 1e-12 && (high - 0.25).abs() < 1e-12, "{low} {high}");
        let (low, high) = of("ce_loss_without_sae");
        assert!(high - low > 1.0, "{low} {high}");
        assert_eq!(values[KL].name, "kl_div_with_sae");
    }

    #[test]
    fn units_are_documents_or_contexts_and_not_too_many() {
        let contexts = vec![&[0_u32, 1, 2, 3][..]; 3000];
        let text = |documents| Text {
            contexts: &contexts,
            special: &[],
            batch: 1,
            documents,
            depth: crate::metrics::Depth::Results,
        };
        let units = Units::new(text(None));
        assert_eq!(
            (units.n, units.over, &units.of[..5]),
            (3000, Resampled::Contexts, &[0, 0, 0, 0, 1][..])
        );
        let documents: Vec<u32> = (0..12_000).collect();
        let units = Units::new(text(Some(&documents)));
        assert_eq!((units.n, units.over), (MOST_UNITS, Resampled::Documents));
        assert!(units.of.is_sorted() && units.of.last() == Some(&(MOST_UNITS as u32 - 1)));
        // what no ordinary token is in is never drawn
        let draws = Draws::new(&[true, false, true]);
        assert!(draws.counts.chunks(3).all(|row| row[1] == 0.0 && row[0] + row[2] == 2.0));
    }
}
