//! A pretraining run: its loss on training batches and on validation text over the tokens seen, and what was asked for.

use std::sync::Arc;

use api::{HistoryPoint, ObjectiveKind, PretrainConfig, TokenizerSource};
use leptos::prelude::*;

use super::{Chart, Picture, Tip};
use crate::{
    charts::{Axis, Line, LineChart, Theme, objective_style},
    format::{count, exact, number},
};

/// The lines: the history's name, what it is called, and whose colour it has.
const LINES: [(&str, &str, ObjectiveKind); 2] = [
    ("loss", "training", ObjectiveKind::Local),
    ("validation/loss", "validation", ObjectiveKind::E2e),
];

fn chart(points: &[HistoryPoint], size: (u32, u32)) -> LineChart {
    let line = |(name, label, colour): (&str, &str, ObjectiveKind)| Line {
        label: label.into(),
        style: objective_style(colour),
        dash: false,
        points: points
            .iter()
            .filter_map(|point| point.values.get(name).map(|value| (point.tokens as f64, *value)))
            .collect(),
    };
    LineChart {
        x: Axis {
            title: "tokens".into(),
            log: false,
        },
        y: Axis {
            title: "loss (nats per token)".into(),
            log: false,
        },
        lines: LINES.into_iter().map(line).filter(|line| !line.points.is_empty()).collect(),
        size,
    }
}

fn tip(chart: &LineChart, x: f64) -> Option<Tip> {
    let hit = chart.hit(x)?;
    let rows = hit
        .values
        .iter()
        .zip(&chart.lines)
        .filter_map(|(value, line)| Some((line.label.clone(), number(value.as_ref()?.1))));
    Some(Tip {
        at: (hit.px, chart.plot_area().top),
        title: format!("{} tokens", count(hit.x as u64)),
        rows: rows.collect(),
        href: None,
    })
}

/// The last value of a name in the history.
fn last(points: &[HistoryPoint], name: &str) -> Option<f64> {
    points.iter().rev().find_map(|point| point.values.get(name).copied())
}

/// The part of a run's page that shows a pretraining.
#[component]
pub fn PretrainRun(
    /// The run's config.
    config: PretrainConfig,
    /// The history so far.
    points: Signal<Vec<HistoryPoint>>,
) -> impl IntoView {
    let draw = move |size| {
        let chart = points.with(|points| chart(points, size));
        Picture {
            svg: chart.svg(Theme::Page),
            hit: Arc::new(move |x, _| tip(&chart, x)),
        }
    };
    let split = config.evaluation.split;
    let result = move || {
        points.with(|points| {
            let (loss, rate) = (last(points, "final/loss")?, last(points, "tokens_per_second")?);
            let rate = count(rate as u64);
            Some(format!(
                "On {} its loss is {} nats per token; it was trained at {rate} tokens per second.",
                split.text(),
                number(loss)
            ))
        })
    };
    let is_empty = Memo::new(move |_| points.with(Vec::is_empty));
    let json = serde_json::to_string_pretty(&config).unwrap_or_else(|error| error.to_string());
    let row = |(name, value): (&'static str, String)| view! { <div><dt>{name}</dt><dd>{value}</dd></div> };
    view! {
        <section aria-labelledby="curves">
            <h2 id="curves">"Curves"</h2>
            <div class="sheet">
                <Show when=move || is_empty.get()>
                    <p class="empty">"No point yet. The first comes after the first steps."</p>
                </Show>
                <div hidden=move || is_empty.get()>
                    <Chart draw testid="run-chart" />
                </div>
                <p>{result}</p>
            </div>
        </section>
        <section aria-labelledby="config">
            <h2 id="config">"What was asked for"</h2>
            <dl class="config">{rows(&config).into_iter().map(row).collect_view()}</dl>
            <details class="json">
                <summary>"As JSON"</summary>
                <pre tabindex="0">{json}</pre>
            </details>
        </section>
    }
    .into_any()
}

fn rows(config: &PretrainConfig) -> Vec<(&'static str, String)> {
    let whole = |n: usize| count(n as u64);
    let shape = config.shape;
    vec![
        ("name", config.name.to_string()),
        ("corpus", config.corpus.to_string()),
        (
            "tokenizer",
            match &config.tokenizer {
                TokenizerSource::Trained { vocab_size } => format!("trained, {} tokens", whole(*vocab_size)),
                TokenizerSource::Given { path, .. } => path.clone(),
            },
        ),
        ("n_layers", whole(shape.n_layers)),
        ("d_model", whole(shape.d_model)),
        ("n_heads", whole(shape.n_heads)),
        ("n_ctx", whole(shape.n_ctx)),
        (
            "batch",
            format!("{} contexts, {} tokens", whole(config.batch), whole(config.step_tokens())),
        ),
        ("tokens", count(config.tokens)),
        ("steps", whole(config.n_steps())),
        ("lr", exact(config.lr)),
        ("warmup_steps", whole(config.schedule.warmup_steps)),
        ("min_lr_factor", exact(config.schedule.min_lr_factor)),
        ("hold_steps", whole(config.schedule.hold_steps)),
        (
            "adam",
            format!(
                "β₁ {}, β₂ {}, ε {}",
                exact(config.adam.beta1),
                exact(config.adam.beta2),
                exact(config.adam.eps)
            ),
        ),
        ("weight_decay", exact(config.weight_decay)),
        ("max_grad_norm", exact(config.max_grad_norm)),
        ("seed", config.seed.to_string()),
        ("dtype", config.dtype.to_string()),
    ]
}
