//! What a dictionary sees of an activation, and how its output becomes one: the engine's [`Normaliser`] on the device.

use candle_core::{self as candle, Tensor};
use engine::dictionary::{Normaliser, TOKEN_EPS, TokenNorm};

/// The way from a batch's output as a dictionary gives it to the model's activations.
pub enum Back {
    /// Times this number.
    All(f64),
    /// Each token's slope and shift, both [n_tokens, 1].
    Tokens { slope: Tensor, shift: Option<Tensor> },
}

/// What a dictionary sees of `x` [n_tokens, d], and the way back.
pub fn apply(normaliser: Normaliser, x: &Tensor) -> candle::Result<(Tensor, Back)> {
    let d = x.dim(1)?;
    Ok(match normaliser {
        Normaliser::Scale(scale) => (x.affine(scale, 0.0)?, Back::All(1.0 / scale)),
        Normaliser::Token(TokenNorm::Layer) => {
            let mean = x.mean_keepdim(1)?;
            let centred = x.broadcast_sub(&mean)?;
            let variance = (centred.sqr()?.sum_keepdim(1)? / d.saturating_sub(1).max(1) as f64)?;
            let deviation = variance.sqrt()?;
            let seen = centred.broadcast_div(&(&deviation + TOKEN_EPS)?)?;
            let back = Back::Tokens {
                slope: deviation,
                shift: Some(mean),
            };
            (seen, back)
        }
        Normaliser::Token(TokenNorm::Constant) => {
            let size = (x.sqr()?.sum_keepdim(1)? / d as f64)?.sqrt()?;
            // a token of zeros stays one
            let divisor = (&size + size.eq(0f64)?.to_dtype(size.dtype())?)?;
            let back = Back::Tokens {
                slope: size,
                shift: None,
            };
            (x.broadcast_div(&divisor)?, back)
        }
    })
}

impl Back {
    /// x̂ [n_tokens, d] of what the dictionary gave.
    pub fn output(&self, x_hat: &Tensor) -> candle::Result<Tensor> {
        match self {
            Self::Tokens {
                slope,
                shift: Some(shift),
            } => x_hat.broadcast_mul(slope)?.broadcast_add(shift),
            _ => self.gradient(x_hat),
        }
    }

    /// The loss' derivative by what the dictionary gave, of that by x̂ [n_tokens, d].
    pub fn gradient(&self, grad: &Tensor) -> candle::Result<Tensor> {
        match self {
            Self::All(slope) => grad.affine(*slope, 0.0),
            Self::Tokens { slope, .. } => grad.broadcast_mul(slope),
        }
    }
}
