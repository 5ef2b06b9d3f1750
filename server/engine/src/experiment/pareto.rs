//! Pareto fronts, and each objective against local at equal x.
//!
//! # The summary, exactly
//! Following Braun et al. (2024), who compare objectives at equal L0 and report, for instance, that end-to-end
//! dictionaries need fewer than half the features per token: here the question is how large y (say, the CE increase)
//! is under an objective, relative to local, where x (say, L0) is the same.
//!
//! 1. **Curves.** A run is a point (x, y). An objective's curve is its points in the order of x, points of equal x
//!    replaced by the mean of their y, joined by straight lines: in (ln x, ln y) if every run of every objective has
//!    x > 0 and y > 0, else in (x, y). x alone is logarithmic if every x > 0 but not every y. Runs whose x or y is not
//!    finite are left out.
//! 2. **Pairs.** An objective is compared seed by seed over those seeds for which both it and local have at least two
//!    different x; each seed has its own pair of curves. If there is no such seed, all seeds of an objective are pooled
//!    into one curve, and `n_seeds` counts the seeds in the smaller pool.
//! 3. **Range.** The largest smallest x to the smallest largest x of *all* the curves compared, of all objectives and
//!    seeds, so that every ratio is about the same x. Where that is empty or one point, each objective's own pairs give
//!    its range; where that is empty too, the objective has no summary. Nothing is extrapolated.
//! 4. **Ratio or difference.** On 20 points equally spaced over the range (in ln x, or x where x is not logarithmic): where
//!    both curves of every pair are above 0 at all of them, the ratio, which is the arithmetic mean of
//!    y_objective / y_local. Where one is 0 or below anywhere, a ratio means nothing (it may be negative, or huge), and the
//!    mean of y_objective − y_local is given in its place, in y's own unit. Neither is given if it is not finite.
//! 5. **Over seeds.** With n ≥ 2 pairs, each pair has its value v_i. Ratios are summed up as their geometric mean
//!    exp(mean ln v_i), with the 95 % interval exp(mean ln v_i ± t₀.₉₇₅(n−1) · s / √n), s the sample standard deviation of
//!    ln v_i; differences as their mean, with the like interval of v_i themselves. With one pair there is no interval:
//!    nothing is then known of the spread over seeds.

use api::{KindName, ObjectiveKind, ParetoSummary};

use super::at_equal::{Axes, Comparison, shared};
pub use super::at_equal::{Run, at_equal};

/// Indices of the points that no other is better than in one coordinate and at least as good as in the other, in the order
/// of x and, within it, of their place in `points`. Of points that are equal all stay; those not finite never do.
pub fn front(points: &[(f64, f64)], x_lower_better: bool, y_lower_better: bool) -> Vec<usize> {
    let sign = |lower: bool| if lower { 1.0 } else { -1.0 };
    let cost = |i: usize| (points[i].0 * sign(x_lower_better), points[i].1 * sign(y_lower_better));
    let finite = |i: &usize| points[*i].0.is_finite() && points[*i].1.is_finite();
    let mut order: Vec<usize> = (0..points.len()).filter(finite).collect();
    order.sort_by(|a, b| cost(*a).partial_cmp(&cost(*b)).unwrap_or(std::cmp::Ordering::Equal));
    // from the best x on, only what improves y, or repeats the point that did
    let mut kept: Vec<usize> = Vec::new();
    for i in order {
        if kept
            .last()
            .is_none_or(|last| cost(i).1 < cost(*last).1 || cost(i) == cost(*last))
        {
            kept.push(i);
        }
    }
    kept.sort_by(|a, b| points[*a].0.total_cmp(&points[*b].0).then(a.cmp(b)));
    kept
}

/// Each objective among `runs`, which are of one `kind`, other than local against local, by the method above; in the order of [`ObjectiveKind::ALL`].
/// Objectives that cannot be compared are absent.
pub fn summary(kind: KindName, runs: &[Run]) -> Vec<ParetoSummary> {
    let runs: Vec<Run> = runs.iter().filter(|r| r.x.is_finite() && r.y.is_finite()).copied().collect();
    let axes = Axes {
        log_x: runs.iter().all(|r| r.x > 0.0),
        log_y: runs.iter().all(|r| r.x > 0.0 && r.y > 0.0),
    };
    let of = |objective: ObjectiveKind| runs.iter().filter(|r| r.objective == objective).copied().collect::<Vec<_>>();
    let local = of(ObjectiveKind::Local);
    let others = ObjectiveKind::ALL.into_iter().filter(|o| *o != ObjectiveKind::Local);
    let compared: Vec<(ObjectiveKind, Comparison)> = others
        .filter_map(|o| Some((o, Comparison::new(&of(o), &local, axes)?)))
        .collect();
    let common = shared(compared.iter().flat_map(|(_, c)| &c.pairs));
    let summary = |(objective, c): &(ObjectiveKind, Comparison)| {
        let (found, _) = c.at_equal(common.or_else(|| shared(&c.pairs))?, axes)?;
        Some(ParetoSummary {
            kind,
            objective: *objective,
            against: found.against,
            value: found.value,
            interval: found.interval,
            range: found.range,
            n_seeds: found.n_seeds,
        })
    };
    compared.iter().filter_map(summary).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::at_equal::t_975;
    use ObjectiveKind::{E2e, E2eDs, Local};
    use api::Against;
    use proptest::prelude::*;

    fn summary(runs: &[Run]) -> Vec<ParetoSummary> {
        super::summary(KindName::Relu, runs)
    }

    /// Three runs on y = factor · x^-1 for a seed.
    fn curve(objective: ObjectiveKind, seed: u64, factor: f64) -> Vec<Run> {
        [10.0, 40.0, 160.0]
            .map(|x| Run {
                objective,
                seed,
                coefficient: 1.0 / x,
                x,
                y: factor / x,
            })
            .to_vec()
    }

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() <= 1e-9 * b.abs().max(1.0), "{a} is not {b}");
    }

    #[test]
    fn fronts() {
        let points = [(1.0, 5.0), (2.0, 3.0), (3.0, 4.0), (4.0, 1.0), (4.0, 2.0), (f64::NAN, 0.0)];
        assert_eq!(front(&points, true, true), [0, 1, 3]);
        assert_eq!(front(&points, true, false), [0]);
        assert_eq!(front(&points, false, false), [0, 2, 4]);
        // equal points stay together; of a tie in one coordinate the worse in the other goes
        assert_eq!(front(&[(1.0, 1.0), (1.0, 1.0), (1.0, 2.0), (2.0, 1.0)], true, true), [0, 1]);
        assert!(front(&[], true, true).is_empty());
    }

    #[test]
    fn exactly_half_is_a_half() {
        let runs = [curve(Local, 0, 8.0), curve(E2e, 0, 4.0), curve(E2eDs, 0, 6.0)].concat();
        let [e2e, ds] = &summary(&runs)[..] else { panic!() };
        assert_eq!((e2e.objective, ds.objective), (E2e, E2eDs));
        near(e2e.value, 0.5);
        near(ds.value, 0.75);
        near(e2e.range.0, 10.0);
        near(e2e.range.1, 160.0);
        assert_eq!((e2e.interval, e2e.n_seeds), (None, 1));
    }

    #[test]
    fn any_two_groups_compare_as_objectives_do() {
        let (local, e2e) = (
            [curve(Local, 0, 8.0), curve(Local, 1, 8.0)].concat(),
            [curve(E2e, 0, 4.0), curve(E2e, 1, 2.0)].concat(),
        );
        let [by_objective] = &summary(&[local.clone(), e2e.clone()].concat())[..] else {
            panic!()
        };
        // under another name the same
        let named: Vec<Run> = e2e.iter().map(|r| Run { objective: Local, ..*r }).collect();
        let found = at_equal(&named, &local).unwrap();
        assert_eq!(
            (found.value, found.interval, found.n_seeds),
            (by_objective.value, by_objective.interval, 2)
        );
        near(found.value, 0.125f64.sqrt());
        near(at_equal(&local, &named).unwrap().value, 8f64.sqrt());
        // a single point is held against the curve where it lies, and beyond the curve against nothing
        let point = |x: f64| curve(E2e, 0, 1.0)[..1].iter().map(|r| Run { x, ..*r }).collect::<Vec<_>>();
        near(at_equal(&local, &point(10.0)).unwrap().value, 8.0);
        assert_eq!(at_equal(&local, &point(9.9)), None);
    }

    #[test]
    fn interpolation_is_a_power_law_between_points() {
        // local has no point where e2e has; on a power law that makes no difference, and the range is what they share
        let mut runs = curve(Local, 0, 8.0);
        runs.extend([20.0, 300.0].map(|x| Run {
            objective: E2e,
            seed: 0,
            coefficient: 1.0,
            x,
            y: 2.0 / x,
        }));
        let [e2e] = &summary(&runs)[..] else { panic!() };
        near(e2e.value, 0.25);
        near(e2e.range.0, 20.0);
        near(e2e.range.1, 160.0);
    }

    #[test]
    fn no_overlap_no_summary() {
        let mut runs = curve(Local, 0, 8.0);
        runs.extend([200.0, 300.0].map(|x| Run {
            objective: E2e,
            seed: 0,
            coefficient: 1.0,
            x,
            y: 1.0,
        }));
        assert!(summary(&runs).is_empty());
        assert!(summary(&curve(E2e, 0, 1.0)).is_empty());
        assert!(summary(&curve(Local, 0, 1.0)).is_empty());
        assert!(summary(&[]).is_empty());
    }

    #[test]
    fn one_objective_out_of_range_does_not_hide_the_other() {
        let mut runs = [curve(Local, 0, 8.0), curve(E2e, 0, 4.0)].concat();
        runs.extend([200.0, 300.0].map(|x| Run {
            objective: E2eDs,
            seed: 0,
            coefficient: 1.0,
            x,
            y: 1.0,
        }));
        let [e2e] = &summary(&runs)[..] else { panic!() };
        near(e2e.value, 0.5);
    }

    #[test]
    fn seeds_give_an_interval() {
        let runs = [
            curve(Local, 0, 8.0),
            curve(E2e, 0, 4.0),
            curve(Local, 1, 8.0),
            curve(E2e, 1, 2.0),
        ]
        .concat();
        let [e2e] = &summary(&runs)[..] else { panic!() };
        let (low, high) = e2e.interval.expect("two seeds");
        near(e2e.value, (0.5f64 * 0.25).sqrt());
        // s of two values d apart is d/√2, over √2: d/2
        let half = 12.706_205 * 2f64.ln() / 2.0;
        near(low.ln(), e2e.value.ln() - half);
        near(high.ln(), e2e.value.ln() + half);
        assert_eq!(e2e.n_seeds, 2);
    }

    #[test]
    fn seeds_of_one_point_each_are_pooled() {
        let xs = [(0, 10.0), (1, 40.0)];
        let of = |objective, factor: f64| {
            xs.map(|(seed, x)| Run {
                objective,
                seed,
                coefficient: 1.0,
                x,
                y: factor / x,
            })
        };
        let [e2e] = &summary(&[of(Local, 8.0), of(E2e, 4.0)].concat())[..] else {
            panic!()
        };
        near(e2e.value, 0.5);
        assert_eq!((e2e.interval, e2e.n_seeds), (None, 2));
    }

    #[test]
    fn equal_x_is_averaged() {
        let mut runs = [curve(Local, 0, 8.0), curve(E2e, 0, 4.0)].concat();
        let again: Vec<Run> = curve(E2e, 0, 8.0);
        runs.extend(again);
        let [e2e] = &summary(&runs)[..] else { panic!() };
        near(e2e.value, 0.75);
    }

    #[test]
    fn a_curve_that_is_not_above_zero_is_compared_by_difference() {
        // y against ln x, straight: local 1, 0, −1 and e2e half of it, so e2e − local is −0.5 to 0.5, and a ratio of the means
        // would be 0.5 although e2e is the worse half of the time
        let line = |objective, seed, ys: [f64; 3]| {
            [(10.0, ys[0]), (40.0, ys[1]), (160.0, ys[2])].map(|(x, y)| Run {
                objective,
                seed,
                coefficient: 1.0,
                x,
                y,
            })
        };
        let runs = [line(Local, 0, [1.0, 0.0, -1.0]), line(E2e, 0, [0.5, 0.0, -0.5])].concat();
        let [e2e] = &summary(&runs)[..] else { panic!() };
        assert_eq!(e2e.against, Against::Difference);
        near(e2e.value, 0.0);
        // one negative value of either side is enough
        let runs = [line(Local, 0, [1.0, 0.9, 0.8]), line(E2e, 0, [0.1, 0.0, -0.1])].concat();
        let [e2e] = &summary(&runs)[..] else { panic!() };
        assert_eq!((e2e.against, e2e.interval), (Against::Difference, None));
        near(e2e.value, -0.9);
        // it takes no other objective's ratio away
        let runs = [&runs[..], &line(E2eDs, 0, [0.5, 0.45, 0.4])].concat();
        let [e2e, ds] = &summary(&runs)[..] else { panic!() };
        assert_eq!((e2e.against, ds.against), (Against::Difference, Against::Ratio));
        near(ds.value, 0.5);
    }

    #[test]
    fn differences_of_seeds_have_an_interval_in_ys_unit() {
        let flat = |objective, seed, y| {
            [10.0, 40.0].map(|x| Run {
                objective,
                seed,
                coefficient: x,
                x,
                y,
            })
        };
        let runs = [
            flat(Local, 0, -0.1),
            flat(E2e, 0, -0.4),
            flat(Local, 1, 0.3),
            flat(E2e, 1, 0.2),
        ]
        .concat();
        let [e2e] = &summary(&runs)[..] else { panic!() };
        let (low, high) = e2e.interval.expect("two seeds");
        assert_eq!((e2e.against, e2e.n_seeds), (Against::Difference, 2));
        near(e2e.value, -0.2);
        // −0.3 and −0.1: s = 0.2/√2, over √2: 0.1
        near(low, -0.2 - 12.706_205 * 0.1);
        near(high, -0.2 + 12.706_205 * 0.1);
        let none: Vec<Run> = runs.iter().map(|r| Run { y: f64::NAN, ..*r }).collect();
        assert!(summary(&none).is_empty());
    }

    #[test]
    fn quantiles_of_t() {
        near(t_975(1), 12.706_205);
        assert!((t_975(40) - 2.021_075).abs() < 1e-4);
        assert!((t_975(1000) - 1.962_339).abs() < 1e-4);
    }

    proptest! {
        #[test]
        fn nothing_dominates_the_front(points in prop::collection::vec((0..20i32, 0..20i32), 0..40), low_x: bool, low_y: bool) {
            let points: Vec<(f64, f64)> = points.into_iter().map(|(x, y)| (f64::from(x), f64::from(y))).collect();
            let sign = |low: bool| if low { 1.0 } else { -1.0 };
            let cost = |p: &(f64, f64)| (p.0 * sign(low_x), p.1 * sign(low_y));
            let dominated = |p: &(f64, f64)| {
                let (x, y) = cost(p);
                points.iter().map(cost).any(|(a, b)| a <= x && b <= y && (a < x || b < y))
            };
            let kept = front(&points, low_x, low_y);
            for (i, p) in points.iter().enumerate() {
                prop_assert_eq!(kept.contains(&i), !dominated(p));
            }
            prop_assert!(kept.windows(2).all(|w| points[w[0]].0 <= points[w[1]].0));
        }
    }
}
