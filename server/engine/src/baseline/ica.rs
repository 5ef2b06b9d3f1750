//! Independent components by FastICA (Hyvärinen 1999, "Fast and robust fixed-point algorithms for independent component analysis"),
//! symmetric, with the logcosh contrast, in passes over activations of any number. scikit-learn's `FastICA(algorithm="parallel",
//! fun="logcosh")` does the same on a matrix in memory.
//!
//! With whitened z = K (x − μ) and an orthogonal W: W ← E[g(W z) zᵀ] − diag(E[g′(W z)]) W, g = tanh, then W ← (W Wᵀ)^-½ W, until no
//! row turns any more. The sources are s = W K (x − μ), and x − μ = A s with A = (W K)⁺.
//!
//! An iteration is a pass. Whitened vectors are kept in memory up to a bound; those beyond come from the stream again. The first
//! iterations see a sample: they come to the same fixed point up to the sample's noise, and the passes over all begin near it.

use api::{ConfigError, DictionaryKind};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{Moments, Stream, both_signs, to_f32};
use crate::{
    dictionary::{Dictionary, Projection},
    kernel::{Mat, MatMut, Real, matmul, normal, par_matmul, simd, symmetric_eigen},
};

/// Vectors that the first iterations see, rounded up to whole batches.
pub const SAMPLE: usize = 1 << 16;
/// Vectors per task.
const CHUNK: usize = 512;
/// Components with less than this share of the largest variance are taken for rounding: a centred residual stream has one.
const NO_VARIANCE: f64 = 1e-10;

/// When the iterations end.
#[derive(Clone, Copy, Debug)]
pub struct FastIca {
    /// Largest 1 − |cos| between a row of W and what it was before, at which it stands still (scikit-learn's `tol`).
    pub tolerance: f64,
    /// Iterations at most, those on the sample and those on all each (scikit-learn's `max_iter`). Sources that are normal have no
    /// directions of their own, and theirs never stand still.
    pub iterations: usize,
    /// Bytes of whitened vectors that are kept in memory.
    pub kept_bytes: usize,
}

impl Default for FastIca {
    fn default() -> Self {
        Self {
            tolerance: 1e-4,
            iterations: 200,
            kept_bytes: 1 << 30,
        }
    }
}

/// Independent components of activations `d` wide.
#[derive(Clone, Debug)]
pub struct Ica {
    /// μ [d].
    pub mean: Vec<f64>,
    /// W K [d, d]: row i gives source i of x − μ, of variance 1. Rows of zeros where there are fewer sources.
    pub unmixing: Vec<f64>,
    /// A's columns as rows [d, d]: what a unit of source i adds to x.
    pub mixing: Vec<f64>,
    /// Iterations on the sample and on all.
    pub iterations: (usize, usize),
    /// Whether it ended because no row turned.
    pub converged: bool,
}

impl Ica {
    /// Fits `stream`, whose moments these are, from a random W.
    ///
    /// # Errors
    /// The stream's, and activations that do not vary.
    pub fn fit<S: Stream>(moments: &Moments, seed: u64, settings: FastIca, stream: &mut S) -> Result<Self, S::Error> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let d = moments.d();
        let start: Vec<f64> = (0..d * d).map(|_| normal(&mut rng)).collect();
        Self::fit_from::<f32, S>(moments, &start, settings, stream)
    }

    /// The same from the given W [d, d], of which the first r rows and columns are taken where there are r components, and computed
    /// in `R`.
    ///
    /// # Errors
    /// As [`Ica::fit`].
    pub fn fit_from<R: Real, S: Stream>(
        moments: &Moments,
        start: &[f64],
        settings: FastIca,
        stream: &mut S,
    ) -> Result<Self, S::Error> {
        let (d, mean) = (moments.d(), moments.mean());
        let eigen = symmetric_eigen(moments.covariance(), d);
        let r = eigen.values.iter().filter(|v| **v > NO_VARIANCE * eigen.values[0]).count();
        if r == 0 {
            return Err(ConfigError::new("at", "the activations there do not vary: ICA has nothing to find").into());
        }
        // K = Λ^-½ V and its pseudo-inverse, transposed: Λ^½ V
        let scaled = |power: f64| -> Vec<f64> {
            let rows = eigen.vectors.chunks_exact(d).zip(&eigen.values).take(r);
            rows.flat_map(|(row, value)| row.iter().map(move |v| v * value.powf(power)))
                .collect()
        };
        let (whitener, coloured) = (scaled(-0.5), scaled(0.5));
        let data = Whitened::<R>::new(&whitener, &mean, settings.kept_bytes, stream)?;
        let w = (0..r * r).map(|i| start[i / r * d + i % r]).collect();
        let mut state = (orthogonal(w, r), 0.0);
        let sample = data.sample(stream.n_batches(), moments.n() as usize);
        let all = stream.n_batches();
        let mut iterations = [0, 0];
        let mut converged = false;
        for (count, end) in iterations.iter_mut().zip([sample, all]) {
            converged = false;
            while *count < settings.iterations && !converged {
                *count += 1;
                let stage = format!("ICA, iteration {count} on {}", if end == all { "all" } else { "a sample" });
                let next = data.iterate(&state.0, end, &stage, stream)?;
                let turned = turned(&state.0, &next, r);
                state = (next, turned);
                converged = turned < settings.tolerance;
            }
            if end == all {
                break;
            }
        }
        let times = |right: &[f64]| -> Vec<f64> {
            let mut out = vec![0.0; d * d];
            let (w, right) = (Mat::new(&state.0, r, r), Mat::new(right, r, d));
            par_matmul(MatMut::new(&mut out[..r * d], r, d), 0.0, 1.0, w, right);
            out
        };
        Ok(Self {
            unmixing: times(&whitener),
            mixing: times(&coloured),
            mean,
            iterations: (iterations[0], iterations[1]),
            converged,
        })
    }

    /// Both signs of each component: directions of unit length, and codes that are as long as what they add to x.
    pub fn dictionary(&self, kind: DictionaryKind) -> Dictionary<f32> {
        let d = self.mean.len();
        let (mut encoder, mut decoder) = (self.unmixing.clone(), self.mixing.clone());
        for (unmix, mix) in encoder.chunks_exact_mut(d).zip(decoder.chunks_exact_mut(d)) {
            let norm = mix.iter().map(|v| v * v).sum::<f64>().sqrt();
            unmix.iter_mut().for_each(|v| *v *= norm);
            mix.iter_mut().for_each(|v| *v /= norm.max(1e-300));
        }
        let [encoder, decoder] = [encoder, decoder].map(|rows| both_signs(to_f32(&rows)));
        Dictionary::Projection(Projection::new(kind, encoder, decoder, to_f32(&self.mean)))
    }
}

/// Whitened activations: those of the first batches in memory, the others made again in each pass.
struct Whitened<R> {
    d: usize,
    r: usize,
    mean: Vec<f64>,
    whitener: Vec<f64>,
    kept: Vec<R>,
    /// Vectors up to the end of each batch that is kept.
    ends: Vec<usize>,
}

impl<R: Real> Whitened<R> {
    fn new<S: Stream>(whitener: &[f64], mean: &[f64], kept_bytes: usize, stream: &mut S) -> Result<Self, S::Error> {
        let (d, r) = (mean.len(), whitener.len() / mean.len());
        let mut data = Self {
            d,
            r,
            mean: mean.to_vec(),
            whitener: whitener.to_vec(),
            kept: Vec::new(),
            ends: Vec::new(),
        };
        let room = kept_bytes / size_of::<R>();
        // batches are all of one size: the first says how many there is room for
        let mut first = 0;
        stream.pass("whitening", 0..1.min(stream.n_batches()), &mut |x, _| first = x.len() / d * r)?;
        let n_kept = room.checked_div(first).unwrap_or(0).min(stream.n_batches());
        stream.pass("whitening", 0..n_kept, &mut |x, _| {
            let z = data.whiten(x);
            data.kept.extend_from_slice(&z);
            data.ends.push(data.kept.len() / r);
        })?;
        Ok(data)
    }

    /// Batches that hold the sample.
    fn sample(&self, n_batches: usize, n: usize) -> usize {
        let per_batch = n.div_ceil(n_batches.max(1)).max(1);
        SAMPLE.div_ceil(per_batch).min(n_batches)
    }

    /// K (x − μ) of every row [n, r], in f64 until it is white: small components beside large ones would lose their digits.
    fn whiten(&self, x: &[f32]) -> Vec<R> {
        let (d, r) = (self.d, self.r);
        let mut z = vec![R::ZERO; x.len() / d * r];
        z.par_chunks_mut(CHUNK * r).zip(x.par_chunks(CHUNK * d)).for_each(|(z, x)| {
            let n = x.len() / d;
            let centred: Vec<f64> = x.iter().enumerate().map(|(i, v)| f64::from(*v) - self.mean[i % d]).collect();
            let mut white = vec![0.0; n * r];
            let (x, k) = (Mat::new(&centred, n, d), Mat::new(&self.whitener, r, d));
            matmul(MatMut::new(&mut white, n, r), 0.0, 1.0, x, k.t());
            z.iter_mut().zip(white).for_each(|(z, white)| *z = R::of(white));
        });
        z
    }

    /// One iteration on the first `n_batches`.
    fn iterate<S: Stream>(&self, w: &[f64], n_batches: usize, stage: &str, stream: &mut S) -> Result<Vec<f64>, S::Error> {
        let r = self.r;
        let cast: Vec<R> = w.iter().map(|v| R::of(*v)).collect();
        let mut sums = Sums::new(r);
        let kept = n_batches.min(self.ends.len());
        let n_kept = kept.checked_sub(1).map_or(0, |last| self.ends[last]);
        sums.add(&cast, &self.kept[..n_kept * r]);
        // told also where nothing is left to read, so that somebody may end it
        stream.pass(stage, kept..n_batches, &mut |x, _| sums.add(&cast, &self.whiten(x)))?;
        Ok(sums.step(w))
    }
}

/// Σ g(W z) zᵀ [r, r] and Σ g′(W z) [r].
struct Sums {
    r: usize,
    n: usize,
    products: Vec<f64>,
    slopes: Vec<f64>,
}

impl Sums {
    fn new(r: usize) -> Self {
        Self {
            r,
            n: 0,
            products: vec![0.0; r * r],
            slopes: vec![0.0; r],
        }
    }

    /// Adds whitened vectors `z` [n, r]: chunks in parallel, and their sums one after the other.
    fn add<R: Real>(&mut self, w: &[R], z: &[R]) {
        let r = self.r;
        self.n += z.len() / r;
        // as many at a time as their sums, r² each, take no more room than the vectors
        for z in z.chunks(16 * CHUNK * r) {
            let chunks = z.par_chunks(CHUNK * r).map(|z| {
                let n = z.len() / r;
                let (mut g, mut products) = (vec![R::ZERO; n * r], vec![R::ZERO; r * r]);
                let mut slopes = vec![R::ZERO; r];
                let (rows, w) = (Mat::new(z, n, r), Mat::new(w, r, r));
                matmul(MatMut::new(&mut g, n, r), R::ZERO, R::ONE, rows, w.t());
                simd(|| {
                    g.iter_mut().for_each(|y| *y = y.tanh());
                    for g in g.chunks_exact(r) {
                        slopes.iter_mut().zip(g).for_each(|(slope, g)| *slope += R::ONE - *g * *g);
                    }
                });
                let g = Mat::new(&g, n, r);
                matmul(MatMut::new(&mut products, r, r), R::ZERO, R::ONE, g.t(), rows);
                (products, slopes)
            });
            for (products, slopes) in chunks.collect::<Vec<_>>() {
                self.products.iter_mut().zip(&products).for_each(|(sum, v)| *sum += v.f64());
                self.slopes.iter_mut().zip(&slopes).for_each(|(sum, v)| *sum += v.f64());
            }
        }
    }

    /// The next W.
    fn step(&self, w: &[f64]) -> Vec<f64> {
        let (r, n) = (self.r, self.n as f64);
        let next = (0..r * r).map(|i| self.products[i] / n - self.slopes[i / r] / n * w[i]);
        orthogonal(next.collect(), r)
    }
}

/// (W Wᵀ)^-½ W [r, r].
fn orthogonal(w: Vec<f64>, r: usize) -> Vec<f64> {
    let product = |a: Mat<'_, f64>, b: Mat<'_, f64>| {
        let mut out = vec![0.0; r * r];
        par_matmul(MatMut::new(&mut out, r, r), 0.0, 1.0, a, b);
        out
    };
    let rows = Mat::new(&w, r, r);
    let eigen = symmetric_eigen(product(rows, rows.t()), r);
    let scaled: Vec<f64> = eigen
        .vectors
        .chunks_exact(r)
        .zip(&eigen.values)
        .flat_map(|(row, value)| row.iter().map(move |v| v / value.max(f64::MIN_POSITIVE).sqrt()))
        .collect();
    let root = product(Mat::new(&eigen.vectors, r, r).t(), Mat::new(&scaled, r, r));
    product(Mat::new(&root, r, r), rows)
}

/// The largest | |⟨w_i, w′_i⟩| − 1 |.
fn turned(w: &[f64], next: &[f64], r: usize) -> f64 {
    let cosine = |(a, b): (&[f64], &[f64])| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let rows = w.chunks_exact(r).zip(next.chunks_exact(r));
    rows.map(|pair| (cosine(pair).abs() - 1.0).abs()).fold(0.0, f64::max)
}
