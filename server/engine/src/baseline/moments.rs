//! Mean, second moment and smallest values of activations, in one pass, in f64.

use rayon::prelude::*;

use super::Stream;
use crate::kernel::{Mat, MatMut, matmul};

/// Rows of Σ x xᵀ that one task adds to.
const ROWS: usize = 64;

/// The sums. The order of the batches and their sizes determine the bits, the number of threads does not.
#[derive(Clone, Debug)]
pub struct Moments {
    n: u64,
    sum: Vec<f64>,
    /// Σ x xᵀ [d, d].
    products: Vec<f64>,
    smallest: Vec<f32>,
}

impl Moments {
    /// Of nothing, `d` wide.
    pub fn new(d: usize) -> Self {
        Self {
            n: 0,
            sum: vec![0.0; d],
            products: vec![0.0; d * d],
            smallest: vec![f32::INFINITY; d],
        }
    }

    /// Of a whole stream.
    ///
    /// # Errors
    /// The stream's.
    pub fn of<S: Stream>(stream: &mut S) -> Result<Self, S::Error> {
        let mut moments = Self::new(stream.width());
        stream.pass("mean and covariance", 0..stream.n_batches(), &mut |x, _| moments.add(x))?;
        Ok(moments)
    }

    /// Adds `x` [n_tokens, d].
    pub fn add(&mut self, x: &[f32]) {
        let d = self.sum.len();
        let n = x.len() / d;
        self.n += n as u64;
        let wide: Vec<f64> = x.par_iter().map(|v| f64::from(*v)).collect();
        for row in x.chunks_exact(d) {
            for ((sum, smallest), v) in self.sum.iter_mut().zip(&mut self.smallest).zip(row) {
                *sum += f64::from(*v);
                *smallest = smallest.min(*v);
            }
        }
        let x = Mat::new(&wide, n, d);
        self.products.par_chunks_mut(ROWS * d).enumerate().for_each(|(task, rows)| {
            let first = task * ROWS;
            let n_rows = rows.len() / d;
            matmul(MatMut::new(rows, n_rows, d), 1.0, 1.0, x.t().rows(first..first + n_rows), x);
        });
    }

    /// Number of vectors.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// The width.
    pub fn d(&self) -> usize {
        self.sum.len()
    }

    /// μ [d].
    pub fn mean(&self) -> Vec<f64> {
        self.sum.iter().map(|s| s / self.n as f64).collect()
    }

    /// The smallest value of each dimension [d].
    pub fn smallest(&self) -> &[f32] {
        &self.smallest
    }

    /// E[x xᵀ] [d, d].
    pub fn second_moment(&self) -> Vec<f64> {
        self.symmetric(|_, _| 0.0)
    }

    /// E[(x − μ)(x − μ)ᵀ] [d, d].
    pub fn covariance(&self) -> Vec<f64> {
        let mean = self.mean();
        self.symmetric(|i, j| mean[i] * mean[j])
    }

    /// E[x xᵀ] − `less`, symmetric to the last bit.
    fn symmetric(&self, less: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let (d, n) = (self.d(), self.n as f64);
        let entry = |i: usize, j: usize| self.products[i.max(j) * d + i.min(j)] / n - less(i, j);
        (0..d * d).map(|at| entry(at / d, at % d)).collect()
    }
}
