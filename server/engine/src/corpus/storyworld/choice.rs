//! Every choice that a story depends on is made here, at known probabilities, so that a story's surprise can be summed
//! and a story be told again from its list of choices.

use std::sync::LazyLock;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore as _, SeedableRng as _},
};

/// The most alternatives that one decision by weights may have.
pub(super) const WIDEST: usize = 64;

/// ln n for the totals of weights, so that a choice costs no logarithm.
static LN: LazyLock<[f64; 512]> = LazyLock::new(|| std::array::from_fn(|n| libm::log(n.max(1) as f64)));

/// A label that no later choice depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Plant {
    /// Was the night wet?
    Weather,
    /// A weekday or not?
    Day,
    /// The parity of the house's number.
    Door,
    /// A warm or a cool color.
    Tint,
}

/// One decision of a story, as [`super::Storyworld::explain`] lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The alternatives' weights; their sum stands for probability one.
    pub weights: Vec<u32>,
    /// The alternative taken.
    pub chosen: usize,
    /// The planted label that it decides, if it decides one.
    pub plant: Option<Plant>,
}

enum Source {
    Random(Box<ChaCha8Rng>),
    /// The alternatives to take, in order; after them, always the first that is possible.
    Script {
        chosen: Vec<usize>,
        next: usize,
    },
}

/// A source of choices that keeps account of their probabilities.
pub(super) struct Choices {
    source: Source,
    log: Option<Vec<Decision>>,
    /// −ln p of the choices since the account was last taken.
    nats: f64,
}

impl Choices {
    /// The choices of story `index` of `seed`.
    pub fn seeded(seed: u64, index: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&index.to_le_bytes());
        key[16..].copy_from_slice(b"saescope story 0");
        Self::of(Source::Random(Box::new(ChaCha8Rng::from_seed(key))))
    }

    /// Choices that were made before.
    pub fn scripted(chosen: Vec<usize>) -> Self {
        Self::of(Source::Script { chosen, next: 0 })
    }

    fn of(source: Source) -> Self {
        Self {
            source,
            log: None,
            nats: 0.0,
        }
    }

    /// The same choices, with a list of them kept.
    pub fn logged(mut self) -> Self {
        self.log = Some(Vec::new());
        self
    }

    /// The list of choices, where one was kept.
    pub fn into_log(self) -> Vec<Decision> {
        self.log.unwrap_or_default()
    }

    /// −ln of the probability of the choices since this was last asked, in nats.
    pub fn take_nats(&mut self) -> f64 {
        std::mem::take(&mut self.nats)
    }

    /// One of `n` alternatives, each as likely.
    pub fn uniform(&mut self, n: usize) -> usize {
        self.uniformly(n, None)
    }

    /// Two alternatives as likely as each other, between which a planted label is decided.
    pub fn plant(&mut self, plant: Plant) -> bool {
        self.uniformly(2, Some(plant)) == 1
    }

    /// One of the alternatives in proportion to the weights. A single possible one is no choice, and costs no draw.
    pub fn among(&mut self, weights: &[u32]) -> usize {
        let total: u32 = weights.iter().sum();
        if let Some(only) = weights.iter().position(|w| *w == total) {
            return only;
        }
        let chosen = match &mut self.source {
            Source::Random(rng) => {
                let mut rest = below(rng, total);
                let hit = weights.iter().position(|weight| {
                    let is_hit = rest < *weight;
                    rest = rest.wrapping_sub(*weight);
                    is_hit
                });
                hit.unwrap_or(weights.len() - 1)
            }
            Source::Script { chosen, next } => {
                let given = chosen.get(*next).filter(|i| weights.get(**i).is_some_and(|w| *w > 0));
                *next += 1;
                given
                    .copied()
                    .unwrap_or_else(|| weights.iter().position(|w| *w > 0).unwrap_or(0))
            }
        };
        self.nats += LN[total as usize] - LN[weights[chosen] as usize];
        if let Some(log) = &mut self.log {
            log.push(Decision {
                weights: weights.to_vec(),
                chosen,
                plant: None,
            });
        }
        chosen
    }

    fn uniformly(&mut self, n: usize, plant: Option<Plant>) -> usize {
        if n == 1 {
            return 0;
        }
        let chosen = match &mut self.source {
            Source::Random(rng) => below(rng, n as u32) as usize,
            Source::Script { chosen, next } => {
                let given = chosen.get(*next).filter(|i| **i < n);
                *next += 1;
                given.copied().unwrap_or(0)
            }
        };
        self.nats += LN[n];
        if let Some(log) = &mut self.log {
            log.push(Decision {
                weights: vec![1; n],
                chosen,
                plant,
            });
        }
        chosen
    }
}

/// A number below `n`, biased by less than n / 2³².
fn below(rng: &mut ChaCha8Rng, n: u32) -> u32 {
    ((u64::from(rng.next_u32()) * u64::from(n)) >> 32) as u32
}
