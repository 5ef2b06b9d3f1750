//! A decoder whose codes are found by matching pursuit (Mallat and Zhang 1993), as SAELens' `matching_pursuit` has it (Costa et al. 2025,
//! arXiv 2506.03093):
//!
//! r_0 = x − b_d; in round t: j = argmax_i ⟨d_i, r_t⟩, v = ⟨d_j, r_t⟩, c_j += v, r_{t+1} = r_t − v d_j
//!
//! A token is done where v is not above 0, and as [`Ends`] say. x̂ = Σ_j c_j d_j + b_d. The rows d_j are free, as SAELens trains them: at
//! length 1 a round leaves nothing of what it takes out, and what is left never grows.
//!
//! The gradient goes through every round's v, with the choices held constant. With g = ∂L/∂x̂ and h_T = g, from the last round back:
//!
//! a_t = ⟨h_{t+1}, d_j⟩    ∂L/∂d_j += v_t h_{t+1} + a_t r_t    h_t = h_{t+1} − a_t d_j    and then ∂L/∂b_d = Σ_tokens h_0, ∂L/∂x = g − h_0

use api::DictionaryKind;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{
    codes::{Entries, SEGMENT, Segment, SparseCodes},
    directions::Directions,
    forward::Forward,
    initial::{tensor, unit_rows},
    kind::{Encoder, Kind},
    parameters::Parameters,
    tile::{self, Path, Scratch},
};
use crate::kernel::{Mat, MatMut, Real, axpy, dot, matmul, simd, sum_squares};

/// Positions of the tensors in [`Parameters`].
const W_DEC: usize = 0;
const B_DEC: usize = 1;
/// Features per product of residuals and rows.
const FEATURES: usize = 1024;
/// Smallest norm that a row is divided by where its direction is asked for.
const MIN_NORM: f64 = 1e-12;

/// When a token is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ends {
    /// After so many rounds.
    pub rounds: usize,
    /// Where ‖r‖ is below this; 0: never.
    pub residual_threshold: f64,
    /// After a round that chose a feature again.
    pub stop_on_duplicate: bool,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct MatchingPursuit<R> {
    d_in: usize,
    ends: Ends,
    parameters: Parameters<R>,
    directions: Directions<R>,
}

impl<R: Real> MatchingPursuit<R> {
    /// From its parameters: `W_dec` [d_sae, d_in], `b_dec` [d_in].
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn new(ends: Ends, w_dec: Vec<R>, b_dec: Vec<R>) -> Self {
        let d_in = b_dec.len();
        let d_sae = w_dec.len() / d_in;
        Self {
            d_in,
            ends,
            directions: Directions::of(&w_dec, d_in, MIN_NORM),
            parameters: Parameters(vec![tensor("W_dec", &[d_sae, d_in], w_dec), tensor("b_dec", &[d_in], b_dec)]),
        }
    }

    /// Random unit rows, no bias.
    pub fn random(ends: Ends, d_in: usize, d_sae: usize, seed: u64) -> Self {
        let rows = unit_rows(d_sae, d_in, &mut ChaCha8Rng::seed_from_u64(seed));
        Self::new(ends, rows, vec![R::ZERO; d_in])
    }

    fn row(&self, id: u32) -> &[R] {
        &self.parameters.0[W_DEC].data[id as usize * self.d_in..(id as usize + 1) * self.d_in]
    }

    /// The rounds of at most [`SEGMENT`] tokens.
    fn walk(&self, x: &[R], walks: &mut [Vec<(u32, R)>]) {
        let (d, rows) = (self.d_in, &self.parameters.0[W_DEC].data);
        walks.iter_mut().for_each(Vec::clear);
        // those that are not done, and what is left of them, in the same order
        let mut active: Vec<usize> = (0..walks.len()).collect();
        let mut residuals = x.to_vec();
        self.subtract_bias(&mut residuals);
        let mut products = vec![R::ZERO; walks.len() * FEATURES];
        let mut best: Vec<Option<(u32, R)>> = Vec::new();
        for _ in 0..self.ends.rounds {
            let n = active.len();
            if n == 0 {
                return;
            }
            best.clear();
            best.resize(n, None);
            for (tile, rows) in rows.chunks(FEATURES * d).enumerate() {
                let width = rows.len() / d;
                let products = &mut products[..n * width];
                let (residuals, rows) = (Mat::new(&residuals[..n * d], n, d), Mat::new(rows, width, d));
                matmul(MatMut::new(products, n, width), R::ZERO, R::ONE, residuals, rows.t());
                for (best, products) in best.iter_mut().zip(products.chunks_exact(width)) {
                    see(best, (tile * FEATURES) as u32, products);
                }
            }
            let mut n_left = 0;
            for at in 0..n {
                let (token, residual) = (active[at], &mut residuals[at * d..(at + 1) * d]);
                if self.step(best[at], &mut walks[token], residual) {
                    active[n_left] = token;
                    residuals.copy_within(at * d..(at + 1) * d, n_left * d);
                    n_left += 1;
                }
            }
            active.truncate(n_left);
        }
    }

    /// Takes the best of a round in; whether the token goes on.
    fn step(&self, best: Option<(u32, R)>, walk: &mut Vec<(u32, R)>, residual: &mut [R]) -> bool {
        let Some((id, _)) = best else { return false };
        let row = self.row(id);
        let value = simd(|| dot(row, residual));
        // NaN goes in, so that it is noticed, and ends the walk
        if value <= R::ZERO {
            return false;
        }
        let is_new = walk.iter().all(|(chosen, _)| *chosen != id);
        walk.push((id, value));
        let left = simd(|| {
            axpy(residual, -value, row);
            sum_squares(residual).sqrt()
        });
        let is_small = self.ends.residual_threshold > 0.0 && left < R::of(self.ends.residual_threshold);
        left.is_finite() && !is_small && (is_new || !self.ends.stop_on_duplicate)
    }

    fn subtract_bias(&self, x: &mut [R]) {
        let bias = &self.parameters.0[B_DEC].data;
        simd(|| x.chunks_exact_mut(self.d_in).for_each(|row| axpy(row, -R::ONE, bias)));
    }

    /// The rounds of `x` [n_tokens, d_in], and the codes that they sum up to.
    fn pursue(&self, x: &[R], walks: &mut Vec<Vec<(u32, R)>>, codes: &mut SparseCodes<R>) {
        let n_tokens = x.len() / self.d_in;
        codes.reset(n_tokens, self.parameters.0[W_DEC].shape[0]);
        walks.resize_with(n_tokens, Vec::new);
        codes
            .segments
            .par_iter_mut()
            .zip(walks.par_chunks_mut(SEGMENT))
            .zip(x.par_chunks(SEGMENT * self.d_in))
            .for_each(|((segment, walks), x)| {
                self.walk(x, walks);
                let mut sums = Vec::new();
                walks.iter().for_each(|walk| sum_up(walk, &mut sums, segment));
            });
    }
}

/// Looks at the products of a residual with the rows from `first` on. Of equal ones the first is taken.
fn see<R: Real>(best: &mut Option<(u32, R)>, first: u32, products: &[R]) {
    for (i, product) in products.iter().enumerate() {
        if best.is_none_or(|(_, best)| *product > best) {
            *best = Some((first + i as u32, *product));
        }
    }
}

/// Appends a token's codes: of what was chosen more than once the sum. `sums` is scratch memory.
fn sum_up<R: Real>(walk: &[(u32, R)], sums: &mut Vec<(u32, R)>, segment: &mut Segment<R>) {
    sums.clear();
    sums.extend_from_slice(walk);
    // a stable order: sums are taken in the order of the rounds
    sums.sort_by_key(|(id, _)| *id);
    for chosen in sums.chunk_by(|a, b| a.0 == b.0) {
        let sum = chosen.iter().map(|(_, value)| *value).sum();
        segment.push(chosen[0].0, sum, true);
    }
    segment.end_row();
}

impl<R: Real> Kind<R> for MatchingPursuit<R> {
    fn kind(&self) -> DictionaryKind {
        DictionaryKind::MatchingPursuit {
            k: self.ends.rounds,
            residual_threshold: self.ends.residual_threshold,
            stop_on_duplicate: self.ends.stop_on_duplicate,
        }
    }

    fn parameters(&self) -> &Parameters<R> {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut Parameters<R> {
        &mut self.parameters
    }

    fn refresh(&mut self) {
        self.directions.refresh(&self.parameters.0[W_DEC].data);
    }

    fn directions(&self) -> &[R] {
        self.directions.unit()
    }

    fn decoder(&self) -> &[R] {
        &self.parameters.0[W_DEC].data
    }

    fn encoder(&self) -> Option<Encoder<R>> {
        None
    }

    fn encode(&self, x: &[R], codes: &mut SparseCodes<R>, _: &Scratch<R>) {
        self.pursue(x, &mut Vec::new(), codes);
    }

    fn forward(&self, x: &[R], _: f64, forward: &mut Forward<R>, path: Path, scratch: &Scratch<R>) {
        self.pursue(x, &mut forward.walks, &mut forward.codes);
        forward.x_hat.resize(x.len(), R::ZERO);
        self.decode(&forward.codes, &mut forward.x_hat, path, scratch);
    }

    fn backward(
        &self,
        x: &[R],
        forward: &mut Forward<R>,
        grad_out: &[R],
        _: R,
        grads: &mut Parameters<R>,
        grad_x: Option<&mut [R]>,
        path: Path,
        scratch: &Scratch<R>,
    ) {
        let Forward {
            walks,
            side,
            side_out,
            centred,
            ..
        } = forward;
        let d = self.d_in;
        // r and h behind the last round
        let (residuals, h) = (centred, side_out);
        residuals.clear();
        residuals.extend_from_slice(x);
        residuals
            .par_chunks_mut(SEGMENT * d)
            .zip(walks.par_chunks(SEGMENT))
            .for_each(|(residuals, walks)| {
                self.subtract_bias(residuals);
                simd(|| {
                    for (residual, walk) in residuals.chunks_exact_mut(d).zip(walks) {
                        walk.iter().for_each(|(id, value)| axpy(residual, -*value, self.row(*id)));
                    }
                });
            });
        h.clear();
        h.extend_from_slice(grad_out);
        let n_rounds = walks.iter().map(Vec::len).max().unwrap_or(0);
        for round in (0..n_rounds).rev() {
            // a token's entry is its v, and the entry's derivative a
            side.reset(walks.len(), self.parameters.0[W_DEC].shape[0]);
            side.segments
                .par_iter_mut()
                .zip(walks.par_chunks(SEGMENT))
                .zip(residuals.par_chunks_mut(SEGMENT * d))
                .zip(h.par_chunks(SEGMENT * d))
                .for_each(|(((segment, walks), residuals), h)| {
                    let rows = residuals.chunks_exact_mut(d).zip(h.chunks_exact(d));
                    for (walk, (residual, h)) in walks.iter().zip(rows) {
                        if let Some((id, value)) = walk.get(round) {
                            let row = self.row(*id);
                            simd(|| axpy(residual, *value, row));
                            segment.push(*id, *value, true);
                            segment.grads.push(simd(|| dot(h, row)));
                        }
                        segment.end_row();
                    }
                });
            let rows = &mut grads.0[W_DEC].data;
            tile::outer(side, Entries::Values, h, rows, path, scratch);
            tile::outer(side, Entries::Grads, residuals, rows, path, scratch);
            side.segments
                .par_iter()
                .zip(h.par_chunks_mut(SEGMENT * d))
                .for_each(|(segment, h)| {
                    for (r, h) in h.chunks_exact_mut(d).enumerate() {
                        for e in segment.range(r) {
                            simd(|| axpy(h, -segment.grads[e], self.row(segment.ids[e])));
                        }
                    }
                });
        }
        tile::row_sums(h, &mut grads.0[B_DEC].data);
        if let Some(grad_x) = grad_x {
            let pairs = grad_x.iter_mut().zip(grad_out.iter().zip(&*h));
            pairs.for_each(|(to, (g, h))| *to = *g - *h);
        }
    }

    fn finish(&self, _: &mut Parameters<R>) {}
}
