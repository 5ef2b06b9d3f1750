//! The eigenvalues and eigenvectors of a symmetric matrix, in f64: Householder's reduction to tridiagonal form, then QL with
//! implicit shifts (Golub and Van Loan, Matrix Computations, sections 8.3.1 to 8.3.3; EISPACK's tred2 and tql2).
//!
//! Every number is computed by one task in a fixed order, so that the bits do not depend on the thread count.

use rayon::prelude::*;

use super::{axpy, dot, simd};

/// Coordinates of the eigenvectors that one task rotates.
const PANEL: usize = 64;
/// QL steps per eigenvalue at most; two are usual, and EISPACK gives up at 30.
const STEPS: usize = 100;

/// A = Vᵀ diag(values) V.
#[derive(Clone, Debug)]
pub struct Eigen {
    /// The eigenvalues, the largest first.
    pub values: Vec<f64>,
    /// V [d, d]: row i is the eigenvector of value i, of unit length, its entry of largest size positive.
    pub vectors: Vec<f64>,
}

/// Eigenvalues and eigenvectors of the symmetric `matrix` [d, d].
///
/// # Panics
/// When the length is not d².
pub fn symmetric_eigen(mut matrix: Vec<f64>, d: usize) -> Eigen {
    assert_eq!(matrix.len(), d * d, "a [{d}, {d}] matrix over {} numbers", matrix.len());
    let (mut diagonal, mut beside, reflectors) = tridiagonal(&mut matrix, d);
    // Qᵀ = I H_last … H_first, row by row
    let mut rows = matrix;
    rows.fill(0.0);
    rows.par_chunks_mut(d.max(1)).enumerate().for_each(|(i, row)| {
        row[i] = 1.0;
        simd(|| {
            for (first, (v, beta)) in reflectors.iter().enumerate().rev() {
                let row = &mut row[first + 1..];
                let along = dot(row, v);
                axpy(row, -beta * along, v);
            }
        });
    });
    let mut panels = to_panels(&rows, d);
    ql(&mut diagonal, &mut beside, &mut panels, d);
    sorted(&diagonal, &panels, d)
}

/// A reflection I − β v vᵀ of the coordinates behind the one that it stands at.
type Reflector = (Vec<f64>, f64);

/// H_last … H_first A H_first … H_last = T: T's diagonal, what stands beside it (and a 0), and the reflectors.
fn tridiagonal(a: &mut [f64], d: usize) -> (Vec<f64>, Vec<f64>, Vec<Reflector>) {
    let mut reflectors = Vec::new();
    let mut beside = vec![0.0; d];
    for k in 0..d.saturating_sub(2) {
        let mut v = a[k * d + k + 1..(k + 1) * d].to_vec();
        let tail = simd(|| dot(&v[1..], &v[1..]));
        if tail == 0.0 {
            beside[k] = v[0];
            reflectors.push((v, 0.0));
            continue;
        }
        let norm = (v[0] * v[0] + tail).sqrt();
        // away from v, so that nothing cancels
        beside[k] = if v[0] > 0.0 { -norm } else { norm };
        v[0] -= beside[k];
        let beta = 2.0 / (v[0] * v[0] + tail);
        let below = &mut a[(k + 1) * d..];
        let mut w: Vec<f64> = below
            .par_chunks(d)
            .map(|row| beta * simd(|| dot(&row[k + 1..], &v)))
            .collect();
        let half = 0.5 * beta * simd(|| dot(&w, &v));
        simd(|| axpy(&mut w, -half, &v));
        below.par_chunks_mut(d).zip(&v).zip(&w).for_each(|((row, vi), wi)| {
            simd(|| {
                axpy(&mut row[k + 1..], -vi, &w);
                axpy(&mut row[k + 1..], -wi, &v);
            });
        });
        reflectors.push((v, beta));
    }
    if d > 1 {
        beside[d - 2] = a[(d - 1) * d - 1];
    }
    ((0..d).map(|i| a[i * d + i]).collect(), beside, reflectors)
}

/// `rows` [d, d] in panels of [`PANEL`] columns, each with its d rows one after the other; the last is filled up with zeros.
fn to_panels(rows: &[f64], d: usize) -> Vec<f64> {
    let mut panels = vec![0.0; d * d.next_multiple_of(PANEL)];
    for (p, panel) in panels.chunks_exact_mut((d * PANEL).max(1)).enumerate() {
        let columns = p * PANEL..((p + 1) * PANEL).min(d);
        for (row, to) in rows.chunks_exact(d).zip(panel.chunks_exact_mut(PANEL)) {
            to[..columns.len()].copy_from_slice(&row[columns.clone()]);
        }
    }
    panels
}

/// Makes the tridiagonal matrix diagonal; the rotations that do it mix the rows of `panels`.
fn ql(diagonal: &mut [f64], beside: &mut [f64], panels: &mut [f64], d: usize) {
    let mut rotations = Vec::new();
    for l in 0..d {
        for _ in 0..STEPS {
            let is_split = |m: &usize| {
                let scale = diagonal[*m].abs() + diagonal[m + 1].abs();
                beside[*m].abs() <= f64::EPSILON * scale
            };
            let m = (l..d - 1).find(is_split).unwrap_or(d - 1);
            if m == l {
                break;
            }
            rotations.clear();
            step(diagonal, beside, l, m, &mut rotations);
            panels.par_chunks_mut(d * PANEL).for_each(|panel| {
                simd(|| rotations.iter().for_each(|rotation| rotate(panel, *rotation)));
            });
        }
    }
}

/// One QL step on the block from `l` to `m`; the rotations (i, cos, sin) of the rows i and i + 1.
fn step(diagonal: &mut [f64], beside: &mut [f64], l: usize, m: usize, rotations: &mut Vec<(usize, f64, f64)>) {
    let ratio = (diagonal[l + 1] - diagonal[l]) / (2.0 * beside[l]);
    let root = ratio.hypot(1.0).copysign(ratio);
    let mut g = diagonal[m] - diagonal[l] + beside[l] / (ratio + root);
    let (mut sin, mut cos, mut shift) = (1.0, 1.0, 0.0);
    for i in (l..m).rev() {
        let (f, b) = (sin * beside[i], cos * beside[i]);
        let r = f.hypot(g);
        beside[i + 1] = r;
        if r == 0.0 {
            // the block falls apart here
            diagonal[i + 1] -= shift;
            beside[m] = 0.0;
            return;
        }
        (sin, cos) = (f / r, g / r);
        g = diagonal[i + 1] - shift;
        let r = (diagonal[i] - g) * sin + 2.0 * cos * b;
        shift = sin * r;
        diagonal[i + 1] = g + shift;
        g = cos * r - b;
        rotations.push((i, cos, sin));
    }
    diagonal[l] -= shift;
    beside[l] = g;
    beside[m] = 0.0;
}

#[inline(always)]
fn rotate(panel: &mut [f64], (i, cos, sin): (usize, f64, f64)) {
    let (first, second) = panel[i * PANEL..(i + 2) * PANEL].split_at_mut(PANEL);
    for (a, b) in first.iter_mut().zip(second) {
        (*a, *b) = (cos * *a - sin * *b, sin * *a + cos * *b);
    }
}

/// The largest eigenvalue first, and the signs as [`Eigen`] says.
fn sorted(diagonal: &[f64], panels: &[f64], d: usize) -> Eigen {
    let mut order: Vec<usize> = (0..d).collect();
    order.sort_by(|a, b| diagonal[*b].total_cmp(&diagonal[*a]));
    let mut vectors = Vec::with_capacity(d * d);
    for i in &order {
        let start = vectors.len();
        for panel in panels.chunks_exact(d * PANEL) {
            vectors.extend_from_slice(&panel[i * PANEL..(i + 1) * PANEL]);
        }
        vectors.truncate(start + d);
        let row = &mut vectors[start..];
        let largest = row.iter().fold(0.0_f64, |m, v| if v.abs() > m.abs() { *v } else { m });
        if largest < 0.0 {
            row.iter_mut().for_each(|v| *v = -*v);
        }
    }
    Eigen {
        values: order.iter().map(|i| diagonal[*i]).collect(),
        vectors,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Mat, MatMut, matmul, normal};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// B Bᵀ of a random B [d, rank] whose columns differ in size.
    fn matrix(d: usize, rank: usize) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(d as u64);
        let b: Vec<f64> = (0..d * rank).map(|i| normal(&mut rng) / (1 + i % rank) as f64).collect();
        let mut a = vec![0.0; d * d];
        let b = Mat::new(&b, d, rank);
        matmul(MatMut::new(&mut a, d, d), 0.0, 1.0, b, b.t());
        a
    }

    fn largest(a: &[f64]) -> f64 {
        a.iter().fold(0.0, |m, v| m.max(v.abs()))
    }

    #[test]
    fn the_vectors_are_orthonormal_and_make_the_matrix_again() {
        for (d, rank) in [(1, 1), (2, 2), (3, 1), (5, 5), (64, 64), (65, 20), (130, 130)] {
            let a = matrix(d, rank);
            let Eigen { values, vectors } = symmetric_eigen(a.clone(), d);
            assert!(values.windows(2).all(|pair| pair[0] >= pair[1]), "{d}: {values:?}");
            let v = Mat::new(&vectors, d, d);
            let mut gram = vec![0.0; d * d];
            matmul(MatMut::new(&mut gram, d, d), 0.0, 1.0, v, v.t());
            (0..d).for_each(|i| gram[i * d + i] -= 1.0);
            assert!(largest(&gram) < 1e-12, "{d}: not orthonormal by {:.1e}", largest(&gram));
            let scaled: Vec<f64> = vectors
                .chunks_exact(d)
                .zip(&values)
                .flat_map(|(row, value)| row.iter().map(move |v| v * value))
                .collect();
            let mut again = a.clone();
            matmul(MatMut::new(&mut again, d, d), -1.0, 1.0, v.t(), Mat::new(&scaled, d, d));
            assert!(
                largest(&again) < 1e-12 * d as f64 * largest(&a),
                "{d}: off by {:.1e}",
                largest(&again)
            );
            assert!(
                values[rank.min(d - 1) + usize::from(rank >= d)..]
                    .iter()
                    .all(|v| v.abs() < 1e-10 * values[0])
            );
        }
    }

    #[test]
    fn what_is_diagonal_already_or_zero_is_no_trouble() {
        let Eigen { values, vectors } = symmetric_eigen(vec![2.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0, -1.0], 3);
        assert_eq!(values, [5.0, 2.0, -1.0]);
        assert_eq!(vectors, [0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!(symmetric_eigen(vec![0.0; 16], 4).values, [0.0; 4]);
    }

    #[test]
    fn threads_change_no_bit() {
        let run = |n| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| symmetric_eigen(matrix(90, 90), 90))
        };
        let (one, three) = (run(1), run(3));
        assert!(one.values == three.values && one.vectors == three.vectors);
    }
}
