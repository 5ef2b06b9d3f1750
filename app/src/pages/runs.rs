//! `/runs`: every run, newest first, those that wait or run on top.

use api::{Job, JobState};
use leptos::prelude::*;

use crate::{
    client,
    components::{Fetched, Heading, JobList},
    format::counted,
    live::live,
};

/// The list of runs.
#[component]
pub fn Runs() -> impl IntoView {
    let live = live();
    let fetched = Resource::new(move || live.version(), |_| client::jobs());
    view! { <Fetched resource=fetched let:data><Content data /></Fetched> }
}

#[component]
fn Content(data: Memo<Vec<Job>>) -> impl IntoView {
    let live = live();
    let jobs = Memo::new(move |_| data.with(|data| live.jobs(data)));
    let is_empty = Memo::new(move |_| jobs.with(Vec::is_empty));
    view! {
        <Heading title="Runs" question="What has been trained, and what is being trained?">
            {move || jobs.with(|jobs| answer(jobs))}
        </Heading>
        <Show
            when=move || !is_empty.get()
            fallback=|| view! { <p class="next"><a class="button primary" href="/train">"Start the first run"</a></p> }
        >
            <JobList jobs />
        </Show>
    }
    .into_any()
}

fn answer(jobs: &[Job]) -> String {
    let parts: Vec<(usize, &str)> = [
        (JobState::Running, "running"),
        (JobState::Queued, "waiting"),
        (JobState::Done, "done"),
        (JobState::Failed, "failed"),
        (JobState::Cancelled, "cancelled"),
    ]
    .into_iter()
    .map(|(state, word)| (jobs.iter().filter(|job| job.state == state).count(), word))
    .filter(|(n, _)| *n > 0)
    .collect();
    match parts.as_slice() {
        [] => "Nothing has run yet.".into(),
        [(1, word)] => format!("1 run, {word}."),
        [(n, word)] => format!("{}, all {word}.", counted(*n, "run")),
        _ => {
            let said: Vec<String> = parts.iter().map(|(n, word)| format!("{n} {word}")).collect();
            format!("{}: {}.", counted(jobs.len(), "run"), said.join(", "))
        }
    }
}
