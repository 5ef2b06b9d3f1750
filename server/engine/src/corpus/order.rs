//! In which order contexts are visited: a pure function of the seed and the position, so that a resumed run goes on
//! where it was without any stored state.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// A seeded order over `n_contexts` contexts, reshuffled on every pass.
#[derive(Clone, Debug)]
pub struct Order {
    seed: u64,
    n_contexts: usize,
    shuffled: Option<(u64, Vec<usize>)>,
}

impl Order {
    /// The order of `seed` over `n_contexts` contexts.
    ///
    /// # Panics
    /// When `n_contexts` is 0; a token file has at least one context in every split.
    pub fn new(seed: u64, n_contexts: usize) -> Self {
        assert!(n_contexts > 0, "an order needs at least one context");
        Self {
            seed,
            n_contexts,
            shuffled: None,
        }
    }

    /// The context visited at `position` (from 0, counting on over all passes). Every pass visits every context once.
    /// The permutation of the pass last asked for is kept.
    pub fn at(&mut self, position: u64) -> usize {
        let pass = self.pass(position);
        let within = (position % self.n_contexts as u64) as usize;
        match &self.shuffled {
            Some((kept, permutation)) if *kept == pass => permutation[within],
            _ => {
                let permutation = permutation(self.seed, pass, self.n_contexts);
                let context = permutation[within];
                self.shuffled = Some((pass, permutation));
                context
            }
        }
    }

    /// The pass, from 0, that `position` belongs to.
    pub fn pass(&self, position: u64) -> u64 {
        position / self.n_contexts as u64
    }
}

/// Fisher–Yates, written out so that no library's update can change the order of a stored run.
fn permutation(seed: u64, pass: u64, n: usize) -> Vec<usize> {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&pass.to_le_bytes());
    let mut random = ChaCha8Rng::from_seed(key);
    let mut order: Vec<usize> = (0..n).collect();
    for last in (1..n).rev() {
        let choices = last as u128 + 1;
        order.swap(last, ((u128::from(random.next_u64()) * choices) >> 64) as usize);
    }
    order
}
