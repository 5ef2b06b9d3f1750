//! RMSNorm of each head's queries and keys over d_head, between the projections and the rotation, as Qwen3 has it. All heads of
//! a block share one gain for queries and one for keys.

use super::norm::{Norm, NormTape};
use crate::kernel::Real;
use std::ops::Range;

/// The two norms of a block, over d_head each.
#[derive(Clone)]
pub(super) struct HeadNorms<R> {
    pub(super) query: Norm<R>,
    pub(super) key: Norm<R>,
}

/// What the backward pass needs.
#[derive(Default)]
pub(super) struct HeadNormsTape<R> {
    query: NormTape<R>,
    key: NormTape<R>,
}

/// Scratch: one row per token and head.
#[derive(Default)]
pub(super) struct HeadNormsWork<R> {
    heads: Vec<R>,
    normed: Vec<R>,
}

/// The joint buffer of queries, keys and values [n, width], and the columns of all queries and of all keys in it.
pub(super) struct Joint<'a, R> {
    pub(super) rows: &'a mut [R],
    pub(super) width: usize,
    pub(super) queries: Range<usize>,
    pub(super) keys: Range<usize>,
}

impl<R: Real> HeadNorms<R> {
    /// Normalises queries and keys in place.
    pub(super) fn forward(&self, joint: Joint<'_, R>, tape: &mut HeadNormsTape<R>, work: &mut HeadNormsWork<R>) {
        let parts = [
            (&self.query, &mut tape.query, joint.queries),
            (&self.key, &mut tape.key, joint.keys),
        ];
        for (norm, tape, columns) in parts {
            gather(joint.rows, joint.width, &columns, &mut work.heads);
            norm.forward(&work.heads, tape, &mut work.normed);
            scatter(&work.normed, joint.rows, joint.width, &columns);
        }
    }

    /// The same for gradients, backward. With `grads`, the gradients of all weights, those of the gains are added to.
    pub(super) fn backward(
        &self,
        tape: &HeadNormsTape<R>,
        joint: Joint<'_, R>,
        mut grads: Option<&mut [R]>,
        work: &mut HeadNormsWork<R>,
    ) {
        let parts = [(&self.query, &tape.query, joint.queries), (&self.key, &tape.key, joint.keys)];
        for (norm, tape, columns) in parts {
            gather(joint.rows, joint.width, &columns, &mut work.heads);
            if let Some(grads) = &mut grads {
                norm.weight_backward(&tape.normalized, &work.heads, grads);
            }
            norm.backward(tape, &mut work.heads);
            scatter(&work.heads, joint.rows, joint.width, &columns);
        }
    }

    pub(super) fn to_f64(&self) -> HeadNorms<f64> {
        HeadNorms {
            query: self.query.to_f64(),
            key: self.key.to_f64(),
        }
    }
}

/// Some columns of `rows`, row after row.
fn gather<R: Real>(rows: &[R], width: usize, columns: &Range<usize>, to: &mut Vec<R>) {
    to.clear();
    for row in rows.chunks_exact(width) {
        to.extend_from_slice(&row[columns.clone()]);
    }
}

/// The reverse.
fn scatter<R: Real>(from: &[R], rows: &mut [R], width: usize, columns: &Range<usize>) {
    for (row, from) in rows.chunks_exact_mut(width).zip(from.chunks_exact(columns.len())) {
        row[columns.clone()].copy_from_slice(from);
    }
}
