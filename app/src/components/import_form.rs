//! Bringing in another tool's dictionary.

use api::{CorpusInfo, HookPoint, ImportRequest, ModelInfo};
use leptos::prelude::*;

use super::{
    Select,
    job_form::{FormField, JobForm, number},
};
use crate::client;

/// The form; it opens the run that measures what was read.
#[component]
pub fn ImportForm(
    /// The models that a dictionary can be for.
    #[prop(into)]
    models: Signal<Vec<ModelInfo>>,
    /// The texts that it can be measured on.
    #[prop(into)]
    corpora: Signal<Vec<CorpusInfo>>,
) -> impl IntoView {
    let [source, at, read_at, index] = [(); 4].map(|()| RwSignal::new(String::new()));
    let any_model = RwSignal::new(false);
    let [chosen_model, chosen_corpus] = [(); 2].map(|()| RwSignal::new(None::<String>));
    let named = |ids: Vec<String>| ids.into_iter().map(|id| (id.clone(), id)).collect::<Vec<_>>();
    let model_ids = Signal::derive(move || models.with(|all| all.iter().map(|m| m.id.to_string()).collect::<Vec<_>>()));
    let corpus_ids = Signal::derive(move || corpora.with(|all| all.iter().map(|c| c.id.to_string()).collect::<Vec<_>>()));
    let model = Signal::derive(move || {
        chosen_model
            .get()
            .or_else(|| model_ids.get().into_iter().next())
            .unwrap_or_default()
    });
    let corpus = Signal::derive(move || {
        chosen_corpus
            .get()
            .or_else(|| corpus_ids.get().into_iter().next())
            .unwrap_or_default()
    });
    let refused = Signal::derive(move || match (model.get().is_empty(), corpus.get().is_empty()) {
        (true, _) => Some("It needs its language model: add that first.".to_string()),
        (_, true) => Some("It is measured on a text: add one first.".to_string()),
        _ => None,
    });
    let start = move || async move {
        let point = |typed: RwSignal<String>| {
            let typed = typed.get_untracked().trim().to_string();
            (!typed.is_empty()).then(|| typed.parse::<HookPoint>()).transpose()
        };
        client::import(&ImportRequest {
            source: source.get_untracked().trim().to_string(),
            model: api::ModelId(model.get_untracked()),
            any_model: any_model.get_untracked(),
            corpus: api::CorpusId(corpus.get_untracked()),
            number: number("number", &index.get_untracked())?,
            at: point(at)?,
            read_at: point(read_at)?,
            residual: None,
            n_ctx: None,
            bos: None,
            eos: None,
            evaluate_on: None,
            eval_tokens: None,
        })
        .await
    };
    view! {
        <JobForm title="Import a dictionary" testid="import" button="Import and measure" start refused
            hint="SAELens, dictionary_learning, sparsify, OpenAI, Gemma Scope, Llama Scope, Qwen Scope, Goodfire, circuit-tracer, e2e_sae, sparse_coding. It is measured like one that was trained here. Pickles are read as data and never executed.">
            <FormField label="File or folder on the server's disk, owner/name/path on the hub, or release/id in SAELens" id="import-source" value=source
                placeholder="jbloom/GPT2-Small-SAEs-Reformatted/blocks.6.hook_resid_pre" />
            <div class="tools">
                <Select label="model" id="import-model" options=Signal::derive(move || named(model_ids.get())) value=model
                    on_choose=Callback::new(move |id| chosen_model.set(Some(id))) />
                <Select label="measured on" id="import-corpus" options=Signal::derive(move || named(corpus_ids.get())) value=corpus
                    on_choose=Callback::new(move |id| chosen_corpus.set(Some(id))) />
            </div>
            <div class="form-pair">
                <FormField label="Hook point" id="import-at" value=at placeholder="as the file says" />
                <FormField label="A transcoder reads at" id="import-read-at" value=read_at placeholder="as the file says" />
                <FormField label="Number, in a file of several" id="import-number" value=index placeholder="none" />
            </div>
            <label class="check">
                <input type="checkbox" data-testid="import-any-model" prop:checked=any_model on:change=move |event| any_model.set(event_target_checked(&event)) />
                " for this model, whatever the file calls the one that it is for"
            </label>
        </JobForm>
    }
    .into_any()
}
