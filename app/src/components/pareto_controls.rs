//! What the Pareto page shows of what: model, hook point, sweep, axes. Each choice is a new address.

use api::{METRICS, ParetoView};
use leptos::prelude::*;

use super::Select;
use crate::client;

/// A change of the page's parameters.
pub type Change = Vec<(&'static str, Option<String>)>;

/// The choices and the files.
#[component]
pub fn ParetoControls(
    /// What the server answered.
    #[prop(into)]
    view: Signal<ParetoView>,
    /// The metric shown by layer, if one is.
    #[prop(into)]
    layer: Signal<Option<String>>,
    /// Goes to the changed address.
    change: Callback<Change>,
) -> impl IntoView {
    let pair = |value: String| (value.clone(), value);
    let query = move |read: fn(&api::ParetoQuery) -> Option<String>| {
        Signal::derive(move || view.with(|v| read(&v.query)).unwrap_or_default())
    };
    let models =
        Signal::derive(move || view.with(|v| v.choices.iter().map(|(model, _)| pair(model.to_string())).collect::<Vec<_>>()));
    let points = Signal::derive(move || {
        view.with(|v| {
            let mine = v.choices.iter().find(|(model, _)| Some(model) == v.query.model.as_ref());
            mine.map(|(_, points)| points.iter().map(|at| pair(at.to_string())).collect::<Vec<_>>())
                .unwrap_or_default()
        })
    });
    let sweeps = Signal::derive(move || {
        let all = std::iter::once((String::new(), "all".to_string()));
        view.with(|v| {
            all.chain(v.sweeps.iter().map(|sweep| (sweep.to_string(), format!("sweep {sweep}"))))
                .collect::<Vec<_>>()
        })
    });
    let axes: Vec<_> = METRICS.iter().map(|m| (m.name.to_string(), m.label.to_string())).collect();
    let layers: Vec<_> = std::iter::once((String::new(), "front".to_string()))
        .chain(
            METRICS
                .iter()
                .filter(|m| m.by_layer)
                .map(|m| (m.name.to_string(), format!("{} by layer", m.label))),
        )
        .collect();
    let set = move |name: &'static str| {
        Callback::new(move |value: String| change.run(vec![(name, Some(value).filter(|v| !v.is_empty()))]))
    };
    // another metric has its own best scale, another model its own hook points and sweeps
    let set_axis = move |name, log| Callback::new(move |value: String| change.run(vec![(name, Some(value)), (log, None)]));
    let set_model = Callback::new(move |value: String| change.run(vec![("model", Some(value)), ("at", None), ("sweep", None)]));
    let set_point = Callback::new(move |value: String| change.run(vec![("at", Some(value)), ("sweep", None)]));
    let by_layer = Signal::derive(move || layer.get().is_some());
    let axis_choices = [("x", "pareto-x", "log_x"), ("y", "pareto-y", "log_y")].map(|(name, id, log)| {
        let value = if name == "x" {
            query(|q| q.x.clone())
        } else {
            query(|q| q.y.clone())
        };
        let is_log = move || {
            view.with(|v| if name == "x" { v.query.log_x } else { v.query.log_y })
                .unwrap_or(false)
        };
        view! {
            <Select label=name id options=axes.clone() value on_choose=set_axis(name, log) />
            <label class="toggle">
                <input type="checkbox" checked=is_log() prop:checked=is_log
                    on:change=move |event| change.run(vec![(log, Some(event_target_checked(&event).to_string()))]) />
                "log"
            </label>
        }
    });
    let file = move |extension: &'static str| {
        view! {
            <a href=move || view.with(|v| client::pareto_file(&v.query, extension)) rel="external" download=format!("pareto.{extension}")>
                {extension.to_uppercase()}
            </a>
        }
    };
    view! {
        <div class="tools" role="group" aria-label="what is shown">
            <Select label="model" id="pareto-model" options=models value=query(|q| q.model.as_ref().map(ToString::to_string)) on_choose=set_model />
            <Select label="hook point" id="pareto-at" options=points value=query(|q| q.at.map(|at| at.to_string())) on_choose=set_point />
            <Select label="from" id="pareto-sweep" options=sweeps value=query(|q| q.sweep.map(|s| s.to_string())) on_choose=set("sweep") />
        </div>
        <div class="tools" role="group" aria-label="how it is drawn">
            <Select label="show" id="pareto-layer" options=layers value=Signal::derive(move || layer.get().unwrap_or_default()) on_choose=set("layer") />
            <span class="tools" hidden=by_layer>{axis_choices}</span>
            <span class="push tools" hidden=by_layer>{file("svg")} {file("png")} {file("csv")}</span>
        </div>
    }
    .into_any()
}
