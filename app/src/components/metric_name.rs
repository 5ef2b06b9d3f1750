//! A metric's name, which opens its definition.

use api::{Direction, MetricDefinition};
use leptos::prelude::*;

use super::Marked;
use crate::link;

/// Which way is better, in words.
pub fn direction(metric: &MetricDefinition) -> &'static str {
    match metric.direction {
        Direction::HigherIsBetter => "higher is better",
        Direction::LowerIsBetter => "lower is better",
        Direction::Neither => "neither way is better",
    }
}

/// A metric's label with its unit; a button that opens definition, source and version over the page.
#[component]
pub fn MetricName(
    /// The metric.
    metric: &'static MetricDefinition,
    /// Where on the page this name stands: with the metric's name it makes the popover's id, unique on the page.
    place: &'static str,
) -> impl IntoView {
    let id = format!("define-{place}-{}", metric.name);
    let unit = (!metric.unit.is_empty()).then_some(metric.unit);
    view! {
        <button type="button" class="metric-name" popovertarget=id.clone()>
            {metric.label}
        </button>
        <div class="definition" id=id popover="auto">
            <b>{metric.label}</b>
            {unit.map(|unit| view! { <span class="unit">{unit}</span> })}
            <p><Marked text=metric.definition /></p>
            <p class="quiet">
                {direction(metric)} " · version " {metric.version} " · " <Marked text=metric.source />
            </p>
            <p>
                <a href=link::metric(metric.name)>"All definitions"</a>
            </p>
        </div>
    }
    .into_any()
}
