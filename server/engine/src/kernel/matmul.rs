//! The matrix product: views with strides over plain slices, `gemm` below.

use super::Real;
use rayon::prelude::*;
use std::{any::TypeId, ops::Range};

/// Rows of the result that one task of [`par_matmul`] computes: fixed, so that the result does not depend on the thread count.
const ROWS_PER_TASK: usize = 256;

/// A matrix to read: `rows` × `cols` over a slice.
#[derive(Clone, Copy, Debug)]
pub struct Mat<'a, R> {
    data: &'a [R],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, R: Real> Mat<'a, R> {
    /// A dense row-major matrix.
    ///
    /// # Panics
    /// When the slice's length is not `rows · cols`.
    pub fn new(data: &'a [R], rows: usize, cols: usize) -> Self {
        assert_eq!(
            data.len(),
            rows * cols,
            "a [{rows}, {cols}] matrix over {} numbers",
            data.len()
        );
        Self {
            data,
            rows,
            cols,
            row_stride: cols,
            col_stride: 1,
        }
    }

    /// A row-major matrix whose rows lie `row_stride` apart.
    ///
    /// # Panics
    /// When the last element lies outside the slice.
    pub fn strided(data: &'a [R], rows: usize, cols: usize, row_stride: usize) -> Self {
        let end = if rows == 0 || cols == 0 {
            0
        } else {
            (rows - 1) * row_stride + cols
        };
        assert!(
            end <= data.len() && (cols <= row_stride || rows <= 1),
            "a [{rows}, {cols}] matrix with stride {row_stride} over {} numbers",
            data.len()
        );
        Self {
            data,
            rows,
            cols,
            row_stride,
            col_stride: 1,
        }
    }

    /// The transpose.
    pub fn t(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    /// Some of the rows.
    ///
    /// # Panics
    /// When the range is not inside.
    pub fn rows(self, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= self.rows,
            "rows {range:?} of {}",
            self.rows
        );
        let start = (range.start * self.row_stride).min(self.data.len());
        Self {
            data: &self.data[start..],
            rows: range.len(),
            ..self
        }
    }

    /// Number of rows and columns.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }
}

/// A row-major matrix to write, its rows `row_stride` apart.
#[derive(Debug)]
pub struct MatMut<'a, R> {
    data: &'a mut [R],
    rows: usize,
    cols: usize,
    row_stride: usize,
}

impl<'a, R: Real> MatMut<'a, R> {
    /// A dense row-major matrix.
    ///
    /// # Panics
    /// When the slice's length is not `rows · cols`.
    pub fn new(data: &'a mut [R], rows: usize, cols: usize) -> Self {
        assert_eq!(
            data.len(),
            rows * cols,
            "a [{rows}, {cols}] matrix over {} numbers",
            data.len()
        );
        Self {
            data,
            rows,
            cols,
            row_stride: cols,
        }
    }

    /// A row-major matrix whose rows lie `row_stride` apart.
    ///
    /// # Panics
    /// When the last element lies outside the slice.
    pub fn strided(data: &'a mut [R], rows: usize, cols: usize, row_stride: usize) -> Self {
        let end = if rows == 0 || cols == 0 {
            0
        } else {
            (rows - 1) * row_stride + cols
        };
        assert!(
            end <= data.len() && (cols <= row_stride || rows <= 1),
            "a [{rows}, {cols}] matrix with stride {row_stride} over {} numbers",
            data.len()
        );
        Self {
            data,
            rows,
            cols,
            row_stride,
        }
    }
}

/// C = keep · C + α · A B, on one thread. `keep` 0 overwrites C, whatever it held.
///
/// # Panics
/// When the shapes do not fit.
pub fn matmul<R: Real>(c: MatMut<'_, R>, keep: R, alpha: R, a: Mat<'_, R>, b: Mat<'_, R>) {
    assert!(
        c.rows == a.rows && c.cols == b.cols && a.cols == b.rows,
        "[{}, {}] = [{}, {}] · [{}, {}]",
        c.rows,
        c.cols,
        a.rows,
        a.cols,
        b.rows,
        b.cols
    );
    if c.rows == 0 || c.cols == 0 {
        return;
    }
    if TypeId::of::<R>() == TypeId::of::<f32>() {
        call::<R, f32>(c, keep, alpha, a, b);
    } else {
        call::<R, f64>(c, keep, alpha, a, b);
    }
}

/// `gemm` takes raw pointers; the views' constructors have checked that every element they name is inside its slice.
#[allow(unsafe_code)]
fn call<R: Real, T: Real>(c: MatMut<'_, R>, keep: R, alpha: R, a: Mat<'_, R>, b: Mat<'_, R>) {
    let number = |value: R| T::of(value.f64());
    // SAFETY: `R` and `T` are the same type (the caller compared their ids), the strides and shapes of the three views
    // stay inside their slices, and `c` is borrowed mutably, so nothing else reads or writes it.
    unsafe {
        gemm::gemm::<T>(
            c.rows,
            c.cols,
            a.cols,
            c.data.as_mut_ptr().cast(),
            1,
            c.row_stride as isize,
            keep != R::ZERO,
            a.data.as_ptr().cast(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr().cast(),
            b.col_stride as isize,
            b.row_stride as isize,
            number(keep),
            number(alpha),
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// [`matmul`] on the threads of the current pool, in tasks of a fixed number of rows.
///
/// # Panics
/// When the shapes do not fit.
pub fn par_matmul<R: Real>(c: MatMut<'_, R>, keep: R, alpha: R, a: Mat<'_, R>, b: Mat<'_, R>) {
    let (rows, cols, stride) = (c.rows, c.cols, c.row_stride);
    if rows == 0 || cols == 0 {
        return;
    }
    c.data[..(rows - 1) * stride + cols]
        .par_chunks_mut(ROWS_PER_TASK * stride)
        .enumerate()
        .for_each(|(task, chunk)| {
            let first = task * ROWS_PER_TASK;
            let last = (first + ROWS_PER_TASK).min(rows);
            matmul(
                MatMut::strided(chunk, last - first, cols, stride),
                keep,
                alpha,
                a.rows(first..last),
                b,
            );
        });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive<R: Real>(a: Mat<'_, R>, b: Mat<'_, R>) -> Vec<R> {
        let mut c = vec![R::ZERO; a.rows * b.cols];
        for i in 0..a.rows {
            for j in 0..b.cols {
                for k in 0..a.cols {
                    c[i * b.cols + j] +=
                        a.data[i * a.row_stride + k * a.col_stride] * b.data[k * b.row_stride + j * b.col_stride];
                }
            }
        }
        c
    }

    fn numbers<R: Real>(n: usize, seed: usize) -> Vec<R> {
        (0..n)
            .map(|i| R::of((((i * 7919 + seed * 104_729) % 1000) as f64 - 500.0) / 250.0))
            .collect()
    }

    fn check<R: Real>(m: usize, k: usize, n: usize) {
        let (a, b) = (numbers::<R>(m * k, 1), numbers::<R>(k * n, 2));
        let expected = naive(Mat::new(&a, m, k), Mat::new(&b, k, n));
        let mut c = vec![R::of(f64::NAN); m * n];
        matmul(
            MatMut::new(&mut c, m, n),
            R::ZERO,
            R::ONE,
            Mat::new(&a, m, k),
            Mat::new(&b, k, n),
        );
        let mut d = vec![R::ONE; m * n];
        par_matmul(
            MatMut::new(&mut d, m, n),
            R::ONE,
            R::of(2.0),
            Mat::new(&a, m, k),
            Mat::new(&b, k, n),
        );
        // (Bᵀ Aᵀ)ᵀ
        let mut e = vec![R::ZERO; m * n];
        matmul(
            MatMut::new(&mut e, n, m),
            R::ZERO,
            R::ONE,
            Mat::new(&b, k, n).t(),
            Mat::new(&a, m, k).t(),
        );
        for i in 0..m {
            for j in 0..n {
                let x = expected[i * n + j].f64();
                assert!((c[i * n + j].f64() - x).abs() < 1e-3, "[{i}, {j}] of {m}x{k}x{n}");
                assert!((d[i * n + j].f64() - (1.0 + 2.0 * x)).abs() < 1e-3);
                assert!((e[j * m + i].f64() - x).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn products_are_right() {
        for (m, k, n) in [(1, 1, 1), (3, 5, 7), (300, 64, 33), (17, 200, 1), (1, 64, 512), (520, 3, 40)] {
            check::<f32>(m, k, n);
            check::<f64>(m, k, n);
        }
    }

    #[test]
    #[should_panic(expected = "[2, 2] = [2, 3] · [2, 2]")]
    fn shapes_are_checked() {
        let mut c = [0f32; 4];
        matmul(
            MatMut::new(&mut c, 2, 2),
            0.0,
            1.0,
            Mat::new(&[0.0; 6], 2, 3),
            Mat::new(&[0.0; 4], 2, 2),
        );
    }
}
