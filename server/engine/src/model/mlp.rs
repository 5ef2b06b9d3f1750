//! The MLP of a block: h = act(x W_in + b_in), or act(x W_gate) ∘ (x W_up); then h W_out + b_out.

use super::{
    activation::{self, Activation},
    tensor::Linear,
};
use crate::kernel::{Real, simd};

/// An MLP.
#[derive(Clone)]
pub(super) struct Mlp<R> {
    pub(super) activation: Activation,
    /// [d_model, d_mlp]: what goes through the nonlinearity.
    pub(super) input: Linear<R>,
    /// [d_model, d_mlp]: what the nonlinearity's value is multiplied by, in gated MLPs.
    pub(super) up: Option<Linear<R>>,
    /// [d_mlp, d_model].
    pub(super) output: Linear<R>,
}

/// The derivatives of the hidden layer by its pre-activations, [n, d_mlp] each.
#[derive(Default)]
pub(super) struct MlpTape<R> {
    /// ∂h/∂(what goes through the nonlinearity).
    by_input: Vec<R>,
    /// ∂h/∂(what its value is multiplied by); unused without a gate.
    by_up: Vec<R>,
}

impl<R: Real> Mlp<R> {
    /// The hidden layer `h` [n, d_mlp] from the normalised residual `x` [n, d_model].
    pub(super) fn hidden(&self, x: &[R], h: &mut Vec<R>, tape: &mut MlpTape<R>) {
        let d_mlp = self.input.d_out;
        let size = x.len() / self.input.d_in * d_mlp;
        h.resize(size, R::ZERO);
        self.input.forward(x, h, 0, d_mlp);
        tape.by_input.resize(size, R::ZERO);
        if let Some(up) = &self.up {
            tape.by_up.resize(size, R::ZERO);
            up.forward(x, &mut tape.by_up, 0, d_mlp);
        }
        match self.activation {
            Activation::Gelu => self.activate(h, tape, activation::gelu),
            Activation::GeluTanh => self.activate(h, tape, activation::gelu_tanh),
            Activation::Silu => self.activate(h, tape, activation::silu),
            Activation::Relu => self.activate(h, tape, activation::relu),
        }
    }

    /// From pre-activations to the hidden layer, in place; `tape.by_up` holds x W_up and becomes the value of the gate.
    #[inline(always)]
    fn activate(&self, h: &mut [R], tape: &mut MlpTape<R>, value_and_slope: impl Fn(R) -> (R, R)) {
        simd(
            #[inline(always)]
            || {
                if self.up.is_some() {
                    for ((h, by_input), by_up) in h.iter_mut().zip(&mut tape.by_input).zip(&mut tape.by_up) {
                        let (value, slope) = value_and_slope(*h);
                        *h = value * *by_up;
                        *by_input = slope * *by_up;
                        *by_up = value;
                    }
                } else {
                    for (h, by_input) in h.iter_mut().zip(&mut tape.by_input) {
                        (*h, *by_input) = value_and_slope(*h);
                    }
                }
            },
        );
    }

    /// The gradient of x into `dx` [n, d_model] from that of the hidden layer, which is consumed. With `weights`, which
    /// are x and the gradients of all weights, those of what leads to the hidden layer are added to.
    pub(super) fn hidden_backward(
        &self,
        tape: &MlpTape<R>,
        dh: &mut [R],
        dx: &mut [R],
        mut weights: Option<(&[R], &mut [R])>,
        scratch: &mut Vec<R>,
    ) {
        let d_mlp = self.input.d_out;
        if let Some(up) = &self.up {
            scratch.resize(dh.len(), R::ZERO);
            simd(
                #[inline(always)]
                || {
                    for ((to, g), by) in scratch.iter_mut().zip(&*dh).zip(&tape.by_up) {
                        *to = *g * *by;
                    }
                },
            );
            up.backward(scratch, 0, d_mlp, dx, R::ZERO);
            if let Some((x, grads)) = &mut weights {
                up.weight_backward(x, scratch, 0, d_mlp, grads);
            }
        }
        simd(
            #[inline(always)]
            || {
                for (g, by) in dh.iter_mut().zip(&tape.by_input) {
                    *g *= *by;
                }
            },
        );
        let keep = if self.up.is_some() { R::ONE } else { R::ZERO };
        self.input.backward(dh, 0, d_mlp, dx, keep);
        if let Some((x, grads)) = weights {
            self.input.weight_backward(x, dh, 0, d_mlp, grads);
        }
    }

    pub(super) fn to_f64(&self) -> Mlp<f64> {
        Mlp {
            activation: self.activation,
            input: self.input.to_f64(),
            up: self.up.as_ref().map(Linear::to_f64),
            output: self.output.to_f64(),
        }
    }
}
