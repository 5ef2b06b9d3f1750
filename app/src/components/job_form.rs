//! A form that starts a job and goes to its page.

use api::{ApiError, JobId};
use leptos::{ev::SubmitEvent, prelude::*, task::spawn_local};
use leptos_router::hooks::use_navigate;

use super::Problem;
use crate::{client::Answer, link};

/// A sheet with a title, what it is for, fields and a button. `start` starts the job and answers its number.
#[component]
pub fn JobForm<F>(
    /// What is asked or done.
    title: &'static str,
    /// What comes of it.
    hint: &'static str,
    /// The button's words.
    button: &'static str,
    /// The form's test id; the button's begins with it.
    testid: &'static str,
    /// Why it cannot be started as it stands, where it cannot.
    #[prop(into, default = Signal::stored(None))]
    refused: Signal<Option<String>>,
    /// Starts it.
    start: impl Fn() -> F + Copy + Send + Sync + 'static,
    /// The fields.
    children: Children,
) -> impl IntoView
where
    F: Future<Output = Answer<Vec<JobId>>> + 'static,
{
    let navigate = use_navigate();
    let (busy, error) = (RwSignal::new(false), RwSignal::new(None::<ApiError>));
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let (navigate, starting) = (navigate.clone(), start());
        busy.set(true);
        error.set(None);
        spawn_local(async move {
            match starting.await.as_deref() {
                Ok([job]) => navigate(&link::run(job), Default::default()),
                Ok(_) => navigate("/runs", Default::default()),
                Err(problem) => error.set(Some(problem.clone())),
            }
            busy.set(false);
        });
    };
    let is_refused = Memo::new(move |_| refused.with(Option::is_some));
    let id = format!("{testid}-title");
    let titled = id.clone();
    view! {
        <form class="sheet job-form" on:submit=submit aria-labelledby=id data-testid=testid>
            <h3 id=titled>{title}</h3>
            <p class="hint">{hint}</p>
            {children()}
            <p class="problem">{refused}</p>
            <button type="submit" class="primary" disabled=move || busy.get() || is_refused.get() data-testid=format!("{testid}-submit")>
                {move || if busy.get() { "Starting…" } else { button }}
            </button>
            <Problem error />
        </form>
    }
    .into_any()
}

/// A typed field of such a form.
#[component]
pub fn FormField(
    /// Its label.
    label: &'static str,
    /// The input's id, unique on the page; its test id too.
    id: &'static str,
    /// Its text.
    value: RwSignal<String>,
    /// What holds while nothing is typed.
    placeholder: &'static str,
) -> impl IntoView {
    view! {
        <div class="form-field">
            <label for=id>{label}</label>
            <input id=id data-testid=id type="text" autocomplete="off" spellcheck="false" placeholder=placeholder bind:value=value />
        </div>
    }
    .into_any()
}

/// The number in a field; none where it is empty.
///
/// # Errors
/// Something else stands there.
pub fn number<T: std::str::FromStr>(name: &'static str, text: &str) -> Result<Option<T>, ApiError> {
    let plain: String = text.chars().filter(|c| !matches!(c, ',' | ' ' | '_')).collect();
    if plain.is_empty() {
        return Ok(None);
    }
    let refused = |_| api::ConfigError::new(name, format!("found '{text}'; expected a number")).into();
    plain.parse().map(Some).map_err(refused)
}
