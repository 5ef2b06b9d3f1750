//! The MLP of a block: h = act(x W_in + b_in), or act(x W_gate) ∘ (x W_up); then h W_out + b_out.

use candle_core::{Device, Result, Tensor};
use engine::model::{Activation, parts::MlpParts};

use crate::linear::Linear;

/// A frozen MLP.
pub struct Mlp {
    activation: Activation,
    input: Linear,
    up: Option<Linear>,
    /// [d_mlp, d_model].
    pub output: Linear,
}

/// What the backward pass needs, [n, d_mlp] each.
#[derive(Clone)]
pub struct MlpTape {
    /// What goes through the nonlinearity.
    input: Tensor,
    /// What its value is multiplied by, in gated MLPs.
    up: Option<Tensor>,
}

impl Mlp {
    pub fn new(parts: &MlpParts<'_, f32>, device: &Device) -> Result<Self> {
        Ok(Self {
            activation: parts.activation,
            input: Linear::new(&parts.input, device)?,
            up: parts.up.as_ref().map(|up| Linear::new(up, device)).transpose()?,
            output: Linear::new(&parts.output, device)?,
        })
    }

    /// The hidden layer [n, d_mlp] from the normalised residual `x` [n, d_model].
    pub fn hidden(&self, x: &Tensor) -> Result<(Tensor, MlpTape)> {
        let input = self.input.forward(x)?;
        let value = value(self.activation, &input)?;
        let up = self.up.as_ref().map(|up| up.forward(x)).transpose()?;
        let hidden = match &up {
            Some(up) => (value * up)?,
            None => value,
        };
        Ok((hidden, MlpTape { input, up }))
    }

    /// The gradient of x from that of the hidden layer.
    pub fn hidden_backward(&self, tape: &MlpTape, dh: &Tensor) -> Result<Tensor> {
        let slope = slope(self.activation, &tape.input)?;
        match (&self.up, &tape.up) {
            (Some(up), Some(factor)) => {
                let by_up = up.backward(&(dh * value(self.activation, &tape.input)?)?)?;
                by_up + self.input.backward(&((dh * factor)? * slope)?)?
            }
            _ => self.input.backward(&(dh * slope)?),
        }
    }
}

fn value(activation: Activation, x: &Tensor) -> Result<Tensor> {
    match activation {
        Activation::Gelu => x.gelu_erf(),
        Activation::GeluTanh => x.gelu(),
        Activation::Silu => x.silu(),
        Activation::Relu => x.relu(),
    }
}

/// The nonlinearity's derivative; the formulas are those of `engine::model`'s activations.
fn slope(activation: Activation, x: &Tensor) -> Result<Tensor> {
    match activation {
        // Φ(x) + x φ(x)
        Activation::Gelu => {
            let below = x.affine(std::f64::consts::FRAC_1_SQRT_2, 0.0)?.erf()?.affine(0.5, 0.5)?;
            let density = x.sqr()?.affine(-0.5, 0.0)?.exp()?.affine(0.398_942_280_401_432_7, 0.0)?;
            below + (x * density)?
        }
        // x σ(u) with u = c x (1 + a x²): σ(u) + x σ(u) (1 − σ(u)) u'
        Activation::GeluTanh => {
            let (c, a) = (1.595_769_121_605_730_7, 0.044_715);
            let square = x.sqr()?;
            let gate = sigmoid(&(x * square.affine(c * a, c)?)?)?;
            let inner = (x * square.affine(3.0 * c * a, c)?)?;
            by_gate(&gate, &inner)
        }
        // x σ(x): σ(x) + x σ(x) (1 − σ(x))
        Activation::Silu => by_gate(&sigmoid(x)?, x),
        Activation::Relu => x.gt(0f32)?.to_dtype(x.dtype()),
    }
}

/// σ · (1 + inner · (1 − σ)).
fn by_gate(gate: &Tensor, inner: &Tensor) -> Result<Tensor> {
    gate * (inner * gate.affine(-1.0, 1.0)?)?.affine(1.0, 1.0)?
}

fn sigmoid(x: &Tensor) -> Result<Tensor> {
    x.neg()?.exp()?.affine(1.0, 1.0)?.recip()
}
