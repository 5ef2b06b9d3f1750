//! Cross-entropies and KL of one context, token by token, from the inputs of the unembedding.

use crate::{
    kernel::{log_normaliser, simd},
    model::Model,
};

/// Per token of one context, or of several one after the other.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// −log p(next token) of the model; the last token's is not meant.
    pub ce_model: Vec<f32>,
    /// −log q(next token) of the spliced model.
    pub ce_spliced: Vec<f32>,
    /// KL(p ‖ q).
    pub kl: Vec<f64>,
}

impl Compared {
    /// Appends the next context's.
    pub fn extend(&mut self, next: &Compared) {
        self.ce_model.extend_from_slice(&next.ce_model);
        self.ce_spliced.extend_from_slice(&next.ce_spliced);
        self.kl.extend_from_slice(&next.kl);
    }
}

/// Scratch memory: two chunks of logits.
#[derive(Debug, Default)]
pub struct Scratch {
    clean: Vec<f32>,
    spliced: Vec<f32>,
}

/// Compares the next-token distributions of the model and the spliced model. `clean` and `spliced` [n_tokens, d_model] are
/// the inputs of the unembedding.
pub fn compare(model: &Model<f32>, tokens: &[u32], clean: &[f32], spliced: &[f32], scratch: &mut Scratch, out: &mut Compared) {
    let (d, vocabulary) = (model.facts().d_model, model.facts().d_vocab);
    let rows = model.logits_chunk();
    out.ce_model.clear();
    out.ce_spliced.clear();
    out.kl.clear();
    // the token after the last is unknown; its own id stands in and the value is left out by the caller
    let mut next = tokens.iter().skip(1).chain(tokens.last()).map(|t| *t as usize);
    for (clean, spliced) in clean.chunks(rows * d).zip(spliced.chunks(rows * d)) {
        let n = clean.len() / d;
        scratch.clean.resize(n * vocabulary, 0.0);
        scratch.spliced.resize(n * vocabulary, 0.0);
        model.logits(clean, &mut scratch.clean);
        model.logits(spliced, &mut scratch.spliced);
        for (p, q) in scratch
            .clean
            .chunks_exact(vocabulary)
            .zip(scratch.spliced.chunks_exact(vocabulary))
        {
            let (log_p, log_q, kl) = simd(|| {
                let (log_p, log_q) = (log_normaliser(p), log_normaliser(q));
                let mut lanes = [0f32; 16];
                for (p, q) in p.chunks(16).zip(q.chunks(16)) {
                    for ((p, q), lane) in p.iter().zip(q).zip(&mut lanes) {
                        let (a, b) = (*p - log_p, *q - log_q);
                        *lane += crate::kernel::Real::exp(a) * (a - b);
                    }
                }
                (log_p, log_q, lanes.iter().map(|l| f64::from(*l)).sum::<f64>())
            });
            let Some(target) = next.next() else { return };
            out.ce_model.push(log_p - p[target]);
            out.ce_spliced.push(log_q - q[target]);
            out.kl.push(kl);
        }
    }
}
