//! Series in order: each against the same one at equal x, by the method of [`super::pareto`], over the range that the two share. A series'
//! value does not depend on which others are there.

use api::{Against, AtEqual, DictionaryId, ParetoRank, ParetoRanking, Series};
use std::collections::BTreeSet;

use super::at_equal::{Run, compared};

/// The dictionaries of one series, each with its point.
pub type Group = (Series, Vec<(DictionaryId, Run)>);

/// The series that others are held against where nobody says which: [`Series::USUAL`], else that with the most dictionaries.
pub fn usual(groups: &[Group]) -> Option<Series> {
    let is_usual = groups.iter().find(|(series, _)| *series == Series::USUAL);
    // of equally many the first
    let most = groups.iter().rev().max_by_key(|(_, runs)| runs.len());
    is_usual.or(most).map(|(series, _)| *series)
}

/// The series of `groups` in order, the best first; what shares no x with the reference comes last, in the order it has.
/// Dictionaries of which one of the values is not finite are left out, and so are series that have no others.
pub fn ranking(groups: &[Group], reference: Series, lower_is_better: bool) -> ParetoRanking {
    let finite = |runs: &[(DictionaryId, Run)]| -> Vec<(DictionaryId, Run)> {
        let is_finite = |(_, run): &&(DictionaryId, Run)| run.x.is_finite() && run.y.is_finite();
        runs.iter().filter(is_finite).copied().collect()
    };
    let runs = |all: &[(DictionaryId, Run)]| all.iter().map(|(_, run)| *run).collect::<Vec<Run>>();
    let of_reference = groups.iter().find(|(series, _)| *series == reference);
    let of_reference = of_reference.map(|(_, all)| runs(&finite(all))).unwrap_or_default();
    let rank = |(series, all): &Group| {
        let all = finite(all);
        let runs = runs(&all);
        let range = runs
            .iter()
            .map(|run| (run.x, run.x))
            .reduce(|(low, high), (a, b)| (low.min(a), high.max(b)))?;
        let found = (*series != reference).then(|| compared(&runs, &of_reference)).flatten();
        let place = match found {
            Some((found, of_means)) => Some(place(&found, of_means)),
            None => (*series == reference).then_some(1.0),
        };
        let rank = ParetoRank {
            series: *series,
            dictionaries: all.iter().map(|(id, _)| *id).collect(),
            n_seeds: runs.iter().map(|run| run.seed).collect::<BTreeSet<_>>().len(),
            range,
            found: found.map(|(found, _)| found),
        };
        Some((place.map(|place| if lower_is_better { place } else { -place }), rank))
    };
    let mut ranks: Vec<(Option<f64>, ParetoRank)> = groups.iter().filter_map(rank).collect();
    ranks.sort_by(|(a, _), (b, _)| match (a, b) {
        (Some(a), Some(b)) => a.total_cmp(b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
    ParetoRanking {
        reference,
        ranks: ranks.into_iter().map(|(_, rank)| rank).collect(),
    }
}

/// Where a series stands beside the reference, which stands at 1: a ratio by itself, a difference by the ratio of the means, and where
/// the reference's mean is not above 0, by itself.
fn place(found: &AtEqual, of_means: Option<f64>) -> f64 {
    match found.against {
        Against::Ratio => found.value,
        Against::Difference => of_means.unwrap_or(1.0 + found.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::{KindName, ObjectiveKind};

    fn series(kind: KindName) -> Series {
        Series { kind, ..Series::USUAL }
    }

    fn group(kind: KindName, points: &[(u64, f64, f64)]) -> Group {
        let run = |(i, (seed, x, y)): (usize, &(u64, f64, f64))| {
            let run = Run {
                objective: ObjectiveKind::Local,
                seed: *seed,
                coefficient: 1.0,
                x: *x,
                y: *y,
            };
            (DictionaryId(i as i64), run)
        };
        (series(kind), points.iter().enumerate().map(run).collect())
    }

    /// y = factor / x at some x.
    fn power(kind: KindName, seeds: &[(u64, f64)], xs: &[f64]) -> Group {
        let of = |(seed, factor): &(u64, f64)| xs.iter().map(|x| (*seed, *x, factor / x)).collect::<Vec<_>>();
        group(kind, &seeds.iter().flat_map(of).collect::<Vec<_>>())
    }

    fn kinds(ranking: &ParetoRanking) -> Vec<KindName> {
        ranking.ranks.iter().map(|rank| rank.series.kind).collect()
    }

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() <= 1e-9 * b.abs().max(1.0), "{a} is not {b}");
    }

    const XS: [f64; 3] = [10.0, 40.0, 160.0];

    #[test]
    fn the_cheapest_comes_first_and_each_is_held_against_the_same() {
        let groups = [
            power(KindName::Relu, &[(0, 8.0), (1, 8.0)], &XS),
            power(KindName::Gated, &[(0, 4.0), (1, 2.0)], &[20.0, 300.0]),
            power(KindName::TopK, &[(0, 12.0)], &XS),
            power(KindName::Tied, &[(0, 1.0)], &[500.0, 900.0]),
        ];
        let found = ranking(&groups, Series::USUAL, true);
        assert_eq!(
            kinds(&found),
            [KindName::Gated, KindName::Relu, KindName::TopK, KindName::Tied]
        );
        let [gated, relu, topk, tied] = &found.ranks[..] else {
            panic!()
        };
        let value = |rank: &ParetoRank| rank.found.unwrap();
        near(value(gated).value, 0.125f64.sqrt());
        let (low, high) = value(gated).interval.unwrap();
        let half = 12.706_205 * 2f64.ln() / 2.0;
        near(low.ln(), value(gated).value.ln() - half);
        near(high.ln(), value(gated).value.ln() + half);
        near(value(gated).range.0, 20.0);
        near(value(gated).range.1, 160.0);
        assert_eq!((gated.dictionaries.len(), gated.n_seeds, gated.range), (4, 2, (20.0, 300.0)));
        near(value(topk).value, 1.5);
        assert_eq!((relu.found, tied.found), (None, None));
        // another reference turns the ratio over, and hiding others changes nothing
        let turned = ranking(&groups[..2], series(KindName::Gated), true);
        assert_eq!(kinds(&turned), [KindName::Gated, KindName::Relu]);
        near(value(&turned.ranks[1]).value, 1.0 / value(gated).value);
        // where more is better, the order turns
        assert_eq!(
            kinds(&ranking(&groups, Series::USUAL, false)),
            [KindName::TopK, KindName::Relu, KindName::Gated, KindName::Tied]
        );
    }

    #[test]
    fn a_single_point_is_held_against_the_curve_at_its_x() {
        let groups = |x: f64| {
            [
                power(KindName::Relu, &[(0, 8.0), (1, 4.0)], &XS),
                group(KindName::PcaNonNegative, &[(0, x, 1.0)]),
            ]
        };
        let found = ranking(&groups(20.0), Series::USUAL, true);
        assert_eq!(kinds(&found), [KindName::Relu, KindName::PcaNonNegative]);
        let point = found.ranks[1].found.unwrap();
        // the curve of its seed is at 8 / 20 there, on a power law between its points
        near(point.value, 2.5);
        assert_eq!((point.range, point.n_seeds, point.interval), ((20.0, 20.0), 1, None));
        // at the curve's ends it is inside, beyond them outside
        near(
            ranking(&groups(160.0), Series::USUAL, true).ranks[1].found.unwrap().value,
            20.0,
        );
        assert_eq!(ranking(&groups(161.0), Series::USUAL, true).ranks[1].found, None);
        // a point of a seed that the reference does not have is held against all its seeds together
        let mut others = groups(40.0);
        others[1].1[0].1.seed = 7;
        near(
            ranking(&others, Series::USUAL, true).ranks[1].found.unwrap().value,
            1.0 / (6.0 / 40.0),
        );
        // and a point can be what the others are held against
        let turned = ranking(&groups(20.0), series(KindName::PcaNonNegative), true);
        assert_eq!(kinds(&turned), [KindName::Relu, KindName::PcaNonNegative]);
        near(turned.ranks[0].found.unwrap().value, 0.4);
    }

    #[test]
    fn points_of_two_seeds_have_an_interval() {
        let groups = [
            power(KindName::Relu, &[(0, 8.0), (1, 8.0)], &XS),
            group(KindName::Nmf, &[(0, 40.0, 0.1), (1, 40.0, 0.4)]),
        ];
        let found = ranking(&groups, Series::USUAL, true).ranks[1].found.unwrap();
        assert_eq!(found.n_seeds, 2);
        near(found.value, 1.0); // the geometric mean of 0.5 and 2
        near(found.interval.unwrap().1.ln(), 12.706_205 * 2f64.ln());
    }

    #[test]
    fn what_costs_nothing_is_a_difference_and_comes_before_what_costs_less() {
        let groups = [
            power(KindName::Relu, &[(0, 8.0)], &XS),
            power(KindName::Gated, &[(0, 4.0)], &XS),
            group(KindName::Identity, &[(0, 40.0, -0.001)]),
            group(KindName::Random, &[(0, 40.0, f64::NAN)]),
        ];
        let found = ranking(&groups, Series::USUAL, true);
        assert_eq!(kinds(&found), [KindName::Identity, KindName::Gated, KindName::Relu]);
        let identity = found.ranks[0].found.unwrap();
        assert_eq!(identity.against, Against::Difference);
        // between points the curve is straight in y where a value is not above 0; at 40 it has a point
        near(identity.value, -0.001 - 0.2);
        // against what costs nothing, all are differences
        let turned = ranking(&groups, series(KindName::Identity), true);
        assert_eq!(kinds(&turned), [KindName::Identity, KindName::Gated, KindName::Relu]);
        assert_eq!(turned.ranks[1].found.unwrap().against, Against::Difference);
    }

    #[test]
    fn relu_local_is_the_usual_reference_else_the_largest_series() {
        let groups = [
            power(KindName::Gated, &[(0, 1.0)], &XS),
            power(KindName::Relu, &[(0, 1.0)], &XS[..1]),
            power(KindName::TopK, &[(0, 1.0)], &XS),
        ];
        assert_eq!(usual(&groups), Some(Series::USUAL));
        assert_eq!(usual(&[groups[0].clone(), groups[2].clone()]), Some(series(KindName::Gated)));
        assert_eq!(usual(&[]), None);
    }
}
