//! What a dictionary is and how it was made, in words.

use api::{DictionaryInfo, Making, Origin};
use leptos::{either::Either, prelude::*};

use super::{Named, ObjectiveKey, Verification};
use crate::{
    format::{count, dial, exact, measured, number, percent, time},
    link,
};

/// The page's answer: what it costs, and how it was made.
pub fn cost_and_making(info: &DictionaryInfo) -> String {
    let measured = |name: &str| {
        let (metric, m) = (api::metric(name)?, info.measurement(name)?);
        Some((measured(metric, m.value), m))
    };
    let mut said = Vec::new();
    if let Some((increase, m)) = measured("ce_increase") {
        let sure = m
            .interval
            .map(|sure| format!(" (95 % interval {} to {})", number(sure.low), number(sure.high)));
        said.push(format!(
            "With it in place of the activation the model loses {increase} nats per token{}.",
            sure.unwrap_or_default()
        ));
    }
    if let Some((l0, _)) = measured("l0") {
        let explained = info.metric("explained_variance");
        let explained = explained.map(|share| format!(" and {} of the variance is explained", percent(share)));
        said.push(format!(
            "{l0} of its {} features fire per token{}.",
            count(info.config.d_sae as u64),
            explained.unwrap_or_default()
        ));
    }
    said.push(made(info));
    said.join(" ")
}

/// How it was made, in a sentence.
fn made(info: &DictionaryInfo) -> String {
    let config = &info.config;
    let (name, value) = config.dial();
    match (&config.origin, config.kind.name()) {
        (Origin::Fresh, kind) if kind.is_fitted() => format!("It is {kind}, a baseline that is fitted and not trained."),
        (Origin::Fresh | Origin::Matched | Origin::Finetuned { .. }, kind) => {
            let further = if config.origin.making() == Making::Finetuned {
                " further"
            } else {
                ""
            };
            format!(
                "It was trained{further} as {kind} with the objective {}, {name} {}, on {} tokens.",
                config.objective.kind(),
                exact(value),
                count(info.tokens)
            )
        }
        (Origin::Derived { from, by }, _) => format!("It is dictionary {from}, {by}."),
        (Origin::Imported { source, format, .. }, _) => format!("It was imported from {source} ({format})."),
    }
}

/// Every fact, with ways to its run and to those that it comes from or that come from it.
#[component]
pub fn DictionaryFacts(
    /// The dictionary.
    info: DictionaryInfo,
    /// Those that begin from it.
    children_of: Vec<api::DictionaryId>,
) -> impl IntoView {
    let config = &info.config;
    let row = |(name, value): (&'static str, String)| view! { <div><dt>{name}</dt><dd>{value}</dd></div> }.into_any();
    let origin = match config.origin.parent() {
        Some(parent) => {
            Either::Left(view! { {config.origin.to_string()} " " <a href=link::dictionary(&parent)>"#" {parent.to_string()}</a> })
        }
        None => Either::Right(config.origin.to_string()),
    };
    let children = (!children_of.is_empty())
        .then(|| view! { <div><dt>"made from it"</dt><dd><Named dictionaries=children_of /></dd></div> }.into_any());
    let verified = info
        .verified
        .clone()
        .map(|verified| view! { <div><dt>"stored metrics"</dt><dd><Verification verified /></dd></div> }.into_any());
    view! {
        <dl class="config facts" data-testid="dictionary-facts">
            <div><dt>"kind and objective"</dt><dd><ObjectiveKey series=config.series() /></dd></div>
            {rows(&info).into_iter().map(row).collect_view()}
            <div><dt>"began from"</dt><dd data-testid="dictionary-origin">{origin}</dd></div>
            {children}
            <div><dt>"made by"</dt><dd><a href=link::run(&info.job)>"run " {info.job.to_string()}</a></dd></div>
            {verified}
        </dl>
    }
    .into_any()
}

fn rows(info: &DictionaryInfo) -> Vec<(&'static str, String)> {
    let config = &info.config;
    let settings = config.kind.settings().into_iter().filter(|(name, _)| *name != "k");
    let settings: Vec<String> = settings.map(|(name, value)| format!("{name} {}", exact(value))).collect();
    let read_at = config.kind.read_at().map(|at| at.to_string()).unwrap_or_default();
    let trained = config.origin.is_trained() && !config.kind.name().is_fitted();
    let of_training = |text: String| if trained { text } else { String::new() };
    let mut rows = vec![
        ("features", count(config.d_sae as u64)),
        ("λ or k", dial(config)),
        ("settings", settings.join(", ")),
        ("seed", config.seed.to_string()),
        ("model", info.model.to_string()),
        ("hook point", info.at.to_string()),
        ("reads at", read_at),
        ("residual stream", info.residual.to_string()),
        ("input scale", info.input_scale.to_string()),
        ("text", info.corpus.to_string()),
        (
            "trained on",
            of_training(format!("{} tokens, {} passes", count(info.tokens), number(info.n_passes))),
        ),
        ("learning rate", of_training(exact(config.lr))),
        ("measured on", info.evaluated_on.text().to_string()),
        ("made at", time(info.created)),
        ("SHA-256", info.checksum.chars().take(16).collect()),
    ];
    rows.retain(|(_, value)| !value.is_empty());
    rows
}
