//! The ReLU dictionary with its explicit gradient, as dense matrix products: on a GPU they cost less than looking for what
//! fires. Formulas: `engine::dictionary::Relu`.

use candle_core::{Device, Result, Tensor};
use engine::dictionary::Parameters;

use crate::host;

/// Positions of the tensors in [`Parameters`], here and in the engine.
const W_ENC: usize = 0;
const B_ENC: usize = 1;
const W_DEC: usize = 2;
const B_DEC: usize = 3;

/// Smallest norm that a direction is divided by.
const MIN_NORM: f64 = 1e-12;

/// A dictionary on the device.
pub struct Relu {
    /// `W_enc` [d_sae, d_in], `b_enc` [d_sae], `W_dec` [d_sae, d_in], `b_dec` [d_in].
    pub parameters: Vec<Tensor>,
    /// d̂ [d_sae, d_in].
    directions: Tensor,
    /// 1 / ‖d_j‖ [d_sae, 1].
    inverse_norms: Tensor,
}

/// Copies parameters, or anything with their shapes, to the device.
pub fn upload(parameters: &Parameters<f32>, device: &Device) -> Result<Vec<Tensor>> {
    let tensors = parameters.0.iter();
    tensors
        .map(|t| Tensor::from_slice(&t.data, t.shape.as_slice(), device))
        .collect()
}

/// Copies them back.
pub fn download(tensors: &[Tensor], parameters: &mut Parameters<f32>) -> Result<()> {
    for (tensor, to) in tensors.iter().zip(&mut parameters.0) {
        to.data = host::numbers(tensor)?;
    }
    Ok(())
}

impl Relu {
    /// From the engine's parameters.
    pub fn new(parameters: &Parameters<f32>, device: &Device) -> Result<Self> {
        Self::of(upload(parameters, device)?)
    }

    /// From parameters on the device.
    pub fn of(parameters: Vec<Tensor>) -> Result<Self> {
        let norms = parameters[W_DEC].sqr()?.sum_keepdim(1)?.sqrt()?;
        let inverse_norms = norms.maximum(MIN_NORM)?.recip()?;
        Ok(Self {
            directions: parameters[W_DEC].broadcast_mul(&inverse_norms)?,
            inverse_norms,
            parameters,
        })
    }

    /// Codes [n_tokens, d_sae] of `x` [n_tokens, d_in].
    pub fn encode(&self, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.parameters[W_ENC].t()?)?
            .broadcast_add(&self.parameters[B_ENC])?
            .relu()
    }

    /// x̂ [n_tokens, d_in] of codes.
    pub fn decode(&self, codes: &Tensor) -> Result<Tensor> {
        codes.matmul(&self.directions)?.broadcast_add(&self.parameters[B_DEC])
    }

    /// The gradient of the parameters, where `grad_out` [n_tokens, d_in] is the loss' derivative by x̂ and `sparsity` its
    /// derivative by every activation that fired ([`fired`]). The decoder's part is that of the unit directions until
    /// [`Relu::finish`].
    pub fn backward(&self, x: &Tensor, codes: &Tensor, fired: &Tensor, grad_out: &Tensor, sparsity: f64) -> Result<Vec<Tensor>> {
        let by_codes = grad_out.matmul(&self.directions.t()?)?.affine(1.0, sparsity)?;
        let by_codes = (by_codes * fired)?;
        Ok(vec![
            by_codes.t()?.matmul(x)?,
            by_codes.sum(0)?,
            codes.t()?.matmul(grad_out)?,
            grad_out.sum(0)?,
        ])
    }

    /// Turns the gradient of the unit directions into that of the decoder: (g − d̂ ⟨d̂, g⟩) / ‖d‖.
    pub fn finish(&self, grads: &mut [Tensor]) -> Result<()> {
        let along = (&self.directions * &grads[W_DEC])?.sum_keepdim(1)?;
        let across = (&grads[W_DEC] - self.directions.broadcast_mul(&along)?)?;
        grads[W_DEC] = across.broadcast_mul(&self.inverse_norms)?;
        Ok(())
    }
}

/// 1 where a feature fired, else 0: [n_tokens, d_sae].
pub fn fired(codes: &Tensor) -> Result<Tensor> {
    codes.gt(0f32)?.to_dtype(codes.dtype())
}
