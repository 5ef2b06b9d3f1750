//! Rotary positions: coordinate j of each query and key turns with coordinate j + n_pairs, for j below n_pairs.

use candle_core::{D, Device, Result, Tensor};
use engine::model::parts::RopeParts;
use std::sync::{Mutex, PoisonError};

/// The rotations of every position. They are computed for the longest contexts that were seen, as the engine's are.
pub struct Rope {
    frequencies: Vec<f32>,
    device: Device,
    table: Mutex<Option<Table>>,
}

/// cos and sin of the first positions, [positions, n_pairs].
#[derive(Clone)]
struct Table {
    cos: Tensor,
    sin: Tensor,
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
    pub fn new(parts: &RopeParts<'_>, device: &Device) -> Self {
        Self {
            frequencies: parts.frequencies.to_vec(),
            device: device.clone(),
            table: Mutex::new(None),
        }
    }

    /// The rotations of the first `n_ctx` positions at least.
    fn table(&self, n_ctx: usize) -> Result<Table> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = &*table
            && table.cos.dim(0)? >= n_ctx
        {
            return Ok(table.clone());
        }
        let parts = RopeParts {
            frequencies: &self.frequencies,
        };
        let shape = (n_ctx, self.frequencies.len());
        let [cos, sin] = parts
            .rotations(n_ctx)
            .map(|numbers| Tensor::from_vec(numbers, shape, &self.device));
        let made = Table { cos: cos?, sin: sin? };
        *table = Some(made.clone());
        Ok(made)
    }

    /// Rotates `x` [.., n_ctx, d_head]; row i is position i.
    pub fn turn(&self, x: &Tensor, turn: Turn) -> Result<Tensor> {
        let (n_ctx, d_head, n_pairs) = (x.dim(D::Minus2)?, x.dim(D::Minus1)?, self.frequencies.len());
        let (a, b) = (x.narrow(D::Minus1, 0, n_pairs)?, x.narrow(D::Minus1, n_pairs, n_pairs)?);
        let Table { cos, sin } = self.table(n_ctx)?;
        let cos = cos.narrow(0, 0, n_ctx)?;
        let sin = match turn {
            Turn::Ahead => sin.narrow(0, 0, n_ctx)?,
            Turn::Back => sin.narrow(0, 0, n_ctx)?.neg()?,
        };
        let mut parts = vec![
            (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?,
            (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?,
        ];
        let turned = 2 * n_pairs;
        if turned < d_head {
            parts.push(x.narrow(D::Minus1, turned, d_head - turned)?);
        }
        Tensor::cat(&parts, D::Minus1)
    }
}
