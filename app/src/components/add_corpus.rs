//! Adding a text corpus.

use api::{AddCorpus as Request, CorpusReading, CorpusSource};
use leptos::prelude::*;

use super::source_form::{Given, SourceForm, Words};
use crate::client;

const WORDS: Words = Words {
    what: "corpus",
    path_name: "path",
    path: [
        "File or folder on the server's disk",
        "Plain text, JSON lines, a JSON array, CSV, TSV, Parquet, or a token file.",
        "/texts/tinystories.json",
    ],
    hub: [
        "Data set on the Hugging Face hub",
        "Downloaded by the server as Parquet.",
        "roneneldan/TinyStories",
    ],
    files: [
        "Files on this computer",
        "They are sent to the server and kept in its data folder.",
    ],
    folder: false,
};

/// The form that adds a corpus; `on_added` is called when it is in the registry.
#[component]
pub fn AddCorpus(
    /// Called after it was added.
    on_added: Callback<()>,
) -> impl IntoView {
    let text_field = RwSignal::new(String::new());
    let keep_runs = RwSignal::new(false);
    let add = move |given: Given| async move {
        let field = text_field.get_untracked().trim().to_string();
        let reading = CorpusReading {
            text_field: Some(field).filter(|field| !field.is_empty()),
            keep_runs: keep_runs.get_untracked(),
        };
        let added = match given {
            Given::Path(path) => client::add_corpus(&Request::new(CorpusSource::Path(path), reading)).await,
            Given::Hub(name) => client::add_corpus(&Request::new(CorpusSource::Hub(name), reading)).await,
            Given::Files(files) => client::upload_corpus(&files.name(), files, &reading).await,
        };
        added.map(|corpus| {
            on_added.run(());
            let read = corpus
                .summary
                .map(|summary| format!(". Read: {}", summary.lines().join("; ")));
            format!("{}{}", corpus.id, read.unwrap_or_default())
        })
    };
    let extra = move || view! { <ReadingFields text_field keep_runs /> };
    view! { <SourceForm words=&WORDS add extra /> }
}

/// How the files are read, where they do not say themselves.
#[component]
fn ReadingFields(text_field: RwSignal<String>, keep_runs: RwSignal<bool>) -> impl IntoView {
    view! {
        <label for="add-corpus-text-field">"Text field (optional)"</label>
        <input id="add-corpus-text-field" type="text" autocomplete="off" spellcheck="false" placeholder="data.text"
            data-testid="add-corpus-text-field" aria-describedby="add-corpus-text-field-hint" bind:value=text_field />
        <p class="hint" id="add-corpus-text-field-hint">
            "The field or column with the text, a field inside others with dots. Left empty: text, input_ids, tokens, messages, \
             conversations, or the only string; where none can be told to be it, the fields are named."
        </p>
        <label class="choice">
            <input type="checkbox" data-testid="add-corpus-keep-runs" prop:checked=move || keep_runs.get()
                on:change=move |event| keep_runs.set(event_target_checked(&event)) />
            "Long runs of one special token in token ids are meant, not padding"
        </label>
    }
    .into_any()
}
