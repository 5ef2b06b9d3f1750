//! What the Pareto page shows of what: model, hook point, sweep, axes. Each choice is a new address.

use api::{METRICS, ParetoQuery, ParetoView, SeriesKey};
use leptos::prelude::*;

use super::Select;
use crate::client;

/// A change of the page's parameters.
pub type Change = Vec<(&'static str, Option<String>)>;

type Options = Signal<Vec<(String, String)>>;

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
    let front = std::iter::once((String::new(), "front".to_string()));
    let by_layer = METRICS.iter().filter(|metric| metric.by_layer);
    let shown: Vec<_> = front
        .chain(by_layer.map(|m| (m.name.to_string(), format!("{} by layer", m.label))))
        .collect();
    let is_by_layer = Signal::derive(move || layer.get().is_some());
    let file = move |extension: &'static str| {
        let href = move || view.with(|v| client::pareto_file(&v.query, extension));
        view! { <a href=href rel="external" download=format!("pareto.{extension}")>{extension.to_uppercase()}</a> }
    };
    view! {
        <Subject view change />
        <div class="tools" role="group" aria-label="how it is drawn">
            <Select label="show" id="pareto-layer" options=shown on_choose=set(change, "layer")
                value=Signal::derive(move || layer.get().unwrap_or_default()) />
            <span class="tools" hidden=is_by_layer>
                <AxisChoice view change is_x=true />
                <AxisChoice view change is_x=false />
            </span>
            <span class="push tools" hidden=is_by_layer>{file("svg")} {file("png")} {file("csv")}</span>
        </div>
    }
    .into_any()
}

/// Sets one parameter; the empty choice leaves it out.
fn set(change: Callback<Change>, name: &'static str) -> Callback<String> {
    Callback::new(move |value: String| change.run(vec![(name, Some(value).filter(|value| !value.is_empty()))]))
}

/// Which dictionaries: of which model, at which hook point, from which sweep.
#[component]
fn Subject(view: Signal<ParetoView>, change: Callback<Change>) -> impl IntoView {
    let pair = |value: String| (value.clone(), value);
    let query = move |read: fn(&ParetoQuery) -> Option<String>| {
        Signal::derive(move || view.with(|view| read(&view.query)).unwrap_or_default())
    };
    let models: Options =
        Signal::derive(move || view.with(|view| view.choices.iter().map(|(model, _)| pair(model.to_string())).collect()));
    let points: Options = Signal::derive(move || {
        view.with(|view| {
            let mine = view
                .choices
                .iter()
                .find(|(model, _)| Some(model) == view.query.model.as_ref());
            mine.map(|(_, points)| points.iter().map(|at| pair(at.to_string())).collect())
                .unwrap_or_default()
        })
    });
    let sweeps: Options = Signal::derive(move || {
        view.with(|view| {
            let all = std::iter::once((String::new(), "all sweeps".to_string()));
            all.chain(view.sweeps.iter().map(|sweep| (sweep.to_string(), format!("sweep {sweep}"))))
                .collect()
        })
    });
    // another model has its own hook points, another hook point its own sweeps and series
    let elsewhere = || ["sweep", "hide", "only", "against"].map(|name| (name, None));
    let set_model = Callback::new(move |value| {
        let place = [("model", Some(value)), ("at", None)];
        change.run(place.into_iter().chain(elsewhere()).collect());
    });
    let set_point = Callback::new(move |value| change.run(std::iter::once(("at", Some(value))).chain(elsewhere()).collect()));
    let set_sweep = Callback::new(move |value: String| {
        let value = Some(value).filter(|value| !value.is_empty());
        change.run(vec![("sweep", value), ("hide", None), ("only", None), ("against", None)]);
    });
    view! {
        <div class="tools" role="group" aria-label="what is shown">
            <Select label="model" id="pareto-model" options=models on_choose=set_model
                value=query(|q| q.model.as_ref().map(ToString::to_string)) />
            <Select label="hook point" id="pareto-at" options=points on_choose=set_point
                value=query(|q| q.at.map(|at| at.to_string())) />
            <span hidden=move || view.with(|view| view.series.len() < 2)><Reference view change /></span>
            <Select label="from" id="pareto-sweep" options=sweeps on_choose=set_sweep
                value=query(|q| q.sweep.map(|sweep| sweep.to_string())) />
        </div>
    }
    .into_any()
}

/// The series that the others are ranked against.
#[component]
fn Reference(view: Signal<ParetoView>, change: Callback<Change>) -> impl IntoView {
    let options: Options = Signal::derive(move || {
        view.with(|view| {
            let shown = view.series.iter().filter(|one| one.shown);
            let named = shown.map(|one| (SeriesKey(one.series).to_string(), view.name(one.series)));
            let unnamed = view
                .ranking
                .is_none()
                .then(|| (String::new(), "local of its kind".to_string()));
            unnamed.into_iter().chain(named).collect()
        })
    });
    let value = Signal::derive(move || {
        let reference = view.with(|view| view.ranking.as_ref().map(|ranking| ranking.reference));
        reference.map(|series| SeriesKey(series).to_string()).unwrap_or_default()
    });
    view! { <Select label="against" id="pareto-against" options value on_choose=set(change, "against") /> }.into_any()
}

/// An axis' metric and scale.
#[component]
fn AxisChoice(view: Signal<ParetoView>, change: Callback<Change>, is_x: bool) -> impl IntoView {
    let (name, id, log) = if is_x {
        ("x", "pareto-x", "log_x")
    } else {
        ("y", "pareto-y", "log_y")
    };
    let axes: Vec<_> = METRICS
        .iter()
        .map(|metric| (metric.name.to_string(), metric.label.to_string()))
        .collect();
    let value = Signal::derive(move || {
        view.with(|view| if is_x { view.query.x.clone() } else { view.query.y.clone() })
            .unwrap_or_default()
    });
    let is_log = Memo::new(move |_| {
        view.with(|view| if is_x { view.query.log_x } else { view.query.log_y })
            .unwrap_or(false)
    });
    // another metric has its own best scale
    let set_axis = Callback::new(move |value| change.run(vec![(name, Some(value)), (log, None)]));
    let set_log = move |event| change.run(vec![(log, Some(event_target_checked(&event).to_string()))]);
    view! {
        <Select label=name id options=axes value on_choose=set_axis />
        <label class="toggle">
            <input type="checkbox" checked=is_log.get_untracked() prop:checked=is_log on:change=set_log />
            "log"
        </label>
    }
    .into_any()
}
