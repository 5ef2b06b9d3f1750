//! Every feature against every label at once: the threshold that tells yes from no best.
//!
//! With P tokens of yes and N of no, J(θ) = TPR − FPR of "c > θ" is Σ over tokens with c > θ of w, where w = 1/P for yes, −1/N for
//! no, 0 where the label is not asked. Balanced accuracy is (1 + J) / 2; where J is below 0, firing says no, and it is (1 − J) / 2.
//! Times P·N, weights and sums are integers, which f64 adds up exactly.

use rayon::prelude::*;

use super::columns::Columns;
use crate::kernel::{add, axpy, simd};

/// Labels that are looked at together.
const LANES: usize = 8;

/// The labels' weights at every token, times P·N.
#[derive(Clone, Debug)]
pub struct Weights {
    /// Labels, filled up to whole lanes.
    width: usize,
    /// [n_tokens, width].
    values: Vec<f64>,
    /// P·N of each label.
    scale: Vec<f64>,
}

impl Weights {
    /// From answers, [label][token].
    pub fn new(answers: &[Vec<Option<bool>>]) -> Self {
        let n_tokens = answers.first().map_or(0, Vec::len);
        let width = answers.len().next_multiple_of(LANES);
        let mut values = vec![0.0; n_tokens * width];
        let mut scale = vec![0.0; width];
        for (label, answers) in answers.iter().enumerate() {
            let count = |wanted: bool| answers.iter().filter(|answer| **answer == Some(wanted)).count() as f64;
            let (yes, no) = (count(true), count(false));
            scale[label] = yes * no;
            for (token, answer) in answers.iter().enumerate() {
                values[token * width + label] = match answer {
                    Some(true) => no,
                    Some(false) => -yes,
                    None => 0.0,
                };
            }
        }
        Self { width, values, scale }
    }

    fn of(&self, token: u32) -> &[f64] {
        &self.values[token as usize * self.width..][..self.width]
    }
}

/// One feature as a reader of one label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    /// |TPR − FPR| at the threshold.
    pub gain: f64,
    /// It fires where its activation is above this.
    pub threshold: f32,
    /// Whether firing says yes.
    pub says_yes: bool,
}

/// Of each feature, its best cut for each label.
pub fn sweep(columns: &Columns, weights: &Weights, n_labels: usize) -> Vec<Vec<Cut>> {
    let of = |column: &Vec<(u32, f32)>| simd(|| one_feature(column, weights, n_labels));
    columns.features.par_iter().map(of).collect()
}

/// The feature with the largest gain for `label`, the first of those that are equal.
///
/// # Panics
/// When there are no features.
pub fn best(cuts: &[Vec<Cut>], label: usize) -> (u32, Cut) {
    let mut best = 0;
    for feature in 1..cuts.len() {
        if cuts[feature][label].gain > cuts[best][label].gain {
            best = feature;
        }
    }
    (best as u32, cuts[best][label])
}

/// The largest and the smallest sum so far, each with its threshold; all [width].
struct Extremes {
    high: Vec<f64>,
    at_high: Vec<f32>,
    low: Vec<f64>,
    at_low: Vec<f32>,
}

impl Extremes {
    #[inline(always)]
    fn consider(&mut self, sums: &[f64], threshold: f32) {
        for (((sum, high), at), (low, at_low)) in sums
            .iter()
            .zip(&mut self.high)
            .zip(&mut self.at_high)
            .zip(self.low.iter_mut().zip(&mut self.at_low))
        {
            let is_high = *sum > *high;
            *high = if is_high { *sum } else { *high };
            *at = if is_high { threshold } else { *at };
            let is_low = *sum < *low;
            *low = if is_low { *sum } else { *low };
            *at_low = if is_low { threshold } else { *at_low };
        }
    }
}

#[inline(always)]
fn one_feature(column: &[(u32, f32)], weights: &Weights, n_labels: usize) -> Vec<Cut> {
    let width = weights.width;
    let mut fired = column.to_vec();
    fired.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut sums = vec![0.0; width];
    let mut extremes = Extremes {
        high: vec![0.0; width],
        at_high: vec![0.0; width],
        low: vec![0.0; width],
        at_low: vec![0.0; width],
    };
    let mut groups = fired.chunk_by(|a, b| a.1 == b.1).peekable();
    let mut is_below_zero = false;
    while let Some(group) = groups.next() {
        let value = group[0].1;
        if value < 0.0 && !is_below_zero {
            is_below_zero = true;
            // the tokens at zero come in between: all weights together are 0, so theirs are those of all others, negated
            for (token, _) in column {
                axpy(&mut sums, -1.0, weights.of(*token));
            }
            extremes.consider(&sums, value);
        }
        for (token, _) in group {
            add(&mut sums, weights.of(*token));
        }
        let next = groups.peek().map(|group| group[0].1);
        let threshold = match next {
            // where all that is left is zero or below, what fires is what is above zero
            _ if value > 0.0 => next.unwrap_or(0.0).max(0.0),
            Some(next) => next,
            None => f32::NEG_INFINITY,
        };
        extremes.consider(&sums, threshold);
    }
    let cut = |label: usize| {
        let scale = weights.scale[label].max(1.0);
        let (high, low) = (extremes.high[label] / scale, -extremes.low[label] / scale);
        let says_yes = high >= low;
        Cut {
            gain: high.max(low),
            threshold: if says_yes {
                extremes.at_high[label]
            } else {
                extremes.at_low[label]
            },
            says_yes,
        }
    };
    (0..n_labels).map(cut).collect()
}
