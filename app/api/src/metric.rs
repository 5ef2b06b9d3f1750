//! Every metric's definition: what it is, its unit, which way is better, and the version of its definition.
//! The engine computes them, the store keeps name and version beside each value, the page opens the definition.

mod features;
mod group;
mod known;
mod loss;
mod reconstruction;
mod run;

use serde::Serialize;

pub use group::MetricGroup;

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More is better.
    HigherIsBetter,
    /// Less is better.
    LowerIsBetter,
    /// Neither: it describes.
    Neither,
}

/// A metric's definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MetricDefinition {
    /// The name, as results and the API carry it.
    pub name: &'static str,
    /// The name for people.
    pub label: &'static str,
    /// The unit; empty for pure numbers.
    pub unit: &'static str,
    /// Which way is better.
    pub direction: Direction,
    /// The definition, in words and symbols.
    pub definition: &'static str,
    /// Where the definition comes from, and how other tools differ.
    pub source: &'static str,
    /// Raised when the definition changes.
    pub version: u32,
    /// Whether there is one value per hook point above the dictionary.
    pub by_layer: bool,
    /// Whether an axis of it is logarithmic by default.
    pub log: bool,
}

/// Every metric, in the order in which pages list them. x is the activation at the hook point, x̂ the dictionary's output,
/// c its codes; means are over tokens.
pub const METRICS: &[MetricDefinition] = &joined();

const PARTS: [&[MetricDefinition]; 5] = [
    features::FEATURES,
    loss::LOSS,
    reconstruction::RECONSTRUCTION,
    run::RUN,
    known::KNOWN,
];

const N_METRICS: usize = {
    let (mut n, mut part) = (0, 0);
    while part < PARTS.len() {
        n += PARTS[part].len();
        part += 1;
    }
    n
};

/// The parts one after the other. (Iterators are not to be had in constants.)
const fn joined() -> [MetricDefinition; N_METRICS] {
    let mut all = [PARTS[0][0]; N_METRICS];
    let (mut n, mut part) = (0, 0);
    while part < PARTS.len() {
        let mut index = 0;
        while index < PARTS[part].len() {
            all[n] = PARTS[part][index];
            n += 1;
            index += 1;
        }
        part += 1;
    }
    all
}

/// The definition of the metric called `name`, now or in earlier versions, which links may have.
pub fn metric(name: &str) -> Option<&'static MetricDefinition> {
    let name = match name {
        "ce_model" => "ce_loss_without_sae",
        "ce_spliced" => "ce_loss_with_sae",
        "ce_zero_ablation" => "ce_loss_with_ablation",
        "ce_mean_ablation" => "ce_loss_with_mean_ablation",
        "kl" => "kl_div_with_sae",
        "kl_zero_ablation" => "kl_div_with_ablation",
        "perplexity_model" => "perplexity_without_sae",
        "perplexity_spliced" => "perplexity_with_sae",
        "norm_ratio" => "l2_ratio",
        "explained_variance_per_token" => "explained_variance_legacy",
        name => name,
    };
    METRICS.iter().find(|m| m.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for m in METRICS {
            assert_eq!(METRICS.iter().filter(|o| o.name == m.name).count(), 1, "{}", m.name);
        }
    }
}
