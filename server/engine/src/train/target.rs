//! The search for the λ at which a given number of features is active, while the dictionary trains.
//!
//! Any kind with a penalty has fewer active features the larger λ is, so ln λ follows the error e = ln(L0 / wanted), which is kept
//! within ±1, by a proportional and an integral part:
//!
//! ln λ_t = i_t + e_t, i_(t+1) = i_t + (gain / steps) e_t
//!
//! - **From above, without overshooting.** A feature that has died of too large a λ does not come back when λ falls. So L0 is not wanted
//!   at its target at once: what is wanted falls evenly, in its logarithm, from where L0 is to the target at [`ARRIVAL`] of the run.
//!   Where L0 falls faster, λ gives way, and the way comes down to L0.
//! - **Without wind-up.** λ times the penalty stays between [`LEAST`] and [`MOST`] times the rest of the loss. Below, a penalty
//!   changes nothing, and above it is the only thing that is learnt; a λ that went further would only have to come back.
//! - **Whatever the run.** The gain is by the run's length, so that a short run searches as widely as a long one, and the
//!   first λ follows from the first step's loss, whatever the input's size and the objective.
//!
//! In the last [`HELD`] of the run λ stands still, at the mean of ln λ over the [`AVERAGED`] before: it is a coefficient that the
//! dictionary was trained with.
//!
//! (dictionary_learning's JumpReLU trainer has s (L0 / target − 1)² in the loss in its place, which gives no λ to report: at the target
//! its gradient is 0, and sparsity is held by what happens on its way there.)

use serde::{Deserialize, Serialize};

/// How far ln λ goes over a run's length at an error of 1: on the way to the target, when features still move fast, and then.
const GAIN_ON_THE_WAY: f64 = 40.0;
const GAIN: f64 = 60.0;
/// λ times the penalty at first, at least, and at most, as shares of the rest of the loss.
const FIRST: f64 = 0.02;
const LEAST: f64 = 0.001;
const MOST: f64 = 10.0;
/// The share of the run after which the target itself is wanted.
const ARRIVAL: f64 = 0.5;
/// The share of the run at whose end λ stands still, and that before over which the value that it keeps is averaged.
const HELD: f64 = 0.02;
const AVERAGED: f64 = 0.1;
/// How fast the way comes down to an L0 below it: so many times in a run's length.
const FOLLOWS: f64 = 30.0;
/// Fewer active features than these count as these: the logarithm of 0 says nothing of how far it is.
const FEWEST: f64 = 1e-3;

/// Where the search is: what a checkpoint has of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// λ; 0 before the first step.
    pub coefficient: f64,
    /// The integral part, of ln λ.
    integral: f64,
    /// Where the way to the target begins: ln L0, and the share of the run.
    #[serde(default)]
    from: WayPoint,
    /// Σ ln λ over the steps that are averaged, and their number.
    sum: f64,
    n: usize,
}

/// A point on the way from where L0 is to where it is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WayPoint {
    ln_l0: f64,
    at: f64,
}

impl WayPoint {
    /// ln L0 that is wanted at `now` on the way from here to `goal`.
    fn wanted(self, now: f64, goal: f64) -> f64 {
        let left = ARRIVAL - self.at;
        let gone = if left > 0.0 { ((now - self.at) / left).min(1.0) } else { 1.0 };
        self.ln_l0 + gone * (goal - self.ln_l0)
    }
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
        let now = step as f64 / n_steps as f64;
        let (ln_l0, goal) = (shown.l0.max(FEWEST).ln(), target.ln());
        // the λ at which the penalty is as large as the rest
        let even = shown.rest / shown.penalty;
        let is_known = even.is_finite() && even > 0.0;
        if self.coefficient == 0.0 {
            // a dictionary of which nothing fires waits for something to
            if is_known {
                self.coefficient = FIRST * even;
                self.integral = self.coefficient.ln();
                self.from = WayPoint { ln_l0, at: now };
            }
            return;
        }
        let (left, share) = (n_steps - step, |share: f64| (share * n_steps as f64).ceil() as usize);
        // the λ of the last step stands in the curves, and is that of the one before
        let held = share(HELD).max(2);
        if left <= held {
            if self.n > 0 {
                self.coefficient = (self.sum / self.n as f64).exp();
                self.n = 0;
            }
            return;
        }
        let wanted = self.from.wanted(now, goal);
        let ahead = (wanted - ln_l0.max(goal)).max(0.0);
        let error = if ahead > 0.0 {
            // λ is too large for the way, or L0 falls by itself
            let follow = (FOLLOWS / n_steps as f64).min(1.0);
            self.from = WayPoint {
                ln_l0: wanted - follow * ahead,
                at: now,
            };
            (ln_l0 - goal).min(0.0) - ahead
        } else {
            ln_l0 - wanted
        };
        let error = error.clamp(-1.0, 1.0);
        let gain = if now < ARRIVAL { GAIN_ON_THE_WAY } else { GAIN };
        self.integral += gain / n_steps as f64 * error;
        if is_known {
            self.integral = self.integral.clamp((LEAST * even).ln(), (MOST * even).ln());
        }
        self.coefficient = (self.integral + error).exp();
        if left <= held + share(AVERAGED) {
            self.sum += self.coefficient.ln();
            self.n += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dictionary whose L0 follows λ late: each step it goes `speed` of the way to `natural` · (λ / (λ + 1))^(−slope)-like levels, in logarithms,
    /// and never above where it began.
    fn ends_at(target: f64, n_steps: usize, scale: f64, delay: f64) -> (f64, f64) {
        let (mut search, mut ln_l0, mut least) = (Search::default(), 256_f64.ln(), f64::INFINITY);
        for step in 0..n_steps {
            let l0 = ln_l0.exp();
            let shown = Shown {
                l0,
                rest: scale * 0.01,
                penalty: scale.sqrt() * l0 / 64.0,
            };
            search.follow(target, step, n_steps, shown);
            let settles_at = (100.0 * (search.coefficient / scale.sqrt() / 1e-3).powf(-0.8))
                .clamp(0.05, 100.0)
                .ln();
            let speed = 1.0 - (-1.0 / (delay * n_steps as f64)).exp();
            ln_l0 += speed * (settles_at - ln_l0);
            least = least.min(ln_l0.exp());
        }
        (ln_l0.exp(), least)
    }

    #[test]
    fn it_comes_to_the_target_from_above_whatever_the_size_and_the_length() {
        for target in [8.0, 16.0, 32.0, 64.0] {
            for n_steps in [100, 200, 1000, 20_000] {
                for scale in [1e-4, 1.0, 900.0] {
                    for delay in [0.002, 0.01, 0.03] {
                        let (l0, least) = ends_at(target, n_steps, scale, delay);
                        let case = format!("target {target}, {n_steps} steps, scale {scale}, delay {delay}: {l0}, least {least}");
                        assert!((l0 / target - 1.0).abs() < 0.05, "{case}");
                        assert!(least > 0.7 * target, "{case}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_target_that_no_penalty_gives_leaves_lambda_at_its_least() {
        // nothing that λ does changes what fires, which is too little
        let mut search = Search::default();
        let shown = Shown {
            l0: 5.0,
            rest: 1.0,
            penalty: 1.0,
        };
        (0..1000).for_each(|step| search.follow(50.0, step, 1000, shown));
        let share = search.coefficient;
        assert!(share > 0.3 * LEAST && share <= LEAST, "{share}");
        // and one that is exceeded whatever λ is, at its most
        let mut search = Search::default();
        (0..1000).for_each(|step| search.follow(1.0, step, 1000, shown));
        assert!(
            search.coefficient >= MOST && search.coefficient < 3.0 * MOST,
            "{}",
            search.coefficient
        );
    }
}
