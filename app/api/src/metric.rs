//! Every metric's definition: what it is, its unit, which way is better, and the version of its definition.
//! The engine computes them, the store keeps name and version beside each value, the page opens the definition.

use serde::Serialize;

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

use Direction::{HigherIsBetter, LowerIsBetter, Neither};

/// Every metric, in the order in which pages list them. x is the activation at the hook point, x̂ the dictionary's output,
/// c its codes; means are over tokens.
pub const METRICS: &[MetricDefinition] = &[
    MetricDefinition {
        name: "l0",
        label: "L0",
        unit: "features per token",
        direction: LowerIsBetter,
        definition: "mean number of features with c ≠ 0",
        source: "Braun et al. 2024; SAEBench core `l0`",
        version: 1,
        by_layer: false,
        log: true,
    },
    MetricDefinition {
        name: "alive",
        label: "alive features",
        unit: "features",
        direction: Neither,
        definition: "features that fire at least once on the evaluated tokens; always read it with their number",
        source: "e2e_sae `alive_dict_elements`, there over a window of 500k training tokens",
        version: 1,
        by_layer: false,
        log: false,
    },
    MetricDefinition {
        name: "alive_10",
        label: "alive features, ten firings",
        unit: "features",
        direction: Neither,
        definition: "features that fire at least ten times on the evaluated tokens",
        source: "Cunningham et al. 2023 count features with more than ten firings as active",
        version: 1,
        by_layer: false,
        log: false,
    },
    MetricDefinition {
        name: "ce_model",
        label: "CE of the model",
        unit: "nats per token",
        direction: LowerIsBetter,
        definition: "mean of −log p(next token) of the model as it is",
        source: "e2e_sae `orig_model_ce_loss`; SAEBench `ce_loss_without_sae`",
        version: 1,
        by_layer: false,
        log: false,
    },
    MetricDefinition {
        name: "ce_spliced",
        label: "CE with the dictionary",
        unit: "nats per token",
        direction: LowerIsBetter,
        definition: "mean of −log p(next token) with x̂ in place of x at every position",
        source: "e2e_sae `sae_model_ce_loss`; SAEBench `ce_loss_with_sae`",
        version: 1,
        by_layer: false,
        log: false,
    },
    MetricDefinition {
        name: "ce_increase",
        label: "CE increase",
        unit: "nats per token",
        direction: LowerIsBetter,
        definition: "CE with the dictionary − CE of the model",
        source: "Braun et al. 2024, figure 1; e2e_sae logs its negative as `difference_ce_loss`",
        version: 1,
        by_layer: false,
        log: true,
    },
    MetricDefinition {
        name: "kl",
        label: "KL(model ‖ spliced)",
        unit: "nats per token",
        direction: LowerIsBetter,
        definition: "mean of Σ_v p(v) (log p(v) − log q(v)), p the model's and q the spliced model's next-token distribution",
        source: "e2e_sae `logits_kl`, whose docstring has the arguments the other way round; SAEBench `kl_div_with_sae`",
        version: 1,
        by_layer: false,
        log: true,
    },
    MetricDefinition {
        name: "explained_variance",
        label: "explained variance",
        unit: "",
        direction: HigherIsBetter,
        definition: "1 − Σ‖x − x̂‖² / Σ‖x − mean(x)‖², sums and mean over all evaluated tokens, in f64",
        source: "SAELens after #665; pooled and centred",
        version: 1,
        by_layer: true,
        log: false,
    },
    MetricDefinition {
        name: "explained_variance_per_token",
        label: "explained variance, per token",
        unit: "",
        direction: HigherIsBetter,
        definition: "mean over tokens of 1 − ‖x − x̂‖² / ‖x − mean_batch(x)‖²",
        source: "e2e_sae `explained_variance` at later layers; SAELens `explained_variance_legacy`",
        version: 1,
        by_layer: true,
        log: false,
    },
    MetricDefinition {
        name: "explained_variance_e2e_sae",
        label: "explained variance, e2e_sae's at its own layer",
        unit: "",
        direction: HigherIsBetter,
        definition: "mean over tokens of 1 − ‖x − x̂‖² / ‖x̂ − mean_batch(x̂)‖²: the output's variance below, not the input's",
        source: "e2e_sae, with prediction and target swapped at the dictionary's own layer",
        version: 1,
        by_layer: false,
        log: false,
    },
    MetricDefinition {
        name: "mse",
        label: "MSE",
        unit: "",
        direction: LowerIsBetter,
        definition: "mean over tokens and dimensions of (x − x̂)²; at later layers x̂ is the spliced model's activation",
        source: "e2e_sae `out_to_in` and `in_to_orig`",
        version: 1,
        by_layer: true,
        log: true,
    },
    MetricDefinition {
        name: "norm_ratio",
        label: "norm ratio",
        unit: "",
        direction: Neither,
        definition: "mean of ‖x̂‖ / ‖x‖; 1 is neither shrunk nor grown",
        source: "Braun et al. 2024, table 5; SAEBench `l2_ratio`",
        version: 1,
        by_layer: false,
        log: false,
    },
    MetricDefinition {
        name: "grad_norm",
        label: "gradient norm",
        unit: "",
        direction: Neither,
        definition: "norm of the gradient of all of the dictionary's parameters before clipping, mean over the run's last half",
        source: "Braun et al. 2024, table 2, there the mean beyond 10,000 samples",
        version: 1,
        by_layer: false,
        log: true,
    },
    MetricDefinition {
        name: "train_seconds",
        label: "training cost",
        unit: "thread seconds",
        direction: LowerIsBetter,
        definition: "time of all threads spent in this dictionary's own part of the steps, plus its share of what the run's dictionaries had in common: the prefix among all, the clean pass beyond it among those that look there",
        source: "ours; Braun et al. 2024, table 6 gives hours on an A100",
        version: 1,
        by_layer: false,
        log: true,
    },
    MetricDefinition {
        name: "l1",
        label: "L1",
        unit: "",
        direction: Neither,
        definition: "mean of ‖c‖₁",
        source: "SAEBench core `l1`",
        version: 1,
        by_layer: false,
        log: true,
    },
    MetricDefinition {
        name: "known_coverage",
        label: "known labels covered",
        unit: "share of labels",
        direction: HigherIsBetter,
        definition: "share of storyworld's labels that take context to tell, as far as a probe on x tells them, whose best single feature comes three quarters of the way from floor (shuffled labels) to ceiling (the probe) in balanced accuracy; features chosen on one half of the stories, scored on the other",
        source: "ours; the score below is SAEBench's sparse probing with k = 1, there without floor and ceiling",
        version: 1,
        by_layer: false,
        log: false,
    },
    MetricDefinition {
        name: "known_coverage_5",
        label: "known labels covered by five features",
        unit: "share of labels",
        direction: HigherIsBetter,
        definition: "the same with a logistic probe on the five features of the best balanced accuracy",
        source: "ours; SAEBench's sparse probing with k = 5",
        version: 1,
        by_layer: false,
        log: false,
    },
    MetricDefinition {
        name: "known_coverage_used",
        label: "known labels covered that the model uses",
        unit: "share of labels",
        direction: HigherIsBetter,
        definition: "known labels covered, of those whose probe direction costs more CE, once taken out, than any of 19 shuffled labels' directions",
        source: "ours: what Braun et al. 2024 argue that end-to-end dictionaries keep",
        version: 1,
        by_layer: false,
        log: false,
    },
    MetricDefinition {
        name: "known_coverage_unused",
        label: "known labels covered that the model does not use",
        unit: "share of labels",
        direction: Neither,
        definition: "known labels covered, of those whose probe direction costs no more CE than shuffled labels' directions",
        source: "ours: what Braun et al. 2024 argue that end-to-end dictionaries leave out",
        version: 1,
        by_layer: false,
        log: false,
    },
    MetricDefinition {
        name: "known_coverage_planted",
        label: "planted labels covered",
        unit: "share of labels",
        direction: Neither,
        definition: "known labels covered, of the four that are planted: nothing later in a story depends on them",
        source: "ours",
        version: 1,
        by_layer: false,
        log: false,
    },
    MetricDefinition {
        name: "known_coverage_token",
        label: "known labels of tokens covered",
        unit: "share of labels",
        direction: HigherIsBetter,
        definition: "known labels covered, of those that follow from the word alone",
        source: "ours; apart, because a feature per token tells these",
        version: 1,
        by_layer: false,
        log: false,
    },
    MetricDefinition {
        name: "known_accuracy_1",
        label: "balanced accuracy of the best feature",
        unit: "",
        direction: HigherIsBetter,
        definition: "mean over storyworld's readable labels that take context of (TPR + TNR) / 2 of the best single feature at its best threshold",
        source: "ours; SAEBench's sparse probing reports plain accuracy on balanced classes",
        version: 1,
        by_layer: false,
        log: false,
    },
    MetricDefinition {
        name: "known_accuracy_2",
        label: "balanced accuracy of two features",
        unit: "",
        direction: HigherIsBetter,
        definition: "the same of a logistic probe on the two features of the best balanced accuracy",
        source: "SAEBench `sae_top_2_test_accuracy`, there on mean-pooled features of texts, chosen by the difference of their means",
        version: 1,
        by_layer: false,
        log: false,
    },
    MetricDefinition {
        name: "known_accuracy_5",
        label: "balanced accuracy of five features",
        unit: "",
        direction: HigherIsBetter,
        definition: "the same of a logistic probe on the five features of the best balanced accuracy",
        source: "SAEBench `sae_top_5_test_accuracy`, there on mean-pooled features of texts, chosen by the difference of their means",
        version: 1,
        by_layer: false,
        log: false,
    },
    MetricDefinition {
        name: "known_auc",
        label: "AUC of the best feature",
        unit: "",
        direction: HigherIsBetter,
        definition: "mean over storyworld's readable labels that take context of the area under the ROC curve of the best single feature",
        source: "ours",
        version: 1,
        by_layer: false,
        log: false,
    },
    MetricDefinition {
        name: "known_splitting",
        label: "features per known label",
        unit: "features",
        direction: LowerIsBetter,
        definition: "mean over storyworld's readable labels that take context of the number of features, the best first, that each raise the balanced accuracy of the probe on them by 0.03 or more",
        source: "SAEBench's feature splitting, there by 0.03 of F1 and over first letters",
        version: 1,
        by_layer: false,
        log: false,
    },
    MetricDefinition {
        name: "known_absorption",
        label: "absorption of known labels",
        unit: "share of tokens",
        direction: LowerIsBetter,
        definition: "mean over storyworld's readable labels with narrower ones of the share of their tokens on which no main feature fires and one of a narrower label of that token does, with a positive contribution along the label's probe direction",
        source: "SAEBench's full absorption over first letters, there with a least cosine (0.025) and a least share of the projection (0.4)",
        version: 1,
        by_layer: false,
        log: false,
    },
];

/// The definition of the metric called `name`.
pub fn metric(name: &str) -> Option<&'static MetricDefinition> {
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
