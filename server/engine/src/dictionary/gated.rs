//! The gated dictionary (Rajamanoharan et al. 2024, arXiv 2404.16014; dictionary_learning's `GatedAutoEncoder`):
//!
//! x' = x − b_d, π = W x' + b_g, m = e^r ∘ (W x') + b_m, c = 1[π > 0] ∘ ReLU(m), x̂ = D c + b_d
//!
//! The gate π says which features fire, the magnitude m how strongly, so that a penalty on the gate does not shrink what fires.
//! The decoder's rows are of unit length. In training there are two more terms:
//!
//! λ ‖ReLU(π)‖₁ + ‖x − (sg(D) ReLU(π) + sg(b_d))‖²
//!
//! The second teaches the gate, which no gradient reaches through the step function; the decoder is a constant in it (sg), but
//! b_d has its gradient through x', as dictionary_learning has it.

use api::DictionaryKind;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{
    centred::{centre, through_input},
    codes::{Entries, Segment, SparseCodes},
    directions::{normalise, remove_parallel},
    forward::{Forward, Seen, error_gradient},
    initial::{tensor, unit_rows},
    kind::{Encoder, Kind, not_negative},
    parameters::Parameters,
    tile::{self, Floors, Path, Scratch},
};
use crate::kernel::{Real, scale};

/// Positions of the tensors in [`Parameters`].
const W_ENC: usize = 0;
const B_GATE: usize = 1;
const R_MAG: usize = 2;
const B_MAG: usize = 3;
const W_DEC: usize = 4;
const B_DEC: usize = 5;

/// See the module.
#[derive(Clone, Debug)]
pub struct Gated<R> {
    d_in: usize,
    parameters: Parameters<R>,
    /// e^r [d_sae].
    gain: Vec<R>,
}

impl<R: Real> Gated<R> {
    /// From its parameters: `W_enc` [d_sae, d_in], `b_gate`, `r_mag`, `b_mag` [d_sae], `W_dec` [d_sae, d_in] of unit rows,
    /// `b_dec` [d_in].
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn new(w_enc: Vec<R>, [b_gate, r_mag, b_mag]: [Vec<R>; 3], w_dec: Vec<R>, b_dec: Vec<R>) -> Self {
        let (d_in, d_sae) = (b_dec.len(), b_gate.len());
        let mut gated = Self {
            d_in,
            parameters: Parameters(vec![
                tensor("W_enc", &[d_sae, d_in], w_enc),
                tensor("b_gate", &[d_sae], b_gate),
                tensor("r_mag", &[d_sae], r_mag),
                tensor("b_mag", &[d_sae], b_mag),
                tensor("W_dec", &[d_sae, d_in], w_dec),
                tensor("b_dec", &[d_in], b_dec),
            ]),
            gain: vec![R::ONE; d_sae],
        };
        gated.refresh();
        gated
    }

    /// Initial weights as dictionary_learning draws them: random unit rows, the encoder equal to them, all else 0.
    pub fn random(d_in: usize, d_sae: usize, seed: u64) -> Self {
        let rows: Vec<R> = unit_rows(d_sae, d_in, &mut ChaCha8Rng::seed_from_u64(seed));
        let zeros = || vec![R::ZERO; d_sae];
        Self::new(rows.clone(), [zeros(), zeros(), zeros()], rows, vec![R::ZERO; d_in])
    }

    /// Codes of x', and the open gates' π beside them.
    fn gates(&self, centred: &[R], [codes, open]: [&mut SparseCodes<R>; 2], scratch: &Scratch<R>) {
        let p = &self.parameters.0;
        let (b_gate, b_mag) = (&p[B_GATE].data, &p[B_MAG].data);
        let divide = |found: &Segment<R>, codes: &mut Segment<R>, open: &mut Segment<R>, _: &mut Vec<u32>| {
            open.offsets.clone_from(&found.offsets);
            open.ids.clone_from(&found.ids);
            open.values.clone_from(&found.values);
            for r in 0..found.n_rows() {
                for e in found.range(r) {
                    let j = found.ids[e] as usize;
                    let magnitude = self.gain[j] * (found.values[e] - b_gate[j]) + b_mag[j];
                    codes.push(found.ids[e], magnitude, !is_at_most(magnitude, R::ZERO));
                }
                codes.end_row();
            }
        };
        let weights = (&p[W_ENC].data[..], &b_gate[..], Floors::Zero);
        tile::encode_into(centred, weights, [codes, open], scratch, divide);
    }
}

/// False for NaN, which counts as firing.
fn is_at_most<R: Real>(a: R, b: R) -> bool {
    a <= b
}

impl<R: Real> Kind<R> for Gated<R> {
    fn kind(&self) -> DictionaryKind {
        DictionaryKind::Gated
    }

    fn parameters(&self) -> &Parameters<R> {
        &self.parameters
    }

    fn directions(&self) -> &[R] {
        &self.parameters.0[W_DEC].data
    }

    fn centre(&self) -> Option<&[R]> {
        self.bias()
    }

    fn parameters_mut(&mut self) -> &mut Parameters<R> {
        &mut self.parameters
    }

    /// The magnitude is m = e^r ⟨w, x'⟩ + b_m, and the gate is open where m > b_m − e^r b_g.
    fn encoder(&self) -> Option<Encoder<R>> {
        let p = &self.parameters.0;
        let (b_gate, b_mag) = (&p[B_GATE].data, &p[B_MAG].data);
        let mut weights = p[W_ENC].data.clone();
        for (row, gain) in weights.chunks_exact_mut(self.d_in).zip(&self.gain) {
            scale(row, *gain);
        }
        let gates = b_gate.iter().zip(b_mag).zip(&self.gain);
        let thresholds = gates.map(|((gate, mag), gain)| not_negative(*mag - *gain * *gate)).collect();
        Some(Encoder::centred(weights, b_mag.clone(), thresholds, &p[B_DEC].data))
    }

    fn refresh(&mut self) {
        let logarithms = &self.parameters.0[R_MAG].data;
        self.gain.iter_mut().zip(logarithms).for_each(|(gain, r)| *gain = r.exp());
    }

    fn encode(&self, x: &[R], codes: &mut SparseCodes<R>, scratch: &Scratch<R>) {
        let (mut centred, mut open) = (Vec::new(), SparseCodes::default());
        centre(x, &self.parameters.0[B_DEC].data, &mut centred);
        self.gates(&centred, [codes, &mut open], scratch);
    }

    fn forward(&self, x: &[R], per_number: f64, forward: &mut Forward<R>, path: Path, scratch: &Scratch<R>) {
        let Forward {
            codes,
            x_hat,
            centred,
            side,
            side_out,
            ..
        } = forward;
        centre(x, &self.parameters.0[B_DEC].data, centred);
        self.gates(centred, [codes, side], scratch);
        x_hat.resize(x.len(), R::ZERO);
        self.decode(codes, x_hat, path, scratch);
        side_out.resize(x.len(), R::ZERO);
        self.decode(side, side_out, path, scratch);
        forward.penalty = side.l1();
        forward.auxiliary = error_gradient(x, side_out, R::of(2.0 * per_number));
    }

    fn backward(
        &self,
        _: &[R],
        forward: &mut Forward<R>,
        grad_out: &[R],
        sparsity: R,
        grads: &mut Parameters<R>,
        grad_x: Option<&mut [R]>,
        path: Path,
        scratch: &Scratch<R>,
    ) {
        let Forward {
            codes,
            centred,
            side,
            side_out,
            ..
        } = forward;
        let p = &self.parameters.0;
        tile::outer(codes, Entries::Values, grad_out, &mut grads.0[W_DEC].data, path, scratch);
        tile::row_sums(grad_out, &mut grads.0[B_DEC].data);
        // by m, at what fired, and by π, at every open gate
        tile::project(codes, grad_out, &p[W_DEC].data, R::ZERO, path, scratch);
        tile::project(side, side_out, &p[W_DEC].data, sparsity, path, scratch);
        tile::column_sums(codes, Entries::Grads, &mut grads.0[B_MAG].data);
        tile::column_sums(side, Entries::Grads, &mut grads.0[B_GATE].data);
        let b_mag = &p[B_MAG].data;
        for (codes, open) in codes.segments.iter().zip(&mut side.segments) {
            for r in 0..codes.n_rows() {
                let mut gate = open.range(r).start;
                for e in codes.range(r) {
                    let j = codes.ids[e] as usize;
                    // m − b_m is e^r ⟨w, x'⟩, which is m's derivative by r
                    grads.0[R_MAG].data[j] += codes.grads[e] * (codes.values[e] - b_mag[j]);
                    // what fires has an open gate
                    while open.ids[gate] != codes.ids[e] {
                        gate += 1;
                    }
                    open.grads[gate] += self.gain[j] * codes.grads[e];
                }
            }
        }
        // now by ⟨w, x'⟩
        tile::outer(side, Entries::Grads, centred, &mut grads.0[W_ENC].data, path, scratch);
        if let Some(grad_x) = grad_x {
            tile::combine(side, Entries::Grads, &p[W_ENC].data, None, grad_x, path, scratch);
        }
    }

    /// The bias' gradient through x', and the decoder's without what would change its rows' lengths.
    fn finish(&self, grads: &mut Parameters<R>) {
        let p = &self.parameters.0;
        let [_, b_gate, _, b_mag, w_dec, b_dec] = &mut grads.0[..] else {
            return;
        };
        let by_product = b_gate
            .data
            .iter()
            .zip(&b_mag.data)
            .zip(&self.gain)
            .map(|((g, m), gain)| *g + *gain * *m);
        through_input(&p[W_ENC].data, by_product, &mut b_dec.data);
        remove_parallel(&p[W_DEC].data, &mut w_dec.data, self.d_in);
    }

    fn settle(&mut self, _: &Seen) {
        normalise(&mut self.parameters.0[W_DEC].data, self.d_in);
    }
}
