//! The kinds of dictionary: their names and their settings. Formulas: docs/METHODS.md.

use serde::{Deserialize, Serialize};

use crate::{HookPoint, word::words};

/// The kinds, without their settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum KindName {
    /// See [`DictionaryKind::Relu`].
    #[default]
    Relu,
    /// See [`DictionaryKind::ReluUnit`].
    #[serde(rename = "relu-unit")]
    ReluUnit,
    /// See [`DictionaryKind::ReluApril`].
    #[serde(rename = "relu-april")]
    ReluApril,
    /// See [`DictionaryKind::ReluSaelens`].
    #[serde(rename = "relu-saelens")]
    ReluSaelens,
    /// See [`DictionaryKind::PAnneal`].
    #[serde(rename = "p-anneal")]
    PAnneal,
    /// See [`DictionaryKind::Tied`].
    Tied,
    /// See [`DictionaryKind::Gated`].
    Gated,
    /// See [`DictionaryKind::TopK`].
    TopK,
    /// See [`DictionaryKind::AbsTopK`].
    AbsTopK,
    /// See [`DictionaryKind::BatchTopK`].
    BatchTopK,
    /// See [`DictionaryKind::Matryoshka`].
    Matryoshka,
    /// See [`DictionaryKind::JumpRelu`].
    JumpRelu,
    /// See [`DictionaryKind::Transcoder`].
    Transcoder,
    /// See [`DictionaryKind::JumpReluTranscoder`].
    #[serde(rename = "jumprelu-transcoder")]
    JumpReluTranscoder,
    /// See [`DictionaryKind::TopKTranscoder`].
    #[serde(rename = "topk-transcoder")]
    TopKTranscoder,
    /// See [`DictionaryKind::SkipTranscoder`].
    #[serde(rename = "skip-transcoder")]
    SkipTranscoder,
    /// See [`DictionaryKind::JumpReluSkipTranscoder`].
    #[serde(rename = "jumprelu-skip-transcoder")]
    JumpReluSkipTranscoder,
    /// See [`DictionaryKind::TopKSkipTranscoder`].
    #[serde(rename = "topk-skip-transcoder")]
    TopKSkipTranscoder,
    /// See [`DictionaryKind::Pursuit`].
    Pursuit,
    /// See [`DictionaryKind::MatchingPursuit`].
    #[serde(rename = "matching-pursuit")]
    MatchingPursuit,
    /// See [`DictionaryKind::PcaStatic`].
    #[serde(rename = "pca-static")]
    PcaStatic,
    /// See [`DictionaryKind::PcaDynamic`].
    #[serde(rename = "pca-dynamic")]
    PcaDynamic,
    /// See [`DictionaryKind::PcaTopK`].
    #[serde(rename = "pca-topk")]
    PcaTopK,
    /// See [`DictionaryKind::PcaNonNegative`].
    #[serde(rename = "pca-nonnegative")]
    PcaNonNegative,
    /// See [`DictionaryKind::Ica`].
    Ica,
    /// See [`DictionaryKind::Nmf`].
    Nmf,
    /// See [`DictionaryKind::Random`].
    Random,
    /// See [`DictionaryKind::Identity`].
    Identity,
    /// See [`DictionaryKind::TokenMean`].
    #[serde(rename = "token-mean")]
    TokenMean,
}

words!(KindName, "kind", "relu" => KindName::Relu, "relu-unit" => KindName::ReluUnit, "relu-april" => KindName::ReluApril,
    "relu-saelens" => KindName::ReluSaelens, "p-anneal" => KindName::PAnneal, "tied" => KindName::Tied,
    "gated" => KindName::Gated, "topk" => KindName::TopK, "abstopk" => KindName::AbsTopK, "batchtopk" => KindName::BatchTopK,
    "matryoshka" => KindName::Matryoshka, "jumprelu" => KindName::JumpRelu, "pursuit" => KindName::Pursuit,
    "matching-pursuit" => KindName::MatchingPursuit,
    "transcoder" => KindName::Transcoder, "jumprelu-transcoder" => KindName::JumpReluTranscoder,
    "topk-transcoder" => KindName::TopKTranscoder, "skip-transcoder" => KindName::SkipTranscoder,
    "jumprelu-skip-transcoder" => KindName::JumpReluSkipTranscoder, "topk-skip-transcoder" => KindName::TopKSkipTranscoder,
    "pca-static" => KindName::PcaStatic, "pca-dynamic" => KindName::PcaDynamic, "pca-topk" => KindName::PcaTopK,
    "pca-nonnegative" => KindName::PcaNonNegative, "ica" => KindName::Ica, "nmf" => KindName::Nmf, "random" => KindName::Random,
    "identity" => KindName::Identity, "token-mean" => KindName::TokenMean);

impl KindName {
    /// All kinds, in the order in which pages and tables list them.
    pub const ALL: [KindName; 29] = [
        KindName::Relu,
        KindName::ReluUnit,
        KindName::ReluApril,
        KindName::ReluSaelens,
        KindName::PAnneal,
        KindName::Tied,
        KindName::Gated,
        KindName::TopK,
        KindName::AbsTopK,
        KindName::BatchTopK,
        KindName::Matryoshka,
        KindName::JumpRelu,
        KindName::Transcoder,
        KindName::JumpReluTranscoder,
        KindName::TopKTranscoder,
        KindName::SkipTranscoder,
        KindName::JumpReluSkipTranscoder,
        KindName::TopKSkipTranscoder,
        KindName::Pursuit,
        KindName::MatchingPursuit,
        KindName::PcaStatic,
        KindName::PcaDynamic,
        KindName::PcaTopK,
        KindName::PcaNonNegative,
        KindName::Ica,
        KindName::Nmf,
        KindName::Random,
        KindName::Identity,
        KindName::TokenMean,
    ];

    /// Whether a sparsity term, taken λ times, is part of its loss. The others are given how many features fire.
    pub fn has_penalty(self) -> bool {
        let is_told = matches!(
            self,
            KindName::TopK
                | KindName::AbsTopK
                | KindName::BatchTopK
                | KindName::Matryoshka
                | KindName::TopKTranscoder
                | KindName::TopKSkipTranscoder
                | KindName::Pursuit
                | KindName::MatchingPursuit
        );
        !self.is_fitted() && !is_told
    }

    /// Whether its loss has a term of its own beside sparsity.
    pub fn has_auxiliary(self) -> bool {
        matches!(
            self,
            KindName::Gated
                | KindName::TopK
                | KindName::AbsTopK
                | KindName::BatchTopK
                | KindName::Matryoshka
                | KindName::TopKTranscoder
                | KindName::TopKSkipTranscoder
        )
    }

    /// The request's fields that are its settings, by name.
    pub fn settings(self) -> &'static [&'static str] {
        match self {
            KindName::Relu
            | KindName::ReluUnit
            | KindName::ReluApril
            | KindName::ReluSaelens
            | KindName::Tied
            | KindName::Gated => &["coefficient"],
            KindName::PAnneal => &["coefficient", "final_p", "anneal_start", "anneal_end"],
            KindName::TopK | KindName::AbsTopK => &["k", "aux_coefficient", "dead_tokens"],
            KindName::BatchTopK => &["k", "aux_coefficient", "dead_tokens", "threshold_decay"],
            KindName::Matryoshka => &["k", "aux_coefficient", "dead_tokens", "threshold_decay", "groups"],
            KindName::JumpRelu => &["coefficient", "bandwidth", "initial_threshold"],
            KindName::Transcoder | KindName::SkipTranscoder => &["coefficient", "read_at"],
            KindName::JumpReluTranscoder | KindName::JumpReluSkipTranscoder => {
                &["coefficient", "bandwidth", "initial_threshold", "read_at"]
            }
            KindName::TopKTranscoder | KindName::TopKSkipTranscoder => &["k", "aux_coefficient", "dead_tokens", "read_at"],
            KindName::Pursuit | KindName::MatchingPursuit => &["k"],
            KindName::PcaStatic | KindName::PcaDynamic | KindName::PcaTopK => &["k"],
            KindName::Ica | KindName::Random | KindName::Identity => &["k"],
            KindName::PcaNonNegative | KindName::Nmf | KindName::TokenMean => &[],
        }
    }
}

/// A kind of dictionary with its settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum DictionaryKind {
    /// c = ReLU(W_e x + b_e), x̂ = D̂ c + b_d with unit decoder directions D̂ (Braun et al. 2024, section 2).
    #[default]
    Relu,
    /// c = ReLU(W_e (x − b_d) + b_e), x̂ = D c + b_d, rows of D kept at unit length (dictionary_learning's standard trainer).
    #[serde(rename = "relu-unit")]
    ReluUnit,
    /// c = ReLU(W_e x + b_e), x̂ = D c + b_d with a free D, penalty Σ c_j ‖d_j‖ (Anthropic, April 2024).
    #[serde(rename = "relu-april")]
    ReluApril,
    /// As [`DictionaryKind::ReluApril`], with b_d taken from the input (SAELens' defaults).
    #[serde(rename = "relu-saelens")]
    ReluSaelens,
    /// As [`DictionaryKind::ReluUnit`], with the penalty Σ c_j^p and a falling p (Karvonen et al. 2024).
    #[serde(rename = "p-anneal")]
    PAnneal {
        /// The last p; the first is 1.
        final_p: f64,
        /// The optimiser step at which p begins to fall.
        anneal_start: usize,
        /// The optimiser step at which it has fallen.
        anneal_end: usize,
    },
    /// c = ReLU(M̂ x + b), x̂ = M̂ᵀ c with unit rows M̂ (Cunningham et al. 2023).
    Tied,
    /// A gate says which features fire, a magnitude how strongly (Rajamanoharan et al. 2024, Gated).
    Gated,
    /// The k largest features of each token (Gao et al. 2024).
    TopK {
        /// Features per token.
        k: usize,
        /// Weight of the dead features' term.
        aux_coefficient: f64,
        /// Tokens without firing after which a feature is dead.
        dead_tokens: u64,
    },
    /// The k features of each token of largest size, with their signs (SAELens' `abstopk`, arXiv 2510.00404).
    AbsTopK {
        /// Features per token.
        k: usize,
        /// Weight of the dead features' term.
        aux_coefficient: f64,
        /// Tokens without firing after which a feature is dead.
        dead_tokens: u64,
    },
    /// The k · B largest features of a batch of B tokens in training, those above a threshold in use (Bussmann et al. 2024).
    BatchTopK {
        /// Features per token, on average.
        k: usize,
        /// Weight of the dead features' term.
        aux_coefficient: f64,
        /// Tokens without firing after which a feature is dead.
        dead_tokens: u64,
        /// Decay of the threshold's mean, per optimiser step.
        threshold_decay: f64,
    },
    /// BatchTopK whose first features are dictionaries by themselves (Bussmann et al. 2025).
    Matryoshka {
        /// Features per token, on average.
        k: usize,
        /// Weight of the dead features' term.
        aux_coefficient: f64,
        /// Tokens without firing after which a feature is dead.
        dead_tokens: u64,
        /// Decay of the threshold's mean, per optimiser step.
        threshold_decay: f64,
        /// Groups of features: G of them hold 1/2^G, 1/2^(G−1), …, 1/4 of the features, and the rest.
        groups: usize,
    },
    /// A feature fires above its own threshold, which is learnt (Rajamanoharan et al. 2024, JumpReLU).
    JumpRelu {
        /// Width of the window around a threshold in which it has a gradient, in units of the input's size.
        bandwidth: f64,
        /// The thresholds' initial value, in the same units.
        initial_threshold: f64,
    },
    /// [`DictionaryKind::Relu`] that reads at one hook point and writes at another (Dunefsky et al. 2024).
    Transcoder {
        /// Where it reads.
        read_at: HookPoint,
    },
    /// [`DictionaryKind::JumpRelu`] that reads at one hook point and writes at another.
    #[serde(rename = "jumprelu-transcoder")]
    JumpReluTranscoder {
        /// Where it reads.
        read_at: HookPoint,
        /// As [`DictionaryKind::JumpRelu`]'s.
        bandwidth: f64,
        /// As [`DictionaryKind::JumpRelu`]'s.
        initial_threshold: f64,
    },
    /// The k largest features of each token, read at one hook point and written at another (sparsify's transcoders).
    #[serde(rename = "topk-transcoder")]
    TopKTranscoder {
        /// Where it reads.
        read_at: HookPoint,
        /// Features per token.
        k: usize,
        /// As [`DictionaryKind::TopK`]'s.
        aux_coefficient: f64,
        /// As [`DictionaryKind::TopK`]'s.
        dead_tokens: u64,
    },
    /// [`DictionaryKind::Transcoder`] with a skip connection, to which W_skip x is added (Paulo et al. 2025).
    #[serde(rename = "skip-transcoder")]
    SkipTranscoder {
        /// Where it reads.
        read_at: HookPoint,
    },
    /// [`DictionaryKind::JumpReluTranscoder`] with a skip connection.
    #[serde(rename = "jumprelu-skip-transcoder")]
    JumpReluSkipTranscoder {
        /// Where it reads.
        read_at: HookPoint,
        /// As [`DictionaryKind::JumpRelu`]'s.
        bandwidth: f64,
        /// As [`DictionaryKind::JumpRelu`]'s.
        initial_threshold: f64,
    },
    /// [`DictionaryKind::TopKTranscoder`] with a skip connection.
    #[serde(rename = "topk-skip-transcoder")]
    TopKSkipTranscoder {
        /// Where it reads.
        read_at: HookPoint,
        /// Features per token.
        k: usize,
        /// As [`DictionaryKind::TopK`]'s.
        aux_coefficient: f64,
        /// As [`DictionaryKind::TopK`]'s.
        dead_tokens: u64,
    },
    /// A decoder alone, whose codes are found by gradient pursuit (Blumensath and Davies 2008): sparse coding without an encoder.
    Pursuit {
        /// The most features per token.
        k: usize,
    },
    /// A decoder alone, whose codes are found by matching pursuit (Mallat and Zhang 1993; SAELens' `matching_pursuit`): one feature after
    /// the other, each by what those before have left.
    #[serde(rename = "matching-pursuit")]
    MatchingPursuit {
        /// Rounds per token, and so the most features.
        k: usize,
        /// The length of what is left below which a token is done; 0: never.
        residual_threshold: f64,
        /// Whether a token is done when a round chooses a feature again.
        stop_on_duplicate: bool,
    },
    /// Fitted, as all that follow: the k directions of the largest mean square, signed (PCA through the origin).
    #[serde(rename = "pca-static")]
    PcaStatic {
        /// Directions, and so features.
        k: usize,
    },
    /// Of all such directions, each token's k of the largest scores, signed.
    #[serde(rename = "pca-dynamic")]
    PcaDynamic {
        /// Features per token.
        k: usize,
    },
    /// Both signs of each such direction a feature, and each token's k largest.
    #[serde(rename = "pca-topk")]
    PcaTopK {
        /// Features per token.
        k: usize,
    },
    /// Both signs of each principal component around the mean a feature, all that are positive.
    #[serde(rename = "pca-nonnegative")]
    PcaNonNegative,
    /// Both signs of each independent component a feature (Hyvärinen 1999, FastICA).
    Ica {
        /// Features per token; all that are positive where none is given.
        k: Option<usize>,
    },
    /// Directions and codes that are not negative (Lee and Seung 1999).
    Nmf,
    /// Random directions with the data's covariance.
    Random {
        /// Features per token; all that are positive where none is given.
        k: Option<usize>,
    },
    /// Both signs of each coordinate a feature.
    Identity {
        /// Features per token; all that are positive where none is given.
        k: Option<usize>,
    },
    /// The mean activation of each token of the vocabulary, a feature per token.
    #[serde(rename = "token-mean")]
    TokenMean,
}

impl DictionaryKind {
    /// Which kind it is.
    pub fn name(&self) -> KindName {
        match self {
            DictionaryKind::Relu => KindName::Relu,
            DictionaryKind::ReluUnit => KindName::ReluUnit,
            DictionaryKind::ReluApril => KindName::ReluApril,
            DictionaryKind::ReluSaelens => KindName::ReluSaelens,
            DictionaryKind::PAnneal { .. } => KindName::PAnneal,
            DictionaryKind::Tied => KindName::Tied,
            DictionaryKind::Gated => KindName::Gated,
            DictionaryKind::TopK { .. } => KindName::TopK,
            DictionaryKind::AbsTopK { .. } => KindName::AbsTopK,
            DictionaryKind::BatchTopK { .. } => KindName::BatchTopK,
            DictionaryKind::Matryoshka { .. } => KindName::Matryoshka,
            DictionaryKind::JumpRelu { .. } => KindName::JumpRelu,
            DictionaryKind::Transcoder { .. } => KindName::Transcoder,
            DictionaryKind::JumpReluTranscoder { .. } => KindName::JumpReluTranscoder,
            DictionaryKind::TopKTranscoder { .. } => KindName::TopKTranscoder,
            DictionaryKind::SkipTranscoder { .. } => KindName::SkipTranscoder,
            DictionaryKind::JumpReluSkipTranscoder { .. } => KindName::JumpReluSkipTranscoder,
            DictionaryKind::TopKSkipTranscoder { .. } => KindName::TopKSkipTranscoder,
            DictionaryKind::Pursuit { .. } => KindName::Pursuit,
            DictionaryKind::MatchingPursuit { .. } => KindName::MatchingPursuit,
            DictionaryKind::PcaStatic { .. } => KindName::PcaStatic,
            DictionaryKind::PcaDynamic { .. } => KindName::PcaDynamic,
            DictionaryKind::PcaTopK { .. } => KindName::PcaTopK,
            DictionaryKind::PcaNonNegative => KindName::PcaNonNegative,
            DictionaryKind::Ica { .. } => KindName::Ica,
            DictionaryKind::Nmf => KindName::Nmf,
            DictionaryKind::Random { .. } => KindName::Random,
            DictionaryKind::Identity { .. } => KindName::Identity,
            DictionaryKind::TokenMean => KindName::TokenMean,
        }
    }

    /// Where it reads, if that is not where it writes.
    pub fn read_at(&self) -> Option<HookPoint> {
        match *self {
            DictionaryKind::Transcoder { read_at }
            | DictionaryKind::JumpReluTranscoder { read_at, .. }
            | DictionaryKind::TopKTranscoder { read_at, .. }
            | DictionaryKind::SkipTranscoder { read_at }
            | DictionaryKind::JumpReluSkipTranscoder { read_at, .. }
            | DictionaryKind::TopKSkipTranscoder { read_at, .. } => Some(read_at),
            _ => None,
        }
    }

    /// Whether it has a skip connection.
    pub fn skips(&self) -> bool {
        matches!(
            self.name(),
            KindName::SkipTranscoder | KindName::JumpReluSkipTranscoder | KindName::TopKSkipTranscoder
        )
    }
}
