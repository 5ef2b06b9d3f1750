//! `/train?model=…&corpus=…&at=…`: the form that starts a run or a sweep. Its values are the URL's parameters.

use std::time::Duration;

use api::{ApiError, CorpusInfo, ModelInfo, ResolvedSweep};
use leptos::{ev::SubmitEvent, prelude::*, task::spawn_local};
use leptos_router::{
    NavigateOptions,
    hooks::{use_navigate, use_query_map},
    params::ParamsMap,
};
use serde::{Deserialize, Serialize};

use crate::{
    client::{self, Answer},
    components::{Fetched, FormState, Heading, TrainFields, TrainPlan},
    link,
    live::live,
    train_form::{Values, prefill, request},
};

/// What the form begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Start {
    models: Vec<ModelInfo>,
    corpora: Vec<CorpusInfo>,
    values: Values,
    plan: Answer<ResolvedSweep>,
}

async fn start(mut values: Values) -> Answer<Start> {
    let registry = client::overview().await?;
    let (models, corpora) = (registry.models, registry.corpora);
    prefill(&mut values, &models, &corpora);
    let plan = resolve(&values).await;
    Ok(Start {
        models,
        corpora,
        values,
        plan,
    })
}

async fn resolve(values: &Values) -> Answer<ResolvedSweep> {
    client::resolve(&request(values)?).await
}

fn from_url(params: &ParamsMap) -> Values {
    params
        .latest_values()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

fn to_url(values: &Values) -> String {
    let mut params = ParamsMap::new();
    for (name, value) in values {
        params.insert(name.clone(), value.clone());
    }
    format!("/train{}", params.to_query_string())
}

/// The page.
#[component]
pub fn Train() -> impl IntoView {
    let (live, params) = (live(), use_query_map());
    // the URL is read when the page opens; from then on the form writes it
    let begin = Resource::new(move || live.version(), move |_| start(params.with_untracked(from_url)));
    view! { <Fetched resource=begin let:data><Content data /></Fetched> }
}

#[component]
fn Content(data: Memo<Start>) -> impl IntoView {
    let missing = Memo::new(move |_| data.with(|data| (data.models.is_empty(), data.corpora.is_empty())));
    let nothing = move || match missing.get() {
        (false, false) => None,
        (true, true) => Some("It needs a language model and a text corpus"),
        (true, false) => Some("It needs a language model"),
        (false, true) => Some("It needs a text corpus"),
    };
    view! {
        <Heading title="Train" question="What should the dictionaries learn to explain?">
            "Every objective is trained at each number of features per token, all at one hook point and from one pass over the text. \
            What is left empty takes the default that its field shows."
        </Heading>
        {move || match nothing() {
            Some(what) => {
                view! {
                    <p class="next">
                        {what} " first. " <a class="button primary" href="/">"Add it on the overview"</a>
                    </p>
                }
                    .into_any()
            }
            None => view! { <Form data /> }.into_any(),
        }}
    }
    .into_any()
}

#[component]
fn Form(data: Memo<Start>) -> impl IntoView {
    let first = data.get_untracked();
    let values = RwSignal::new(first.values);
    let plan = RwSignal::new(Some(first.plan));
    let failure = RwSignal::new(None::<ApiError>);
    let starting = RwSignal::new(false);
    let problem = Signal::derive(move || failure.get().or_else(|| plan.get().and_then(Result::err)));
    let form = FormState { values, problem };

    follow(values, plan, failure);
    let defaults = defaults(plan.into());

    let navigate = use_navigate();
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let navigate = navigate.clone();
        starting.set(true);
        spawn_local(async move {
            let asked = request(&values.get_untracked());
            let started = match asked {
                Ok(asked) => client::start_sweep(&asked).await,
                Err(problem) => Err(problem),
            };
            starting.set(false);
            match started.as_deref() {
                Ok([job]) => navigate(&link::run(job), Default::default()),
                Ok(_) => navigate("/runs", Default::default()),
                Err(problem) => failure.set(Some(problem.clone())),
            }
        });
    };
    view! {
        <form class="train row" on:submit=submit>
            <div class="train-fields grow">
                <TrainFields
                    form
                    models=Signal::derive(move || data.with(|data| data.models.clone()))
                    corpora=Signal::derive(move || data.with(|data| data.corpora.clone()))
                    defaults
                />
            </div>
            <TrainPlan plan starting failure />
        </form>
    }
    .into_any()
}

/// Keeps URL and plan with the values: a third of a second after the last key the server says what they come to.
fn follow(values: RwSignal<Values>, plan: RwSignal<Option<Answer<ResolvedSweep>>>, failure: RwSignal<Option<ApiError>>) {
    let navigate = use_navigate();
    Effect::new(move |before: Option<Values>| {
        let now = values.get();
        if before.as_ref().is_some_and(|before| *before != now) {
            failure.set(None);
            let (asked, navigate) = (now.clone(), navigate.clone());
            let wait = set_timeout_with_handle(
                move || {
                    let options = NavigateOptions {
                        replace: true,
                        scroll: false,
                        resolve: false,
                        ..Default::default()
                    };
                    navigate(&to_url(&asked), options);
                    spawn_local(async move {
                        let answer = resolve(&asked).await;
                        if values.with_untracked(|values| *values == asked) {
                            plan.set(Some(answer));
                        }
                    });
                },
                Duration::from_millis(300),
            );
            if let Ok(wait) = wait {
                on_cleanup(move || wait.clear());
            }
        }
        now
    });
}

/// The default of each field, as the plan says it; the last that was known while something is wrong.
fn defaults(plan: Signal<Option<Answer<ResolvedSweep>>>) -> Callback<&'static str, String> {
    let known = Memo::new(move |before: Option<&Vec<String>>| match plan.get() {
        Some(Ok(resolved)) => resolved.defaults,
        _ => before.cloned().unwrap_or_default(),
    });
    Callback::new(move |name: &'static str| {
        let asked = if name == "seeds" { "seed" } else { name };
        known.with(|known| {
            let mut pairs = known.iter().filter_map(|each| each.split_once(" = "));
            pairs
                .find(|(field, _)| *field == asked)
                .map_or_else(String::new, |(_, value)| value.to_string())
        })
    })
}
