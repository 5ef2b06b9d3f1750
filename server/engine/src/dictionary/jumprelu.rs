//! The JumpReLU dictionary (Rajamanoharan et al. 2024, arXiv 2407.14435):
//!
//! z = W_e x + b_e, c = z ∘ 1[z > θ], x̂ = D c + b_d, penalty ‖c‖₀
//!
//! A step has no derivative by θ that a sample could show; its place takes the derivative of the expectation, estimated by a
//! kernel K, the rectangle of width ε around the threshold:
//!
//! ∂c/∂z = 1[z > θ], ∂c/∂θ = −(θ/ε) K((z − θ)/ε), ∂‖c‖₀/∂θ = −(1/ε) K((z − θ)/ε), ∂‖c‖₀/∂z = 0
//!
//! K looks at the pre-activation z on both sides of θ: features just below their threshold count as those just above.
//!
//! ε and θ are measured in the input's own size ρ = √E‖x‖², which is taken from the first batch and kept: a window of a thousandth
//! would be empty for inputs a thousand times as long, and no threshold would ever move. The parameter is θ/ρ itself, which an
//! optimiser's step moves by the learning rate; after the step it is brought back to 0 where it fell below. A dictionary that was never
//! trained here, another tool's or one that was derived, has a ρ of 1; where it is trained further, ρ is taken then, and θ/ρ with it.
//!
//! As a transcoder it reads at one hook point and writes at another, of width d_out, with or without a skip connection (`skip.rs`).

use api::{DictionaryKind, HookPoint};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{
    codes::{Entries, Segment, SparseCodes},
    directions::{normalise, remove_parallel},
    forward::{Forward, Seen},
    initial::{tensor, unit_rows},
    kind::{Encoder, Kind, not_negative},
    linear::{Places, add_gradient},
    parameters::{Parameters, Tensor},
    skip,
    tile::{self, Floors, Path, Scratch},
};
use crate::kernel::{Real, par_sum, scale, simd, sum_squares};

/// Positions of the tensors in [`Parameters`].
const W_ENC: usize = 0;
const B_ENC: usize = 1;
const THRESHOLD: usize = 2;
const W_DEC: usize = 3;
const B_DEC: usize = 4;
/// Those that the codes are made of.
const PLACES: Places = Places {
    w_enc: W_ENC,
    b_enc: B_ENC,
    w_dec: W_DEC,
};

/// See the module.
#[derive(Clone, Debug)]
pub struct JumpRelu<R> {
    d_in: usize,
    d_out: usize,
    /// Where a transcoder reads.
    read_at: Option<HookPoint>,
    bandwidth: f64,
    initial_threshold: f64,
    parameters: Parameters<R>,
    /// ρ alone.
    state: Vec<Tensor<R>>,
    /// θ in the input's units, at least 0 [d_sae].
    thresholds: Vec<R>,
    /// Where the window of each feature begins [d_sae].
    floors: Vec<R>,
}

impl<R: Real> JumpRelu<R> {
    /// From its parameters: `W_enc` [d_sae, d_in], `b_enc` [d_sae], `threshold` [d_sae] in units of ρ, `W_dec` [d_sae, d_out] of unit
    /// rows, `b_dec` [d_out]; with the window's width in the same units and ρ.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn new(
        w_enc: Vec<R>,
        [b_enc, threshold]: [Vec<R>; 2],
        w_dec: Vec<R>,
        b_dec: Vec<R>,
        (bandwidth, initial_threshold): (f64, f64),
        size: R,
    ) -> Self {
        let (d_out, d_sae) = (b_dec.len(), b_enc.len());
        let d_in = w_enc.len() / d_sae;
        let mut jump = Self {
            d_in,
            d_out,
            read_at: None,
            bandwidth,
            initial_threshold,
            parameters: Parameters(vec![
                tensor("W_enc", &[d_sae, d_in], w_enc),
                tensor("b_enc", &[d_sae], b_enc),
                tensor("threshold", &[d_sae], threshold),
                tensor("W_dec", &[d_sae, d_out], w_dec),
                tensor("b_dec", &[d_out], b_dec),
            ]),
            state: vec![tensor("input_size", &[1], vec![size])],
            thresholds: vec![R::ZERO; d_sae],
            floors: vec![R::ZERO; d_sae],
        };
        jump.refresh();
        jump
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
        self.parameters.0.push(skip::tensor((self.d_in, self.d_out), w_skip));
        self
    }

    /// Initial weights: random unit rows, the encoder equal to them, no biases.
    pub fn random(kernel: (f64, f64), d_in: usize, d_sae: usize, seed: u64) -> Self {
        Self::between(kernel, (d_in, d_in), d_sae, seed)
    }

    /// The same with input and output of widths `d_in` and `d_out`; where they differ, the encoder has unit rows of its own.
    pub fn between(kernel: (f64, f64), (d_in, d_out): (usize, usize), d_sae: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let rows: Vec<R> = unit_rows(d_sae, d_out, &mut rng);
        let encoder = if d_in == d_out {
            rows.clone()
        } else {
            unit_rows(d_sae, d_in, &mut rng)
        };
        let biases = [vec![R::ZERO; d_sae], vec![R::of(kernel.1); d_sae]];
        Self::new(encoder, biases, rows, vec![R::ZERO; d_out], kernel, R::ONE)
    }

    /// Codes of `x`, and beside them the pre-activations within their features' windows.
    fn jump(&self, x: &[R], [codes, window]: [&mut SparseCodes<R>; 2], scratch: &Scratch<R>) {
        let p = &self.parameters.0;
        let half = self.width() / R::of(2.0);
        let divide = |found: &Segment<R>, codes: &mut Segment<R>, window: &mut Segment<R>, _: &mut Vec<u32>| {
            for r in 0..found.n_rows() {
                for e in found.range(r) {
                    let (id, z) = (found.ids[e], found.values[e]);
                    let above = z - self.thresholds[id as usize];
                    match above.partial_cmp(&R::ZERO) {
                        Some(order) => codes.push(id, z, order.is_gt()),
                        // NaN, of z or of the threshold, fires and is noticed
                        None => codes.push(id, above, true),
                    }
                    window.push(id, z, above.abs() < half);
                }
                codes.end_row();
                window.end_row();
            }
        };
        let weights = (&p[W_ENC].data[..], &p[B_ENC].data[..], Floors::Own(&self.floors));
        tile::encode_into(x, weights, [codes, window], scratch, divide);
    }

    /// ρ.
    fn size(&self) -> R {
        self.state[0].data[0]
    }

    /// ε in the input's units.
    fn width(&self) -> R {
        R::of(self.bandwidth) * self.size()
    }
}

/// √E‖x‖² of `x` [n_tokens, d]; 1 of inputs that are all zero, which have no size.
fn size_of<R: Real>(x: &[R], d: usize) -> R {
    let rows = x.len() / d;
    let squares = par_sum(rows, &|t| simd(|| sum_squares(&x[t * d..(t + 1) * d])).f64());
    match (squares / rows as f64).sqrt() {
        size if size > 0.0 => R::of(size),
        _ => R::ONE,
    }
}

impl<R: Real> Kind<R> for JumpRelu<R> {
    fn kind(&self) -> DictionaryKind {
        let (bandwidth, initial_threshold) = (self.bandwidth, self.initial_threshold);
        match (self.read_at, self.skip()) {
            (None, _) => DictionaryKind::JumpRelu {
                bandwidth,
                initial_threshold,
            },
            (Some(read_at), None) => DictionaryKind::JumpReluTranscoder {
                read_at,
                bandwidth,
                initial_threshold,
            },
            (Some(read_at), Some(_)) => DictionaryKind::JumpReluSkipTranscoder {
                read_at,
                bandwidth,
                initial_threshold,
            },
        }
    }

    fn parameters(&self) -> &Parameters<R> {
        &self.parameters
    }

    fn directions(&self) -> &[R] {
        &self.parameters.0[W_DEC].data
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
        Some(Encoder {
            weights: p[W_ENC].data.clone(),
            bias: p[B_ENC].data.clone(),
            thresholds: self.thresholds.clone(),
        })
    }

    fn refresh(&mut self) {
        let (size, half) = (self.size(), self.width() / R::of(2.0));
        let thresholds = self.thresholds.iter_mut().zip(&mut self.floors);
        for ((threshold, floor), own) in thresholds.zip(&self.parameters.0[THRESHOLD].data) {
            *threshold = not_negative(*own * size);
            *floor = *threshold - half;
        }
    }

    /// ρ is that of the first batch.
    fn prepare(&mut self, x: &[R]) {
        self.state[0].data[0] = size_of(x, self.d_in);
        self.refresh();
    }

    /// ρ, where it was never taken; the thresholds stay where they are.
    fn prepare_trained(&mut self, x: &[R]) {
        if self.size() == R::ONE {
            let size = size_of(x, self.d_in);
            scale(&mut self.parameters.0[THRESHOLD].data, R::ONE / size);
            self.state[0].data[0] = size;
            self.refresh();
        }
    }

    fn encode(&self, x: &[R], codes: &mut SparseCodes<R>, scratch: &Scratch<R>) {
        self.jump(x, [codes, &mut SparseCodes::default()], scratch);
    }

    fn forward(&self, x: &[R], _: f64, forward: &mut Forward<R>, path: Path, scratch: &Scratch<R>) {
        let Forward { codes, x_hat, side, .. } = forward;
        self.jump(x, [codes, side], scratch);
        x_hat.resize(codes.n_tokens() * self.d_out, R::ZERO);
        self.reconstruct(codes, x, x_hat, path, scratch);
        forward.penalty = forward.codes.nnz() as f64;
    }

    fn backward(
        &self,
        x: &[R],
        Forward { codes, side, .. }: &mut Forward<R>,
        grad_out: &[R],
        sparsity: R,
        grads: &mut Parameters<R>,
        mut grad_x: Option<&mut [R]>,
        path: Path,
        scratch: &Scratch<R>,
    ) {
        let p = &self.parameters.0;
        tile::project(codes, grad_out, &p[W_DEC].data, R::ZERO, path, scratch);
        add_gradient(codes, (x, grad_out), grads, PLACES, (path, scratch));
        tile::row_sums(grad_out, &mut grads.0[B_DEC].data);
        tile::project(side, grad_out, &p[W_DEC].data, R::ZERO, path, scratch);
        // by θ/ρ: ρ/ε is one over the bandwidth
        let inverse = R::of(1.0 / self.bandwidth);
        for segment in &side.segments {
            for (id, by_code) in segment.ids.iter().zip(&segment.grads) {
                let j = *id as usize;
                grads.0[THRESHOLD].data[j] -= inverse * (self.thresholds[j] * *by_code + sparsity);
            }
        }
        if let Some(grad_x) = grad_x.as_deref_mut() {
            tile::combine(codes, Entries::Grads, &p[W_ENC].data, None, grad_x, path, scratch);
        }
        skip::backward(&self.parameters, (x, grad_out), grads, grad_x);
    }

    fn finish(&self, grads: &mut Parameters<R>) {
        remove_parallel(&self.parameters.0[W_DEC].data, &mut grads.0[W_DEC].data, self.d_out);
    }

    fn settle(&mut self, _: &Seen) {
        normalise(&mut self.parameters.0[W_DEC].data, self.d_out);
        for threshold in &mut self.parameters.0[THRESHOLD].data {
            *threshold = not_negative(*threshold);
        }
        self.refresh();
    }
}
