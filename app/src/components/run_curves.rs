//! The curves of a run: one value at a time, a line per dictionary, over the tokens seen.

use std::{collections::BTreeSet, sync::Arc};

use api::{HistoryPoint, TrainConfig};
use leptos::prelude::*;

use super::{Chart, Picture, Select, Tip};
use crate::{
    charts::{Axis, Line, LineChart, Theme, series_style},
    format::{exact, number},
};

/// What a value of the history is called, with its unit.
pub fn value_label(name: &str) -> String {
    let (plain, suffix) = name
        .strip_prefix("validation/")
        .map_or((name, ""), |plain| (plain, " on validation text"));
    let of_metric = |metric: &api::MetricDefinition| match metric.unit {
        "" => format!("{}{suffix}", metric.label),
        unit => format!("{}{suffix} ({unit})", metric.label),
    };
    match name {
        "loss" => "loss".into(),
        "lr" => "learning rate".into(),
        "coefficient" => "sparsity coefficient λ".into(),
        _ => match name.strip_prefix("loss/") {
            Some("kl") => "loss term: KL".into(),
            Some(term) => format!("loss term: {term}"),
            None => api::metric(plain).map_or_else(|| name.to_string(), of_metric),
        },
    }
}

/// What a dictionary of a config is called: objective, coefficient, and what else differs.
pub fn dictionary_label(config: &TrainConfig, index: usize) -> String {
    let Some(dictionary) = config.dictionaries.get(index) else {
        return format!("#{index}");
    };
    let several_rates = config.dictionaries.iter().any(|other| other.lr != dictionary.lr);
    let rate = if several_rates {
        format!(", lr {}", exact(dictionary.lr))
    } else {
        String::new()
    };
    let (name, value) = dictionary.dial();
    format!("{}, {name} {}{rate}", dictionary.series(), exact(value))
}

fn chart(config: &TrainConfig, points: &[HistoryPoint], name: &str, log: bool, size: (u32, u32)) -> LineChart {
    let line = |(index, dictionary): (usize, &api::DictionaryConfig)| {
        let own = points.iter().filter(|point| point.dictionary == index);
        let points = own.filter_map(|point| point.values.get(name).map(|value| (point.tokens as f64, *value)));
        Line {
            label: dictionary.series().to_string(),
            style: series_style(dictionary.series()),
            dash: false,
            points: points.collect(),
        }
    };
    LineChart {
        x: Axis {
            title: "tokens".into(),
            log: false,
        },
        y: Axis {
            title: value_label(name),
            log,
        },
        lines: config
            .dictionaries
            .iter()
            .enumerate()
            .map(line)
            .filter(|line| !line.points.is_empty())
            .collect(),
        size,
    }
}

fn tip(chart: &LineChart, config: &TrainConfig, drawn: &[usize], x: f64) -> Option<Tip> {
    let hit = chart.hit(x)?;
    let rows = hit
        .values
        .iter()
        .zip(drawn)
        .filter_map(|(value, index)| Some((dictionary_label(config, *index), number(value.as_ref()?.1))));
    let title = format!("{} tokens", crate::format::count(hit.x as u64));
    Some(Tip {
        at: (hit.px, chart.plot_area().top),
        title,
        rows: rows.take(16).collect(),
        href: None,
    })
}

/// Whether the value is positive everywhere and reaches over more than a decade and a half: linear, all but the largest would lie
/// on the axis.
fn spans_decades(points: &[HistoryPoint], name: &str) -> bool {
    const SPAN: f64 = 30.0;
    let values = || points.iter().filter_map(|point| point.values.get(name).copied());
    let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    least > 0.0 && most > SPAN * least
}

/// The chart with its choices.
#[component]
pub fn RunCurves(
    /// The run's config.
    #[prop(into)]
    config: Signal<TrainConfig>,
    /// The history so far.
    points: Signal<Vec<HistoryPoint>>,
) -> impl IntoView {
    let chosen = RwSignal::new(String::from("loss"));
    let log_chosen = RwSignal::new(None::<bool>);
    let log = Memo::new(move |_| {
        let by_itself = || points.with(|points| chosen.with(|name| spans_decades(points, name)));
        log_chosen.get().unwrap_or_else(by_itself)
    });
    let names = Memo::new(move |_| {
        points.with(|points| {
            points
                .iter()
                .flat_map(|point| point.values.keys().cloned())
                .collect::<BTreeSet<_>>()
        })
    });
    let options = Signal::derive(move || {
        names
            .get()
            .into_iter()
            .map(|name| (name.clone(), value_label(&name)))
            .collect::<Vec<_>>()
    });
    let is_empty = Memo::new(move |_| names.with(BTreeSet::is_empty));
    let draw = move |size| {
        let (config, name) = (config.get(), chosen.get());
        let has =
            |index: usize| points.with(|points| points.iter().any(|p| p.dictionary == index && p.values.contains_key(&name)));
        let drawn: Vec<usize> = (0..config.dictionaries.len()).filter(|index| has(*index)).collect();
        let chart = points.with(|points| chart(&config, points, &name, log.get(), size));
        Picture {
            svg: chart.svg(Theme::Page),
            hit: Arc::new(move |x, _| tip(&chart, &config, &drawn, x)),
        }
    };
    view! {
        <div class="sheet">
            <div class="tools">
                <Select label="value" id="run-value" options value=chosen on_choose=Callback::new(move |name| {
                    chosen.set(name);
                    log_chosen.set(None);
                }) />
                <label class="toggle">
                    <input type="checkbox" prop:checked=log on:change=move |event| log_chosen.set(Some(event_target_checked(&event))) />
                    "logarithmic"
                </label>
            </div>
            <Show when=move || is_empty.get()>
                <p class="empty">"No point yet. The first comes after the first steps."</p>
            </Show>
            <div hidden=move || is_empty.get()>
                <Chart draw testid="run-chart" />
            </div>
        </div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_positive_and_far_apart_spans_decades() {
        let history = |values: &[f64]| -> Vec<HistoryPoint> {
            let point = |value: &f64| HistoryPoint {
                step: 0,
                tokens: 0,
                dictionary: 0,
                values: std::collections::BTreeMap::from([("loss".to_string(), *value)]),
            };
            values.iter().map(point).collect()
        };
        assert!(spans_decades(&history(&[0.1, 40.0]), "loss"));
        assert!(!spans_decades(&history(&[2.0, 40.0]), "loss"));
        assert!(!spans_decades(&history(&[0.0, 40.0]), "loss"));
        assert!(!spans_decades(&history(&[0.1, 40.0]), "lr"));
        assert!(!spans_decades(&[], "loss"));
    }
}
