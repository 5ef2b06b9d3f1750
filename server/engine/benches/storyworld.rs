//! How fast Storyworld tells stories with all their labels, on one core, and as a ratio to what cannot be saved: drawing as many random
//! numbers and copying as many bytes of text and labels.
//!
//! `cargo bench -p engine --bench storyworld`
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use engine::corpus::storyworld::{Statistics, Storyworld, Word};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore as _, SeedableRng as _},
};
use std::{hint::black_box, time::Instant};

const N_STORIES: u64 = 20_000;

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

fn main() {
    let world = Storyworld::new(0);
    let mut statistics = Statistics::default();
    let mut n_choices = 0;
    for index in 0..N_STORIES {
        statistics.add(&world.story(index));
    }
    for index in 0..N_STORIES / 20 {
        n_choices += 20 * world.explain(index).1.len();
    }
    let telling = seconds(|| {
        for index in 0..N_STORIES {
            black_box(world.story(index));
        }
    });

    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let text = vec![b'a'; statistics.n_bytes as usize];
    let words = vec![0_u8; statistics.n_tokens as usize * size_of::<Word>()];
    let floor = seconds(|| {
        for _ in 0..n_choices {
            black_box(rng.next_u32());
        }
        black_box(text.clone());
        black_box(words.clone());
    });

    println!(
        "{N_STORIES} stories, {} tokens (words and marks), {} bytes of text, some {n_choices} choices",
        statistics.n_tokens, statistics.n_bytes
    );
    println!(
        "{:.2} million tokens per second on one core (asked: 2)",
        statistics.n_tokens as f64 / telling / 1e6
    );
    println!(
        "{:.1} times the time of drawing as many numbers and copying as many bytes ({:.0} million tokens per second)",
        telling / floor,
        statistics.n_tokens as f64 / floor / 1e6
    );
}
