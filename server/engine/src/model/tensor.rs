//! Weights: shared storage, memory-mapped where the file already holds what the arithmetic needs, and the linear map.

use crate::kernel::{Mat, MatMut, Real, add, matmul, simd};
use memmap2::Mmap;
use std::{ops::Range, sync::Arc};

/// One weight tensor: its name and shape in the checkpoint, and its numbers, which clones share.
#[derive(Clone)]
pub(super) struct Weights<R> {
    pub(super) name: Arc<str>,
    pub(super) shape: Arc<[usize]>,
    numbers: Numbers<R>,
}

#[derive(Clone)]
enum Numbers<R> {
    /// A part of numbers in memory: converted, centred, not aligned in the file, or in training, where all weights of a
    /// model are parts of one vector.
    Part(Arc<Vec<R>>, Range<usize>),
    /// A range of bytes of a mapped file that holds numbers of type `R` at the right alignment.
    Mapped(Arc<Mmap>, Range<usize>),
}

impl<R: Real> Weights<R> {
    pub(super) fn owned(name: &str, shape: &[usize], numbers: Vec<R>) -> Self {
        let all = 0..numbers.len();
        Self {
            name: name.into(),
            shape: shape.into(),
            numbers: Numbers::Part(Arc::new(numbers), all),
        }
    }

    /// The numbers of type `R` that `bytes` of a mapped file are, at the right alignment.
    pub(super) fn mapped(name: &str, shape: &[usize], file: Arc<Mmap>, bytes: Range<usize>) -> Self {
        Self {
            name: name.into(),
            shape: shape.into(),
            numbers: Numbers::Mapped(file, bytes),
        }
    }

    pub(super) fn as_slice(&self) -> &[R] {
        match &self.numbers {
            Numbers::Part(numbers, range) => &numbers[range.clone()],
            Numbers::Mapped(file, range) => bytemuck::cast_slice(&file[range.clone()]),
        }
    }

    /// From now on, its numbers are a part of `numbers`.
    pub(super) fn bind(&mut self, numbers: Arc<Vec<R>>, place: Range<usize>) {
        self.numbers = Numbers::Part(numbers, place);
    }

    /// Where it lies in the vector of all weights, and so its gradient in the vector of all gradients. For bound weights.
    pub(super) fn place(&self) -> Range<usize> {
        match &self.numbers {
            Numbers::Part(_, place) => place.clone(),
            Numbers::Mapped(..) => 0..0,
        }
    }

    pub(super) fn to_f64(&self) -> Weights<f64> {
        Weights {
            name: self.name.clone(),
            shape: self.shape.clone(),
            numbers: Weights::owned("", &[], self.as_slice().iter().map(|x| x.f64()).collect()).numbers,
        }
    }

    /// The same tensor with other numbers.
    fn with(&self, numbers: Vec<R>) -> Self {
        Self::owned(&self.name, &self.shape, numbers)
    }

    /// With `by` added to every number.
    pub(super) fn plus(&self, by: R) -> Self {
        self.with(self.as_slice().iter().map(|x| *x + by).collect())
    }

    /// With the mean of each row of `width` numbers taken out.
    pub(super) fn centred(&self, width: usize) -> Self {
        let mut numbers = self.as_slice().to_vec();
        for row in numbers.chunks_exact_mut(width) {
            let mean = R::of(row.iter().map(|x| x.f64()).sum::<f64>() / width as f64);
            row.iter_mut().for_each(|x| *x -= mean);
        }
        self.with(numbers)
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

    /// Adds the gradients of weight and bias to their places in `grads`, the gradients of all weights, given the map's input
    /// `x` [n, d_in] and the gradient of y in the columns of `dy` from `first` on.
    pub(super) fn weight_backward(&self, x: &[R], dy: &[R], first: usize, y_width: usize, grads: &mut [R]) {
        let n = x.len() / self.d_in;
        let (x, y) = (Mat::new(x, n, self.d_in), Mat::strided(&dy[first..], n, self.d_out, y_width));
        let grad = &mut grads[self.weight.place()];
        if self.out_in {
            matmul(MatMut::new(grad, self.d_out, self.d_in), R::ONE, R::ONE, y.t(), x);
        } else {
            matmul(MatMut::new(grad, self.d_in, self.d_out), R::ONE, R::ONE, x.t(), y);
        }
        if let Some(bias) = &self.bias {
            let grad = &mut grads[bias.place()];
            simd(
                #[inline(always)]
                || {
                    for row in dy.chunks_exact(y_width) {
                        add(grad, &row[first..first + self.d_out]);
                    }
                },
            );
        }
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
            self.weight.with(centred)
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
