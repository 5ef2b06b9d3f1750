//! A decoder whose codes are found by gradient pursuit (Blumensath and Davies 2008; as an encoder of trained decoders: Nanda et al.
//! 2024, "inference-time optimisation", and Rajamanoharan et al. 2024, Gated, appendix):
//!
//! r = x − b_d − Σ_j c_j d_j; k times: S gains the feature of the largest ⟨d_j, r⟩; g = ⟨d_j, r⟩ for j ∈ S, 0 elsewhere;
//! a = Σ_j g_j d_j; c ← max(0, c + ⟨a, r⟩ / ⟨a, a⟩ · g)
//!
//! No encoder stands between: what is measured is the decoder. The rows are of unit length. In training the codes are held
//! constant, as dictionary learning by alternation has it.

use api::DictionaryKind;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{
    codes::{Entries, SEGMENT, Segment, SparseCodes},
    directions::{normalise, remove_parallel},
    forward::{Forward, Seen},
    initial::{tensor, unit_rows},
    kind::{Encoder, Kind},
    parameters::Parameters,
    tile::{self, Path, Scratch},
};
use crate::kernel::{Mat, MatMut, Real, axpy, dot, matmul, simd};

/// Positions of the tensors in [`Parameters`].
const W_DEC: usize = 0;
const B_DEC: usize = 1;

/// Features per product of residuals and rows.
const FEATURES: usize = 1024;

/// See the module.
#[derive(Clone, Debug)]
pub struct Pursuit<R> {
    d_in: usize,
    k: usize,
    parameters: Parameters<R>,
}

/// One token on its way.
struct Walk<R> {
    /// Chosen features with their activations, in the order in which they were chosen.
    chosen: Vec<(u32, R)>,
    /// The largest product of a row with the residual so far in this round.
    best: Option<(u32, R)>,
}

impl<R: Real> Pursuit<R> {
    /// From its parameters: `W_dec` [d_sae, d_in] of unit rows, `b_dec` [d_in]; at most `k` features per token.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn new(k: usize, w_dec: Vec<R>, b_dec: Vec<R>) -> Self {
        let d_in = b_dec.len();
        let d_sae = w_dec.len() / d_in;
        Self {
            d_in,
            k,
            parameters: Parameters(vec![tensor("W_dec", &[d_sae, d_in], w_dec), tensor("b_dec", &[d_in], b_dec)]),
        }
    }

    /// Random unit rows, no bias.
    pub fn random(k: usize, d_in: usize, d_sae: usize, seed: u64) -> Self {
        let rows = unit_rows(d_sae, d_in, &mut ChaCha8Rng::seed_from_u64(seed));
        Self::new(k, rows, vec![R::ZERO; d_in])
    }

    /// Codes of at most [`SEGMENT`] tokens.
    fn pursue(&self, x: &[R], segment: &mut Segment<R>) {
        let d = self.d_in;
        let (rows, bias) = (&self.parameters.0[W_DEC].data, &self.parameters.0[B_DEC].data);
        let row = |id: u32| &rows[id as usize * d..(id as usize + 1) * d];
        let n = x.len() / d;
        let mut residuals = x.to_vec();
        residuals.chunks_exact_mut(d).for_each(|r| axpy(r, -R::ONE, bias));
        let mut walks: Vec<Walk<R>> = (0..n)
            .map(|_| Walk {
                chosen: Vec::new(),
                best: None,
            })
            .collect();
        let mut products = vec![R::ZERO; n * FEATURES];
        let (mut gradient, mut along) = (Vec::new(), vec![R::ZERO; d]);
        for _ in 0..self.k {
            for (tile, rows) in rows.chunks(FEATURES * d).enumerate() {
                let width = rows.len() / d;
                let products = &mut products[..n * width];
                let residuals = Mat::new(&residuals, n, d);
                matmul(
                    MatMut::new(products, n, width),
                    R::ZERO,
                    R::ONE,
                    residuals,
                    Mat::new(rows, width, d).t(),
                );
                for (walk, products) in walks.iter_mut().zip(products.chunks_exact(width)) {
                    walk.see((tile * FEATURES) as u32, products);
                }
            }
            for ((walk, residual), x) in walks.iter_mut().zip(residuals.chunks_exact_mut(d)).zip(x.chunks_exact(d)) {
                simd(|| {
                    walk.choose();
                    gradient.clear();
                    gradient.extend(walk.chosen.iter().map(|(id, _)| dot(row(*id), residual)));
                    along.fill(R::ZERO);
                    for ((id, _), g) in walk.chosen.iter().zip(&gradient) {
                        axpy(&mut along, *g, row(*id));
                    }
                    let length = dot(&along, &along);
                    if length.partial_cmp(&R::ZERO).is_none_or(|order| order.is_le()) {
                        return;
                    }
                    let step = dot(&along, residual) / length;
                    residual.copy_from_slice(x);
                    axpy(residual, -R::ONE, bias);
                    for ((id, value), g) in walk.chosen.iter_mut().zip(&gradient) {
                        let moved = *value + step * *g;
                        *value = if moved > R::ZERO { moved } else { R::ZERO };
                        axpy(residual, -*value, row(*id));
                    }
                });
            }
        }
        for walk in &mut walks {
            walk.chosen.sort_unstable_by_key(|(id, _)| *id);
            walk.chosen
                .iter()
                .for_each(|(id, value)| segment.push(*id, *value, *value != R::ZERO));
            segment.end_row();
        }
    }
}

impl<R: Real> Walk<R> {
    /// Looks at the products of the residual with the rows from `first` on.
    fn see(&mut self, first: u32, products: &[R]) {
        for (i, product) in products.iter().enumerate() {
            if self.best.is_none_or(|(_, best)| *product > best) {
                self.best = Some((first + i as u32, *product));
            }
        }
    }

    /// Takes the best of the round in, where the residual points along it at all.
    fn choose(&mut self) {
        if let Some((id, product)) = self.best.take()
            && product > R::ZERO
            && self.chosen.iter().all(|(chosen, _)| *chosen != id)
        {
            self.chosen.push((id, R::ZERO));
        }
    }
}

impl<R: Real> Kind<R> for Pursuit<R> {
    fn kind(&self) -> DictionaryKind {
        DictionaryKind::Pursuit { k: self.k }
    }

    fn parameters(&self) -> &Parameters<R> {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut Parameters<R> {
        &mut self.parameters
    }

    fn directions(&self) -> &[R] {
        &self.parameters.0[W_DEC].data
    }

    fn encoder(&self) -> Option<Encoder<R>> {
        None
    }

    fn encode(&self, x: &[R], codes: &mut SparseCodes<R>, _: &Scratch<R>) {
        let d_sae = self.parameters.0[W_DEC].shape[0];
        codes.reset(x.len() / self.d_in, d_sae);
        let tokens = x.par_chunks(SEGMENT * self.d_in);
        codes
            .segments
            .par_iter_mut()
            .zip(tokens)
            .for_each(|(segment, x)| self.pursue(x, segment));
    }

    fn decode(&self, codes: &SparseCodes<R>, out: &mut [R], path: Path, scratch: &Scratch<R>) {
        let p = &self.parameters.0;
        tile::combine(
            codes,
            Entries::Values,
            &p[W_DEC].data,
            Some(&p[B_DEC].data),
            out,
            path,
            scratch,
        );
    }

    fn forward(&self, x: &[R], _: f64, forward: &mut Forward<R>, path: Path, scratch: &Scratch<R>) {
        self.encode(x, &mut forward.codes, scratch);
        forward.x_hat.resize(x.len(), R::ZERO);
        self.decode(&forward.codes, &mut forward.x_hat, path, scratch);
    }

    /// With the codes held constant: `grad_x` is 0.
    fn backward(
        &self,
        _: &[R],
        Forward { codes, .. }: &mut Forward<R>,
        grad_out: &[R],
        _: R,
        grads: &mut Parameters<R>,
        grad_x: Option<&mut [R]>,
        path: Path,
        scratch: &Scratch<R>,
    ) {
        tile::outer(codes, Entries::Values, grad_out, &mut grads.0[W_DEC].data, path, scratch);
        tile::row_sums(grad_out, &mut grads.0[B_DEC].data);
        if let Some(grad_x) = grad_x {
            grad_x.fill(R::ZERO);
        }
    }

    fn finish(&self, grads: &mut Parameters<R>) {
        remove_parallel(&self.parameters.0[W_DEC].data, &mut grads.0[W_DEC].data, self.d_in);
    }

    fn settle(&mut self, _: &Seen) {
        normalise(&mut self.parameters.0[W_DEC].data, self.d_in);
    }
}
