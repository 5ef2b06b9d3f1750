//! `/`: what is here and what runs now; models and corpora are added here.

use api::{ApiError, JobState, Overview as Everything};
use leptos::prelude::*;

use crate::{
    client,
    components::{AddCorpus, AddModel, CorpusTable, Fetched, Heading, JobList, ModelTable},
    format::{count, counted},
    live::live,
};

/// The first page.
#[component]
pub fn Overview() -> impl IntoView {
    let live = live();
    let everything = Resource::new(move || live.version(), |_| client::overview());
    view! { <Fetched resource=everything let:data><Content data everything /></Fetched> }
}

#[component]
fn Content(data: Memo<Everything>, everything: Resource<Result<Everything, ApiError>>) -> impl IntoView {
    let live = live();
    let jobs = Memo::new(move |_| data.with(|data| live.jobs(&data.jobs)));
    let refresh = Callback::new(move |()| everything.refetch());
    let place = Signal::derive(move || data.with(|data| format!("saescope {} · data in {}", data.version, data.data)));
    let has_models = Memo::new(move |_| data.with(|data| !data.models.is_empty()));
    let has_corpora = Memo::new(move |_| data.with(|data| !data.corpora.is_empty()));
    let has_jobs = Memo::new(move |_| jobs.with(|jobs| !jobs.is_empty()));
    view! {
        <Heading title="Overview" place question="What is here, and what runs now?">
            {move || jobs.with(|jobs| data.with(|data| answer(data, jobs)))}
        </Heading>
        <NextStep has_models has_corpora has_jobs />

        <section aria-labelledby="jobs">
            <h2 id="jobs">"Runs"</h2>
            <Show
                when=move || has_jobs.get()
                fallback=|| view! { <p class="empty">"Nothing has run yet. A run trains dictionaries at one hook point of a model."</p> }
            >
                <JobList jobs />
            </Show>
        </section>
        <div class="row">
            <section class="grow" aria-labelledby="models">
                <h2 id="models">"Language models"</h2>
                <Show when=move || has_models.get() fallback=|| view! { <p class="empty">"No model yet: add the first one here."</p> }>
                    <ModelTable models=Signal::derive(move || data.with(|data| data.models.clone())) />
                </Show>
                <div class="sheet">
                    <h3>"Add a model"</h3>
                    <AddModel on_added=refresh />
                </div>
            </section>
            <section class="grow" aria-labelledby="corpora">
                <h2 id="corpora">"Text corpora"</h2>
                <Show when=move || has_corpora.get() fallback=|| view! { <p class="empty">"No text yet: add some here."</p> }>
                    <CorpusTable corpora=Signal::derive(move || data.with(|data| data.corpora.clone())) />
                </Show>
                <div class="sheet">
                    <h3>"Add a corpus"</h3>
                    <AddCorpus on_added=refresh />
                </div>
            </section>
        </div>
    }
    .into_any()
}

/// The page's answer in one sentence or two.
fn answer(data: &Everything, jobs: &[api::Job]) -> String {
    let running = jobs.iter().filter(|job| job.state == JobState::Running).count();
    let queued = jobs.iter().filter(|job| job.state == JobState::Queued).count();
    let corpora = if data.corpora.len() == 1 {
        "1 corpus".into()
    } else {
        format!("{} corpora", count(data.corpora.len() as u64))
    };
    let dictionaries = counted(data.n_dictionaries as usize, "dictionary");
    let here = format!("{}, {corpora} and {dictionaries}.", counted(data.models.len(), "model"));
    match (running, queued) {
        (0, 0) => format!("{here} Nothing runs at the moment."),
        (running, 0) => format!("{here} Runs: {running} running."),
        (0, queued) => format!("{here} Runs: {queued} waiting."),
        (running, queued) => format!("{here} Runs: {running} running, {queued} waiting."),
    }
}

/// What to do next, while something is missing.
#[component]
fn NextStep(has_models: Memo<bool>, has_corpora: Memo<bool>, has_jobs: Memo<bool>) -> impl IntoView {
    let step = move || match (has_models.get(), has_corpora.get(), has_jobs.get()) {
        (false, ..) => Some(("First, add a language model", "#models")),
        (_, false, _) => Some(("Next, add a text corpus", "#corpora")),
        (.., false) => Some(("Now train the first dictionaries", "/train")),
        _ => None,
    };
    view! {
        {move || {
            step()
                .map(|(words, href)| {
                    view! {
                        <p class="next">
                            <a class="button primary" href=href data-testid="next-step">
                                {words}
                            </a>
                        </p>
                    }
                })
        }}
    }
}
