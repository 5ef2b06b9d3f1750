//! Linear probes of a label: on the activations themselves, and on a few features. Both are logistic regressions with balanced
//! classes ([`super::logistic`]) on inputs scaled to variance 1 over them.

use super::{
    columns::Columns,
    logistic::{Linear, Problem, RIDGE, fit},
    outcome::Scores,
};

/// Tokens of each class that a probe on activations is fitted to, at most: enough for some hundred weights.
const MOST_PER_CLASS: usize = 4096;

/// The tokens that probes are fitted to, those of yes and those of no: all that have an answer, or evenly chosen ones where there are
/// many.
fn chosen(answers: &[Option<bool>]) -> [Vec<usize>; 2] {
    [true, false].map(|wanted| {
        let tokens: Vec<usize> = (0..answers.len()).filter(|token| answers[*token] == Some(wanted)).collect();
        let n = tokens.len().min(MOST_PER_CLASS);
        (0..n).map(|i| tokens[i * tokens.len() / n]).collect()
    })
}

/// A probe on activations `x` [n_tokens, d].
pub fn on_activations(x: &[f32], d: usize, answers: &[Option<bool>]) -> Linear {
    let [yes, no] = chosen(answers);
    let mut rows: Vec<f64> = Vec::with_capacity((yes.len() + no.len()) * d);
    for token in yes.iter().chain(&no) {
        rows.extend(x[token * d..(token + 1) * d].iter().map(|x| f64::from(*x)));
    }
    let class = |tokens: &[usize], is_yes: bool| vec![(is_yes, 0.5 / tokens.len().max(1) as f64); tokens.len()];
    let (is_yes, weights): (Vec<bool>, Vec<f64>) = [class(&yes, true), class(&no, false)].concat().into_iter().unzip();
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

/// A probe on the activations of `features`. Tokens on which none of them fires are alike, and are one row for yes and one for no,
/// which weigh as much as they all do.
pub fn on_features(features: &[u32], columns: &Columns, answers: &[Option<bool>]) -> Linear {
    let chosen = chosen(answers);
    let mut answer = vec![None; answers.len()];
    for (tokens, yes) in chosen.iter().zip([true, false]) {
        tokens.iter().for_each(|token| answer[*token] = Some(yes));
    }
    if features.is_empty() {
        // nothing is known of any token, and yes weighs as much as no
        return Linear {
            weights: Vec::new(),
            bias: 0.0,
        };
    }
    let each = |yes: bool| 0.5 / chosen[usize::from(!yes)].len().max(1) as f64;
    let d = features.len();
    let (mut rows, mut is_yes, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = [chosen[0].len(), chosen[1].len()];
    let fired = fired(features, columns, |token| answer[token as usize].is_some());
    for of_token in fired.chunk_by(|a, b| a.0 == b.0) {
        let Some(yes) = answer[of_token[0].0 as usize] else { continue };
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
    let fired = fired(features, columns, |_| true);
    Scores {
        rest: probe.bias,
        others: fired.chunk_by(|a, b| a.0 == b.0).map(of_token).collect(),
    }
}

/// Token, place in `features` and activation of everything that fires on tokens that are meant, by token.
fn fired(features: &[u32], columns: &Columns, is_meant: impl Fn(u32) -> bool) -> Vec<(u32, usize, f64)> {
    let mut fired = Vec::new();
    for (slot, feature) in features.iter().enumerate() {
        let column = columns.features[*feature as usize].iter();
        let meant = column.filter(|(token, _)| is_meant(*token));
        fired.extend(meant.map(|(token, value)| (*token, slot, f64::from(*value))));
    }
    fired.sort_unstable_by_key(|(token, slot, _)| (*token, *slot));
    fired
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
