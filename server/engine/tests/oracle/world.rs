//! The world that dictionaries are trained on, and how near they come to it.

use api::KindName;
use engine::{
    dictionary::{Dictionary, Scratch},
    train::Trainee,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub const D: usize = 32;
pub const TRUE: usize = 64;
pub const LEARNED: usize = 128;
/// Features of the truth that are active at a time, on average.
pub const ACTIVE: f64 = 3.0;
pub const BATCH: usize = 1024;
pub const STEPS: usize = 1000;
/// Each with a world and initial weights of its own.
pub const SEEDS: std::ops::Range<u64> = 0..3;

/// The world: unit directions [TRUE, D], each active with its own probability.
pub struct World {
    pub directions: Vec<f32>,
    pub probabilities: Vec<f64>,
    pub rng: ChaCha8Rng,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let directions = unit_rows(&mut rng, TRUE);
        // P(active) falls as .99^i, so that some features are rarer than others
        let falling: Vec<f64> = (0..TRUE).map(|i| 0.99f64.powi(i as i32)).collect();
        let total: f64 = falling.iter().sum();
        let probabilities = falling.iter().map(|p| p / total * ACTIVE).collect();
        Self {
            directions,
            probabilities,
            rng,
        }
    }

    /// Samples [BATCH, D]; an active feature's amplitude is the product of two uniform numbers.
    pub fn batch(&mut self) -> Vec<f32> {
        let mut x = vec![0.0f32; BATCH * D];
        for row in x.chunks_exact_mut(D) {
            for (direction, probability) in self.directions.chunks_exact(D).zip(&self.probabilities) {
                if self.rng.random_bool(*probability) {
                    let amplitude = self.rng.random::<f32>() * self.rng.random::<f32>();
                    row.iter_mut().zip(direction).for_each(|(x, d)| *x += amplitude * d);
                }
            }
        }
        x
    }
}

/// The gradient of `trainee` on a batch of the world, which before the first step, 0, its weights are prepared on.
pub fn take_gradient(world: &mut World, trainee: &mut Trainee<f32>, scratch: &Scratch<f32>, step: usize) {
    let x = world.batch();
    if step == 0 {
        trainee.prepare(&x);
    }
    trainee.begin();
    trainee.forward(&x, 1.0, scratch);
    trainee.backward(&x, 1.0, scratch);
    trainee.complete();
}

pub fn unit_rows(rng: &mut ChaCha8Rng, n: usize) -> Vec<f32> {
    let mut rows: Vec<f32> = (0..n * D)
        .map(|_| (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0)
        .collect();
    for row in rows.chunks_exact_mut(D) {
        let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        row.iter_mut().for_each(|v| *v /= norm);
    }
    rows
}

/// Mean over the rows of `truth` of the largest cosine with a row of `learned`; both [_, D].
pub fn mmcs(truth: &[f32], learned: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    let cosine = |a: &[f32], b: &[f32]| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    let largest = |t| learned.chunks_exact(D).map(|l| cosine(t, l)).fold(f64::MIN, f64::max);
    truth.chunks_exact(D).map(largest).sum::<f64>() / (truth.len() / D) as f64
}

/// The directions that a dictionary writes along, [LEARNED, D].
pub fn directions(dictionary: &Dictionary<f32>) -> Vec<f32> {
    // a tied dictionary has one matrix for both ways
    let tensors = &dictionary.parameters().0;
    let tensor = tensors.iter().find(|t| t.name == "W_dec").unwrap_or(&tensors[0]);
    let mut rows = tensor.data.clone();
    // a code with a sign writes both ways
    if dictionary.kind().name() == KindName::AbsTopK {
        rows.extend(tensor.data.iter().map(|w| -w));
    }
    rows
}
