//! What is the same for every dictionary at a hook point: stories with their activations, which labels can be scored, what a
//! probe on the activations reads, and the labels shuffled.

use api::Reading;
use rayon::prelude::*;

use super::{
    Observe,
    causal::unit,
    logistic::Linear,
    outcome::{Asked, outcome},
    probe,
    resample::Resamples,
    shuffle::shuffled,
    sweep::Weights,
    told::Told,
};

/// Tokens of yes and of no that a label needs on each half to be scored.
const LEAST_TOKENS: f64 = 20.0;
/// Stories that they must come from.
const LEAST_STORIES: usize = 5;
/// Shuffles that the floor is taken over.
const N_SHUFFLES: u64 = 3;
/// Balanced accuracy of the probe from which on a label counts as readable.
const READABLE: f64 = 0.6;
/// The seed of the draws of stories.
const DRAWS: u64 = 0;

/// Half of the stories, with the activations of their labelled tokens.
#[derive(Clone, Debug)]
pub struct Half {
    /// The stories.
    pub told: Told,
    /// [n_tokens, d_in].
    pub x: Vec<f32>,
}

impl Half {
    /// The labelled tokens [n_tokens].
    pub fn tokens(&self) -> Vec<u32> {
        let of_story = |(tokens, positions): (&Vec<u32>, &Vec<usize>)| positions.iter().map(|at| tokens[*at]).collect::<Vec<_>>();
        self.told
            .contexts
            .iter()
            .zip(&self.told.positions)
            .flat_map(of_story)
            .collect()
    }

    /// A label's answers.
    pub fn asked(&self, label: usize) -> Asked<'_> {
        Asked::new(&self.told.answers[label], &self.told.story, self.told.contexts.len())
    }
}

/// A probe on the activations.
#[derive(Clone, Debug)]
pub struct Ceiling {
    /// The probe.
    pub probe: Linear,
    /// Its direction in the activations, of length 1.
    pub direction: Vec<f64>,
    /// What it reads on the second half.
    pub reading: Reading,
    /// Its balanced accuracy over each draw of stories.
    pub draws: Vec<f64>,
}

impl Ceiling {
    /// Whether the label can be read at all.
    pub fn is_readable(&self) -> bool {
        self.reading.accuracy.value >= READABLE
    }
}

/// The labels shuffled, on both halves.
#[derive(Clone, Debug)]
pub struct Shuffle {
    /// For choosing.
    pub weights: Weights,
    /// For scoring, [label][token].
    pub answers: Vec<Vec<Option<bool>>>,
}

/// See the module.
#[derive(Debug)]
pub struct Ground {
    /// Where features, thresholds and probes are chosen.
    pub choose: Half,
    /// Where they are scored.
    pub score: Half,
    /// The labels at the tokens of `choose`.
    pub weights: Weights,
    /// Per label; none where there are too few tokens to score it.
    pub ceilings: Vec<Option<Ceiling>>,
    /// The floor's labels.
    pub shuffles: Vec<Shuffle>,
    /// Draws of the stories of `score`.
    pub resamples: Resamples,
}

impl Ground {
    /// Fits the probes; none when `observe` says stop.
    pub fn new(choose: Half, score: Half, d_in: usize, observe: &Observe<'_>) -> Option<Self> {
        let resamples = Resamples::new(score.told.contexts.len(), DRAWS);
        let n_labels = choose.told.answers.len();
        let ceiling = |label: usize| {
            let is_enough = [&choose, &score].into_iter().all(|half| is_enough(&half.asked(label)));
            let goes_on = observe("fitting probes", label as u64, n_labels as u64);
            (goes_on && is_enough).then(|| {
                let probe = probe::on_activations(&choose.x, d_in, &choose.told.answers[label]);
                let found = outcome(&score.asked(label), &probe::read_activations(&probe, &score.x), |z| z > 0.0);
                Ceiling {
                    direction: unit(&probe.weights),
                    reading: found.reading(&resamples),
                    draws: found.accuracies(&resamples),
                    probe,
                }
            })
        };
        let ceilings: Vec<_> = (0..n_labels).into_par_iter().map(ceiling).collect();
        let shuffle = |seed: u64| Shuffle {
            weights: Weights::new(&shuffled(&choose.told, seed)),
            answers: shuffled(&score.told, seed),
        };
        let shuffles = (0..N_SHUFFLES).into_par_iter().map(shuffle).collect();
        observe("fitting probes", n_labels as u64, n_labels as u64).then(|| Self {
            weights: Weights::new(&choose.told.answers),
            choose,
            score,
            ceilings,
            shuffles,
            resamples,
        })
    }

    /// Number of labels.
    pub fn n_labels(&self) -> usize {
        self.ceilings.len()
    }
}

fn is_enough(asked: &Asked<'_>) -> bool {
    let stories = |counts: &[f64]| counts.iter().filter(|count| **count > 0.0).count();
    let (yes, no) = asked.counts();
    yes.min(no) >= LEAST_TOKENS && stories(&asked.yes).min(stories(&asked.no)) >= LEAST_STORIES
}
