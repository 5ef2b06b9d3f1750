//! What every kind of dictionary does.

use std::fmt::Debug;

use api::DictionaryKind;

use super::{
    codes::{Entries, SparseCodes},
    forward::{Forward, Seen},
    parameters::{Parameters, Tensor},
    skip,
    tile::{self, Path, Scratch},
};
use crate::kernel::{Real, dot};

/// An encoder that fires by thresholds, z = W x + b, c = z · 1[z > θ], for decoder rows of length 1: where a kind's are not, their
/// lengths are in the activations.
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

/// A kind of dictionary: codes, x̂, and the explicit gradient of both. Its first parameter has a row per feature: [d_sae, d_in]. What it
/// writes is as wide as what it reads, d_in, but for transcoders, where d_out stands in the place of x̂'s d_in.
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
    /// from. Its activations are those of decoder rows of length 1. None where there is no encoder.
    fn encoder(&self) -> Option<Encoder<R>>;

    /// What each activation is multiplied with: [d_sae, d_in].
    fn decoder(&self) -> &[R] {
        self.directions()
    }

    /// What is added to every x̂ [d_in].
    fn bias(&self) -> Option<&[R]> {
        let tensor = self.parameters().0.iter().find(|tensor| tensor.name == "b_dec");
        tensor.map(|tensor| &tensor.data[..])
    }

    /// What is taken from the input before it is encoded [d_in].
    fn centre(&self) -> Option<&[R]> {
        None
    }

    /// W_skip [d_out, d_in], which takes the input straight to x̂: transcoders with a skip connection have it.
    fn skip(&self) -> Option<&Tensor<R>> {
        skip::of(self.parameters())
    }

    /// Brings what follows from parameters and state up to date.
    fn refresh(&mut self) {}

    /// Before the first step: what the initial weights take from `x` [n_tokens, d_in], the first batch of the run.
    fn prepare(&mut self, _x: &[R]) {}

    /// The same, where x̂ is to be `target` [n_tokens, d_out] and not x: of a transcoder.
    fn prepare_to(&mut self, x: &[R], _target: &[R]) {
        self.prepare(x);
    }

    /// Before the first step of a dictionary that is trained already: what it takes from `x` and was never told.
    fn prepare_trained(&mut self, _x: &[R]) {}

    /// Codes of `x` [n_tokens, d_in], as the trained dictionary gives them.
    fn encode(&self, x: &[R], codes: &mut SparseCodes<R>, scratch: &Scratch<R>);

    /// The same where the tokens [n_tokens] at which x stands are known. Only a kind that looks at them differs.
    fn encode_tokens(&self, _tokens: &[u32], x: &[R], codes: &mut SparseCodes<R>, scratch: &Scratch<R>) {
        self.encode(x, codes, scratch);
    }

    /// x̂ [n_tokens, d_in] of `codes`, without what a skip connection adds.
    fn decode(&self, codes: &SparseCodes<R>, out: &mut [R], path: Path, scratch: &Scratch<R>) {
        tile::combine(codes, Entries::Values, self.decoder(), self.bias(), out, path, scratch);
    }

    /// x̂ [n_tokens, d_out] of `codes`, which are those of `x` [n_tokens, d_in].
    fn reconstruct(&self, codes: &SparseCodes<R>, x: &[R], out: &mut [R], path: Path, scratch: &Scratch<R>) {
        self.decode(codes, out, path, scratch);
        if let Some(skip) = self.skip() {
            skip::add(skip, x, out);
        }
    }

    /// Codes and x̂ of `x` [n_tokens, d_in] in training, and the kind's own terms. `per_number` is the batch's weight in its
    /// step over the numbers of x̂: what a term that is a mean over tokens and dimensions takes its sum times.
    /// Where a kind says nothing else, training is as use, and the penalty ‖c‖₁.
    fn forward(&self, x: &[R], _per_number: f64, forward: &mut Forward<R>, path: Path, scratch: &Scratch<R>) {
        self.encode(x, &mut forward.codes, scratch);
        let d_out = self.decoder().len() / forward.codes.d_sae.max(1);
        forward.x_hat.resize(forward.codes.n_tokens() * d_out, R::ZERO);
        self.reconstruct(&forward.codes, x, &mut forward.x_hat, path, scratch);
        forward.penalty = forward.codes.l1();
    }

    /// The same, where x̂ is to be `target` [n_tokens, d_out] and not x: of a transcoder. Only a kind differs whose own terms look at
    /// x̂'s error.
    fn forward_to(&self, x: &[R], _target: &[R], per_number: f64, forward: &mut Forward<R>, path: Path, scratch: &Scratch<R>) {
        self.forward(x, per_number, forward, path, scratch);
    }

    /// How much of the reconstruction of x̂ enters a local objective: all, but where parts of the codes have theirs as well.
    fn reconstruction_share(&self) -> f64 {
        1.0
    }

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
