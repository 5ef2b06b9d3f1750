//! One click from a list of dictionaries to what all of them fail on.

use api::{ApiError, AskRequest, DictionaryId, Question, TokensQuestion};
use leptos::{prelude::*, task::spawn_local};
use leptos_router::hooks::use_navigate;

use super::Problem;
use crate::{client, link};

/// A button that asks for the tokens that every one of the dictionaries loses.
#[component]
pub fn AskAll(
    /// The dictionaries.
    #[prop(into)]
    dictionaries: Signal<Vec<DictionaryId>>,
) -> impl IntoView {
    let navigate = use_navigate();
    let (busy, error) = (RwSignal::new(false), RwSignal::new(None::<ApiError>));
    let ask = move |_| {
        let navigate = navigate.clone();
        let request = AskRequest {
            dictionaries: dictionaries.get_untracked(),
            question: Question::Tokens(TokensQuestion::default()),
        };
        busy.set(true);
        spawn_local(async move {
            match client::ask(&request).await.as_deref() {
                Ok([job]) => navigate(&link::run(job), Default::default()),
                Ok(_) => navigate("/runs", Default::default()),
                Err(problem) => error.set(Some(problem.clone())),
            }
            busy.set(false);
        });
    };
    view! {
        <div class="ask-all">
            <button type="button" disabled=busy on:click=ask data-testid="ask-all">
                "Tokens that all of these fail on"
            </button>
            <Problem error />
        </div>
    }
    .into_any()
}
