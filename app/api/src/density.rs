//! How often a dictionary's features fire: the histogram of log10 of their frequencies.

use serde::{Deserialize, Serialize};

/// Bins per power of ten.
const PER_DECADE: f64 = 4.0;
/// log10 of the smallest frequency that is told apart from smaller ones.
const LEAST: f64 = -8.0;

/// A histogram of log10(firings / tokens) over the features.
///
/// SAELens keeps log10(frequency + 1e-10) per feature (`sparsity.safetensors`); SAEBench a `feature_density` per feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Density {
    /// Over how many tokens: a frequency below one in so many cannot be seen.
    pub n_tokens: u64,
    /// Features that did not fire at all.
    pub n_dead: u64,
    /// log10 of the frequency at which the first bin begins.
    pub low: f64,
    /// Width of a bin, in powers of ten. The last one ends at a frequency of 1, which belongs to it.
    pub width: f64,
    /// Features in each bin.
    pub counts: Vec<u64>,
}

impl Density {
    /// The histogram of features that fired `firings` times each on `n_tokens` tokens.
    pub fn new(firings: &[u32], n_tokens: u64) -> Self {
        let n_bins = (-LEAST * PER_DECADE) as usize;
        let mut density = Self {
            n_tokens,
            n_dead: 0,
            low: LEAST,
            width: 1.0 / PER_DECADE,
            counts: vec![0; n_bins],
        };
        for n in firings {
            if *n == 0 || n_tokens == 0 {
                density.n_dead += 1;
                continue;
            }
            let above = ((f64::from(*n) / n_tokens as f64).log10() - LEAST) * PER_DECADE;
            density.counts[(above.max(0.0) as usize).min(n_bins - 1)] += 1;
        }
        // the empty bins below the rarest feature say nothing
        let empty = density.counts.iter().take_while(|n| **n == 0).count().min(n_bins - 1);
        density.counts.drain(..empty);
        density.low += empty as f64 * density.width;
        density
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_is_in_its_bin() {
        // frequencies 0, 1e-3, 1e-3, 0.05, 1
        let density = Density::new(&[0, 1, 1, 50, 1000], 1000);
        assert_eq!((density.n_dead, density.low, density.width), (1, -3.0, 0.25));
        assert_eq!(density.counts, [2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
        // log10(0.05) = −1.301, which lies in [−1.5, −1.25)
        assert_eq!(-3.0 + 6.0 * 0.25, -1.5);
        assert_eq!(Density::new(&[0, 0], 10).counts, [0]);
        assert_eq!(Density::new(&[3], 0).n_dead, 1);
    }
}
