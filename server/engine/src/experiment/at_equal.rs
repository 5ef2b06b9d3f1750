//! One group of dictionaries against another at equal x: curves, pairs of them seed by seed, and their ratio or difference. The
//! method is told in [`super::pareto`].

use std::collections::BTreeMap;

use api::{Against, AtEqual, ObjectiveKind};

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

/// `own` against `reference` by the method of [`super::pareto`], whatever their objectives; none where they share no x.
pub fn at_equal(own: &[Run], reference: &[Run]) -> Option<AtEqual> {
    compared(own, reference).map(|(found, _)| found)
}

/// [`at_equal`], and with it the mean of y over that of the reference, over the same x; none where the reference's is not above 0.
pub(super) fn compared(own: &[Run], reference: &[Run]) -> Option<(AtEqual, Option<f64>)> {
    let finite = |runs: &[Run]| -> Vec<Run> { runs.iter().filter(|r| r.x.is_finite() && r.y.is_finite()).copied().collect() };
    let (own, reference) = (finite(own), finite(reference));
    let all = || own.iter().chain(&reference);
    let axes = Axes {
        log_x: all().all(|r| r.x > 0.0),
        log_y: all().all(|r| r.x > 0.0 && r.y > 0.0),
    };
    let comparison = Comparison::new(&own, &reference, axes);
    if let Some((comparison, range)) = comparison.and_then(|c| shared(&c.pairs).map(|range| (c, range))) {
        return comparison.at_equal(range, axes);
    }
    // one that lies at a single x has no curve, and is held against the other's curve there
    let x = only_x(&own).or_else(|| only_x(&reference))?;
    let bent = if axes.log_x { x.ln() } else { x };
    let (found, of_means) = Comparison::at(&own, &reference, bent, axes)?.at_equal((bent, bent), axes)?;
    Some((AtEqual { range: (x, x), ..found }, of_means))
}

/// The x of all runs, if it is one.
fn only_x(runs: &[Run]) -> Option<f64> {
    let first = runs.first()?.x;
    runs.iter().all(|r| r.x == first).then_some(first)
}

/// Which axes are logarithmic while curves are interpolated.
#[derive(Clone, Copy)]
pub(super) struct Axes {
    pub log_x: bool,
    pub log_y: bool,
}

/// Points (x, y) on the axes' scale, x strictly rising, at least one.
pub(super) struct Curve(Vec<(f64, f64)>);

impl Curve {
    fn new(runs: impl Iterator<Item = Run>, axes: Axes, least: usize) -> Option<Self> {
        let mut points: Vec<(f64, f64)> = runs.map(|r| (r.x, r.y)).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mean = |same: &[(f64, f64)]| (same[0].0, same.iter().map(|p| p.1).sum::<f64>() / same.len() as f64);
        let bend = |v: f64, log: bool| if log { v.ln() } else { v };
        let points: Vec<_> = points
            .chunk_by(|a, b| a.0 == b.0)
            .map(mean)
            .map(|(x, y)| (bend(x, axes.log_x), bend(y, axes.log_y)))
            .collect();
        (points.len() >= least).then_some(Self(points))
    }

    fn range(&self) -> (f64, f64) {
        (self.0[0].0, self.0[self.0.len() - 1].0)
    }

    /// y on its own scale at `x`, which lies within the range.
    fn at(&self, x: f64, axes: Axes) -> f64 {
        let y = match self.0[..] {
            [(_, y)] => y,
            _ => {
                let next = self.0.partition_point(|p| p.0 < x).clamp(1, self.0.len() - 1);
                let ((x0, y0), (x1, y1)) = (self.0[next - 1], self.0[next]);
                y0 + (y1 - y0) * (x - x0) / (x1 - x0)
            }
        };
        if axes.log_y { y.exp() } else { y }
    }
}

/// A curve of one group and one of the reference.
pub(super) type Pair = (Curve, Curve);

pub(super) struct Comparison {
    pub pairs: Vec<Pair>,
    n_seeds: usize,
}

impl Comparison {
    /// Curves of two different x or more.
    pub fn new(own: &[Run], reference: &[Run], axes: Axes) -> Option<Self> {
        Self::of(own, reference, &|runs| Curve::new(runs, axes, 2))
    }

    /// Curves that cover `x`, be it with a single point.
    fn at(own: &[Run], reference: &[Run], x: f64, axes: Axes) -> Option<Self> {
        Self::of(own, reference, &|runs| {
            let covers = |curve: &Curve| curve.range().0 <= x && x <= curve.range().1;
            Curve::new(runs, axes, 1).filter(covers)
        })
    }

    fn of(own: &[Run], reference: &[Run], curve: &dyn Fn(&mut dyn Iterator<Item = Run>) -> Option<Curve>) -> Option<Self> {
        let by_seed = |runs: &[Run]| {
            let mut seeds: BTreeMap<u64, Vec<Run>> = BTreeMap::new();
            runs.iter().for_each(|r| seeds.entry(r.seed).or_default().push(*r));
            seeds
        };
        let curve = |runs: &[Run]| curve(&mut runs.iter().copied());
        let all = (own, reference);
        let (own, reference) = (by_seed(own), by_seed(reference));
        let pair = |(seed, runs): (&u64, &Vec<Run>)| Some((curve(runs)?, curve(reference.get(seed)?)?));
        let pairs: Vec<Pair> = own.iter().filter_map(pair).collect();
        if !pairs.is_empty() {
            return Some(Self {
                n_seeds: pairs.len(),
                pairs,
            });
        }
        Some(Self {
            n_seeds: own.len().min(reference.len()),
            pairs: vec![(curve(all.0)?, curve(all.1)?)],
        })
    }

    /// Over the range `(low, high)` on the axes' scale, within each pair's; and the mean of y over the reference's mean, where that is
    /// above 0.
    pub fn at_equal(&self, (low, high): (f64, f64), axes: Axes) -> Option<(AtEqual, Option<f64>)> {
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
            (Against::Ratio, ratio, interval)
        } else {
            let (mean, half) = mean_and_half_width(&mean(|own, local| own - local));
            (Against::Difference, mean, half.map(|h| (mean - h, mean + h)))
        };
        if !value.is_finite() {
            return None;
        }
        let unbend = |v: f64| if axes.log_x { v.exp() } else { v };
        let range = (unbend(low), unbend(high));
        let (of_own, of_reference) = ys
            .iter()
            .flatten()
            .fold((0.0, 0.0), |(a, b), (own, local)| (a + own, b + local));
        let found = AtEqual {
            against,
            value,
            interval,
            range,
            n_seeds: self.n_seeds,
        };
        Some((found, (of_reference > 0.0).then(|| of_own / of_reference)))
    }
}

/// The range of x that all these curves share, if it is more than a point.
pub(super) fn shared<'a>(pairs: impl IntoIterator<Item = &'a Pair>) -> Option<(f64, f64)> {
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
pub(super) fn t_975(df: usize) -> f64 {
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
