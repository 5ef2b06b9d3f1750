//! Scales: from values to positions and back, with their ticks and labels.
//! Plain arithmetic, so that drawing, hit-testing and tests share one truth.

use super::number;

/// Values beyond this are not drawn: nothing here measures them, and their differences overflow.
const LARGEST: f64 = 1e100;

/// Whether a chart can place `v` on a linear axis.
pub(super) fn drawable(v: f64) -> bool {
    v.is_finite() && v.abs() <= LARGEST
}

/// One mark on an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Where.
    pub value: f64,
    /// What it says.
    pub label: String,
}

/// A map from a domain of values (low, high) to a range of positions (of low, of high), in SVG user units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// Equal steps of the value are equal distances.
    Linear {
        /// Lowest and highest value.
        domain: (f64, f64),
        /// Their positions.
        range: (f64, f64),
    },
    /// Equal ratios are equal distances; only for values above 0.
    Log {
        /// Lowest and highest value, both above 0.
        domain: (f64, f64),
        /// Their positions.
        range: (f64, f64),
    },
    /// asinh(v / linear): logarithmic away from 0, linear around it, for what should be positive and is not always.
    SymLog {
        /// Lowest and highest value.
        domain: (f64, f64),
        /// Their positions.
        range: (f64, f64),
        /// Below this size the scale is about linear; above 0.
        linear: f64,
    },
}

impl Scale {
    /// The scale that shows `values` on `range` with a little air at both ends. Where `log` is asked for and a value is
    /// 0 or below, it is the symmetric logarithm. Values that are not finite do not count; none at all, or all of them
    /// equal, still give a scale.
    pub fn fit(values: impl IntoIterator<Item = f64>, log: bool, range: (f64, f64)) -> Self {
        let mut values: Vec<f64> = values.into_iter().filter(|v| drawable(*v)).collect();
        values.sort_by(f64::total_cmp);
        let (Some(&low), Some(&high)) = (values.first(), values.last()) else {
            return if log {
                Scale::Log {
                    domain: (1.0, 100.0),
                    range,
                }
            } else {
                Scale::Linear {
                    domain: (0.0, 1.0),
                    range,
                }
            };
        };
        if !log {
            return Scale::Linear {
                domain: pad_linear(low, high),
                range,
            };
        }
        if low > 0.0 {
            let (a, b) = (low.ln(), high.ln());
            let air = if b - a < 1e-6 {
                std::f64::consts::LN_2
            } else {
                (b - a) * 0.05
            };
            return Scale::Log {
                domain: ((a - air).exp(), (b + air).exp()),
                range,
            };
        }
        // the linear part reaches to the smallest value above 0, but never over more than three decades below the largest
        let largest = low.abs().max(high.abs());
        let smallest = values
            .iter()
            .map(|v| v.abs())
            .filter(|v| *v > 0.0)
            .fold(f64::INFINITY, f64::min);
        let linear = if largest > 0.0 { smallest.max(largest * 1e-3) } else { 1.0 };
        let (a, b) = ((low / linear).asinh(), (high.max(0.0) / linear).asinh());
        let air = ((b - a) * 0.05).max(0.1);
        Scale::SymLog {
            domain: ((a - air).sinh() * linear, (b + air).sinh() * linear),
            range,
            linear,
        }
    }

    /// Lowest and highest value.
    pub fn domain(&self) -> (f64, f64) {
        match *self {
            Scale::Linear { domain, .. } | Scale::Log { domain, .. } | Scale::SymLog { domain, .. } => domain,
        }
    }

    /// The positions of the lowest and the highest value.
    pub fn range(&self) -> (f64, f64) {
        match *self {
            Scale::Linear { range, .. } | Scale::Log { range, .. } | Scale::SymLog { range, .. } => range,
        }
    }

    /// Whether the scale has a place for `v`.
    pub fn holds(&self, v: f64) -> bool {
        drawable(v) && !(matches!(self, Scale::Log { .. }) && v <= 0.0)
    }

    /// The position of `v`, in SVG user units; NaN where [`Scale::holds`] is false.
    pub fn position(&self, v: f64) -> f64 {
        if !self.holds(v) {
            return f64::NAN;
        }
        let ((low, high), (from, to)) = (self.domain(), self.range());
        let (a, b) = (self.bend(low), self.bend(high));
        from + (self.bend(v) - a) / (b - a) * (to - from)
    }

    /// The value at position `p`.
    pub fn value(&self, p: f64) -> f64 {
        let ((low, high), (from, to)) = (self.domain(), self.range());
        let (a, b) = (self.bend(low), self.bend(high));
        let t = a + (p - from) / (to - from) * (b - a);
        match *self {
            Scale::Linear { .. } => t,
            Scale::Log { .. } => t.exp(),
            Scale::SymLog { linear, .. } => t.sinh() * linear,
        }
    }

    fn bend(&self, v: f64) -> f64 {
        match *self {
            Scale::Linear { .. } => v,
            Scale::Log { .. } => v.ln(),
            Scale::SymLog { linear, .. } => (v / linear).asinh(),
        }
    }

    /// Ticks from low to high, at least `gap` user units apart, at 1, 2 and 5 times powers of ten as finely as they fit.
    pub fn ticks(&self, gap: f64) -> Vec<Tick> {
        let values = match *self {
            Scale::Linear { domain, range } => linear_ticks(domain, ((range.1 - range.0).abs() / gap) as usize),
            Scale::Log { domain, range } => {
                let found = LADDER
                    .iter()
                    .map(|rungs| log_ticks(domain, rungs))
                    .find(|t| self.fits(t, gap));
                match found {
                    Some(ticks) if ticks.len() >= 2 => ticks,
                    // within one decade: equal steps
                    _ if domain.1 / domain.0 < 10.0 => {
                        let most = ((range.1 - range.0).abs() / gap) as usize;
                        let steps = (1..=most.max(1)).rev().map(|n| linear_ticks(domain, n));
                        steps.into_iter().find(|t| self.fits(t, gap)).unwrap_or_default()
                    }
                    Some(ticks) => ticks,
                    None => Vec::new(),
                }
            }
            Scale::SymLog { domain, linear, .. } => {
                let by_power = LADDER.iter().find_map(|rungs| self.symlog_ticks(domain, linear, rungs, gap));
                match by_power {
                    Some(ticks) if ticks.len() >= 3 => ticks,
                    // hardly more than the linear part is to be seen: equal steps, if they say more
                    other => {
                        let most = ((self.range().1 - self.range().0).abs() / gap) as usize;
                        let even = (1..=most.max(1))
                            .rev()
                            .map(|n| linear_ticks(domain, n))
                            .find(|t| self.fits(t, gap));
                        let by_power = other.unwrap_or_else(|| vec![0.0]);
                        even.filter(|even| even.len() > by_power.len()).unwrap_or(by_power)
                    }
                }
            }
        };
        number::tick_labels(&values)
            .into_iter()
            .zip(values)
            .map(|(label, value)| Tick { value, label })
            .collect()
    }

    /// 0 and, to either side of it, these multiples of powers of ten: none where those beyond the linear part stand too
    /// close. Inside it, and beside 0, only those are taken that have room, so that one that is too near to 0 does not
    /// take all the others away.
    fn symlog_ticks(&self, domain: (f64, f64), linear: f64, rungs: &Rungs, gap: f64) -> Option<Vec<f64>> {
        let zero = self.position(0.0);
        let has_room = |v: f64| (self.position(v) - zero).abs() >= gap;
        let side = |end: f64, sign: f64| {
            let all = if end > 0.0 {
                log_ticks((linear.min(end) * 0.1, end), rungs)
            } else {
                Vec::new()
            };
            let all: Vec<f64> = all.into_iter().map(|v| sign * v).filter(|v| has_room(*v)).collect();
            let outer: Vec<f64> = all.iter().copied().filter(|v| v.abs() >= linear * (1.0 - 1e-9)).collect();
            self.fits(&outer, gap).then(|| {
                let mut kept: Vec<f64> = Vec::new();
                for v in all.into_iter().rev() {
                    if kept
                        .last()
                        .is_none_or(|last| (self.position(*last) - self.position(v)).abs() >= gap)
                    {
                        kept.push(v);
                    }
                }
                kept
            })
        };
        // away from 0 downwards, 0, upwards
        let (below, above) = (side(-domain.0, -1.0)?, side(domain.1, 1.0)?);
        Some(below.into_iter().chain([0.0]).chain(above.into_iter().rev()).collect())
    }

    fn fits(&self, ticks: &[f64], gap: f64) -> bool {
        ticks
            .windows(2)
            .all(|w| (self.position(w[1]) - self.position(w[0])).abs() >= gap)
    }
}

/// A little air around the values; from 0 where that is near, and no step below it.
fn pad_linear(low: f64, high: f64) -> (f64, f64) {
    let span = high - low;
    if span <= low.abs().max(high.abs()) * 1e-9 {
        let air = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
        return (low - air, high + air);
    }
    let air = span * 0.05;
    let from = if low >= 0.0 && low <= 0.3 * span { 0.0 } else { low - air };
    let to = if high <= 0.0 && -high <= 0.3 * span { 0.0 } else { high + air };
    (from, to)
}

/// Multiples of 1, 2 or 5 times a power of ten, at most `most` steps of them, inside the domain.
fn linear_ticks((low, high): (f64, f64), most: usize) -> Vec<f64> {
    let raw = (high - low) / most.max(1) as f64;
    let mut exponent = raw.log10().floor() as i32;
    let lead = raw / 10f64.powi(exponent);
    let mantissa = match lead {
        l if l <= 1.0 + 1e-9 => 1.0,
        l if l <= 2.0 + 1e-9 => 2.0,
        l if l <= 5.0 + 1e-9 => 5.0,
        _ => {
            exponent += 1;
            1.0
        }
    };
    // i · m / 10^k is the nearest double to the decimal number, i · (m · 10^-k) is not
    let at = |i: f64| {
        if exponent < 0 {
            i * mantissa / 10f64.powi(-exponent)
        } else {
            i * mantissa * 10f64.powi(exponent)
        }
    };
    let step = at(1.0);
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    (0..=(last - first).max(-1.0) as i64)
        .map(|i| at(first + i as f64))
        .filter(|_| last >= first)
        .collect()
}

/// Which multiples of which powers of ten.
struct Rungs {
    mantissas: &'static [f64],
    every: i32,
}

/// From fine to coarse.
const LADDER: [Rungs; 7] = [
    Rungs {
        mantissas: &[1.0, 2.0, 5.0],
        every: 1,
    },
    Rungs {
        mantissas: &[1.0, 3.0],
        every: 1,
    },
    Rungs {
        mantissas: &[1.0],
        every: 1,
    },
    Rungs {
        mantissas: &[1.0],
        every: 2,
    },
    Rungs {
        mantissas: &[1.0],
        every: 4,
    },
    Rungs {
        mantissas: &[1.0],
        every: 10,
    },
    Rungs {
        mantissas: &[1.0],
        every: 50,
    },
];

fn log_ticks((low, high): (f64, f64), rungs: &Rungs) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let decades = (first..=last).filter(|e| e.rem_euclid(rungs.every) == 0);
    let values = decades.flat_map(|e| {
        let power = move |m: f64| if e < 0 { m / 10f64.powi(-e) } else { m * 10f64.powi(e) };
        rungs.mantissas.iter().map(move |m| power(*m))
    });
    values
        .filter(|v| *v >= low * (1.0 - 1e-9) && *v <= high * (1.0 + 1e-9))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn logarithmic_axes_cope_with_zero_and_below() {
        assert!(matches!(Scale::fit([0.1, 1.0], true, (0.0, 100.0)), Scale::Log { .. }));
        let scale = Scale::fit([-0.02, 0.0, 0.9], true, (0.0, 400.0));
        assert!(matches!(scale, Scale::SymLog { .. }));
        assert!(scale.ticks(40.0).iter().any(|t| t.value == 0.0));
    }

    fn labels(scale: &Scale, gap: f64) -> Vec<String> {
        scale.ticks(gap).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn around_zero_the_powers_of_ten_are_named() {
        let high = |values: &[f64]| labels(&Scale::fit(values.iter().copied(), true, (380.0, 0.0)), 44.0);
        assert_eq!(high(&[-0.02, 0.0, 0.9]), ["0", "0.03", "0.1", "0.3", "1"]);
        assert_eq!(high(&[-0.001, 0.01, 1.0]), ["0", "0.003", "0.01", "0.03", "0.1", "0.3", "1"]);
        assert_eq!(
            high(&[-0.5, -0.02, 0.02, 0.5]),
            ["−0.3", "−0.1", "−0.03", "0", "0.03", "0.1", "0.3"]
        );
        assert_eq!(high(&[0.0, 20.0, 900.0]), ["0", "20", "50", "100", "200", "500", "1,000"]);
        // hardly more than the linear part: equal steps
        assert_eq!(high(&[-0.3, 0.2, 0.4]), ["−0.2", "−0.1", "0.0", "0.1", "0.2"]);
        // where there is little room, one that is too near to 0 does not cost the others
        let low = |values: &[f64]| labels(&Scale::fit(values.iter().copied(), true, (200.0, 0.0)), 44.0);
        assert_eq!(low(&[-0.02, 0.0, 0.9]), ["0", "0.1", "1"]);
        assert_eq!(low(&[-0.001, 0.01, 1.0]), ["0", "0.01", "0.1", "1"]);
    }

    proptest! {
        #[test]
        fn a_symmetric_axis_says_where_it_is(small in 1e-6..1e3f64, ratio in 1.0..1e6f64, negative: bool) {
            let low = if negative { -small } else { 0.0 };
            let scale = Scale::fit([low, small, small * ratio], true, (400.0, 20.0));
            let ticks = scale.ticks(44.0);
            prop_assert!(ticks.len() >= 3, "{:?} has {:?}", scale, ticks);
            prop_assert!(ticks.iter().any(|tick| tick.value == 0.0));
            // nowhere is more than about half of the axis without a tick
            let (low, high) = scale.domain();
            let mut places: Vec<f64> = ticks.iter().map(|tick| scale.position(tick.value)).collect();
            places.extend([scale.position(low), scale.position(high)]);
            places.sort_by(f64::total_cmp);
            prop_assert!(places.windows(2).all(|w| w[1] - w[0] <= 200.0), "{:?}", ticks);
        }

        #[test]
        fn round_trip_and_ticks(values in prop::collection::vec(-1e6..1e6f64, 0..9), log: bool, positive: bool) {
            let values: Vec<f64> = values.into_iter().map(|v| if positive { v.abs() + 1e-6 } else { v }).collect();
            let scale = Scale::fit(values.iter().copied(), log, (60.0, 700.0));
            let (low, high) = scale.domain();
            prop_assert!(low < high);
            for v in values {
                let p = scale.position(v);
                prop_assert!((60.0..=700.0).contains(&p));
                prop_assert!((scale.position(scale.value(p)) - p).abs() < 1e-4);
            }
            let ticks = scale.ticks(50.0);
            prop_assert!(ticks.windows(2).all(|w| w[0].value < w[1].value && w[0].label != w[1].label));
            prop_assert!(ticks.iter().all(|t| (59.9..=700.1).contains(&scale.position(t.value))));
        }
    }
}
