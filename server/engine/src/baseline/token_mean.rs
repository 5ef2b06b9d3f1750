//! The mean activation of each token, in one pass; the formula is in `dictionary/token_mean.rs`.

use super::Stream;
use crate::dictionary::{Dictionary, TokenMean};

/// Σ x by token, in f64.
#[derive(Clone, Debug)]
pub struct TokenSums {
    d: usize,
    counts: Vec<u64>,
    sums: Vec<f64>,
}

impl TokenSums {
    /// Of nothing, for `d_vocab` tokens and activations `d` wide.
    pub fn new(d_vocab: usize, d: usize) -> Self {
        Self {
            d,
            counts: vec![0; d_vocab],
            sums: vec![0.0; d_vocab * d],
        }
    }

    /// Adds `x` [n_tokens, d], which stand at `tokens` [n_tokens].
    ///
    /// # Panics
    /// When a token is not in the vocabulary.
    pub fn add(&mut self, x: &[f32], tokens: &[u32]) {
        for (row, token) in x.chunks_exact(self.d).zip(tokens) {
            let token = *token as usize;
            self.counts[token] += 1;
            let sums = &mut self.sums[token * self.d..(token + 1) * self.d];
            sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += f64::from(*v));
        }
    }

    /// m_t − μ for each token, zeros for one that was not there, and μ.
    pub fn dictionary(&self) -> Dictionary<f32> {
        let (d, n) = (self.d, self.counts.iter().sum::<u64>().max(1) as f64);
        let mut mean = vec![0.0; d];
        for row in self.sums.chunks_exact(d) {
            mean.iter_mut().zip(row).for_each(|(mean, sum)| *mean += sum);
        }
        mean.iter_mut().for_each(|mean| *mean /= n);
        let rows = self.sums.chunks_exact(d).zip(&self.counts).flat_map(|(row, count)| {
            let offset = |(sum, mean): (&f64, &f64)| {
                if *count == 0 {
                    0.0
                } else {
                    (sum / *count as f64 - mean) as f32
                }
            };
            row.iter().zip(&mean).map(offset).collect::<Vec<_>>()
        });
        let rows = rows.collect();
        Dictionary::TokenMean(TokenMean::new(rows, mean.iter().map(|v| *v as f32).collect()))
    }
}

/// Of a whole stream.
pub fn fit<S: Stream>(d_vocab: usize, stream: &mut S) -> Result<Dictionary<f32>, S::Error> {
    let mut sums = TokenSums::new(d_vocab, stream.width());
    stream.pass("means of tokens", 0..stream.n_batches(), &mut |x, tokens| sums.add(x, tokens))?;
    Ok(sums.dictionary())
}
