//! How often a dictionary's features fire: the histogram of log10 of their frequencies.

use std::sync::Arc;

use api::Density;
use leptos::prelude::*;

use super::{Chart, Picture, Tip};
use crate::{
    charts::{Axis, BarChart, Theme},
    format::{count, number},
};

fn chart(density: &Density, size: (u32, u32)) -> BarChart {
    BarChart {
        x: Axis {
            title: "log₁₀ of a feature's share of tokens".into(),
            log: false,
        },
        y: Axis {
            title: "features".into(),
            log: false,
        },
        low: density.low,
        width: density.width,
        counts: density.counts.clone(),
        size,
    }
}

fn tip(chart: &BarChart, x: f64) -> Option<Tip> {
    let hit = chart.hit(x)?;
    let n = chart.counts.get(hit.bar).copied()?;
    let [from, to] = [chart.edge(hit.bar), chart.edge(hit.bar + 1)].map(|log| number(100.0 * 10f64.powf(log)));
    Some(Tip {
        at: (hit.px, chart.plot_area().top),
        title: format!("{} features", count(n)),
        rows: vec![("fire on".into(), format!("{from} to {to} % of tokens"))],
        href: None,
    })
}

/// The chart, and in words how many do not fire at all.
#[component]
pub fn DensityChart(
    /// The histogram.
    density: Density,
) -> impl IntoView {
    let words = format!(
        "{} did not fire on any of {} tokens.",
        match density.n_dead {
            0 => "No feature".to_string(),
            1 => "1 feature".to_string(),
            n => format!("{} features", count(n)),
        },
        count(density.n_tokens)
    )
    .replace("No feature did not fire on any", "Every feature fired on some");
    let draw = move |size| {
        let chart = chart(&density, size);
        Picture {
            svg: chart.svg(Theme::Page),
            hit: Arc::new(move |x, _| tip(&chart, x)),
        }
    };
    view! {
        <div class="sheet density">
            <Chart draw testid="density-chart" tip_testid="density-tip" />
            <p class="hint">{words}</p>
        </div>
    }
    .into_any()
}
