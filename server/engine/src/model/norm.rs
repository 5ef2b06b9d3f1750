//! LayerNorm and RMSNorm over d_model: x̂ = (x − mean) / √(var + ε), or x / √(mean x² + ε); then gain and bias.

use super::tensor::Weights;
use crate::kernel::{Real, add, dot, simd, sum, sum_squares};

/// Which norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NormKind {
    /// The mean is taken out.
    Layer,
    /// It is not.
    Rms,
}

/// A norm with its gain and bias [d_model].
#[derive(Clone)]
pub(super) struct Norm<R> {
    pub(super) kind: NormKind,
    pub(super) eps: f64,
    pub(super) gain: Weights<R>,
    pub(super) bias: Option<Weights<R>>,
}

/// What the backward pass needs: x̂ [n, d_model] and 1/σ [n].
#[derive(Default)]
pub(super) struct NormTape<R> {
    pub(super) normalized: Vec<R>,
    scale: Vec<R>,
}

impl<R: Real> Norm<R> {
    /// x̂ into `tape`, without gain and bias.
    pub(super) fn normalize(&self, x: &[R], tape: &mut NormTape<R>) {
        let d = self.gain.as_slice().len();
        tape.normalized.resize(x.len(), R::ZERO);
        tape.scale.resize(x.len() / d, R::ZERO);
        let (eps, inv_d, layer) = (R::of(self.eps), R::of(1.0 / d as f64), self.kind == NormKind::Layer);
        simd(
            #[inline(always)]
            || {
                let rows = x.chunks_exact(d).zip(tape.normalized.chunks_exact_mut(d));
                for ((x, y), scale) in rows.zip(&mut tape.scale) {
                    let mean = if layer { sum(x) * inv_d } else { R::ZERO };
                    for (y, x) in y.iter_mut().zip(x) {
                        *y = *x - mean;
                    }
                    *scale = R::ONE / (sum_squares(y) * inv_d + eps).sqrt();
                    for y in y.iter_mut() {
                        *y *= *scale;
                    }
                }
            },
        );
    }

    /// y = x̂ · gain + bias.
    pub(super) fn gain(&self, normalized: &[R], y: &mut Vec<R>) {
        let gain = self.gain.as_slice();
        y.resize(normalized.len(), R::ZERO);
        simd(
            #[inline(always)]
            || {
                let rows = normalized.chunks_exact(gain.len()).zip(y.chunks_exact_mut(gain.len()));
                match &self.bias {
                    None => {
                        for (x, y) in rows {
                            for ((y, x), g) in y.iter_mut().zip(x).zip(gain) {
                                *y = *x * *g;
                            }
                        }
                    }
                    Some(bias) => {
                        let bias = bias.as_slice();
                        for (x, y) in rows {
                            for (((y, x), g), b) in y.iter_mut().zip(x).zip(gain).zip(bias) {
                                *y = *x * *g + *b;
                            }
                        }
                    }
                }
            },
        );
    }

    /// The whole norm: y from x.
    pub(super) fn forward(&self, x: &[R], tape: &mut NormTape<R>, y: &mut Vec<R>) {
        self.normalize(x, tape);
        self.gain(&tape.normalized, y);
    }

    /// The gradient of x̂ from that of y, in place.
    pub(super) fn gain_backward(&self, grad: &mut [R]) {
        let gain = self.gain.as_slice();
        simd(
            #[inline(always)]
            || {
                for row in grad.chunks_exact_mut(gain.len()) {
                    for (x, g) in row.iter_mut().zip(gain) {
                        *x *= *g;
                    }
                }
            },
        );
    }

    /// Adds the gradients of gain and bias to their places in `grads`, the gradients of all weights, given x̂ and the
    /// gradient of y, both [n, d_model].
    pub(super) fn weight_backward(&self, normalized: &[R], dy: &[R], grads: &mut [R]) {
        let d = self.gain.as_slice().len();
        let gain = &mut grads[self.gain.place()];
        simd(
            #[inline(always)]
            || {
                for (hat, dy) in normalized.chunks_exact(d).zip(dy.chunks_exact(d)) {
                    for ((gain, hat), dy) in gain.iter_mut().zip(hat).zip(dy) {
                        *gain += *hat * *dy;
                    }
                }
            },
        );
        if let Some(bias) = &self.bias {
            let bias = &mut grads[bias.place()];
            simd(
                #[inline(always)]
                || dy.chunks_exact(d).for_each(|dy| add(bias, dy)),
            );
        }
    }

    /// The gradient of x from that of x̂, in place.
    pub(super) fn normalize_backward(&self, tape: &NormTape<R>, grad: &mut [R]) {
        let d = self.gain.as_slice().len();
        let (inv_d, layer) = (R::of(1.0 / d as f64), self.kind == NormKind::Layer);
        simd(
            #[inline(always)]
            || {
                let rows = grad.chunks_exact_mut(d).zip(tape.normalized.chunks_exact(d));
                for ((grad, hat), scale) in rows.zip(&tape.scale) {
                    let mean = if layer { sum(grad) * inv_d } else { R::ZERO };
                    let along = dot(grad, hat) * inv_d;
                    for (g, hat) in grad.iter_mut().zip(hat) {
                        *g = *scale * (*g - mean - *hat * along);
                    }
                }
            },
        );
    }

    /// The gradient of x from that of y, in place.
    pub(super) fn backward(&self, tape: &NormTape<R>, grad: &mut [R]) {
        self.gain_backward(grad);
        self.normalize_backward(tape, grad);
    }

    pub(super) fn to_f64(&self) -> Norm<f64> {
        Norm {
            kind: self.kind,
            eps: self.eps,
            gain: self.gain.to_f64(),
            bias: self.bias.as_ref().map(Weights::to_f64),
        }
    }
}
