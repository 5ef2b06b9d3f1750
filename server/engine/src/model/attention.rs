//! Causal self-attention over one context, head by head and in tiles of query rows, so that scratch stays bounded.
//! The backward pass recomputes the probabilities from the saved queries, keys and log-sum-exps.

use super::{
    cap::{self, SoftCap},
    head_norm::{HeadNorms, HeadNormsTape, HeadNormsWork, Joint},
    rope::{Rope, Turn},
    tensor::Linear,
};
use crate::kernel::{Mat, MatMut, Real, dot, matmul, simd, sum};
use std::ops::Range;

/// Query rows of a tile. A tile's scores are [TILE, n_tokens].
const TILE: usize = 64;

/// The attention of a block.
#[derive(Clone)]
pub(super) struct Attention<R> {
    /// The projections of queries, keys and values, and the column of the joint [n, width] buffer where each writes.
    pub(super) inputs: Vec<(Linear<R>, usize)>,
    /// Where each head lies in that buffer.
    pub(super) heads: Heads,
    /// Of queries and keys, before they are rotated. Only where the joint buffer is not interleaved.
    pub(super) head_norms: Option<HeadNorms<R>>,
    /// [n_heads · d_head, d_model].
    pub(super) output: Linear<R>,
    /// What q·k is multiplied by.
    pub(super) scale: f64,
    /// Of the scaled scores.
    pub(super) cap: Option<SoftCap>,
    /// How many positions a query sees, its own included; none: all.
    pub(super) window: Option<usize>,
}

/// Where the heads' queries, keys and values lie in a row of the joint buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heads {
    pub(super) n_heads: usize,
    /// Heads that have keys and values of their own; each serves n_heads / n_kv_heads query heads.
    pub(super) n_kv_heads: usize,
    pub(super) d_head: usize,
    /// [q k v] head by head, as GPT-NeoX fuses them; otherwise all queries, then all keys, then all values.
    pub(super) interleaved: bool,
}

impl Heads {
    /// Width of a row.
    pub(super) fn width(&self) -> usize {
        (self.n_heads + 2 * self.n_kv_heads) * self.d_head
    }

    /// Width of the heads' concatenated outputs.
    pub(super) fn z_width(&self) -> usize {
        self.n_heads * self.d_head
    }

    /// First columns of the queries, keys and values of a query head.
    pub(super) fn columns(&self, head: usize) -> [usize; 3] {
        let kv = head / (self.n_heads / self.n_kv_heads);
        if self.interleaved {
            let first = 3 * head * self.d_head;
            [first, first + self.d_head, first + 2 * self.d_head]
        } else {
            [head, self.n_heads + kv, self.n_heads + self.n_kv_heads + kv].map(|slot| slot * self.d_head)
        }
    }

    /// First columns of everything that is rotated: each head's queries, each key head's keys.
    fn rotated(&self) -> impl Iterator<Item = usize> + '_ {
        let step = self.n_heads / self.n_kv_heads;
        let queries = (0..self.n_heads).map(|head| self.columns(head)[0]);
        queries.chain((0..self.n_kv_heads).map(move |kv| self.columns(kv * step)[1]))
    }
}

/// What the backward pass needs: rotated queries and keys, and values [n, width]; log Σ exp of each row of scores [n_heads, n].
#[derive(Default)]
pub(super) struct AttentionTape<R> {
    qkv: Vec<R>,
    log_sums: Vec<R>,
    head_norms: HeadNormsTape<R>,
}

/// Scratch: a tile of scores, of their gradients, of the slopes of their soft cap; and the gradient of the joint buffer.
#[derive(Default)]
pub(super) struct AttentionWork<R> {
    scores: Vec<R>,
    grads: Vec<R>,
    slopes: Vec<R>,
    qkv_grad: Vec<R>,
    head_norms: HeadNormsWork<R>,
}

impl<R: Real> Attention<R> {
    /// The heads' outputs `z` [n, n_heads · d_head] from the normalised residual `x` [n, d_model].
    pub(super) fn forward(
        &self,
        x: &[R],
        n: usize,
        rope: Option<&Rope<R>>,
        z: &mut Vec<R>,
        tape: &mut AttentionTape<R>,
        work: &mut AttentionWork<R>,
    ) {
        let (width, z_width, d_head) = (self.heads.width(), self.heads.z_width(), self.heads.d_head);
        tape.qkv.resize(n * width, R::ZERO);
        tape.log_sums.resize(self.heads.n_heads * n, R::ZERO);
        z.resize(n * z_width, R::ZERO);
        for (input, first) in &self.inputs {
            input.forward(x, &mut tape.qkv, *first, width);
        }
        if let Some(norms) = &self.head_norms {
            norms.forward(self.joint(&mut tape.qkv), &mut tape.head_norms, &mut work.head_norms);
        }
        if let Some(rope) = rope {
            self.rotate(rope, &mut tape.qkv, Turn::Ahead);
        }
        let qkv = &tape.qkv;
        for head in 0..self.heads.n_heads {
            let [q, k, v] = self.heads.columns(head).map(|first| self.part(qkv, n, first));
            for tile in tiles(n) {
                let keys = self.keys(&tile);
                let scores = size(&mut work.scores, tile.len() * keys.len());
                self.scores(q, k, &tile, &keys, scores);
                if let Some(cap) = self.cap {
                    cap.cap(scores);
                }
                let log_sums = &mut tape.log_sums[head * n..][tile.clone()];
                simd(
                    #[inline(always)]
                    || self.softmax(scores, &tile, &keys, log_sums),
                );
                let out = &mut z[tile.start * z_width + head * d_head..];
                matmul(
                    MatMut::strided(out, tile.len(), d_head, z_width),
                    R::ZERO,
                    R::ONE,
                    Mat::new(scores, tile.len(), keys.len()),
                    v.rows(keys),
                );
            }
        }
    }

    /// The gradient of x into `dx` [n, d_model] from that of z. With `weights`, which are x and the gradients of all weights,
    /// those of the projections are added to.
    #[allow(clippy::too_many_arguments, reason = "a plain function of plain buffers")]
    pub(super) fn backward(
        &self,
        tape: &AttentionTape<R>,
        dz: &[R],
        n: usize,
        rope: Option<&Rope<R>>,
        dx: &mut [R],
        mut weights: Option<(&[R], &mut [R])>,
        work: &mut AttentionWork<R>,
    ) {
        let (width, z_width, d_head) = (self.heads.width(), self.heads.z_width(), self.heads.d_head);
        work.qkv_grad.clear();
        work.qkv_grad.resize(n * width, R::ZERO);
        let grad = &mut work.qkv_grad;
        for head in 0..self.heads.n_heads {
            let columns = self.heads.columns(head);
            let [q, k, v] = columns.map(|first| self.part(&tape.qkv, n, first));
            let dz = Mat::strided(&dz[head * d_head..], n, d_head, z_width);
            for tile in tiles(n) {
                let keys = self.keys(&tile);
                let size_of_tile = tile.len() * keys.len();
                let scores = size(&mut work.scores, size_of_tile);
                let grads = size(&mut work.grads, size_of_tile);
                self.scores(q, k, &tile, &keys, scores);
                if let Some(cap) = self.cap {
                    cap.cap_with_slopes(scores, size(&mut work.slopes, size_of_tile));
                }
                let dz = dz.rows(tile.clone());
                matmul(
                    MatMut::new(grads, tile.len(), keys.len()),
                    R::ZERO,
                    R::ONE,
                    dz,
                    v.rows(keys.clone()).t(),
                );
                let log_sums = &tape.log_sums[head * n..][tile.clone()];
                simd(
                    #[inline(always)]
                    || self.softmax_backward(scores, grads, &tile, &keys, log_sums),
                );
                if self.cap.is_some() {
                    cap::back(&work.slopes, grads);
                }
                let (p, ds) = (
                    Mat::new(scores, tile.len(), keys.len()),
                    Mat::new(grads, tile.len(), keys.len()),
                );
                let mut add = |rows: &Range<usize>, first: usize, a: Mat<'_, R>, b: Mat<'_, R>| {
                    let to = MatMut::strided(&mut grad[rows.start * width + first..], rows.len(), d_head, width);
                    matmul(to, R::ONE, R::ONE, a, b);
                };
                add(&tile, columns[0], ds, k.rows(keys.clone()));
                add(&keys, columns[1], ds.t(), q.rows(tile.clone()));
                add(&keys, columns[2], p.t(), dz);
            }
        }
        if let Some(rope) = rope {
            self.rotate(rope, grad, Turn::Back);
        }
        if let Some(norms) = &self.head_norms {
            let grads = weights.as_mut().map(|(_, grads)| &mut **grads);
            norms.backward(&tape.head_norms, self.joint(grad), grads, &mut work.head_norms);
        }
        for (index, (input, first)) in self.inputs.iter().enumerate() {
            let keep = if index == 0 { R::ZERO } else { R::ONE };
            input.backward(grad, *first, width, dx, keep);
            if let Some((x, grads)) = &mut weights {
                input.weight_backward(x, grad, *first, width, grads);
            }
        }
    }

    fn rotate(&self, rope: &Rope<R>, qkv: &mut [R], turn: Turn) {
        simd(
            #[inline(always)]
            || {
                for first in self.heads.rotated() {
                    rope.turn(qkv, self.heads.width(), first, turn);
                }
            },
        );
    }

    /// Where all queries and all keys lie in the joint buffer `rows`.
    fn joint<'a>(&self, rows: &'a mut [R]) -> Joint<'a, R> {
        let Heads { n_kv_heads, d_head, .. } = self.heads;
        let first_key = self.heads.z_width();
        Joint {
            rows,
            width: self.heads.width(),
            queries: 0..first_key,
            keys: first_key..first_key + n_kv_heads * d_head,
        }
    }

    /// One head's queries, keys or values: [n, d_head] from column `first` of the joint buffer.
    fn part<'a>(&self, qkv: &'a [R], n: usize, first: usize) -> Mat<'a, R> {
        Mat::strided(&qkv[first..], n, self.heads.d_head, self.heads.width())
    }

    /// The keys that a tile of queries sees between them.
    fn keys(&self, tile: &Range<usize>) -> Range<usize> {
        let first = self.window.map_or(0, |window| (tile.start + 1).saturating_sub(window));
        first..tile.end
    }

    /// The keys that query `row` sees, counted from the tile's first key.
    #[inline(always)]
    fn seen(&self, row: usize, keys: &Range<usize>) -> Range<usize> {
        let first = match self.window {
            Some(window) => (row + 1).saturating_sub(window),
            None => 0,
        };
        first - keys.start..row + 1 - keys.start
    }

    /// scale · Q Kᵀ of a tile.
    fn scores(&self, q: Mat<'_, R>, k: Mat<'_, R>, tile: &Range<usize>, keys: &Range<usize>, scores: &mut [R]) {
        matmul(
            MatMut::new(scores, tile.len(), keys.len()),
            R::ZERO,
            R::of(self.scale),
            q.rows(tile.clone()),
            k.rows(keys.clone()).t(),
        );
    }

    /// Scores to probabilities, in place; unseen keys get 0.
    #[inline(always)]
    fn softmax(&self, scores: &mut [R], tile: &Range<usize>, keys: &Range<usize>, log_sums: &mut [R]) {
        let rows = scores.chunks_exact_mut(keys.len()).zip(tile.clone());
        for ((scores, row), log_sum) in rows.zip(log_sums) {
            let seen = self.seen(row, keys);
            scores[..seen.start].fill(R::ZERO);
            scores[seen.end..].fill(R::ZERO);
            let scores = &mut scores[seen];
            let most = largest(scores);
            for s in scores.iter_mut() {
                *s = (*s - most).exp();
            }
            let total = sum(scores);
            let inverse = R::ONE / total;
            for s in scores.iter_mut() {
                *s *= inverse;
            }
            *log_sum = most + total.ln();
        }
    }

    /// Scores to probabilities and the probabilities' gradients to those of the unscaled scores, both in place.
    #[inline(always)]
    fn softmax_backward(&self, scores: &mut [R], grads: &mut [R], tile: &Range<usize>, keys: &Range<usize>, log_sums: &[R]) {
        let scale = R::of(self.scale);
        let rows = scores.chunks_exact_mut(keys.len()).zip(grads.chunks_exact_mut(keys.len()));
        for (((p, dp), row), log_sum) in rows.zip(tile.clone()).zip(log_sums) {
            let seen = self.seen(row, keys);
            for row in [&mut *p, &mut *dp] {
                row[..seen.start].fill(R::ZERO);
                row[seen.end..].fill(R::ZERO);
            }
            let (p, dp) = (&mut p[seen.clone()], &mut dp[seen]);
            for p in p.iter_mut() {
                *p = (*p - *log_sum).exp();
            }
            let mean = dot(p, dp);
            for (dp, p) in dp.iter_mut().zip(&*p) {
                *dp = *p * (*dp - mean) * scale;
            }
        }
    }

    pub(super) fn to_f64(&self) -> Attention<f64> {
        Attention {
            inputs: self.inputs.iter().map(|(input, first)| (input.to_f64(), *first)).collect(),
            heads: self.heads,
            head_norms: self.head_norms.as_ref().map(HeadNorms::to_f64),
            output: self.output.to_f64(),
            scale: self.scale,
            cap: self.cap,
            window: self.window,
        }
    }
}

fn tiles(n: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n).step_by(TILE).map(move |start| start..(start + TILE).min(n))
}

/// The first `len` numbers of a buffer that grows when it must.
fn size<R: Real>(buffer: &mut Vec<R>, len: usize) -> &mut [R] {
    if buffer.len() < len {
        buffer.resize(len, R::ZERO);
    }
    &mut buffer[..len]
}

/// The largest of some numbers, in independent lanes so that it vectorises.
#[inline(always)]
fn largest<R: Real>(numbers: &[R]) -> R {
    const LANES: usize = 32;
    let mut lanes = [numbers[0]; LANES];
    let mut chunks = numbers.chunks_exact(LANES);
    for chunk in &mut chunks {
        for i in 0..LANES {
            lanes[i] = lanes[i].max(chunk[i]);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane = lane.max(*x);
    }
    lanes.into_iter().fold(lanes[0], R::max)
}
