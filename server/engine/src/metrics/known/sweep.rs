//! Every feature against every label at once: the threshold that tells yes from no best.
//!
//! With P tokens of yes and N of no, J(θ) = TPR − FPR of "c > θ" is Σ over tokens with c > θ of w, where w = 1/P for yes, −1/N for
//! no, 0 where the label is not asked. Balanced accuracy is (1 + J) / 2; where J is below 0, firing says no, and it is (1 − J) / 2.
//! Times P·N, weights and sums are integers, which are added up exactly. Labels go through in blocks that stay in registers.

use rayon::prelude::*;

use super::columns::Columns;
use crate::kernel::simd;

/// Labels that are looked at together.
const LANES: usize = 8;

/// A number per label of a block.
type Lane = [f64; LANES];

/// The labels' weights at every token, times P·N.
#[derive(Clone, Debug)]
pub struct Weights {
    n_labels: usize,
    /// Per block of labels and token. Counts below 2²⁴ are exact in f32.
    blocks: Vec<Vec<[f32; LANES]>>,
    /// P·N of each label, at least 1.
    scale: Vec<f64>,
}

impl Weights {
    /// From answers, [label][token].
    pub fn new(answers: &[Vec<Option<bool>>]) -> Self {
        let n_tokens = answers.first().map_or(0, Vec::len);
        let mut blocks = vec![vec![[0.0; LANES]; n_tokens]; answers.len().div_ceil(LANES)];
        let mut scale = Vec::with_capacity(answers.len());
        for (label, answers) in answers.iter().enumerate() {
            let count = |wanted: bool| answers.iter().filter(|answer| **answer == Some(wanted)).count();
            let (yes, no) = (count(true), count(false));
            scale.push((yes as f64 * no as f64).max(1.0));
            for (row, answer) in blocks[label / LANES].iter_mut().zip(answers) {
                row[label % LANES] = match answer {
                    Some(true) => no as f32,
                    Some(false) => -(yes as f32),
                    None => 0.0,
                };
            }
        }
        Self {
            n_labels: answers.len(),
            blocks,
            scale,
        }
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
pub fn sweep(columns: &Columns, weights: &Weights) -> Vec<Vec<Cut>> {
    let of = |column: &Vec<(u32, f32)>| one_feature(column, weights);
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

fn one_feature(column: &[(u32, f32)], weights: &Weights) -> Vec<Cut> {
    let n_positive = column.partition_point(|(_, value)| *value > 0.0);
    // where to look: behind the last of those that are equal
    let is_last = |at: usize| column.get(at + 1).is_none_or(|next| next.1 != column[at].1);
    let entries: Vec<(u32, bool)> = (0..column.len()).map(|at| (column[at].0, is_last(at))).collect();
    let mut cuts = Vec::with_capacity(weights.n_labels);
    for (block, scale) in weights.blocks.iter().zip(weights.scale.chunks(LANES)) {
        let best = simd(
            #[inline(always)]
            || one_block(&entries, n_positive, block),
        );
        cuts.extend(scale.iter().enumerate().map(|(lane, scale)| {
            let (high, low) = (best.high[lane] / scale, -best.low[lane] / scale);
            let says_yes = high >= low;
            let behind = if says_yes { best.at_high[lane] } else { best.at_low[lane] };
            Cut {
                gain: high.max(low),
                threshold: threshold(column, n_positive, behind),
                says_yes,
            }
        }));
    }
    cuts
}

/// The largest and the smallest sum, and behind how many entries each was found.
struct Extremes {
    high: Lane,
    at_high: Lane,
    low: Lane,
    at_low: Lane,
}

/// Adds up the weights along a column's entries (token, whether to look behind it).
#[inline(always)]
fn one_block(entries: &[(u32, bool)], n_positive: usize, weights: &[[f32; LANES]]) -> Extremes {
    let mut sums = [0.0; LANES];
    let mut found = Extremes {
        high: [0.0; LANES],
        at_high: [0.0; LANES],
        low: [0.0; LANES],
        at_low: [0.0; LANES],
    };
    for (at, (token, is_last)) in entries[..n_positive].iter().enumerate() {
        add(&mut sums, &weights[*token as usize]);
        if *is_last {
            look(&mut found, &sums, (at + 1) as f64);
        }
    }
    if n_positive == entries.len() {
        return found;
    }
    // the tokens at zero come in between: all weights together are 0, so theirs are those of all others, negated
    let mut others = [0.0; LANES];
    for (token, _) in entries {
        add(&mut others, &weights[*token as usize]);
    }
    for (sum, others) in sums.iter_mut().zip(others) {
        *sum -= others;
    }
    look(&mut found, &sums, n_positive as f64 + 0.5);
    for (at, (token, is_last)) in entries.iter().enumerate().skip(n_positive) {
        add(&mut sums, &weights[*token as usize]);
        if *is_last {
            look(&mut found, &sums, (at + 1) as f64);
        }
    }
    found
}

#[inline(always)]
fn add(sums: &mut Lane, weights: &[f32; LANES]) {
    for lane in 0..LANES {
        sums[lane] += f64::from(weights[lane]);
    }
}

#[inline(always)]
fn look(found: &mut Extremes, sums: &Lane, behind: f64) {
    let Extremes {
        high,
        at_high,
        low,
        at_low,
    } = found;
    for lane in 0..LANES {
        let is_high = sums[lane] > high[lane];
        high[lane] = if is_high { sums[lane] } else { high[lane] };
        at_high[lane] = if is_high { behind } else { at_high[lane] };
        let is_low = sums[lane] < low[lane];
        low[lane] = if is_low { sums[lane] } else { low[lane] };
        at_low[lane] = if is_low { behind } else { at_low[lane] };
    }
}

/// The threshold that so many entries are above: the next value below them, where zero is one. A half stands for the zeros
/// between the entries above and below.
fn threshold(column: &[(u32, f32)], n_positive: usize, behind: f64) -> f32 {
    let n = behind as usize;
    let next = column.get(n).map(|(_, value)| *value);
    if n < n_positive || behind > n_positive as f64 {
        next.unwrap_or(f32::NEG_INFINITY)
    } else {
        0.0
    }
}
