//! What the tests start from: activations in memory, and dictionaries fitted to them.

use api::{ConfigError, Course, DictionaryConfig, DictionaryKind, Objective, Origin};
use engine::{
    baseline::{Stream, fit},
    dictionary::{Dictionary, Path, Scratch, SparseCodes},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// Activations in memory, in batches of `batch`, with the tokens that they stand at.
pub struct InMemory {
    pub x: Vec<f32>,
    pub tokens: Vec<u32>,
    pub d: usize,
    pub batch: usize,
    /// Vectors that were given, over all passes.
    pub given: usize,
}

impl InMemory {
    pub fn new(x: Vec<f32>, d: usize, batch: usize) -> Self {
        let tokens = vec![0; x.len() / d];
        Self {
            x,
            tokens,
            d,
            batch,
            given: 0,
        }
    }
}

impl Stream for InMemory {
    type Error = ConfigError;

    fn width(&self) -> usize {
        self.d
    }

    fn n_batches(&self) -> usize {
        self.tokens.len().div_ceil(self.batch)
    }

    fn pass(&mut self, _: &str, range: Range<usize>, each: &mut dyn FnMut(&[f32], &[u32])) -> Result<(), ConfigError> {
        for batch in range {
            let rows = batch * self.batch..((batch + 1) * self.batch).min(self.tokens.len());
            self.given += rows.len();
            each(&self.x[rows.start * self.d..rows.end * self.d], &self.tokens[rows]);
        }
        Ok(())
    }
}

pub fn config(kind: DictionaryKind, d_sae: usize) -> DictionaryConfig {
    DictionaryConfig {
        kind,
        d_sae,
        objective: Objective::Local { sparsity: 0.0 },
        lr: 0.0,
        seed: 1,
        origin: Origin::Fresh,
        course: Course::default(),
    }
}

pub const D_VOCAB: usize = 20;

/// One dictionary, fitted.
pub fn fitted(kind: DictionaryKind, d_sae: usize, stream: &mut InMemory) -> Dictionary<f32> {
    fit(&[config(kind, d_sae)], D_VOCAB, stream).unwrap().remove(0)
}

/// Codes [n, d_sae] and x̂ [n, d] of the stream's vectors.
pub fn outputs(dictionary: &Dictionary<f32>, stream: &InMemory) -> (Vec<f32>, Vec<f32>) {
    let (scratch, mut codes, mut x_hat) = (Scratch::new(), SparseCodes::default(), vec![0.0; stream.x.len()]);
    dictionary.encode_tokens(&stream.tokens, &stream.x, &mut codes, &scratch);
    dictionary.decode(&codes, &mut x_hat, Path::default(), &scratch);
    (codes.to_dense(), x_hat)
}

/// ‖a − b‖ / ‖b‖.
pub fn relative(a: &[f32], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| f64::from(*a) - b)) / norm(&mut b.iter().copied())
}

pub fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|v| f64::from(*v)).collect()
}

/// Independent sources that are not normal, mixed, around a mean: x [n, d] and the mixing, a row per source [d, d].
pub fn mixed(n: usize, d: usize, seed: u64) -> (Vec<f32>, Vec<f64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut uniform = |from: f64, to: f64| rng.random_range(from..to);
    let mixing: Vec<f64> = (0..d * d).map(|_| uniform(-1.0, 1.0)).collect();
    let mean: Vec<f64> = (0..d).map(|_| uniform(-2.0, 2.0)).collect();
    let mut x = Vec::with_capacity(n * d);
    for _ in 0..n {
        // now and then far out: heavy tails
        let sources: Vec<f64> = (0..d)
            .map(|_| uniform(-1.0, 1.0) * if uniform(0.0, 1.0) < 0.2 { 3.0 } else { 0.3 })
            .collect();
        for i in 0..d {
            let sum: f64 = sources.iter().enumerate().map(|(s, value)| value * mixing[s * d + i]).sum();
            x.push((mean[i] + sum) as f32);
        }
    }
    (x, mixing)
}
