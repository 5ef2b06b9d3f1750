//! The ReLU dictionary of end-to-end dictionary learning (Braun et al. 2024, section 2; e2e_sae `SAE`):
//!
//! c = ReLU(W_e x + b_e), x̂ = Σ_j c_j d̂_j + b_d, d̂_j = d_j / ‖d_j‖
//!
//! The decoder's directions are normalised inside the forward pass, with the gradient through the normalisation; the stored
//! decoder is free. Both sides have biases; the decoder's is not subtracted from the input; the weights are not tied.
//! Here `W_enc` and `W_dec` are [d_sae, d_in]: row j belongs to feature j.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{
    codes::{Entries, SparseCodes},
    orthogonal::orthogonal,
    parameters::{Parameters, Tensor},
    tile::{self, Path, Scratch},
};
use crate::kernel::{Real, add, dot, scale, simd, sum_squares};

/// Positions of the tensors in [`Parameters`].
const W_ENC: usize = 0;
const B_ENC: usize = 1;
const W_DEC: usize = 2;
const B_DEC: usize = 3;

/// Smallest norm that a direction is divided by, as torch's `normalize` has it.
const MIN_NORM: f64 = 1e-12;
/// Rows per task of the passes over the decoder.
const ROWS: usize = 256;

/// See the module.
#[derive(Clone, Debug)]
pub struct Relu<R> {
    d_in: usize,
    d_sae: usize,
    parameters: Parameters<R>,
    /// d̂ [d_sae, d_in].
    directions: Vec<R>,
    /// 1 / ‖d_j‖ [d_sae].
    inverse_norms: Vec<R>,
}

impl<R: Real> Relu<R> {
    /// From its parameters: `W_enc` [d_sae, d_in], `b_enc` [d_sae], `W_dec` [d_sae, d_in], `b_dec` [d_in].
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn new(w_enc: Vec<R>, b_enc: Vec<R>, w_dec: Vec<R>, b_dec: Vec<R>) -> Self {
        let (d_in, d_sae) = (b_dec.len(), b_enc.len());
        assert!(
            w_enc.len() == d_in * d_sae && w_dec.len() == d_in * d_sae,
            "{} and {} weights",
            w_enc.len(),
            w_dec.len()
        );
        let parameters = Parameters(vec![
            Tensor {
                name: "W_enc",
                shape: vec![d_sae, d_in],
                data: w_enc,
            },
            Tensor {
                name: "b_enc",
                shape: vec![d_sae],
                data: b_enc,
            },
            Tensor {
                name: "W_dec",
                shape: vec![d_sae, d_in],
                data: w_dec,
            },
            Tensor {
                name: "b_dec",
                shape: vec![d_in],
                data: b_dec,
            },
        ]);
        let mut relu = Self {
            d_in,
            d_sae,
            parameters,
            directions: vec![R::ZERO; d_in * d_sae],
            inverse_norms: vec![R::ZERO; d_sae],
        };
        relu.refresh();
        relu
    }

    /// Initial weights as e2e_sae draws them: encoder and biases uniform in ±1/√fan_in (torch's Linear), decoder orthogonal
    /// (W_decᵀ W_dec = I when d_sae ≥ d_in).
    pub fn random(d_in: usize, d_sae: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut uniform = |n: usize, fan_in: usize| -> Vec<R> {
            let bound = 1.0 / (fan_in as f64).sqrt();
            (0..n).map(|_| R::of(rng.random_range(-bound..bound))).collect()
        };
        let w_enc = uniform(d_sae * d_in, d_in);
        let b_enc = uniform(d_sae, d_in);
        let b_dec = uniform(d_in, d_sae);
        let w_dec = orthogonal(d_sae, d_in, &mut rng).into_iter().map(R::of).collect();
        Self::new(w_enc, b_enc, w_dec, b_dec)
    }

    /// Width of input and output.
    pub fn d_in(&self) -> usize {
        self.d_in
    }

    /// Number of features.
    pub fn d_sae(&self) -> usize {
        self.d_sae
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters<R> {
        &self.parameters
    }

    /// The unit directions d̂ [d_sae, d_in].
    pub fn directions(&self) -> &[R] {
        &self.directions
    }

    /// Changes the parameters, then brings what follows from them up to date.
    pub fn update(&mut self, change: impl FnOnce(&mut Parameters<R>)) {
        change(&mut self.parameters);
        self.refresh();
    }

    fn refresh(&mut self) {
        let d = self.d_in;
        let decoder = self.parameters.0[W_DEC].data.par_chunks(ROWS * d);
        self.directions
            .par_chunks_mut(ROWS * d)
            .zip(self.inverse_norms.par_chunks_mut(ROWS))
            .zip(decoder)
            .for_each(|((directions, inverse_norms), decoder)| {
                simd(|| {
                    for ((direction, inverse), row) in
                        directions.chunks_exact_mut(d).zip(inverse_norms).zip(decoder.chunks_exact(d))
                    {
                        *inverse = R::ONE / sum_squares(row).sqrt().max(R::of(MIN_NORM));
                        direction.copy_from_slice(row);
                        scale(direction, *inverse);
                    }
                });
            });
    }

    /// Codes of `x` [n_tokens, d_in].
    pub fn encode(&self, x: &[R], codes: &mut SparseCodes<R>, scratch: &Scratch<R>) {
        tile::encode(
            x,
            &self.parameters.0[W_ENC].data,
            &self.parameters.0[B_ENC].data,
            codes,
            scratch,
        );
    }

    /// x̂ [n_tokens, d_in] of `codes`.
    pub fn decode(&self, codes: &SparseCodes<R>, out: &mut [R], path: Path, scratch: &Scratch<R>) {
        tile::combine(
            codes,
            Entries::Values,
            &self.directions,
            Some(&self.parameters.0[B_DEC].data),
            out,
            path,
            scratch,
        );
    }

    /// Adds the gradient of the parameters to `grads`, where `grad_out` [n_tokens, d_in] is the loss' derivative by x̂ and
    /// `sparsity` its derivative by every activation that fired (the L1 term's). The decoder's part is that of the unit
    /// directions until [`Relu::finish`]. With `grad_x` [n_tokens, d_in], the derivative by x is written there.
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
        tile::project(codes, grad_out, &self.directions, sparsity, path, scratch);
        tile::outer(codes, Entries::Values, grad_out, &mut grads.0[W_DEC].data, path, scratch);
        tile::outer(codes, Entries::Grads, x, &mut grads.0[W_ENC].data, path, scratch);
        tile::column_sums(codes, Entries::Grads, &mut grads.0[B_ENC].data);
        simd(|| {
            for row in grad_out.chunks_exact(self.d_in) {
                add(&mut grads.0[B_DEC].data, row);
            }
        });
        if let Some(grad_x) = grad_x {
            tile::combine(
                codes,
                Entries::Grads,
                &self.parameters.0[W_ENC].data,
                None,
                grad_x,
                path,
                scratch,
            );
        }
    }

    /// Turns the gradient of the unit directions into that of the decoder: (g − d̂ ⟨d̂, g⟩) / ‖d‖.
    /// To be called once, after the last [`Relu::backward`] of an optimiser step.
    pub fn finish(&self, grads: &mut Parameters<R>) {
        let d = self.d_in;
        grads.0[W_DEC]
            .data
            .par_chunks_mut(ROWS * d)
            .zip(self.directions.par_chunks(ROWS * d))
            .zip(self.inverse_norms.par_chunks(ROWS))
            .for_each(|((grads, directions), inverse_norms)| {
                simd(|| {
                    for ((grad, direction), inverse) in
                        grads.chunks_exact_mut(d).zip(directions.chunks_exact(d)).zip(inverse_norms)
                    {
                        let along = dot(direction, grad);
                        for (g, u) in grad.iter_mut().zip(direction) {
                            *g = (*g - *u * along) * *inverse;
                        }
                    }
                });
            });
    }
}
