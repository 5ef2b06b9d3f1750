//! The form behind "add a model" and "add a corpus": a path of the server's disk, a name on the hub, or files of this computer.

use api::ApiError;
use leptos::{
    attr::custom::custom_attribute, ev::SubmitEvent, html::Input, prelude::*, task::spawn_local, web_sys::HtmlInputElement,
};

use super::Problem;
use crate::client::{Answer, Files};

/// Where something is added from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Path,
    Hub,
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

/// The words of one form.
pub struct Words {
    /// `model` or `corpus`: what is added.
    pub what: &'static str,
    /// What the path is called: `folder` or `path`.
    pub path_name: &'static str,
    /// The path's label, hint and example.
    pub path: [&'static str; 3],
    /// The hub name's label, hint and example.
    pub hub: [&'static str; 3],
    /// The files' label and hint.
    pub files: [&'static str; 2],
    /// Whether a whole folder is chosen rather than single files.
    pub folder: bool,
}

impl Words {
    fn of(&self, from: From) -> [&'static str; 3] {
        match from {
            From::Path => self.path,
            From::Hub => self.hub,
            From::Files => [self.files[0], self.files[1], ""],
        }
    }
}

/// What is typed or chosen at the moment.
#[derive(Clone, Copy)]
struct Inputs {
    from: RwSignal<From>,
    text: RwSignal<String>,
    files: NodeRef<Input>,
}

impl Inputs {
    fn given(self) -> Option<Given> {
        let typed = || Some(self.text.get_untracked().trim().to_string()).filter(|text| !text.is_empty());
        match self.from.get_untracked() {
            From::Path => typed().map(Given::Path),
            From::Hub => typed().map(Given::Hub),
            From::Files => {
                let chosen = |input: HtmlInputElement| Files::chosen(&input);
                self.files.get_untracked().and_then(chosen).map(Given::Files)
            }
        }
    }
}

/// The form: `add` adds what was given and answers the new thing's name.
#[component]
pub fn SourceForm<F>(
    /// Its words.
    words: &'static Words,
    /// Adds it.
    add: impl Fn(Given) -> F + Copy + Send + Sync + 'static,
    /// More fields, below the source.
    #[prop(optional, into)]
    extra: ViewFn,
) -> impl IntoView
where
    F: Future<Output = Answer<String>> + 'static,
{
    let inputs = Inputs {
        from: RwSignal::new(From::Path),
        text: RwSignal::new(String::new()),
        files: NodeRef::new(),
    };
    let busy = RwSignal::new(false);
    let error = RwSignal::new(None::<ApiError>);
    let added = RwSignal::new(None::<String>);
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        added.set(None);
        let Some(given) = inputs.given() else {
            let nothing = "nothing is given; fill in the field or choose files first";
            return error.set(Some(ApiError::new(api::ErrorKind::Invalid, nothing)));
        };
        busy.set(true);
        error.set(None);
        spawn_local(async move {
            match add(given).await {
                Ok(name) => {
                    added.set(Some(name));
                    inputs.text.set(String::new());
                }
                Err(problem) => error.set(Some(problem)),
            }
            busy.set(false);
        });
    };
    Effect::new(move |_| {
        inputs.from.track();
        error.set(None);
    });
    view! {
        <form class="source-form" on:submit=submit aria-label=format!("Add a {}", words.what)>
            <SourceInputs words inputs busy />
            {extra.run()}
            <Problem error />
            <p class="done" role="status">{move || added.get().map(|name| format!("Added {name}."))}</p>
        </form>
    }
    .into_any()
}

#[component]
fn SourceInputs(words: &'static Words, inputs: Inputs, busy: RwSignal<bool>) -> impl IntoView {
    let Inputs { from, text, files } = inputs;
    let Words {
        what, path_name, folder, ..
    } = *words;
    let choice = move |this: From, label: &'static str| {
        view! {
            <label class="choice">
                <input type="radio" name=format!("add-{what}-from") checked=this == From::Path
                    prop:checked=move || from.get() == this on:change=move |_| from.set(this) />
                {label}
            </label>
        }
    };
    let word = move |index: usize| move || words.of(from.get())[index];
    let id = format!("add-{what}");
    let by_files = move || from.get() == From::Files;
    view! {
        <div class="choices" role="radiogroup" aria-label="from where">
            {choice(From::Path, path_name)} {choice(From::Hub, "hub")} {choice(From::Files, "upload")}
        </div>
        <label for=id.clone()>{word(0)}</label>
        <div class="source-row">
            <input id=id type="text" autocomplete="off" spellcheck="false" hidden=by_files placeholder=word(2)
                data-testid=format!("add-{what}-{path_name}") aria-describedby=format!("add-{what}-hint") bind:value=text />
            <input node_ref=files type="file" multiple=true {..custom_attribute("webkitdirectory", folder)}
                hidden=move || !by_files() aria-label=words.files[0] data-testid=format!("add-{what}-files") />
            <button type="submit" class="primary" disabled=busy data-testid=format!("add-{what}-submit")>
                {move || if busy.get() { "Adding…" } else { "Add" }}
            </button>
        </div>
        <p class="hint" id=format!("add-{what}-hint")>{word(1)}</p>
    }
    .into_any()
}
