//! The search for the λ at which a given number of features is active, while the dictionary trains.
//!
//! Any kind with a penalty has fewer active features the larger λ is, so ln λ follows the error e = ln(L0 / target), which is
//! within ±1, by a proportional and an integral part:
//!
//! ln λ_t = i_t + e_t, i_(t+1) = i_t + (GAIN / steps) e_t
//!
//! The gain is by the run's length, so that a short run searches as widely as a long one. The first λ makes the penalty a
//! hundredth of the rest of the first step's loss, whatever the input's size and the objective. In the last [`HELD`] of the
//! run λ stands still, at the mean of ln λ over the [`AVERAGED`] before: it is a coefficient that the dictionary was trained with.
//!
//! (dictionary_learning's JumpReLU trainer has s (L0 / target − 1)² in the loss in its place, which gives no λ to report: at the target
//! its gradient is 0, and sparsity is held by what happens on its way there.)

use serde::{Deserialize, Serialize};

/// How far ln λ goes over a run's length at an error of 1.
const GAIN: f64 = 40.0;
/// The first λ times the penalty, as a share of the rest of the loss.
const FIRST: f64 = 0.01;
/// The share of the run at whose end λ stands still, and that before over which the value that it keeps is averaged.
const HELD: f64 = 0.2;
const AVERAGED: f64 = 0.05;

/// Where the search is: what a checkpoint has of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// λ; 0 before the first step.
    pub coefficient: f64,
    /// The integral part, of ln λ.
    integral: f64,
    /// Σ ln λ over the steps that are averaged, and their number.
    sum: f64,
    n: usize,
}

/// What an optimiser step has shown.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// Active features per token.
    pub l0: f64,
    /// The loss without the penalty.
    pub rest: f64,
    /// The penalty, without λ.
    pub penalty: f64,
}

impl Search {
    /// After step `step` of `n_steps`, from 0: moves λ towards what gives `target` active features.
    pub fn follow(&mut self, target: f64, step: usize, n_steps: usize, shown: Shown) {
        if self.coefficient == 0.0 {
            let first = FIRST * shown.rest / shown.penalty;
            // a dictionary of which nothing fires waits for something to
            if first.is_finite() && first > 0.0 {
                (self.coefficient, self.integral) = (first, first.ln());
            }
            return;
        }
        let left = (n_steps - step) as f64 / n_steps as f64;
        if left <= HELD {
            if self.n > 0 {
                self.coefficient = (self.sum / self.n as f64).exp();
                self.n = 0;
            }
            return;
        }
        let error = (shown.l0 / target).ln().clamp(-1.0, 1.0);
        self.integral += GAIN / n_steps as f64 * error;
        self.coefficient = (self.integral + error).exp();
        if left <= HELD + AVERAGED {
            self.sum += self.coefficient.ln();
            self.n += 1;
        }
    }
}
