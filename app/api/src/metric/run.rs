//! What only the training run itself can measure.

use super::{
    Direction::{LowerIsBetter, Neither},
    MetricDefinition,
};

/// In the order in which pages list them.
pub(super) const RUN: &[MetricDefinition] = &[
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
];
