//! The kinds of dictionary: their names, their settings, and how a request comes to them. Formulas: docs/METHODS.md.

use serde::{Deserialize, Serialize};

use crate::{
    ConfigError, DictionaryConfig, PerObjective, SweepRequest,
    config::{at_least, below_one, not_negative, positive},
    sweep::or_default,
    word::words,
};

/// The kinds, without their settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum KindName {
    /// See [`DictionaryKind::Relu`].
    #[default]
    Relu,
    /// See [`DictionaryKind::Tied`].
    Tied,
    /// See [`DictionaryKind::Gated`].
    Gated,
    /// See [`DictionaryKind::TopK`].
    TopK,
    /// See [`DictionaryKind::BatchTopK`].
    BatchTopK,
    /// See [`DictionaryKind::JumpRelu`].
    JumpRelu,
    /// See [`DictionaryKind::PcaStatic`].
    #[serde(rename = "pca-static")]
    PcaStatic,
    /// See [`DictionaryKind::PcaDynamic`].
    #[serde(rename = "pca-dynamic")]
    PcaDynamic,
    /// See [`DictionaryKind::PcaTopK`].
    #[serde(rename = "pca-topk")]
    PcaTopK,
    /// See [`DictionaryKind::PcaNonNegative`].
    #[serde(rename = "pca-nonnegative")]
    PcaNonNegative,
    /// See [`DictionaryKind::Ica`].
    Ica,
    /// See [`DictionaryKind::Nmf`].
    Nmf,
    /// See [`DictionaryKind::Random`].
    Random,
    /// See [`DictionaryKind::Identity`].
    Identity,
    /// See [`DictionaryKind::TokenMean`].
    #[serde(rename = "token-mean")]
    TokenMean,
}

words!(KindName, "kind", "relu" => KindName::Relu, "tied" => KindName::Tied, "gated" => KindName::Gated,
    "topk" => KindName::TopK, "batchtopk" => KindName::BatchTopK, "jumprelu" => KindName::JumpRelu,
    "pca-static" => KindName::PcaStatic, "pca-dynamic" => KindName::PcaDynamic, "pca-topk" => KindName::PcaTopK,
    "pca-nonnegative" => KindName::PcaNonNegative, "ica" => KindName::Ica, "nmf" => KindName::Nmf, "random" => KindName::Random,
    "identity" => KindName::Identity, "token-mean" => KindName::TokenMean);

impl KindName {
    /// All kinds, in the order in which pages and tables list them.
    pub const ALL: [KindName; 15] = [
        KindName::Relu,
        KindName::Tied,
        KindName::Gated,
        KindName::TopK,
        KindName::BatchTopK,
        KindName::JumpRelu,
        KindName::PcaStatic,
        KindName::PcaDynamic,
        KindName::PcaTopK,
        KindName::PcaNonNegative,
        KindName::Ica,
        KindName::Nmf,
        KindName::Random,
        KindName::Identity,
        KindName::TokenMean,
    ];

    /// Whether a sparsity term, taken λ times, is part of its loss. The others are given how many features fire.
    pub fn has_penalty(self) -> bool {
        !self.is_fitted() && !matches!(self, KindName::TopK | KindName::BatchTopK)
    }

    /// Whether its loss has a term of its own beside sparsity.
    pub fn has_auxiliary(self) -> bool {
        matches!(self, KindName::Gated | KindName::TopK | KindName::BatchTopK)
    }

    /// The request's fields that are its settings, by name.
    pub fn settings(self) -> &'static [&'static str] {
        match self {
            KindName::Relu | KindName::Tied | KindName::Gated => &["coefficient"],
            KindName::TopK => &["k", "aux_coefficient", "dead_tokens"],
            KindName::BatchTopK => &["k", "aux_coefficient", "dead_tokens", "threshold_decay"],
            KindName::JumpRelu => &["coefficient", "bandwidth", "initial_threshold"],
            KindName::PcaStatic | KindName::PcaDynamic | KindName::PcaTopK => &["k"],
            KindName::Ica | KindName::Random | KindName::Identity => &["k"],
            KindName::PcaNonNegative | KindName::Nmf | KindName::TokenMean => &[],
        }
    }
}

/// A kind of dictionary with its settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum DictionaryKind {
    /// c = ReLU(W_e x + b_e), x̂ = D̂ c + b_d with unit decoder directions D̂ (Braun et al. 2024, section 2).
    #[default]
    Relu,
    /// c = ReLU(M̂ x + b), x̂ = M̂ᵀ c with unit rows M̂ (Cunningham et al. 2023).
    Tied,
    /// A gate says which features fire, a magnitude how strongly (Rajamanoharan et al. 2024, Gated).
    Gated,
    /// The k largest features of each token (Gao et al. 2024).
    TopK {
        /// Features per token.
        k: usize,
        /// Weight of the dead features' term.
        aux_coefficient: f64,
        /// Tokens without firing after which a feature is dead.
        dead_tokens: u64,
    },
    /// The k · B largest features of a batch of B tokens in training, those above a threshold in use (Bussmann et al. 2024).
    BatchTopK {
        /// Features per token, on average.
        k: usize,
        /// Weight of the dead features' term.
        aux_coefficient: f64,
        /// Tokens without firing after which a feature is dead.
        dead_tokens: u64,
        /// Decay of the threshold's mean, per optimiser step.
        threshold_decay: f64,
    },
    /// A feature fires above its own threshold, which is learnt (Rajamanoharan et al. 2024, JumpReLU).
    JumpRelu {
        /// Width of the window around a threshold in which it has a gradient, in units of the input's size.
        bandwidth: f64,
        /// The thresholds' initial value, in the same units.
        initial_threshold: f64,
    },
    /// Fitted, as all that follow: the k directions of the largest mean square, signed (PCA through the origin).
    #[serde(rename = "pca-static")]
    PcaStatic {
        /// Directions, and so features.
        k: usize,
    },
    /// Of all such directions, each token's k of the largest scores, signed.
    #[serde(rename = "pca-dynamic")]
    PcaDynamic {
        /// Features per token.
        k: usize,
    },
    /// Both signs of each such direction a feature, and each token's k largest.
    #[serde(rename = "pca-topk")]
    PcaTopK {
        /// Features per token.
        k: usize,
    },
    /// Both signs of each principal component around the mean a feature, all that are positive.
    #[serde(rename = "pca-nonnegative")]
    PcaNonNegative,
    /// Both signs of each independent component a feature (Hyvärinen 1999, FastICA).
    Ica {
        /// Features per token; all that are positive where none is given.
        k: Option<usize>,
    },
    /// Directions and codes that are not negative (Lee and Seung 1999).
    Nmf,
    /// Random directions with the data's covariance.
    Random {
        /// Features per token; all that are positive where none is given.
        k: Option<usize>,
    },
    /// Both signs of each coordinate a feature.
    Identity {
        /// Features per token; all that are positive where none is given.
        k: Option<usize>,
    },
    /// The mean activation of each token of the vocabulary, a feature per token.
    #[serde(rename = "token-mean")]
    TokenMean,
}

impl DictionaryKind {
    /// Which kind it is.
    pub fn name(&self) -> KindName {
        match self {
            DictionaryKind::Relu => KindName::Relu,
            DictionaryKind::Tied => KindName::Tied,
            DictionaryKind::Gated => KindName::Gated,
            DictionaryKind::TopK { .. } => KindName::TopK,
            DictionaryKind::BatchTopK { .. } => KindName::BatchTopK,
            DictionaryKind::JumpRelu { .. } => KindName::JumpRelu,
            DictionaryKind::PcaStatic { .. } => KindName::PcaStatic,
            DictionaryKind::PcaDynamic { .. } => KindName::PcaDynamic,
            DictionaryKind::PcaTopK { .. } => KindName::PcaTopK,
            DictionaryKind::PcaNonNegative => KindName::PcaNonNegative,
            DictionaryKind::Ica { .. } => KindName::Ica,
            DictionaryKind::Nmf => KindName::Nmf,
            DictionaryKind::Random { .. } => KindName::Random,
            DictionaryKind::Identity { .. } => KindName::Identity,
            DictionaryKind::TokenMean => KindName::TokenMean,
        }
    }

    /// Its settings by the names of the request's fields.
    pub fn settings(&self) -> Vec<(&'static str, f64)> {
        match *self {
            DictionaryKind::TopK {
                k,
                aux_coefficient,
                dead_tokens,
            } => vec![
                ("k", k as f64),
                ("aux_coefficient", aux_coefficient),
                ("dead_tokens", dead_tokens as f64),
            ],
            DictionaryKind::BatchTopK {
                k,
                aux_coefficient,
                dead_tokens,
                threshold_decay,
            } => vec![
                ("k", k as f64),
                ("aux_coefficient", aux_coefficient),
                ("dead_tokens", dead_tokens as f64),
                ("threshold_decay", threshold_decay),
            ],
            DictionaryKind::JumpRelu {
                bandwidth,
                initial_threshold,
            } => vec![("bandwidth", bandwidth), ("initial_threshold", initial_threshold)],
            _ => self.k().map(|k| ("k", k as f64)).into_iter().collect(),
        }
    }

    /// Features per token, for the kinds that are told.
    pub fn k(&self) -> Option<usize> {
        match *self {
            DictionaryKind::TopK { k, .. }
            | DictionaryKind::BatchTopK { k, .. }
            | DictionaryKind::PcaStatic { k }
            | DictionaryKind::PcaDynamic { k }
            | DictionaryKind::PcaTopK { k } => Some(k),
            DictionaryKind::Ica { k } | DictionaryKind::Random { k } | DictionaryKind::Identity { k } => k,
            _ => None,
        }
    }

    /// Number of numbers that are trained, for `d_sae` features of width `d_in`.
    pub fn n_parameters(&self, d_in: usize, d_sae: usize) -> u128 {
        let (d_in, d_sae) = (d_in as u128, d_sae as u128);
        match self.name() {
            KindName::Tied => d_in * d_sae + d_sae,
            KindName::Relu | KindName::TopK | KindName::BatchTopK => 2 * d_in * d_sae + d_in + d_sae,
            KindName::JumpRelu => 2 * d_in * d_sae + d_in + 2 * d_sae,
            KindName::Gated => 2 * d_in * d_sae + d_in + 3 * d_sae,
            KindName::Nmf | KindName::TokenMean => d_in * d_sae + d_in,
            _ => 2 * d_in * d_sae + d_in, // projections
        }
    }
}

/// The most tokens without firing that are counted: whole numbers up to here are exact in f32, in which they are kept.
const MOST_DEAD_TOKENS: u64 = 1 << 24;

impl DictionaryConfig {
    /// What its number of active features follows from, as it is called and written: λ, or k, or the number of its features.
    pub fn dial(&self) -> (&'static str, f64) {
        match self.kind.k() {
            Some(k) => ("k", k as f64),
            None if self.kind.name().is_fitted() => ("d_sae", self.d_sae as f64),
            None => ("λ", self.objective.sparsity()),
        }
    }

    /// Kind and objective, as a series is called: `e2e` for the ReLU dictionary, `gated, e2e` for others.
    pub fn series(&self) -> String {
        series(self.kind.name(), self.objective.kind())
    }

    /// Checks the kind's settings.
    ///
    /// # Errors
    /// The first that cannot be used.
    pub(crate) fn check_kind(&self) -> Result<(), ConfigError> {
        let name = self.kind.name();
        self.check_fitted()?;
        if !name.has_penalty() && self.objective.sparsity() != 0.0 {
            let message = format!("found {}; {name} has no sparsity term: give k", self.objective.sparsity());
            return Err(ConfigError::new("coefficient", message));
        }
        for (field, value) in self.kind.settings() {
            match field {
                "k" | "dead_tokens" => at_least(field, value as usize, 1)?,
                "threshold_decay" => below_one(field, value)?,
                "bandwidth" => positive(field, value)?,
                _ => not_negative(field, value)?,
            }
            let most = match field {
                "k" => self.d_sae as u64,
                "dead_tokens" => MOST_DEAD_TOKENS,
                _ => continue,
            };
            if value > most as f64 {
                return Err(ConfigError::new(field, format!("found {value}; expected {most} or less")));
            }
        }
        Ok(())
    }
}

/// As [`DictionaryConfig::series`].
pub fn series(kind: KindName, objective: crate::ObjectiveKind) -> String {
    match kind {
        KindName::Relu => objective.to_string(),
        fitted if fitted.is_fitted() => fitted.to_string(),
        _ => format!("{kind}, {objective}"),
    }
}

impl SweepRequest {
    /// The kind with its settings: one, or one for each k.
    ///
    /// # Errors
    /// A setting that the kind does not have, and k where it is missing.
    pub(crate) fn kinds(
        &self,
        tokens: u64,
        n_steps: usize,
        defaults: &mut Vec<String>,
    ) -> Result<Vec<DictionaryKind>, ConfigError> {
        let given = [
            ("k", !self.k.is_empty()),
            ("aux_coefficient", self.aux_coefficient.is_some()),
            ("dead_tokens", self.dead_tokens.is_some()),
            ("threshold_decay", self.threshold_decay.is_some()),
            ("bandwidth", self.bandwidth.is_some()),
            ("initial_threshold", self.initial_threshold.is_some()),
        ];
        for (field, is_given) in given {
            if is_given && !self.kind.settings().contains(&field) {
                let owners: Vec<_> = KindName::ALL.iter().filter(|kind| kind.settings().contains(&field)).collect();
                let owners = owners.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
                let message = format!(
                    "found with kind {}, which has no such setting; it belongs to {owners}",
                    self.kind
                );
                return Err(ConfigError::new(field, message));
            }
        }
        if self.kind.is_fitted() {
            return self.fitted_kinds();
        }
        if self.kind == KindName::JumpRelu {
            return Ok(vec![DictionaryKind::JumpRelu {
                bandwidth: or_default(self.bandwidth, "bandwidth", 0.001, defaults),
                initial_threshold: or_default(self.initial_threshold, "initial_threshold", 0.001, defaults),
            }]);
        }
        match self.kind {
            KindName::Tied => return Ok(vec![DictionaryKind::Tied]),
            KindName::Gated => return Ok(vec![DictionaryKind::Gated]),
            KindName::TopK | KindName::BatchTopK => {}
            _ => return Ok(vec![DictionaryKind::Relu]),
        }
        if self.k.is_empty() {
            let message = format!("nothing is given; {} needs features per token, as 8,16,32", self.kind);
            return Err(ConfigError::new("k", message));
        }
        let aux_coefficient = or_default(self.aux_coefficient, "aux_coefficient", 1.0 / 32.0, defaults);
        let dead_tokens = (tokens / 10).clamp(1, 10_000_000);
        let dead_tokens = or_default(self.dead_tokens, "dead_tokens", dead_tokens, defaults);
        if self.kind == KindName::TopK {
            let kind = |k: &usize| DictionaryKind::TopK {
                k: *k,
                aux_coefficient,
                dead_tokens,
            };
            return Ok(self.k.iter().map(kind).collect());
        }
        // a mean that reaches back a tenth of the run, so that a short run's threshold is that of its end
        let decay = (1.0 - 10.0 / n_steps.max(10) as f64).min(0.999);
        let threshold_decay = or_default(self.threshold_decay, "threshold_decay", decay, defaults);
        let kind = |k: &usize| DictionaryKind::BatchTopK {
            k: *k,
            aux_coefficient,
            dead_tokens,
            threshold_decay,
        };
        Ok(self.k.iter().map(kind).collect())
    }

    /// The coefficients of the sparsity term; 0 alone for the kinds that have none.
    ///
    /// # Errors
    /// Where they are missing, or given to a kind without one.
    pub(crate) fn sparsity(&self) -> Result<PerObjective, ConfigError> {
        match (&self.coefficient, self.kind.has_penalty()) {
            (Some(values), true) => Ok(values.clone()),
            (None, false) => Ok(PerObjective::All(vec![0.0])),
            (None, true) => {
                let expected = "expected 0.1,0.3 or local=0.1;e2e=1,3";
                Err(ConfigError::new("coefficient", format!("nothing is given; {expected}")))
            }
            (Some(values), false) => {
                let instead = match self.kind.settings().contains(&"k") {
                    true => "give k in its place",
                    false => "leave it out",
                };
                let message = format!("found '{values}'; {} has no sparsity term: {instead}", self.kind);
                Err(ConfigError::new("coefficient", message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ResolvedAgainst;

    fn resolve(settings: serde_json::Value) -> Result<Vec<DictionaryConfig>, ConfigError> {
        let mut request = serde_json::json!({
            "model": "m", "corpus": "c", "at": "blocks.2.hook_resid_pre", "objectives": ["local", "e2e"], "tokens": 1_000_000,
        });
        request.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let facts = ResolvedAgainst {
            width: 64,
            d_vocab: 512,
            max_n_ctx: 512,
            has_bos: true,
        };
        let request: SweepRequest = serde_json::from_value(request).unwrap();
        let mut resolved = request.resolve(facts)?;
        Ok(resolved.runs.swap_remove(0).dictionaries)
    }

    #[test]
    fn each_kind_is_resolved_with_its_settings() {
        let dictionaries = resolve(serde_json::json!({"kind": "topk", "k": [8, 16]})).unwrap();
        assert_eq!(dictionaries.len(), 4);
        let second = DictionaryKind::TopK {
            k: 16,
            aux_coefficient: 1.0 / 32.0,
            dead_tokens: 100_000,
        };
        assert_eq!((dictionaries[1].kind, dictionaries[1].dial()), (second, ("k", 16.0)));
        assert_eq!(dictionaries[3].series(), "topk, e2e");
        for name in KindName::ALL {
            let mut settings = serde_json::json!({"kind": name});
            match name.has_penalty() {
                true => settings["coefficient"] = "0.5".into(),
                false if name.settings().contains(&"k") => settings["k"] = serde_json::json!([4]),
                false => {}
            }
            if name.is_fitted() {
                settings["objectives"] = serde_json::json!(["local"]);
            }
            let dictionaries = resolve(settings).unwrap();
            assert_eq!(dictionaries[0].kind.name(), name);
            let text = serde_json::to_string(&dictionaries[0].kind).unwrap();
            assert_eq!(
                serde_json::from_str::<DictionaryKind>(&text).unwrap(),
                dictionaries[0].kind,
                "{text}"
            );
            let mut own: Vec<_> = dictionaries[0].kind.settings().into_iter().map(|(name, _)| name).collect();
            own.extend(name.has_penalty().then_some("coefficient"));
            own.sort_unstable();
            let mut named = name.settings().to_vec();
            named.sort_unstable();
            assert_eq!(own, named);
        }
    }

    #[test]
    fn what_a_kind_does_not_have_is_refused_by_name() {
        for (settings, field, says) in [
            (
                serde_json::json!({"kind": "topk", "coefficient": "0.1", "k": [4]}),
                "coefficient",
                "give k",
            ),
            (serde_json::json!({"kind": "topk"}), "k", "8,16,32"),
            (serde_json::json!({"kind": "gated"}), "coefficient", "nothing is given"),
            (serde_json::json!({"coefficient": "1", "k": [4]}), "k", "topk and batchtopk"),
            (
                serde_json::json!({"kind": "gated", "coefficient": "1", "bandwidth": 0.1}),
                "bandwidth",
                "jumprelu",
            ),
            (serde_json::json!({"kind": "topk", "k": [4, 1025]}), "k", "1024 or less"),
            (serde_json::json!({"kind": "topk", "k": [0]}), "k", "1 or more"),
            (
                serde_json::json!({"kind": "topk", "k": [4], "dead_tokens": 20_000_000}),
                "dead_tokens",
                "16777216",
            ),
            (
                serde_json::json!({"kind": "batchtopk", "k": [4], "threshold_decay": 1.0}),
                "threshold_decay",
                "below 1",
            ),
            (
                serde_json::json!({"kind": "jumprelu", "coefficient": "1", "bandwidth": 0.0}),
                "bandwidth",
                "above 0",
            ),
        ] {
            let error = resolve(settings.clone()).unwrap_err();
            assert_eq!(error.field, field, "{settings}");
            assert!(error.message.contains(says), "{settings}: {error}");
        }
    }
}
