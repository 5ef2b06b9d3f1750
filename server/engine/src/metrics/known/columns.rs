//! A dictionary's codes by feature: where each fires, and how strongly.

use rayon::prelude::*;

use crate::{
    dictionary::{Back, SEGMENT, Scratch, SparseCodes},
    metrics::Subject,
};

/// Tokens that are encoded at a time.
const CHUNK: usize = 16 * SEGMENT;

/// The codes of some tokens [n_tokens, d_sae], column by column; only what is not zero.
#[derive(Clone, Debug)]
pub struct Columns {
    /// Number of tokens.
    pub n_tokens: usize,
    /// Of each feature: tokens and activations, the largest first, equal ones by token.
    pub features: Vec<Vec<(u32, f32)>>,
}

impl Columns {
    /// The codes of `x` [n_tokens, d_in], which stand at `tokens` [n_tokens].
    pub fn encode(subject: &Subject<'_>, tokens: &[u32], x: &[f32]) -> Self {
        let d = subject.dictionary.d_in();
        let scratch = Scratch::new();
        let mut codes = SparseCodes::default();
        let mut columns = Self {
            n_tokens: x.len() / d,
            features: vec![Vec::new(); subject.dictionary.d_sae()],
        };
        for (chunk, (x, tokens)) in x.chunks(CHUNK * d).zip(tokens.chunks(CHUNK)).enumerate() {
            let mut seen = x.to_vec();
            subject.normaliser.apply(&mut seen, d, &mut Back::default());
            subject.dictionary.encode_tokens(tokens, &seen, &mut codes, &scratch);
            for t in 0..codes.n_tokens() {
                let (ids, values) = codes.row(t);
                for (id, value) in ids.iter().zip(values).filter(|(_, value)| **value != 0.0) {
                    columns.features[*id as usize].push(((chunk * CHUNK + t) as u32, *value));
                }
            }
        }
        columns.features.par_iter_mut().for_each(|column| sort(column));
        columns
    }
}

/// The order of a column.
pub fn sort(column: &mut [(u32, f32)]) {
    column.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
}
