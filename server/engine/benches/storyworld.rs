//! How fast Storyworld tells stories with all their labels, on one core, and as a ratio to what cannot be saved: drawing as many random
//! numbers and copying stories as long.
//!
//! `cargo bench -p engine --bench storyworld`
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use engine::corpus::storyworld::{Statistics, Story, Storyworld};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore as _, SeedableRng as _},
};
use std::{hint::black_box, time::Instant};

const N_STORIES: u64 = 500;

/// Seconds of `f`: the fastest of many short runs after a warm-up, so that what else the machine does is left out.
fn seconds(mut f: impl FnMut()) -> f64 {
    f();
    let run = |_| {
        let start = Instant::now();
        f();
        start.elapsed().as_secs_f64()
    };
    (0..200).map(run).fold(f64::INFINITY, f64::min)
}

fn main() {
    let world = Storyworld::new(0);
    let mut statistics = Statistics::default();
    let mut n_choices = 0;
    for index in 0..N_STORIES {
        let (story, choices) = world.explain(index);
        statistics.add(&story);
        n_choices += choices.len();
    }
    let telling = seconds(|| {
        for index in 0..N_STORIES {
            black_box(world.story(index));
        }
    });

    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let told: Vec<Story> = (0..N_STORIES).map(|index| world.story(index)).collect();
    let floor = seconds(|| {
        for _ in 0..n_choices {
            black_box(rng.next_u32());
        }
        told.iter().for_each(|story| drop(black_box(story.clone())));
    });

    println!(
        "{N_STORIES} stories, {} tokens (words and marks), {} bytes of text, {n_choices} choices",
        statistics.n_tokens, statistics.n_bytes
    );
    println!(
        "{:.2} million tokens per second on one core (asked: 2)",
        statistics.n_tokens as f64 / telling / 1e6
    );
    println!(
        "{:.1} times the time of drawing as many numbers and copying stories as long ({:.0} million tokens per second)",
        telling / floor,
        statistics.n_tokens as f64 / floor / 1e6
    );
}
