//! Adding a language model.

use api::ModelSource;
use leptos::prelude::*;

use super::source_form::{Given, SourceForm, Words};
use crate::client;

const WORDS: Words = Words {
    what: "model",
    path_name: "folder",
    path: [
        "Folder on the server's disk",
        "A Hugging Face folder: config.json, model.safetensors (or its shards and index), tokenizer.json. \
         Families: gpt2, gpt_neo, gpt_neox, llama, mistral, qwen2, qwen3, gemma2.",
        "/models/pythia-70m",
    ],
    hub: [
        "Name on the Hugging Face hub",
        "Downloaded by the server; HF_HOME, HF_ENDPOINT and HF_TOKEN are respected.",
        "EleutherAI/pythia-70m",
    ],
    files: [
        "Folder on this computer",
        "Its files are sent to the server and kept in its data folder.",
    ],
    folder: true,
};

/// The form that adds a model; `on_added` is called when it is in the registry.
#[component]
pub fn AddModel(
    /// Called after it was added.
    on_added: Callback<()>,
) -> impl IntoView {
    let add = move |given: Given| async move {
        let added = match given {
            Given::Path(folder) => client::add_model(&ModelSource::Folder(folder)).await,
            Given::Hub(name) => client::add_model(&ModelSource::Hub(name)).await,
            Given::Files(files) => client::upload_model(&files.name(), files).await,
        };
        added.map(|model| {
            on_added.run(());
            model.id.0
        })
    };
    view! { <SourceForm words=&WORDS add /> }
}
