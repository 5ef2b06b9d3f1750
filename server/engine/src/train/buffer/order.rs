//! Which vectors a buffer holds and serves, without their numbers: a function of the seed and of how many were served.
//!
//! The contexts of a pass come in [`Order`]. Whole contexts are taken in as long as they fit; then all that is held is shuffled
//! and served, but for the share that is kept back until the next contexts have come in, as SAELens' `mixing_buffer` does. When a
//! pass has no more contexts, all that is left is served: every vector is served exactly once in each pass.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

use crate::corpus::Order;

/// A vector in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its context.
    pub context: usize,
    /// Its position in the context.
    pub token: usize,
    /// Where in the buffer its numbers lie.
    pub slot: usize,
}

/// See the module.
pub struct Mix {
    seed: u64,
    mixing: f64,
    n_ctx: usize,
    n_contexts: usize,
    order: Order,
    /// Contexts taken in so far, over all passes.
    n_taken: u64,
    /// Shuffles so far in this pass.
    n_shuffles: u64,
    /// What is in the buffer; served from the end.
    held: Vec<Held>,
    /// How many of them are served before the next contexts are taken in.
    n_ready: usize,
    /// Slots of no vector.
    free: Vec<usize>,
}

impl Mix {
    /// A buffer of `capacity` vectors that keeps the share `mixing` back, over `n_contexts` contexts of `n_ctx` tokens in the
    /// order of `seed`; `n_served` vectors have been served.
    pub fn new(seed: u64, (capacity, mixing): (usize, f64), n_contexts: usize, n_ctx: usize, n_served: u64) -> Self {
        let per_pass = (n_contexts * n_ctx) as u64;
        let mut mix = Self {
            seed,
            mixing,
            n_ctx,
            n_contexts,
            order: Order::new(seed, n_contexts),
            // each pass serves what it takes in: it leaves an empty buffer
            n_taken: n_served / per_pass * n_contexts as u64,
            n_shuffles: 0,
            held: Vec::new(),
            n_ready: 0,
            free: (0..capacity).rev().collect(),
        };
        for _ in 0..n_served % per_pass {
            if mix.is_due() {
                mix.take_in();
            }
            mix.serve();
        }
        mix
    }

    /// What is in the buffer.
    pub fn held(&self) -> &[Held] {
        &self.held
    }

    /// Whether contexts must come in before the next vector is served.
    pub fn is_due(&self) -> bool {
        self.n_ready == 0
    }

    /// Takes contexts in and shuffles; gives the vectors that have come, context by context.
    pub fn take_in(&mut self) -> Vec<Held> {
        let (pass, before) = (self.order.pass(self.n_taken), self.held.len());
        if self.n_taken.is_multiple_of(self.n_contexts as u64) {
            self.n_shuffles = 0;
        }
        while self.order.pass(self.n_taken) == pass && self.free.len() >= self.n_ctx {
            let context = self.order.at(self.n_taken);
            let slots = self.free.drain(self.free.len() - self.n_ctx..);
            let vector = |(token, slot)| Held { context, token, slot };
            self.held.extend(slots.enumerate().map(vector));
            self.n_taken += 1;
        }
        let new = self.held[before..].to_vec();
        let is_over = self.order.pass(self.n_taken) != pass;
        let kept = if is_over { 0.0 } else { self.mixing * self.held.len() as f64 };
        self.n_ready = self.held.len() - kept as usize;
        self.shuffle(pass);
        new
    }

    /// The next vector, which leaves the buffer.
    ///
    /// # Panics
    /// When contexts must come in first.
    pub fn serve(&mut self) -> Held {
        assert!(self.n_ready > 0, "nothing is ready");
        self.n_ready -= 1;
        let held = self.held.swap_remove(self.held.len() - 1);
        self.free.push(held.slot);
        held
    }

    /// Fisher–Yates, written out so that no library's update can change the order of a stored run.
    fn shuffle(&mut self, pass: u64) {
        let mut key = *b"saescope: the order in a buffer.";
        for (place, number) in [(0, self.seed), (8, pass), (16, self.n_shuffles)] {
            key[place..place + 8].copy_from_slice(&number.to_le_bytes());
        }
        self.n_shuffles += 1;
        let mut random = ChaCha8Rng::from_seed(key);
        for last in (1..self.held.len()).rev() {
            let choices = last as u128 + 1;
            self.held
                .swap(last, ((u128::from(random.next_u64()) * choices) >> 64) as usize);
        }
    }
}
