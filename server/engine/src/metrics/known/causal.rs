//! What directions of the activations are to the model: the CE without them. A direction p of length 1 is taken out around the
//! mean, x − ⟨x − μ, p⟩ p, at every token but position 0, and the rest of the model runs on.

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
    direction: Vec<f32>,
    /// ⟨μ, p⟩.
    at_mean: f32,
}

impl Ablation {
    /// Of a probe's weights [width], around `mean` [width]. A probe without weights has no direction, and nothing is taken out.
    pub fn new(weights: &[f64], mean: &[f64]) -> Self {
        let direction = unit(weights);
        let at_mean: f64 = direction.iter().zip(mean).map(|(p, m)| p * m).sum();
        Self {
            direction: direction.iter().map(|p| *p as f32).collect(),
            at_mean: at_mean as f32,
        }
    }

    fn apply(&self, value: &mut [f32]) {
        let d = self.direction.len();
        simd(|| {
            for row in value.chunks_exact_mut(d).skip(1) {
                let along = dot(row, &self.direction) - self.at_mean;
                axpy(row, -along, &self.direction);
            }
        });
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
            sum += f64::from(simd(|| log_normaliser(row)) - row[*next as usize]);
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
    fn what_is_taken_out_is_gone_and_nothing_else() {
        let (weights, mean) = ([3.0, 0.0, -4.0], [1.0, 2.0, 0.5]);
        let ablation = Ablation::new(&weights, &mean);
        let start = [9.0f32, 9.0, 9.0, 1.0, -2.0, 3.0, 0.0, 5.0, 0.25];
        let mut x = start;
        ablation.apply(&mut x);
        assert_eq!(x[..3], start[..3], "position 0 stays");
        for (row, start) in x.chunks_exact(3).zip(start.chunks_exact(3)).skip(1) {
            let along: f64 = row
                .iter()
                .zip(&mean)
                .zip(&weights)
                .map(|((x, m), w)| (f64::from(*x) - m) * w)
                .sum();
            assert!(along.abs() < 1e-5, "{row:?}");
            // what is at a right angle to it stays: the second coordinate, and (4, 0, 3)
            assert_eq!(row[1], start[1]);
            assert!((4.0 * (row[0] - start[0]) + 3.0 * (row[2] - start[2])).abs() < 1e-5);
        }
        let once = x;
        ablation.apply(&mut x);
        assert!(once.iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn no_direction_costs_nothing_and_the_cost_is_that_of_the_whole_model() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/models/tiny"));
        let model = Model::load(folder, ResidualFrame::Raw).unwrap();
        let stories = vec![(2..40).collect::<Vec<u32>>(), vec![5, 6, 7], vec![5, 6]];
        let d = model.facts().d_model;
        let none = Ablation::new(&vec![0.0; d], &vec![1.0; d]);
        let mut first = vec![0.0; d];
        first[0] = 2.0;
        let one = Ablation::new(&first, &vec![0.0; d]);
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
