//! p-anneal (Karvonen et al. 2024, arXiv 2408.00113, section 4; dictionary_learning's `PAnnealTrainer` with its `Lp^p`): the penalty
//! Σ c_j^p begins as the L1 norm and comes nearer to the number of active features as p falls.
//!
//! p falls from 1 to its last value in [`UPDATES`] equal moves, at equally spaced steps, the first of which leaves it at 1. At each the
//! penalty's factor is taken mean(Σ c^p) / mean(Σ c^p') times, over the last [`RECENT`] steps, with p' the next p: the penalty
//! stays as large as it was, and only its shape changes.

use api::DictionaryKind;

use super::{forward::Seen, parameters::Tensor};
use crate::kernel::Real;

/// Moves of p.
const UPDATES: usize = 10;
/// Steps over which the two penalties are compared.
const RECENT: usize = 10;

/// Positions in the state's `annealing`: optimiser steps made, moves made, the penalty's factor.
const STEPS: usize = 0;
const MOVES: usize = 1;
const FACTOR: usize = 2;

/// Where p goes, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Anneal {
    /// The last p.
    pub final_p: f64,
    /// The optimiser step, from 0, at which the first move is made.
    pub start: usize,
    /// That of the last.
    pub end: usize,
}

impl Anneal {
    /// As a config says it.
    pub fn kind(&self) -> DictionaryKind {
        DictionaryKind::PAnneal {
            final_p: self.final_p,
            anneal_start: self.start,
            anneal_end: self.end,
        }
    }

    /// Before the first step: where it is (`annealing`), and what the last steps' penalties were with this p and the next
    /// (`recent` [10, 2]).
    pub fn state<R: Real>() -> Vec<Tensor<R>> {
        let mut annealing = Tensor::zeros("annealing", &[3]);
        annealing.data[FACTOR] = R::ONE;
        vec![annealing, Tensor::zeros("recent", &[RECENT, 2])]
    }

    /// p, and the penalty's factor.
    pub fn now<R: Real>(&self, state: &[Tensor<R>]) -> (f64, f64) {
        let data = &state[0].data;
        (self.p(data[MOVES].f64() as usize), data[FACTOR].f64())
    }

    /// The p that comes after.
    pub fn next<R: Real>(&self, state: &[Tensor<R>]) -> f64 {
        self.p(state[0].data[MOVES].f64() as usize + 1)
    }

    /// p after `moves`, the first of which is to 1.
    fn p(&self, moves: usize) -> f64 {
        let share = moves.saturating_sub(1).min(UPDATES - 1) as f64 / (UPDATES - 1) as f64;
        1.0 + share * (self.final_p - 1.0)
    }

    /// The step at which move `index`, from 0, is made.
    fn step_of(&self, index: usize) -> usize {
        self.start + (self.end - self.start) * index / (UPDATES - 1)
    }

    /// After a step: notes its penalties, and moves p where it is time.
    pub fn settle<R: Real>(&self, state: &mut [Tensor<R>], seen: &Seen) {
        let [annealing, recent] = state else { return };
        let [step, moves] = [STEPS, MOVES].map(|i| annealing.data[i].f64() as usize);
        // before the first move there is nothing that comes next
        if moves > 0 {
            recent.data.copy_within(2.., 0);
            let last = &mut recent.data[2 * (RECENT - 1)..];
            let per_token = |sum: f64| R::of(sum / seen.n_tokens.max(1) as f64);
            last.copy_from_slice(&[per_token(seen.powers.0), per_token(seen.powers.1)]);
        }
        // a move per step: where two fall on one, the later ones are late
        if moves < UPDATES && step >= self.step_of(moves) {
            // those that there were no steps for are 0 in both
            let sum = |which: usize| recent.data.iter().skip(which).step_by(2).map(|v| v.f64()).sum::<f64>();
            let (now, next) = (sum(0), sum(1));
            if now > 0.0 && next > 0.0 {
                annealing.data[FACTOR] = R::of(annealing.data[FACTOR].f64() * now / next);
            }
            annealing.data[MOVES] += R::ONE;
        }
        annealing.data[STEPS] += R::ONE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_falls_to_its_last_value_however_few_the_steps_are() {
        for (start, end, n_steps) in [(0, 9, 10), (1, 9, 11), (5, 5, 15), (2, 40, 41)] {
            let anneal = Anneal {
                final_p: 0.2,
                start,
                end,
            };
            let mut state = Anneal::state::<f64>();
            let mut before = 1.0;
            for _ in 0..n_steps {
                anneal.settle(&mut state, &Seen::default());
                let (p, _) = anneal.now(&state);
                assert!(p <= before, "{start} to {end}: {p} after {before}");
                before = p;
            }
            assert!((before - 0.2).abs() < 1e-12, "{start} to {end}: {before}");
        }
    }
}
