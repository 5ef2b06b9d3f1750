//! The form behind "add a model" and "add a corpus": a path of the server's disk, a name on the hub, or files of this computer.

use api::ApiError;
use leptos::{
    attr::custom::custom_attribute, ev::SubmitEvent, html::Input, prelude::*, task::spawn_local, web_sys::HtmlInputElement,
};

use super::Problem;
use crate::client::{Answer, Files};

/// Where something is added from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The server's disk.
    Path,
    /// The hub.
    Hub,
    /// This computer.
    Files,
}

/// What a form was given.
pub enum Given {
    /// A path of the server's disk.
    Path(String),
    /// A name on the hub.
    Hub(String),
    /// Files of this computer.
    Files(Files),
}

/// The words of one form; what they name is added by `add`, which answers the new thing's name.
#[component]
pub fn SourceForm<F>(
    /// `model` or `corpus`: the prefix of ids and test ids.
    what: &'static str,
    /// What the path is called: `folder` or `path`.
    path_name: &'static str,
    /// The path's label, hint and example.
    path_words: [&'static str; 3],
    /// The hub name's label, hint and example.
    hub_words: [&'static str; 3],
    /// The files' label and hint.
    file_words: [&'static str; 2],
    /// Whether a whole folder is chosen rather than single files.
    folder: bool,
    /// Adds it.
    add: impl Fn(Given) -> F + Copy + Send + Sync + 'static,
) -> impl IntoView
where
    F: Future<Output = Answer<String>> + 'static,
{
    let from = RwSignal::new(From::Path);
    let text = RwSignal::new(String::new());
    let files = NodeRef::<Input>::new();
    let busy = RwSignal::new(false);
    let error = RwSignal::new(None::<ApiError>);
    let added = RwSignal::new(None::<String>);

    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let given = match from.get_untracked() {
            From::Path => Some(text.get_untracked().trim().to_string())
                .filter(|t| !t.is_empty())
                .map(Given::Path),
            From::Hub => Some(text.get_untracked().trim().to_string())
                .filter(|t| !t.is_empty())
                .map(Given::Hub),
            From::Files => files
                .get_untracked()
                .and_then(|input: HtmlInputElement| Files::chosen(&input))
                .map(Given::Files),
        };
        let Some(given) = given else {
            let nothing = if from.get_untracked() == From::Files {
                "choose files first"
            } else {
                "fill in the field first"
            };
            return error.set(Some(ApiError::new(api::ErrorKind::Invalid, nothing)));
        };
        busy.set(true);
        error.set(None);
        added.set(None);
        spawn_local(async move {
            match add(given).await {
                Ok(name) => {
                    added.set(Some(name));
                    text.set(String::new());
                }
                Err(problem) => error.set(Some(problem)),
            }
            busy.set(false);
        });
    };

    let choice = move |this: From, label: &'static str| {
        view! {
            <label class="choice">
                <input type="radio" name=format!("add-{what}-from") prop:checked=move || from.get() == this checked=this == From::Path
                    on:change=move |_| { from.set(this); error.set(None); } />
                {label}
            </label>
        }
    };
    let [path_label, path_hint, path_example] = path_words;
    let [hub_label, hub_hint, hub_example] = hub_words;
    let [file_label, file_hint] = file_words;
    let id = format!("add-{what}");
    let words = move |path: &'static str, hub: &'static str, file: &'static str| {
        move || match from.get() {
            From::Path => path,
            From::Hub => hub,
            From::Files => file,
        }
    };
    view! {
        <form class="source-form" on:submit=submit aria-label=format!("Add a {what}")>
            <div class="choices" role="radiogroup" aria-label="from where">
                {choice(From::Path, path_name)} {choice(From::Hub, "hub")} {choice(From::Files, "upload")}
            </div>
            <label for=id.clone()>{words(path_label, hub_label, file_label)}</label>
            <div class="source-row">
                <input id=id type="text" autocomplete="off" spellcheck="false" hidden=move || from.get() == From::Files
                    data-testid=format!("add-{what}-{path_name}") placeholder=words(path_example, hub_example, "")
                    aria-describedby=format!("add-{what}-hint") bind:value=text />
                <input node_ref=files type="file" multiple=true {..custom_attribute("webkitdirectory", folder)} hidden=move || from.get() != From::Files
                    aria-label=file_label data-testid=format!("add-{what}-files") />
                <button type="submit" class="primary" disabled=busy data-testid=format!("add-{what}-submit")>
                    {move || if busy.get() { "Adding…" } else { "Add" }}
                </button>
            </div>
            <p class="hint" id=format!("add-{what}-hint")>{words(path_hint, hub_hint, file_hint)}</p>
            <Problem error />
            <p class="done" role="status">{move || added.get().map(|name| format!("Added {name}."))}</p>
        </form>
    }
    .into_any()
}
