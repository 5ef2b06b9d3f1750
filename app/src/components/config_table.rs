//! A run's resolved config, readable, and as the JSON that is stored.

use api::TrainConfig;
use leptos::prelude::*;

use crate::format::{count, exact};

/// Every value that the run's result depends on.
#[component]
pub fn ConfigTable(
    /// The config.
    config: TrainConfig,
) -> impl IntoView {
    let json = serde_json::to_string_pretty(&config).unwrap_or_else(|error| error.to_string());
    let row = |(name, value): (&'static str, String)| view! { <div><dt>{name}</dt><dd>{value}</dd></div> };
    view! {
        <dl class="config">{rows(&config).into_iter().map(row).collect_view()}</dl>
        <details class="json">
            <summary>"As JSON"</summary>
            <pre tabindex="0">{json}</pre>
        </details>
    }
}

fn rows(config: &TrainConfig) -> Vec<(&'static str, String)> {
    let whole = |n: usize| count(n as u64);
    vec![
        ("model", config.model.to_string()),
        ("corpus", config.corpus.to_string()),
        ("at", config.at.to_string()),
        ("residual", config.residual.to_string()),
        ("input_scale", config.input_scale.to_string()),
        ("n_ctx", whole(config.packing.n_ctx)),
        ("bos", config.packing.bos.to_string()),
        ("eos", config.packing.eos.to_string()),
        (
            "batch",
            format!("{} contexts, {} tokens", whole(config.batch), whole(config.batch_tokens())),
        ),
        ("accumulation", whole(config.accumulation)),
        ("tokens", count(config.tokens)),
        ("steps", whole(config.n_steps())),
        ("warmup_steps", whole(config.schedule.warmup_steps)),
        ("min_lr_factor", exact(config.schedule.min_lr_factor)),
        (
            "adam",
            format!(
                "β₁ {}, β₂ {}, ε {}",
                exact(config.adam.beta1),
                exact(config.adam.beta2),
                exact(config.adam.eps)
            ),
        ),
        ("max_grad_norm", exact(config.max_grad_norm)),
        ("data_seed", config.data_seed.to_string()),
        ("log_every_steps", whole(config.log_every_steps)),
        ("checkpoint_every_steps", whole(config.checkpoint_every_steps)),
        ("evaluate_on", config.evaluation.split.to_string()),
        ("eval_tokens", whole(config.evaluation.n_tokens)),
        ("validation_tokens", whole(config.evaluation.validation_tokens)),
        ("eval_every_steps", whole(config.evaluation.every_steps)),
    ]
}
