//! Trained dictionaries and what was measured of them.

use serde::{Deserialize, Serialize};

use crate::{
    CorpusId, Density, DictionaryConfig, DictionaryId, EvaluationSplit, Finding, HookPoint, InputScale, Interval, JobId, ModelId,
    ResidualFrame, metric,
};

/// Over which tokens a metric was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TokenSet {
    /// All but position 0 and special tokens: what is meant where nothing else is said.
    #[default]
    Ordinary,
    /// Position 0 of each context.
    PositionZero,
    /// Special tokens (BOS, EOS, …) at later positions.
    Special,
}

/// One measured value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Measurement {
    /// The metric's name; its definition is in [`crate::METRICS`].
    pub name: String,
    /// The version of the definition that it was computed by.
    pub version: u32,
    /// Where, for metrics by layer; none for those of the whole dictionary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<HookPoint>,
    /// Over which tokens.
    #[serde(default)]
    pub tokens: TokenSet,
    /// Over how many tokens.
    pub n_tokens: u64,
    /// The value.
    pub value: f64,
    /// How sure it is; none where that was not asked for, or does not follow from sums over documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
}

impl Measurement {
    /// A value of the metric `name` of the whole dictionary over ordinary tokens, by the definition that there is now.
    pub fn new(name: &str, n_tokens: u64, value: f64) -> Self {
        Self {
            name: name.into(),
            version: metric(name).map_or(0, |metric| metric.version),
            at: None,
            tokens: TokenSet::Ordinary,
            n_tokens,
            value,
            interval: None,
        }
    }
}

/// A metric that came out otherwise when it was computed again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Difference {
    /// What was measured, as it is stored.
    pub stored: Measurement,
    /// The value that was found; none where it was not measured.
    pub found: Option<f64>,
}

impl Difference {
    /// Whether the two are further apart than other processors' rounding explains: by more than 0.1 % and 1e-5 of the unit, for
    /// what is counted by more than two, for shares of features by more than 0.01, for known features by more than 0.1. A feature that fires by a hair may not do so
    /// elsewhere, and one that was chosen by a hair may not be.
    pub fn is_beyond_rounding(&self) -> bool {
        let floor = match self.stored.name.as_str() {
            "alive" | "alive_10" => 2.0,
            "frac_alive" => 0.01,
            name if name.contains("freq_over_") => 0.01,
            name if name.starts_with("known_") => 0.1,
            _ => 1e-5,
        };
        self.found
            .is_none_or(|found| (found - self.stored.value).abs() > floor + 1e-3 * self.stored.value.abs())
    }
}

/// The stored metrics of a dictionary against those computed again from its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Verified {
    /// When, in seconds since 1970.
    pub when: i64,
    /// The version of the program.
    pub program: String,
    /// Values that were computed again. The run's own, its gradients and its cost, cannot be.
    pub n_values: u64,
    /// Values that came out to the same bits.
    pub n_same: u64,
    /// Those that are further apart than rounding explains.
    pub differences: Vec<Difference>,
}

impl Verified {
    /// Whether the stored metrics are the dictionary's.
    pub fn holds(&self) -> bool {
        self.differences.is_empty()
    }
}

/// A trained dictionary in the registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DictionaryInfo {
    /// Its number.
    pub id: DictionaryId,
    /// The run that made it.
    pub job: JobId,
    /// The sweep that the run belongs to.
    pub sweep: JobId,
    /// The model.
    pub model: ModelId,
    /// The corpus it was trained on.
    pub corpus: CorpusId,
    /// Where it reads and writes.
    pub at: HookPoint,
    /// How it reads the residual stream.
    pub residual: ResidualFrame,
    /// How its input is scaled.
    pub input_scale: InputScale,
    /// Kind, width, objective, learning rate and seed.
    pub config: DictionaryConfig,
    /// Tokens it was trained on.
    pub tokens: u64,
    /// How often the training text was passed over.
    pub n_passes: f64,
    /// The text that `metrics` were measured on. (Programs that knew no choice wrote none: theirs were on held-out text.)
    #[serde(default)]
    pub evaluated_on: EvaluationSplit,
    /// Everything measured on that text, and the training run's own figures.
    pub metrics: Vec<Measurement>,
    /// How often its features fire on that text; none where that was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub density: Option<Density>,
    /// What its run found to be wrong with it. (Programs that did not look wrote none.)
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// How `metrics` compared with those computed again from the weights; none where nobody has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
    /// SHA-256 of its weights' file, in hexadecimal.
    pub checksum: String,
    /// Seconds since 1970.
    pub created: i64,
    /// The command that does what its run did; the registry fills it in.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
}

impl DictionaryInfo {
    /// The command that computes `metrics` again from the weights.
    pub fn measuring(&self) -> String {
        format!("saescope evaluate --dictionary {}", self.id)
    }

    /// The value of a metric of the whole dictionary over the ordinary tokens.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.measurement(name).map(|m| m.value)
    }

    /// What was measured as a metric of the whole dictionary over the ordinary tokens.
    pub fn measurement(&self, name: &str) -> Option<&Measurement> {
        self.metrics
            .iter()
            .find(|m| m.name == name && m.at.is_none() && m.tokens == TokenSet::Ordinary)
    }
}
