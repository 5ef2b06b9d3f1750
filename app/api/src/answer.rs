//! What is answered to a [`Question`](crate::Question).

use serde::{Deserialize, Serialize};

use crate::{DictionaryId, TokenOrder};

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`Question::Tokens`](crate::Question::Tokens).
    Tokens(TokensAnswer),
    /// To [`Question::Compare`](crate::Question::Compare).
    Compare(Comparison),
    /// To [`Question::Probe`](crate::Question::Probe).
    Probe(ProbeAnswer),
}

/// The tokens whose predictions every one of some dictionaries loses most of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokensAnswer {
    /// The dictionaries, in the order of the rows' values.
    pub dictionaries: Vec<DictionaryId>,
    /// What the rows are ordered by: the least of the dictionaries' values, the largest first.
    pub by: TokenOrder,
    /// Tokens of the text that were looked at, those of other token sets with them.
    pub n_tokens: u64,
    /// Rows of the CSV, of which `rows` are the first.
    pub n_rows: u64,
    /// The first rows.
    pub rows: Vec<LostToken>,
}

impl TokensAnswer {
    /// How many rows it has at most; the CSV has all that were asked for.
    pub const MOST_ROWS: usize = 200;
}

/// A token in its context, and what becomes of the prediction of the next one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LostToken {
    /// The context's index in the text.
    pub context: u64,
    /// The token's position in its context.
    pub position: u64,
    /// The tokens around it, itself among them, in their order.
    pub around: Vec<NearToken>,
    /// Its index in `around`; the next one is the one whose prediction is meant, where there is one.
    pub at: u64,
    /// −log p(next) of the model, in nats; none at a context's end.
    #[serde(alias = "ce_model")]
    pub ce_loss_without_sae: Option<f64>,
    /// Per dictionary: −log q(next) + log p(next), in nats; empty at a context's end.
    pub ce_increase: Vec<f64>,
    /// Per dictionary: KL(p ‖ q), in nats.
    pub kl: Vec<f64>,
}

/// A token near another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NearToken {
    /// Its text.
    pub text: String,
    /// The CE increase that every dictionary has at least where it is predicted, in nats; none where nothing predicts it.
    pub increase: Option<f64>,
}

impl LostToken {
    /// What every dictionary loses at least; none where that is not known.
    pub fn least(&self, by: TokenOrder) -> Option<f64> {
        let values = match by {
            TokenOrder::CeIncrease => &self.ce_increase,
            TokenOrder::Kl => &self.kl,
        };
        values.iter().copied().reduce(f64::min)
    }
}

/// How alike the directions of A and B are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Similarity {
    /// mean_i max_j cos(a_i, b_j), signed: MMCS from A to B. It is not symmetric.
    pub mmcs: f64,
    /// mean_j max_i cos(a_i, b_j): MMCS from B to A.
    pub mmcs_back: f64,
    /// The mean cosine of the pairs of the assignment with the largest sum; each direction of the smaller one has a partner.
    pub hungarian: f64,
    /// The shares of those pairs whose cosine is above 0.9 and above 0.7.
    pub above: [f64; 2],
}

/// One of two dictionaries that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Compared {
    /// Its number.
    pub dictionary: DictionaryId,
    /// Its features.
    pub n_features: u64,
    /// Those that fire on the text of its stored metrics: they are compared.
    pub n_alive: u64,
    /// Tokens of that text.
    pub n_tokens: u64,
}

/// Two dictionaries' decoders, compared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Comparison {
    /// A and B.
    pub of: [Compared; 2],
    /// Dimension of the space that both write to.
    pub width: u64,
    /// How alike they are.
    pub found: Similarity,
    /// A and as many random directions, drawn evenly from the sphere, as B has features that fire.
    pub null: Similarity,
}

/// What probes on labelled texts found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProbeAnswer {
    /// Texts in the file.
    pub n_texts: u64,
    /// The labels, in order, with the number of texts of each.
    pub labels: Vec<(String, u64)>,
    /// Per dictionary, its probes.
    pub dictionaries: Vec<Probed>,
}

/// The probes of one dictionary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Probed {
    /// Its number.
    pub dictionary: DictionaryId,
    /// A probe for each number of features.
    pub probes: Vec<ProbePair>,
}

/// Probes on `k` features and on as many of the model's own activations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProbePair {
    /// Features of a probe.
    pub k: u64,
    /// The mean over labels of the accuracy on texts that were not trained on; half is chance.
    pub features: f64,
    /// Its 95 % interval over 1,000 draws of the test texts; none in answers of earlier versions.
    #[serde(default)]
    pub features_interval: Option<(f64, f64)>,
    /// The same of the model's own activations.
    pub activations: f64,
    /// Its interval.
    #[serde(default)]
    pub activations_interval: Option<(f64, f64)>,
    /// Texts of training, all labels together.
    pub n_train: u64,
    /// Texts of the test.
    pub n_test: u64,
}

/// Labelled texts in a file on the server's disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LabelledTexts {
    /// The file.
    pub path: String,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Texts in it.
    pub n_texts: u64,
    /// The labels, in order, with the number of texts of each.
    pub labels: Vec<(String, u64)>,
}
