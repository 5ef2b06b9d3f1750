//! What every kind of dictionary does.

use std::fmt::Debug;

use api::DictionaryKind;

use super::{
    codes::SparseCodes,
    forward::{Forward, Seen},
    parameters::{Parameters, Tensor},
    tile::{Path, Scratch},
};
use crate::kernel::{Real, dot};

/// An encoder that fires by thresholds: z = W x + b, c = z · 1[z > θ].
#[derive(Clone, Debug)]
pub struct Encoder<R> {
    /// W [d_sae, d_in].
    pub weights: Vec<R>,
    /// b [d_sae].
    pub bias: Vec<R>,
    /// θ ≥ 0 [d_sae].
    pub thresholds: Vec<R>,
}

impl<R: Real> Encoder<R> {
    /// Of an encoder that sees x − `centre`: the bias takes it in.
    pub(super) fn centred(weights: Vec<R>, mut bias: Vec<R>, thresholds: Vec<R>, centre: &[R]) -> Self {
        for (bias, row) in bias.iter_mut().zip(weights.chunks_exact(centre.len())) {
            *bias -= dot(row, centre);
        }
        Self {
            weights,
            bias,
            thresholds,
        }
    }
}

/// A kind of dictionary: codes, x̂, and the explicit gradient of both. Its first parameter has a row per feature: [d_sae, d_in].
pub trait Kind<R: Real>: Debug + Send + Sync {
    /// Which it is, with its settings.
    fn kind(&self) -> DictionaryKind;

    /// What is trained.
    fn parameters(&self) -> &Parameters<R>;

    /// The same, to be changed; [`Kind::refresh`] comes after.
    fn parameters_mut(&mut self) -> &mut Parameters<R>;

    /// What else it keeps, that no gradient moves: it belongs into checkpoints and files.
    fn state(&self) -> &[Tensor<R>] {
        &[]
    }

    /// The same, to be read from a file; [`Kind::refresh`] comes after.
    fn state_mut(&mut self) -> &mut [Tensor<R>] {
        &mut []
    }

    /// What each feature writes, at length 1: [d_sae, d_in].
    fn directions(&self) -> &[R];

    /// What it fires by, where that is a threshold for each feature; of a kind that takes the largest, what they are chosen
    /// from. None where there is no encoder.
    fn encoder(&self) -> Option<Encoder<R>>;

    /// Brings what follows from parameters and state up to date.
    fn refresh(&mut self) {}

    /// Before the first step: what the initial weights take from `x` [n_tokens, d_in], the first batch of the run.
    fn prepare(&mut self, _x: &[R]) {}

    /// Codes of `x` [n_tokens, d_in], as the trained dictionary gives them.
    fn encode(&self, x: &[R], codes: &mut SparseCodes<R>, scratch: &Scratch<R>);

    /// x̂ [n_tokens, d_in] of `codes`.
    fn decode(&self, codes: &SparseCodes<R>, out: &mut [R], path: Path, scratch: &Scratch<R>);

    /// Codes and x̂ of `x` [n_tokens, d_in] in training, and the kind's own terms. `per_number` is the batch's weight in its
    /// step over the numbers of `x`: what a term that is a mean over tokens and dimensions takes its sum times.
    fn forward(&self, x: &[R], per_number: f64, forward: &mut Forward<R>, path: Path, scratch: &Scratch<R>);

    /// Adds the gradient of the parameters to `grads`, where `grad_out` [n_tokens, d_in] is the loss' derivative by x̂ and
    /// `sparsity` its derivative by Σ over tokens of the kind's penalty. It is complete after [`Kind::finish`].
    /// With `grad_x` [n_tokens, d_in], the derivative by x through the codes is written there.
    #[expect(clippy::too_many_arguments, reason = "each is a tensor of the formula")]
    fn backward(
        &self,
        x: &[R],
        forward: &mut Forward<R>,
        grad_out: &[R],
        sparsity: R,
        grads: &mut Parameters<R>,
        grad_x: Option<&mut [R]>,
        path: Path,
        scratch: &Scratch<R>,
    );

    /// Completes the gradient, once, after the last [`Kind::backward`] of an optimiser step.
    fn finish(&self, grads: &mut Parameters<R>);

    /// After an optimiser step: brings the parameters back to where the kind keeps them, and its state forward by what the
    /// step has seen.
    fn settle(&mut self, _seen: &Seen) {}
}

/// At least 0; NaN stays, so that it is noticed.
pub(super) fn not_negative<R: Real>(value: R) -> R {
    if value < R::ZERO { R::ZERO } else { value }
}
