//! The other conventions of the ReLU dictionary, one encoder and one decoder with a penalty on what fires:
//!
//! c = ReLU(W_e x' + b_e), x̂ = D c + b_d
//!
//! | kind | x' | decoder | penalty | source |
//! |---|---|---|---|---|
//! | `relu-unit` | x − b_d | rows kept at length 1 | Σ c_j | dictionary_learning's `StandardTrainer` |
//! | `relu-april` | x | free | Σ c_j ‖d_j‖ | Anthropic's April update of 2024; dictionary_learning's `StandardTrainerAprilUpdate` |
//! | `relu-saelens` | x − b_d | free | Σ c_j ‖d_j‖ | SAELens' `StandardTrainingSAE` with its defaults |
//! | `p-anneal` | x − b_d | rows kept at length 1 | Σ c_j^p, taken as often as keeps it in place (`anneal.rs`) | Karvonen et al. 2024 |
//!
//! A penalty on the activations alone is paid less by small codes of long rows; so either the rows' length is fixed, or it is paid for.

use api::DictionaryKind;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{
    anneal::Anneal,
    centred::{centre, through_input},
    codes::{Entries, Segment, SparseCodes},
    directions::{Directions, normalise, remove_parallel},
    forward::{Forward, Seen},
    initial::{tensor, unit_rows},
    kind::{Encoder, Kind},
    linear::{Places, add_gradient},
    parameters::{Parameters, Tensor},
    tile::{self, Path, Scratch},
};
use crate::kernel::{Real, axpy, scale, simd};

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

/// The length of initial rows, of the encoder and, where it is free, of the decoder: all four sources' own.
const INITIAL_NORM: f64 = 0.1;
/// Smallest norm that a row is divided by.
const MIN_NORM: f64 = 1e-12;

/// What the penalty is taken of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Penalty {
    /// Σ c_j, of a decoder whose rows are kept at unit length.
    Unit,
    /// Σ c_j ‖d_j‖, of a free decoder.
    Weighted,
    /// Σ c_j^p, of a decoder whose rows are kept at unit length.
    Annealed(Anneal),
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Standard<R> {
    penalty: Penalty,
    /// Whether the decoder's bias is taken from the input.
    is_centred: bool,
    parameters: Parameters<R>,
    state: Vec<Tensor<R>>,
    directions: Directions<R>,
}

impl<R: Real> Standard<R> {
    /// From its parameters: `W_enc` [d_sae, d_in], `b_enc` [d_sae], `W_dec` [d_sae, d_in], `b_dec` [d_in].
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn new((penalty, is_centred): (Penalty, bool), w_enc: Vec<R>, b_enc: Vec<R>, w_dec: Vec<R>, b_dec: Vec<R>) -> Self {
        let (d_in, d_sae) = (b_dec.len(), b_enc.len());
        Self {
            penalty,
            is_centred,
            directions: Directions::of(&w_dec, d_in, MIN_NORM),
            parameters: Parameters(vec![
                tensor("W_enc", &[d_sae, d_in], w_enc),
                tensor("b_enc", &[d_sae], b_enc),
                tensor("W_dec", &[d_sae, d_in], w_dec),
                tensor("b_dec", &[d_in], b_dec),
            ]),
            state: match penalty {
                Penalty::Annealed(_) => Anneal::state(),
                _ => Vec::new(),
            },
        }
    }

    /// Initial weights: random directions, of length 0.1 in the encoder and in a free decoder, no biases.
    pub fn random((penalty, is_centred): (Penalty, bool), d_in: usize, d_sae: usize, seed: u64) -> Self {
        let unit: Vec<R> = unit_rows(d_sae, d_in, &mut ChaCha8Rng::seed_from_u64(seed));
        let short: Vec<R> = unit.iter().map(|w| R::of(INITIAL_NORM) * *w).collect();
        let decoder = match penalty {
            Penalty::Weighted => short.clone(),
            Penalty::Unit | Penalty::Annealed(_) => unit,
        };
        let (b_enc, b_dec) = (vec![R::ZERO; d_sae], vec![R::ZERO; d_in]);
        Self::new((penalty, is_centred), short, b_enc, decoder, b_dec)
    }

    fn d_in(&self) -> usize {
        self.parameters.0[B_DEC].data.len()
    }

    /// What the encoder sees of `x`; `centred` is where it is made.
    fn input<'a>(&self, x: &'a [R], centred: &'a mut Vec<R>) -> &'a [R] {
        if !self.is_centred {
            return x;
        }
        centre(x, &self.parameters.0[B_DEC].data, centred);
        centred
    }

    fn encode_input(&self, input: &[R], codes: &mut SparseCodes<R>, scratch: &Scratch<R>) {
        let p = &self.parameters.0;
        tile::encode(input, &p[W_ENC].data, &p[B_ENC].data, codes, scratch);
    }

    /// Adds the penalty's derivatives, taken `sparsity` times: by the codes, beside what [`tile::project`] wrote, and by the
    /// lengths of the decoder's rows.
    fn penalise(&self, codes: &mut SparseCodes<R>, sparsity: R, w_dec: &mut [R]) {
        let each = |segments: &mut [Segment<R>], derivative: &dyn Fn(usize, R) -> R| {
            for Segment { ids, values, grads, .. } in segments {
                for ((grad, id), value) in grads.iter_mut().zip(&*ids).zip(&*values) {
                    *grad += sparsity * derivative(*id as usize, *value);
                }
            }
        };
        match &self.penalty {
            // it went in with the projection
            Penalty::Unit => {}
            Penalty::Annealed(anneal) => {
                let (p, scale) = anneal.now(&self.state);
                each(&mut codes.segments, &|_, c| R::of(scale * p * c.f64().powf(p - 1.0)));
            }
            Penalty::Weighted => {
                each(&mut codes.segments, &|j, _| self.directions.norm(j));
                let mut sums = vec![R::ZERO; codes.d_sae];
                tile::column_sums(codes, Entries::Values, &mut sums);
                let rows = self.directions.unit().chunks_exact(self.d_in());
                let grads = w_dec.chunks_exact_mut(self.d_in());
                simd(|| {
                    for ((grad, row), sum) in grads.zip(rows).zip(&sums) {
                        axpy(grad, sparsity * *sum, row);
                    }
                });
            }
        }
    }
}

impl<R: Real> Kind<R> for Standard<R> {
    fn kind(&self) -> DictionaryKind {
        match (self.penalty, self.is_centred) {
            (Penalty::Unit, _) => DictionaryKind::ReluUnit,
            (Penalty::Weighted, false) => DictionaryKind::ReluApril,
            (Penalty::Weighted, true) => DictionaryKind::ReluSaelens,
            (Penalty::Annealed(anneal), _) => anneal.kind(),
        }
    }

    fn parameters(&self) -> &Parameters<R> {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut Parameters<R> {
        &mut self.parameters
    }

    fn state(&self) -> &[Tensor<R>] {
        &self.state
    }

    fn state_mut(&mut self) -> &mut [Tensor<R>] {
        &mut self.state
    }

    fn encoder(&self) -> Option<Encoder<R>> {
        let p = &self.parameters.0;
        let (mut weights, mut bias) = (p[W_ENC].data.clone(), p[B_ENC].data.clone());
        if self.penalty == Penalty::Weighted {
            for (j, (row, bias)) in weights.chunks_exact_mut(self.d_in()).zip(&mut bias).enumerate() {
                let norm = self.directions.norm(j);
                scale(row, norm);
                *bias *= norm;
            }
        }
        let thresholds = vec![R::ZERO; bias.len()];
        Some(match self.is_centred {
            true => Encoder::centred(weights, bias, thresholds, &p[B_DEC].data),
            false => Encoder {
                weights,
                bias,
                thresholds,
            },
        })
    }

    fn directions(&self) -> &[R] {
        self.directions.unit()
    }

    fn centre(&self) -> Option<&[R]> {
        self.bias().filter(|_| self.is_centred)
    }

    fn decoder(&self) -> &[R] {
        &self.parameters.0[W_DEC].data
    }

    fn refresh(&mut self) {
        self.directions.refresh(&self.parameters.0[W_DEC].data);
    }

    fn encode(&self, x: &[R], codes: &mut SparseCodes<R>, scratch: &Scratch<R>) {
        self.encode_input(self.input(x, &mut Vec::new()), codes, scratch);
    }

    fn forward(&self, x: &[R], _: f64, forward: &mut Forward<R>, path: Path, scratch: &Scratch<R>) {
        let Forward {
            codes,
            x_hat,
            penalty,
            seen,
            centred,
            ..
        } = forward;
        self.encode_input(self.input(x, centred), codes, scratch);
        x_hat.resize(x.len(), R::ZERO);
        self.decode(codes, x_hat, path, scratch);
        let sum = |of: &dyn Fn(usize, f64) -> f64| -> f64 {
            let of_segment = |s: &Segment<R>| -> f64 { s.ids.iter().zip(&s.values).map(|(j, c)| of(*j as usize, c.f64())).sum() };
            codes.segments.iter().map(of_segment).sum()
        };
        *penalty = match &self.penalty {
            Penalty::Unit => codes.l1(),
            Penalty::Weighted => sum(&|j, c| self.directions.norm(j).f64() * c),
            Penalty::Annealed(anneal) => {
                let (p, scale) = anneal.now(&self.state);
                seen.add(codes);
                let now = sum(&|_, c| c.powf(p));
                seen.powers.0 += now;
                seen.powers.1 += sum(&|_, c| c.powf(anneal.next(&self.state)));
                scale * now
            }
        };
    }

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
    ) {
        let Forward { codes, centred, .. } = forward;
        let input = if self.is_centred { &centred[..] } else { x };
        let plain = if self.penalty == Penalty::Unit { sparsity } else { R::ZERO };
        tile::project(codes, grad_out, self.decoder(), plain, path, scratch);
        self.penalise(codes, sparsity, &mut grads.0[W_DEC].data);
        add_gradient(codes, (input, grad_out), grads, PLACES, (path, scratch));
        tile::row_sums(grad_out, &mut grads.0[B_DEC].data);
        if let Some(grad_x) = grad_x {
            let rows = &self.parameters.0[W_ENC].data;
            tile::combine(codes, Entries::Grads, rows, None, grad_x, path, scratch);
        }
    }

    /// The bias' gradient through x', and a kept decoder's without what would change its rows' lengths.
    fn finish(&self, grads: &mut Parameters<R>) {
        let p = &self.parameters.0;
        let [_, b_enc, w_dec, b_dec] = &mut grads.0[..] else {
            return;
        };
        if self.is_centred {
            through_input(&p[W_ENC].data, b_enc.data.iter().copied(), &mut b_dec.data);
        }
        if self.penalty != Penalty::Weighted {
            remove_parallel(&p[W_DEC].data, &mut w_dec.data, self.d_in());
        }
    }

    fn settle(&mut self, seen: &Seen) {
        if self.penalty != Penalty::Weighted {
            let d_in = self.d_in();
            normalise(&mut self.parameters.0[W_DEC].data, d_in);
            self.refresh();
        }
        if let Penalty::Annealed(anneal) = self.penalty {
            anneal.settle(&mut self.state, seen);
        }
    }
}
