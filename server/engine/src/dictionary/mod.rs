//! Dictionaries: a file per kind, each with its own explicit gradient on sparse codes.
//!
//! To add a kind: its file beside `relu.rs`, a variant here, one in [`api::DictionaryKind`].

mod codes;
mod file;
mod orthogonal;
mod parameters;
mod relu;
mod tile;

use api::DictionaryKind;

pub use codes::{Entries, SEGMENT, Segment, SparseCodes};
pub use file::{DictionaryError, DictionaryFile, load, save};
pub use parameters::{Parameters, Tensor};
pub use relu::Relu;
pub use tile::{Path, Scratch, encode};

use crate::kernel::Real;

/// A dictionary of any kind.
#[derive(Clone, Debug)]
pub enum Dictionary<R> {
    /// See [`Relu`].
    Relu(Relu<R>),
}

impl<R: Real> Dictionary<R> {
    /// Fresh weights.
    pub fn random(kind: DictionaryKind, d_in: usize, d_sae: usize, seed: u64) -> Self {
        match kind {
            DictionaryKind::Relu => Self::Relu(Relu::random(d_in, d_sae, seed)),
        }
    }

    /// Which kind it is.
    pub fn kind(&self) -> DictionaryKind {
        match self {
            Self::Relu(_) => DictionaryKind::Relu,
        }
    }

    /// Width of input and output.
    pub fn d_in(&self) -> usize {
        match self {
            Self::Relu(relu) => relu.d_in(),
        }
    }

    /// Number of features.
    pub fn d_sae(&self) -> usize {
        match self {
            Self::Relu(relu) => relu.d_sae(),
        }
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters<R> {
        match self {
            Self::Relu(relu) => relu.parameters(),
        }
    }

    /// What each feature writes, at length 1: [d_sae, d_in].
    pub fn directions(&self) -> &[R] {
        match self {
            Self::Relu(relu) => relu.directions(),
        }
    }

    /// Changes the parameters, then brings what follows from them up to date.
    pub fn update(&mut self, change: impl FnOnce(&mut Parameters<R>)) {
        match self {
            Self::Relu(relu) => relu.update(change),
        }
    }

    /// Codes of `x` [n_tokens, d_in].
    pub fn encode(&self, x: &[R], codes: &mut SparseCodes<R>, scratch: &Scratch<R>) {
        match self {
            Self::Relu(relu) => relu.encode(x, codes, scratch),
        }
    }

    /// x̂ [n_tokens, d_in] of `codes`.
    pub fn decode(&self, codes: &SparseCodes<R>, out: &mut [R], path: Path, scratch: &Scratch<R>) {
        match self {
            Self::Relu(relu) => relu.decode(codes, out, path, scratch),
        }
    }

    /// Adds the parameters' gradient to `grads`; see [`Relu::backward`].
    #[expect(clippy::too_many_arguments, reason = "each is a tensor of the formula")]
    pub fn backward(
        &self,
        x: &[R],
        codes: &mut SparseCodes<R>,
        grad_out: &[R],
        sparsity: R,
        grads: &mut Parameters<R>,
        grad_x: Option<&mut [R]>,
        path: Path,
        scratch: &Scratch<R>,
    ) {
        match self {
            Self::Relu(relu) => relu.backward(x, codes, grad_out, sparsity, grads, grad_x, path, scratch),
        }
    }

    /// Completes the gradient of a step; see [`Relu::finish`].
    pub fn finish(&self, grads: &mut Parameters<R>) {
        match self {
            Self::Relu(relu) => relu.finish(grads),
        }
    }
}
