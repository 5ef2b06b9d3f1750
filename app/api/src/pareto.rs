//! What the Pareto page asks and what its summary answers.

use serde::{Deserialize, Serialize};

use crate::{
    DictionaryId, DictionaryInfo, EvaluationSplit, HookPoint, JobId, KindName, MetricDefinition, ModelId, ObjectiveKind, Series,
    SeriesKey, SeriesSet, metric,
};

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
    /// Leave these series out.
    pub hide: Option<SeriesSet>,
    /// Only these series.
    pub only: Option<SeriesSet>,
    /// The series that the others are ranked against; default `relu.local`, else that with the most dictionaries.
    pub against: Option<SeriesKey>,
}

impl ParetoQuery {
    /// Whether `series` is among what is asked for.
    pub fn shows(&self, series: Series) -> bool {
        let is_in = |set: &SeriesSet| set.0.contains(&series);
        self.only.as_ref().is_none_or(is_in) && !self.hide.as_ref().is_some_and(is_in)
    }

    /// The metrics on the axes.
    pub fn axes(&self) -> Option<(&'static MetricDefinition, &'static MetricDefinition)> {
        let named = |name: &Option<String>, default| metric(name.as_deref().unwrap_or(default));
        named(&self.x, "l0").zip(named(&self.y, "ce_increase"))
    }

    /// The command that draws the same into `file`.
    pub fn command(&self, file: &str) -> String {
        let mut words = vec!["saescope plot".to_string()];
        let mut option = |name: &str, value: Option<String>| {
            words.extend(value.map(|value| format!("--{name} {value}")));
        };
        option("model", self.model.as_ref().map(ToString::to_string));
        option("at", self.at.map(|at| at.to_string()));
        option("sweep", self.sweep.map(|sweep| sweep.to_string()));
        option("evaluated-on", self.evaluated_on.map(|split| split.to_string()));
        option("x", self.x.clone());
        option("y", self.y.clone());
        option("log-x", self.log_x.map(|on| on.to_string()));
        option("log-y", self.log_y.map(|on| on.to_string()));
        option("hide", self.hide.as_ref().map(ToString::to_string));
        option("only", self.only.as_ref().map(ToString::to_string));
        option("out", Some(file.into()));
        words.join(" ")
    }
}

/// How a group's y is set against the reference's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// (y of this group) / (y of the reference): both are above 0 all over the range.
    Ratio,
    /// (y of this group) − (y of the reference), in y's unit: one of them is 0 or below somewhere, where a ratio means nothing.
    Difference,
}

/// One group of dictionaries against another at equal x. docs/METHODS.md says how it is computed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AtEqual {
    /// Whether `value` and `interval` are a ratio or a difference.
    pub against: Against,
    /// The mean of it over the shared range.
    pub value: f64,
    /// 95 % interval over seeds; none with fewer than two.
    pub interval: Option<(f64, f64)>,
    /// The shared range of x; its ends are the same where one of the groups lies at a single x.
    pub range: (f64, f64),
    /// Seeds behind the value.
    pub n_seeds: usize,
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
    pub against: Against,
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

/// A series at the place that is looked at, shown or not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ParetoSeries {
    /// The series.
    #[serde(flatten)]
    pub series: Series,
    /// Its dictionaries.
    pub n: usize,
    /// Whether the query shows it.
    pub shown: bool,
}

/// A series among others at equal x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ParetoRank {
    /// The series.
    #[serde(flatten)]
    pub series: Series,
    /// Those of its dictionaries of which both metrics were measured.
    pub dictionaries: Vec<DictionaryId>,
    /// Their seeds.
    pub n_seeds: usize,
    /// Their smallest and largest x.
    pub range: (f64, f64),
    /// Against the reference; none for the reference itself, and where the two share no x.
    pub found: Option<AtEqual>,
}

/// The series in order, each against the same one at equal x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ParetoRanking {
    /// What the others are held against.
    pub reference: Series,
    /// The best first, the reference in its place; last those that share no x with it.
    pub ranks: Vec<ParetoRank>,
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
    /// The series here, those that the query leaves out too: what can be shown.
    pub series: Vec<ParetoSeries>,
    /// The dictionaries in the plot.
    pub dictionaries: Vec<DictionaryInfo>,
    /// Per series, those on its Pareto front.
    pub fronts: Vec<ParetoFront>,
    /// Within each kind, each objective against local; empty where local or the range they share is missing.
    pub summary: Vec<ParetoSummary>,
    /// The series shown, in order; none where they are one kind's objectives from fresh weights, which `summary` compares, and nothing
    /// else was asked for, and where there are not two.
    pub ranking: Option<ParetoRanking>,
}

impl ParetoView {
    /// What a series is called here: with its kind, where several kinds are.
    pub fn name(&self, series: Series) -> String {
        let several = self.series.iter().any(|one| one.series.kind != series.kind);
        if several { series.full() } else { series.to_string() }
    }
}

impl ParetoRanking {
    /// The command that computes a rank's value again, which holds `x` equal and compares `y`; none for the reference and where there is no value.
    pub fn command(&self, rank: &ParetoRank, x: &str, y: &str) -> Option<String> {
        rank.found?;
        let numbers = |rank: &ParetoRank| {
            rank.dictionaries
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(",")
        };
        let reference = self.ranks.iter().find(|rank| rank.series == self.reference)?;
        let (own, reference) = (numbers(rank), numbers(reference));
        Some(format!(
            "saescope contrast --dictionary {own} --against {reference} --x {x} --y {y}"
        ))
    }
}
