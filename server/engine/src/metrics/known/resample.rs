//! Intervals over stories: the bootstrap, with stories as what is drawn. One set of draws serves everything that is measured on
//! the same stories, so that values that are compared move together.

use api::Estimate;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::kernel::{dot, simd};

/// Draws of as many stories as there are.
const N_DRAWS: usize = 1000;
/// The interval's ends.
const ENDS: [f64; 2] = [0.025, 0.975];

/// How often each draw has each story.
#[derive(Clone, Debug)]
pub struct Resamples {
    n_stories: usize,
    /// [N_DRAWS, n_stories].
    counts: Vec<f64>,
}

impl Resamples {
    /// Draws of `n_stories` stories with replacement.
    pub fn new(n_stories: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut counts = vec![0.0; N_DRAWS * n_stories];
        for draw in counts.chunks_exact_mut(n_stories.max(1)) {
            for _ in 0..n_stories {
                draw[rng.random_range(0..n_stories)] += 1.0;
            }
        }
        Self { n_stories, counts }
    }

    /// Σ over the stories of each draw.
    pub fn sums(&self, per_story: &[f64]) -> Vec<f64> {
        simd(
            #[inline(always)]
            || {
                let draws = self.counts.chunks_exact(self.n_stories.max(1));
                draws.map(|counts| dot(counts, per_story)).collect()
            },
        )
    }

    /// `value` with the middle 95 % of `draws`; those that are not finite are left out.
    pub fn estimate(&self, value: f64, mut draws: Vec<f64>) -> Estimate {
        draws.retain(|draw| draw.is_finite());
        draws.sort_unstable_by(f64::total_cmp);
        let end = |share: f64| {
            let last = draws.len().saturating_sub(1);
            draws.get((share * last as f64).round() as usize).copied().unwrap_or(value)
        };
        let [low, high] = ENDS.map(end);
        Estimate { value, low, high }
    }
}
