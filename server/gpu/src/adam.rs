//! Adam, as `engine::train::adam` has it, and the norm of all gradients.

use candle_core::{Result, Tensor};

use crate::host;

/// The optimiser's state for one dictionary; a tensor per parameter.
pub struct Adam {
    constants: api::Adam,
    /// First moments.
    pub first: Vec<Tensor>,
    /// Second moments.
    pub second: Vec<Tensor>,
    /// Steps made.
    pub steps: usize,
}

impl Adam {
    /// From a state that may have made steps.
    pub fn new(constants: api::Adam, first: Vec<Tensor>, second: Vec<Tensor>, steps: usize) -> Self {
        Self {
            constants,
            first,
            second,
            steps,
        }
    }

    /// The parameters after one step by −lr · m̂ / (√v̂ + ε), with the gradient taken `scale` times.
    pub fn step(&mut self, lr: f64, scale: f64, grads: &[Tensor], parameters: &[Tensor]) -> Result<Vec<Tensor>> {
        self.steps += 1;
        let api::Adam { beta1, beta2, eps } = self.constants;
        let correction1 = 1.0 - beta1.powi(self.steps as i32);
        let correction2 = (1.0 - beta2.powi(self.steps as i32)).sqrt();
        let mut moved = Vec::with_capacity(parameters.len());
        for (i, (p, g)) in parameters.iter().zip(grads).enumerate() {
            let g = g.affine(scale, 0.0)?;
            let m = (self.first[i].affine(beta1, 0.0)? + g.affine(1.0 - beta1, 0.0)?)?;
            let v = (self.second[i].affine(beta2, 0.0)? + g.sqr()?.affine(1.0 - beta2, 0.0)?)?;
            let root = v.sqrt()?.affine(1.0 / correction2, eps)?;
            moved.push((p - (&m / root)?.affine(lr / correction1, 0.0)?)?);
            self.first[i] = m;
            self.second[i] = v;
        }
        Ok(moved)
    }
}

/// The norm of all gradients together. Rows are summed up on the device, the rest in f64.
pub fn norm(grads: &[Tensor]) -> Result<f64> {
    let mut total = 0.0;
    for grad in grads {
        let squares = grad.sqr()?;
        let rows = if squares.rank() == 2 { squares.sum(1)? } else { squares };
        total += host::sum(&rows)?;
    }
    Ok(total.sqrt())
}
