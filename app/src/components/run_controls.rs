//! Cancel and resume, whichever the job's state allows.

use api::{ApiError, Job};
use leptos::{prelude::*, task::spawn_local};

use super::Problem;
use crate::client;

/// The buttons, and what went wrong with them.
#[component]
pub fn RunControls(
    /// The job.
    #[prop(into)]
    job: Signal<Job>,
) -> impl IntoView {
    let busy = RwSignal::new(false);
    let error = RwSignal::new(None::<ApiError>);
    let ask = move |resume: bool| {
        let id = job.with_untracked(|job| job.id.0);
        busy.set(true);
        spawn_local(async move {
            let answer = if resume {
                client::resume(id).await
            } else {
                client::cancel(id).await
            };
            error.set(answer.err());
            busy.set(false);
        });
    };
    let can_cancel = Memo::new(move |_| job.with(|job| !job.state.is_final() && !job.cancel_requested));
    let can_resume = Memo::new(move |_| job.with(|job| job.state.is_final() && job.state != api::JobState::Done));
    view! {
        <Show when=move || can_cancel.get()>
            <button type="button" disabled=busy on:click=move |_| ask(false) data-testid="run-cancel">"Cancel"</button>
        </Show>
        <Show when=move || can_resume.get()>
            <button type="button" class="primary" disabled=busy on:click=move |_| ask(true) data-testid="run-resume">
                {move || match job.with(|job| matches!(job.config, api::JobConfig::Ask(_))) {
                    true => "Ask again",
                    false => "Resume from its last checkpoint",
                }}
            </button>
        </Show>
        <Problem error />
    }
    .into_any()
}
