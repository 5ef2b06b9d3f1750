//! Adding a text corpus.

use api::CorpusSource;
use leptos::prelude::*;

use super::source_form::{Given, SourceForm, Words};
use crate::client;

const WORDS: Words = Words {
    what: "corpus",
    path_name: "path",
    path: [
        "File or folder on the server's disk",
        "Plain text, JSON lines, a JSON array, Parquet (a text column, or input_ids), or a token file.",
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
    let add = move |given: Given| async move {
        let added = match given {
            Given::Path(path) => client::add_corpus(&CorpusSource::Path(path)).await,
            Given::Hub(name) => client::add_corpus(&CorpusSource::Hub(name)).await,
            Given::Files(files) => client::upload_corpus(&files.name(), files).await,
        };
        added.map(|corpus| {
            on_added.run(());
            corpus.id.0
        })
    };
    view! { <SourceForm words=&WORDS add /> }
}
