//! The last values that a run has logged, a row per dictionary: of its training batches, and of the validation text those
//! that are usually read. The curves have them all.

use std::collections::{BTreeMap, BTreeSet};

use api::{HistoryPoint, TrainConfig};
use leptos::{either::Either, prelude::*};

use super::{MetricName, ObjectiveKey, run_curves::value_label};
use crate::format::{dial, measured, number};

/// What is logged of the training batches, in the order of the columns.
const TRAINING: &[&str] = &[
    "loss",
    "loss/reconstruction",
    "loss/kl",
    "loss/downstream",
    "loss/sparsity",
    "coefficient",
    "loss/auxiliary",
    "l0",
    "grad_norm",
    "lr",
];

/// What is read of the validation text.
const VALIDATION: &[&str] = &[
    "validation/l0",
    "validation/alive",
    "validation/ce_increase",
    "validation/kl_div_with_sae",
    "validation/explained_variance",
    "validation/mse",
    "validation/l2_ratio",
];

/// The last values by dictionary and name.
type Last = BTreeMap<usize, BTreeMap<String, f64>>;

/// The tables.
#[component]
pub fn RunValues(
    /// The run's config.
    #[prop(into)]
    config: Signal<TrainConfig>,
    /// The history so far.
    points: Signal<Vec<HistoryPoint>>,
) -> impl IntoView {
    // validation values come less often than the others: each keeps its own last
    let last = Memo::new(move |_| {
        points.with(|points| {
            let mut last = Last::new();
            for point in points {
                last.entry(point.dictionary)
                    .or_default()
                    .extend(point.values.iter().map(|(name, value)| (name.clone(), *value)));
            }
            last
        })
    });
    let columns = move |of: &'static [&'static str]| {
        Memo::new(move |_| {
            let there: BTreeSet<String> = last.with(|last| last.values().flat_map(|values| values.keys().cloned()).collect());
            of.iter().copied().filter(|name| there.contains(*name)).collect::<Vec<_>>()
        })
    };
    let (training, validation) = (columns(TRAINING), columns(VALIDATION));
    let is_validated = Memo::new(move |_| validation.with(|names| !names.is_empty()));
    view! {
        <h3>"Of the last training batches"</h3>
        <ValuesTable config last columns=training name="values of the training batches" />
        <Show when=move || is_validated.get()>
            <h3>"Of the validation text"</h3>
            <ValuesTable config last columns=validation name="values of the validation text" />
        </Show>
    }
    .into_any()
}

#[component]
fn ValuesTable(
    config: Signal<TrainConfig>,
    last: Memo<Last>,
    columns: Memo<Vec<&'static str>>,
    name: &'static str,
) -> impl IntoView {
    let row = move |(index, dictionary): (usize, api::DictionaryConfig)| {
        let series = dictionary.series();
        let cells = move || {
            let cell = |name: &'static str| {
                let value = last.with(|last| last.get(&index).and_then(|values| values.get(name).copied()));
                view! { <td data-value=value.map(|value| value.to_string())>{value.map(|value| shown(name, value))}</td> }
            };
            columns.get().into_iter().map(cell).collect_view()
        };
        view! {
            <tr data-testid="run-value-row">
                <td><ObjectiveKey series /></td>
                <td>{dial(&dictionary)}</td>
                {cells}
            </tr>
        }
    };
    let dictionaries = Memo::new(move |_| config.with(|config| config.dictionaries.clone()));
    view! {
        <div class="table-box" tabindex="0" role="region" aria-label=name>
            <table>
                <thead>
                    <tr>
                        <th scope="col">"dictionary"</th>
                        <th scope="col">"λ or k"</th>
                        {move || columns.get().into_iter().map(head).collect_view()}
                    </tr>
                </thead>
                <tbody>{move || dictionaries.get().into_iter().enumerate().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn shown(name: &str, value: f64) -> String {
    let metric = api::metric(name.trim_start_matches("validation/"));
    metric.map_or_else(|| number(value), |metric| measured(metric, value))
}

/// A column's name: a metric's opens its definition.
fn head(name: &'static str) -> impl IntoView {
    let (place, plain) = match name.strip_prefix("validation/") {
        Some(plain) => ("validation", plain),
        None => ("training", name),
    };
    let label = match api::metric(plain) {
        Some(metric) => Either::Left(view! { <MetricName metric place /><span class="unit">{metric.unit}</span> }),
        None => Either::Right(value_label(name).trim_start_matches("loss term: ").to_string()),
    };
    view! { <th scope="col">{label}</th> }
}
