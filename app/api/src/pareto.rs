//! What the Pareto page asks and what its summary answers.

use serde::{Deserialize, Serialize};

use crate::{HookPoint, ModelId, ObjectiveKind};

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
    /// Metric on the horizontal axis; default `l0`.
    pub x: Option<String>,
    /// Metric on the vertical axis; default `ce_increase`.
    pub y: Option<String>,
    /// Logarithmic horizontal axis; default what suits the metric.
    pub log_x: Option<bool>,
    /// Logarithmic vertical axis; default what suits the metric.
    pub log_y: Option<bool>,
}

/// One objective against local at equal x, over the range that their runs share.
/// docs/METHODS.md says how it is computed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ParetoSummary {
    /// The objective.
    pub objective: ObjectiveKind,
    /// Mean over the shared range of (y of this objective) / (y of local).
    pub ratio: f64,
    /// 95 % interval over seeds; none with fewer than two seeds.
    pub interval: Option<(f64, f64)>,
    /// The shared range of x.
    pub range: (f64, f64),
    /// Seeds behind the ratio.
    pub n_seeds: usize,
}
