//! y = x W + b, and the gradient of x: that of frozen weights is never computed.

use candle_core::{Device, Result, Tensor};
use engine::model::parts::LinearParts;

/// A frozen linear map.
pub struct Linear {
    /// [d_in, d_out], possibly a transposed view.
    weight: Tensor,
    /// [d_out].
    bias: Option<Tensor>,
}

impl Linear {
    pub fn new(parts: &LinearParts<'_, f32>, device: &Device) -> Result<Self> {
        let bias = parts
            .bias
            .map(|bias| Tensor::from_slice(bias, parts.d_out, device))
            .transpose()?;
        Ok(Self {
            weight: weight(parts, device)?,
            bias,
        })
    }

    /// Several maps of one input as one, whose outputs are the columns `columns` of theirs side by side.
    pub fn joint(parts: &[LinearParts<'_, f32>], columns: Vec<u32>, device: &Device) -> Result<Self> {
        let n_columns = columns.len();
        let columns = Tensor::from_vec(columns, n_columns, device)?;
        let weights = parts.iter().map(|p| weight(p, device)).collect::<Result<Vec<_>>>()?;
        let weight = Tensor::cat(&weights, 1)?.contiguous()?.index_select(&columns, 1)?;
        if parts.iter().all(|p| p.bias.is_none()) {
            return Ok(Self { weight, bias: None });
        }
        let bias: Vec<f32> = parts
            .iter()
            .flat_map(|p| p.bias.map_or_else(|| vec![0.0; p.d_out], <[f32]>::to_vec))
            .collect();
        let bias = Some(Tensor::new(&bias[..], device)?.index_select(&columns, 0)?);
        Ok(Self { weight, bias })
    }

    /// y [n, d_out] from x [n, d_in].
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = x.matmul(&self.weight)?;
        match &self.bias {
            None => Ok(y),
            Some(bias) => y.broadcast_add(bias),
        }
    }

    /// The gradient of x from that of y.
    pub fn backward(&self, dy: &Tensor) -> Result<Tensor> {
        dy.matmul(&self.weight.t()?)
    }
}

fn weight(parts: &LinearParts<'_, f32>, device: &Device) -> Result<Tensor> {
    let LinearParts { d_in, d_out, .. } = *parts;
    if parts.out_in {
        Tensor::from_slice(parts.weight, (d_out, d_in), device)?.t()
    } else {
        Tensor::from_slice(parts.weight, (d_in, d_out), device)
    }
}
