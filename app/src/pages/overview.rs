//! `/`: what is here and what runs now; models and corpora are added here.

use api::{ApiError, DictionaryGroup, JobState, Overview as Registry, ParetoQuery, ParetoView, SetAside};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    client::{self, Answer},
    components::{
        AddCorpus, AddModel, CorpusTable, DictionaryGroups, Fetched, Heading, ImportForm, JobList, ModelTable, ParetoPlot,
        SeriesNames,
    },
    format::{count, counted},
    link,
    live::live,
};

/// Hook points whose dictionaries are drawn, those with the newest first.
const N_PLOTS: usize = 2;

/// What the page begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    registry: Registry,
    plots: Vec<ParetoView>,
}

async fn everything() -> Answer<Everything> {
    let registry = client::overview().await?;
    let mut plots = Vec::new();
    for group in registry.dictionaries.iter().take(N_PLOTS) {
        plots.push(client::pareto(&query(group)).await?);
    }
    Ok(Everything { registry, plots })
}

fn query(group: &DictionaryGroup) -> ParetoQuery {
    ParetoQuery {
        model: Some(group.model.clone()),
        at: Some(group.at),
        ..Default::default()
    }
}

/// The first page.
#[component]
pub fn Overview() -> impl IntoView {
    let live = live();
    let everything = Resource::new(move || live.version(), |_| everything());
    view! { <Fetched resource=everything let:data><Content data everything /></Fetched> }
}

#[component]
fn Content(data: Memo<Everything>, everything: Resource<Result<Everything, ApiError>>) -> impl IntoView {
    let live = live();
    let plots = Memo::new(move |_| data.with(|data| data.plots.clone()));
    let data = Memo::new(move |_| data.with(|data| data.registry.clone()));
    let has_dictionaries = Memo::new(move |_| data.with(|data| !data.dictionaries.is_empty()));
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
        {move || data.with(|data| data.set_aside.iter().map(set_aside).collect_view())}
        <NextStep has_models has_corpora has_jobs />

        <Show when=move || has_dictionaries.get()>
            <section aria-labelledby="dictionaries">
                <h2 id="dictionaries">"Dictionaries"</h2>
                <div class="row">
                    {move || plots.get().into_iter().map(plot).collect_view()}
                </div>
                <DictionaryGroups groups=Signal::derive(move || data.with(|data| data.dictionaries.clone())) />
            </section>
        </Show>

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
                    <CorpusTable corpora=Signal::derive(move || data.with(|data| data.corpora.clone()))
                        models=Signal::derive(move || data.with(|data| data.models.clone())) />
                </Show>
                <div class="sheet">
                    <h3>"Add a corpus"</h3>
                    <AddCorpus on_added=refresh />
                </div>
            </section>
        </div>
        <section aria-labelledby="import-title">
            <h2>"Dictionaries of other tools"</h2>
            <ImportForm
                models=Signal::derive(move || data.with(|data| data.models.clone()))
                corpora=Signal::derive(move || data.with(|data| data.corpora.clone()))
            />
        </section>
    }
    .into_any()
}

/// Files that the registry did not know.
fn set_aside(files: &SetAside) -> impl IntoView + use<> {
    view! { <p class="problem" data-testid="set-aside">{files.text()}</p> }
}

/// The dictionaries of one hook point, as a picture that leads to its page.
fn plot(view: ParetoView) -> impl IntoView {
    let href = link::pareto(&view.query);
    let at = view.query.at.map(|at| at.to_string());
    let model = view.query.model.as_ref().map(ToString::to_string);
    view! {
        <div class="sheet grow">
            <h3>
                <a href=href>{model} " · " {at}</a>
            </h3>
            <ParetoPlot view=Signal::stored(view.clone()) />
            <SeriesNames view=Signal::stored(view) />
        </div>
    }
}

/// The page's answer in one sentence or two.
fn answer(data: &Registry, jobs: &[api::Job]) -> String {
    let running = jobs.iter().filter(|job| job.state == JobState::Running).count();
    let queued = jobs.iter().filter(|job| job.state == JobState::Queued).count();
    let corpora = if data.corpora.len() == 1 {
        "1 corpus".into()
    } else {
        format!("{} corpora", count(data.corpora.len() as u64))
    };
    let n: u64 = data.dictionaries.iter().map(DictionaryGroup::n).sum();
    let dictionaries = counted(n as usize, "dictionary");
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
