//! The last value of everything that a run logs, a row per dictionary.

use std::collections::{BTreeMap, BTreeSet};

use api::{HistoryPoint, TrainConfig};
use leptos::prelude::*;

use super::{ObjectiveKey, run_curves::value_label};
use crate::format::{exact, number};

/// The table.
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
            let mut last = BTreeMap::<usize, BTreeMap<String, f64>>::new();
            for point in points {
                last.entry(point.dictionary)
                    .or_default()
                    .extend(point.values.iter().map(|(name, value)| (name.clone(), *value)));
            }
            last
        })
    });
    let names = Memo::new(move |_| {
        last.with(|last| {
            last.values()
                .flat_map(|values| values.keys().cloned())
                .collect::<BTreeSet<_>>()
        })
    });
    let row = move |(index, dictionary): (usize, api::DictionaryConfig)| {
        let objective = dictionary.objective;
        let cells = move || {
            let cell = |name: String| {
                let value = last.with(|last| last.get(&index).and_then(|values| values.get(&name).copied()));
                view! { <td data-value=value.map(|value| value.to_string())>{value.map(number)}</td> }
            };
            names.get().into_iter().map(cell).collect_view()
        };
        view! {
            <tr data-testid="run-value-row">
                <td><ObjectiveKey objective=objective.kind() /></td>
                <td>{exact(objective.sparsity())}</td>
                <td>{exact(dictionary.lr)}</td>
                {cells}
            </tr>
        }
    };
    let dictionaries = Memo::new(move |_| config.with(|config| config.dictionaries.clone()));
    view! {
        <div class="table-box" tabindex="0" role="region" aria-label="last values">
            <table>
                <thead>
                    <tr>
                        <th scope="col">"dictionary"</th>
                        <th scope="col">"λ"</th>
                        <th scope="col">"lr"</th>
                        {move || names.get().into_iter().map(|name| view! { <th scope="col">{value_label(&name)}</th> }).collect_view()}
                    </tr>
                </thead>
                <tbody>{move || dictionaries.get().into_iter().enumerate().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}
