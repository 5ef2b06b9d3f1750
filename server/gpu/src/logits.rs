//! The KL term with its gradient, and the cross-entropies: from the two inputs of the unembedding, a chunk of tokens at a time,
//! so that a [tokens, vocabulary] matrix never exists whole. Formulas: `engine::objective::kl`.

use candle_core::{D, Result, Tensor};

use crate::model::Model;

/// KL(model ‖ spliced) per token [n_tokens], and `scale` times its derivative by `spliced` [n_tokens, d_model].
pub fn kl(model: &Model<'_>, clean: &Tensor, spliced: &Tensor, scale: f64) -> Result<(Tensor, Tensor)> {
    let (mut values, mut grads) = (Vec::new(), Vec::new());
    for (first, n) in chunks(model, clean)? {
        let log_p = log_softmax(&model.logits(&clean.narrow(0, first, n)?)?)?;
        let logits = model.logits(&spliced.narrow(0, first, n)?)?;
        let log_q = log_softmax(&logits)?;
        let p = log_p.exp()?;
        values.push(divergence(&p, &log_p, &log_q)?);
        grads.push(model.logits_backward(&logits, &(log_q.exp()? - p)?.affine(scale, 0.0)?)?);
    }
    Ok((Tensor::cat(&values, 0)?, Tensor::cat(&grads, 0)?))
}

/// Per token: −log p(next) of the model, −log q(next) of the spliced model, and KL(p ‖ q), [n_tokens] each. `next` [n_tokens]
/// are the next tokens' ids.
pub fn compare(model: &Model<'_>, next: &Tensor, clean: &Tensor, spliced: &Tensor) -> Result<[Tensor; 3]> {
    let mut columns = [Vec::new(), Vec::new(), Vec::new()];
    for (first, n) in chunks(model, clean)? {
        let log_p = log_softmax(&model.logits(&clean.narrow(0, first, n)?)?)?;
        let log_q = log_softmax(&model.logits(&spliced.narrow(0, first, n)?)?)?;
        let next = next.narrow(0, first, n)?.unsqueeze(1)?;
        let surprise = |log: &Tensor| log.gather(&next, 1)?.squeeze(1)?.neg();
        columns[0].push(surprise(&log_p)?);
        columns[1].push(surprise(&log_q)?);
        columns[2].push(divergence(&log_p.exp()?, &log_p, &log_q)?);
    }
    let [ce_loss_without_sae, ce_loss_with_sae, kl] = columns.map(|column| Tensor::cat(&column, 0));
    Ok([ce_loss_without_sae?, ce_loss_with_sae?, kl?])
}

/// Σ p (log p − log q) per row.
fn divergence(p: &Tensor, log_p: &Tensor, log_q: &Tensor) -> Result<Tensor> {
    (p * (log_p - log_q)?)?.sum(1)
}

fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    let above = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?;
    above.broadcast_sub(&above.exp()?.sum_keepdim(D::Minus1)?.log()?)
}

fn chunks(model: &Model<'_>, rows: &Tensor) -> Result<impl Iterator<Item = (usize, usize)> + use<>> {
    let n = rows.dim(0)?;
    let step = (model.chunks.logits / model.host.facts().d_vocab).max(1);
    Ok((0..n).step_by(step).map(move |first| (first, step.min(n - first))))
}
