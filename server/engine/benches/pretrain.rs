//! What a pretraining step costs, as a multiple of its floor: 6 operations per weight of a matrix and prediction (2 forward, 4
//! backward) and those of causal attention, at the rate that this machine's own matrix product reaches in the same run.
//!
//! `cargo bench -p engine --bench pretrain` on all cores; with `RAYON_NUM_THREADS=1` on one.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and may stop at a surprise"
)]

use api::{Adam, ModelShape};
use engine::{
    kernel::{Mat, MatMut, par_matmul},
    model::Trainable,
    pretrain::{Learner, new_model},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Instant;

/// Seconds of `f`: the median of several runs after a warm-up.
fn seconds(mut f: impl FnMut()) -> f64 {
    f();
    let mut times: Vec<f64> = (0..7)
        .map(|_| {
            let start = Instant::now();
            f();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[3]
}

/// FLOP/s of a large product on the threads of the pool.
fn machine_rate() -> f64 {
    let n = 2048;
    let numbers: Vec<f32> = (0..n * n).map(|i| (i % 97) as f32 / 97.0 - 0.5).collect();
    let mut c = vec![0f32; n * n];
    let time = seconds(|| {
        par_matmul(
            MatMut::new(&mut c, n, n),
            0.0,
            1.0,
            Mat::new(&numbers, n, n),
            Mat::new(&numbers, n, n),
        );
    });
    2.0 * (n * n * n) as f64 / time
}

fn main() {
    println!("threads: {}", rayon::current_num_threads());
    let rate = machine_rate();
    println!("matrix product [2048, 2048, 2048]: {:.0} GFLOP/s", rate / 1e9);
    for (n_layers, d_model, n_heads, d_vocab) in [(4, 128, 4, 1024), (6, 384, 6, 4096)] {
        let shape = ModelShape {
            n_layers,
            d_model,
            n_heads,
            n_ctx: 256,
        };
        step(rate, shape, d_vocab, 16);
    }
}

fn step(rate: f64, shape: ModelShape, d_vocab: usize, batch: usize) {
    let ModelShape {
        n_layers,
        d_model,
        n_ctx,
        ..
    } = shape;
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let tokens: Vec<Vec<u32>> = (0..batch)
        .map(|_| (0..=n_ctx).map(|_| random.random_range(0..d_vocab as u32)).collect())
        .collect();
    let contexts: Vec<&[u32]> = tokens.iter().map(Vec::as_slice).collect();
    let mut learner = Learner::new(Trainable::new(new_model(&shape, d_vocab, 0).unwrap()));
    let gradient = seconds(|| learner.gradient(&contexts).unwrap());
    let update = seconds(|| learner.update(Adam::default(), 1e-9, 0.1, 1.0));
    let matrices = 12 * n_layers * d_model * d_model + d_vocab * d_model;
    // scores and their use: 2 products of n_ctx · d_model per token forward, half of them behind the mask; twice that backward
    let attention = 6 * n_layers * n_ctx * d_model;
    let n = (batch * n_ctx) as f64;
    let floor = n * (6 * matrices + attention) as f64 / rate;
    println!(
        "{n_layers} layers of {d_model}, vocabulary {d_vocab}, {batch} contexts of {n_ctx}: gradient {gradient:.3} s, optimiser {update:.4} s, \
         together {:.2} times the floor of {floor:.3} s; {:.0} tokens per second",
        (gradient + update) / floor,
        n / (gradient + update)
    );
}
