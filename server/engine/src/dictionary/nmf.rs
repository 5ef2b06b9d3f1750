//! Non-negative matrix factorisation (Lee and Seung 1999): x − s ≈ Σ_j c_j d_j with c ≥ 0 and d ≥ 0, rows d_j of unit length.
//!
//! s is the smallest value of each dimension, so that what is factorised is not negative (`sparse_coding`'s `nmf.py` takes one value
//! for all dimensions, beside which most of them are constant); what lies below it later counts as 0. The codes are the non-negative
//! least squares of each token, by coordinate descent from 0 (`crate::baseline` finds the directions).

use api::DictionaryKind;
use rayon::prelude::*;

use super::{
    codes::{SEGMENT, SparseCodes},
    forward::Forward,
    initial::tensor,
    kind::{Encoder, Kind},
    parameters::Parameters,
    tile::{Path, Scratch},
};
use crate::kernel::{Mat, MatMut, Real, axpy, matmul, par_matmul, simd};

/// Positions of the tensors in [`Parameters`].
const W_DEC: usize = 0;
const B_DEC: usize = 1;

/// Rounds of coordinate descent at most, and the largest change, as a share of the largest code, below which it has ended.
const ROUNDS: usize = 100;
const STILL: f64 = 1e-6;

/// See the module.
#[derive(Clone, Debug)]
pub struct Nmf<R> {
    parameters: Parameters<R>,
    /// ⟨d_i, d_j⟩ [d_sae, d_sae].
    gram: Vec<R>,
}

impl<R: Real> Nmf<R> {
    /// From its parameters: `W_dec` [d_sae, d_in] of unit rows without negative numbers, and `b_dec` = s [d_in].
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn new(w_dec: Vec<R>, b_dec: Vec<R>) -> Self {
        let d = b_dec.len();
        Self {
            gram: gram(&w_dec, d),
            parameters: Parameters(vec![
                tensor("W_dec", &[w_dec.len() / d, d], w_dec),
                tensor("b_dec", &[d], b_dec),
            ]),
        }
    }
}

/// ⟨d_i, d_j⟩ of all rows [n, d].
pub fn gram<R: Real>(rows: &[R], d: usize) -> Vec<R> {
    let n = rows.len() / d;
    let (mut gram, rows) = (vec![R::ZERO; n * n], Mat::new(rows, n, d));
    par_matmul(MatMut::new(&mut gram, n, n), R::ZERO, R::ONE, rows, rows.t());
    gram
}

/// What is factorised: max(x − shift, 0), row by row.
pub fn shifted<R: Real>(x: &[R], shift: &[R]) -> Vec<R> {
    let row = |row: &[R]| -> Vec<R> { row.iter().zip(shift).map(|(x, s)| (*x - *s).max(R::ZERO)).collect() };
    x.par_chunks(shift.len()).flat_map_iter(row).collect()
}

/// The c ≥ 0 [n] that minimises ‖x − Σ_j c_j d_j‖², by cyclic coordinate descent from 0 (Franc et al. 2005). `products` are the
/// ⟨d_j, x⟩ [n], of which the gradient is left there; `gram` the ⟨d_i, d_j⟩ [n, n].
pub fn non_negative_least_squares<R: Real>(products: &mut [R], gram: &[R], codes: &mut [R]) {
    let n = codes.len();
    codes.fill(R::ZERO);
    simd(|| {
        for _ in 0..ROUNDS {
            let (mut moved, mut largest) = (R::ZERO, R::ZERO);
            for j in 0..n {
                let row = &gram[j * n..(j + 1) * n];
                if row[j] <= R::ZERO {
                    continue; // a direction of zeros
                }
                let next = (codes[j] + products[j] / row[j]).max(R::ZERO);
                let change = next - codes[j];
                largest = largest.max(next);
                if change != R::ZERO {
                    codes[j] = next;
                    moved = moved.max(change.abs());
                    axpy(products, -change, row);
                }
            }
            if moved <= R::of(STILL) * largest {
                break;
            }
        }
    });
}

impl<R: Real> Kind<R> for Nmf<R> {
    fn kind(&self) -> DictionaryKind {
        DictionaryKind::Nmf
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

    fn refresh(&mut self) {
        let p = &self.parameters.0;
        self.gram = gram(&p[W_DEC].data, p[B_DEC].data.len());
    }

    fn encode(&self, x: &[R], codes: &mut SparseCodes<R>, _: &Scratch<R>) {
        let [w_dec, b_dec] = &self.parameters.0[..] else { return };
        let (rows, d) = (&w_dec.data[..], b_dec.data.len());
        let n = rows.len() / d;
        let shifted = shifted(x, &b_dec.data);
        codes.reset(x.len() / d, n);
        codes
            .segments
            .par_iter_mut()
            .zip(shifted.par_chunks(SEGMENT * d))
            .for_each(|(segment, x)| {
                let n_rows = x.len() / d;
                let (mut products, mut row) = (vec![R::ZERO; n_rows * n], vec![R::ZERO; n]);
                let to = MatMut::new(&mut products, n_rows, n);
                matmul(to, R::ZERO, R::ONE, Mat::new(x, n_rows, d), Mat::new(rows, n, d).t());
                for products in products.chunks_exact_mut(n) {
                    non_negative_least_squares(products, &self.gram, &mut row);
                    for (id, value) in row.iter().enumerate() {
                        segment.push(id as u32, *value, *value != R::ZERO);
                    }
                    segment.end_row();
                }
            });
    }

    /// No parameter is trained, and the derivative by x is not computed: it is that of a projection on a face of a cone.
    fn backward(
        &self,
        _: &[R],
        _: &mut Forward<R>,
        _: &[R],
        _: R,
        _: &mut Parameters<R>,
        grad_x: Option<&mut [R]>,
        _: Path,
        _: &Scratch<R>,
    ) {
        if let Some(grad_x) = grad_x {
            grad_x.fill(R::ZERO);
        }
    }

    fn finish(&self, _: &mut Parameters<R>) {}
}
