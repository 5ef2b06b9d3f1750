//! `/pareto?model=…&at=…&x=…&y=…`: which dictionary explains more of the model with fewer active features.

use api::ParetoView;
use leptos::{either::Either, prelude::*};
use leptos_router::{
    NavigateOptions,
    hooks::{use_navigate, use_query_map},
    params::ParamsMap,
};

use crate::{
    client,
    components::{
        AskAll, Command, DictionaryTable, Fetched, Heading, ParetoAnswer, ParetoControls, ParetoPlot, ParetoRanking,
        SeriesFilter, Sort,
    },
    format::{count, counted},
    link,
    live::live,
};

/// The page.
#[component]
pub fn Pareto() -> impl IntoView {
    let (live, params) = (live(), use_query_map());
    let query = Memo::new(move |_| params.with(link::pareto_query));
    let answered = Resource::new(
        move || (query.get(), live.version()),
        |(query, _)| async move { client::pareto(&query?).await },
    );
    view! { <Fetched resource=answered let:data><Content data params /></Fetched> }
}

#[component]
fn Content(data: Memo<ParetoView>, params: Memo<ParamsMap>) -> impl IntoView {
    let is_empty = Memo::new(move |_| data.with(|data| data.series.is_empty()));
    view! {
        <Heading title="Pareto" place=Signal::derive(move || data.with(place))
            question="Which dictionary explains more of the model with fewer active features?">
            <ParetoAnswer view=data />
        </Heading>
        {move || match is_empty.get() {
            true => Either::Left(view! { <Empty params /> }),
            false => Either::Right(view! { <Comparison data params /> }),
        }}
    }
    .into_any()
}

#[component]
fn Empty(params: Memo<ParamsMap>) -> impl IntoView {
    let is_filtered = move || params.with(|params| params.get("sweep").is_some() || params.get("at").is_some());
    view! {
        <p class="next">
            <a class="button primary" href="/train">"Train some dictionaries"</a>
            {move || is_filtered().then(|| view! { <a class="button" href="/pareto">"Show what is there"</a> })}
        </p>
    }
}

#[component]
fn Comparison(data: Memo<ParetoView>, params: Memo<ParamsMap>) -> impl IntoView {
    let navigate = use_navigate();
    let change = Callback::new(move |changes: Vec<(&'static str, Option<String>)>| {
        let to = params.with_untracked(|params| link::changed("/pareto", params, &changes));
        navigate(
            &to,
            NavigateOptions {
                scroll: false,
                resolve: false,
                ..Default::default()
            },
        );
    });
    let layer = Memo::new(move |_| {
        let named = params.with(|params| params.get("layer"))?;
        api::metric(&named)
            .filter(|metric| metric.by_layer)
            .map(|metric| metric.name.to_string())
    });
    let sort = Memo::new(move |_| {
        params.with(|params| Sort {
            by: params.get("sort").unwrap_or_else(|| "id".into()),
            descending: params.get("desc").is_some_and(|desc| desc == "true"),
        })
    });
    let on_sort = Callback::new(move |sort: Sort| {
        change.run(vec![
            ("sort", Some(sort.by)),
            ("desc", sort.descending.then(|| "true".to_string())),
        ]);
    });
    let axes = Memo::new(move |_| data.with(|data| (axis(&data.query.x, "l0"), axis(&data.query.y, "ce_increase"))));
    view! {
        <div class="sheet">
            <ParetoControls view=data layer change />
            <ParetoPlot view=data layer />
            <SeriesFilter view=data change />
        </div>
        <ParetoRanking view=data />
        <h2>"Dictionaries"</h2>
        <AskAll dictionaries=Signal::derive(move || data.with(|data| data.dictionaries.iter().map(|d| d.id).collect::<Vec<_>>())) />
        <DictionaryTable dictionaries=Signal::derive(move || data.with(|data| data.dictionaries.clone())) axes sort on_sort />
        <section aria-labelledby="command">
            <h3 id="command">"The same from the command line"</h3>
            <Command text=Signal::derive(move || data.with(|data| data.query.command("pareto.svg"))) />
        </section>
    }
    .into_any()
}

fn axis(named: &Option<String>, default: &str) -> String {
    named.clone().unwrap_or_else(|| default.into())
}

/// Model, hook point, how many dictionaries, and how much text stands behind their numbers.
fn place(view: &ParetoView) -> String {
    let (Some(model), Some(at)) = (&view.query.model, view.query.at) else {
        return "Pareto".into();
    };
    let measured = view
        .dictionaries
        .iter()
        .flat_map(|d| &d.metrics)
        .find(|m| m.name == "ce_increase")
        .map(|m| m.n_tokens);
    let tokens = measured
        .map(|n| {
            format!(
                " · {} tokens of {}",
                count(n),
                view.query.evaluated_on.unwrap_or_default().text()
            )
        })
        .unwrap_or_default();
    format!("{model} · {at} · {}{tokens}", counted(view.dictionaries.len(), "dictionary"))
}
