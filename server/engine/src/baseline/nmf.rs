//! Non-negative factors D of activations, online (Mairal et al. 2010, "Online learning for matrix factorization and sparse coding",
//! algorithm 1, with the non-negative constraints of its section 5; scikit-learn's `MiniBatchNMF` is a relative).
//!
//! For each batch: codes C ≥ 0 by non-negative least squares, A ← β A + CᵀC, B ← β B + CᵀX, then some rounds of block coordinate
//! descent, d_j ← max(0, d_j + (B_j − Σ_i A_ji d_i) / A_jj): the exact minimiser of Σ ‖x − Dᵀc‖² over d_j with all else held. With one
//! batch that is all the data and β = 0 it is hierarchical alternating least squares (Cichocki and Phan 2009), and the objective never
//! rises.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{Moments, Stream};
use crate::{
    dictionary::{Dictionary, Nmf, gram, non_negative_least_squares, shifted},
    kernel::{Mat, MatMut, axpy, matmul, normal, par_matmul, simd},
};

/// Vectors per task.
const CHUNK: usize = 512;
/// Rounds over the directions per batch.
const ROUNDS: usize = 5;
/// How fast what early batches said is forgotten: batch s of t counts as (s / t)^ρ (Mairal et al. 2010, section 3.4).
const FORGETTING: f64 = 2.0;

/// Directions that are being fitted: rows [n, d] without negative numbers, of any length.
#[derive(Clone, Debug)]
pub struct Factors {
    /// The rows.
    pub rows: Vec<f32>,
    d: usize,
    codes: Vec<f64>,
    products: Vec<f64>,
    batches: f64,
}

impl Factors {
    /// Random rows, as scikit-learn's `init="random"` draws them for data of this mean: |normal| · √(mean / n).
    pub fn random(n: usize, d: usize, mean: f64, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let size = (mean / n as f64).sqrt();
        Self {
            rows: (0..n * d).map(|_| (size * normal(&mut rng).abs()) as f32).collect(),
            d,
            codes: vec![0.0; n * n],
            products: vec![0.0; n * d],
            batches: 0.0,
        }
    }

    /// A step on a batch `x` [n_tokens, d] without negative numbers, which gives Σ ‖x − Dᵀc‖² before it. What former batches said
    /// is kept `keep` times.
    pub fn step(&mut self, x: &[f32], keep: f64) -> f64 {
        let d = self.d;
        let n = self.rows.len() / d;
        let gram = gram(&self.rows, d);
        let chunks: Vec<_> = x.par_chunks(CHUNK * d).map(|x| chunk(x, &self.rows, &gram, d)).collect();
        self.codes.iter_mut().chain(&mut self.products).for_each(|sum| *sum *= keep);
        let mut error = 0.0;
        for (codes, products, squares) in chunks {
            self.codes.iter_mut().zip(codes).for_each(|(sum, v)| *sum += f64::from(v));
            self.products
                .iter_mut()
                .zip(products)
                .for_each(|(sum, v)| *sum += f64::from(v));
            error += squares;
        }
        let mut rows: Vec<f64> = self.rows.iter().map(|v| f64::from(*v)).collect();
        for _ in 0..ROUNDS {
            for j in 0..n {
                let own = self.codes[j * n + j];
                if own <= 0.0 {
                    continue; // it has not fired yet
                }
                let mut change = self.products[j * d..(j + 1) * d].to_vec();
                simd(|| {
                    for (row, a) in rows.chunks_exact(d).zip(&self.codes[j * n..(j + 1) * n]) {
                        axpy(&mut change, -a, row);
                    }
                });
                let row = &mut rows[j * d..(j + 1) * d];
                row.iter_mut().zip(change).for_each(|(v, by)| *v = (*v + by / own).max(0.0));
            }
        }
        self.rows.iter_mut().zip(rows).for_each(|(to, v)| *to = v as f32);
        error
    }

    /// A step of a stream.
    fn online(&mut self, x: &[f32]) {
        self.batches += 1.0;
        let keep = (1.0 - 1.0 / self.batches).powf(FORGETTING);
        self.step(x, keep);
    }

    /// The rows at unit length, for activations of which `shift` [d] is the smallest value of each dimension.
    pub fn dictionary(mut self, shift: Vec<f32>) -> Dictionary<f32> {
        for row in self.rows.chunks_exact_mut(self.d) {
            let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
            row.iter_mut().for_each(|v| *v /= norm);
        }
        Dictionary::Nmf(Nmf::new(self.rows, shift))
    }
}

/// CᵀC, CᵀX and Σ ‖x − Dᵀc‖² of some vectors.
fn chunk(x: &[f32], rows: &[f32], gram: &[f32], d: usize) -> (Vec<f32>, Vec<f32>, f64) {
    let (n_tokens, n) = (x.len() / d, rows.len() / d);
    let (data, directions) = (Mat::new(x, n_tokens, d), Mat::new(rows, n, d));
    let (mut along, mut codes) = (vec![0.0; n_tokens * n], vec![0.0; n_tokens * n]);
    matmul(MatMut::new(&mut along, n_tokens, n), 0.0, 1.0, data, directions.t());
    for (along, codes) in along.chunks_exact_mut(n).zip(codes.chunks_exact_mut(n)) {
        non_negative_least_squares(along, gram, codes);
    }
    let c = Mat::new(&codes, n_tokens, n);
    let mut rest = x.to_vec();
    matmul(MatMut::new(&mut rest, n_tokens, d), 1.0, -1.0, c, directions);
    let (mut squares, mut products) = (vec![0.0; n * n], vec![0.0; n * d]);
    matmul(MatMut::new(&mut squares, n, n), 0.0, 1.0, c.t(), c);
    par_matmul(MatMut::new(&mut products, n, d), 0.0, 1.0, c.t(), data);
    (squares, products, rest.iter().map(|v| f64::from(*v).powi(2)).sum())
}

/// One pass over a stream, whose moments these are.
pub fn fit<S: Stream>(moments: Moments, n: usize, seed: u64, stream: &mut S) -> Result<Dictionary<f32>, S::Error> {
    let shift = moments.smallest().to_vec();
    let above: f64 = moments
        .mean()
        .iter()
        .zip(&shift)
        .map(|(mean, least)| mean - f64::from(*least))
        .sum();
    let d = moments.d();
    let mut factors = Factors::random(n, d, above / d as f64, seed);
    stream.pass("NMF", 0..stream.n_batches(), &mut |x, _| factors.online(&shifted(x, &shift)))?;
    Ok(factors.dictionary(shift))
}
