//! Cross-entropies and KL of one context, token by token, from the inputs of the unembedding.

use crate::{
    kernel::{log_normaliser, simd},
    model::Model,
};

/// Per token of one context, or of several one after the other.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// −log p(next token) of the model; the last token's is not meant.
    pub ce_loss_without_sae: Vec<f32>,
    /// −log q(next token) of the spliced model.
    pub ce_loss_with_sae: Vec<f32>,
    /// KL(p ‖ q).
    pub kl: Vec<f64>,
}

impl Compared {
    /// Appends the next context's.
    pub fn extend(&mut self, next: &Compared) {
        self.ce_loss_without_sae.extend_from_slice(&next.ce_loss_without_sae);
        self.ce_loss_with_sae.extend_from_slice(&next.ce_loss_with_sae);
        self.kl.extend_from_slice(&next.kl);
    }
}

/// Scratch memory: two chunks of logits.
#[derive(Debug, Default)]
pub struct Scratch {
    clean: Vec<f32>,
    spliced: Vec<f32>,
    /// log of the normaliser of each row of `clean`.
    normalisers: Vec<f32>,
}

/// Compares the next-token distributions of the model with those of spliced models, an `out` for each. `clean` and each of
/// `spliced` [n_tokens, d_model] are inputs of the unembedding.
pub fn compare<'a>(
    model: &Model<f32>,
    tokens: &[u32],
    clean: &[f32],
    spliced: impl Iterator<Item = (&'a [f32], &'a mut Compared)>,
    scratch: &mut Scratch,
) {
    let (d, vocabulary) = (model.facts().d_model, model.facts().d_vocab);
    let rows = model.logits_chunk();
    let mut all: Vec<(&[f32], &mut Compared)> = spliced.collect();
    for (_, out) in &mut all {
        out.ce_loss_without_sae.clear();
        out.ce_loss_with_sae.clear();
        out.kl.clear();
    }
    for (index, clean) in clean.chunks(rows * d).enumerate() {
        let n = clean.len() / d;
        scratch.clean.resize(n * vocabulary, 0.0);
        scratch.spliced.resize(n * vocabulary, 0.0);
        model.logits(clean, &mut scratch.clean);
        scratch.normalisers.clear();
        let normalisers = scratch.clean.chunks_exact(vocabulary).map(|p| {
            simd(
                #[inline(always)]
                || log_normaliser(p),
            )
        });
        scratch.normalisers.extend(normalisers);
        for (spliced, out) in &mut all {
            model.logits(&spliced[index * rows * d..][..n * d], &mut scratch.spliced);
            // the token after the last is unknown; its own id stands in and the value is left out by the caller
            let next = tokens.iter().skip(1).chain(tokens.last()).skip(index * rows);
            let pairs = scratch
                .clean
                .chunks_exact(vocabulary)
                .zip(&scratch.normalisers)
                .zip(scratch.spliced.chunks_exact(vocabulary));
            for (((p, log_p), q), next) in pairs.zip(next) {
                let (log_q, kl) = divergence(p, *log_p, q);
                out.ce_loss_without_sae.push(log_p - p[*next as usize]);
                out.ce_loss_with_sae.push(log_q - q[*next as usize]);
                out.kl.push(kl);
            }
        }
    }
}

/// The log of the normaliser of the logits `q`, and KL(p ‖ q) for the logits `p` with that of theirs. Probabilities are never
/// taken the logarithm of: one that is 0 in f32 adds 0, however large the difference of logits.
fn divergence(p: &[f32], log_p: f32, q: &[f32]) -> (f32, f64) {
    simd(
        #[inline(always)]
        || {
            let log_q = log_normaliser(q);
            let mut lanes = [0f32; 16];
            for (p, q) in p.chunks(16).zip(q.chunks(16)) {
                for ((p, q), lane) in p.iter().zip(q).zip(&mut lanes) {
                    let (a, b) = (*p - log_p, *q - log_q);
                    *lane += crate::kernel::Real::exp(a) * (a - b);
                }
            }
            (log_q, lanes.iter().map(|l| f64::from(*l)).sum::<f64>())
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SAEBench takes the logarithm of a softmax, which is NaN once a probability underflows.
    #[test]
    fn extreme_logits_have_a_divergence() {
        let p: Vec<f32> = (0..40).map(|i| [1e4, -1e4, 30.0, 0.0][i % 4]).collect();
        let q: Vec<f32> = (0..40).map(|i| [9.99e3, 1e4, -1e4, 5.0][i % 4]).collect();
        let exact = |logits: &[f32]| {
            let top = logits.iter().fold(f64::MIN, |a, b| a.max(f64::from(*b)));
            top + logits.iter().map(|l| (f64::from(*l) - top).exp()).sum::<f64>().ln()
        };
        let (log_p, log_q) = (exact(&p), exact(&q));
        let terms = p.iter().zip(&q).map(|(p, q)| (f64::from(*p) - log_p, f64::from(*q) - log_q));
        let expected: f64 = terms.map(|(a, b)| a.exp() * (a - b)).sum();
        let (found_q, found) = divergence(&p, log_normaliser(&p), &q);
        assert!((f64::from(found_q) - log_q).abs() < 1e-2, "{found_q}, expected {log_q}");
        // logits of 1e4 are 1e-3 apart in f32
        assert!((found - expected).abs() < 1e-2, "{found}, expected {expected}");
        let softmax_first = |l: &[f32], log: f64| (f64::from(l[1]) - log) as f32;
        assert!(
            softmax_first(&p, log_p).exp().ln().is_infinite(),
            "the test has no probability that underflows"
        );
    }
}
