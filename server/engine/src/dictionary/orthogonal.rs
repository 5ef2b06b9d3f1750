//! Orthogonal initial weights (torch's `init.orthogonal_`: the Q of a Gaussian matrix' QR decomposition with R's diagonal
//! positive), through the Cholesky factor of the Gram matrix, in f64.

use rand::Rng;

use crate::kernel::{Mat, MatMut, normal, par_matmul};

/// A [rows, cols] matrix with orthonormal columns (rows ≥ cols) or orthonormal rows (rows < cols), uniform over all such.
pub fn orthogonal(rows: usize, cols: usize, rng: &mut impl Rng) -> Vec<f64> {
    let (long, short) = (rows.max(cols), rows.min(cols));
    let gaussian: Vec<f64> = (0..long * short).map(|_| normal(rng)).collect();
    let q = orthonormal_columns(&gaussian, long, short);
    // twice: once leaves an error of the square of the condition number, the second makes it round-off
    let q = orthonormal_columns(&q, long, short);
    if rows >= cols {
        return q;
    }
    let mut transposed = vec![0.0; rows * cols];
    for i in 0..long {
        for j in 0..short {
            transposed[j * long + i] = q[i * short + j];
        }
    }
    transposed
}

/// Q = A L⁻ᵀ with L Lᵀ = Aᵀ A, for A [n, k] with n ≥ k.
fn orthonormal_columns(a: &[f64], n: usize, k: usize) -> Vec<f64> {
    let mut gram = vec![0.0; k * k];
    par_matmul(
        MatMut::new(&mut gram, k, k),
        0.0,
        1.0,
        Mat::new(a, n, k).t(),
        Mat::new(a, n, k),
    );
    // Cholesky, in place, lower triangle
    for j in 0..k {
        let pivot = (gram[j * k + j] - (0..j).map(|p| gram[j * k + p].powi(2)).sum::<f64>()).sqrt();
        gram[j * k + j] = pivot;
        for i in j + 1..k {
            let sum: f64 = (0..j).map(|p| gram[i * k + p] * gram[j * k + p]).sum();
            gram[i * k + j] = (gram[i * k + j] - sum) / pivot;
        }
    }
    // M = L⁻¹, by forward substitution column by column
    let mut inverse = vec![0.0; k * k];
    for c in 0..k {
        for i in c..k {
            let unit = if i == c { 1.0 } else { 0.0 };
            let sum: f64 = (c..i).map(|p| gram[i * k + p] * inverse[p * k + c]).sum();
            inverse[i * k + c] = (unit - sum) / gram[i * k + i];
        }
    }
    let mut q = vec![0.0; n * k];
    par_matmul(
        MatMut::new(&mut q, n, k),
        0.0,
        1.0,
        Mat::new(a, n, k),
        Mat::new(&inverse, k, k).t(),
    );
    q
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn the_short_side_is_orthonormal() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
        for (rows, cols) in [(40, 16), (16, 16), (7, 30)] {
            let q = orthogonal(rows, cols, &mut rng);
            let short = rows.min(cols);
            let at = |i: usize, j: usize| if rows >= cols { q[j * cols + i] } else { q[i * cols + j] };
            for i in 0..short {
                for j in 0..short {
                    let product: f64 = (0..rows.max(cols)).map(|p| at(i, p) * at(j, p)).sum();
                    let expected = if i == j { 1.0 } else { 0.0 };
                    assert!((product - expected).abs() < 1e-12, "[{rows}, {cols}]: ⟨{i}, {j}⟩ = {product}");
                }
            }
        }
    }
}
