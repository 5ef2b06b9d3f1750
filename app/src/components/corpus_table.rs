//! The registry's corpora.

use api::{CorpusInfo, ModelInfo};
use leptos::prelude::*;

use super::corpus_read::CorpusRead;
use crate::format;

/// Columns of the table.
const N_COLUMNS: u32 = 6;

/// A row per corpus, and below it, where that is asked for, what was read of it.
#[component]
pub fn CorpusTable(
    /// The corpora.
    #[prop(into)]
    corpora: Signal<Vec<CorpusInfo>>,
    /// Models in whose tokens the first documents can be shown.
    #[prop(into)]
    models: Signal<Vec<ModelInfo>>,
) -> impl IntoView {
    view! {
        <div class="table-box">
            <table>
                <thead>
                    <tr>
                        <th scope="col">"corpus"</th>
                        <th scope="col" class="words minor">"format"</th>
                        <th scope="col" class="words">"field"</th>
                        <th scope="col" class="minor">"documents"</th>
                        <th scope="col">"text"</th>
                        <th scope="col"><span class="unseen">"actions"</span></th>
                    </tr>
                </thead>
                <tbody>
                    <For each=move || corpora.get() key=|corpus| (corpus.id.clone(), corpus.hash.clone(), corpus.summary.is_some()) let:corpus>
                        <Row corpus models />
                    </For>
                </tbody>
            </table>
        </div>
    }
    .into_any()
}

#[component]
fn Row(corpus: CorpusInfo, models: Signal<Vec<ModelInfo>>) -> impl IntoView {
    let open = RwSignal::new(false);
    let summary = corpus.summary.as_ref();
    let field = summary
        .and_then(|summary| summary.field.as_ref())
        .map(|field| field.name.clone());
    let n_skipped = summary.map_or(0, api::CorpusSummary::n_skipped);
    let skipped = (n_skipped > 0).then(|| format!(" ({} skipped)", format::count(n_skipped)));
    let train = format!("/train?corpus={}", corpus.id);
    view! {
        <tr data-testid="corpus-row">
            <td title=format!("{}\nSHA-256 {}", corpus.source, corpus.hash)>{corpus.id.to_string()}</td>
            <td class="words minor">{corpus.format.replace('_', " ")}</td>
            <td class="words">{field}</td>
            <td class="minor">{format::count(corpus.n_documents)} <span class="unit">{skipped}</span></td>
            <td>{format::bytes(corpus.n_bytes)}</td>
            <td>
                <button type="button" class="quiet" aria-expanded=move || open.get().to_string() data-testid="corpus-open"
                    on:click=move |_| open.update(|open| *open = !*open)>
                    {move || if open.get() { "Close" } else { "What was read" }}
                </button>
                " "
                <a href=train>"Train on it"</a>
            </td>
        </tr>
        {move || {
            open.get()
                .then(|| {
                    view! {
                        <tr class="corpus-read" data-testid="corpus-read">
                            <td colspan=N_COLUMNS class="words wraps">
                                <CorpusRead corpus=corpus.clone() models />
                            </td>
                        </tr>
                    }
                })
        }}
    }
}
