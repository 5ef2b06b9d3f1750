//! What a run is trained with where its request does not say: input scale, initial weights, rates. None of it depends on how large the
//! activations are, or on which kind of dictionary it is. How it was chosen: docs/DEFAULTS.md.

use crate::{ConfigError, InputScale, KindName, ObjectiveKind, Origin, PerObjective, SweepRequest, word::words};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Largest norm of a dictionary's gradient.
pub(crate) const MAX_GRAD_NORM: f64 = 1.0;
/// The peak rate of a dictionary that is trained further.
const LR_FROM: f64 = 1e-4;
/// The peak rate of a run of at most [`STEPS`], at a hook point of width 1; it falls with the fourth root of the width. Adam moves each
/// weight by about the rate, and the entries of the rows that it moves are the smaller the wider they are.
const LR: f64 = 0.085;
/// The same for e2e, whose gradient says nothing of where the activations lie: at the other rate, features go silent for good.
const LR_E2E: f64 = 0.057;
/// Steps beyond which the rate falls, with their cube root.
const STEPS: f64 = 400.0;

/// How the fresh weights of a kind with a sparsity term come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum InitialWeights {
    /// Matched to the run's first batch: see [`Origin::Matched`].
    Matched,
    /// As the kind's source draws them. Those of relu and its transcoders are e2e_sae's.
    Published,
}

words!(InitialWeights, "initial_weights", "matched" => InitialWeights::Matched, "published" => InitialWeights::Published);

impl KindName {
    /// How the input of a fresh dictionary is scaled.
    pub(crate) fn default_input_scale(self) -> InputScale {
        match self.is_fitted() {
            true => InputScale::None,
            false => InputScale::UnitNorm,
        }
    }
}

impl SweepRequest {
    /// What a fresh dictionary of the request's kind begins from. Only kinds with a sparsity term can be matched: the others' first
    /// weights follow from k, or from all the data.
    ///
    /// # Errors
    /// When weights are to be matched of another kind.
    pub(crate) fn fresh_origin(&self) -> Result<Origin, ConfigError> {
        match self.initial_weights {
            Some(InitialWeights::Matched) if !self.kind.has_penalty() => Err(ConfigError::new(
                "initial_weights",
                format!(
                    "found matched for kind {}, which has no sparsity term; expected published, or nothing",
                    self.kind
                ),
            )),
            None if !self.kind.has_penalty() => Ok(Origin::Fresh),
            Some(InitialWeights::Published) => Ok(Origin::Fresh),
            Some(InitialWeights::Matched) | None => Ok(Origin::Matched),
        }
    }

    /// The peak learning rates of `objectives`, at a hook point of `width`, in a run of `n_steps`; what was taken is noted.
    pub(crate) fn rates(
        &self,
        objectives: &[ObjectiveKind],
        width: usize,
        n_steps: usize,
        defaults: &mut Vec<String>,
    ) -> PerObjective {
        if self.kind.is_fitted() {
            return PerObjective::All(vec![0.0]);
        }
        if let Some(given) = &self.lr {
            return given.clone();
        }
        let fresh = |objective: &ObjectiveKind| {
            let at_one = if *objective == ObjectiveKind::E2e { LR_E2E } else { LR };
            let longer = (n_steps as f64 / STEPS).max(1.0);
            two_digits(at_one / (width.max(1) as f64).sqrt().sqrt() / longer.cbrt())
        };
        let taken = match self.from.is_empty() {
            true => PerObjective::Each(objectives.iter().map(|o| (*o, vec![fresh(o)])).collect::<BTreeMap<_, _>>()),
            false => PerObjective::All(vec![LR_FROM]),
        };
        defaults.push(format!("lr = {taken}"));
        taken
    }
}

/// Rounded to two significant digits, as somebody would write it.
fn two_digits(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(change: serde_json::Value) -> SweepRequest {
        let mut whole = serde_json::json!({"model": "m", "corpus": "c", "at": "blocks.2.hook_resid_pre"});
        whole.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn the_rate_follows_width_and_length_and_not_the_activations() {
        let rate = |width, n_steps| {
            let all = [ObjectiveKind::Local, ObjectiveKind::E2e];
            let rates = request(serde_json::json!({})).rates(&all, width, n_steps, &mut Vec::new());
            all.map(|objective| rates.of(objective).unwrap()[0])
        };
        assert_eq!(rate(64, 200), [0.03, 0.02]);
        assert_eq!(rate(64, 400), [0.03, 0.02]);
        assert_eq!(rate(64, 3200), [0.015, 0.01]);
        assert_eq!(rate(256, 400), [0.021, 0.014]);
        let further = request(serde_json::json!({"from": [1]})).rates(&[ObjectiveKind::Local], 64, 400, &mut Vec::new());
        assert_eq!(further, PerObjective::All(vec![1e-4]));
    }

    #[test]
    fn kinds_with_a_sparsity_term_are_matched_unless_told() {
        let origin = |change| request(change).fresh_origin();
        assert_eq!(origin(serde_json::json!({})).unwrap(), Origin::Matched);
        assert_eq!(
            origin(serde_json::json!({"initial_weights": "published"})).unwrap(),
            Origin::Fresh
        );
        assert_eq!(origin(serde_json::json!({"kind": "topk"})).unwrap(), Origin::Fresh);
        let refused = origin(serde_json::json!({"kind": "topk", "initial_weights": "matched"})).unwrap_err();
        assert_eq!(refused.field, "initial_weights");
    }
}
