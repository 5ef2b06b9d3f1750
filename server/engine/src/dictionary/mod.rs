//! Dictionaries: a file per kind, each with its own explicit gradient on sparse codes.
//!
//! To add a kind: its file beside `relu.rs` with an implementation of [`Kind`], a variant here, one in [`api::DictionaryKind`].

mod anneal;
mod auxk;
mod centred;
mod codes;
mod directions;
mod file;
mod forward;
mod gated;
mod initial;
mod jumprelu;
mod kind;
mod linear;
mod matched;
mod matching_pursuit;
mod matryoshka;
mod nmf;
mod normaliser;
mod orthogonal;
mod parameters;
mod posthoc;
mod projection;
mod pursuit;
mod relu;
mod select;
mod skip;
mod standard;
mod tied;
mod tile;
mod token_mean;
mod topk;
mod transcoder;

use anneal::Anneal;
use api::DictionaryKind;
use transcoder::Between;

pub use codes::{Entries, SEGMENT, Segment, SparseCodes};
pub use file::{DictionaryError, DictionaryFile, Fired, load, load_fired, save, save_measured};
pub use forward::{Forward, Seen};
pub use gated::Gated;
pub use jumprelu::JumpRelu;
pub use kind::{Encoder, Kind};
pub use matching_pursuit::{Ends, MatchingPursuit};
pub use matryoshka::Matryoshka;
pub use nmf::{Nmf, gram, non_negative_least_squares, shifted};
pub use normaliser::{Back, Normaliser, TOKEN_EPS, TokenNorm};
pub use parameters::{Parameters, Tensor};
pub use projection::Projection;
pub use pursuit::Pursuit;
pub use relu::Relu;
pub use standard::{Penalty, Standard};
pub use tied::Tied;
pub use tile::{Path, Scratch, encode};
pub use token_mean::TokenMean;
pub use topk::{Among, Settings, TopK};

use crate::kernel::Real;

/// A dictionary of any kind.
#[derive(Clone, Debug)]
pub enum Dictionary<R> {
    /// See [`Relu`].
    Relu(Relu<R>),
    /// See [`Standard`].
    Standard(Standard<R>),
    /// See [`Tied`].
    Tied(Tied<R>),
    /// See [`Gated`].
    Gated(Gated<R>),
    /// See [`TopK`].
    TopK(TopK<R>),
    /// See [`Matryoshka`].
    Matryoshka(Matryoshka<R>),
    /// See [`JumpRelu`].
    JumpRelu(JumpRelu<R>),
    /// See [`Pursuit`].
    Pursuit(Pursuit<R>),
    /// See [`MatchingPursuit`].
    MatchingPursuit(MatchingPursuit<R>),
    /// See [`Projection`].
    Projection(Projection<R>),
    /// See [`Nmf`].
    Nmf(Nmf<R>),
    /// See [`TokenMean`].
    TokenMean(TokenMean<R>),
}

impl<R: Real> Dictionary<R> {
    /// Fresh weights; zeros for the kinds that are fitted.
    pub fn random(kind: DictionaryKind, d_in: usize, d_sae: usize, seed: u64) -> Self {
        Self::new(kind, (d_in, d_in), d_sae, Some(seed))
    }

    /// Fresh weights of a dictionary that may be a transcoder, which reads `d_in` numbers and writes `d_out`.
    pub fn between(kind: DictionaryKind, widths: (usize, usize), d_sae: usize, seed: u64) -> Self {
        Self::new(kind, widths, d_sae, Some(seed))
    }

    /// Weights that are all 0, to be read from a file.
    fn zeros(kind: DictionaryKind, widths: (usize, usize), d_sae: usize) -> Self {
        Self::new(kind, widths, d_sae, None)
    }

    fn new(kind: DictionaryKind, (d_in, d_out): (usize, usize), d_sae: usize, seed: Option<u64>) -> Self {
        let matrix = || vec![R::ZERO; d_sae * d_in];
        let [features, width] = [d_sae, d_in].map(|n| move || vec![R::ZERO; n]);
        let between = |read_at| Between {
            read_at,
            widths: (d_in, d_out),
            skips: kind.skips(),
        };
        let settings = |k, among, aux_coefficient, dead_tokens| Settings {
            k,
            among,
            aux_coefficient,
            dead_tokens,
        };
        let topk = |k, among, aux_coefficient, dead_tokens| {
            let settings = settings(k, among, aux_coefficient, dead_tokens);
            match seed {
                Some(seed) => TopK::random(settings, d_in, d_sae, seed),
                None => TopK::new(settings, matrix(), features(), matrix(), width()),
            }
        };
        let standard = |penalty, is_centred| {
            let convention = (penalty, is_centred);
            Self::Standard(match seed {
                Some(seed) => Standard::random(convention, d_in, d_sae, seed),
                None => Standard::new(convention, matrix(), features(), matrix(), width()),
            })
        };
        match kind {
            DictionaryKind::Relu => Self::Relu(match seed {
                Some(seed) => Relu::random(d_in, d_sae, seed),
                None => Relu::new(matrix(), features(), matrix(), width()),
            }),
            DictionaryKind::ReluUnit => standard(Penalty::Unit, true),
            DictionaryKind::ReluApril => standard(Penalty::Weighted, false),
            DictionaryKind::ReluSaelens => standard(Penalty::Weighted, true),
            DictionaryKind::PAnneal {
                final_p,
                anneal_start: start,
                anneal_end: end,
            } => standard(Penalty::Annealed(Anneal { final_p, start, end }), true),
            DictionaryKind::Tied => Self::Tied(match seed {
                Some(seed) => Tied::random(d_in, d_sae, seed),
                None => Tied::new(matrix(), features()),
            }),
            DictionaryKind::Gated => Self::Gated(match seed {
                Some(seed) => Gated::random(d_in, d_sae, seed),
                None => Gated::new(matrix(), [features(), features(), features()], matrix(), width()),
            }),
            DictionaryKind::TopK {
                k,
                aux_coefficient,
                dead_tokens,
            } => Self::TopK(topk(k, Among::Token, aux_coefficient, dead_tokens)),
            DictionaryKind::AbsTopK {
                k,
                aux_coefficient,
                dead_tokens,
            } => Self::TopK(topk(k, Among::Sizes, aux_coefficient, dead_tokens)),
            DictionaryKind::BatchTopK {
                k,
                aux_coefficient,
                dead_tokens,
                threshold_decay,
            } => Self::TopK(topk(k, Among::Batch { threshold_decay }, aux_coefficient, dead_tokens)),
            DictionaryKind::Matryoshka {
                k,
                aux_coefficient,
                dead_tokens,
                threshold_decay,
                groups,
            } => {
                let topk = topk(k, Among::Batch { threshold_decay }, aux_coefficient, dead_tokens);
                Self::Matryoshka(Matryoshka::new(topk, groups))
            }
            DictionaryKind::JumpRelu {
                bandwidth,
                initial_threshold,
            } => {
                let kernel = (bandwidth, initial_threshold);
                Self::JumpRelu(match seed {
                    Some(seed) => JumpRelu::random(kernel, d_in, d_sae, seed),
                    None => JumpRelu::new(matrix(), [features(), features()], matrix(), width(), kernel, R::ONE),
                })
            }
            DictionaryKind::Transcoder { read_at } | DictionaryKind::SkipTranscoder { read_at } => {
                Self::Relu(transcoder::relu(between(read_at), d_sae, seed))
            }
            DictionaryKind::JumpReluTranscoder {
                read_at,
                bandwidth,
                initial_threshold,
            }
            | DictionaryKind::JumpReluSkipTranscoder {
                read_at,
                bandwidth,
                initial_threshold,
            } => {
                let kernel = (bandwidth, initial_threshold);
                Self::JumpRelu(transcoder::jumprelu(between(read_at), kernel, d_sae, seed))
            }
            DictionaryKind::TopKTranscoder {
                read_at,
                k,
                aux_coefficient,
                dead_tokens,
            }
            | DictionaryKind::TopKSkipTranscoder {
                read_at,
                k,
                aux_coefficient,
                dead_tokens,
            } => {
                let settings = settings(k, Among::Token, aux_coefficient, dead_tokens);
                Self::TopK(transcoder::topk(between(read_at), settings, d_sae, seed))
            }
            DictionaryKind::Pursuit { k } => Self::Pursuit(match seed {
                Some(seed) => Pursuit::random(k, d_in, d_sae, seed),
                None => Pursuit::new(k, matrix(), width()),
            }),
            DictionaryKind::MatchingPursuit {
                k,
                residual_threshold,
                stop_on_duplicate,
            } => {
                let ends = Ends {
                    rounds: k,
                    residual_threshold,
                    stop_on_duplicate,
                };
                Self::MatchingPursuit(match seed {
                    Some(seed) => MatchingPursuit::random(ends, d_in, d_sae, seed),
                    None => MatchingPursuit::new(ends, matrix(), width()),
                })
            }
            DictionaryKind::Nmf => Self::Nmf(Nmf::new(matrix(), width())),
            DictionaryKind::TokenMean => Self::TokenMean(TokenMean::new(matrix(), width())),
            DictionaryKind::PcaStatic { .. }
            | DictionaryKind::PcaDynamic { .. }
            | DictionaryKind::PcaTopK { .. }
            | DictionaryKind::PcaNonNegative
            | DictionaryKind::Ica { .. }
            | DictionaryKind::Random { .. }
            | DictionaryKind::Identity { .. } => Self::Projection(Projection::new(kind, matrix(), matrix(), width())),
        }
    }

    fn of_kind(&self) -> &dyn Kind<R> {
        match self {
            Self::Relu(relu) => relu,
            Self::Standard(standard) => standard,
            Self::Tied(tied) => tied,
            Self::Gated(gated) => gated,
            Self::TopK(topk) => topk,
            Self::Matryoshka(matryoshka) => matryoshka,
            Self::JumpRelu(jump) => jump,
            Self::Pursuit(pursuit) => pursuit,
            Self::MatchingPursuit(pursuit) => pursuit,
            Self::Projection(projection) => projection,
            Self::Nmf(nmf) => nmf,
            Self::TokenMean(means) => means,
        }
    }

    fn of_kind_mut(&mut self) -> &mut dyn Kind<R> {
        match self {
            Self::Relu(relu) => relu,
            Self::Standard(standard) => standard,
            Self::Tied(tied) => tied,
            Self::Gated(gated) => gated,
            Self::TopK(topk) => topk,
            Self::Matryoshka(matryoshka) => matryoshka,
            Self::JumpRelu(jump) => jump,
            Self::Pursuit(pursuit) => pursuit,
            Self::MatchingPursuit(pursuit) => pursuit,
            Self::Projection(projection) => projection,
            Self::Nmf(nmf) => nmf,
            Self::TokenMean(means) => means,
        }
    }

    /// Which kind it is, with its settings.
    pub fn kind(&self) -> DictionaryKind {
        self.of_kind().kind()
    }

    /// Width of the input, and but for transcoders of the output.
    pub fn d_in(&self) -> usize {
        self.parameters().0[0].shape[1]
    }

    /// Width of the output.
    pub fn d_out(&self) -> usize {
        self.directions().len() / self.d_sae()
    }

    /// Number of features.
    pub fn d_sae(&self) -> usize {
        self.parameters().0[0].shape[0]
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters<R> {
        self.of_kind().parameters()
    }

    /// What else it keeps, that no gradient moves: see [`Kind::state`].
    pub fn state(&self) -> &[Tensor<R>] {
        self.of_kind().state()
    }

    /// What each feature writes, at length 1: [d_sae, d_in].
    pub fn directions(&self) -> &[R] {
        self.of_kind().directions()
    }

    /// What is taken from the input before it is encoded [d_in]; none where nothing is.
    pub fn centre(&self) -> Option<&[R]> {
        self.of_kind().centre()
    }

    /// What is added to every x̂ [d_out].
    pub fn bias(&self) -> Option<&[R]> {
        self.of_kind().bias()
    }

    /// Changes the parameters, then brings what follows from them up to date.
    pub fn update(&mut self, change: impl FnOnce(&mut Parameters<R>)) {
        let kind = self.of_kind_mut();
        change(kind.parameters_mut());
        kind.refresh();
    }

    /// Changes the state, then brings what follows from it up to date.
    pub fn update_state(&mut self, change: impl FnOnce(&mut [Tensor<R>])) {
        let kind = self.of_kind_mut();
        change(kind.state_mut());
        kind.refresh();
    }

    /// What the initial weights take from the run's first batch; see [`Kind::prepare`].
    pub fn prepare(&mut self, x: &[R]) {
        self.of_kind_mut().prepare(x);
    }

    /// The same, where x̂ is to be `target`; see [`Kind::prepare_to`].
    pub fn prepare_to(&mut self, x: &[R], target: &[R]) {
        self.of_kind_mut().prepare_to(x, target);
    }

    /// What a trained dictionary takes from the first batch of a further run; see [`Kind::prepare_trained`].
    pub fn prepare_trained(&mut self, x: &[R]) {
        self.of_kind_mut().prepare_trained(x);
    }

    /// Codes of `x` [n_tokens, d_in], as the trained dictionary gives them.
    pub fn encode(&self, x: &[R], codes: &mut SparseCodes<R>, scratch: &Scratch<R>) {
        self.of_kind().encode(x, codes, scratch);
    }

    /// The same where the tokens [n_tokens] at which x stands are known; see [`Kind::encode_tokens`].
    pub fn encode_tokens(&self, tokens: &[u32], x: &[R], codes: &mut SparseCodes<R>, scratch: &Scratch<R>) {
        self.of_kind().encode_tokens(tokens, x, codes, scratch);
    }

    /// x̂ [n_tokens, d_out] of `codes`, which are those of `x` [n_tokens, d_in].
    pub fn reconstruct(&self, codes: &SparseCodes<R>, x: &[R], out: &mut [R], path: Path, scratch: &Scratch<R>) {
        self.of_kind().reconstruct(codes, x, out, path, scratch);
    }

    /// W_skip [d_out, d_in]; none but in transcoders with a skip connection.
    pub fn skip(&self) -> Option<&[R]> {
        self.of_kind().skip().map(|tensor| &tensor.data[..])
    }

    /// x̂ [n_tokens, d_out] of `codes`, without what a skip connection adds.
    pub fn decode(&self, codes: &SparseCodes<R>, out: &mut [R], path: Path, scratch: &Scratch<R>) {
        self.of_kind().decode(codes, out, path, scratch);
    }

    /// Codes, x̂ and the kind's own terms in training; see [`Kind::forward`].
    pub fn forward(&self, x: &[R], per_number: f64, forward: &mut Forward<R>, path: Path, scratch: &Scratch<R>) {
        self.of_kind().forward(x, per_number, forward, path, scratch);
    }

    /// The same, where x̂ is to be `target`; see [`Kind::forward_to`].
    pub fn forward_to(&self, x: &[R], target: &[R], per_number: f64, forward: &mut Forward<R>, path: Path, scratch: &Scratch<R>) {
        self.of_kind().forward_to(x, target, per_number, forward, path, scratch);
    }

    /// How much of the reconstruction enters a local objective; see [`Kind::reconstruction_share`].
    pub fn reconstruction_share(&self) -> f64 {
        self.of_kind().reconstruction_share()
    }

    /// Adds the parameters' gradient to `grads`; see [`Kind::backward`].
    #[expect(clippy::too_many_arguments, reason = "each is a tensor of the formula")]
    pub fn backward(
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
        self.of_kind()
            .backward(x, forward, grad_out, sparsity, grads, grad_x, path, scratch);
    }

    /// Completes the gradient of a step; see [`Kind::finish`].
    pub fn finish(&self, grads: &mut Parameters<R>) {
        self.of_kind().finish(grads);
    }

    /// Ends an optimiser step; see [`Kind::settle`].
    pub fn settle(&mut self, seen: &Seen) {
        self.of_kind_mut().settle(seen);
    }
}
