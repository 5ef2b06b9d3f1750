//! What probes on labelled texts found: of each dictionary's features, with the model's own activations beside them.

use api::{ProbeAnswer, ProbePair};
use leptos::prelude::*;

use crate::{
    format::{count, percent},
    link,
};

/// The answer.
#[component]
pub fn AnswerProbe(
    /// The answer.
    answer: ProbeAnswer,
) -> impl IntoView {
    let labels: Vec<String> = answer
        .labels
        .iter()
        .map(|(label, n)| format!("{label} ({})", count(*n)))
        .collect();
    let words = sentence(&answer);
    let row = |(id, pair): (api::DictionaryId, ProbePair)| {
        let accuracy = |share: f64, interval: Option<(f64, f64)>| {
            let interval = interval.map(|(low, high)| format!(" [{:.1}, {:.1}]", 100.0 * low, 100.0 * high));
            let interval = interval.map(|ends| view! { <span class="hint">{ends}</span> });
            view! { {format!("{:.1} %", 100.0 * share)} {interval} }
        };
        view! {
            <tr data-testid="probe-row">
                <td><a href=link::dictionary(&id)>"#" {id.to_string()}</a></td>
                <td>{pair.k.to_string()}</td>
                <td data-value=pair.features.to_string()>{accuracy(pair.features, pair.features_interval)}</td>
                <td data-value=pair.activations.to_string()>{accuracy(pair.activations, pair.activations_interval)}</td>
                <td>{count(pair.n_train)}</td>
                <td>{count(pair.n_test)}</td>
            </tr>
        }
        .into_any()
    };
    let rows = answer
        .dictionaries
        .into_iter()
        .flat_map(|probed| probed.probes.into_iter().map(move |pair| (probed.dictionary, pair)));
    view! {
        <p class="answer" data-testid="probe-answer">{words}</p>
        <p>{count(answer.n_texts)} " texts: " {labels.join(", ")} "."</p>
        <div class="table-box" tabindex="0" role="region" aria-label="probes">
            <table>
                <thead>
                    <tr>
                        <th scope="col">"dictionary"</th>
                        <th scope="col">"features of a probe, k"</th>
                        <th scope="col">"accuracy"</th>
                        <th scope="col">"of the model's own activations"</th>
                        <th scope="col">"texts of training"</th>
                        <th scope="col">"of the test"</th>
                    </tr>
                </thead>
                <tbody>{rows.map(row).collect_view()}</tbody>
            </table>
        </div>
        <p class="hint">"Each label against as many texts of the others, the mean over labels, on texts that were not trained on; in brackets the 95 % interval over draws of these texts. Half is chance."</p>
    }
    .into_any()
}

/// The first dictionary's probe on one feature.
fn sentence(answer: &ProbeAnswer) -> String {
    let first = answer
        .dictionaries
        .first()
        .and_then(|probed| Some((probed.dictionary, probed.probes.first()?)));
    first.map_or_else(String::new, |(id, pair)| {
        format!(
            "One feature of #{id} tells the labels of {} of the texts, one of the model's own activations of {}; half is chance.",
            percent(pair.features),
            percent(pair.activations)
        )
    })
}
