//! Soft caps: y = c tanh(x / c), and the slope 1 − (y / c)².

use candle_core::{Result, Tensor};

/// A soft cap: c.
#[derive(Clone, Copy)]
pub struct SoftCap(pub f64);

impl SoftCap {
    /// y from x.
    pub fn cap(self, x: &Tensor) -> Result<Tensor> {
        x.affine(1.0 / self.0, 0.0)?.tanh()?.affine(self.0, 0.0)
    }

    /// The gradient of x from that of y.
    pub fn back(self, y: &Tensor, grad: &Tensor) -> Result<Tensor> {
        grad * y.sqr()?.affine(-1.0 / (self.0 * self.0), 1.0)?
    }
}
