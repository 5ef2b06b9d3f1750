//! The server's token, where changing anything needs one: a line in the frame says whether it is here, and a dialog asks
//! for it when a change was refused, which then goes on by itself.

use api::ApiError;
use leptos::{ev::SubmitEvent, html, prelude::*, task::spawn_local};

use super::Problem;
use crate::client;

/// The line and the dialog.
#[component]
pub fn Token() -> impl IntoView {
    let health = Resource::new(|| (), |()| client::health());
    let needs_token = move || matches!(health.get(), Some(Ok(health)) if health.needs_token);
    let has_token = RwSignal::new(false);
    let is_open = RwSignal::new(false);
    Effect::new(move |_| {
        has_token.set(client::has_token());
        client::when_token_is_wanted(move || {
            has_token.set(false);
            is_open.set(true);
        });
    });
    let on_end = Callback::new(move |()| {
        is_open.set(false);
        has_token.set(client::has_token());
    });
    let forget = move |_| {
        client::forget_token();
        has_token.set(false);
    };
    let line = move || match has_token.get() {
        true => view! {
            "You can change things here. "
            <button type="button" class="link" on:click=forget data-testid="token-forget">"Forget the token"</button>
        }
        .into_any(),
        false => view! {
            "You can read here. "
            <button type="button" class="link" on:click=move |_| is_open.set(true) data-testid="token-open">
                "Enter the token to change things"
            </button>
        }
        .into_any(),
    };
    view! {
        <Transition fallback=|| ()>
            {move || needs_token().then(|| view! { <p class="access" data-testid="access">{line}</p> })}
        </Transition>
        <Dialog is_open on_end />
    }
    .into_any()
}

/// Asks for the token until it is right, or until it is given up.
#[component]
fn Dialog(is_open: RwSignal<bool>, on_end: Callback<()>) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    let text = RwSignal::new(String::new());
    let error = RwSignal::new(None::<ApiError>);
    let busy = RwSignal::new(false);
    Effect::new(move |_| {
        let Some(dialog) = dialog.get() else { return };
        match is_open.get() {
            // a second change was refused meanwhile, or it is open already
            true if dialog.open() => {}
            true => {
                text.set(String::new());
                error.set(None);
                _ = dialog.show_modal();
            }
            false => dialog.close(),
        }
    });
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        busy.set(true);
        spawn_local(async move {
            let kept = client::keep_token(text.get_untracked().trim()).await;
            busy.set(false);
            match kept {
                Ok(()) => on_end.run(()),
                Err(problem) => error.set(Some(problem)),
            }
        });
    };
    // by Escape or by the button; after it was given the dialog is not open any more
    let give_up = move || {
        if is_open.get_untracked() {
            on_end.run(());
            client::give_no_token();
        }
    };
    view! {
        <dialog class="token" node_ref=dialog on:close=move |_| give_up() aria-labelledby="token-title" data-testid="token-dialog">
            <form on:submit=submit>
                <h2 id="token-title">"Changing anything here needs the server's token"</h2>
                <p class="hint">
                    "The server printed it when it started, or was given it with " <code>"--token"</code>
                    ". Reading needs none."
                </p>
                <label for="token">"Token"</label>
                <input id="token" type="text" class="secret" autocomplete="off" spellcheck="false" autocapitalize="off"
                    data-testid="token" aria-invalid=move || error.get().is_some().then_some("true") bind:value=text />
                <Problem error />
                <p class="hint">"It is kept until this tab is closed."</p>
                <p class="buttons">
                    <button type="button" on:click=move |_| give_up() data-testid="token-cancel">"Cancel"</button>
                    <button type="submit" class="primary" disabled=busy data-testid="token-submit">
                        {move || if busy.get() { "Trying…" } else { "Use it" }}
                    </button>
                </p>
            </form>
        </dialog>
    }
    .into_any()
}
