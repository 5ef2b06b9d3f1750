//! Scratch memory, one piece per thread of the pool, and sums that do not depend on how many threads there are.

use std::sync::{Mutex, PoisonError};

/// One `T` per thread of the pool that was current when it was made. What is in a piece must not matter to results:
/// which thread takes which task changes from run to run.
#[derive(Debug)]
pub struct PerThread<T>(Vec<Mutex<T>>);

impl<T: Default> PerThread<T> {
    /// For the threads of the current pool.
    pub fn new() -> Self {
        Self((0..rayon::current_num_threads().max(1)).map(|_| Mutex::default()).collect())
    }

    /// Runs `f` on the calling thread's piece.
    pub fn with<U>(&self, f: impl FnOnce(&mut T) -> U) -> U {
        let index = rayon::current_thread_index().unwrap_or(0) % self.0.len();
        // a poisoned lock means that a panic is on its way up already
        f(&mut self.0[index].lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T: Default> Default for PerThread<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// f(0) + … + f(n − 1) on the threads of the current pool, added up as a binary tree over the indices: the same bits with any
/// number of threads, and nothing allocated.
pub fn par_sum(n: usize, f: &(impl Fn(usize) -> f64 + Sync)) -> f64 {
    fn tree(from: usize, to: usize, f: &(impl Fn(usize) -> f64 + Sync)) -> f64 {
        match to - from {
            0 => 0.0,
            1 => f(from),
            n => {
                let middle = from + n / 2;
                let (a, b) = rayon::join(|| tree(from, middle, f), || tree(middle, to, f));
                a + b
            }
        }
    }
    tree(0, n, f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_take_every_index() {
        for n in 0..20 {
            assert_eq!(par_sum(n, &|i| i as f64), (n * n.saturating_sub(1) / 2) as f64);
        }
    }
}
