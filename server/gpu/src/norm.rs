//! LayerNorm and RMSNorm over the last dimension: x̂ = (x − mean) / √(var + ε), or x / √(mean x² + ε); then gain and bias.

use candle_core::{D, Device, Result, Tensor};
use engine::model::parts::NormParts;

/// A frozen norm.
pub struct Norm {
    /// Whether the mean is taken out.
    layer: bool,
    eps: f64,
    /// [d_model].
    gain: Tensor,
    /// [d_model].
    bias: Option<Tensor>,
}

/// What the backward pass needs.
#[derive(Clone)]
pub struct NormTape {
    /// x̂ [n, d_model].
    pub normalized: Tensor,
    /// 1/σ [n, 1].
    scale: Tensor,
}

impl Norm {
    pub fn new(parts: &NormParts<'_, f32>, device: &Device) -> Result<Self> {
        let numbers = |numbers: &[f32]| Tensor::from_slice(numbers, numbers.len(), device);
        Ok(Self {
            layer: parts.layer,
            eps: parts.eps,
            gain: numbers(parts.gain)?,
            bias: parts.bias.map(numbers).transpose()?,
        })
    }

    /// x̂, without gain and bias, with 1/σ.
    pub fn normalize(&self, x: &Tensor) -> Result<NormTape> {
        let centred = match self.layer {
            true => x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?,
            false => x.clone(),
        };
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let scale = variance.affine(1.0, self.eps)?.sqrt()?.recip()?;
        Ok(NormTape {
            normalized: centred.broadcast_mul(&scale)?,
            scale,
        })
    }

    /// y = x̂ · gain + bias.
    pub fn gain(&self, normalized: &Tensor) -> Result<Tensor> {
        let y = normalized.broadcast_mul(&self.gain)?;
        match &self.bias {
            None => Ok(y),
            Some(bias) => y.broadcast_add(bias),
        }
    }

    /// The whole norm: y and what the backward pass needs.
    pub fn forward(&self, x: &Tensor) -> Result<(Tensor, NormTape)> {
        let tape = self.normalize(x)?;
        Ok((self.gain(&tape.normalized)?, tape))
    }

    /// The gradient of x̂ from that of y.
    pub fn gain_backward(&self, dy: &Tensor) -> Result<Tensor> {
        dy.broadcast_mul(&self.gain)
    }

    /// The gradient of x from that of x̂: 1/σ · (g − mean g − x̂ · mean (g x̂)), without mean g in RMSNorm.
    pub fn normalize_backward(&self, tape: &NormTape, grad: &Tensor) -> Result<Tensor> {
        let along = (grad * &tape.normalized)?.mean_keepdim(D::Minus1)?;
        let mut inner = (grad - tape.normalized.broadcast_mul(&along)?)?;
        if self.layer {
            inner = inner.broadcast_sub(&grad.mean_keepdim(D::Minus1)?)?;
        }
        inner.broadcast_mul(&tape.scale)
    }

    /// The gradient of x from that of y.
    pub fn backward(&self, tape: &NormTape, dy: &Tensor) -> Result<Tensor> {
        self.normalize_backward(tape, &self.gain_backward(dy)?)
    }
}
