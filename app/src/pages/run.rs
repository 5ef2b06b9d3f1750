//! `/runs/{id}`: how a training goes, live; what it was asked to do; cancel and resume.

use api::{HistoryPoint, Job, JobConfig, JobState as State, ParetoQuery, Question, TrainConfig};
use leptos::{either::EitherOf4, prelude::*};
use leptos_router::hooks::use_params_map;
use serde::{Deserialize, Serialize};

use crate::{
    client::{self, Answer},
    components::{
        AskRun, Command, ConfigTable, Fetched, FindingList, Heading, JobState, ObjectiveKey, PretrainRun, Progress, RunControls,
        RunCurves, RunValues, VerifyRun,
    },
    format::{counted, dial, duration, number, percent, seconds_left, share, time},
    link,
    live::live,
};

/// What the page begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Start {
    job: Job,
    history: Vec<HistoryPoint>,
}

async fn start(id: Answer<i64>) -> Answer<Start> {
    let id = id?;
    Ok(Start {
        job: client::job(id).await?,
        history: client::history(id, 0).await?,
    })
}

/// The page.
#[component]
pub fn Run() -> impl IntoView {
    let (live, params) = (live(), use_params_map());
    let id = Memo::new(move |_| params.with(|params| link::number(params, "run")));
    let begin = Resource::new(move || (id.get(), live.version()), |(id, _)| start(id));
    view! { <Fetched resource=begin let:data><Content data /></Fetched> }
}

#[component]
fn Content(data: Memo<Start>) -> impl IntoView {
    let live = live();
    let fetched = Memo::new(move |_| data.with(|data| data.job.clone()));
    let job = Memo::new(move |_| live.job(fetched.get()));
    let history = Memo::new(move |_| data.with(|data| data.history.clone()));
    let points = follow(fetched, history);
    let config = Memo::new(move |_| job.with(|job| job.config.clone()));
    let place = Signal::derive(move || {
        job.with(|job| {
            let Job { config, id, sweep, .. } = job;
            match config {
                JobConfig::Train(config) => {
                    let TrainConfig { model, at, corpus, .. } = config;
                    format!("run {id} · sweep {sweep} · {model} · {at} · {corpus}")
                }
                JobConfig::Pretrain(config) => format!("run {id} · pretraining · {} · {}", config.name, config.corpus),
                JobConfig::Verify(config) => format!("run {id} · verification · {} · {}", config.model, config.corpus),
                JobConfig::Ask(config) => format!("run {id} · {} · {}", config.what(), config.model),
            }
        })
    });
    let question = Signal::derive(move || {
        let question = config.with(|config| match config {
            JobConfig::Train(config) if config.tokens == 0 => "What are these dictionaries worth?",
            JobConfig::Train(_) => "How does this training go?",
            JobConfig::Pretrain(_) => "How does this model learn?",
            JobConfig::Verify(_) => "Are the stored metrics these dictionaries' own?",
            JobConfig::Ask(config) => match (&config.question, config.dictionaries.len()) {
                (Question::Tokens(_), 1) => "Where does this dictionary fail?",
                (Question::Tokens(_), _) => "Where do all of these dictionaries fail?",
                (Question::Compare, _) => "How alike are these two dictionaries?",
                (Question::Probe(_), _) => "Do a few features tell the labels of these texts?",
            },
        });
        question.to_string()
    });
    let title = Signal::derive(move || job.with(|job| format!("Run {}", job.id)));
    view! {
        <Heading title place question>
            {move || job.with(answer)}
        </Heading>
        <div class="run-head">
            <span data-testid="run-state"><JobState job /></span>
            <Progress job />
            <RunControls job />
            {move || job.with(compare)}
        </div>
        {move || job.with(|job| job.error.clone()).map(|error| {
            view! { <div class="error-view" role="alert"><b>"It failed"</b><pre>{error}</pre></div> }
        })}

        {move || job.with(found)}
        {move || job.with(made)}
        {move || match config.get() {
            JobConfig::Train(config) => EitherOf4::A(view! { <Trained config=Signal::stored(config) points /> }),
            JobConfig::Pretrain(config) => EitherOf4::B(view! { <PretrainRun config points /> }),
            JobConfig::Verify(config) => EitherOf4::C(view! { <VerifyRun config /> }),
            JobConfig::Ask(config) => EitherOf4::D(view! { <AskRun config job /> }),
        }}
        <section aria-labelledby="command">
            <h3 id="command">"The same from the command line"</h3>
            <Command text=Signal::derive(move || job.with(|job| job.command.clone())) />
        </section>
    }
    .into_any()
}

/// A run that trains dictionaries.
#[component]
fn Trained(config: Signal<TrainConfig>, points: Signal<Vec<HistoryPoint>>) -> impl IntoView {
    let fits = move || config.with(TrainConfig::is_fit);
    view! {
        <Show when=fits>
            <p class="next">
                "Baselines are fitted in a few passes over the text, without a loss and without steps, so there are no curves. "
                "What they are worth is measured at the end."
            </p>
        </Show>
        <Show when=move || !fits()>
            <section aria-labelledby="curves">
                <h2 id="curves">"Curves"</h2>
                <RunCurves config points />
            </section>
            <section aria-labelledby="values">
                <h2 id="values">"Last values"</h2>
                <RunValues config points />
            </section>
        </Show>
        <section aria-labelledby="config">
            <h2 id="config">"What was asked for"</h2>
            {move || view! { <ConfigTable config=config.get() /> }}
        </section>
    }
}

/// What the run found to be wrong with its dictionaries.
fn found(job: &Job) -> Option<AnyView> {
    let config = job.config.training().filter(|_| !job.findings.is_empty())?;
    let one = |found: &api::DictionaryFindings| {
        let place = job.dictionaries.iter().position(|id| *id == found.dictionary);
        let dictionary = place.and_then(|place| config.dictionaries.get(place));
        let name = dictionary.map(|dictionary| {
            view! { <ObjectiveKey series=dictionary.series() /> " " {dial(dictionary)} " " }
        });
        let (id, findings) = (found.dictionary, found.findings.clone());
        view! {
            <div data-testid="found">
                <p>{name} <a href=link::dictionary(&id)>"#" {id.to_string()}</a></p>
                <FindingList findings />
            </div>
        }
        .into_any()
    };
    let all = job.findings.iter().map(one).collect_view();
    let section = view! {
        <section aria-labelledby="found">
            <h2 id="found">"What went wrong, and what to try"</h2>
            {all}
        </section>
    };
    Some(section.into_any())
}

/// The dictionaries that a finished run has made, each with its page.
fn made(job: &Job) -> Option<AnyView> {
    let config = job.config.training().filter(|_| !job.dictionaries.is_empty())?;
    let one = |(id, dictionary): (&api::DictionaryId, &api::DictionaryConfig)| {
        let (series, dial) = (dictionary.series(), dial(dictionary));
        view! { <li data-testid="made"><ObjectiveKey series /> " " {dial} " " <a href=link::dictionary(id)>"#" {id.to_string()}</a></li> }
    };
    let all = job.dictionaries.iter().zip(&config.dictionaries).map(one).collect_view();
    let section = view! {
        <section aria-labelledby="made">
            <h2 id="made">"What it made"</h2>
            <ul class="made">{all}</ul>
        </section>
    };
    Some(section.into_any())
}

/// The way to what a finished run has made.
fn compare(job: &Job) -> Option<impl IntoView + use<>> {
    let config = job.config.training().filter(|_| job.state == State::Done)?;
    let query = ParetoQuery {
        model: Some(config.model.clone()),
        at: Some(config.at),
        sweep: Some(job.sweep.0),
        evaluated_on: Some(config.evaluation.split),
        ..ParetoQuery::default()
    };
    Some(view! { <a class="button" href=link::pareto(&query)>"Compare on the Pareto page"</a> })
}

/// The points so far: those that came with the page, then those that the server tells of.
fn follow(job: Memo<Job>, history: Memo<Vec<HistoryPoint>>) -> Signal<Vec<HistoryPoint>> {
    let live = live();
    let points = RwSignal::new(history.get_untracked());
    let busy = RwSignal::new(false);
    Effect::new(move |_| points.set(history.get()));
    Effect::new(move |_| {
        let (id, have) = (job.with(|job| job.id), points.with_untracked(Vec::len));
        let there = live.n_points(&id).unwrap_or(have);
        if busy.get() || there == have {
            return;
        }
        // fewer points than before: the run was resumed from a checkpoint that lies before its last point
        let from = if there < have { 0 } else { have };
        busy.set(true);
        leptos::task::spawn_local(async move {
            let more = client::history(id.0, from).await;
            if let Ok(more) = more {
                points.update(|points| {
                    points.truncate(from);
                    points.extend(more);
                });
            }
            // not at once: a slow server is not to be asked without pause
            set_timeout(move || busy.set(false), std::time::Duration::from_millis(250));
        });
    });
    points.into()
}

/// What happens when it is told to go on.
fn resumed(job: &Job) -> &'static str {
    match &job.config {
        JobConfig::Ask(_) => "Nothing is kept of half an answer: it begins again.",
        JobConfig::Train(config) if config.is_fit() => {
            "A fit keeps no checkpoint: it begins again from the text, which is quick."
        }
        _ => "Its last checkpoint is kept, so it can go on from there.",
    }
}

/// How it goes, in a sentence.
fn answer(job: &Job) -> String {
    let what = match &job.config {
        JobConfig::Train(config) => counted(config.dictionaries.len(), "dictionary"),
        JobConfig::Pretrain(config) => format!("the model {}", config.name),
        JobConfig::Verify(config) => format!("{}, measured again", counted(config.dictionaries.len(), "dictionary")),
        JobConfig::Ask(config) => config.what(),
    };
    let progress = &job.progress;
    match job.state {
        State::Queued => format!("It waits for its turn: {what}."),
        State::Running => {
            let share = share(progress)
                .map(|share| format!(", {}", percent(share)))
                .unwrap_or_default();
            let rate = match progress.rate {
                rate if rate > 0.0 => format!(" at {} {} per second", number(rate), progress.unit),
                _ => String::new(),
            };
            let left = seconds_left(progress)
                .map(|left| format!(", about {} left", duration(left)))
                .unwrap_or_default();
            format!("{what}: {}{share}{rate}{left}.", progress.stage)
        }
        State::Done => match job.started.zip(job.finished) {
            Some((from, to)) if matches!(job.config, JobConfig::Ask(_)) => {
                format!("Answered in {}, at {}: {what}.", duration((to - from) as f64), time(to))
            }
            Some((from, to)) => format!("Done: {what} in {}, at {}.", duration((to - from) as f64), time(to)),
            None => format!("Done: {what}."),
        },
        State::Failed => format!("It stopped because of an error. {}", resumed(job)),
        State::Cancelled => format!("It was cancelled. {}", resumed(job)),
    }
}
