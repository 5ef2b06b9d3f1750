//! Sparse codes: which features fire on which token, and how strongly.

use crate::kernel::Real;

/// Tokens per segment: the unit of work of every pass over codes, fixed so that results do not depend on the thread count.
pub const SEGMENT: usize = 512;

/// The codes of at most [`SEGMENT`] consecutive tokens, row by row.
#[derive(Clone, Debug, Default)]
pub struct Segment<R> {
    /// Row r holds the entries `offsets[r]..offsets[r + 1]`; n_rows + 1 numbers.
    pub offsets: Vec<u32>,
    /// Feature ids, ascending within a row.
    pub ids: Vec<u32>,
    /// The features' activations.
    pub values: Vec<R>,
    /// The loss' derivative by each activation, once a backward pass has written it.
    pub grads: Vec<R>,
}

/// Which numbers of a segment's entries an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entries {
    /// The activations.
    Values,
    /// Their derivatives.
    Grads,
}

impl<R: Real> Segment<R> {
    /// Number of tokens.
    pub fn n_rows(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// The entries of row `r`.
    pub fn range(&self, r: usize) -> std::ops::Range<usize> {
        self.offsets[r] as usize..self.offsets[r + 1] as usize
    }

    /// The chosen numbers of all entries.
    pub fn entries(&self, which: Entries) -> &[R] {
        match which {
            Entries::Values => &self.values,
            Entries::Grads => &self.grads,
        }
    }

    /// Adds an entry to the row that is being written, if `is_kept`.
    pub fn push(&mut self, id: u32, value: R, is_kept: bool) {
        if is_kept {
            self.ids.push(id);
            self.values.push(value);
        }
    }

    /// Ends the row that is being written.
    pub fn end_row(&mut self) {
        self.offsets.push(self.ids.len() as u32);
    }

    /// Drops the entries whose activation is not to be kept.
    pub fn retain(&mut self, mut is_kept: impl FnMut(R) -> bool) {
        let (mut from, mut to) = (0, 0);
        for end in self.offsets.iter_mut().skip(1) {
            while from < *end as usize {
                if is_kept(self.values[from]) {
                    (self.ids[to], self.values[to]) = (self.ids[from], self.values[from]);
                    to += 1;
                }
                from += 1;
            }
            *end = to as u32;
        }
        self.ids.truncate(to);
        self.values.truncate(to);
        self.grads.clear();
    }

    /// Drops all rows and keeps the memory.
    pub fn clear(&mut self) {
        self.offsets.clear();
        self.offsets.push(0);
        self.ids.clear();
        self.values.clear();
        self.grads.clear();
    }

    /// Share of the entries of `n_features` features that are not zero.
    pub fn density(&self, n_features: usize) -> f64 {
        self.ids.len() as f64 / (self.n_rows() * n_features).max(1) as f64
    }
}

/// The codes of a batch [n_tokens, d_sae]: only what fired.
#[derive(Clone, Debug, Default)]
pub struct SparseCodes<R> {
    /// Number of features.
    pub d_sae: usize,
    /// The batch in runs of [`SEGMENT`] tokens.
    pub segments: Vec<Segment<R>>,
}

impl<R: Real> SparseCodes<R> {
    /// Empty segments for `n_tokens` tokens; memory of former batches is kept.
    pub fn reset(&mut self, n_tokens: usize, d_sae: usize) {
        self.d_sae = d_sae;
        self.segments.resize_with(n_tokens.div_ceil(SEGMENT), Segment::default);
        self.segments.iter_mut().for_each(Segment::clear);
    }

    /// Number of tokens.
    pub fn n_tokens(&self) -> usize {
        self.segments.iter().map(Segment::n_rows).sum()
    }

    /// The smallest value of all entries; none where there is no entry.
    pub fn smallest(&self) -> Option<R> {
        let values = self.segments.iter().flat_map(|segment| &segment.values).copied();
        values.reduce(|least, value| if value < least { value } else { least })
    }

    /// Number of entries: features that fired, over all tokens.
    pub fn nnz(&self) -> usize {
        self.segments.iter().map(|s| s.ids.len()).sum()
    }

    /// Ids and activations of token `t`.
    pub fn row(&self, t: usize) -> (&[u32], &[R]) {
        let segment = &self.segments[t / SEGMENT];
        let range = segment.range(t % SEGMENT);
        (&segment.ids[range.clone()], &segment.values[range])
    }

    /// Σ of all activations (their L1 norm, as they are positive).
    pub fn l1(&self) -> f64 {
        self.segments.iter().flat_map(|s| &s.values).map(|v| v.f64().abs()).sum()
    }

    /// From a dense matrix [n_tokens, d_sae], keeping what is not zero.
    ///
    /// # Panics
    /// When the length is no multiple of `d_sae`.
    pub fn from_dense(dense: &[R], d_sae: usize) -> Self {
        assert_eq!(dense.len() % d_sae, 0, "{} numbers in rows of {d_sae}", dense.len());
        let mut codes = Self::default();
        codes.reset(dense.len() / d_sae, d_sae);
        for (t, row) in dense.chunks_exact(d_sae).enumerate() {
            let segment = &mut codes.segments[t / SEGMENT];
            for (id, value) in row.iter().enumerate().filter(|(_, v)| **v != R::ZERO) {
                segment.ids.push(id as u32);
                segment.values.push(*value);
            }
            segment.offsets.push(segment.ids.len() as u32);
        }
        codes
    }

    /// As a dense matrix [n_tokens, d_sae].
    pub fn to_dense(&self) -> Vec<R> {
        let mut dense = vec![R::ZERO; self.n_tokens() * self.d_sae];
        for t in 0..self.n_tokens() {
            let (ids, values) = self.row(t);
            for (id, value) in ids.iter().zip(values) {
                dense[t * self.d_sae + *id as usize] = *value;
            }
        }
        dense
    }
}
