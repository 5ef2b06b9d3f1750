//! What metrics are about, for pages that list them in parts.

use super::{MetricDefinition, features::FEATURES, known::KNOWN, loss::LOSS, run::RUN};

/// What a metric is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricGroup {
    /// What the model loses with the dictionary in its place.
    Behaviour,
    /// How much of it fires.
    Sparsity,
    /// How well it rewrites the activation.
    Reconstruction,
    /// Whether what it writes is too short.
    Shrinkage,
    /// What its features are like.
    Features,
    /// What it knows of labels that are known.
    Known,
    /// What only its own run can measure.
    Run,
}

impl MetricGroup {
    /// All, in the order in which pages list them.
    pub const ALL: [MetricGroup; 7] = [
        MetricGroup::Behaviour,
        MetricGroup::Sparsity,
        MetricGroup::Reconstruction,
        MetricGroup::Shrinkage,
        MetricGroup::Features,
        MetricGroup::Known,
        MetricGroup::Run,
    ];

    /// Its name.
    pub fn title(self) -> &'static str {
        match self {
            MetricGroup::Behaviour => "Model behaviour",
            MetricGroup::Sparsity => "Sparsity",
            MetricGroup::Reconstruction => "Reconstruction",
            MetricGroup::Shrinkage => "Shrinkage",
            MetricGroup::Features => "Features",
            MetricGroup::Known => "Known features",
            MetricGroup::Run => "The run's own",
        }
    }
}

impl MetricDefinition {
    /// What it is about.
    pub fn group(&self) -> MetricGroup {
        let is_of = |part: &[MetricDefinition]| part.iter().any(|metric| metric.name == self.name);
        match self.name {
            "l0" | "l1" => MetricGroup::Sparsity,
            "l2_norm_in" | "l2_norm_out" | "l2_ratio" | "relative_reconstruction_bias" | "norm_slope" | "norm_intercept" => {
                MetricGroup::Shrinkage
            }
            _ if is_of(LOSS) => MetricGroup::Behaviour,
            _ if is_of(FEATURES) => MetricGroup::Features,
            _ if is_of(RUN) => MetricGroup::Run,
            _ if is_of(KNOWN) => MetricGroup::Known,
            _ => MetricGroup::Reconstruction,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::METRICS;

    #[test]
    fn every_group_has_metrics() {
        for group in MetricGroup::ALL {
            assert!(METRICS.iter().any(|metric| metric.group() == group), "{}", group.title());
        }
        let of = |name: &str| crate::metric(name).unwrap().group();
        assert_eq!(
            [
                "kl_div_with_sae",
                "l0",
                "mse",
                "norm_slope",
                "alive",
                "known_auc",
                "grad_norm"
            ]
            .map(of),
            MetricGroup::ALL
        );
    }
}
