//! Failures, said whole: of a view, and beside a form.

use api::{ApiError, ErrorKind};
use leptos::prelude::*;

/// A view that could not be shown, with a way to try again where that can help.
#[component]
pub fn ErrorView(
    /// What happened.
    error: ApiError,
    /// Tries again.
    #[prop(optional)]
    retry: Option<Callback<()>>,
) -> impl IntoView {
    let title = match error.kind {
        ErrorKind::NotFound => "Not found",
        ErrorKind::Unreachable => "The server cannot be reached",
        ErrorKind::Invalid => "This cannot be shown as it was asked for",
        _ => "Something went wrong",
    };
    let retry = retry.filter(|_| !matches!(error.kind, ErrorKind::NotFound | ErrorKind::Invalid));
    view! {
        <div class="error-view" role="alert" data-testid="error-view">
            <b>{title}</b>
            <p>{error.message}</p>
            {retry.map(|retry| view! { <button on:click=move |_| retry.run(())>"Try again"</button> })}
        </div>
    }
}

/// What is wrong with what a form was given, beside the form. Read out when it appears.
#[component]
pub fn Problem(
    /// What happened; nothing is shown while there is none.
    #[prop(into)]
    error: Signal<Option<ApiError>>,
) -> impl IntoView {
    view! {
        <p class="problem" role="alert">
            {move || error.get().map(|error| error.message)}
        </p>
    }
}
