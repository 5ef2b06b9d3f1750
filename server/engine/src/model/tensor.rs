//! Frozen weights: shared storage, memory-mapped where the file already holds what the arithmetic needs, and the linear map.

use crate::kernel::{Mat, MatMut, Real, matmul, simd};
use memmap2::Mmap;
use std::{ops::Range, sync::Arc};

/// The numbers of one weight tensor. Clones share them.
#[derive(Clone)]
pub(super) enum Weights<R> {
    /// In memory: converted, centred, or not aligned in the file.
    Owned(Arc<Vec<R>>),
    /// A range of bytes of a mapped file that holds numbers of type `R` at the right alignment.
    Mapped(Arc<Mmap>, Range<usize>),
}

impl<R: Real> Weights<R> {
    pub(super) fn as_slice(&self) -> &[R] {
        match self {
            Weights::Owned(numbers) => numbers,
            Weights::Mapped(file, range) => bytemuck::cast_slice(&file[range.clone()]),
        }
    }

    pub(super) fn to_f64(&self) -> Weights<f64> {
        Weights::owned(self.as_slice().iter().map(|x| x.f64()).collect())
    }

    pub(super) fn owned(numbers: Vec<R>) -> Self {
        Weights::Owned(Arc::new(numbers))
    }

    /// With the mean of each row of `width` numbers taken out.
    pub(super) fn centred(&self, width: usize) -> Self {
        let mut numbers = self.as_slice().to_vec();
        for row in numbers.chunks_exact_mut(width) {
            let mean = R::of(row.iter().map(|x| x.f64()).sum::<f64>() / width as f64);
            row.iter_mut().for_each(|x| *x -= mean);
        }
        Self::owned(numbers)
    }
}

/// y = x W + b with W [d_in, d_out].
#[derive(Clone)]
pub(super) struct Linear<R> {
    pub(super) weight: Weights<R>,
    /// Stored as [d_out, d_in], as torch's `Linear` does; otherwise [d_in, d_out], as GPT-2's `Conv1D`.
    pub(super) out_in: bool,
    pub(super) bias: Option<Weights<R>>,
    pub(super) d_in: usize,
    pub(super) d_out: usize,
}

impl<R: Real> Linear<R> {
    /// W as [d_in, d_out].
    fn mat(&self) -> Mat<'_, R> {
        let numbers = self.weight.as_slice();
        if self.out_in {
            Mat::new(numbers, self.d_out, self.d_in).t()
        } else {
            Mat::new(numbers, self.d_in, self.d_out)
        }
    }

    /// Writes x W + b into the columns of `y` that start at `first`; `y` is [n, y_width], `x` [n, d_in].
    pub(super) fn forward(&self, x: &[R], y: &mut [R], first: usize, y_width: usize) {
        let n = x.len() / self.d_in;
        let keep = match &self.bias {
            None => R::ZERO,
            Some(bias) => {
                let bias = bias.as_slice();
                for row in y.chunks_exact_mut(y_width) {
                    row[first..first + self.d_out].copy_from_slice(bias);
                }
                R::ONE
            }
        };
        let y = MatMut::strided(&mut y[first..], n, self.d_out, y_width);
        matmul(y, keep, R::ONE, Mat::new(x, n, self.d_in), self.mat());
    }

    /// Writes (`keep` 0) or adds (`keep` 1) the gradient of x, given that of y in the columns of `dy` from `first` on.
    pub(super) fn backward(&self, dy: &[R], first: usize, y_width: usize, dx: &mut [R], keep: R) {
        let n = dx.len() / self.d_in;
        let dy = Mat::strided(&dy[first..], n, self.d_out, y_width);
        matmul(MatMut::new(dx, n, self.d_in), keep, R::ONE, dy, self.mat().t());
    }

    /// The same map onto d_out with the mean over d_out taken out of everything it writes.
    pub(super) fn centred(self) -> Self {
        let numbers = self.weight.as_slice();
        let weight = if self.out_in {
            // the mean over d_out is a mean over rows
            let mut means = vec![0.0; self.d_in];
            for row in numbers.chunks_exact(self.d_in) {
                means.iter_mut().zip(row).for_each(|(mean, x)| *mean += x.f64());
            }
            let means: Vec<R> = means.iter().map(|sum| R::of(sum / self.d_out as f64)).collect();
            let mut centred = numbers.to_vec();
            simd(|| {
                for row in centred.chunks_exact_mut(self.d_in) {
                    row.iter_mut().zip(&means).for_each(|(x, mean)| *x -= *mean);
                }
            });
            Weights::owned(centred)
        } else {
            self.weight.centred(self.d_out)
        };
        Self {
            weight,
            bias: self.bias.map(|bias| bias.centred(self.d_out)),
            ..self
        }
    }

    pub(super) fn to_f64(&self) -> Linear<f64> {
        Linear {
            weight: self.weight.to_f64(),
            out_in: self.out_in,
            bias: self.bias.as_ref().map(Weights::to_f64),
            d_in: self.d_in,
            d_out: self.d_out,
        }
    }
}
