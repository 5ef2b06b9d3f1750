//! What is wrong with a dictionary that a run has made, from its curves and metrics. The rules: docs/METHODS.md, "What a run says of
//! itself".

use api::{DictionaryConfig, DictionaryKind, Finding, HistoryPoint, Measurement, ObjectiveKind, Origin, TokenSet};

/// How far L0 may be from what was asked for.
const L0_OFF: f64 = 0.05;
/// λ times the penalty as a multiple of the rest of the loss, above which little but silence is learnt.
const SATURATED: f64 = 10.0;
/// The same, below which λ does not count; a search goes down to 0.001.
const IDLE: f64 = 0.002;
/// The factor by which λ may differ in the last tenth of the search.
const MOVING: f64 = 3.0;
/// The share of features that may be dead.
const DEAD: f64 = 0.4;
/// The share of PCA's explained variance that has to be reached by what is trained to reconstruct, and by what is not.
const OF_PCA: f64 = 0.5;
const OF_PCA_END_TO_END: f64 = 0.25;
/// How far below it has to be at least.
const BELOW_PCA: f64 = 0.1;
/// How much the loss may rise over the last part of a run, how much a term, which may give way to others, and how many standard errors
/// that is at least.
const RISE: f64 = 0.1;
const RISE_OF_TERM: f64 = 0.25;
const ERRORS: f64 = 3.0;
/// Points of the curves that a half of that part has at least.
const POINTS: usize = 3;

/// What principal components of the same activations explain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reference {
    /// How many: the dictionary's L0, to the next whole number.
    pub directions: usize,
    /// Their explained variance.
    pub explained_variance: f64,
}

/// A finished dictionary and what its run was.
#[derive(Clone, Copy, Debug)]
pub struct Finished<'a> {
    /// What was asked for.
    pub config: &'a DictionaryConfig,
    /// Its place in the run's config.
    pub index: usize,
    /// The run's optimiser steps.
    pub n_steps: usize,
    /// The run's curves, of all its dictionaries.
    pub history: &'a [HistoryPoint],
    /// Its metrics.
    pub metrics: &'a [Measurement],
    /// What PCA comes to.
    pub reference: Option<Reference>,
}

/// What is wrong with it; nothing of what is not trained.
pub fn findings(finished: Finished<'_>) -> Vec<Finding> {
    let config = finished.config;
    let is_new = matches!(config.origin, Origin::Fresh | Origin::Matched | Origin::Finetuned { .. });
    if finished.n_steps == 0 || config.kind.name().is_fitted() || !is_new {
        return Vec::new();
    }
    let found = [
        finished.l0(),
        finished.coefficient(),
        finished.unsettled(),
        finished.dead(),
        finished.explained_variance(),
        finished.rising("loss", RISE),
        finished.rising("loss/kl", RISE_OF_TERM),
    ];
    found.into_iter().flatten().collect()
}

/// A value of a curve at a step.
#[derive(Clone, Copy, Debug)]
struct At {
    step: usize,
    value: f64,
}

impl Finished<'_> {
    fn measured(&self, name: &str) -> Option<&Measurement> {
        let is_it = |m: &&Measurement| m.name == name && m.at.is_none() && m.tokens == TokenSet::Ordinary;
        self.metrics.iter().find(is_it)
    }

    fn points(&self) -> impl DoubleEndedIterator<Item = &HistoryPoint> {
        self.history.iter().filter(|point| point.dictionary == self.index)
    }

    fn curve(&self, name: &str) -> Vec<At> {
        let value = |point: &HistoryPoint| {
            point.values.get(name).map(|value| At {
                step: point.step,
                value: *value,
            })
        };
        self.points().filter_map(value).collect()
    }

    /// Features per token that were asked for; none where a coefficient was, or where k is the most of them.
    fn asked_l0(&self) -> Option<f64> {
        let k = match self.config.kind {
            DictionaryKind::Pursuit { .. } | DictionaryKind::MatchingPursuit { .. } => None,
            kind => kind.k().map(|k| k as f64),
        };
        self.config.course.target_l0.or(k)
    }

    fn l0(&self) -> Option<Finding> {
        let (asked, reached) = (self.asked_l0()?, self.measured("l0")?.value);
        ((reached / asked - 1.0).abs() > L0_OFF).then(|| Finding::L0 {
            kind: self.config.kind.name(),
            asked,
            reached,
        })
    }

    fn coefficient(&self) -> Option<Finding> {
        let from = self.n_steps - self.n_steps.div_ceil(10);
        let given = self.config.objective.sparsity();
        let (mut penalties, mut rests, mut last) = (0.0, 0.0, None);
        for point in self.points().filter(|point| point.step >= from) {
            let (loss, penalty) = (point.values.get("loss")?, point.values.get("loss/sparsity")?);
            let coefficient = point.values.get("coefficient").copied().unwrap_or(given);
            penalties += coefficient * penalty;
            rests += loss - coefficient * penalty;
            last = Some(coefficient);
        }
        let (coefficient, share) = (last?, penalties / rests);
        let is_short = self.asked_l0().zip(self.measured("l0"));
        let is_short = is_short.is_some_and(|(asked, l0)| l0.value < (1.0 - L0_OFF) * asked);
        // without any rest all of the loss is sparsity
        (share > SATURATED || share < IDLE && is_short).then_some(Finding::Coefficient { coefficient, share })
    }

    fn unsettled(&self) -> Option<Finding> {
        self.config.course.target_l0?;
        let curve = self.curve("coefficient");
        let fixed = self.fixed_at(&curve)?;
        let from = fixed.saturating_sub(self.n_steps / 10);
        let moving = curve.iter().filter(|at| (from..=fixed).contains(&at.step) && at.value > 0.0);
        let (smallest, largest) = moving.fold((f64::INFINITY, 0.0_f64), |(low, high), at| {
            (low.min(at.value), high.max(at.value))
        });
        (largest > MOVING * smallest).then_some(Finding::Unsettled {
            smallest,
            largest,
            step: fixed,
        })
    }

    /// The first step of those to the end at which the coefficient is the last.
    fn fixed_at(&self, coefficient: &[At]) -> Option<usize> {
        let last = coefficient.last()?.value;
        let held = coefficient.iter().rev().take_while(|at| at.value == last).last()?;
        Some(held.step)
    }

    fn dead(&self) -> Option<Finding> {
        let (alive, d_sae) = (self.measured("alive")?, self.config.d_sae);
        // fewer tokens say little of features that are rare
        if alive.n_tokens < d_sae as u64 || alive.value >= (1.0 - DEAD) * d_sae as f64 {
            return None;
        }
        let curve = self.curve("validation/alive");
        let ends = curve.first().zip(curve.last());
        let half = ends.filter(|(first, last)| first.value - last.value > 0.1 * d_sae as f64);
        let half = half.map(|(first, last)| (first.value + last.value) / 2.0);
        let step = half
            .and_then(|half| curve.iter().find(|at| at.value <= half))
            .map(|at| at.step);
        Some(Finding::Dead {
            alive: alive.value as usize,
            d_sae,
            step,
            n_steps: self.n_steps,
        })
    }

    fn explained_variance(&self) -> Option<Finding> {
        let (reached, reference) = (self.measured("explained_variance")?.value, self.reference?);
        let pca = reference.explained_variance;
        let wanted = match self.config.objective.kind() {
            ObjectiveKind::Local | ObjectiveKind::KlMse => OF_PCA,
            ObjectiveKind::E2e | ObjectiveKind::E2eDs => OF_PCA_END_TO_END,
        };
        (reached < wanted * pca && reached < pca - BELOW_PCA).then_some(Finding::ExplainedVariance {
            reached,
            pca,
            directions: reference.directions,
        })
    }

    /// Whether a term rose over the last fifth of the run, or what of it has one and the same loss.
    fn rising(&self, term: &str, by: f64) -> Option<Finding> {
        let course = self.config.course;
        let fixed = course.target_l0.and_then(|_| self.fixed_at(&self.curve("coefficient")));
        let annealed = match self.config.kind {
            DictionaryKind::PAnneal { anneal_end, .. } => anneal_end,
            _ => 0,
        };
        let from = [
            self.n_steps * 4 / 5,
            course.sparsity_warmup_steps,
            fixed.unwrap_or(0),
            annealed,
        ];
        let from = from.into_iter().max().unwrap_or(0);
        let part: Vec<f64> = self
            .curve(term)
            .iter()
            .filter(|at| at.step >= from)
            .map(|at| at.value)
            .collect();
        let (before, after) = part.split_at(part.len() / 2);
        if before.len() < POINTS {
            return None;
        }
        let ((low, low_error), (high, high_error)) = (mean(before), mean(after));
        let is_more = high > (1.0 + by) * low && high - low > ERRORS * low_error.hypot(high_error);
        is_more.then(|| Finding::Rising {
            term: term.into(),
            from: low,
            to: high,
            step: from,
        })
    }
}

/// The mean, and its standard error.
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}
