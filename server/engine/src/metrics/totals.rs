//! The sums over all batches that the metrics are made of.

use api::{HookPoint, Measurement, TokenSet};
use rayon::prelude::*;

use super::{
    bootstrap::{self, Draws, UnitMoments, Units},
    firings::{self, Firings},
    logits::Compared,
    pass::{Answer, Batch, Depth, Evaluated, Text, points},
    sums::{Moments, NO_VARIANCE, Of, Row, Spreads},
};
use crate::{
    kernel::{dot, simd, sum_squares},
    model::{Model, ModelError},
};

const SETS: [TokenSet; 3] = [TokenSet::Ordinary, TokenSet::PositionZero, TokenSet::Special];
/// The first of them.
pub const ORDINARY: usize = 0;
/// The last of them.
pub const SPECIAL: usize = 2;

/// Which of [`SETS`] each token belongs to, as its index.
pub fn sets(contexts: &[&[u32]], special: &[u32]) -> Vec<usize> {
    let set = |position: usize, token: u32| match (position, special.contains(&token)) {
        (0, _) => 1,
        (_, true) => 2,
        _ => ORDINARY,
    };
    let of = |context: &&[u32]| -> Vec<usize> { context.iter().enumerate().map(|(i, t)| set(i, *t)).collect() };
    contexts.iter().flat_map(of).collect()
}

/// Sums of one dictionary over one set of tokens.
#[derive(Clone, Default)]
struct Sums {
    row: Row,
    /// x − x̂.
    error: Moments,
    /// Σ ‖x − x̂‖² and the explained variance per token at each later point.
    later: Vec<Later>,
}

/// Sums over tokens of what is compared at a later point.
#[derive(Clone, Copy, Default)]
struct Later {
    squared_error: f64,
    explained: f64,
    n_explained: u64,
}

/// Sums of one dictionary over the ordinary tokens of each unit.
struct PerUnit {
    rows: Vec<Row>,
    error: UnitMoments,
    firings: Firings,
}

/// Everything summed up so far.
pub struct Totals {
    at: Vec<HookPoint>,
    widths: Vec<usize>,
    /// Per point and set of tokens.
    moments: Vec<[Moments; 3]>,
    /// Per dictionary.
    dictionaries: Vec<OfOne>,
    /// What is resampled, with the activations' moments; none where no intervals are asked for.
    units: Option<(Units, UnitMoments)>,
}

/// What is summed up of one dictionary.
struct OfOne {
    /// Per set of tokens.
    sums: [Sums; 3],
    /// Per feature: firings on ordinary tokens.
    firings: Vec<u32>,
    per_unit: Option<PerUnit>,
}

impl Totals {
    /// The width of the activations that the dictionaries see.
    pub fn width(&self) -> usize {
        self.widths[0]
    }

    /// Nothing yet, of dictionaries of `d_sae` features each at `at`.
    ///
    /// # Errors
    /// When the model has no such point.
    pub fn new(model: &Model<f32>, at: HookPoint, d_sae: &[usize], text: Text<'_>) -> Result<Self, ModelError> {
        model.width(at)?;
        let points = points(model, at);
        let widths = points.iter().map(|p| model.width(*p)).collect::<Result<Vec<_>, _>>()?;
        let units = (text.depth == Depth::Results).then(|| Units::new(text));
        let units = units.map(|units| {
            let moments = UnitMoments::new(units.n, widths[0]);
            (units, moments)
        });
        let sums = Sums {
            later: vec![Later::default(); points.len() - 1],
            ..Sums::default()
        };
        let of_one = |n: &usize| OfOne {
            sums: [sums.clone(), sums.clone(), sums.clone()],
            firings: vec![0; *n],
            per_unit: units.as_ref().map(|(units, moments)| PerUnit {
                rows: vec![Row::default(); units.n],
                error: moments.clone(),
                firings: Firings::default(),
            }),
        };
        Ok(Self {
            moments: vec![Default::default(); points.len()],
            dictionaries: d_sae.iter().map(of_one).collect(),
            at: points,
            widths,
            units,
        })
    }

    /// What the firings of a batch's tokens are counted by, of which `sets` are their sets and the first token is the `first` of the
    /// text: their units, or one for all of them where no intervals are asked for.
    pub fn counted_by(&self, sets: &[usize], first: usize) -> Vec<Option<u32>> {
        let unit = |t: usize| self.units.as_ref().map_or(0, |(units, _)| units.of[first + t]);
        let of = |(t, set): (usize, &usize)| (*set == ORDINARY).then(|| unit(t));
        sets.iter().enumerate().map(of).collect()
    }

    /// Adds a batch of contexts of `n_ctx` tokens; `sets` are its tokens' ([`sets`]). Its first token is the `first` of the text.
    pub fn add(&mut self, batch: &Batch, sets: &[usize], n_ctx: usize, first: usize) {
        let Self {
            widths,
            moments,
            dictionaries,
            units,
            ..
        } = self;
        let clean = |point: usize, t: usize| -> &[f32] { &batch.clean[point][t * widths[point]..(t + 1) * widths[point]] };
        // each point's activations once, for all dictionaries: the moments, and the distance to this batch's mean
        let distances: Vec<Vec<Option<f64>>> = moments
            .par_iter_mut()
            .enumerate()
            .map(|(point, moments)| {
                for (t, set) in sets.iter().enumerate() {
                    moments[*set].add(clean(point, t));
                }
                distances(sets, |t| clean(point, t))
            })
            .collect();
        if let Some((units, moments)) = units {
            for (t, _) in sets.iter().enumerate().filter(|(_, set)| **set == ORDINARY) {
                moments.add(units.of[first + t] as usize, clean(0, t).iter().map(|x| f64::from(*x)));
            }
        }
        let unit = |t: usize| units.as_ref().map(|(units, _)| units.of[first + t] as usize);
        dictionaries.par_iter_mut().zip(&batch.answers).for_each(|(of_one, answer)| {
            answer.firings.add_to(&mut of_one.firings);
            if let Some(per_unit) = &mut of_one.per_unit {
                per_unit.firings.extend(&answer.firings);
            }
            let d = widths[0];
            let x_hat = |t: usize| &answer.x_hat[t * d..(t + 1) * d];
            let swapped = self::distances(sets, x_hat);
            for (t, set) in sets.iter().enumerate() {
                let sums = &mut of_one.sums[*set];
                let has_next = t % n_ctx + 1 < n_ctx;
                let row = Row::of_token(answer, &batch.ablations, t, has_next, clean(0, t), x_hat(t))
                    .explained(distances[0][t], swapped[t]);
                sums.row += &row;
                sums.error.add_error(clean(0, t), x_hat(t));
                for (p, later) in sums.later.iter_mut().enumerate() {
                    let error = answer.squared_errors[p + 1][t];
                    later.squared_error += error;
                    if let Some(distance) = distances[p + 1][t] {
                        later.explained += 1.0 - error / distance;
                        later.n_explained += 1;
                    }
                }
                if let (Some(per_unit), Some(unit), ORDINARY) = (&mut of_one.per_unit, unit(t), *set) {
                    per_unit.rows[unit] += &row;
                    let error = clean(0, t).iter().zip(x_hat(t));
                    per_unit.error.add(unit, error.map(|(x, y)| f64::from(*x) - f64::from(*y)));
                }
            }
        });
    }

    /// What was measured so far, of each dictionary.
    pub fn evaluated(&self) -> Vec<Evaluated> {
        // the units that have ordinary tokens are the same for all dictionaries
        let counted = |of_one: &OfOne| -> Option<Vec<bool>> {
            let rows = &of_one.per_unit.as_ref()?.rows;
            Some(rows.iter().map(|row| row[Of::Tokens] > 0.0).collect())
        };
        let counted = self.dictionaries.first().and_then(counted).unwrap_or_default();
        let n_units = counted.iter().filter(|is| **is).count();
        let draws = (n_units > 1).then(|| Draws::new(&counted));
        let of_one = |of_one: &OfOne| {
            let metrics = SETS.iter().enumerate().flat_map(|(s, set)| {
                let mut measured = self.measurements(*set, s, &of_one.sums[s]);
                if let (ORDINARY, Some(draws), Some((units, x)), Some(own)) = (s, &draws, &self.units, &of_one.per_unit) {
                    let intervals = draws.intervals(&own.rows, x, &own.error);
                    for (measurement, found) in measured.iter_mut().zip(intervals) {
                        let found = measurement.as_ref().and(found);
                        if let (Some(measurement), Some(found)) = (measurement, found) {
                            measurement.interval = Some(bootstrap::interval(found, units.over, n_units));
                        }
                    }
                }
                let features = (s == ORDINARY).then(|| self.of_features(of_one, draws.as_ref().map(|draws| (draws, n_units))));
                let features = features.into_iter().flatten();
                let by_layer = self.by_layer(*set, s, &of_one.sums[s]);
                measured
                    .into_iter()
                    .flatten()
                    .chain(features)
                    .chain(by_layer)
                    .collect::<Vec<_>>()
            });
            Evaluated {
                metrics: metrics.collect(),
                firings: of_one.firings.clone(),
                n_tokens: of_one.sums[ORDINARY].row[Of::Tokens] as u64,
            }
        };
        self.dictionaries.iter().map(of_one).collect()
    }

    /// The metrics of the whole dictionary, in the order of [`Row::values`]; none where they are not defined.
    fn measurements(&self, set: TokenSet, s: usize, sums: &Sums) -> Vec<Option<Measurement>> {
        let spreads = Spreads {
            x: self.moments[0][s].variance(),
            error: sums.error.spread(),
        };
        let values = sums.row.values(spreads, self.widths[0], self.units.is_some());
        let measurement = |value: super::sums::Value| {
            Some(Measurement {
                tokens: set,
                ..Measurement::new(value.name, value.n as u64, value.value?)
            })
        };
        values.into_iter().map(measurement).collect()
    }

    /// How many features fired, and how often.
    fn of_features(&self, of_one: &OfOne, draws: Option<(&Draws, usize)>) -> Vec<Measurement> {
        let n = of_one.sums[ORDINARY].row[Of::Tokens];
        if n == 0.0 {
            return Vec::new();
        }
        let intervals = match (draws, &of_one.per_unit, &self.units) {
            (Some((draws, n_units)), Some(own), Some((units, _))) => {
                let tokens: Vec<f64> = own.rows.iter().map(|row| row[Of::Tokens]).collect();
                let found = firings::intervals(draws, &own.firings, &tokens, of_one.firings.len());
                let stored = |(name, ends)| (name, bootstrap::interval(ends, units.over, n_units));
                found.into_iter().map(stored).collect()
            }
            _ => Vec::new(),
        };
        let interval = |name: &str| {
            intervals
                .iter()
                .find(|(other, _)| *other == name)
                .map(|(_, interval)| *interval)
        };
        let measurement = |(name, value)| Measurement {
            interval: interval(name),
            ..Measurement::new(name, n as u64, value)
        };
        firings::values(&of_one.firings, n).into_iter().map(measurement).collect()
    }

    /// The metrics at each point: at the dictionary's own, which counts as the first of the values by layer, and later.
    fn by_layer(&self, set: TokenSet, s: usize, sums: &Sums) -> Vec<Measurement> {
        let n = sums.row[Of::Tokens];
        let own = Later {
            squared_error: sums.row[Of::SquaredError],
            explained: sums.row[Of::Explained],
            n_explained: sums.row[Of::HasExplained] as u64,
        };
        let mut out = Vec::new();
        if n == 0.0 {
            return out;
        }
        for (point, sums) in std::iter::once(&own).chain(&sums.later).enumerate() {
            let mut push = |name: &str, n: u64, value: f64| {
                out.push(Measurement {
                    at: Some(self.at[point]),
                    tokens: set,
                    ..Measurement::new(name, n, value)
                });
            };
            if let Some(variance) = self.moments[point][s].variance() {
                push("explained_variance", n as u64, 1.0 - sums.squared_error / variance);
            }
            if sums.n_explained > 0 {
                let mean = sums.explained / sums.n_explained as f64;
                push("explained_variance_legacy", sums.n_explained, mean);
            }
            push("mse", n as u64, sums.squared_error / (n * self.widths[point] as f64));
        }
        out
    }
}

impl Row {
    /// What token `t` of a batch adds; x and x̂ are its activation and the dictionary's output.
    fn of_token(answer: &Answer, ablations: &[Compared], t: usize, has_next: bool, x: &[f32], x_hat: &[f32]) -> Self {
        let mut row = Self::default();
        row[Of::Tokens] = 1.0;
        row[Of::L0] = f64::from(answer.l0[t]);
        row[Of::L1] = answer.l1[t];
        row[Of::Kl] = answer.compared.kl[t];
        if has_next {
            row[Of::Next] = 1.0;
            row[Of::CeModel] = f64::from(answer.compared.ce_loss_without_sae[t]);
            row[Of::CeSpliced] = f64::from(answer.compared.ce_loss_with_sae[t]);
        }
        if let [zero, mean] = ablations {
            row[Of::KlZero] = zero.kl[t];
            if has_next {
                row[Of::CeZero] = f64::from(zero.ce_loss_with_sae[t]);
                row[Of::CeMean] = f64::from(mean.ce_loss_with_sae[t]);
            }
        }
        let squares = simd(
            #[inline(always)]
            || [sum_squares(x), sum_squares(x_hat), dot(x, x_hat)],
        );
        let [squares_in, squares_out, product] = squares.map(f64::from);
        let (norm_in, norm_out) = (squares_in.sqrt(), squares_out.sqrt());
        row[Of::NormIn] = norm_in;
        row[Of::NormOut] = norm_out;
        row[Of::Norms] = norm_in * norm_out;
        row[Of::SquaresIn] = squares_in;
        row[Of::SquaresOut] = squares_out;
        row[Of::Product] = product;
        row[Of::NormRatio] = norm_out / norm_in.max(1e-12);
        row[Of::Cosine] = product / (norm_in * norm_out).max(1e-12);
        row[Of::SquaredError] = answer.squared_errors[0][t];
        row
    }

    /// With the explained variance of the token: x's and x̂'s distances to their batch's mean, where there are any.
    fn explained(mut self, distance: Option<f64>, swapped: Option<f64>) -> Self {
        let parts = [
            (Of::Explained, Of::HasExplained, distance),
            (Of::Swapped, Of::HasSwapped, swapped),
        ];
        for (of, has, distance) in parts {
            if let Some(distance) = distance {
                self[of] = 1.0 - self[Of::SquaredError] / distance;
                self[has] = 1.0;
            }
        }
        self
    }
}

/// ‖v_t − mean(v)‖² of every token, the mean over the batch's tokens of the same set; none where that is only rounding.
fn distances<'a>(sets: &[usize], v: impl Fn(usize) -> &'a [f32]) -> Vec<Option<f64>> {
    let mut moments = vec![Moments::default(); SETS.len()];
    for (t, set) in sets.iter().enumerate() {
        moments[*set].add(v(t));
    }
    let means: Vec<Vec<f64>> = moments.iter().map(Moments::mean).collect();
    let distance = |(t, set): (usize, &usize)| {
        let distance: f64 = v(t)
            .iter()
            .zip(&means[*set])
            .map(|(v, mean)| (f64::from(*v) - mean).powi(2))
            .sum();
        (distance > NO_VARIANCE * f64::from(sum_squares(v(t)))).then_some(distance)
    };
    sets.iter().enumerate().map(distance).collect()
}
