//! Dictionaries and what was measured of them, sortable by any column.

use api::{DictionaryInfo, MetricDefinition, Verified};
use leptos::{either::Either, prelude::*};

use super::{DictionaryDetails, MetricName, ObjectiveKey};
use crate::{
    format::{counted, dial, measured},
    link,
};

/// How the table is sorted: by a metric's name, `coefficient` or `id`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sort {
    /// The column.
    pub by: String,
    /// Largest first.
    pub descending: bool,
}

/// The metrics that are always shown; those on the axes come first.
const USUAL: [&str; 6] = [
    "l0",
    "alive",
    "ce_increase",
    "kl_div_with_sae",
    "explained_variance",
    "train_seconds",
];

fn columns(x: &str, y: &str) -> Vec<&'static MetricDefinition> {
    let mut columns: Vec<&'static MetricDefinition> = Vec::new();
    for metric in [x, y].into_iter().chain(USUAL).filter_map(api::metric) {
        if !columns.iter().any(|column| column.name == metric.name) {
            columns.push(metric);
        }
    }
    columns
}

fn sorted(mut dictionaries: Vec<DictionaryInfo>, sort: &Sort) -> Vec<DictionaryInfo> {
    let key = |d: &DictionaryInfo| match sort.by.as_str() {
        "id" => Some(d.id.0 as f64),
        "coefficient" => Some(d.config.dial().1),
        "seed" => Some(d.config.seed as f64),
        metric => d.metric(metric),
    };
    // what has no value comes last, either way
    dictionaries.sort_by(|a, b| match (key(a), key(b)) {
        (Some(a), Some(b)) if sort.descending => b.total_cmp(&a),
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
    dictionaries
}

/// Whether the metrics came out again when somebody looked.
fn mark(verified: &Verified) -> impl IntoView + use<> {
    let (sign, words) = match verified.differences.len() {
        0 => ("✓", format!("verified: {} values computed again", verified.n_values)),
        n => ("≠", format!("{} of {} differ", counted(n, "value"), verified.n_values)),
    };
    view! { <span class="verification" class:differs=!verified.holds() title=words.clone() role="img" aria-label=words>{sign}</span> }
}

/// A row per dictionary.
#[component]
pub fn DictionaryTable(
    /// The dictionaries.
    #[prop(into)]
    dictionaries: Signal<Vec<DictionaryInfo>>,
    /// The metrics on the axes.
    #[prop(into)]
    axes: Signal<(String, String)>,
    /// How it is sorted.
    #[prop(into)]
    sort: Signal<Sort>,
    /// Called with another order.
    on_sort: Callback<Sort>,
) -> impl IntoView {
    let columns = Memo::new(move |_| axes.with(|(x, y)| columns(x, y).iter().map(|m| m.name).collect::<Vec<_>>()));
    let shown = move || columns.get().into_iter().filter_map(api::metric);
    let head = move |by: &'static str, metric: Option<&'static MetricDefinition>, label: &'static str| {
        let order = move || sort.with(|sort| (sort.by == by).then_some(if sort.descending { "descending" } else { "ascending" }));
        let arrow = move || match order() {
            Some("descending") => "↓",
            Some(_) => "↑",
            None => "↕",
        };
        let turn = move |_| {
            let descending = sort.with_untracked(|sort| sort.by == by && !sort.descending);
            on_sort.run(Sort {
                by: by.into(),
                descending,
            });
        };
        let name = match metric {
            Some(metric) => Either::Left(view! { <MetricName metric place="table" /> }),
            None => Either::Right(label),
        };
        view! {
            <th scope="col" aria-sort=order>
                <span class="sorted">
                    {name} <button type="button" class="sort" aria-label=format!("sort by {label}") on:click=turn>{arrow}</button>
                </span>
                {metric.map(|metric| view! { <span class="unit">{metric.unit}</span> })}
            </th>
        }
    };
    let row = move |d: DictionaryInfo| {
        let series = d.config.series();
        let cell = |metric: &MetricDefinition| {
            let value = d.metric(metric.name);
            let sure = d.measurement(metric.name).and_then(|m| m.interval).map(|interval| {
                let [low, high] = [interval.low, interval.high].map(|end| measured(metric, end));
                format!("95 % interval over {} {}: {low} to {high}", interval.n, interval.over)
            });
            view! {
                <td data-metric=metric.name data-value=value.map(|value| value.to_string()) title=sure>
                    {value.map(|value| measured(metric, value))}
                </td>
            }
        };
        let more_of = format!("commands and metrics of dictionary {}", d.id);
        let (open, details) = (RwSignal::new(false), d.clone());
        let more = move || {
            let seen = || view! { <tr><td class="wide" colspan="20"><DictionaryDetails dictionary=details.clone() /></td></tr> };
            open.get().then(|| seen().into_any())
        };
        view! {
            <tr data-testid="pareto-row" data-id=d.id.to_string()>
                <td>
                    <button type="button" class="plain more-of" data-testid="pareto-row-more" aria-expanded=move || open.get().to_string()
                        aria-label=more_of title="commands, and every metric with its interval" on:click=move |_| open.update(|open| *open = !*open)>
                        {move || if open.get() { "▾" } else { "▸" }}
                    </button>
                    <ObjectiveKey series />
                    <a href=link::dictionary(&d.id)>"#" {d.id.to_string()}</a>
                    {d.verified.as_ref().map(mark)}
                </td>
                <td>{dial(&d.config)}</td>
                <td>{d.config.seed.to_string()}</td>
                {shown().map(cell).collect_view()}
            </tr>
            {more}
        }
    };
    view! {
        <div class="table-box" tabindex="0" role="region" aria-label="dictionaries">
            <table>
                <thead>
                    <tr>
                        {head("id", None, "dictionary")} {head("coefficient", None, "λ or k")} {head("seed", None, "seed")}
                        {move || shown().map(|metric| head(metric.name, Some(metric), metric.label)).collect_view()}
                    </tr>
                </thead>
                <tbody>
                    {move || sort.with(|sort| sorted(dictionaries.get(), sort)).into_iter().map(row).collect_view()}
                </tbody>
            </table>
        </div>
    }
    .into_any()
}
