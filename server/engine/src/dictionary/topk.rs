//! The TopK dictionaries (Gao et al. 2024, arXiv 2406.04093, and Bussmann et al. 2024, arXiv 2412.06410, for the batch's;
//! dictionary_learning's `AutoEncoderTopK` and `BatchTopKSAE`):
//!
//! z = ReLU(W_e (x − b_d) + b_e), c = the largest of z, x̂ = D c + b_d
//!
//! TopK keeps the k largest of each token, in training and in use. BatchTopK keeps the k · B largest of a batch of B tokens in
//! training; in use, where a token must not depend on its batch, what lies above a threshold: the mean, exponentially decaying over
//! the steps, of the smallest activation that the batch kept. The decoder's rows are of unit length. No sparsity term is needed; dead
//! features have theirs (`auxk.rs`).
//!
//! As a transcoder (EleutherAI's sparsify, `transcode`) TopK reads x at one hook point and writes ŷ for y at another, of width d_out,
//! with or without a skip connection (`skip.rs`):
//!
//! z = ReLU(W_e x + b_e), c = the k largest of z, ŷ = D c + b_d (+ W_skip x)
//!
//! b_d lies where ŷ does, and is not taken from x. The decoder's rows are free: they begin at 0, so that ŷ begins at the mean of y.

use api::{DictionaryKind, HookPoint};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    auxk::{self, AuxK},
    centred::{centre, through_input},
    codes::{Entries, Segment, SparseCodes},
    directions::{Directions, normalise, remove_parallel},
    forward::{Forward, Lists, Seen},
    initial::{geometric_median, tensor, unit_rows},
    kind::{Encoder, Kind, not_negative},
    linear::{Places, add_gradient},
    parameters::{Parameters, Tensor},
    select::{keep_largest_of_batch, largest_of_row, largest_of_segment, largest_sizes_of_row},
    skip,
    tile::{self, Floors, Path, Scratch},
};
use crate::kernel::{Real, axpy, dot, scale, simd};

/// Positions of the tensors in [`Parameters`].
const W_ENC: usize = 0;
const B_ENC: usize = 1;
const W_DEC: usize = 2;
pub(super) const B_DEC: usize = 3;
/// Those that the codes are made of.
const PLACES: Places = Places {
    w_enc: W_ENC,
    b_enc: B_ENC,
    w_dec: W_DEC,
};
/// And in the state; TopK has the first alone.
const SINCE_FIRED: usize = 0;
const THRESHOLD: usize = 1;

/// Below the threshold of the batches before, as a share of it, that is where the first look for a batch's largest ends.
const GUESS: f64 = 0.8;
/// Smallest norm that a free row is divided by for its direction.
const MIN_NORM: f64 = 1e-12;

/// Among which activations the largest are chosen in training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Among {
    /// Those of a token, its k largest.
    Token,
    /// Those of a token, its k of largest size, with their signs and without a ReLU.
    Sizes,
    /// Those of a batch of B tokens, its k · B largest.
    Batch {
        /// Decay of the threshold's mean, per step.
        threshold_decay: f64,
    },
}

/// What a TopK dictionary is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Features per token.
    pub k: usize,
    /// Among which they are chosen.
    pub among: Among,
    /// Weight of the dead features' term.
    pub aux_coefficient: f64,
    /// Tokens without firing after which a feature is dead.
    pub dead_tokens: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct TopK<R> {
    d_in: usize,
    d_out: usize,
    settings: Settings,
    /// Where a transcoder reads, and the directions of its rows.
    transcodes: Option<(HookPoint, Directions<R>)>,
    parameters: Parameters<R>,
    state: Vec<Tensor<R>>,
}

impl<R: Real> TopK<R> {
    /// From its parameters: `W_enc` [d_sae, d_in], `b_enc` [d_sae], `W_dec` [d_sae, d_out] of unit rows, `b_dec` [d_out].
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn new(settings: Settings, w_enc: Vec<R>, b_enc: Vec<R>, w_dec: Vec<R>, b_dec: Vec<R>) -> Self {
        let (d_out, d_sae) = (b_dec.len(), b_enc.len());
        let d_in = w_enc.len() / d_sae;
        let mut state = vec![Tensor::zeros("since_fired", &[d_sae])];
        if let Among::Batch { .. } = settings.among {
            // below 0 as long as no step has been made
            state.push(tensor("threshold", &[1], vec![-R::ONE]));
        }
        Self {
            d_in,
            d_out,
            settings,
            transcodes: None,
            parameters: Parameters(vec![
                tensor("W_enc", &[d_sae, d_in], w_enc),
                tensor("b_enc", &[d_sae], b_enc),
                tensor("W_dec", &[d_sae, d_out], w_dec),
                tensor("b_dec", &[d_out], b_dec),
            ]),
            state,
        }
    }

    /// The same, as a transcoder that reads at `read_at`, whose rows may have any length.
    pub fn reading_at(mut self, read_at: HookPoint) -> Self {
        let directions = Directions::of(&self.parameters.0[W_DEC].data, self.d_out, MIN_NORM);
        self.transcodes = Some((read_at, directions));
        self
    }

    /// The same, with the skip connection `w_skip` [d_out, d_in], or one of zeros.
    ///
    /// # Panics
    /// When the length does not fit.
    pub fn skipping(mut self, w_skip: Option<Vec<R>>) -> Self {
        self.parameters.0.push(skip::tensor((self.d_in, self.d_out), w_skip));
        self
    }

    /// Initial weights as dictionary_learning draws them: random unit rows, the encoder equal to them, no biases until
    /// [`Kind::prepare`].
    pub fn random(settings: Settings, d_in: usize, d_sae: usize, seed: u64) -> Self {
        let rows: Vec<R> = unit_rows(d_sae, d_in, &mut ChaCha8Rng::seed_from_u64(seed));
        Self::new(settings, rows.clone(), vec![R::ZERO; d_sae], rows, vec![R::ZERO; d_in])
    }

    /// A transcoder's initial weights, as sparsify draws them: the encoder uniform in ±1/√d_in (torch's Linear), the decoder 0, no
    /// biases until [`Kind::prepare_to`].
    pub fn between(settings: Settings, (d_in, d_out): (usize, usize), d_sae: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let bound = 1.0 / (d_in as f64).sqrt();
        let encoder = (0..d_sae * d_in).map(|_| R::of(rng.random_range(-bound..bound))).collect();
        Self::new(
            settings,
            encoder,
            vec![R::ZERO; d_sae],
            vec![R::ZERO; d_sae * d_out],
            vec![R::ZERO; d_out],
        )
    }

    /// What the encoder sees of `x`: for a transcoder x itself, else x − b_dec, which is made in `centred`.
    fn input<'a>(&self, x: &'a [R], centred: &'a mut Vec<R>) -> &'a [R] {
        if self.transcodes.is_some() {
            return x;
        }
        centre(x, &self.parameters.0[B_DEC].data, centred);
        centred
    }

    fn auxk(&self) -> AuxK<'_, R> {
        AuxK {
            coefficient: self.settings.aux_coefficient,
            dead_tokens: self.settings.dead_tokens,
            since_fired: &self.state[SINCE_FIRED].data,
        }
    }

    /// Codes of what the encoder sees in training, and the largest `k_aux` of the dead features beside them.
    fn choose(
        &self,
        input: &[R],
        [codes, dead]: [&mut SparseCodes<R>; 2],
        k_aux: usize,
        Lists { ranked, floors }: &mut Lists<R>,
        scratch: &Scratch<R>,
    ) {
        let p = &self.parameters.0;
        let Settings { k, among, .. } = self.settings;
        let (d_sae, of_batch) = (p[B_ENC].data.len(), k * (input.len() / self.d_in));
        let auxk = self.auxk();
        let divide = |found: &Segment<R>, codes: &mut Segment<R>, dead: &mut Segment<R>, order: &mut Vec<u32>| {
            match among {
                Among::Token => (0..found.n_rows()).for_each(|r| largest_of_row(found, r, k, |_| true, codes, order)),
                Among::Sizes => (0..found.n_rows()).for_each(|r| largest_sizes_of_row(found, r, k, |_| true, codes, order)),
                // no segment has more than these of the batch's largest
                Among::Batch { .. } => largest_of_segment(found, of_batch, codes, order),
            }
            for r in 0..found.n_rows() {
                match (k_aux, among) {
                    (0, _) => dead.end_row(),
                    (k_aux, Among::Sizes) => largest_sizes_of_row(found, r, k_aux, |j| auxk.is_dead(j), dead, order),
                    (k_aux, _) => largest_of_row(found, r, k_aux, |j| auxk.is_dead(j), dead, order),
                }
            }
        };
        // of dead features everything is wanted
        let floor_all = |floors: &mut Vec<R>, floor: R| {
            floors.clear();
            floors.extend((0..d_sae).map(|j| if k_aux > 0 && auxk.is_dead(j) { R::ZERO } else { floor }));
        };
        let mut find = |floors: Floors<'_, R>| {
            let weights = (&p[W_ENC].data[..], &p[B_ENC].data[..], floors);
            tile::encode_into(input, weights, [&mut *codes, &mut *dead], scratch, divide);
            if let Among::Batch { .. } = among {
                keep_largest_of_batch(codes, of_batch, ranked);
            }
            (codes.nnz(), codes.smallest())
        };
        match among {
            Among::Token => {
                floor_all(floors, R::ONE);
                find(Floors::Largest { k, rises: floors });
            }
            Among::Sizes => {
                floor_all(floors, R::ONE);
                find(Floors::LargestSizes { k, rises: floors });
            }
            Among::Batch { .. } => {
                // what earlier batches kept says where this one's smallest will be; if it lies lower, everything is looked at
                let guess = R::of(GUESS) * not_negative(self.state[THRESHOLD].data[0]);
                floor_all(floors, guess);
                let (n, smallest) = find(Floors::Own(floors));
                if guess > R::ZERO && (n < of_batch || smallest.is_none_or(|smallest| smallest <= guess)) {
                    find(Floors::Zero);
                }
            }
        }
    }

    /// Adds the gradient by what `codes` decode to, `grad_out` [n_tokens, d_out]; `input` is what the encoder saw.
    pub(super) fn add_gradient(
        &self,
        input: &[R],
        codes: &mut SparseCodes<R>,
        grad_out: &[R],
        grads: &mut Parameters<R>,
        (path, scratch): (Path, &Scratch<R>),
    ) {
        let decoder = &self.parameters.0[W_DEC].data;
        tile::project(codes, grad_out, decoder, R::ZERO, path, scratch);
        add_gradient(codes, (input, grad_out), grads, PLACES, (path, scratch));
    }
}

/// The mean [d] of the rows of `x` [n_tokens, d].
fn mean<R: Real>(x: &[R], d: usize) -> Vec<R> {
    let mut sums = vec![R::ZERO; d];
    let inverse = R::of(d as f64 / x.len() as f64);
    simd(|| x.chunks_exact(d).for_each(|row| axpy(&mut sums, inverse, row)));
    sums
}

impl<R: Real> Kind<R> for TopK<R> {
    fn kind(&self) -> DictionaryKind {
        let Settings {
            k,
            among,
            aux_coefficient,
            dead_tokens,
        } = self.settings;
        if let Some((read_at, _)) = self.transcodes {
            return match self.skip() {
                None => DictionaryKind::TopKTranscoder {
                    read_at,
                    k,
                    aux_coefficient,
                    dead_tokens,
                },
                Some(_) => DictionaryKind::TopKSkipTranscoder {
                    read_at,
                    k,
                    aux_coefficient,
                    dead_tokens,
                },
            };
        }
        match among {
            Among::Token => DictionaryKind::TopK {
                k,
                aux_coefficient,
                dead_tokens,
            },
            Among::Sizes => DictionaryKind::AbsTopK {
                k,
                aux_coefficient,
                dead_tokens,
            },
            Among::Batch { threshold_decay } => DictionaryKind::BatchTopK {
                k,
                aux_coefficient,
                dead_tokens,
                threshold_decay,
            },
        }
    }

    fn parameters(&self) -> &Parameters<R> {
        &self.parameters
    }

    /// Where the sign does not matter there is no threshold for what fires.
    fn encoder(&self) -> Option<Encoder<R>> {
        if self.settings.among == Among::Sizes {
            return None;
        }
        let p = &self.parameters.0;
        let (mut weights, mut bias) = (p[W_ENC].data.clone(), p[B_ENC].data.clone());
        if let Some((_, directions)) = &self.transcodes {
            for (j, (row, bias)) in weights.chunks_exact_mut(self.d_in).zip(&mut bias).enumerate() {
                scale(row, directions.norm(j));
                *bias *= directions.norm(j);
            }
        }
        let threshold = self.state.get(THRESHOLD).map_or(R::ZERO, |t| not_negative(t.data[0]));
        let thresholds = vec![threshold; bias.len()];
        Some(match self.centre() {
            Some(centre) => Encoder::centred(weights, bias, thresholds, centre),
            None => Encoder {
                weights,
                bias,
                thresholds,
            },
        })
    }

    fn directions(&self) -> &[R] {
        match &self.transcodes {
            Some((_, directions)) => directions.unit(),
            None => self.decoder(),
        }
    }

    fn decoder(&self) -> &[R] {
        &self.parameters.0[W_DEC].data
    }

    fn centre(&self) -> Option<&[R]> {
        self.bias().filter(|_| self.transcodes.is_none())
    }

    fn refresh(&mut self) {
        if let Some((_, directions)) = &mut self.transcodes {
            directions.refresh(&self.parameters.0[W_DEC].data);
        }
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

    /// The decoder's bias is the geometric median of the first batch.
    fn prepare(&mut self, x: &[R]) {
        let median = geometric_median(x, self.d_in);
        self.parameters.0[B_DEC].data = median.into_iter().map(R::of).collect();
    }

    /// As sparsify has it: a transcoder's pre-activations are centred by its first batch, and ŷ begins at the mean of y.
    fn prepare_to(&mut self, x: &[R], target: &[R]) {
        if self.transcodes.is_none() {
            return self.prepare(x);
        }
        let centre = mean(x, self.d_in);
        let [w_enc, b_enc, _, b_dec, ..] = &mut self.parameters.0[..] else {
            return;
        };
        for (bias, row) in b_enc.data.iter_mut().zip(w_enc.data.chunks_exact(self.d_in)) {
            *bias = -dot(row, &centre);
        }
        b_dec.data = mean(target, self.d_out);
    }

    fn encode(&self, x: &[R], codes: &mut SparseCodes<R>, scratch: &Scratch<R>) {
        let p = &self.parameters.0;
        let mut centred = Vec::new();
        let input = self.input(x, &mut centred);
        match self.settings.among {
            Among::Token | Among::Sizes => {
                let mut dead = SparseCodes::default();
                self.choose(input, [codes, &mut dead], 0, &mut Lists::default(), scratch);
            }
            Among::Batch { .. } => {
                tile::encode(input, &p[W_ENC].data, &p[B_ENC].data, codes, scratch);
                let threshold = self.state[THRESHOLD].data[0];
                for segment in &mut codes.segments {
                    // NaN is above it, so that it is noticed
                    segment.retain(|value| value.partial_cmp(&threshold).is_none_or(|order| order.is_gt()));
                }
            }
        }
    }

    fn forward(&self, x: &[R], per_number: f64, forward: &mut Forward<R>, path: Path, scratch: &Scratch<R>) {
        self.forward_to(x, x, per_number, forward, path, scratch);
    }

    fn forward_to(&self, x: &[R], target: &[R], per_number: f64, forward: &mut Forward<R>, path: Path, scratch: &Scratch<R>) {
        let Forward {
            codes,
            x_hat,
            seen,
            centred,
            side,
            lists,
            ..
        } = forward;
        let input = self.input(x, centred);
        let k_aux = self.auxk().k(self.d_out);
        self.choose(input, [codes, side], k_aux, lists, scratch);
        seen.add(codes);
        x_hat.resize(target.len(), R::ZERO);
        self.reconstruct(codes, x, x_hat, path, scratch);
        self.auxk().term(target, self.decoder(), per_number, forward, path, scratch);
    }

    fn backward(
        &self,
        x: &[R],
        forward: &mut Forward<R>,
        grad_out: &[R],
        _: R,
        grads: &mut Parameters<R>,
        mut grad_x: Option<&mut [R]>,
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
        let input = if self.transcodes.is_some() { x } else { &centred[..] };
        tile::row_sums(grad_out, &mut grads.0[B_DEC].data);
        self.add_gradient(input, codes, grad_out, grads, (path, scratch));
        if side.nnz() > 0 {
            self.add_gradient(input, side, side_out, grads, (path, scratch));
        }
        if let Some(grad_x) = grad_x.as_deref_mut() {
            let rows = &self.parameters.0[W_ENC].data;
            tile::combine(codes, Entries::Grads, rows, None, grad_x, path, scratch);
        }
        skip::backward(&self.parameters, (x, grad_out), grads, grad_x);
    }

    /// The bias' gradient through x', and the decoder's without what would change its rows' lengths; nothing for a transcoder.
    fn finish(&self, grads: &mut Parameters<R>) {
        if self.transcodes.is_some() {
            return;
        }
        let p = &self.parameters.0;
        let [_, b_enc, w_dec, b_dec] = &mut grads.0[..] else {
            return;
        };
        through_input(&p[W_ENC].data, b_enc.data.iter().copied(), &mut b_dec.data);
        remove_parallel(&p[W_DEC].data, &mut w_dec.data, self.d_in);
    }

    fn settle(&mut self, seen: &Seen) {
        if self.transcodes.is_none() {
            normalise(&mut self.parameters.0[W_DEC].data, self.d_in);
        }
        auxk::count(&mut self.state[SINCE_FIRED], seen);
        if let (Among::Batch { threshold_decay }, (sum, n @ 1..)) = (self.settings.among, seen.smallest) {
            let threshold = &mut self.state[THRESHOLD].data[0];
            let smallest = sum / n as f64;
            *threshold = match threshold.f64() {
                before if before < 0.0 => R::of(smallest),
                before => R::of(threshold_decay * before + (1.0 - threshold_decay) * smallest),
            };
        }
    }
}
