//! Rotary positions: coordinate j of each query and key turns with coordinate j + n_pairs, for j below n_pairs.

use candle_core::{D, Device, Result, Tensor};
use engine::model::parts::RopeParts;

/// The rotations of every position.
pub struct Rope {
    /// [n_ctx, n_pairs].
    cos: Tensor,
    sin: Tensor,
    n_pairs: usize,
}

/// Which way to rotate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Forward, in the forward pass.
    Ahead,
    /// Backward: the transpose, for gradients.
    Back,
}

impl Rope {
    pub fn new(parts: &RopeParts<'_, f32>, device: &Device) -> Result<Self> {
        let n_pairs = parts.n_pairs;
        let table = |numbers: &[f32]| Tensor::from_slice(numbers, (numbers.len() / n_pairs, n_pairs), device);
        Ok(Self {
            cos: table(parts.cos)?,
            sin: table(parts.sin)?,
            n_pairs,
        })
    }

    /// Rotates `x` [.., n_ctx, d_head]; row i is position i.
    pub fn turn(&self, x: &Tensor, turn: Turn) -> Result<Tensor> {
        let (n_ctx, d_head) = (x.dim(D::Minus2)?, x.dim(D::Minus1)?);
        let (a, b) = (
            x.narrow(D::Minus1, 0, self.n_pairs)?,
            x.narrow(D::Minus1, self.n_pairs, self.n_pairs)?,
        );
        let cos = self.cos.narrow(0, 0, n_ctx)?;
        let sin = match turn {
            Turn::Ahead => self.sin.narrow(0, 0, n_ctx)?,
            Turn::Back => self.sin.narrow(0, 0, n_ctx)?.neg()?,
        };
        let mut parts = vec![
            (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?,
            (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?,
        ];
        let turned = 2 * self.n_pairs;
        if turned < d_head {
            parts.push(x.narrow(D::Minus1, turned, d_head - turned)?);
        }
        Tensor::cat(&parts, D::Minus1)
    }
}
