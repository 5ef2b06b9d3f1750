//! The kinds that are fitted to activations and not trained: the baselines. What a request may say about them, and how many
//! features they have. Formulas: docs/METHODS.md, "Baselines".

use crate::{
    ConfigError, DictionaryConfig, DictionaryKind, KindName, ObjectiveKind, ResolvedAgainst, SweepRequest, TrainConfig,
    config::at_least,
};

/// The request's fields that say how a dictionary is trained, by which a fitted one does not differ.
const OF_TRAINING: [&str; 17] = [
    "buffer_tokens",
    "buffer_mixing",
    "buffer_on",
    "kl_coefficient",
    "ds_coefficient",
    "lr",
    "warmup_steps",
    "min_lr_factor",
    "hold_steps",
    "adam_beta1",
    "adam_beta2",
    "adam_eps",
    "max_grad_norm",
    "validation_tokens",
    "eval_every_steps",
    "log_every_steps",
    "checkpoint_every_steps",
];

impl KindName {
    /// Whether it is fitted to activations, in passes over them, and has no loss, no learning rate and no optimiser step.
    pub fn is_fitted(self) -> bool {
        matches!(
            self,
            KindName::PcaStatic
                | KindName::PcaDynamic
                | KindName::PcaTopK
                | KindName::PcaNonNegative
                | KindName::Ica
                | KindName::Nmf
                | KindName::Random
                | KindName::Identity
                | KindName::TokenMean
        )
    }

    /// Whether the number of its features follows from where it stands, and is not to be chosen.
    pub fn has_own_width(self) -> bool {
        self.is_fitted() && !matches!(self, KindName::Nmf | KindName::Random)
    }

    /// Whether a request for this kind may give `field`.
    pub fn takes(self, field: &str) -> bool {
        !(self.is_fitted() && OF_TRAINING.contains(&field) || self.has_own_width() && field == "d_sae")
    }
}

impl TrainConfig {
    /// Whether its dictionaries are fitted: a run has kinds of one sort, which [`TrainConfig::validate`] sees to.
    pub fn is_fit(&self) -> bool {
        self.dictionaries.iter().any(|d| d.kind.name().is_fitted())
    }

    /// # Errors
    /// Where fitted and trained dictionaries are mixed: they are no one run.
    pub(crate) fn check_fit(&self) -> Result<(), ConfigError> {
        match self.is_fit() && self.dictionaries.iter().any(|d| !d.kind.name().is_fitted()) {
            true => {
                let message = "found fitted and trained kinds in one run; expected the one or the other";
                Err(ConfigError::new("dictionaries", message))
            }
            false => Ok(()),
        }
    }
}

impl DictionaryConfig {
    /// # Errors
    /// Where a fitted kind is asked for with what belongs to training.
    pub(crate) fn check_fitted(&self) -> Result<(), ConfigError> {
        let name = self.kind.name();
        if !name.is_fitted() {
            return Ok(());
        }
        let objective = self.objective.kind();
        if objective != ObjectiveKind::Local {
            return Err(only_local(name, objective));
        }
        if self.lr != 0.0 {
            let message = format!("found {}; {name} is fitted, not trained: expected 0", self.lr);
            return Err(ConfigError::new("lr", message));
        }
        Ok(())
    }
}

fn only_local(name: KindName, found: ObjectiveKind) -> ConfigError {
    let message = format!(
        "found {found}; {name} is fitted to the activations at its hook point and has no loss that could look past it: expected local"
    );
    ConfigError::new("objectives", message)
}

impl SweepRequest {
    /// Refuses what a fitted kind does not take, and gives the objective that is meant where none is named: the activation's own
    /// reconstruction, and for what is trained further that together with the output's.
    ///
    /// # Errors
    /// The first field that is given and means nothing.
    pub(crate) fn meant_objectives(&self, defaults: &mut Vec<String>) -> Result<Vec<ObjectiveKind>, ConfigError> {
        if !self.kind.is_fitted() {
            if !self.objectives.is_empty() {
                return Ok(self.objectives.clone());
            }
            let objective = match self.from.is_empty() {
                true => ObjectiveKind::Local,
                false => ObjectiveKind::KlMse,
            };
            defaults.push(format!("objective = {objective}"));
            return Ok(vec![objective]);
        }
        if let Some(other) = self.objectives.iter().find(|o| **o != ObjectiveKind::Local) {
            return Err(only_local(self.kind, *other));
        }
        let given = [
            ("buffer_tokens", self.buffer_tokens.is_some()),
            ("buffer_mixing", self.buffer_mixing.is_some()),
            ("buffer_on", self.buffer_on.is_some()),
            ("kl_coefficient", self.kl_coefficient.is_some()),
            ("ds_coefficient", self.ds_coefficient.is_some()),
            ("lr", self.lr.is_some()),
            ("warmup_steps", self.warmup_steps.is_some()),
            ("min_lr_factor", self.min_lr_factor.is_some()),
            ("hold_steps", self.hold_steps.is_some()),
            ("adam_beta1", self.adam_beta1.is_some()),
            ("adam_beta2", self.adam_beta2.is_some()),
            ("adam_eps", self.adam_eps.is_some()),
            ("max_grad_norm", self.max_grad_norm.is_some()),
            ("validation_tokens", self.validation_tokens.is_some()),
            ("eval_every_steps", self.eval_every_steps.is_some()),
            ("log_every_steps", self.log_every_steps.is_some()),
            ("checkpoint_every_steps", self.checkpoint_every_steps.is_some()),
        ];
        if let Some((field, _)) = given.iter().find(|(_, is_given)| *is_given) {
            let message = format!(
                "found with kind {}, which is fitted, not trained, and has no such thing: leave it out",
                self.kind
            );
            return Err(ConfigError::new(*field, message));
        }
        if self.kind.has_own_width()
            && let Some(d_sae) = self.d_sae
        {
            let message = format!(
                "found {d_sae}; how many features {} has follows from the width at the hook point, from k or from the vocabulary: leave it out",
                self.kind
            );
            return Err(ConfigError::new("d_sae", message));
        }
        Ok(vec![ObjectiveKind::Local])
    }

    /// The fitted kind with its settings: one, or one for each of `k`.
    pub(crate) fn fitted_kinds(&self, k: &[usize]) -> Vec<DictionaryKind> {
        let each = |kind: fn(usize) -> DictionaryKind| k.iter().map(|k| kind(*k)).collect();
        let maybe = |kind: fn(Option<usize>) -> DictionaryKind| match k.is_empty() {
            true => vec![kind(None)],
            false => k.iter().map(|k| kind(Some(*k))).collect(),
        };
        match self.kind {
            KindName::PcaStatic => each(|k| DictionaryKind::PcaStatic { k }),
            KindName::PcaDynamic => each(|k| DictionaryKind::PcaDynamic { k }),
            KindName::PcaTopK => each(|k| DictionaryKind::PcaTopK { k }),
            KindName::Ica => maybe(|k| DictionaryKind::Ica { k }),
            KindName::Random => maybe(|k| DictionaryKind::Random { k }),
            KindName::Identity => maybe(|k| DictionaryKind::Identity { k }),
            KindName::Nmf => vec![DictionaryKind::Nmf],
            KindName::TokenMean => vec![DictionaryKind::TokenMean],
            // the kinds that are trained do not come here
            _ => vec![DictionaryKind::PcaNonNegative],
        }
    }

    /// The defaults that were filled in and say something about this kind.
    pub(crate) fn told_defaults(&self, mut defaults: Vec<String>) -> Vec<String> {
        defaults.retain(|default| {
            let field = default.split(" = ").next().unwrap_or(default);
            self.kind.takes(field)
        });
        defaults
    }
}

impl DictionaryKind {
    /// How many features it has at a place of `facts`, where that is not to be chosen.
    ///
    /// # Errors
    /// More components than there are dimensions.
    pub(crate) fn own_width(&self, facts: ResolvedAgainst<'_>) -> Result<Option<usize>, ConfigError> {
        if !self.name().has_own_width() {
            return Ok(None);
        }
        Ok(Some(match *self {
            DictionaryKind::PcaStatic { k } => {
                at_least("k", k, 1)?;
                if k > facts.width {
                    let message = format!("found {k}; there are {} components at the hook point", facts.width);
                    return Err(ConfigError::new("k", message));
                }
                k
            }
            DictionaryKind::PcaDynamic { .. } => facts.width,
            DictionaryKind::TokenMean => facts.d_vocab,
            // both signs of each direction
            _ => 2 * facts.width,
        }))
    }
}
