//! What a dictionary knows of the labels of storyworld, label by label: the answer of `saescope known`.

use serde::{Deserialize, Serialize};

use crate::{Measurement, TokenSet, metric};

/// A value with its 95 % interval over stories.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

/// From what a label follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LabelKind {
    /// From the word alone.
    Token,
    /// From what came before as well.
    Context,
    /// From what came before as well; and nothing that comes later depends on it.
    Planted,
}

impl LabelKind {
    /// The word for it in tables.
    pub fn name(self) -> &'static str {
        match self {
            LabelKind::Token => "token",
            LabelKind::Context => "context",
            LabelKind::Planted => "planted",
        }
    }
}

/// How well something tells a label's yes from its no, on stories that it was not chosen on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// Balanced accuracy: (share of yes called yes + share of no called no) / 2.
    pub accuracy: Estimate,
    /// Area under the ROC curve, ties as a half.
    pub auc: Estimate,
}

/// What a label's direction is to the model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CausalUse {
    /// CE with the direction ablated − CE of the model, in nats per token.
    pub ce_increase: Estimate,
    /// Whether that is more than the direction of any shuffled label costs.
    pub is_used: bool,
}

/// The feature that alone tells a label best.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BestFeature {
    /// Its index in the dictionary.
    pub feature: u32,
    /// It counts as firing where its activation is above this.
    pub threshold: f64,
    /// Whether firing says yes; otherwise it says no.
    pub says_yes: bool,
}

/// What a dictionary knows of one label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KnownScores {
    /// The balanced accuracy of the best single feature where labels are shuffled: what choosing among many gives by itself.
    pub floor: f64,
    /// A probe on the activations themselves: what can be read at all.
    pub ceiling: Reading,
    /// What the probe's direction is to the model; only of labels that are readable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causal: Option<CausalUse>,
    /// The best single feature.
    pub best: BestFeature,
    /// The best single feature.
    pub one: Reading,
    /// A probe on two features.
    pub two: Reading,
    /// A probe on five features.
    pub five: Reading,
    /// Whether one feature covers the label.
    pub is_covered: bool,
    /// Whether five features cover the label.
    pub is_covered_by_five: bool,
    /// The features that share the label, the main one first.
    pub main: Vec<u32>,
    /// Share of the label's tokens on which a feature of a narrower label stands in for the main ones; only of labels that have
    /// narrower ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absorption: Option<Estimate>,
}

impl KnownScores {
    /// Whether the label can be read from the activations at all. Only such labels count in what is said of a dictionary.
    pub fn is_readable(&self) -> bool {
        self.causal.is_some()
    }
}

/// A label and what a dictionary knows of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KnownLabel {
    /// Its name: `class=verb`.
    pub name: String,
    /// From what it follows.
    pub kind: LabelKind,
    /// The wider label that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Scored tokens that it is true of.
    pub n_yes: u64,
    /// Scored tokens that it is not true of.
    pub n_no: u64,
    /// None where too few tokens of the stories are labelled to say anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<KnownScores>,
}

/// A metric of the dictionary over several labels; [`crate::METRICS`] defines it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KnownSummary {
    /// The metric's name.
    pub name: String,
    /// Its value.
    pub value: Estimate,
    /// Labels that it is taken over.
    pub n_labels: u64,
}

/// What a dictionary knows of storyworld's labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KnownFeatures {
    /// The version of storyworld's grammar.
    pub storyworld: u32,
    /// The stories' seed.
    pub seed: u64,
    /// Stories: features were chosen on the first half and scored on the second.
    pub n_stories: u64,
    /// Labelled tokens that were scored.
    pub n_tokens: u64,
    /// The most that ablating a shuffled label's direction costs, in nats per token: a label that costs more is used.
    pub causal_floor: f64,
    /// Metrics of the dictionary.
    pub summary: Vec<KnownSummary>,
    /// Every label.
    pub labels: Vec<KnownLabel>,
}

impl KnownFeatures {
    /// The metrics as the registry keeps them.
    pub fn measurements(&self) -> Vec<Measurement> {
        let measurement = |summary: &KnownSummary| Measurement {
            name: summary.name.clone(),
            version: metric(&summary.name).map_or(0, |metric| metric.version),
            at: None,
            tokens: TokenSet::Ordinary,
            n_tokens: self.n_tokens,
            value: summary.value.value,
            interval: None,
        };
        self.summary.iter().map(measurement).collect()
    }
}
