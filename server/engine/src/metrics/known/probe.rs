//! Linear probes of a label: on the activations themselves, and on a few features. Both are logistic regressions with balanced
//! classes ([`super::logistic`]) on inputs scaled to variance 1 over them.

use super::{
    columns::Columns,
    logistic::{Linear, Problem, RIDGE, fit},
    outcome::Scores,
};

/// Tokens of each class that a probe on activations is fitted to, at most: enough for some hundred weights.
const MOST_PER_CLASS: usize = 4096;

/// A probe on activations `x` [n_tokens, d], fitted to the tokens with an answer: all, or evenly chosen ones where there are many.
pub fn on_activations(x: &[f32], d: usize, answers: &[Option<bool>]) -> Linear {
    let of = |wanted: bool| {
        let tokens: Vec<usize> = (0..answers.len()).filter(|token| answers[*token] == Some(wanted)).collect();
        evenly(&tokens)
    };
    let (yes, no) = (of(true), of(false));
    let tokens = || yes.iter().chain(&no);
    let weights: Vec<f64> = class_weights(yes.len(), no.len());
    let mut rows: Vec<f64> = Vec::with_capacity(weights.len() * d);
    for token in tokens() {
        rows.extend(x[token * d..(token + 1) * d].iter().map(|x| f64::from(*x)));
    }
    let is_yes: Vec<bool> = (0..weights.len()).map(|row| row < yes.len()).collect();
    fit_scaled(&mut rows, d, &is_yes, &weights)
}

/// z of every token of `x` [n_tokens, d].
pub fn read_activations(probe: &Linear, x: &[f32]) -> Scores {
    let z = |row: &[f32]| {
        let sum: f64 = row.iter().zip(&probe.weights).map(|(x, w)| f64::from(*x) * w).sum();
        sum + probe.bias
    };
    let rows = x.chunks_exact(probe.weights.len()).enumerate();
    Scores {
        rest: probe.bias,
        others: rows.map(|(token, row)| (token as u32, z(row))).collect(),
    }
}

/// A probe on the activations of `features`, fitted to the tokens with an answer. Tokens on which none of them fires are alike, and
/// are one row for yes and one for no, which weigh as much as they all do.
pub fn on_features(features: &[u32], columns: &Columns, answers: &[Option<bool>]) -> Linear {
    let count = |wanted: bool| answers.iter().filter(|answer| **answer == Some(wanted)).count();
    let (n_yes, n_no) = (count(true), count(false));
    let each = |yes: bool| 0.5 / (if yes { n_yes } else { n_no }).max(1) as f64;
    let d = features.len();
    let (mut rows, mut is_yes, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = [n_yes, n_no];
    for of_token in fired(features, columns).chunk_by(|a, b| a.0 == b.0) {
        let Some(yes) = answers[of_token[0].0 as usize] else {
            continue;
        };
        let start = rows.len();
        rows.resize(start + d, 0.0);
        for (_, slot, value) in of_token {
            rows[start + slot] = *value;
        }
        is_yes.push(yes);
        weights.push(each(yes));
        rest[usize::from(!yes)] -= 1;
    }
    for (yes, n) in [true, false].into_iter().zip(rest) {
        rows.resize(rows.len() + d, 0.0);
        is_yes.push(yes);
        weights.push(n as f64 * each(yes));
    }
    fit_scaled(&mut rows, d, &is_yes, &weights)
}

/// z of the tokens on which one of `features` fires; of all others it is the probe's bias.
pub fn read_features(probe: &Linear, features: &[u32], columns: &Columns) -> Scores {
    let of_token = |of_token: &[(u32, usize, f64)]| {
        let sum: f64 = of_token.iter().map(|(_, slot, value)| probe.weights[*slot] * value).sum();
        (of_token[0].0, sum + probe.bias)
    };
    let fired = fired(features, columns);
    Scores {
        rest: probe.bias,
        others: fired.chunk_by(|a, b| a.0 == b.0).map(of_token).collect(),
    }
}

/// Token, place in `features` and activation of everything that fires, by token.
fn fired(features: &[u32], columns: &Columns) -> Vec<(u32, usize, f64)> {
    let of = |(slot, feature): (usize, &u32)| {
        let column = &columns.features[*feature as usize];
        column.iter().map(move |(token, value)| (*token, slot, f64::from(*value)))
    };
    let mut fired: Vec<_> = features.iter().enumerate().flat_map(of).collect();
    fired.sort_unstable_by_key(|(token, slot, _)| (*token, *slot));
    fired
}

/// Weights that give each class one half.
fn class_weights(n_yes: usize, n_no: usize) -> Vec<f64> {
    let of = |n: usize| std::iter::repeat_n(0.5 / n.max(1) as f64, n);
    of(n_yes).chain(of(n_no)).collect()
}

/// At most [`MOST_PER_CLASS`] of `tokens`, evenly spaced.
fn evenly(tokens: &[usize]) -> Vec<usize> {
    let n = tokens.len().min(MOST_PER_CLASS);
    (0..n).map(|i| tokens[i * tokens.len() / n]).collect()
}

/// Fits to inputs [n, d] of mean 0 and variance 1, which `rows` become, and gives the probe of the inputs as they were. An input
/// that does not vary has no weight.
fn fit_scaled(rows: &mut [f64], d: usize, yes: &[bool], weights: &[f64]) -> Linear {
    let (mut means, mut variances) = (vec![0.0; d], vec![0.0; d]);
    for (row, weight) in rows.chunks_exact(d).zip(weights) {
        means.iter_mut().zip(row).for_each(|(mean, x)| *mean += weight * x);
    }
    for (row, weight) in rows.chunks_exact(d).zip(weights) {
        for ((variance, mean), x) in variances.iter_mut().zip(&means).zip(row) {
            *variance += weight * (x - mean) * (x - mean);
        }
    }
    let inverse = |variance: &f64| if *variance > 1e-24 { 1.0 / variance.sqrt() } else { 0.0 };
    let inverse: Vec<f64> = variances.iter().map(inverse).collect();
    for row in rows.chunks_exact_mut(d) {
        for ((x, mean), inverse) in row.iter_mut().zip(&means).zip(&inverse) {
            *x = (*x - mean) * inverse;
        }
    }
    let mut probe = fit(Problem {
        x: rows,
        yes,
        weights,
        ridge: RIDGE,
    });
    for ((weight, mean), inverse) in probe.weights.iter_mut().zip(&means).zip(&inverse) {
        *weight *= inverse;
        probe.bias -= *weight * mean;
    }
    probe
}
