//! How a dictionary's sparsity coefficient λ comes about over its run, and what is done about its dead features.

use serde::{Deserialize, Serialize};

use crate::{ConfigError, DictionaryConfig, KindName, SweepRequest, sparsity::Sparsity};

/// The course of a dictionary's training beside its learning rate. All that is left out does nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Course {
    /// Optimiser steps over which λ rises linearly from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sparsity_warmup_steps: usize,
    /// The number of active features per token for which λ is found. The objective of a run's config says 0 then, that of the
    /// finished dictionary the λ that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_l0: Option<f64>,
    /// Optimiser steps between two resamplings of dead features; 0 for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub resample_steps: usize,
    /// Optimiser steps after a resampling over which the learning rate rises linearly to where it was.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub resample_warmup_steps: usize,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

impl Course {
    /// Whether nothing is asked for.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Its values by the names of the request's fields; those that do nothing are left out.
    pub fn settings(&self) -> Vec<(&'static str, f64)> {
        let steps = [
            ("sparsity_warmup_steps", self.sparsity_warmup_steps),
            ("resample_steps", self.resample_steps),
            ("resample_warmup_steps", self.resample_warmup_steps),
        ];
        let steps = steps.into_iter().map(|(name, n)| (name, n as f64)).filter(|(_, n)| *n > 0.0);
        steps.chain(self.target_l0.map(|target| ("target_l0", target))).collect()
    }
}

impl KindName {
    /// The request's fields of its course, by name.
    pub fn course(self) -> &'static [&'static str] {
        const ALL: [&str; 4] = [
            "target_l0",
            "sparsity_warmup_steps",
            "resample_steps",
            "resample_warmup_steps",
        ];
        match (self.has_penalty(), self.can_resample()) {
            (true, true) => &ALL,
            (true, false) => &["target_l0", "sparsity_warmup_steps"],
            (false, _) => &[],
        }
    }

    /// Whether its dead features can be given a new beginning: the kinds whose features are an encoder's and a decoder's row and
    /// biases. The TopK kinds have a term for them, a threshold that is learnt has no value to begin from anew, and what a
    /// transcoder reads is no direction to write.
    pub fn can_resample(self) -> bool {
        matches!(
            self,
            KindName::Relu
                | KindName::ReluUnit
                | KindName::ReluApril
                | KindName::ReluSaelens
                | KindName::PAnneal
                | KindName::Tied
                | KindName::Gated
        )
    }
}

impl DictionaryConfig {
    /// Checks the course for a run of `n_steps`.
    ///
    /// # Errors
    /// The first that cannot be used.
    pub(crate) fn check_course(&self, n_steps: usize) -> Result<(), ConfigError> {
        let (course, kind) = (self.course, self.kind.name());
        for (field, _) in course.settings() {
            let resamples = field.starts_with("resample");
            if resamples && !kind.can_resample() {
                let message = format!("found with kind {kind}, whose dead features are not resampled");
                return Err(ConfigError::new(field, message));
            }
            if !resamples && !kind.has_penalty() {
                let message = format!("found with kind {kind}, which has no sparsity term");
                return Err(ConfigError::new(field, message));
            }
        }
        let fewer = |field: &str, found: usize, than: usize, what: &str| match found < than {
            true => Ok(()),
            false => Err(ConfigError::new(
                field,
                format!("found {found}; expected fewer than the {than} {what}"),
            )),
        };
        if course.sparsity_warmup_steps > 0 {
            fewer(
                "sparsity_warmup_steps",
                course.sparsity_warmup_steps,
                n_steps,
                "steps of the run",
            )?;
        }
        if course.resample_warmup_steps > 0 {
            fewer(
                "resample_warmup_steps",
                course.resample_warmup_steps,
                course.resample_steps,
                "of resample_steps",
            )?;
        }
        let Some(target) = course.target_l0 else { return Ok(()) };
        if !target.is_finite() || target < 1.0 {
            return Err(ConfigError::new("target_l0", format!("found {target}; expected 1 or more")));
        }
        if target > self.d_sae as f64 {
            return Err(ConfigError::new(
                "target_l0",
                format!("found {target}; expected {} or less, the number of features", self.d_sae),
            ));
        }
        if self.objective.sparsity() != 0.0 {
            let message = format!(
                "found {} with target_l0, which finds it: give one of them",
                self.objective.sparsity()
            );
            return Err(ConfigError::new("coefficient", message));
        }
        Ok(())
    }
}

impl SweepRequest {
    /// The courses of its dictionaries: one, or one for each number of features per token that λ is found for.
    pub(crate) fn courses(&self, sparsity: &Sparsity) -> Vec<Course> {
        let course = Course {
            sparsity_warmup_steps: self.sparsity_warmup_steps.unwrap_or_default(),
            target_l0: None,
            resample_steps: self.resample_steps.unwrap_or_default(),
            resample_warmup_steps: self.resample_warmup_steps.unwrap_or_default(),
        };
        let targets = sparsity.features_per_token();
        // k is a setting of the kind
        let is_k = self.from.is_empty() && !self.kind.has_penalty();
        if targets.is_empty() || is_k {
            return vec![course];
        }
        let aimed = |target: &f64| Course {
            target_l0: Some(*target),
            ..course
        };
        targets.iter().map(aimed).collect()
    }
}
