//! Runs as a table: state, progress, who runs them.

use api::{Job, JobConfig, JobState as State, Progress as Amount};
use leptos::prelude::*;

use crate::{format, link};

/// A job's state as a word with a mark, told by screen readers when it changes.
#[component]
pub fn JobState(
    /// The job.
    #[prop(into)]
    job: Signal<Job>,
) -> impl IntoView {
    let word = move || job.with(|job| format::state(job.state, job.cancel_requested));
    view! {
        <span class=move || format!("state state-{}", word()) role="status" aria-live="polite">
            {word}
        </span>
    }
    .into_any()
}

/// How far a job is, as a bar and in words.
#[component]
pub fn Progress(
    /// The job.
    #[prop(into)]
    job: Signal<Job>,
) -> impl IntoView {
    // what a job told last lies before its end
    let share = move || {
        job.with(|job| match job.state {
            State::Done => 1.0,
            _ => format::share(&job.progress).unwrap_or(0.0),
        })
    };
    view! {
        <span class="progress">
            <progress max="1" value=move || share().to_string() aria-label="progress"></progress>
            <span class="progress-words">{move || job.with(words)}</span>
        </span>
    }
    .into_any()
}

fn words(job: &Job) -> String {
    let Amount { stage, done, unit, .. } = &job.progress;
    let share = format::share(&job.progress).map(format::percent);
    match job.state {
        State::Queued => "waiting for its turn".into(),
        State::Running => match (share, format::seconds_left(&job.progress)) {
            (Some(share), Some(left)) => format!("{stage}, {share}, {} left", format::duration(left)),
            (Some(share), None) => format!("{stage}, {share}"),
            (None, _) => stage.clone(),
        },
        State::Done => job
            .started
            .zip(job.finished)
            .map_or_else(String::new, |(from, to)| format::duration((to - from) as f64)),
        State::Failed | State::Cancelled => format!("stopped after {} {unit}", format::count(*done)),
    }
}

/// When it was asked for, who has it now, or when it ended.
fn when(job: &Job) -> String {
    match (job.state, &job.owner, job.finished) {
        (State::Queued, ..) => format!("since {}", format::time(job.created)),
        (State::Running, Some(owner), _) => format!("now, by {owner}"),
        (State::Running, ..) => "now".into(),
        (.., Some(finished)) => format::time(finished),
        _ => format::time(job.created),
    }
}

/// A row per job.
#[component]
pub fn JobList(
    /// The jobs.
    #[prop(into)]
    jobs: Signal<Vec<Job>>,
) -> impl IntoView {
    let row = move |id: api::JobId| {
        let shown = id;
        let job = Memo::new(move |before: Option<&Option<Job>>| {
            let now = jobs.with(|jobs| jobs.iter().find(|job| job.id == shown).cloned());
            now.or_else(|| before.cloned().flatten())
        });
        let first = job.get_untracked();
        first.map(|first| {
            let href = link::run(&id);
            let (place, what) = match &first.config {
                JobConfig::Train(config) => (
                    format!("{} · {}", config.model, config.at),
                    format::counted(config.dictionaries.len(), "dictionary"),
                ),
                JobConfig::Pretrain(config) => (config.corpus.to_string(), format!("the model {}", config.name)),
                JobConfig::Ask(config) => (config.model.to_string(), config.what()),
                JobConfig::Verify(config) => (
                    config.model.to_string(),
                    format!("{}, measured again", format::counted(config.dictionaries.len(), "dictionary")),
                ),
            };
            let job = Signal::derive(move || job.get().unwrap_or_else(|| first.clone()));
            view! {
                <tr data-testid="job-row">
                    <td>
                        <a href=href>"run " {id.to_string()}</a>
                    </td>
                    <td class="words"><JobState job /></td>
                    <td class="words"><Progress job /></td>
                    <td class="words">{place}</td>
                    <td class="words wraps">{what}</td>
                    <td class="words quiet owner">{move || job.with(when)}</td>
                </tr>
            }
        })
    };
    view! {
        <div class="table-box">
            <table class="cards">
                <thead>
                    <tr>
                        <th scope="col">"run"</th>
                        <th scope="col" class="words">"state"</th>
                        <th scope="col" class="words">"progress"</th>
                        <th scope="col" class="words">"model · hook point"</th>
                        <th scope="col" class="words">"what"</th>
                        <th scope="col" class="words">"when"</th>
                    </tr>
                </thead>
                <tbody>
                    <For each=move || jobs.get().into_iter().map(|job| job.id) key=Clone::clone let:id>{row(id)}</For>
                </tbody>
            </table>
        </div>
    }
    .into_any()
}
