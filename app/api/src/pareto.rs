//! What the Pareto page asks and what its summary answers.

use serde::{Deserialize, Serialize};

use crate::{DictionaryId, DictionaryInfo, EvaluationSplit, HookPoint, JobId, KindName, ModelId, ObjectiveKind, Series};

/// The Pareto page's state, which is its URL.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema, utoipa::IntoParams))]
#[serde(default, deny_unknown_fields)]
pub struct ParetoQuery {
    /// Only dictionaries of this model; default the model with the newest dictionary.
    pub model: Option<ModelId>,
    /// Only those at this hook point; default that of the newest dictionary.
    pub at: Option<HookPoint>,
    /// Only those of this sweep.
    pub sweep: Option<i64>,
    /// Only those measured on this text; default held_out. Figures on different texts are never compared.
    pub evaluated_on: Option<EvaluationSplit>,
    /// Metric on the horizontal axis; default `l0`.
    pub x: Option<String>,
    /// Metric on the vertical axis; default `ce_increase`.
    pub y: Option<String>,
    /// Logarithmic horizontal axis; default what suits the metric.
    pub log_x: Option<bool>,
    /// Logarithmic vertical axis; default what suits the metric.
    pub log_y: Option<bool>,
}

/// How an objective's y is set against local's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AgainstLocal {
    /// (y of this objective) / (y of local): both are above 0 all over the range.
    Ratio,
    /// (y of this objective) − (y of local), in y's unit: one of them is 0 or below somewhere, where a ratio means nothing.
    Difference,
}

/// One objective against local at equal x, over the range that their runs share.
/// docs/METHODS.md says how it is computed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ParetoSummary {
    /// The kind of dictionary, the same on both sides.
    pub kind: KindName,
    /// The objective.
    pub objective: ObjectiveKind,
    /// Whether `value` and `interval` are a ratio or a difference.
    pub against: AgainstLocal,
    /// The mean of it over the shared range.
    pub value: f64,
    /// 95 % interval over seeds; none with fewer than two seeds.
    pub interval: Option<(f64, f64)>,
    /// The shared range of x.
    pub range: (f64, f64),
    /// Seeds behind the value.
    pub n_seeds: usize,
}

/// The Pareto front of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ParetoFront {
    /// The series.
    #[serde(flatten)]
    pub series: Series,
    /// The dictionaries on it, in the order of x.
    pub dictionaries: Vec<DictionaryId>,
}

/// Everything the Pareto page shows: the answer to a [`ParetoQuery`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ParetoView {
    /// The query with every default filled in (`model` and `at` stay empty while there is no dictionary).
    pub query: ParetoQuery,
    /// Models that have dictionaries, with the hook points at which they have them: what can be chosen.
    pub choices: Vec<(ModelId, Vec<HookPoint>)>,
    /// The sweeps among the dictionaries of this model and hook point.
    pub sweeps: Vec<JobId>,
    /// The dictionaries in the plot.
    pub dictionaries: Vec<DictionaryInfo>,
    /// Per series, those on its Pareto front.
    pub fronts: Vec<ParetoFront>,
    /// Within each kind, each objective against local; empty where local or the range they share is missing.
    pub summary: Vec<ParetoSummary>,
}
