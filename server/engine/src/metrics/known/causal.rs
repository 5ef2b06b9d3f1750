//! What directions of the activations are to the model: the CE without them. A direction p is taken out with all that goes with it
//! linearly, at every token but position 0, and the rest of the model runs on:
//!
//! x ← x − ⟨x − μ, p⟩ Σp / ⟨p, Σp⟩,  μ and Σ the mean and the covariance of the activations.
//!
//! Then x is uncorrelated with what was read along p, as least squares leaves it. Without Σ, coordinates that say the same as p would
//! stay, and the direction of a probe costs next to nothing, whatever it reads.

use api::HookPoint;
use rayon::prelude::*;

use crate::{
    kernel::{PerThread, axpy, dot, log_normaliser, simd},
    model::{Cut, Model, ModelError, NoHooks, Work},
};

/// A direction to take out.
#[derive(Clone, Debug)]
pub struct Ablation {
    /// p, of length 1 [width].
    read: Vec<f32>,
    /// ⟨μ, p⟩.
    at_mean: f32,
    /// Σp / ⟨p, Σp⟩ [width].
    write: Vec<f32>,
}

impl Ablation {
    /// Of a probe's weights [width]; mean and covariance are those of `x` [n, width]. A direction that `x` does not vary along is
    /// nothing to take out.
    pub fn new(weights: &[f64], x: &[f32], mean: &[f64]) -> Self {
        let read = unit(weights);
        let along = |row: &[f32]| -> f64 {
            row.iter()
                .zip(mean)
                .zip(&read)
                .map(|((x, m), p)| (f64::from(*x) - m) * p)
                .sum()
        };
        let mut write = vec![0.0; read.len()];
        let mut variance = 0.0;
        for row in x.chunks_exact(read.len()) {
            let along = along(row);
            variance += along * along;
            for ((write, x), m) in write.iter_mut().zip(row).zip(mean) {
                *write += along * (f64::from(*x) - m);
            }
        }
        let share = if variance > 0.0 { 1.0 / variance } else { 0.0 };
        let at_mean: f64 = read.iter().zip(mean).map(|(p, m)| p * m).sum();
        Self {
            read: read.iter().map(|p| *p as f32).collect(),
            at_mean: at_mean as f32,
            write: write.iter().map(|write| (write * share) as f32).collect(),
        }
    }

    fn apply(&self, value: &mut [f32]) {
        simd(
            #[inline(always)]
            || {
                for row in value.chunks_exact_mut(self.read.len()).skip(1) {
                    let along = dot(row, &self.read) - self.at_mean;
                    axpy(row, -along, &self.write);
                }
            },
        );
    }
}

/// `weights` at length 1; zero where they are zero.
pub fn unit(weights: &[f64]) -> Vec<f64> {
    let norm = weights.iter().map(|w| w * w).sum::<f64>().sqrt();
    weights.iter().map(|w| if norm > 0.0 { w / norm } else { 0.0 }).collect()
}

/// What the ablations cost on one story.
#[derive(Clone, Debug)]
pub struct Cost {
    /// Predicted tokens: all but those that position 0 predicts.
    pub n: f64,
    /// Of each ablation, Σ (CE without the direction − CE) over them, in nats.
    pub sums: Vec<f64>,
}

#[derive(Default)]
struct Scratch {
    cut: Cut<f32>,
    work: Work<f32>,
    value: Vec<f32>,
    out: Vec<f32>,
    logits: Vec<f32>,
}

/// What taking each direction out at `at` costs, story by story.
///
/// # Errors
/// The model's.
pub fn costs(
    model: &Model<f32>,
    at: HookPoint,
    stories: &[Vec<u32>],
    ablations: &[Ablation],
    progress: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Vec<Cost>>, ModelError> {
    let threads = PerThread::<Scratch>::new();
    let of_story = |tokens: &Vec<u32>| {
        if !progress() {
            return Ok(None);
        }
        threads.with(|scratch| story(model, at, tokens, ablations, scratch)).map(Some)
    };
    stories.par_iter().map(of_story).collect()
}

fn story(
    model: &Model<f32>,
    at: HookPoint,
    tokens: &[u32],
    ablations: &[Ablation],
    scratch: &mut Scratch,
) -> Result<Cost, ModelError> {
    model.prefix(tokens, at, &mut scratch.cut, &mut NoHooks, &mut scratch.work)?;
    let mut cross_entropy = |ablation: Option<&Ablation>| {
        let Scratch {
            cut,
            work,
            value,
            out,
            logits,
        } = &mut *scratch;
        value.clone_from(&cut.value);
        if let Some(ablation) = ablation {
            ablation.apply(value);
        }
        model.suffix(cut, value, out, &mut NoHooks, None, work)?;
        Ok(cross_entropy(model, tokens, out, logits))
    };
    let clean: f64 = cross_entropy(None)?;
    let sums = ablations
        .iter()
        .map(|ablation| Ok(cross_entropy(Some(ablation))? - clean))
        .collect::<Result<_, ModelError>>()?;
    Ok(Cost {
        n: tokens.len().saturating_sub(2) as f64,
        sums,
    })
}

/// Σ of −log p(next token) over all positions but 0 and the last, from the unembedding's inputs `out` [n_tokens, d_model].
fn cross_entropy(model: &Model<f32>, tokens: &[u32], out: &[f32], logits: &mut Vec<f32>) -> f64 {
    let (d, d_vocab) = (model.facts().d_model, model.facts().d_vocab);
    let rows = model.logits_chunk();
    let Some(next) = tokens.get(2..).filter(|next| !next.is_empty()) else {
        return 0.0;
    };
    let out = &out[d..(tokens.len() - 1) * d];
    let mut sum = 0.0;
    for (out, next) in out.chunks(rows * d).zip(next.chunks(rows)) {
        logits.resize(next.len() * d_vocab, 0.0);
        model.logits(out, logits);
        for (row, next) in logits.chunks_exact(d_vocab).zip(next) {
            sum += f64::from(
                simd(
                    #[inline(always)]
                    || log_normaliser(row),
                ) - row[*next as usize],
            );
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::ResidualFrame;
    use std::path::Path;

    #[test]
    fn what_is_taken_out_is_gone_with_all_that_goes_with_it() {
        // the second coordinate follows the first, the third does not
        let x: Vec<f32> = (0..40)
            .flat_map(|i| {
                let (a, b) = ((i % 8) as f32, (i / 8) as f32);
                [a, 2.0 * a + b, b * b]
            })
            .collect();
        let mean: Vec<f64> = (0..3)
            .map(|d| x.iter().skip(d).step_by(3).map(|x| f64::from(*x)).sum::<f64>() / 40.0)
            .collect();
        for weights in [[3.0, 0.0, 0.0], [1.0, -0.5, 2.0]] {
            let ablation = Ablation::new(&weights, &x, &mean);
            let along = |row: &[f32]| -> f64 {
                row.iter()
                    .zip(&mean)
                    .zip(&weights)
                    .map(|((x, m), w)| (f64::from(*x) - m) * w)
                    .sum()
            };
            // position 0 stays as it is, so a row before them all
            let mut value = [&[9.0f32; 3][..], &x].concat();
            ablation.apply(&mut value);
            assert_eq!(value[..3], [9.0; 3]);
            let rows = || value[3..].chunks_exact(3).zip(x.chunks_exact(3));
            assert!(rows().all(|(row, _)| along(row).abs() < 1e-4));
            for d in 0..3 {
                let covariance: f64 = rows().map(|(row, start)| (f64::from(row[d]) - mean[d]) * along(start)).sum();
                assert!(covariance.abs() < 1e-3, "coordinate {d}: {covariance}");
            }
            let once = value.clone();
            ablation.apply(&mut value);
            assert!(once.iter().zip(&value).all(|(a, b)| (a - b).abs() < 1e-5));
        }
        // the first coordinate takes its share of the second along, and leaves the third alone
        let ablation = Ablation::new(&[3.0, 0.0, 0.0], &x, &mean);
        assert!(
            (ablation.write[1] - 2.0).abs() < 1e-6 && ablation.write[2].abs() < 1e-6,
            "{ablation:?}"
        );
    }

    #[test]
    fn no_direction_costs_nothing_and_the_cost_is_that_of_the_whole_model() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/models/tiny"));
        let model = Model::load(folder, ResidualFrame::Raw).unwrap();
        let stories = vec![(2..40).collect::<Vec<u32>>(), vec![5, 6, 7], vec![5, 6]];
        let d = model.facts().d_model;
        // activations that vary along the first coordinate only
        let mut x = vec![0.0; 2 * d];
        (x[0], x[d]) = (1.0, -1.0);
        let along = |coordinate: usize| {
            let mut weights = vec![0.0; d];
            weights[coordinate] = 2.0;
            Ablation::new(&weights, &x, &vec![0.0; d])
        };
        let [one, none] = [along(0), along(1)];
        let at = HookPoint::resid_pre(1);
        let costs = costs(&model, at, &stories, &[none, one], &|| true).unwrap().unwrap();
        assert_eq!(costs.iter().map(|cost| cost.n).collect::<Vec<_>>(), [36.0, 1.0, 0.0]);
        assert!(costs.iter().all(|cost| cost.sums[0] == 0.0));
        assert!(costs[0].sums[1] != 0.0 && costs[2].sums == [0.0, 0.0]);
        // the same by a hook in a whole pass
        struct Zero;
        impl crate::model::Hooks<f32> for Zero {
            fn at(&mut self, point: HookPoint, value: &mut [f32]) {
                if point == HookPoint::resid_pre(1) {
                    value.chunks_exact_mut(32).skip(1).for_each(|row| row[0] = 0.0);
                }
            }
        }
        let run = |hooks: &mut dyn crate::model::Hooks<f32>| {
            let (mut cut, mut out, mut work) = (Cut::default(), Vec::new(), Work::default());
            model.prefix(&stories[0], at, &mut cut, hooks, &mut work).unwrap();
            model
                .suffix(&cut, &cut.value, &mut out, &mut NoHooks, None, &mut work)
                .unwrap();
            cross_entropy(&model, &stories[0], &out, &mut Vec::new())
        };
        assert!((run(&mut Zero) - run(&mut NoHooks) - costs[0].sums[1]).abs() < 1e-3);
    }
}
