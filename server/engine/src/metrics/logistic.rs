//! Logistic regression with balanced classes and a ridge, by Newton's method (iteratively reweighted least squares), in f64:
//!
//! minimise Σ_i s_i ln(1 + e^(−y_i z_i)) + λ/2 ‖w‖²,  z = X w + b,  y = ±1,  Σ s_i = 1; b is not penalised.
//!
//! scikit-learn's `LogisticRegression(class_weight="balanced", C=1 / (λ n))` is the same where s gives each class one half.

use crate::kernel::{Mat, MatMut, axpy, dot, matmul, simd};

/// λ, for inputs of variance 1.
pub const RIDGE: f64 = 1e-3;
/// The gradient's largest entry where the minimum counts as reached.
const TOLERANCE: f64 = 1e-10;
/// Expected gain of a step below which rounding hides whether the loss falls; Newton's step is then as good as exact.
const ROUNDING: f64 = 1e-12;
/// Newton steps at most; about eight are taken.
const MOST_STEPS: usize = 100;
/// Halvings of a step at most.
const MOST_HALVINGS: usize = 40;

/// z = ⟨w, x⟩ + b, in f64.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// w.
    pub weights: Vec<f64>,
    /// b.
    pub bias: f64,
}

/// What is fitted to.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// [n, d], row-major.
    pub x: &'a [f64],
    /// Of each row, whether it is a yes.
    pub yes: &'a [bool],
    /// s of each row, 1 in all.
    pub weights: &'a [f64],
    /// λ.
    pub ridge: f64,
}

/// The minimum.
pub fn fit(problem: Problem<'_>) -> Linear {
    let n = problem.yes.len();
    let d = problem.x.len().checked_div(n).unwrap_or(0);
    // the bias is the weight of a column of ones
    let mut x = Vec::with_capacity(n * (d + 1));
    for row in 0..n {
        x.extend_from_slice(&problem.x[row * d..(row + 1) * d]);
        x.push(1.0);
    }
    let newton = Newton {
        problem,
        x,
        width: d + 1,
    };
    let mut weights = vec![0.0; d + 1];
    let mut here = newton.at(&weights);
    for _ in 0..MOST_STEPS {
        if here.gradient.iter().all(|g| g.abs() < TOLERANCE) {
            break;
        }
        let step = solve(newton.hessian(&here.curvatures), &here.gradient);
        let slope = dot(&step, &here.gradient);
        // Armijo's rule; near the minimum the whole step is taken
        let mut scale = 1.0;
        let mut halvings = 0;
        (weights, here) = loop {
            let moved: Vec<f64> = weights.iter().zip(&step).map(|(w, s)| w - scale * s).collect();
            let next = newton.at(&moved);
            if slope < ROUNDING || next.loss <= here.loss - 1e-4 * scale * slope || halvings == MOST_HALVINGS {
                break (moved, next);
            }
            scale /= 2.0;
            halvings += 1;
        };
    }
    let bias = weights.pop().unwrap_or(0.0);
    Linear { weights, bias }
}

struct Newton<'a> {
    problem: Problem<'a>,
    /// [n, width], a column of ones last.
    x: Vec<f64>,
    width: usize,
}

/// The loss at some weights and what its derivatives are made of.
struct Point {
    loss: f64,
    /// [width].
    gradient: Vec<f64>,
    /// s_i p_i (1 − p_i), [n].
    curvatures: Vec<f64>,
}

impl Newton<'_> {
    fn at(&self, weights: &[f64]) -> Point {
        let Problem {
            yes, weights: s, ridge, ..
        } = self.problem;
        let d = self.width - 1;
        let mut gradient = vec![0.0; self.width];
        let mut curvatures = Vec::with_capacity(yes.len());
        let mut loss = 0.0;
        simd(
            #[inline(always)]
            || {
                for ((x, yes), s) in self.x.chunks_exact(self.width).zip(yes).zip(s) {
                    let z = dot(x, weights);
                    let small = (-z.abs()).exp();
                    // the probability of a yes, without overflow
                    let top = if z > 0.0 { 1.0 } else { small };
                    let p = top / (1.0 + small);
                    let wrong = if *yes { -z } else { z };
                    loss += s * (wrong.max(0.0) + small.ln_1p());
                    curvatures.push(s * small / ((1.0 + small) * (1.0 + small)));
                    axpy(&mut gradient, s * if *yes { p - 1.0 } else { p }, x);
                }
                axpy(&mut gradient[..d], ridge, &weights[..d]);
                loss += ridge / 2.0 * dot(&weights[..d], &weights[..d]);
            },
        );
        Point {
            loss,
            gradient,
            curvatures,
        }
    }

    /// Xᵀ diag(curvatures) X + λ [width, width].
    fn hessian(&self, curvatures: &[f64]) -> Vec<f64> {
        let (n, width) = (curvatures.len(), self.width);
        let mut curved = self.x.clone();
        for (row, curvature) in curved.chunks_exact_mut(width).zip(curvatures) {
            row.iter_mut().for_each(|x| *x *= curvature);
        }
        let mut hessian = vec![0.0; width * width];
        matmul(
            MatMut::new(&mut hessian, width, width),
            0.0,
            1.0,
            Mat::new(&self.x, n, width).t(),
            Mat::new(&curved, n, width),
        );
        for i in 0..width - 1 {
            hessian[i * width + i] += self.problem.ridge;
        }
        hessian
    }
}

/// The solution of A s = g for a positive definite A [d, d], by Cholesky's factorisation. A pivot that rounding leaves without
/// size is lifted, so that the step stays finite.
fn solve(mut a: Vec<f64>, g: &[f64]) -> Vec<f64> {
    let d = g.len();
    let least = 1e-14 * (0..d).map(|i| a[i * d + i]).fold(f64::MIN_POSITIVE, f64::max);
    for j in 0..d {
        for i in j..d {
            let (row_i, row_j) = (&a[i * d..i * d + j], &a[j * d..j * d + j]);
            let rest = a[i * d + j]
                - simd(
                    #[inline(always)]
                    || dot(row_i, row_j),
                );
            a[i * d + j] = if i == j { rest.max(least).sqrt() } else { rest / a[j * d + j] };
        }
    }
    let mut s = g.to_vec();
    for i in 0..d {
        let known: f64 = (0..i).map(|k| a[i * d + k] * s[k]).sum();
        s[i] = (s[i] - known) / a[i * d + i];
    }
    for i in (0..d).rev() {
        let known: f64 = (i + 1..d).map(|k| a[k * d + i] * s[k]).sum();
        s[i] = (s[i] - known) / a[i * d + i];
    }
    s
}
