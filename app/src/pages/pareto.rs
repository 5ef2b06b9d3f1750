//! `/pareto?model=…&at=…&x=…&y=…`: which dictionary explains more of the model with fewer active features.

use std::sync::Arc;

use api::{DictionaryInfo, MetricDefinition, ParetoView};
use leptos::{either::Either, prelude::*};
use leptos_router::{
    NavigateOptions,
    hooks::{use_navigate, use_query_map},
    params::ParamsMap,
};

use crate::{
    charts::{LineChart, ScatterChart, Theme, layer_chart, pareto_chart},
    client,
    components::{Chart, DictionaryTable, Fetched, Heading, ParetoAnswer, ParetoControls, Picture, Sort, Tip},
    format::{count, counted, exact, measured, number},
    link,
    live::live,
};

/// How near the pointer has to be to a mark, in SVG user units.
const REACH: f64 = 18.0;

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
    let is_empty = Memo::new(move |_| data.with(|data| data.dictionaries.is_empty()));
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
    let draw = move |size| {
        data.with(|view| match layer.get() {
            Some(metric) => by_layer(view, &metric, size),
            None => front(view, size),
        })
    };
    view! {
        <div class="sheet">
            <ParetoControls view=data layer change />
            <Chart draw testid="pareto-plot" tip_testid="pareto-tip" />
        </div>
        <h2>"Dictionaries"</h2>
        <DictionaryTable dictionaries=Signal::derive(move || data.with(|data| data.dictionaries.clone())) axes sort on_sort />
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

fn front(view: &ParetoView, size: (u32, u32)) -> Picture {
    let chart = pareto_chart(view, size);
    let (dictionaries, axes) = (
        view.dictionaries.clone(),
        (axis(&view.query.x, "l0"), axis(&view.query.y, "ce_increase")),
    );
    Picture {
        svg: chart.svg(Theme::Page),
        hit: Arc::new(move |x, y| front_tip(&chart, &dictionaries, &axes, x, y)),
    }
}

fn front_tip(
    chart: &ScatterChart,
    dictionaries: &[DictionaryInfo],
    (x_name, y_name): &(String, String),
    x: f64,
    y: f64,
) -> Option<Tip> {
    let hit = chart.hit(x, y, REACH)?;
    let id = chart.series.get(hit.series)?.points.get(hit.point)?.id;
    let dictionary = dictionaries.iter().find(|d| d.id.0 == id)?;
    let row = |metric: &'static MetricDefinition| {
        let value = dictionary
            .metric(metric.name)
            .map_or_else(|| "not measured".into(), |value| measured(metric, value));
        (
            metric.label.to_string(),
            format!("{value} {}", metric.unit).trim().to_string(),
        )
    };
    let mut rows: Vec<_> = [x_name, y_name]
        .into_iter()
        .filter_map(|name| api::metric(name))
        .map(row)
        .collect();
    rows.push(("seed".into(), dictionary.config.seed.to_string()));
    rows.push(("run".into(), dictionary.job.to_string()));
    let (name, value) = dictionary.config.dial();
    let title = format!("#{id} {}, {name} {}", dictionary.config.series(), exact(value));
    Some(Tip {
        at: (hit.x, hit.y),
        title,
        rows,
        href: Some(link::run(&dictionary.job)),
    })
}

fn by_layer(view: &ParetoView, metric: &str, size: (u32, u32)) -> Picture {
    let chart = layer_chart(view, metric, size);
    Picture {
        svg: chart.svg(Theme::Page),
        hit: Arc::new(move |x, _| layer_tip(&chart, x)),
    }
}

fn layer_tip(chart: &LineChart, x: f64) -> Option<Tip> {
    let hit = chart.hit(x)?;
    let rows = chart
        .lines
        .iter()
        .zip(&hit.values)
        .filter_map(|(line, value)| Some((line.label.clone(), number(value.as_ref()?.1))));
    Some(Tip {
        at: (hit.px, chart.plot_area().top),
        title: format!("block {}", hit.x),
        rows: rows.take(16).collect(),
        href: None,
    })
}
