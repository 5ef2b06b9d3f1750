//! The tied dictionary of sparse coding (Cunningham et al. 2023; sparse_coding's `FunctionalTiedSAE`):
//!
//! c = ReLU(M̂ x + b), x̂ = M̂ᵀ c, m̂_j = m_j / ‖m_j‖
//!
//! One matrix both ways, its rows normalised inside the forward pass, with the gradient through the normalisation. The decoder
//! has no bias. `W_enc` is M, [d_sae, d_in].

use api::DictionaryKind;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    codes::{Entries, SparseCodes},
    directions::Directions,
    forward::Forward,
    initial::tensor,
    kind::{Encoder, Kind},
    linear::{Places, add_gradient},
    parameters::Parameters,
    tile::{self, Path, Scratch},
};
use crate::kernel::Real;

/// Positions of the tensors in [`Parameters`].
const W_ENC: usize = 0;
const B_ENC: usize = 1;
/// Those that the codes are made of.
const PLACES: Places = Places {
    w_enc: W_ENC,
    b_enc: B_ENC,
    w_dec: W_ENC,
};

/// Smallest norm that a direction is divided by, as sparse_coding clamps it.
const MIN_NORM: f64 = 1e-8;

/// See the module.
#[derive(Clone, Debug)]
pub struct Tied<R> {
    parameters: Parameters<R>,
    directions: Directions<R>,
}

impl<R: Real> Tied<R> {
    /// From its parameters: `W_enc` [d_sae, d_in], `b_enc` [d_sae].
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn new(w_enc: Vec<R>, b_enc: Vec<R>) -> Self {
        let d_sae = b_enc.len();
        let d_in = w_enc.len() / d_sae;
        Self {
            directions: Directions::of(&w_enc, d_in, MIN_NORM),
            parameters: Parameters(vec![tensor("W_enc", &[d_sae, d_in], w_enc), tensor("b_enc", &[d_sae], b_enc)]),
        }
    }

    /// Initial weights as sparse_coding draws them: Xavier's uniform, ±√(6 / (d_in + d_sae)), and no bias.
    pub fn random(d_in: usize, d_sae: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let bound = (6.0 / (d_in + d_sae) as f64).sqrt();
        let w_enc = (0..d_sae * d_in).map(|_| R::of(rng.random_range(-bound..bound))).collect();
        Self::new(w_enc, vec![R::ZERO; d_sae])
    }
}

impl<R: Real> Kind<R> for Tied<R> {
    fn kind(&self) -> DictionaryKind {
        DictionaryKind::Tied
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
        let bias = self.parameters.0[B_ENC].data.clone();
        Some(Encoder {
            weights: self.directions.unit().to_vec(),
            thresholds: vec![R::ZERO; bias.len()],
            bias,
        })
    }

    fn refresh(&mut self) {
        self.directions.refresh(&self.parameters.0[W_ENC].data);
    }

    fn encode(&self, x: &[R], codes: &mut SparseCodes<R>, scratch: &Scratch<R>) {
        tile::encode(x, self.directions.unit(), &self.parameters.0[B_ENC].data, codes, scratch);
    }

    /// The matrix' part is that of the unit directions, of both its uses, until [`Kind::finish`].
    fn backward(
        &self,
        x: &[R],
        Forward { codes, .. }: &mut Forward<R>,
        grad_out: &[R],
        sparsity: R,
        grads: &mut Parameters<R>,
        grad_x: Option<&mut [R]>,
        path: Path,
        scratch: &Scratch<R>,
    ) {
        let unit = self.directions.unit();
        tile::project(codes, grad_out, unit, sparsity, path, scratch);
        add_gradient(codes, (x, grad_out), grads, PLACES, (path, scratch));
        if let Some(grad_x) = grad_x {
            tile::combine(codes, Entries::Grads, unit, None, grad_x, path, scratch);
        }
    }

    fn finish(&self, grads: &mut Parameters<R>) {
        self.directions.through(&mut grads.0[W_ENC].data);
    }
}
