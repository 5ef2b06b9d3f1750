//! The nonlinearities of MLPs, with their slopes.

use crate::kernel::Real;

/// A nonlinearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x Φ(x).
    Gelu,
    /// x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³))).
    GeluTanh,
    /// x σ(x).
    Silu,
    /// max(x, 0).
    Relu,
}

impl Activation {
    /// What [`Activation::named`] understands, for messages.
    pub(super) const KNOWN: &'static str = "gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, silu, swish or relu";

    /// By transformers' name.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "gelu" => Some(Activation::Gelu),
            "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Some(Activation::GeluTanh),
            "silu" | "swish" => Some(Activation::Silu),
            "relu" => Some(Activation::Relu),
            _ => None,
        }
    }
}

/// x/2 · (1 + tanh u) = x σ(2u) with u = √(2/π) (x + 0.044715 x³): its value and slope.
#[inline(always)]
pub(super) fn gelu_tanh<R: Real>(x: R) -> (R, R) {
    // 2 √(2/π)
    let c = R::of(1.595_769_121_605_730_7);
    let a = R::of(0.044_715);
    let square = x * x;
    let gate = sigmoid(c * x * (R::ONE + a * square));
    let slope = c * (R::ONE + R::of(3.0 * 0.044_715) * square);
    (x * gate, gate + x * gate * (R::ONE - gate) * slope)
}

/// x Φ(x): its value and slope Φ(x) + x φ(x).
#[inline(always)]
pub(super) fn gelu<R: Real>(x: R) -> (R, R) {
    let half = R::of(0.5);
    let below = x.normal_cdf();
    // 1/√(2π)
    let density = R::of(0.398_942_280_401_432_7) * (-half * x * x).exp();
    (x * below, below + x * density)
}

/// x σ(x): its value and slope.
#[inline(always)]
pub(super) fn silu<R: Real>(x: R) -> (R, R) {
    let gate = sigmoid(x);
    (x * gate, gate * (R::ONE + x * (R::ONE - gate)))
}

/// max(x, 0): its value and slope, 0 at 0.
#[inline(always)]
pub(super) fn relu<R: Real>(x: R) -> (R, R) {
    if x > R::ZERO { (x, R::ONE) } else { (R::ZERO, R::ZERO) }
}

#[inline(always)]
fn sigmoid<R: Real>(x: R) -> R {
    R::ONE / (R::ONE + (-x).exp())
}
