//! The charts of the Pareto page, from what the server answers.

use std::collections::BTreeSet;

use api::{DictionaryInfo, HookPoint, METRICS, Measurement, MetricDefinition, ParetoView, Site, TokenSet};

use super::frame::Axis;
use super::line::{Line, LineChart};
use super::number::{fixed, significant};
use super::scatter::{Point, ScatterChart, Series};
use super::style::series_style;

/// Beyond this many dictionaries the lines of a layer chart are named by objective only.
const NAMED: usize = 8;

/// The dictionaries in the plane of the query's two metrics, with the Pareto front of each kind and objective.
pub fn pareto_chart(view: &ParetoView, size: (u32, u32)) -> ScatterChart {
    let x_name = view.query.x.as_deref().unwrap_or("l0");
    let y_name = view.query.y.as_deref().unwrap_or("ce_increase");
    let mut series = Vec::new();
    let every: BTreeSet<api::Series> = view.dictionaries.iter().map(|d| d.config.series()).collect();
    for one in every {
        let of: Vec<_> = view.dictionaries.iter().filter(|d| d.config.series() == one).collect();
        let value = |d: &DictionaryInfo, name: &str| d.metric(name).unwrap_or(f64::NAN);
        let points = of.iter().map(|d| Point {
            x: value(d, x_name),
            y: value(d, y_name),
            id: d.id.0,
            title: format!("{}: {}, {}", describe(d), measured(d, x_name), measured(d, y_name)),
        });
        let front = view
            .fronts
            .iter()
            .filter(|front| front.series == one)
            .flat_map(|front| &front.dictionaries);
        let line = front
            .filter_map(|id| of.iter().find(|d| d.id == *id))
            .map(|d| (value(d, x_name), value(d, y_name)));
        series.push(Series {
            label: view.name(one),
            style: series_style(one),
            line: line.collect(),
            points: points.collect(),
        });
    }
    ScatterChart {
        x: axis(x_name, view.query.log_x),
        y: axis(y_name, view.query.log_y),
        series,
        size,
        caption: caption(view, y_name),
        key: false,
    }
}

/// The block whose input a point is or belongs to; what leaves the last block counts as the input of one more.
fn block(at: HookPoint) -> Option<usize> {
    match at {
        HookPoint::Block {
            layer,
            site: Site::ResidPost,
        } => Some(layer + 1),
        _ => at.layer(),
    }
}

/// A metric by layer: a line per dictionary over the index of the block.
pub fn layer_chart(view: &ParetoView, metric: &str, size: (u32, u32)) -> LineChart {
    let layers = |d: &DictionaryInfo| {
        let at = |m: &Measurement| m.at.and_then(block).map(|layer| (layer, m.value));
        let of = d
            .metrics
            .iter()
            .filter(|m| m.name == metric && m.tokens == TokenSet::Ordinary);
        let mut points: Vec<(usize, f64)> = of.filter_map(at).collect();
        points.sort_by_key(|(layer, _)| *layer);
        points
            .into_iter()
            .map(|(layer, value)| (layer as f64, value))
            .collect::<Vec<_>>()
    };
    let mut lines: Vec<(api::Series, Line)> = Vec::new();
    let few = view.dictionaries.len() <= NAMED;
    for d in &view.dictionaries {
        let points = layers(d);
        if points.is_empty() {
            continue;
        }
        let series = d.config.series();
        let name = view.name(series);
        let label = if few { format!("{name} #{}", d.id) } else { name };
        lines.push((
            series,
            Line {
                label,
                style: series_style(series),
                dash: false,
                points,
            },
        ));
    }
    lines.sort_by_key(|(series, _)| *series);
    LineChart {
        x: Axis {
            title: "block".into(),
            log: false,
        },
        y: axis(metric, None),
        lines: lines.into_iter().map(|(_, line)| line).collect(),
        size,
    }
}

fn definition(name: &str) -> Option<&'static MetricDefinition> {
    METRICS.iter().find(|m| m.name == name)
}

fn axis(name: &str, log: Option<bool>) -> Axis {
    let definition = definition(name);
    let title = match definition {
        Some(m) if m.unit.is_empty() || m.unit.split(' ').next() == m.label.split(' ').next_back() => m.label.into(),
        Some(m) => format!("{} ({})", m.label, m.unit),
        None => name.into(),
    };
    Axis {
        title,
        log: log.unwrap_or(definition.is_some_and(|m| m.log)),
    }
}

/// `#12 local, λ 0.3, learning rate 0.0005, seed 0`.
fn describe(d: &DictionaryInfo) -> String {
    let c = &d.config;
    let (name, value) = c.dial();
    format!(
        "#{} {}, {name} {value}, learning rate {}, seed {}",
        d.id,
        c.series(),
        c.lr,
        c.seed
    )
}

fn measured(d: &DictionaryInfo, name: &str) -> String {
    let (label, unit) = definition(name).map_or((name, ""), |m| (m.label, m.unit));
    let value = d.metric(name).map_or_else(|| "not measured".into(), significant);
    let interval = d
        .measurement(name)
        .and_then(|m| m.interval)
        .map_or_else(String::new, |interval| {
            format!(" [{}, {}]", significant(interval.low), significant(interval.high))
        });
    format!("{label} {value}{interval} {unit}").trim_end().into()
}

/// How many tokens and seeds stand behind a point.
fn caption(view: &ParetoView, metric: &str) -> String {
    let measured = |d: &DictionaryInfo| {
        let of = |m: &&Measurement| m.name == metric && m.at.is_none() && m.tokens == TokenSet::Ordinary;
        d.metrics.iter().find(of).map(|m| m.n_tokens)
    };
    let tokens = || view.dictionaries.iter().filter_map(measured);
    let mut parts = Vec::new();
    if let (Some(least), Some(most)) = (tokens().min(), tokens().max()) {
        let number = |n: u64| fixed(n as f64, 0);
        let range = if least == most {
            number(least)
        } else {
            format!("{} to {}", number(least), number(most))
        };
        parts.push(format!(
            "Each mark is one dictionary, measured on {range} tokens of {}",
            view.query.evaluated_on.unwrap_or_default().text()
        ));
    }
    let mut seeds: Vec<u64> = view.dictionaries.iter().map(|d| d.config.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    match seeds.len() {
        0 => {}
        1 => parts.push("1 seed".into()),
        n => parts.push(format!("{n} seeds")),
    }
    if view.fronts.iter().any(|front| front.dictionaries.len() > 1) {
        parts.push("lines: Pareto fronts".into());
    }
    parts.join(" · ")
}
