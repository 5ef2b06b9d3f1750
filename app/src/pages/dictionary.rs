//! `/dictionaries/{id}`: what a dictionary costs the model, how it was made, and what can be asked of it.

use api::{DictionaryId, DictionaryInfo, ErrorKind, HookPoint, Job, ModelId, ModelInfo, ParetoQuery};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use serde::{Deserialize, Serialize};

use crate::{
    client::{self, Answer},
    components::{
        AskCompare, AskProbe, AskTokens, DensityChart, DeriveForm, DictionaryFacts, DictionaryMetrics, Fetched, FindingList,
        Heading, Other, cost_and_making,
    },
    format::dial,
    link,
    live::live,
};

/// Another dictionary, as far as this page needs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kin {
    id: DictionaryId,
    name: String,
    place: (ModelId, HookPoint),
    width: Option<usize>,
    parent: Option<DictionaryId>,
}

/// What the page begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Start {
    info: DictionaryInfo,
    /// The run that made it.
    run: Job,
    /// The stories and the seed that its known features were measured with.
    stories: Option<(u64, u64)>,
    kin: Vec<Kin>,
}

async fn start(id: Answer<i64>) -> Answer<Start> {
    let id = id?;
    let info = client::dictionary(id).await?;
    let run = client::job(info.job.0).await?;
    let is_known = info.metrics.iter().any(|m| m.name.starts_with("known_"));
    let stories = match is_known {
        // asked only where it is there: a browser says aloud what it did not find
        true => match client::known(id).await {
            Ok(known) => Some((known.n_stories, known.seed)),
            Err(error) if error.kind == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        },
        false => None,
    };
    let models = client::models().await?;
    let kin = client::dictionaries()
        .await?
        .into_iter()
        .map(|other| kin(other, &models))
        .collect();
    Ok(Start { info, run, stories, kin })
}

fn kin(info: DictionaryInfo, models: &[ModelInfo]) -> Kin {
    let model = models.iter().find(|model| model.id == info.model);
    Kin {
        id: info.id,
        name: format!("#{} {}, {}", info.id, info.config.series(), dial(&info.config)),
        width: model.and_then(|model| model.width(info.at)),
        parent: info.config.origin.parent(),
        place: (info.model, info.at),
    }
}

/// The page.
#[component]
pub fn Dictionary() -> impl IntoView {
    let (live, params) = (live(), use_params_map());
    let id = Memo::new(move |_| params.with(|params| link::number(params, "dictionary")));
    let begin = Resource::new(move || (id.get(), live.version()), |(id, _)| start(id));
    view! { <Fetched resource=begin let:data><Content data /></Fetched> }
}

#[component]
fn Content(data: Memo<Start>) -> impl IntoView {
    let title = Signal::derive(move || data.with(|data| format!("Dictionary {}", data.info.id)));
    let place = Signal::derive(move || {
        data.with(|Start { info, .. }| {
            format!(
                "dictionary {} · {} · {} · {}",
                info.id,
                info.model,
                info.at,
                info.config.series()
            )
        })
    });
    view! {
        <Heading title place question="What does this dictionary cost the model, and how was it made?">
            {move || data.with(|data| cost_and_making(&data.info))}
        </Heading>
        {move || view! { <Facts start=data.get() /> }}
        <Asks data />
    }
    .into_any()
}

/// What it is, and what was measured.
#[component]
fn Facts(start: Start) -> impl IntoView {
    let Start { info, stories, kin, .. } = start;
    let id = info.id;
    let children_of: Vec<DictionaryId> = kin
        .iter()
        .filter(|other| other.parent == Some(id))
        .map(|other| other.id)
        .collect();
    let density = info.density.clone().map(|density| {
        view! {
            <section class="grow" aria-labelledby="density">
                <h2 id="density">"How often its features fire"</h2>
                <DensityChart density />
            </section>
        }
        .into_any()
    });
    let found = (!info.findings.is_empty()).then(|| {
        view! {
            <section aria-labelledby="found">
                <h2 id="found">"What its run found wrong, and what to try"</h2>
                <FindingList findings=info.findings.clone() />
            </section>
        }
        .into_any()
    });
    let null = link::random_null(&info);
    let further = (!info.config.kind.name().is_fitted()).then(|| link::train_further(&info));
    let query = ParetoQuery {
        model: Some(info.model.clone()),
        at: Some(info.at),
        evaluated_on: Some(info.evaluated_on),
        ..ParetoQuery::default()
    };
    view! {
        <p class="next">
            <a class="button" href=link::pareto(&query)>"Compare on the Pareto page"</a>
            <a class="button" href=link::run(&info.job)>"Its run"</a>
            <a class="button" href="#ask">"Ask something of it"</a>
            {further.map(|href| view! { <a class="button" href=href>"Train it further"</a> })}
            {null.map(|href| view! { <a class="button" href=href>"A random null of it"</a> })}
        </p>
        {found}
        <div class="row">
            <section class="grow" aria-labelledby="facts">
                <h2 id="facts">"What it is"</h2>
                <DictionaryFacts info=info.clone() children_of />
            </section>
            {density}
        </div>
        <section aria-labelledby="measured">
            <h2 id="measured">"What was measured"</h2>
            <DictionaryMetrics info=info.clone() stories />
        </section>
    }
    .into_any()
}

/// The forms. They stay while what is known of the dictionary changes, so that what is typed in them does too; another number is
/// another dictionary.
#[component]
fn Asks(data: Memo<Start>) -> impl IntoView {
    let id = Memo::new(move |_| data.with(|data| data.info.id));
    let others = Memo::new(move |_| data.with(|data| others(&data.kin, &data.info)));
    let derive = move || {
        data.with_untracked(|Start { info, run, .. }| {
            let config = run.config.training().cloned();
            config.map(|config| view! { <DeriveForm info=info.clone() config /> })
        })
    };
    view! {
        <section aria-labelledby="ask">
            <h2 id="ask">"What can be asked of it"</h2>
            {move || {
                let id = id.get();
                view! {
                    <div class="asks">
                        <AskTokens id />
                        <AskCompare id others />
                        <AskProbe id />
                        {derive()}
                        <Exports id />
                    </div>
                }
                .into_any()
            }}
        </section>
    }
    .into_any()
}

/// Those whose directions can be compared with this one's: those in its place first.
fn others(kin: &[Kin], info: &DictionaryInfo) -> Vec<Other> {
    let width = kin.iter().find(|own| own.id == info.id).and_then(|own| own.width);
    let place = (info.model.clone(), info.at);
    let comparable = kin.iter().filter(|other| other.id != info.id && other.width == width);
    let (here, elsewhere): (Vec<&Kin>, Vec<&Kin>) = comparable.partition(|other| other.place == place);
    let named = here.into_iter().map(|other| (other.id, other.name.clone()));
    let placed = elsewhere.into_iter().map(|other| {
        let (model, at) = &other.place;
        (other.id, format!("{} · {model} · {at}", other.name))
    });
    named.chain(placed).collect()
}

/// The dictionary in other tools' files.
#[component]
fn Exports(id: DictionaryId) -> impl IntoView {
    let file = |(format, name): (&'static str, &'static str)| {
        view! {
            // a file, not a page of this site's
            <a class="button" href=client::export_file(&id, format) rel="external" download="" data-testid=format!("export-{format}")>{name}</a>
        }
    };
    let files = [
        ("saelens", "SAELens"),
        ("dictionary_learning", "dictionary_learning"),
        ("sparsify", "sparsify"),
        ("openai", "OpenAI"),
        ("gemma_scope", "Gemma Scope"),
        ("e2e_sae", "e2e_sae"),
        ("sparse_coding", "sparse_coding"),
    ];
    view! {
        <div class="sheet job-form">
            <h3>"Export"</h3>
            <p class="hint">"As a zip archive of the tool's own files. Activations come out in the model's units: a scale of the input is folded in."</p>
            <p class="next">{files.map(file).into_iter().collect_view()}</p>
            <p class="hint">"Which formats can say which kinds: docs/METHODS.md, Files of other tools. A kind that cannot be said is refused."</p>
        </div>
    }
    .into_any()
}
