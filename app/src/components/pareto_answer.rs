//! The Pareto page's answer, in words, whatever its sign.

use api::{Against, AtEqual, Direction, KindName, MetricDefinition, ParetoRank, ParetoRanking, ParetoSummary, ParetoView};
use leptos::{either::Either, prelude::*};

use super::pareto_ranking::{interval, range, said};
use crate::{
    format::{counted, number, percent, percent_of, share_of},
    link,
};

/// Series that are named after the best one.
const N_NEXT: usize = 2;

/// Which series is the best at equal x; where one kind's objectives are here, each against local over the range they share.
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

fn answer(view: &ParetoView) -> Pieces {
    let Some((x, y)) = view.query.axes() else { return Vec::new() };
    if view.dictionaries.is_empty() && !view.series.is_empty() {
        return vec![(
            false,
            format!("All {} here are hidden.", counted(view.series.len(), "series")),
        )];
    }
    if let Some(ranking) = &view.ranking {
        return ranked(view, ranking, x, y);
    }
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

/// `At equal L0, gated e2e has the lowest CE increase: 37 % of relu local's (…). Next come gated local with 56 % and relu e2e with 60 %.`
fn ranked(view: &ParetoView, ranking: &ParetoRanking, x: &MetricDefinition, y: &MetricDefinition) -> Pieces {
    let name = |series| view.name(series).replace(", ", " ");
    let reference = name(ranking.reference);
    let is_placed = |rank: &&ParetoRank| rank.found.is_some() || rank.series == ranking.reference;
    let (placed, apart): (Vec<&ParetoRank>, Vec<&ParetoRank>) = ranking.ranks.iter().partition(is_placed);
    let [best, next @ ..] = &placed[..] else {
        return vec![(
            false,
            format!("{reference} has no {} that others could be held against.", y.label),
        )];
    };
    if next.is_empty() {
        let why = format!(
            "No other series has dictionaries at the {} of {reference}, so there is nothing to compare.",
            x.label
        );
        return vec![(false, why)];
    }
    let most = match y.direction {
        Direction::HigherIsBetter => "highest",
        _ => "lowest",
    };
    let claim = format!("{} has the {most} {}", name(best.series), y.label);
    let mut pieces = vec![(false, format!("At equal {}, ", x.label))];
    match &best.found {
        Some(found) => {
            pieces.push((true, format!("{claim}: {}", held(found, &reference, y))));
            pieces.push((false, format!(" ({} {}{})", x.label, range(found.range), behind(found))));
        }
        None => pieces.push((true, claim)),
    }
    let also = next.iter().filter(|rank| rank.series != ranking.reference).take(N_NEXT);
    let also: Vec<String> = also
        .filter_map(|rank| Some(format!("{} with {}", name(rank.series), said(rank.found.as_ref()?, y.unit))))
        .collect();
    if !also.is_empty() {
        let verb = if also.len() == 1 { "comes" } else { "come" };
        let of = if best.found.is_none() {
            format!(" of {reference}'s")
        } else {
            String::new()
        };
        pieces.push((false, format!(". Next {verb} {}{of}", also.join(" and "))));
    }
    pieces.push((false, ".".into()));
    if !apart.is_empty() {
        let n = counted(apart.len(), "series");
        pieces.push((
            false,
            format!(
                " {n} {} no {} in common with {reference}.",
                if apart.len() == 1 { "has" } else { "have" },
                x.label
            ),
        ));
    }
    pieces
}

/// `37 % of relu local's`, `0.0123 nats per token below relu local's`.
fn held(found: &AtEqual, reference: &str, y: &MetricDefinition) -> String {
    match found.against {
        Against::Ratio => share_of(found.value, reference),
        Against::Difference => {
            let side = if found.value < 0.0 { "below" } else { "above" };
            let size = format!("{} {}", number(found.value.abs()), y.unit);
            format!("{} {side} {reference}'s", size.trim_end())
        }
    }
}

/// The interval, whether it leaves the order open, and the seeds behind it.
fn behind(found: &AtEqual) -> String {
    let n = counted(found.n_seeds, "seed");
    let equal = match found.against {
        Against::Ratio => 1.0,
        Against::Difference => 0.0,
    };
    match (found.interval, interval(found)) {
        (Some((low, high)), Some(words)) if low <= equal && equal <= high => {
            format!("; 95 % interval {words}, so it may be chance; {n}")
        }
        (Some(_), Some(words)) => format!("; 95 % interval {words}, {n}"),
        _ if found.n_seeds == 1 => "; one seed, so no interval".into(),
        _ => format!("; {n}, no interval"),
    }
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
            Against::Ratio if said_of_what => format!("{} has {}", part.objective, percent_of(part.value)),
            Against::Ratio => format!("{} has {} {}", part.objective, share_of(part.value, "local"), y.label),
            Against::Difference => format!("{}'s {} is {}", part.objective, y.label, apart(part.value, y.unit)),
        };
        said_of_what |= part.against == Against::Ratio;
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
        (Some((low, high)), Against::Ratio) => format!("95 % interval {} to {}, {n}", percent(low), percent(high)),
        (Some((low, high)), Against::Difference) => {
            format!("95 % interval of the difference {} to {}, {n}", number(low), number(high))
        }
        (None, _) if part.n_seeds == 1 => "one seed, so no interval".into(),
        (None, _) => format!("{n}, no interval"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::{
        DictionaryId,
        ObjectiveKind::{E2e, E2eDs},
        ParetoSeries, SeriesKey,
    };

    fn part(objective: api::ObjectiveKind, against: Against, value: f64) -> ParetoSummary {
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
        let mut parts = [part(E2e, Against::Ratio, 0.42), part(E2eDs, Against::Ratio, 1.5)];
        (parts[0].interval, parts[0].n_seeds) = (Some((0.38, 0.47)), 3);
        assert_eq!(
            said(&parts),
            "At equal L0 (20.4 to 180), e2e has 42 % of local's CE increase (95 % interval 38 % to 47 %, 3 seeds); \
             e2e+ds has 150 % (one seed, so no interval)."
        );
        parts[1].range = (30.0, 180.0);
        assert!(said(&parts).starts_with("At equal L0, e2e has 42 % of local's CE increase (L0 20.4 to 180; 95 %"));
    }

    /// Series with a value against the first of them, in order.
    fn ranking(ranks: &[(&str, Option<AtEqual>)], reference: &str) -> (ParetoView, ParetoRanking) {
        let series = |key: &str| key.parse::<SeriesKey>().unwrap().0;
        let rank = |(key, found): &(&str, Option<AtEqual>)| ParetoRank {
            series: series(key),
            dictionaries: vec![DictionaryId(1)],
            n_seeds: 1,
            range: (5.0, 30.0),
            found: *found,
        };
        let view = ParetoView {
            query: Default::default(),
            choices: Vec::new(),
            sweeps: Vec::new(),
            series: ranks
                .iter()
                .map(|(key, _)| ParetoSeries {
                    series: series(key),
                    n: 1,
                    shown: true,
                })
                .collect(),
            dictionaries: Vec::new(),
            fronts: Vec::new(),
            summary: Vec::new(),
            ranking: None,
        };
        let ranking = ParetoRanking {
            reference: series(reference),
            ranks: ranks.iter().map(rank).collect(),
        };
        (view, ranking)
    }

    fn found(against: Against, value: f64, interval: Option<(f64, f64)>) -> Option<AtEqual> {
        Some(AtEqual {
            against,
            value,
            interval,
            range: (6.7, 19.9),
            n_seeds: if interval.is_some() { 3 } else { 1 },
        })
    }

    fn said_of(ranks: &[(&str, Option<AtEqual>)]) -> String {
        let (view, ranking) = ranking(ranks, "relu.local");
        let metric = |name| api::metric(name).unwrap();
        let pieces = ranked(&view, &ranking, metric("l0"), metric("ce_increase"));
        pieces.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn the_best_of_several_kinds_comes_first() {
        let ratio = |value| found(Against::Ratio, value, None);
        assert_eq!(
            said_of(&[
                ("gated.e2e", found(Against::Ratio, 0.37, Some((0.32, 0.42)))),
                ("gated.local", ratio(0.56)),
                ("jumprelu.local.pruned", ratio(0.6)),
                ("relu.local", None),
                ("ica", ratio(8.0)),
                ("identity", None),
            ]),
            "At equal L0, gated e2e has the lowest CE increase: 37 % of relu local's (L0 6.70 to 19.9; 95 % interval 32 % to 42 %, 3 seeds). \
             Next come gated local with 56 % and jumprelu local pruned with 60 %. 1 series has no L0 in common with relu local."
        );
        assert_eq!(
            said_of(&[("relu.local", None), ("ica", ratio(1.5))]),
            "At equal L0, relu local has the lowest CE increase. Next comes ica with 150 % of relu local's."
        );
        assert!(
            said_of(&[
                ("gated.e2e", found(Against::Ratio, 0.9, Some((0.7, 1.1)))),
                ("relu.local", None)
            ])
            .contains("may be chance")
        );
        assert!(
            said_of(&[("identity", found(Against::Difference, -0.25, None)), ("relu.local", None)]).contains(
                "identity has the lowest CE increase: 0.250 nats per token below relu local's (L0 6.70 to 19.9; one seed"
            )
        );
        assert!(said_of(&[("relu.local", None), ("ica", None)]).contains("nothing to compare"));
    }

    #[test]
    fn a_difference_says_its_side_and_unit_and_never_a_negative_share() {
        let mut parts = [part(E2e, Against::Difference, -0.0123), part(E2eDs, Against::Ratio, 0.5)];
        (parts[0].interval, parts[0].n_seeds) = (Some((-0.02, 0.001)), 2);
        assert_eq!(
            said(&parts),
            "At equal L0 (20.4 to 180), e2e's CE increase is 0.0123 nats per token below local's \
             (95 % interval of the difference −0.0200 to 0.00100, 2 seeds); \
             e2e+ds has 50 % of local's CE increase (one seed, so no interval)."
        );
        assert!(said(&[part(E2e, Against::Difference, 0.5)]).contains("is 0.500 nats per token above local's"));
        assert!(said(&[part(E2e, Against::Difference, 0.0)]).contains("is the same as local's"));
    }
}
