//! What can be asked of a dictionary on its page.

use api::{ApiError, AskRequest, DictionaryId, ErrorKind, JobId, ProbeQuestion, Question, TokenOrder, TokensQuestion};
use leptos::{html::Input, prelude::*};

use super::{
    Select,
    job_form::{FormField, JobForm, number},
};
use crate::client::{self, Answer, Files};

/// Another dictionary that can be compared with, as a choice.
pub type Other = (DictionaryId, String);

async fn ask(dictionaries: Vec<DictionaryId>, question: Question) -> Answer<Vec<JobId>> {
    client::ask(&AskRequest { dictionaries, question }).await
}

/// Where does it fail?
#[component]
pub fn AskTokens(
    /// The dictionary.
    id: DictionaryId,
) -> impl IntoView {
    let (by, top) = (
        RwSignal::new(TokenOrder::CeIncrease.to_string()),
        RwSignal::new(String::new()),
    );
    let options = vec![
        (TokenOrder::CeIncrease.to_string(), "CE increase".to_string()),
        (TokenOrder::Kl.to_string(), "KL".to_string()),
    ];
    let start = move || async move {
        let question = TokensQuestion {
            by: by.get_untracked().parse()?,
            top: number("top", &top.get_untracked())?,
            tokens: None,
        };
        ask(vec![id], Question::Tokens(question)).await
    };
    view! {
        <JobForm title="Where does it fail?" testid="ask-tokens" button="Find the tokens" start
            hint="The tokens whose next one the model predicts worst with the dictionary in place, each in its context.">
            <div class="tools">
                <Select label="most" id="ask-tokens-by" options=Signal::stored(options) value=by
                    on_choose=Callback::new(move |chosen| by.set(chosen)) />
            </div>
            <FormField label="Rows in the CSV" id="ask-tokens-top" value=top placeholder="all" />
        </JobForm>
    }
    .into_any()
}

/// How alike is it to another?
#[component]
pub fn AskCompare(
    /// The dictionary.
    id: DictionaryId,
    /// Those that it can be compared with.
    #[prop(into)]
    others: Signal<Vec<Other>>,
) -> impl IntoView {
    let wanted = RwSignal::new(None::<String>);
    let chosen = Signal::derive(move || {
        let first = move || others.with(|others| others.first().map(|(other, _)| other.to_string()));
        wanted.get().or_else(first).unwrap_or_default()
    });
    let options = Signal::derive(move || {
        let named = |(other, label): Other| (other.to_string(), label);
        others.get().into_iter().map(named).collect::<Vec<_>>()
    });
    let refused = Signal::derive(move || {
        let is_alone = others.with(Vec::is_empty);
        is_alone.then(|| "There is no other dictionary of this width yet.".to_string())
    });
    let start = move || async move {
        let other = number("dictionaries", &chosen.get_untracked())?;
        let missing = || ApiError::new(ErrorKind::Invalid, "no other dictionary is chosen");
        ask(vec![id, DictionaryId(other.ok_or_else(missing)?)], Question::Compare).await
    };
    view! {
        <JobForm title="Compare with another" testid="ask-compare" button="Compare" start refused
            hint="How alike the directions are that the two write to, beside as many random ones.">
            <div class="tools">
                <Select label="with" id="ask-compare-with" options value=chosen
                    on_choose=Callback::new(move |other| wanted.set(Some(other))) />
            </div>
        </JobForm>
    }
    .into_any()
}

/// Do a few features tell the labels of texts?
#[component]
pub fn AskProbe(
    /// The dictionary.
    id: DictionaryId,
) -> impl IntoView {
    let (path, seed) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let uploads = RwSignal::new(true);
    let input = NodeRef::<Input>::new();
    let start = move || async move {
        let nothing = |what: &str| ApiError::new(ErrorKind::Invalid, format!("nothing is given; {what} first"));
        let seed = number("seed", &seed.get_untracked())?.unwrap_or_default();
        let (data, sha256) = if uploads.get_untracked() {
            let files = input.get_untracked().and_then(|input| Files::chosen(&input));
            let texts = client::upload_labelled(files.ok_or_else(|| nothing("choose a file"))?).await?;
            (texts.path, Some(texts.sha256))
        } else {
            let data = path.get_untracked().trim().to_string();
            if data.is_empty() {
                return Err(nothing("name a file of the server's disk"));
            }
            (data, None)
        };
        ask(vec![id], Question::Probe(ProbeQuestion { data, sha256, seed })).await
    };
    let choice = move |this: bool, label: &'static str| {
        view! {
            <label class="choice">
                <input type="radio" name="ask-probe-from" checked=this prop:checked=move || uploads.get() == this
                    on:change=move |_| uploads.set(this) />
                {label}
            </label>
        }
        .into_any()
    };
    view! {
        <JobForm title="Probe labelled text" testid="ask-probe" button="Probe" start
            hint="Whether 1, 2 or 5 features tell the label of a text, beside as many of the model's own activations. A line of JSON per text: {\"text\": …, \"label\": …}.">
            <div class="choices" role="radiogroup" aria-label="from where">{choice(true, "upload")} {choice(false, "path")}</div>
            <div class="form-field" hidden=move || !uploads.get()>
                <label for="ask-probe-file">"File on this computer"</label>
                <input id="ask-probe-file" data-testid="ask-probe-file" type="file" accept=".jsonl,.json,.ndjson,.txt" node_ref=input />
            </div>
            <div hidden=move || uploads.get()>
                <FormField label="File on the server's disk" id="ask-probe-path" value=path placeholder="/data/reviews.jsonl" />
            </div>
            <FormField label="Seed of the split" id="ask-probe-seed" value=seed placeholder="0" />
        </JobForm>
    }
    .into_any()
}
