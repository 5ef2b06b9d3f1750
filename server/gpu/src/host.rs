//! Numbers from the device to the processor.

use candle_core::{Result, Tensor};

/// All numbers of a tensor, row by row.
pub fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

/// Their sum, in f64. For tensors that a device has already reduced to a number per row.
pub fn sum(tensor: &Tensor) -> Result<f64> {
    Ok(numbers(tensor)?.into_iter().map(f64::from).sum())
}

/// ‖a − b‖² per row, of tensors [n, d].
pub fn squared_errors(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    (a - b)?.sqr()?.sum(1)
}
