//! Pareto fronts, and one group of dictionaries against another at equal x: each objective against local, or any two.
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

use std::collections::BTreeMap;

use api::{AgainstLocal, KindName, ObjectiveKind, ParetoSummary};

/// Points over which a ratio or a difference is averaged.
const GRID: usize = 20;

/// A dictionary as a point: what it was trained for and where it lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// The objective.
    pub objective: ObjectiveKind,
    /// The seed.
    pub seed: u64,
    /// λ, which moves a run along its curve.
    pub coefficient: f64,
    /// The value that is held equal, such as L0.
    pub x: f64,
    /// The value that is compared, such as the CE increase.
    pub y: f64,
}

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
        let found = c.at_equal(common.or_else(|| shared(&c.pairs))?, axes)?;
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

/// One group of dictionaries against another at equal x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AtEqual {
    /// Whether `value` and `interval` are a ratio or a difference.
    pub against: AgainstLocal,
    /// The mean of it over the shared range.
    pub value: f64,
    /// 95 % interval over seeds; none with fewer than two.
    pub interval: Option<(f64, f64)>,
    /// The shared range of x.
    pub range: (f64, f64),
    /// Seeds behind the value.
    pub n_seeds: usize,
}

/// `own` against `reference` by the method above, whatever their objectives; none where they share no range.
pub fn at_equal(own: &[Run], reference: &[Run]) -> Option<AtEqual> {
    let finite = |runs: &[Run]| -> Vec<Run> { runs.iter().filter(|r| r.x.is_finite() && r.y.is_finite()).copied().collect() };
    let (own, reference) = (finite(own), finite(reference));
    let all = || own.iter().chain(&reference);
    let axes = Axes {
        log_x: all().all(|r| r.x > 0.0),
        log_y: all().all(|r| r.x > 0.0 && r.y > 0.0),
    };
    let comparison = Comparison::new(&own, &reference, axes)?;
    comparison.at_equal(shared(&comparison.pairs)?, axes)
}

/// Which axes are logarithmic while curves are interpolated.
#[derive(Clone, Copy)]
struct Axes {
    log_x: bool,
    log_y: bool,
}

/// Points (x, y) on the axes' scale, x strictly rising, at least two.
struct Curve(Vec<(f64, f64)>);

impl Curve {
    fn new(runs: impl Iterator<Item = Run>, axes: Axes) -> Option<Self> {
        let mut points: Vec<(f64, f64)> = runs.map(|r| (r.x, r.y)).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mean = |same: &[(f64, f64)]| (same[0].0, same.iter().map(|p| p.1).sum::<f64>() / same.len() as f64);
        let bend = |v: f64, log: bool| if log { v.ln() } else { v };
        let points: Vec<_> = points
            .chunk_by(|a, b| a.0 == b.0)
            .map(mean)
            .map(|(x, y)| (bend(x, axes.log_x), bend(y, axes.log_y)))
            .collect();
        (points.len() >= 2).then_some(Self(points))
    }

    fn range(&self) -> (f64, f64) {
        (self.0[0].0, self.0[self.0.len() - 1].0)
    }

    /// y on its own scale at `x`, which lies within the range.
    fn at(&self, x: f64, axes: Axes) -> f64 {
        let next = self.0.partition_point(|p| p.0 < x).clamp(1, self.0.len() - 1);
        let ((x0, y0), (x1, y1)) = (self.0[next - 1], self.0[next]);
        let y = y0 + (y1 - y0) * (x - x0) / (x1 - x0);
        if axes.log_y { y.exp() } else { y }
    }
}

/// A curve of one group and one of the reference.
type Pair = (Curve, Curve);

struct Comparison {
    pairs: Vec<Pair>,
    n_seeds: usize,
}

impl Comparison {
    fn new(own: &[Run], reference: &[Run], axes: Axes) -> Option<Self> {
        let by_seed = |runs: &[Run]| {
            let mut seeds: BTreeMap<u64, Vec<Run>> = BTreeMap::new();
            runs.iter().for_each(|r| seeds.entry(r.seed).or_default().push(*r));
            seeds
        };
        let pooled = |runs: &[Run]| Curve::new(runs.iter().copied(), axes);
        let all = (own, reference);
        let (own, local) = (by_seed(own), by_seed(reference));
        let curve = |runs: &[Run]| Curve::new(runs.iter().copied(), axes);
        let pair = |(seed, runs): (&u64, &Vec<Run>)| Some((curve(runs)?, curve(local.get(seed)?)?));
        let pairs: Vec<Pair> = own.iter().filter_map(pair).collect();
        if !pairs.is_empty() {
            return Some(Self {
                n_seeds: pairs.len(),
                pairs,
            });
        }
        Some(Self {
            n_seeds: own.len().min(local.len()),
            pairs: vec![(pooled(all.0)?, pooled(all.1)?)],
        })
    }

    /// Over the range `(low, high)` on the axes' scale, within each pair's.
    fn at_equal(&self, (low, high): (f64, f64), axes: Axes) -> Option<AtEqual> {
        let grid = || (0..GRID).map(|i| low + (high - low) * i as f64 / (GRID - 1) as f64);
        let ys = |(own, local): &Pair| grid().map(|x| (own.at(x, axes), local.at(x, axes))).collect::<Vec<_>>();
        let ys: Vec<Vec<(f64, f64)>> = self.pairs.iter().map(ys).collect();
        let mean = |of: fn(f64, f64) -> f64| {
            let each = |ys: &Vec<(f64, f64)>| ys.iter().map(|(own, local)| of(*own, *local)).sum::<f64>() / GRID as f64;
            ys.iter().map(each).collect::<Vec<f64>>()
        };
        let is_ratio = ys.iter().flatten().all(|(own, local)| *own > 0.0 && *local > 0.0);
        let (against, value, interval) = if is_ratio {
            let ratios = mean(|own, local| own / local);
            let (mean, half) = mean_and_half_width(&ratios.iter().map(|r| r.ln()).collect::<Vec<_>>());
            // one ratio is reported as it is, not as exp(ln r)
            let ratio = if let [only] = ratios[..] { only } else { mean.exp() };
            let interval = half.map(|h| ((mean - h).exp(), (mean + h).exp()));
            (AgainstLocal::Ratio, ratio, interval)
        } else {
            let (mean, half) = mean_and_half_width(&mean(|own, local| own - local));
            (AgainstLocal::Difference, mean, half.map(|h| (mean - h, mean + h)))
        };
        if !value.is_finite() {
            return None;
        }
        let unbend = |v: f64| if axes.log_x { v.exp() } else { v };
        let range = (unbend(low), unbend(high));
        Some(AtEqual {
            against,
            value,
            interval,
            range,
            n_seeds: self.n_seeds,
        })
    }
}

/// The range of x that all these curves share, if it is more than a point.
fn shared<'a>(pairs: impl IntoIterator<Item = &'a Pair>) -> Option<(f64, f64)> {
    let ranges = pairs.into_iter().flat_map(|(own, local)| [own.range(), local.range()]);
    let (low, high) = ranges.fold((f64::NEG_INFINITY, f64::INFINITY), |(l, h), (a, b)| (l.max(a), h.min(b)));
    (low < high && low.is_finite() && high.is_finite()).then_some((low, high))
}

/// The mean, and half the width of its 95 % t-interval where there are at least two values.
fn mean_and_half_width(values: &[f64]) -> (f64, Option<f64>) {
    let n = values.len();
    let mean = values.iter().sum::<f64>() / n as f64;
    let half = (n >= 2).then(|| {
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
        t_975(n - 1) * (variance / n as f64).sqrt()
    });
    (mean, half)
}

/// The 97.5 % quantile of Student's t with `df` ≥ 1 degrees of freedom: tabulated to 30, then by Cornish and Fisher's
/// expansion, exact to four decimals.
fn t_975(df: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.706_205, 4.302_653, 3.182_446, 2.776_445, 2.570_582, 2.446_912, 2.364_624, 2.306_004, 2.262_157, 2.228_139, 2.200_985,
        2.178_813, 2.160_369, 2.144_787, 2.131_450, 2.119_905, 2.109_816, 2.100_922, 2.093_024, 2.085_963, 2.079_614, 2.073_873,
        2.068_658, 2.063_899, 2.059_539, 2.055_529, 2.051_831, 2.048_407, 2.045_230, 2.042_272,
    ];
    if let Some(t) = TABLE.get(df.saturating_sub(1)) {
        return *t;
    }
    let (z, n) = (1.959_963_985f64, df as f64);
    z + (z.powi(3) + z) / (4.0 * n) + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * n * n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ObjectiveKind::{E2e, E2eDs, Local};
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
        assert_eq!(at_equal(&local, &curve(E2e, 0, 1.0)[..1]), None);
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
        assert_eq!(e2e.against, AgainstLocal::Difference);
        near(e2e.value, 0.0);
        // one negative value of either side is enough
        let runs = [line(Local, 0, [1.0, 0.9, 0.8]), line(E2e, 0, [0.1, 0.0, -0.1])].concat();
        let [e2e] = &summary(&runs)[..] else { panic!() };
        assert_eq!((e2e.against, e2e.interval), (AgainstLocal::Difference, None));
        near(e2e.value, -0.9);
        // it takes no other objective's ratio away
        let runs = [&runs[..], &line(E2eDs, 0, [0.5, 0.45, 0.4])].concat();
        let [e2e, ds] = &summary(&runs)[..] else { panic!() };
        assert_eq!((e2e.against, ds.against), (AgainstLocal::Difference, AgainstLocal::Ratio));
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
        assert_eq!((e2e.against, e2e.n_seeds), (AgainstLocal::Difference, 2));
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
