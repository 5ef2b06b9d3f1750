//! A run's resolved config, readable, and as the JSON that is stored.

use std::collections::BTreeSet;

use api::{Buffer, DictionaryConfig, DictionaryKind, Objective, Origin, TrainConfig};
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

/// Rows that say nothing of a run that fits.
const OF_TRAINING: [&str; 11] = [
    "lr",
    "steps",
    "warmup_steps",
    "min_lr_factor",
    "hold_steps",
    "adam",
    "max_grad_norm",
    "log_every_steps",
    "checkpoint_every_steps",
    "validation_tokens",
    "eval_every_steps",
];

fn rows(config: &TrainConfig) -> Vec<(&'static str, String)> {
    let whole = |n: usize| count(n as u64);
    let adam = config.adam;
    let mut rows = vec![
        ("model", config.model.to_string()),
        ("corpus", config.corpus.to_string()),
        ("at", config.at.to_string()),
        ("residual", config.residual.to_string()),
        ("input_scale", config.input_scale.to_string()),
        ("leave_out", config.leave_out.to_string()),
        ("n_ctx", whole(config.packing.n_ctx)),
        ("bos", config.packing.bos.to_string()),
        ("eos", config.packing.eos.to_string()),
    ];
    // what the dictionaries differ in is a list; their λ stand beside their values
    let distinct = |of: &dyn Fn(&DictionaryConfig) -> String| {
        let mut values: Vec<String> = config.dictionaries.iter().map(of).filter(|value| !value.is_empty()).collect();
        let mut seen = BTreeSet::new();
        values.retain(|value| seen.insert(value.clone()));
        values.join(", ")
    };
    let named = |objective: Objective, value: f64| match value {
        0.0 => String::new(),
        value => format!("{} {}", objective.kind(), exact(value)),
    };
    let setting = |name: &str| {
        let of = |d: &DictionaryConfig| d.kind.settings().into_iter().find(|(own, _)| *own == name);
        distinct(&|d| of(d).map(|(_, value)| exact(value)).unwrap_or_default())
    };
    let buffer = |of: &dyn Fn(&Buffer) -> String| config.buffer.as_ref().map(of).unwrap_or_default();
    let course = |name: &str| {
        let of = |d: &DictionaryConfig| d.course.settings().into_iter().find(|(own, _)| *own == name);
        distinct(&|d| of(d).map(|(_, value)| exact(value)).unwrap_or_default())
    };
    let lr = match distinct(&|d| exact(d.lr)) {
        several if several.contains(", ") => distinct(&|d| named(d.objective, d.lr)),
        one => one,
    };
    rows.extend([
        (
            "from",
            distinct(&|d| {
                if d.origin == Origin::Fresh {
                    String::new()
                } else {
                    d.origin.to_string()
                }
            }),
        ),
        ("kind", distinct(&|d| d.kind.name().to_string())),
        ("k", setting("k")),
        ("aux_coefficient", setting("aux_coefficient")),
        ("dead_tokens", setting("dead_tokens")),
        ("threshold_decay", setting("threshold_decay")),
        ("residual_threshold", setting("residual_threshold")),
        (
            "stop_on_duplicate",
            distinct(&|d| match d.kind {
                DictionaryKind::MatchingPursuit { stop_on_duplicate, .. } => stop_on_duplicate.to_string(),
                _ => String::new(),
            }),
        ),
        (
            "read_at",
            distinct(&|d| d.kind.read_at().map(|at| at.to_string()).unwrap_or_default()),
        ),
        ("bandwidth", setting("bandwidth")),
        ("initial_threshold", setting("initial_threshold")),
        ("groups", setting("groups")),
        ("final_p", setting("final_p")),
        ("anneal_start", setting("anneal_start")),
        ("anneal_end", setting("anneal_end")),
        ("target_l0", course("target_l0")),
        ("sparsity_warmup_steps", course("sparsity_warmup_steps")),
        ("resample_steps", course("resample_steps")),
        ("resample_warmup_steps", course("resample_warmup_steps")),
        ("objective", distinct(&|d| d.objective.kind().to_string())),
        ("d_sae", distinct(&|d| whole(d.d_sae))),
        ("lr", lr),
        ("kl_coefficient", distinct(&|d| named(d.objective, d.objective.kl()))),
        ("ds_coefficient", distinct(&|d| named(d.objective, d.objective.downstream()))),
        ("seed", distinct(&|d| d.seed.to_string())),
        ("data_seed", config.data_seed.to_string()),
        (
            "batch",
            format!("{} contexts, {} tokens", whole(config.batch), whole(config.batch_tokens())),
        ),
        ("accumulation", whole(config.accumulation)),
        ("buffer_tokens", buffer(&|b| whole(b.tokens))),
        ("buffer_mixing", buffer(&|b| exact(b.mixing))),
        ("buffer_on", buffer(&|b| b.on.to_string())),
        ("tokens", count(config.tokens)),
        ("steps", whole(config.n_steps())),
        ("warmup_steps", whole(config.schedule.warmup_steps)),
        ("min_lr_factor", exact(config.schedule.min_lr_factor)),
        ("hold_steps", whole(config.schedule.hold_steps)),
        (
            "adam",
            format!("β₁ {}, β₂ {}, ε {}", exact(adam.beta1), exact(adam.beta2), exact(adam.eps)),
        ),
        ("max_grad_norm", exact(config.max_grad_norm)),
        ("log_every_steps", whole(config.log_every_steps)),
        ("checkpoint_every_steps", whole(config.checkpoint_every_steps)),
        ("evaluate_on", config.evaluation.split.to_string()),
        ("eval_tokens", whole(config.evaluation.n_tokens)),
        ("validation_tokens", whole(config.evaluation.validation_tokens)),
        ("eval_every_steps", whole(config.evaluation.every_steps)),
    ]);
    let is_fit = config.is_fit();
    rows.retain(|(name, value)| !(value.is_empty() || is_fit && OF_TRAINING.contains(name)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A config in which every number is another one.
    fn config() -> TrainConfig {
        let topk = json!({"batchtopk": {"k": 123, "aux_coefficient": 0.124, "dead_tokens": 125, "threshold_decay": 0.126}});
        let jump = json!({"jumprelu": {"bandwidth": 0.127, "initial_threshold": 0.128}});
        let transcoder = json!({"transcoder": {"read_at": "blocks.0.hook_resid_mid"}});
        let matryoshka = json!({"matryoshka": {"k": 131, "aux_coefficient": 0.132, "dead_tokens": 133, "threshold_decay": 0.134, "groups": 135}});
        let anneal = json!({"p-anneal": {"final_p": 0.136, "anneal_start": 137, "anneal_end": 138}});
        let pursuit = json!({"matching-pursuit": {"k": 144, "residual_threshold": 0.145, "stop_on_duplicate": false}});
        let of_course = |course: Value| json!({"kind": "gated", "d_sae": 101, "objective": {"name": "local", "sparsity": 0.0}, "lr": 0.125, "seed": 102, "course": course});
        let of_kind = |kind: Value| json!({"kind": kind, "d_sae": 101, "objective": {"name": "local", "sparsity": 0.0}, "lr": 0.125, "seed": 102});
        let dictionary =
            |objective: Value| json!({"kind": "relu", "d_sae": 101, "objective": objective, "lr": 0.125, "seed": 102});
        serde_json::from_value(json!({
            "model": "a-model", "corpus": "a-corpus", "at": "blocks.1.hook_resid_pre", "residual": "raw", "input_scale": "none", "leave_out": "special,longer=147",
            "packing": {"n_ctx": 103, "bos": "document", "eos": "none"}, "batch": 104, "accumulation": 105, "tokens": 1_060_000,
            "schedule": {"warmup_steps": 107, "min_lr_factor": 0.108, "hold_steps": 119}, "adam": {"beta1": 0.109, "beta2": 0.111, "eps": 0.112},
            "max_grad_norm": 113.0, "buffer": {"tokens": 129, "mixing": 0.131, "on": "disk"}, "data_seed": 114, "log_every_steps": 115, "checkpoint_every_steps": 116,
            "evaluation": {"n_tokens": 117, "validation_tokens": 118, "every_steps": 122},
            "dictionaries": [
                dictionary(json!({"name": "local", "sparsity": 0.3})),
                dictionary(json!({"name": "e2e+ds", "sparsity": 0.3, "kl": 0.121, "downstream": 0.122})),
                dictionary(json!({"name": "e2e+ds", "sparsity": 1.0, "kl": 0.121, "downstream": 0.122})),
                of_kind(topk),
                of_kind(jump),
                of_kind(transcoder),
                of_kind(matryoshka),
                of_kind(anneal),
                of_kind(pursuit),
                of_course(json!({"target_l0": 139.5, "sparsity_warmup_steps": 140, "resample_steps": 142, "resample_warmup_steps": 143})),
            ],
        }))
        .unwrap()
    }

    fn leaves(value: &Value, path: &str, found: &mut Vec<(String, String)>) {
        match value {
            Value::Object(fields) => fields
                .iter()
                .for_each(|(name, value)| leaves(value, &format!("{path}.{name}"), found)),
            Value::Array(items) => items.iter().for_each(|value| leaves(value, path, found)),
            Value::String(text) => found.push((path.into(), text.clone())),
            Value::Number(n) => found.push((path.into(), n.as_f64().map(exact).unwrap_or_default())),
            other => found.push((path.into(), other.to_string())),
        }
    }

    #[test]
    fn every_value_of_the_config_is_shown() {
        let config = config();
        let shown = rows(&config);
        let mut values = Vec::new();
        leaves(&serde_json::to_value(&config).unwrap(), "", &mut values);
        assert!(values.len() > 35, "{values:?}");
        for (path, value) in values {
            // λ stands in the table of the last values, and in the command
            let is_there = |text: &str| text == value || text.replace(',', "").split([' ', ',']).any(|word| word == value);
            assert!(
                path.ends_with(".sparsity") || shown.iter().any(|(_, text)| is_there(text)),
                "{path} = {value} is not in {shown:?}"
            );
        }
        assert!(shown.contains(&("kl_coefficient", "e2e+ds 0.121".into())), "{shown:?}");
    }
}
