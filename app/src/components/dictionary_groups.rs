//! The dictionaries in short: a row per model and hook point.

use api::{DictionaryGroup, ParetoQuery};
use leptos::prelude::*;

use super::ObjectiveKey;
use crate::{
    format::{count, counted, number},
    link,
};

/// A row per model and hook point, with a way to its plot.
#[component]
pub fn DictionaryGroups(
    /// The groups.
    #[prop(into)]
    groups: Signal<Vec<DictionaryGroup>>,
) -> impl IntoView {
    view! {
        <div class="table-box">
            <table>
                <thead>
                    <tr>
                        <th scope="col">"model · hook point"</th>
                        <th scope="col" class="words">"dictionaries"</th>
                        <th scope="col">"L0"</th>
                        <th scope="col">"CE increase"<span class="unit">"nats per token"</span></th>
                        <th scope="col" class="words minor">"computed again"</th>
                        <th scope="col"><span class="unseen">"actions"</span></th>
                    </tr>
                </thead>
                <tbody>{move || groups.get().into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn row(group: DictionaryGroup) -> impl IntoView {
    let href = link::pareto(&ParetoQuery {
        model: Some(group.model.clone()),
        at: Some(group.at),
        ..Default::default()
    });
    let series = group.series.iter().map(|(series, n)| {
        view! { <span class="group-series">{count(*n)} " " <ObjectiveKey series=*series /></span> }
    });
    view! {
        <tr data-testid="group-row">
            <td>{group.model.to_string()} " · " {group.at.to_string()}</td>
            <td class="words wraps">{series.collect_view()}</td>
            <td>{range(group.l0)}</td>
            <td>{range(group.ce_increase)}</td>
            <td class="words minor" data-testid="group-verified">{verified(&group)}</td>
            <td><a href=href>"Compare"</a></td>
        </tr>
    }
}

fn range(range: Option<(f64, f64)>) -> String {
    match range {
        None => "not measured".into(),
        Some((least, most)) if least == most => number(least),
        Some((least, most)) => format!("{} to {}", number(least), number(most)),
    }
}

fn verified(group: &DictionaryGroup) -> String {
    match (group.n_verified, group.n_differing, group.n()) {
        (0, 0, _) => "not yet".into(),
        (verified, 0, n) if verified == n => format!("verified, all {}", count(n)),
        (verified, 0, n) => format!("verified, {} of {}", count(verified), count(n)),
        (_, differing, n) => format!("{} of {} differ", counted(differing as usize, "dictionary"), count(n)),
    }
}
