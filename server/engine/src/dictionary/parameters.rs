//! A dictionary's parameters as named tensors: the form in which the optimiser, the gradients and the files see them.

use crate::kernel::Real;

/// A named tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor<R> {
    /// The name in files.
    pub name: &'static str,
    /// The shape.
    pub shape: Vec<usize>,
    /// The numbers.
    pub data: Vec<R>,
}

impl<R: Real> Tensor<R> {
    /// Zeros.
    pub fn zeros(name: &'static str, shape: &[usize]) -> Self {
        Self {
            name,
            shape: shape.to_vec(),
            data: vec![R::ZERO; shape.iter().product()],
        }
    }
}

/// The parameters of one dictionary, or anything with their shapes: gradients, moments.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters<R>(pub Vec<Tensor<R>>);

impl<R: Real> Parameters<R> {
    /// Zeros of the same names and shapes.
    pub fn zeros_like(&self) -> Self {
        Self(self.0.iter().map(|t| Tensor::zeros(t.name, &t.shape)).collect())
    }

    /// Sets everything to zero.
    pub fn clear(&mut self) {
        for tensor in &mut self.0 {
            tensor.data.fill(R::ZERO);
        }
    }

    /// Number of numbers.
    pub fn len(&self) -> usize {
        self.0.iter().map(|t| t.data.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
