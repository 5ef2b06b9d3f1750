//! What a verification found: for each dictionary, whether its stored metrics came out again.

use api::{DictionaryInfo, VerifyConfig};
use leptos::{either::Either, prelude::*};

use super::{ObjectiveKey, Verification};
use crate::{
    client,
    format::{dial, number},
    link,
    live::live,
};

/// A row per dictionary, filled in as they are measured.
#[component]
pub fn VerifyRun(
    /// What was asked for.
    config: VerifyConfig,
) -> impl IntoView {
    let live = live();
    let dictionaries = Resource::new(move || live.version(), |_| client::dictionaries());
    let wanted = StoredValue::new(config.dictionaries);
    let rows = move || {
        let all = dictionaries.get().and_then(Result::ok).unwrap_or_default();
        let is_wanted = |d: &DictionaryInfo| wanted.with_value(|wanted| wanted.contains(&d.id));
        all.into_iter().filter(is_wanted).map(row).collect_view()
    };
    view! {
        <section aria-labelledby="found">
            <h2 id="found">"What was found"</h2>
            <p>"Every metric that is stored is computed again from the weights, on the same text. The run's own figures, its gradients and its cost, cannot be."</p>
            <div class="table-box">
                <table>
                    <thead>
                        <tr>
                            <th scope="col">"dictionary"</th>
                            <th scope="col">"λ"</th>
                            <th scope="col" class="words">"hook point"</th>
                            <th scope="col" class="words">"stored metrics"</th>
                            <th scope="col" class="words">"differences"</th>
                        </tr>
                    </thead>
                    <tbody>
                        <Transition>{rows}</Transition>
                    </tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}

fn row(d: DictionaryInfo) -> impl IntoView {
    let differences = d.verified.as_ref().map(|verified| {
        let difference = |difference: &api::Difference| {
            let found = difference.found.map_or_else(|| "nothing".into(), number);
            let at = difference.stored.at.map(|at| format!(" at {at}")).unwrap_or_default();
            format!(
                "{}{at}: stored {}, found {found}",
                difference.stored.name,
                number(difference.stored.value)
            )
        };
        verified.differences.iter().map(difference).collect::<Vec<_>>().join("; ")
    });
    let result = match d.verified {
        Some(verified) => Either::Left(view! { <Verification verified /> }),
        None => Either::Right(view! { <span class="quiet">"not looked at yet"</span> }),
    };
    view! {
        <tr data-testid="verify-row">
            <td>
                <ObjectiveKey series=d.config.series() />
                <a href=link::dictionary(&d.id)>"#" {d.id.to_string()}</a>
            </td>
            <td>{dial(&d.config)}</td>
            <td class="words">{d.at.to_string()}</td>
            <td class="words">{result}</td>
            <td class="words">{differences}</td>
        </tr>
    }
}
