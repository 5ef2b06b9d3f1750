//! The registry's corpora.

use api::CorpusInfo;
use leptos::prelude::*;

use crate::format;

/// A row per corpus.
#[component]
pub fn CorpusTable(
    /// The corpora.
    #[prop(into)]
    corpora: Signal<Vec<CorpusInfo>>,
) -> impl IntoView {
    view! {
        <div class="table-box">
            <table>
                <thead>
                    <tr>
                        <th scope="col">"corpus"</th>
                        <th scope="col" class="words minor">"format"</th>
                        <th scope="col" class="minor">"documents"</th>
                        <th scope="col">"text"</th>
                        <th scope="col"><span class="unseen">"actions"</span></th>
                    </tr>
                </thead>
                <tbody>
                    <For each=move || corpora.get() key=|corpus| corpus.hash.clone() + &corpus.id.0 let:corpus>
                        <tr data-testid="corpus-row">
                            <td title=format!("{}\nSHA-256 {}", corpus.source, corpus.hash)>{corpus.id.to_string()}</td>
                            <td class="words minor">{corpus.format.replace('_', " ")}</td>
                            <td class="minor">{format::count(corpus.n_documents)}</td>
                            <td>{format::bytes(corpus.n_bytes)}</td>
                            <td>
                                <a href=format!("/train?corpus={}", corpus.id)>"Train on it"</a>
                            </td>
                        </tr>
                    </For>
                </tbody>
            </table>
        </div>
    }
    .into_any()
}
