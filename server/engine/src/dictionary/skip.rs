//! The skip connection of transcoders (Paulo et al. 2025, arXiv 2501.18823; SAELens' `skip_transcoder`, sparsify's `skip_connection`):
//!
//! ŷ = D c + W_skip x + b_d
//!
//! What of y is linear in x needs no features then. W_skip [d_out, d_in] begins at 0, as in both tools, and is trained with the rest;
//! no penalty is on it.

use super::parameters::{Parameters, Tensor};
use crate::kernel::{Mat, MatMut, Real, par_matmul};

/// Its name among the parameters, of which it is the last.
const NAME: &str = "W_skip";

/// W_skip [d_out, d_in] of `numbers`, or of zeros.
///
/// # Panics
/// When their number does not fit.
pub fn tensor<R: Real>((d_in, d_out): (usize, usize), numbers: Option<Vec<R>>) -> Tensor<R> {
    match numbers {
        Some(numbers) => super::initial::tensor(NAME, &[d_out, d_in], numbers),
        None => Tensor::zeros(NAME, &[d_out, d_in]),
    }
}

/// W_skip among `parameters`, where it is there.
pub fn of<R>(parameters: &Parameters<R>) -> Option<&Tensor<R>> {
    parameters.0.iter().find(|tensor| tensor.name == NAME)
}

/// `out` [n, d_out] += `x` [n, d_in] W_skipᵀ.
pub fn add<R: Real>(skip: &Tensor<R>, x: &[R], out: &mut [R]) {
    let (d_out, d_in) = (skip.shape[0], skip.shape[1]);
    let n = x.len() / d_in;
    let weights = Mat::new(&skip.data, d_out, d_in);
    par_matmul(MatMut::new(out, n, d_out), R::ONE, R::ONE, Mat::new(x, n, d_in), weights.t());
}

/// Adds the gradient by W_skip to its place in `grads`, from that by ŷ, `grad_out` [n, d_out]: Σ_tokens g xᵀ; and with `grad_x`
/// [n, d_in] that by x: W_skipᵀ g. Nothing where `parameters` have no skip connection.
pub fn backward<R: Real>(
    parameters: &Parameters<R>,
    (x, grad_out): (&[R], &[R]),
    grads: &mut Parameters<R>,
    grad_x: Option<&mut [R]>,
) {
    let Some(skip) = of(parameters) else { return };
    let (d_out, d_in) = (skip.shape[0], skip.shape[1]);
    let n = x.len() / d_in;
    let g = Mat::new(grad_out, n, d_out);
    if let Some(grad) = grads.0.iter_mut().find(|tensor| tensor.name == NAME) {
        let sums = MatMut::new(&mut grad.data, d_out, d_in);
        par_matmul(sums, R::ONE, R::ONE, g.t(), Mat::new(x, n, d_in));
    }
    if let Some(grad_x) = grad_x {
        let weights = Mat::new(&skip.data, d_out, d_in);
        par_matmul(MatMut::new(grad_x, n, d_in), R::ONE, R::ONE, g, weights);
    }
}
