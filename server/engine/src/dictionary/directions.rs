//! Rows of unit length: directions that are normalised inside the forward pass, and rows that are kept at unit length.

use rayon::prelude::*;

use crate::kernel::{Real, dot, scale, simd, sum_squares};

/// Rows per task.
const ROWS: usize = 256;
/// Smallest norm that a row which is kept at unit length is divided by.
const MIN_NORM: f64 = 1e-12;

/// The directions of the rows of a matrix [n, d] whose lengths do not matter.
#[derive(Clone, Debug)]
pub struct Directions<R> {
    d: usize,
    min_norm: f64,
    /// d̂ [n, d].
    unit: Vec<R>,
    /// 1 / ‖d_j‖ [n].
    inverse_norms: Vec<R>,
}

impl<R: Real> Directions<R> {
    /// Of `rows` [n, d]; norms below `min_norm` count as that.
    pub fn of(rows: &[R], d: usize, min_norm: f64) -> Self {
        let mut directions = Self {
            d,
            min_norm,
            unit: vec![R::ZERO; rows.len()],
            inverse_norms: vec![R::ZERO; rows.len() / d],
        };
        directions.refresh(rows);
        directions
    }

    /// d̂ [n, d].
    pub fn unit(&self) -> &[R] {
        &self.unit
    }

    /// ‖d_j‖.
    pub fn norm(&self, j: usize) -> R {
        R::ONE / self.inverse_norms[j]
    }

    /// After `rows` have changed.
    pub fn refresh(&mut self, rows: &[R]) {
        let (d, min_norm) = (self.d, self.min_norm);
        self.unit
            .par_chunks_mut(ROWS * d)
            .zip(self.inverse_norms.par_chunks_mut(ROWS))
            .zip(rows.par_chunks(ROWS * d))
            .for_each(|((directions, inverse_norms), rows)| {
                simd(|| {
                    for ((direction, inverse), row) in directions.chunks_exact_mut(d).zip(inverse_norms).zip(rows.chunks_exact(d))
                    {
                        *inverse = R::ONE / sum_squares(row).sqrt().max(R::of(min_norm));
                        direction.copy_from_slice(row);
                        scale(direction, *inverse);
                    }
                });
            });
    }

    /// Turns the loss' derivative by d̂ into that by the rows: (g − d̂ ⟨d̂, g⟩) / ‖d‖.
    pub fn through(&self, grads: &mut [R]) {
        let d = self.d;
        grads
            .par_chunks_mut(ROWS * d)
            .zip(self.unit.par_chunks(ROWS * d))
            .zip(self.inverse_norms.par_chunks(ROWS))
            .for_each(|((grads, directions), inverse_norms)| {
                simd(|| {
                    for ((grad, direction), inverse) in
                        grads.chunks_exact_mut(d).zip(directions.chunks_exact(d)).zip(inverse_norms)
                    {
                        let along = dot(direction, grad);
                        for (g, u) in grad.iter_mut().zip(direction) {
                            *g = (*g - *u * along) * *inverse;
                        }
                    }
                });
            });
    }
}

/// Scales `rows` [n, d] to unit length.
pub fn normalise<R: Real>(rows: &mut [R], d: usize) {
    rows.par_chunks_mut(ROWS * d).for_each(|rows| {
        simd(|| {
            for row in rows.chunks_exact_mut(d) {
                let inverse = R::ONE / sum_squares(row).sqrt().max(R::of(MIN_NORM));
                scale(row, inverse);
            }
        });
    });
}

/// Takes from `grads` [n, d] what points along the unit rows `rows`: g − d ⟨d, g⟩.
pub fn remove_parallel<R: Real>(rows: &[R], grads: &mut [R], d: usize) {
    grads
        .par_chunks_mut(ROWS * d)
        .zip(rows.par_chunks(ROWS * d))
        .for_each(|(grads, rows)| {
            simd(|| {
                for (grad, row) in grads.chunks_exact_mut(d).zip(rows.chunks_exact(d)) {
                    let along = dot(row, grad);
                    for (g, u) in grad.iter_mut().zip(row) {
                        *g -= *u * along;
                    }
                }
            });
        });
}
