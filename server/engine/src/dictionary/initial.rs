//! Initial weights that several kinds share.

use rand::Rng;

use super::{directions::normalise, parameters::Tensor};
use crate::kernel::{Real, normal, par_sum};

/// Rounds of [`geometric_median`] at most, and the share of the median's norm at which it is found (dictionary_learning has
/// 1e-5 of the activations' own unit).
const ROUNDS: usize = 100;
const FOUND: f64 = 1e-5;
/// Numbers per task.
const TOKENS: usize = 512;

/// Random unit rows [n, d], uniform over directions.
pub fn unit_rows<R: Real>(n: usize, d: usize, rng: &mut impl Rng) -> Vec<R> {
    let mut rows: Vec<R> = (0..n * d).map(|_| R::of(normal(rng))).collect();
    normalise(&mut rows, d);
    rows
}

/// A named tensor.
pub fn tensor<R: Real>(name: &'static str, shape: &[usize], data: Vec<R>) -> Tensor<R> {
    assert_eq!(data.len(), shape.iter().product::<usize>(), "'{name}' {shape:?}");
    Tensor {
        name,
        shape: shape.to_vec(),
        data,
    }
}

/// The point [d] from which the sum of the distances to `x` [n_tokens, d] is smallest, by Weiszfeld's iteration from the mean.
pub fn geometric_median<R: Real>(x: &[R], d: usize) -> Vec<f64> {
    let n = x.len() / d;
    let mean_by = |weights: &[f64]| -> Vec<f64> {
        let total: f64 = weights.iter().sum();
        (0..d)
            .map(|i| {
                let sum = par_sum(n.div_ceil(TOKENS), &|task| {
                    let tokens = task * TOKENS..((task + 1) * TOKENS).min(n);
                    tokens.map(|t| weights[t] * x[t * d + i].f64()).sum()
                });
                sum / total
            })
            .collect()
    };
    let mut guess = mean_by(&vec![1.0; n]);
    for _ in 0..ROUNDS {
        let distance = |row: &[R]| row.iter().zip(&guess).map(|(x, g)| (x.f64() - g).powi(2)).sum::<f64>().sqrt();
        let weights: Vec<f64> = x.chunks_exact(d).map(|row| 1.0 / distance(row).max(1e-12)).collect();
        let next = mean_by(&weights);
        let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>().sqrt();
        let moved = norm(&mut next.iter().zip(&guess).map(|(a, b)| a - b));
        guess = next;
        if moved <= FOUND * norm(&mut guess.iter().copied()) {
            break;
        }
    }
    guess
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_geometric_median_is_no_mean() {
        // on a line it is the median; one far point does not move it
        let median = geometric_median(&[0.0, 0.0, 1.0, 0.0, 2.0, 0.0, 3.0, 0.0, 1000.0, 0.0], 2);
        assert!((median[0] - 2.0).abs() < 1e-3 && median[1] == 0.0, "{median:?}");
    }
}
