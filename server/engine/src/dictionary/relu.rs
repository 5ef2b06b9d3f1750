//! The ReLU dictionary of end-to-end dictionary learning (Braun et al. 2024, section 2; e2e_sae `SAE`):
//!
//! c = ReLU(W_e x + b_e), x̂ = Σ_j c_j d̂_j + b_d, d̂_j = d_j / ‖d_j‖
//!
//! The decoder's directions are normalised inside the forward pass, with the gradient through the normalisation; the stored
//! decoder is free. Both sides have biases; the decoder's is not subtracted from the input; the weights are not tied.
//! Here `W_enc` and `W_dec` are [d_sae, d_in]: row j belongs to feature j.
//!
//! A transcoder (Dunefsky et al. 2024, arXiv 2406.11944) is the same between two hook points: x is read at the one, and x̂ stands for the
//! activation at the other, of width d_out; with a skip connection (`skip.rs`) W_skip x is added to it.

use api::{DictionaryKind, HookPoint};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    codes::{Entries, SparseCodes},
    directions::Directions,
    forward::Forward,
    initial::tensor,
    kind::{Encoder, Kind},
    linear::{Places, add_gradient},
    orthogonal::orthogonal,
    parameters::Parameters,
    skip,
    tile::{self, Path, Scratch},
};
use crate::kernel::Real;

/// Positions of the tensors in [`Parameters`].
const W_ENC: usize = 0;
const B_ENC: usize = 1;
const W_DEC: usize = 2;
const B_DEC: usize = 3;
/// Those that the codes are made of.
const PLACES: Places = Places {
    w_enc: W_ENC,
    b_enc: B_ENC,
    w_dec: W_DEC,
};

/// Smallest norm that a direction is divided by, as torch's `normalize` has it.
const MIN_NORM: f64 = 1e-12;

/// See the module.
#[derive(Clone, Debug)]
pub struct Relu<R> {
    /// Where a transcoder reads.
    read_at: Option<HookPoint>,
    parameters: Parameters<R>,
    directions: Directions<R>,
}

impl<R: Real> Relu<R> {
    /// From its parameters: `W_enc` [d_sae, d_in], `b_enc` [d_sae], `W_dec` [d_sae, d_out], `b_dec` [d_out].
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn new(w_enc: Vec<R>, b_enc: Vec<R>, w_dec: Vec<R>, b_dec: Vec<R>) -> Self {
        let (d_out, d_sae) = (b_dec.len(), b_enc.len());
        let d_in = w_enc.len() / d_sae;
        Self {
            read_at: None,
            directions: Directions::of(&w_dec, d_out, MIN_NORM),
            parameters: Parameters(vec![
                tensor("W_enc", &[d_sae, d_in], w_enc),
                tensor("b_enc", &[d_sae], b_enc),
                tensor("W_dec", &[d_sae, d_out], w_dec),
                tensor("b_dec", &[d_out], b_dec),
            ]),
        }
    }

    /// The same, as a transcoder that reads at `read_at`.
    pub fn reading_at(self, read_at: HookPoint) -> Self {
        Self {
            read_at: Some(read_at),
            ..self
        }
    }

    /// The same, with the skip connection `w_skip` [d_out, d_in], or one of zeros.
    ///
    /// # Panics
    /// When the length does not fit.
    pub fn skipping(mut self, w_skip: Option<Vec<R>>) -> Self {
        let p = &self.parameters.0;
        let widths = (p[W_ENC].shape[1], p[W_DEC].shape[1]);
        self.parameters.0.push(skip::tensor(widths, w_skip));
        self
    }

    /// Initial weights as e2e_sae draws them: encoder and biases uniform in ±1/√fan_in (torch's Linear), decoder orthogonal
    /// (W_decᵀ W_dec = I when d_sae ≥ d_in).
    pub fn random(d_in: usize, d_sae: usize, seed: u64) -> Self {
        Self::between((d_in, d_in), d_sae, seed)
    }

    /// The same with input and output of widths `d_in` and `d_out`.
    pub fn between((d_in, d_out): (usize, usize), d_sae: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut uniform = |n: usize, fan_in: usize| -> Vec<R> {
            let bound = 1.0 / (fan_in as f64).sqrt();
            (0..n).map(|_| R::of(rng.random_range(-bound..bound))).collect()
        };
        let w_enc = uniform(d_sae * d_in, d_in);
        let b_enc = uniform(d_sae, d_in);
        let b_dec = uniform(d_out, d_sae);
        let w_dec = orthogonal(d_sae, d_out, &mut rng).into_iter().map(R::of).collect();
        Self::new(w_enc, b_enc, w_dec, b_dec)
    }
}

impl<R: Real> Kind<R> for Relu<R> {
    fn kind(&self) -> DictionaryKind {
        match (self.read_at, self.skip()) {
            (None, _) => DictionaryKind::Relu,
            (Some(read_at), None) => DictionaryKind::Transcoder { read_at },
            (Some(read_at), Some(_)) => DictionaryKind::SkipTranscoder { read_at },
        }
    }

    fn parameters(&self) -> &Parameters<R> {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut Parameters<R> {
        &mut self.parameters
    }

    fn directions(&self) -> &[R] {
        self.directions.unit()
    }

    fn encoder(&self) -> Option<Encoder<R>> {
        let p = &self.parameters.0;
        Some(Encoder {
            weights: p[W_ENC].data.clone(),
            bias: p[B_ENC].data.clone(),
            thresholds: vec![R::ZERO; p[B_ENC].data.len()],
        })
    }

    fn refresh(&mut self) {
        self.directions.refresh(&self.parameters.0[W_DEC].data);
    }

    fn encode(&self, x: &[R], codes: &mut SparseCodes<R>, scratch: &Scratch<R>) {
        let p = &self.parameters.0;
        tile::encode(x, &p[W_ENC].data, &p[B_ENC].data, codes, scratch);
    }

    /// The decoder's part is that of the unit directions until [`Kind::finish`].
    fn backward(
        &self,
        x: &[R],
        Forward { codes, .. }: &mut Forward<R>,
        grad_out: &[R],
        sparsity: R,
        grads: &mut Parameters<R>,
        mut grad_x: Option<&mut [R]>,
        path: Path,
        scratch: &Scratch<R>,
    ) {
        tile::project(codes, grad_out, self.directions.unit(), sparsity, path, scratch);
        add_gradient(codes, (x, grad_out), grads, PLACES, (path, scratch));
        tile::row_sums(grad_out, &mut grads.0[B_DEC].data);
        if let Some(grad_x) = grad_x.as_deref_mut() {
            let rows = &self.parameters.0[W_ENC].data;
            tile::combine(codes, Entries::Grads, rows, None, grad_x, path, scratch);
        }
        skip::backward(&self.parameters, (x, grad_out), grads, grad_x);
    }

    /// Turns the gradient of the unit directions into that of the decoder.
    fn finish(&self, grads: &mut Parameters<R>) {
        self.directions.through(&mut grads.0[W_DEC].data);
    }
}
