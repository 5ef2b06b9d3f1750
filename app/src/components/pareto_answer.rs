//! The Pareto page's answer, in words, whatever its sign.

use api::{MetricDefinition, ParetoSummary, ParetoView};
use leptos::prelude::*;

use crate::{
    format::{counted, number, percent},
    link,
};

/// Each objective against local, at equal x over the range they share.
#[component]
pub fn ParetoAnswer(
    /// What the server answered.
    #[prop(into)]
    view: Signal<ParetoView>,
) -> impl IntoView {
    view! {
        <span data-testid="pareto-summary">{move || view.with(sentence)}</span>
        " "
        <a href=link::SUMMARY_METHOD>"How this is computed"</a>
    }
}

fn metric(name: &Option<String>, default: &str) -> Option<&'static MetricDefinition> {
    api::metric(name.as_deref().unwrap_or(default))
}

fn sentence(view: &ParetoView) -> String {
    let (x, y) = (metric(&view.query.x, "l0"), metric(&view.query.y, "ce_increase"));
    let (x, y) = (x.map_or("x", |m| m.label), y.map_or("y", |m| m.label));
    let objectives: std::collections::BTreeSet<_> = view.dictionaries.iter().map(|d| d.config.objective.kind()).collect();
    if view.summary.is_empty() {
        return match objectives.len() {
            0 => "No dictionary is here yet.".into(),
            1 => "Only one objective is here, so there is nothing to compare.".into(),
            _ => format!("There is no range of {x} over which local and another objective both have a {y} that can be compared."),
        };
    }
    let parts: Vec<String> = view
        .summary
        .iter()
        .enumerate()
        .map(|(i, part)| one(part, i == 0, y))
        .collect();
    format!("At equal {x}, {}.", parts.join("; "))
}

fn one(part: &ParetoSummary, is_first: bool, y: &str) -> String {
    let seeds = match part.interval {
        Some((low, high)) => format!(
            "95 % interval {} to {}, {}",
            percent(low),
            percent(high),
            counted(part.n_seeds, "seed")
        ),
        None if part.n_seeds == 1 => "one seed, so no interval".into(),
        None => format!("{}, no interval", counted(part.n_seeds, "seed")),
    };
    let (low, high) = part.range;
    let ratio = if part.ratio < 0.1 {
        format!("{} %", number(100.0 * part.ratio))
    } else {
        percent(part.ratio)
    };
    let of = if is_first { format!(" of local's {y}") } else { String::new() };
    format!(
        "{} has {ratio}{of} (over {} to {}; {seeds})",
        part.objective,
        number(low),
        number(high)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_says_what_stands_behind_it() {
        let mut part = ParetoSummary {
            objective: api::ObjectiveKind::E2e,
            ratio: 0.42,
            interval: Some((0.38, 0.47)),
            range: (20.4, 180.0),
            n_seeds: 3,
        };
        let text = "e2e has 42 % of local's CE increase (over 20.4 to 180; 95 % interval 38 % to 47 %, 3 seeds)";
        assert_eq!(one(&part, true, "CE increase"), text);
        part = ParetoSummary {
            interval: None,
            n_seeds: 1,
            ratio: 1.5,
            ..part
        };
        assert_eq!(
            one(&part, false, "CE increase"),
            "e2e has 150 % (over 20.4 to 180; one seed, so no interval)"
        );
    }
}
