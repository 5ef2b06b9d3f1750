//! The language model's own objective: the cross-entropy of the next token, −log q(next), in nats, q the softmax of the
//! logits. Its derivative by the logits is q − 1[next].

use crate::kernel::{Real, simd};

/// Numbers in one chunk's logits, at most (but at least one token's).
pub const CHUNK: usize = 1 << 18;

/// Σ over rows of −log q(next), of `logits` [n, d_vocab], which become `scale` times its derivative; `next` [n].
///
/// # Panics
/// When a token is not in the vocabulary.
pub fn cross_entropy<R: Real>(logits: &mut [R], next: &[u32], scale: R) -> f64 {
    let d_vocab = logits.len() / next.len().max(1);
    simd(
        #[inline(always)]
        || {
            let mut total = 0.0;
            for (row, next) in logits.chunks_exact_mut(d_vocab).zip(next) {
                total += of_row(row, *next as usize, scale).f64();
            }
            total
        },
    )
}

/// −log q(next) of one row, which becomes scale · (q − 1[next]). One exponential per number.
#[inline(always)]
fn of_row<R: Real>(row: &mut [R], next: usize, scale: R) -> R {
    const LANES: usize = 32;
    let mut tops = [row[0]; LANES];
    for chunk in row.chunks(LANES) {
        for (top, x) in tops.iter_mut().zip(chunk) {
            *top = top.max(*x);
        }
    }
    let top = tops.iter().fold(tops[0], |a, b| a.max(*b));
    let wanted = row[next] - top;
    let mut sums = [R::ZERO; LANES];
    for chunk in row.chunks_mut(LANES) {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *x = (*x - top).exp();
            *sum += *x;
        }
    }
    let total: R = sums.iter().copied().sum();
    let share = scale / total;
    for x in row.iter_mut() {
        *x *= share;
    }
    row[next] -= scale;
    total.ln() - wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_derivative_is_that_of_finite_differences() {
        let logits: Vec<f64> = (0..2 * 40).map(|i| f64::from(i * 7919 % 97) / 20.0).collect();
        let next = [3, 39];
        let loss = |logits: &[f64]| cross_entropy(&mut logits.to_vec(), &next, 0.0);
        let mut grad = logits.clone();
        let value = cross_entropy(&mut grad, &next, 0.5);
        let by_hand: f64 = (0..2)
            .map(|row| {
                let row_of = &logits[row * 40..][..40];
                row_of.iter().map(|x| x.exp()).sum::<f64>().ln() - row_of[next[row] as usize]
            })
            .sum();
        assert!((value - by_hand).abs() < 1e-12, "{value} {by_hand}");
        for i in 0..logits.len() {
            let at = |h: f64| {
                let mut moved = logits.clone();
                moved[i] += h;
                loss(&moved)
            };
            let slope = 0.5 * (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((slope - grad[i]).abs() < 1e-9, "{i}: {slope} {}", grad[i]);
        }
    }
}
