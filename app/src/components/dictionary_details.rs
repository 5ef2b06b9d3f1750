//! What stands behind a dictionary's row: the commands that made it and that measure it again, and every metric with its interval.

use api::{DictionaryInfo, Measurement, TokenSet};
use leptos::prelude::*;

use super::Command;
use crate::format::{count, measured};

/// The details of one dictionary.
#[component]
pub fn DictionaryDetails(
    /// The dictionary.
    dictionary: DictionaryInfo,
) -> impl IntoView {
    let measuring = dictionary.measuring();
    let is_whole = |m: &&Measurement| m.at.is_none() && m.tokens == TokenSet::Ordinary;
    let rows = dictionary.metrics.iter().filter(is_whole).filter_map(row).collect_view();
    view! {
        <div class="details" data-testid="dictionary-details">
            <div class="details-commands">
                <h3>"Trained by"</h3>
                <Command text=dictionary.command.clone() />
                <h3>"Measured again by"</h3>
                <Command text=measuring />
            </div>
            <table>
                <thead>
                    <tr>
                        <th scope="col">"metric"</th>
                        <th scope="col">"value"</th>
                        <th scope="col">"95 % interval"</th>
                        <th scope="col">"tokens"</th>
                        <th scope="col">"version"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn row(m: &Measurement) -> Option<AnyView> {
    let metric = api::metric(&m.name)?;
    let interval = m.interval.map(|interval| {
        let [low, high] = [interval.low, interval.high].map(|end| measured(metric, end));
        format!("{low} to {high}")
    });
    let seen = view! {
        <tr>
            <td>{metric.label} " " <span class="unit">{metric.unit}</span></td>
            <td>{measured(metric, m.value)}</td>
            <td>{interval}</td>
            <td>{count(m.n_tokens)}</td>
            <td>{m.version}</td>
        </tr>
    };
    Some(seen.into_any())
}
