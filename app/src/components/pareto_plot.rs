//! The dictionaries of one hook point in the plane of two metrics, or one metric by layer; hovering names a dictionary, a click opens
//! its page.

use std::sync::Arc;

use api::{DictionaryInfo, Interval, MetricDefinition, ParetoView};
use leptos::prelude::*;

use super::{Chart, Picture, Tip};
use crate::{
    charts::{LineChart, ScatterChart, Theme, layer_chart, pareto_chart},
    format::{exact, measured, number},
    link,
};

/// How near the pointer has to be to a mark, in SVG user units.
const REACH: f64 = 18.0;

/// See the module.
#[component]
pub fn ParetoPlot(
    /// The dictionaries, their fronts, and the axes.
    #[prop(into)]
    view: Signal<ParetoView>,
    /// The metric to show by layer, instead of the plane.
    #[prop(into, default = Signal::stored(None))]
    layer: Signal<Option<String>>,
) -> impl IntoView {
    let draw = move |size| {
        view.with(|view| match layer.get() {
            Some(metric) => by_layer(view, &metric, size),
            None => front(view, size),
        })
    };
    view! { <Chart draw testid="pareto-plot" tip_testid="pareto-tip" /> }
}

fn axis(named: &Option<String>, default: &str) -> String {
    named.clone().unwrap_or_else(|| default.into())
}

fn front(view: &ParetoView, size: (u32, u32)) -> Picture {
    let chart = pareto_chart(view, size);
    let (dictionaries, axes) = (
        view.dictionaries.clone(),
        (axis(&view.query.x, "l0"), axis(&view.query.y, "ce_increase")),
    );
    Picture {
        svg: chart.svg(Theme::Page),
        hit: Arc::new(move |x, y| front_tip(&chart, &dictionaries, &axes, x, y)),
    }
}

fn front_tip(
    chart: &ScatterChart,
    dictionaries: &[DictionaryInfo],
    (x_name, y_name): &(String, String),
    x: f64,
    y: f64,
) -> Option<Tip> {
    let hit = chart.hit(x, y, REACH)?;
    let id = chart.series.get(hit.series)?.points.get(hit.point)?.id;
    let dictionary = dictionaries.iter().find(|d| d.id.0 == id)?;
    let row = |metric: &'static MetricDefinition| {
        let value = dictionary.measurement(metric.name).map_or_else(
            || "not measured".into(),
            |m| {
                let ends = |i: Interval| format!(" [{}, {}]", measured(metric, i.low), measured(metric, i.high));
                measured(metric, m.value) + &m.interval.map_or_else(String::new, ends)
            },
        );
        (
            metric.label.to_string(),
            format!("{value} {}", metric.unit).trim().to_string(),
        )
    };
    let mut rows: Vec<_> = [x_name, y_name]
        .into_iter()
        .filter_map(|name| api::metric(name))
        .map(row)
        .collect();
    rows.push(("seed".into(), dictionary.config.seed.to_string()));
    rows.push(("run".into(), dictionary.job.to_string()));
    let (name, value) = dictionary.config.dial();
    let series = &chart.series.get(hit.series)?.label;
    let title = format!("#{id} {series}, {name} {}", exact(value));
    Some(Tip {
        at: (hit.x, hit.y),
        title,
        rows,
        href: Some(link::dictionary(&dictionary.id)),
    })
}

fn by_layer(view: &ParetoView, metric: &str, size: (u32, u32)) -> Picture {
    let chart = layer_chart(view, metric, size);
    Picture {
        svg: chart.svg(Theme::Page),
        hit: Arc::new(move |x, _| layer_tip(&chart, x)),
    }
}

fn layer_tip(chart: &LineChart, x: f64) -> Option<Tip> {
    let hit = chart.hit(x)?;
    let rows = chart
        .lines
        .iter()
        .zip(&hit.values)
        .filter_map(|(line, value)| Some((line.label.clone(), number(value.as_ref()?.1))));
    Some(Tip {
        at: (hit.px, chart.plot_area().top),
        title: format!("block {}", hit.x),
        rows: rows.take(16).collect(),
        href: None,
    })
}
