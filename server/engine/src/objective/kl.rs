//! The KL term: mean over all tokens of KL(p ‖ q) = Σ_v p(v) (log p(v) − log q(v)), p the clean model's next-token
//! distribution and q the spliced model's, at temperature 1. (e2e_sae's docstring has the arguments the other way round;
//! its code is this.) Its derivative by q's logits is q − p.
//!
//! Logits are made and dropped a few tokens at a time: a [tokens, vocabulary] matrix never exists whole.

use crate::{
    kernel::{Real, log_normaliser, simd},
    model::{LogitSlopes, Model},
};

/// Scratch memory: two chunks of logits, and the slopes of soft caps.
#[derive(Debug, Default)]
pub struct Logits<R> {
    clean: Vec<R>,
    spliced: Vec<R>,
    slopes: LogitSlopes<R>,
}

/// Σ over the tokens of one context of KL(model ‖ spliced), from the two inputs of the unembedding [n_tokens, d_model];
/// `grad` [n_tokens, d_model] becomes `scale` times its derivative by `spliced`.
pub fn kl<R: Real>(model: &Model<R>, clean: &[R], spliced: &[R], scale: R, grad: &mut [R], logits: &mut Logits<R>) -> f64 {
    let (d, vocabulary) = (model.facts().d_model, model.facts().d_vocab);
    let rows = model.logits_chunk();
    let mut total = 0.0;
    for ((clean, spliced), grad) in clean
        .chunks(rows * d)
        .zip(spliced.chunks(rows * d))
        .zip(grad.chunks_mut(rows * d))
    {
        let n = clean.len() / d;
        logits.clean.resize(n * vocabulary, R::ZERO);
        logits.spliced.resize(n * vocabulary, R::ZERO);
        model.logits(clean, &mut logits.clean);
        model.logits_for_gradient(spliced, &mut logits.spliced, &mut logits.slopes);
        total += simd(|| {
            let mut sum = 0.0;
            for (p, q) in logits
                .clean
                .chunks_exact_mut(vocabulary)
                .zip(logits.spliced.chunks_exact_mut(vocabulary))
            {
                sum += kl_row(p, q, scale).f64();
            }
            sum
        });
        model.logits_backward(&mut logits.spliced, &logits.slopes, grad);
    }
    total
}

/// KL of one token; `q` becomes scale · (q − p).
#[inline(always)]
fn kl_row<R: Real>(p: &mut [R], q: &mut [R], scale: R) -> R {
    let (log_p, log_q) = (log_normaliser(p), log_normaliser(q));
    let mut terms = [R::ZERO; 16];
    for (p, q) in p.chunks_mut(16).zip(q.chunks_mut(16)) {
        for ((p, q), term) in p.iter_mut().zip(q.iter_mut()).zip(&mut terms) {
            let (a, b) = (*p - log_p, *q - log_q);
            let probability = a.exp();
            *term += probability * (a - b);
            *q = scale * (b.exp() - probability);
        }
    }
    terms.iter().copied().sum()
}
