//! The form of a batch: contexts of equal length, with what follows from that length alone.

use candle_core::{Device, Result, Tensor};

/// How many contexts of how many tokens a batch has, and who sees whom in one.
pub struct Form {
    /// Contexts.
    pub n_contexts: usize,
    /// Tokens per context.
    pub n_ctx: usize,
    /// Numbers in one chunk's scores, at most.
    pub scores: usize,
    /// Per kind of window: [n_ctx, n_ctx], 0 where the query (row) sees the key (column), −∞ elsewhere.
    masks: Vec<(Option<usize>, Tensor)>,
}

impl Form {
    /// For attention with these windows, at most `scores` numbers of scores at a time.
    pub fn new(n_contexts: usize, n_ctx: usize, windows: &[Option<usize>], scores: usize, device: &Device) -> Result<Self> {
        let masks = windows
            .iter()
            .map(|window| Ok((*window, mask(n_ctx, *window, device)?)))
            .collect::<Result<_>>()?;
        Ok(Self {
            n_contexts,
            n_ctx,
            scores,
            masks,
        })
    }

    /// Tokens of the whole batch.
    pub fn n_tokens(&self) -> usize {
        self.n_contexts * self.n_ctx
    }

    /// The mask of attention with this window.
    pub fn mask(&self, window: Option<usize>) -> Result<&Tensor> {
        let found = self.masks.iter().find(|(w, _)| *w == window);
        found
            .map(|(_, mask)| mask)
            .ok_or_else(|| candle_core::Error::Msg(format!("no mask was made for the window {window:?}")))
    }
}

fn mask(n_ctx: usize, window: Option<usize>, device: &Device) -> Result<Tensor> {
    let sees = |query: usize, key: usize| key <= query && window.is_none_or(|window| query < key + window);
    let numbers: Vec<f32> = (0..n_ctx * n_ctx)
        .map(|i| if sees(i / n_ctx, i % n_ctx) { 0.0 } else { f32::NEG_INFINITY })
        .collect();
    Tensor::from_vec(numbers, (n_ctx, n_ctx), device)
}
