//! The Pareto page's answer, in words, whatever its sign.

use api::{AgainstLocal, KindName, MetricDefinition, ParetoSummary, ParetoView};
use leptos::{either::Either, prelude::*};

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
    let said = move || view.with(answer);
    let piece = |(is_strong, text): (bool, String)| match is_strong {
        true => Either::Left(view! { <b>{text}</b> }),
        false => Either::Right(text),
    };
    view! {
        <span data-testid="pareto-summary">{move || said().into_iter().map(piece).collect_view()}</span>
        " "
        <a href=link::SUMMARY_METHOD>"How this is computed"</a>
    }
}

/// Text in pieces, and whether a piece is what one should read first.
type Pieces = Vec<(bool, String)>;

fn metric(name: &Option<String>, default: &str) -> Option<&'static MetricDefinition> {
    api::metric(name.as_deref().unwrap_or(default))
}

fn answer(view: &ParetoView) -> Pieces {
    let (x, y) = (metric(&view.query.x, "l0"), metric(&view.query.y, "ce_increase"));
    let (Some(x), Some(y)) = (x, y) else { return Vec::new() };
    let objectives: std::collections::BTreeSet<_> = view.dictionaries.iter().map(|d| d.config.objective.kind()).collect();
    let several_kinds = view.summary.iter().any(|part| part.kind != view.summary[0].kind);
    if view.summary.is_empty() {
        let why = match objectives.len() {
            0 => "No dictionary is here yet.".into(),
            1 => "Only one objective is here, so there is nothing to compare.".into(),
            _ => format!(
                "There is no range of {} over which local and another objective both have a {} that can be compared.",
                x.label, y.label
            ),
        };
        return vec![(false, why)];
    }
    let of_kind =
        |kind: KindName| -> Vec<ParetoSummary> { view.summary.iter().filter(|part| part.kind == kind).cloned().collect() };
    let mut pieces = Vec::new();
    for (kind, parts) in KindName::ALL
        .map(|kind| (kind, of_kind(kind)))
        .into_iter()
        .filter(|(_, parts)| !parts.is_empty())
    {
        if !pieces.is_empty() {
            pieces.push((false, " ".into()));
        }
        if several_kinds || kind != KindName::Relu {
            pieces.push((true, format!("{kind}: ")));
        }
        pieces.extend(comparison(&parts, x, y));
    }
    pieces
}

/// `At equal L0 (20.4 to 180), e2e has 42 % of local's CE increase (…); e2e+ds has 47 % (…).`
fn comparison(parts: &[ParetoSummary], x: &MetricDefinition, y: &MetricDefinition) -> Pieces {
    let range = |part: &ParetoSummary| format!("{} to {}", number(part.range.0), number(part.range.1));
    let first = parts.first().map(|part| part.range);
    let is_shared = parts.iter().all(|part| Some(part.range) == first);
    let mut pieces = vec![(
        false,
        match parts.first().filter(|_| is_shared) {
            Some(part) => format!("At equal {} ({}), ", x.label, range(part)),
            None => format!("At equal {}, ", x.label),
        },
    )];
    let mut said_of_what = false;
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            pieces.push((false, "; ".into()));
        }
        let finding = match part.against {
            AgainstLocal::Ratio if said_of_what => format!("{} has {}", part.objective, share(part.value)),
            AgainstLocal::Ratio => format!("{} has {} of local's {}", part.objective, share(part.value), y.label),
            AgainstLocal::Difference => format!("{}'s {} is {}", part.objective, y.label, apart(part.value, y.unit)),
        };
        said_of_what |= part.against == AgainstLocal::Ratio;
        pieces.push((true, finding));
        let mut behind = Vec::new();
        if !is_shared {
            behind.push(format!("{} {}", x.label, range(part)));
        }
        behind.push(seeds(part));
        pieces.push((false, format!(" ({})", behind.join("; "))));
    }
    pieces.push((false, ".".into()));
    pieces
}

/// A ratio in percent.
fn share(ratio: f64) -> String {
    if ratio < 0.1 {
        format!("{} %", number(100.0 * ratio))
    } else {
        percent(ratio)
    }
}

/// How far from local's, and on which side.
fn apart(difference: f64, unit: &str) -> String {
    let size = format!("{} {unit}", number(difference.abs()));
    match difference {
        d if d < 0.0 => format!("{} below local's", size.trim_end()),
        d if d > 0.0 => format!("{} above local's", size.trim_end()),
        _ => "the same as local's".into(),
    }
}

/// The interval, and how many seeds stand behind it.
fn seeds(part: &ParetoSummary) -> String {
    let n = counted(part.n_seeds, "seed");
    match (part.interval, part.against) {
        (Some((low, high)), AgainstLocal::Ratio) => format!("95 % interval {} to {}, {n}", percent(low), percent(high)),
        (Some((low, high)), AgainstLocal::Difference) => {
            format!("95 % interval of the difference {} to {}, {n}", number(low), number(high))
        }
        (None, _) if part.n_seeds == 1 => "one seed, so no interval".into(),
        (None, _) => format!("{n}, no interval"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::ObjectiveKind::{E2e, E2eDs};

    fn part(objective: api::ObjectiveKind, against: AgainstLocal, value: f64) -> ParetoSummary {
        ParetoSummary {
            kind: KindName::Relu,
            objective,
            against,
            value,
            interval: None,
            range: (20.4, 180.0),
            n_seeds: 1,
        }
    }

    fn said(parts: &[ParetoSummary]) -> String {
        let metric = |name| api::metric(name).unwrap();
        comparison(parts, metric("l0"), metric("ce_increase"))
            .into_iter()
            .map(|(_, text)| text)
            .collect()
    }

    #[test]
    fn the_sentence_says_what_stands_behind_it() {
        let mut parts = [part(E2e, AgainstLocal::Ratio, 0.42), part(E2eDs, AgainstLocal::Ratio, 1.5)];
        (parts[0].interval, parts[0].n_seeds) = (Some((0.38, 0.47)), 3);
        assert_eq!(
            said(&parts),
            "At equal L0 (20.4 to 180), e2e has 42 % of local's CE increase (95 % interval 38 % to 47 %, 3 seeds); \
             e2e+ds has 150 % (one seed, so no interval)."
        );
        parts[1].range = (30.0, 180.0);
        assert!(said(&parts).starts_with("At equal L0, e2e has 42 % of local's CE increase (L0 20.4 to 180; 95 %"));
    }

    #[test]
    fn a_difference_says_its_side_and_unit_and_never_a_negative_share() {
        let mut parts = [
            part(E2e, AgainstLocal::Difference, -0.0123),
            part(E2eDs, AgainstLocal::Ratio, 0.5),
        ];
        (parts[0].interval, parts[0].n_seeds) = (Some((-0.02, 0.001)), 2);
        assert_eq!(
            said(&parts),
            "At equal L0 (20.4 to 180), e2e's CE increase is 0.0123 nats per token below local's \
             (95 % interval of the difference −0.0200 to 0.00100, 2 seeds); \
             e2e+ds has 50 % of local's CE increase (one seed, so no interval)."
        );
        assert!(said(&[part(E2e, AgainstLocal::Difference, 0.5)]).contains("is 0.500 nats per token above local's"));
        assert!(said(&[part(E2e, AgainstLocal::Difference, 0.0)]).contains("is the same as local's"));
    }
}
