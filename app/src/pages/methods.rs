//! `/methods`: what every metric means, and how the Pareto summary is computed.

use api::{METRICS, MetricDefinition};
use leptos::prelude::*;

use crate::{
    client,
    components::{Heading, Marked, direction},
};

/// The definitions.
#[component]
pub fn Methods() -> impl IntoView {
    view! {
        <Heading title="Methods" question="What do the numbers mean?">
            "Every metric has a definition, a unit, a direction and a version, all stored beside its value. \
            They are taken over held-out text, without position 0 and special tokens unless it says otherwise."
        </Heading>
        <nav class="contents" aria-label="On this page">
            {METRICS.iter().map(|metric| view! { <a href=format!("#{}", metric.name)>{metric.label}</a> }).collect_view()}
            <a href="#pareto-summary">"the Pareto summary"</a>
        </nav>
        <h2>"Metrics"</h2>
        <p class="prose">
            "x is the activation at the hook point, x̂ the dictionary's output in its place, c its codes. \
            The spliced model is the model with x̂ in place of x."
        </p>
        <dl class="metrics">{METRICS.iter().map(entry).collect_view()}</dl>
        <h2 id="pareto-summary">"The Pareto summary"</h2>
        <div class="prose">
            <p>
                "The sentence that opens the Pareto page compares an objective with local at equal x: at the same L0, \
                how much of local's CE increase does the other objective have? It is the mean over the shared range of x of \
                (y of the objective) / (y of local). 42 % means that it loses 42 % as much; above 100 % it loses more than local."
            </p>
            <p>
                "The curves are read only over the range of x that all of them have in common (where there is none, over the range \
                that local and the one objective share): nothing is extrapolated. Where no range is shared, there is no summary."
            </p>
            <p>
                "Where y is 0 or below somewhere on that range, under local or under the objective, a ratio means nothing. \
                Then the mean of (y of the objective) − (y of local) is given instead, in y's own unit."
            </p>
            <p>
                "The interval is a 95 % interval over seeds. With one seed there is none, and the sentence says so. \
                It covers the choice of seed, not the choice of text, hook point or model."
            </p>
            <p>
                "The same answers come as JSON: "
                <a href=client::OPENAPI rel="external">
                    "the API's description"
                </a> "."
            </p>
        </div>
    }
    .into_any()
}

fn entry(metric: &'static MetricDefinition) -> impl IntoView {
    let unit = (!metric.unit.is_empty()).then(|| view! { <span class="unit">{metric.unit}</span> });
    let layers = metric.by_layer.then_some(" · also at every later layer");
    view! {
        <div id=metric.name>
            <dt>{metric.label} " " {unit} <code>{metric.name}</code></dt>
            <dd>
                <p><Marked text=metric.definition /></p>
                <p class="quiet">{direction(metric)} {layers} " · version " {metric.version} " · " <Marked text=metric.source /></p>
            </dd>
        </div>
    }
}
