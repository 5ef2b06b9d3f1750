//! The passes over codes that every dictionary kind is made of: encode, combine (decode), project and outer.
//!
//! Each comes in two forms with the same result up to rounding: one that touches only the entries, and, for segments where
//! more than [`Path::default`]'s share of the features fire (a fresh ReLU dictionary fires half), one that spreads a tile of
//! the codes out and multiplies matrices. Nothing dense of width d_sae outlives a tile.

use rayon::prelude::*;

use super::codes::{Entries, SEGMENT, Segment, SparseCodes};
use crate::kernel::{Mat, MatMut, PerThread, Real, add, axpy, dot, matmul, simd};

/// Features per tile of a segment-wise pass.
const FEATURES: usize = 1024;
/// Features per task of [`outer`].
const OUTER_FEATURES: usize = 256;
/// Numbers looked at together when what fires is picked out.
const GROUP: usize = 32;
/// Groups of a tile's features of which each row's maxima are kept, where the largest of a row are wanted.
const MAXIMA: usize = 128;

/// From which density on a pass multiplies matrices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Path {
    /// Share of non-zero entries.
    pub dense_from: f64,
}

impl Path {
    /// Always entry by entry.
    pub const SPARSE: Path = Path {
        dense_from: f64::INFINITY,
    };
    /// Always matrices.
    pub const DENSE: Path = Path { dense_from: -1.0 };
}

impl Default for Path {
    /// Measured: a matrix product is about ten times faster per multiplication than gathering rows.
    fn default() -> Self {
        Self { dense_from: 0.1 }
    }
}

/// Scratch memory of the passes.
pub type Scratch<R> = PerThread<Buffers<R>>;

/// What one thread needs to work on one tile.
#[derive(Debug, Default)]
pub struct Buffers<R> {
    dense: Vec<R>,
    ids: Vec<u32>,
    values: Vec<R>,
    counts: Vec<u32>,
    cursors: Vec<u32>,
    picked_ids: Vec<u32>,
    picked: Vec<R>,
    found: Segment<R>,
    order: Vec<u32>,
    maxima: Vec<R>,
    ranked: Vec<R>,
}

/// Above what an activation is found.
#[derive(Clone, Copy, Debug)]
pub enum Floors<'a, R> {
    /// 0.
    Zero,
    /// Each feature's own: [d_sae].
    Own(&'a [R]),
    /// What rises as a row is read, so that all that can be among its `k` largest is found, and not much else.
    Largest {
        /// How many.
        k: usize,
        /// 1 for the features for which it rises, 0 for those of which everything positive is wanted: [d_sae].
        rises: &'a [R],
    },
    /// The same by size: what counts of an activation is |z|.
    LargestSizes {
        /// How many.
        k: usize,
        /// As above.
        rises: &'a [R],
    },
}

fn sized<R: Real>(buffer: &mut Vec<R>, len: usize) -> &mut [R] {
    if buffer.len() < len {
        buffer.resize(len, R::ZERO);
    }
    &mut buffer[..len]
}

/// codes = ReLU(x Wᵀ + b), as a tiled product whose epilogue keeps what fires.
/// `x` [n_tokens, d], `weights` [d_sae, d], `bias` [d_sae].
///
/// # Panics
/// When the lengths do not fit.
pub fn encode<R: Real>(x: &[R], weights: &[R], bias: &[R], codes: &mut SparseCodes<R>, scratch: &Scratch<R>) {
    let d = width(x, weights, bias);
    codes.reset(x.len() / d, bias.len());
    let x_rows = x.par_chunks(SEGMENT * d);
    codes.segments.par_iter_mut().zip(x_rows).for_each(|(segment, x)| {
        scratch.with(|buffers| encode_segment::<R, false, false>(x, d, weights, bias, Floors::Zero, segment, buffers));
    });
}

/// The same product, of which everything above `floors` is found. `divide` is given what was found in a segment, deals it to two
/// sets of codes, row by row, and has a list to work with.
///
/// # Panics
/// When the lengths do not fit.
pub fn encode_into<R: Real>(
    x: &[R],
    (weights, bias, floors): (&[R], &[R], Floors<'_, R>),
    [first, second]: [&mut SparseCodes<R>; 2],
    scratch: &Scratch<R>,
    divide: impl Fn(&Segment<R>, &mut Segment<R>, &mut Segment<R>, &mut Vec<u32>) + Sync,
) {
    let d = width(x, weights, bias);
    if let Floors::Own(each) | Floors::Largest { rises: each, .. } | Floors::LargestSizes { rises: each, .. } = floors {
        assert!(each.len() == bias.len(), "{} floors", each.len());
    }
    first.reset(x.len() / d, bias.len());
    second.reset(x.len() / d, bias.len());
    first
        .segments
        .par_iter_mut()
        .zip(&mut second.segments)
        .zip(x.par_chunks(SEGMENT * d))
        .for_each(|((first, second), x)| {
            scratch.with(|buffers| {
                let (mut found, mut order) = (std::mem::take(&mut buffers.found), std::mem::take(&mut buffers.order));
                found.clear();
                let encode = match floors {
                    Floors::Zero => encode_segment::<R, false, false>,
                    Floors::Own(_) | Floors::Largest { .. } => encode_segment::<R, true, false>,
                    Floors::LargestSizes { .. } => encode_segment::<R, true, true>,
                };
                encode(x, d, weights, bias, floors, &mut found, buffers);
                divide(&found, first, second, &mut order);
                (buffers.found, buffers.order) = (found, order);
            });
        });
}

/// Width of the input.
fn width<R: Real>(x: &[R], weights: &[R], bias: &[R]) -> usize {
    let d_sae = bias.len();
    let d = weights.len() / d_sae;
    assert!(
        weights.len() == d * d_sae && x.len().is_multiple_of(d),
        "{} inputs, {} weights, {d_sae} biases",
        x.len(),
        weights.len()
    );
    d
}

/// `FLOORED`: there are floors above 0. `SIZES`: what lies above them is |z|.
fn encode_segment<R: Real, const FLOORED: bool, const SIZES: bool>(
    x: &[R],
    d: usize,
    weights: &[R],
    bias: &[R],
    floors: Floors<'_, R>,
    segment: &mut Segment<R>,
    buffers: &mut Buffers<R>,
) {
    let n = x.len() / d;
    let n_tiles = bias.len().div_ceil(FEATURES);
    let Buffers {
        dense,
        ids,
        values,
        counts,
        cursors,
        picked_ids,
        picked,
        maxima,
        ranked,
        ..
    } = buffers;
    let (floors, k) = match floors {
        Floors::Zero => (&[][..], None),
        Floors::Own(each) => (each, None),
        Floors::Largest { k, rises } | Floors::LargestSizes { k, rises } => (rises, Some(k)),
    };
    let per_row = n_tiles * MAXIMA;
    let maxima = sized(maxima, if k.is_some() { n * per_row } else { 0 });
    picked_ids.clear();
    picked.clear();
    counts.clear();
    let room = n * FEATURES.min(bias.len()) + GROUP;
    if ids.len() < room {
        ids.resize(room, 0);
    }
    let values = sized(values, room);
    for (tile, bias) in bias.chunks(FEATURES).enumerate() {
        let first = tile * FEATURES;
        let width = bias.len();
        let products = sized(dense, n * width);
        let w = Mat::new(&weights[first * d..(first + width) * d], width, d);
        matmul(MatMut::new(products, n, width), R::ZERO, R::ONE, Mat::new(x, n, d), w.t());
        let found = simd(|| {
            let mut end = 0;
            for (r, row) in products.chunks_exact(width).enumerate() {
                let start = end;
                let floors = if FLOORED { &floors[first..first + width] } else { floors };
                let factor = k.map_or(R::ONE, |k| {
                    let maxima = &mut maxima[r * per_row..][..(tile + 1) * MAXIMA];
                    largest_sums::<R, SIZES>(row, bias, &mut maxima[tile * MAXIMA..]);
                    floor_of(maxima, k, ranked)
                });
                end = pick::<R, FLOORED, SIZES>(row, (bias, floors, factor), first as u32, ids, values, end);
                counts.push((end - start) as u32);
            }
            end
        });
        picked_ids.extend_from_slice(&ids[..found]);
        picked.extend_from_slice(&values[..found]);
    }
    // the tiles come one after the other; the segment wants its rows together
    cursors.clear();
    let mut total = 0;
    for r in 0..n {
        cursors.push(total);
        total += (0..n_tiles).map(|tile| counts[tile * n + r]).sum::<u32>();
        segment.offsets.push(total);
    }
    segment.ids.resize(total as usize, 0);
    segment.values.resize(total as usize, R::ZERO);
    let mut from = 0;
    for tile in 0..n_tiles {
        for r in 0..n {
            let count = counts[tile * n + r] as usize;
            let to = cursors[r] as usize;
            segment.ids[to..to + count].copy_from_slice(&picked_ids[from..from + count]);
            segment.values[to..to + count].copy_from_slice(&picked[from..from + count]);
            cursors[r] += count as u32;
            from += count;
        }
    }
}

/// The largest of `row + bias`, or with `SIZES` the largest size, in each of [`MAXIMA`] groups: every so many features make one, so that lanes are compared with lanes.
/// NaN is passed over.
#[inline(always)]
fn largest_sums<R: Real, const SIZES: bool>(row: &[R], bias: &[R], maxima: &mut [R]) {
    maxima.fill(R::ZERO);
    for (row, bias) in row.chunks(MAXIMA).zip(bias.chunks(MAXIMA)) {
        for ((largest, r), b) in maxima.iter_mut().zip(row).zip(bias) {
            let sum = size::<R, SIZES>(*r + *b);
            *largest = if sum > *largest { sum } else { *largest };
        }
    }
}

/// What counts of an activation.
#[inline(always)]
fn size<R: Real, const SIZES: bool>(z: R) -> R {
    if SIZES { z.abs() } else { z }
}

/// A bound that at least `k` of a row's activations reach, as `k` of its groups' `maxima` do, less a hair, so that what equals it is
/// above it; 0 where there is none.
fn floor_of<R: Real>(maxima: &[R], k: usize, ranked: &mut Vec<R>) -> R {
    if k == 0 || k > maxima.len() {
        return R::ZERO;
    }
    ranked.clear();
    ranked.extend_from_slice(maxima);
    let descending = |a: &R, b: &R| b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal);
    let (_, least, _) = ranked.select_nth_unstable_by(k - 1, descending);
    // where a hair less is no less, the numbers are as good as 0
    let floor = *least * R::of(1.0 - 1e-6);
    if floor < *least { floor } else { R::ZERO }
}

/// Appends what is positive of `row + bias`, or with `FLOORED` above `floors` taken `factor` times, with `SIZES` what is so in size, at `end` and
/// gives the new end. NaN counts as that, so that it reaches the loss and is noticed; a feature with a NaN in its weights would otherwise just cease to fire.
#[expect(clippy::neg_cmp_op_on_partial_ord, reason = "NaN is not ≤ 0")]
#[inline(always)]
fn pick<R: Real, const FLOORED: bool, const SIZES: bool>(
    row: &[R],
    (bias, floors, factor): (&[R], &[R], R),
    first: u32,
    ids: &mut [u32],
    values: &mut [R],
    mut end: usize,
) -> usize {
    for (group, (row, bias)) in row.chunks(GROUP).zip(bias.chunks(GROUP)).enumerate() {
        let (mut sums, mut least) = ([R::ZERO; GROUP], [R::ZERO; GROUP]);
        for ((s, r), b) in sums.iter_mut().zip(row).zip(bias) {
            *s = *r + *b;
        }
        if FLOORED {
            // what lies beyond the last feature stays at 0 and is not above it
            for (least, floor) in least.iter_mut().zip(&floors[group * GROUP..group * GROUP + row.len()]) {
                *least = *floor * factor;
            }
        }
        let above = |s: &R, least: &R| !(size::<R, SIZES>(*s) <= *least);
        let any = sums.iter().zip(&least).fold(false, |any, (s, least)| any | above(s, least));
        if any {
            let base = first + (group * GROUP) as u32;
            let (ids, values) = (&mut ids[end..end + GROUP], &mut values[end..end + GROUP]);
            let mut found = 0;
            for (i, (s, least)) in sums.iter().zip(&least).enumerate() {
                // written in any case and kept when positive: no branch to mispredict
                ids[found] = base + i as u32;
                values[found] = *s;
                found += usize::from(above(s, least));
            }
            end += found;
        }
    }
    end
}

/// out_t = bias + Σ_j entry_tj rows_j. `rows` [d_sae, d], `bias` [d] or none for zero, `out` [n_tokens, d].
pub fn combine<R: Real>(
    codes: &SparseCodes<R>,
    which: Entries,
    rows: &[R],
    bias: Option<&[R]>,
    out: &mut [R],
    path: Path,
    scratch: &Scratch<R>,
) {
    let d = rows.len() / codes.d_sae;
    codes
        .segments
        .par_iter()
        .zip(out.par_chunks_mut(SEGMENT * d))
        .for_each(|(segment, out)| {
            for out in out.chunks_exact_mut(d) {
                match bias {
                    Some(bias) => out.copy_from_slice(bias),
                    None => out.fill(R::ZERO),
                }
            }
            let entries = segment.entries(which);
            if segment.density(codes.d_sae) < path.dense_from {
                simd(|| {
                    for (r, out) in out.chunks_exact_mut(d).enumerate() {
                        for e in segment.range(r) {
                            axpy(out, entries[e], row_of(rows, segment.ids[e], d));
                        }
                    }
                });
                return;
            }
            let n = segment.n_rows();
            scratch.with(|Buffers { dense, .. }| {
                for first in (0..codes.d_sae).step_by(FEATURES) {
                    let width = FEATURES.min(codes.d_sae - first);
                    let tile = sized(dense, n * width);
                    spread(segment, entries, first, width, tile);
                    let rows = Mat::new(&rows[first * d..(first + width) * d], width, d);
                    matmul(MatMut::new(out, n, d), R::ONE, R::ONE, Mat::new(tile, n, width), rows);
                }
            });
        });
}

/// grad_tj = ⟨g_t, rows_j⟩ + extra at every entry, written to the segments' `grads`. `g` [n_tokens, d], `rows` [d_sae, d].
pub fn project<R: Real>(codes: &mut SparseCodes<R>, g: &[R], rows: &[R], extra: R, path: Path, scratch: &Scratch<R>) {
    let d_sae = codes.d_sae;
    let d = rows.len() / d_sae;
    codes
        .segments
        .par_iter_mut()
        .zip(g.par_chunks(SEGMENT * d))
        .for_each(|(segment, g)| {
            segment.grads.resize(segment.ids.len(), R::ZERO);
            let n = segment.n_rows();
            if segment.density(d_sae) < path.dense_from {
                simd(|| {
                    for (r, g) in g.chunks_exact(d).enumerate() {
                        for e in segment.range(r) {
                            segment.grads[e] = dot(g, row_of(rows, segment.ids[e], d)) + extra;
                        }
                    }
                });
                return;
            }
            scratch.with(|Buffers { dense, .. }| {
                for first in (0..d_sae).step_by(FEATURES) {
                    let width = FEATURES.min(d_sae - first);
                    let tile = sized(dense, n * width);
                    let rows = Mat::new(&rows[first * d..(first + width) * d], width, d);
                    matmul(MatMut::new(tile, n, width), R::ZERO, R::ONE, Mat::new(g, n, d), rows.t());
                    for r in 0..n {
                        for e in within(segment, r, first, width) {
                            segment.grads[e] = tile[r * width + segment.ids[e] as usize - first] + extra;
                        }
                    }
                }
            });
        });
}

/// sums_j += Σ_t entry_tj y_t, for every feature j. `y` [n_tokens, d], `sums` [d_sae, d].
pub fn outer<R: Real>(codes: &SparseCodes<R>, which: Entries, y: &[R], sums: &mut [R], path: Path, scratch: &Scratch<R>) {
    let d = sums.len() / codes.d_sae;
    sums.par_chunks_mut(OUTER_FEATURES * d).enumerate().for_each(|(task, sums)| {
        let first = task * OUTER_FEATURES;
        let width = sums.len() / d;
        for (segment, y) in codes.segments.iter().zip(y.chunks(SEGMENT * d)) {
            let entries = segment.entries(which);
            let n = segment.n_rows();
            if segment.density(codes.d_sae) < path.dense_from {
                simd(|| {
                    for (r, y) in y.chunks_exact(d).enumerate() {
                        for e in within(segment, r, first, width) {
                            let at = (segment.ids[e] as usize - first) * d;
                            axpy(&mut sums[at..at + d], entries[e], y);
                        }
                    }
                });
            } else {
                scratch.with(|Buffers { dense, .. }| {
                    let tile = sized(dense, n * width);
                    spread(segment, entries, first, width, tile);
                    matmul(
                        MatMut::new(sums, width, d),
                        R::ONE,
                        R::ONE,
                        Mat::new(tile, n, width).t(),
                        Mat::new(y, n, d),
                    );
                });
            }
        }
    });
}

/// sums_j += Σ_t entry_tj.
pub fn column_sums<R: Real>(codes: &SparseCodes<R>, which: Entries, sums: &mut [R]) {
    for segment in &codes.segments {
        for (id, entry) in segment.ids.iter().zip(segment.entries(which)) {
            sums[*id as usize] += *entry;
        }
    }
}

/// sums += Σ_t y_t. `y` [n_tokens, d], `sums` [d].
pub fn row_sums<R: Real>(y: &[R], sums: &mut [R]) {
    simd(|| {
        for row in y.chunks_exact(sums.len()) {
            add(sums, row);
        }
    });
}

#[inline(always)]
fn row_of<R>(rows: &[R], id: u32, d: usize) -> &[R] {
    &rows[id as usize * d..(id as usize + 1) * d]
}

/// The entries of row `r` whose features lie in `first..first + width`.
#[inline(always)]
fn within<R: Real>(segment: &Segment<R>, r: usize, first: usize, width: usize) -> std::ops::Range<usize> {
    let row = segment.range(r);
    let ids = &segment.ids[row.clone()];
    let from = if first == 0 {
        0
    } else {
        ids.partition_point(|id| (*id as usize) < first)
    };
    let to = from + ids[from..].partition_point(|id| (*id as usize) < first + width);
    row.start + from..row.start + to
}

/// The features `first..first + width` of a segment as a dense tile [n_rows, width].
fn spread<R: Real>(segment: &Segment<R>, entries: &[R], first: usize, width: usize, tile: &mut [R]) {
    tile.fill(R::ZERO);
    for r in 0..segment.n_rows() {
        for e in within(segment, r, first, width) {
            tile[r * width + segment.ids[e] as usize - first] = entries[e];
        }
    }
}
