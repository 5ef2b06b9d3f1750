//! Which labels the model uses: what taking the probe's direction out costs, against the directions of probes of shuffled labels.

use api::{CausalUse, HookPoint};
use rayon::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    KnownError, Observe,
    causal::{Ablation, Cost, costs},
    ground::{Ceiling, Ground, Half},
    probe,
    resample::Resamples,
    shuffle::shuffled,
};
use crate::model::Model;

/// Stories of the second half that directions are taken out on.
const N_STORIES: usize = 40;
/// Shuffled labels. A direction that is like theirs costs more than all 19 of them with probability 1/20.
const N_SHUFFLED: usize = 19;
/// The first seed of their shuffles; the floor of features has those before it.
const FIRST_SHUFFLE: u64 = 1000;
/// The seed of the draws of stories.
const DRAWS: u64 = 1;

/// What the labels are to the model.
#[derive(Clone, Debug)]
pub struct Uses {
    /// The largest cost of a shuffled label's direction, in nats per token.
    pub floor: f64,
    /// Per label; none where it is not readable.
    pub labels: Vec<Option<CausalUse>>,
}

/// Takes out the direction of each readable label. None when `observe` says stop.
///
/// # Errors
/// The model's.
pub fn uses(model: &Model<f32>, at: HookPoint, ground: &Ground, observe: &Observe<'_>) -> Result<Option<Uses>, KnownError> {
    let width = model.width(at)?;
    let mean = mean(&ground.choose.x, width);
    let readable: Vec<usize> = (0..ground.n_labels())
        .filter(|label| ground.ceilings[*label].as_ref().is_some_and(|ceiling| ceiling.is_readable()))
        .collect();
    let ceilings = readable.par_iter().filter_map(|label| ground.ceilings[*label].as_ref());
    let ablation = |ceiling: &Ceiling| Ablation::new(&ceiling.probe.weights, &ground.choose.x, &mean);
    let mut ablations: Vec<Ablation> = ceilings.map(ablation).collect();
    ablations.extend(shuffled_directions(&ground.choose, width, &readable, &mean));
    let n = ground.score.told.contexts.len().min(N_STORIES);
    let done = AtomicU64::new(0);
    let goes_on = || observe("ablating directions", done.fetch_add(1, Ordering::Relaxed), n as u64);
    let Some(costs) = costs(model, at, &ground.score.told.contexts[..n], &ablations, &goes_on)? else {
        return Ok(None);
    };
    let resamples = Resamples::new(n, DRAWS);
    let of = |ablation: usize| per_token(&costs, ablation, &resamples);
    let floor = (readable.len()..ablations.len())
        .map(|ablation| of(ablation).value)
        .fold(0.0, f64::max);
    let mut labels = vec![None; ground.n_labels()];
    for (ablation, label) in readable.iter().enumerate() {
        let ce_increase = of(ablation);
        labels[*label] = Some(CausalUse {
            is_used: ce_increase.value > floor,
            ce_increase,
        });
    }
    Ok(Some(Uses { floor, labels }))
}

/// Directions of probes of shuffled labels, the labels evenly chosen among `readable`.
fn shuffled_directions(half: &Half, width: usize, readable: &[usize], mean: &[f64]) -> Vec<Ablation> {
    if readable.is_empty() {
        return Vec::new();
    }
    let direction = |index: usize| {
        let label = readable[index * readable.len() / N_SHUFFLED];
        let answers = &shuffled(&half.told, FIRST_SHUFFLE + index as u64)[label];
        Ablation::new(&probe::on_activations(&half.x, width, answers).weights, &half.x, mean)
    };
    (0..N_SHUFFLED).into_par_iter().map(direction).collect()
}

/// The mean of `x` [n, width].
fn mean(x: &[f32], width: usize) -> Vec<f64> {
    let mut mean = vec![0.0; width];
    for row in x.chunks_exact(width) {
        mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += f64::from(*x));
    }
    let n = (x.len() / width).max(1) as f64;
    mean.iter_mut().for_each(|mean| *mean /= n);
    mean
}

fn per_token(costs: &[Cost], ablation: usize, resamples: &Resamples) -> api::Estimate {
    let n: Vec<f64> = costs.iter().map(|cost| cost.n).collect();
    let sums: Vec<f64> = costs.iter().map(|cost| cost.sums[ablation]).collect();
    let value = sums.iter().sum::<f64>() / n.iter().sum::<f64>().max(1.0);
    let draws = resamples.sums(&sums).into_iter().zip(resamples.sums(&n));
    resamples.estimate(value, draws.map(|(sum, n)| sum / n).collect())
}
