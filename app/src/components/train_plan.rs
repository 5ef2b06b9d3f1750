//! What the Train form's values come to: how many dictionaries and steps, the defaults, the command, the start.

use api::{ApiError, ResolvedSweep};
use leptos::prelude::*;

use super::Command;
use crate::format::{count, counted};

/// The plan and its button.
#[component]
pub fn TrainPlan(
    /// What the values come to; none while it is asked.
    #[prop(into)]
    plan: Signal<Option<Result<ResolvedSweep, ApiError>>>,
    /// Whether it is being started.
    #[prop(into)]
    starting: Signal<bool>,
    /// What went wrong when it was started.
    #[prop(into)]
    failure: Signal<Option<ApiError>>,
) -> impl IntoView {
    let resolved = Memo::new(move |before: Option<&Option<ResolvedSweep>>| match plan.get() {
        // the last plan stays while a new one is asked for, so that nothing jumps
        None => before.cloned().flatten(),
        Some(answer) => answer.ok(),
    });
    let problem = Memo::new(move |_| failure.get().or_else(|| plan.get().and_then(Result::err)));
    view! {
        <div class="plan sheet">
            <h2>"What it comes to"</h2>
            <p class="plan-size" role="status">
                {move || resolved.with(|resolved| resolved.as_ref().map_or_else(|| "Not clear yet.".into(), size))}
            </p>
            <p class="problem" role="alert" data-testid="train-problem">
                {move || problem.get().map(|problem| problem.message)}
            </p>
            <button type="submit" class="primary" data-testid="train-submit"
                disabled=move || starting.get() || resolved.with(Option::is_none)>
                {move || if starting.get() { "Starting…" } else { "Start training" }}
            </button>
            {move || resolved.get().map(|resolved| view! { <Details resolved /> })}
        </div>
    }
    .into_any()
}

fn size(resolved: &ResolvedSweep) -> String {
    let dictionaries: usize = resolved.runs.iter().map(|run| run.dictionaries.len()).sum();
    let (steps, tokens) = resolved.runs.first().map_or((0, 0), |run| (run.n_steps(), run.tokens));
    let each = if resolved.runs.len() == 1 { "" } else { " each" };
    format!(
        "{} of {} in all, {} steps and {} tokens{each}.",
        counted(resolved.runs.len(), "run"),
        counted(dictionaries, "dictionary"),
        count(steps as u64),
        count(tokens)
    )
}

#[component]
fn Details(resolved: ResolvedSweep) -> impl IntoView {
    let defaults = resolved
        .defaults
        .into_iter()
        .map(|each| view! { <li><code>{each}</code></li> })
        .collect_view();
    view! {
        <h3>"Defaults that fill the rest"</h3>
        <ul class="defaults">{defaults}</ul>
        <h3>"The same from the command line"</h3>
        <Command text=resolved.command />
    }
    .into_any()
}
