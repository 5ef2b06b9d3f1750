//! Token by token: which predictions a dictionary loses most of, and which every one of several dictionaries loses.

use super::{
    clean::check_batch,
    logits::Compared,
    pass::{Passes, Text},
    totals::{ORDINARY, sets},
};
use crate::model::ModelError;

/// What predictions are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// −log q(next) + log p(next).
    CeIncrease,
    /// KL(p ‖ q).
    Kl,
}

/// A token of the text, and what becomes of the prediction of the next one.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenRow {
    /// The context's index in the text.
    pub context: usize,
    /// The token's position in its context.
    pub position: usize,
    /// Its id.
    pub token: u32,
    /// The next one's; none at a context's end.
    pub next: Option<u32>,
    /// −log p(next) of the model; none at a context's end, where the next token is not known.
    pub ce_loss_without_sae: Option<f64>,
    /// Per dictionary: −log q(next) + log p(next); empty at a context's end.
    pub ce_increase: Vec<f64>,
    /// Per dictionary: KL(p ‖ q).
    pub kl: Vec<f64>,
}

impl TokenRow {
    /// What every dictionary loses at least; none where that is not known.
    pub fn least(&self, by: By) -> Option<f64> {
        let values = match by {
            By::CeIncrease => &self.ce_increase,
            By::Kl => &self.kl,
        };
        values.iter().copied().reduce(f64::min)
    }
}

/// The rows of several dictionaries, and what each of the text's tokens costs them.
#[derive(Clone, Debug)]
pub struct Hardest {
    /// The rows.
    pub rows: Vec<TokenRow>,
    compared: Vec<Compared>,
    n_ctx: usize,
}

impl Hardest {
    /// The first `top` rows of [`hardest`].
    pub fn new(compared: Vec<Compared>, text: Text<'_>, by: By, top: usize) -> Self {
        Self {
            rows: hardest(&compared, text, by, top),
            compared,
            n_ctx: text.contexts.first().map_or(0, |c| c.len()),
        }
    }

    /// The CE increase that every dictionary has at least where the token at `position` of a context is predicted; none at position 0,
    /// which nothing predicts.
    pub fn least_increase(&self, context: usize, position: usize) -> Option<f64> {
        let t = context * self.n_ctx + position.checked_sub(1)?;
        self.compared.iter().map(|c| c.ce_increase(t)).reduce(f64::min)
    }
}

/// Cross-entropies and KL of every token of the text, for each of the dictionaries that `passes` computes with. `progress` is told
/// the tokens done and wanted and may end the pass by answering false; what was computed until then is given.
///
/// # Errors
/// Losses of the model that are not finite, and whatever `passes` fails with.
pub fn compare_tokens<E: From<ModelError>>(
    text: Text<'_>,
    progress: &mut dyn FnMut(u64, u64) -> bool,
    passes: &mut dyn Passes<E>,
) -> Result<Vec<Compared>, E> {
    let n_ctx = text.contexts.first().map_or(0, |c| c.len());
    let mut all: Vec<Compared> = Vec::new();
    let mut done = 0;
    for contexts in text.contexts.chunks(text.batch) {
        // nothing is asked of the features
        let none = vec![None; contexts.len() * n_ctx];
        let batch = passes.batch(contexts, &none, &[])?;
        check_batch(&[], contexts, &batch)?;
        all.resize_with(batch.answers.len(), Compared::default);
        for (all, answer) in all.iter_mut().zip(&batch.answers) {
            all.extend(&answer.compared);
        }
        done += contexts.len();
        if !progress((done * n_ctx) as u64, (text.contexts.len() * n_ctx) as u64) {
            break;
        }
    }
    Ok(all)
}

/// The `top` ordinary tokens that every dictionary loses most at: by the least of the dictionaries' values, largest first, and in the
/// text's order where those are equal.
pub fn hardest(compared: &[Compared], text: Text<'_>, by: By, top: usize) -> Vec<TokenRow> {
    let n_ctx = text.contexts.first().map_or(0, |c| c.len());
    let n_tokens = compared.iter().map(|c| c.kl.len()).min().unwrap_or(0);
    let least = |t: usize| {
        let of_one = |c: &Compared| match by {
            By::CeIncrease => c.ce_increase(t),
            By::Kl => c.kl[t],
        };
        compared.iter().map(of_one).fold(f64::INFINITY, f64::min)
    };
    let sets = sets(text.contexts, text.special);
    let known = |t: &usize| sets[*t] == ORDINARY && (by == By::Kl || t % n_ctx + 1 < n_ctx);
    let mut order: Vec<(f64, usize)> = (0..n_tokens).filter(known).map(|t| (least(t), t)).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    order.truncate(top);
    let row = |(_, t): (f64, usize)| {
        let has_next = t % n_ctx + 1 < n_ctx;
        let increases = compared.iter().filter(|_| has_next).map(|c| c.ce_increase(t));
        TokenRow {
            context: t / n_ctx,
            position: t % n_ctx,
            token: text.contexts[t / n_ctx][t % n_ctx],
            next: text.contexts[t / n_ctx].get(t % n_ctx + 1).copied(),
            ce_loss_without_sae: compared
                .first()
                .filter(|_| has_next)
                .map(|c| f64::from(c.ce_loss_without_sae[t])),
            ce_increase: increases.collect(),
            kl: compared.iter().map(|c| c.kl[t]).collect(),
        }
    };
    order.into_iter().map(row).collect()
}

impl Compared {
    /// −log q(next) + log p(next) of token `t`.
    fn ce_increase(&self, t: usize) -> f64 {
        f64::from(self.ce_loss_with_sae[t]) - f64::from(self.ce_loss_without_sae[t])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Depth;

    #[test]
    fn what_every_dictionary_loses_comes_first() {
        let compared = |increases: [f32; 8], kl: [f64; 8]| Compared {
            ce_loss_without_sae: vec![1.0; 8],
            ce_loss_with_sae: increases.iter().map(|i| 1.0 + i).collect(),
            kl: kl.to_vec(),
        };
        // positions 0 and 4 open contexts, 3 and 7 end them, 6 is special
        let both = [
            compared(
                [9.0, 0.5, 3.0, 8.0, 9.0, 0.25, 9.0, 9.0],
                [9.0, 0.1, 0.2, 0.3, 9.0, 0.4, 9.0, 0.7],
            ),
            compared(
                [9.0, 1.0, 0.0, 8.0, 9.0, 2.0, 9.0, 9.0],
                [9.0, 0.5, 0.2, 0.3, 9.0, 0.1, 9.0, 0.6],
            ),
        ];
        let contexts: [&[u32]; 2] = [&[5, 5, 5, 5], &[5, 5, 1, 5]];
        let text = Text {
            contexts: &contexts,
            special: &[1],
            batch: 2,
            documents: None,
            depth: Depth::Curves,
        };
        let places = |compared: &[Compared], by, top| -> Vec<(usize, usize)> {
            let rows = hardest(compared, text, by, top);
            rows.iter().map(|row| (row.context, row.position)).collect()
        };
        assert_eq!(places(&both, By::CeIncrease, 9), [(0, 1), (1, 1), (0, 2)]);
        assert_eq!(places(&both[..1], By::CeIncrease, 2), [(0, 2), (0, 1)]);
        assert_eq!(places(&both, By::Kl, 9), [(1, 3), (0, 3), (0, 2), (0, 1), (1, 1)]);
        // what comes before a token tells what its own prediction costs
        let all = Hardest::new(both.to_vec(), text, By::CeIncrease, 1);
        assert_eq!(
            (all.rows.len(), all.least_increase(0, 2), all.least_increase(1, 2)),
            (1, Some(0.5), Some(0.25))
        );
        assert_eq!(all.least_increase(1, 0), None);
        let rows = hardest(&both, text, By::Kl, 1);
        assert_eq!(
            (rows[0].ce_loss_without_sae, &rows[0].ce_increase[..], &rows[0].kl[..]),
            (None, &[][..], &[0.7, 0.6][..])
        );
        assert_eq!((rows[0].token, rows[0].next), (5, None));
        assert_eq!((rows[0].least(By::Kl), rows[0].least(By::CeIncrease)), (Some(0.6), None));
    }
}
