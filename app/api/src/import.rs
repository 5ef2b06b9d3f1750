//! What is asked for when another tool's dictionary is brought in.

use serde::{Deserialize, Serialize};

use crate::{BosPolicy, CorpusId, EosPolicy, EvaluationSplit, HookPoint, ModelId, ResidualFrame};

/// A dictionary to be imported, and what it is measured with. What is left out is as the file says, or takes the default that training
/// has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// A file or a folder on the server's disk, a repository on the hub with the file or folder in it: `owner/name/path`,
    /// or a name in SAELens' registry: `release/id`.
    pub source: String,
    /// The model.
    pub model: ModelId,
    /// Whether the file may name another model: its owner knows that they are one.
    #[serde(default)]
    pub any_model: bool,
    /// The text that it is measured on.
    pub corpus: CorpusId,
    /// Its number, from 0, in a file of several.
    #[serde(default)]
    pub number: Option<usize>,
    /// Where it reads and writes.
    #[serde(default)]
    pub at: Option<HookPoint>,
    /// Where a transcoder reads, if its file does not say it.
    #[serde(default)]
    pub read_at: Option<HookPoint>,
    /// How it reads the residual stream.
    #[serde(default)]
    pub residual: Option<ResidualFrame>,
    /// Tokens per context.
    #[serde(default)]
    pub n_ctx: Option<usize>,
    /// What the BOS token opens.
    #[serde(default)]
    pub bos: Option<BosPolicy>,
    /// What the EOS token closes.
    #[serde(default)]
    pub eos: Option<EosPolicy>,
    /// The text of the metrics.
    #[serde(default)]
    pub evaluate_on: Option<EvaluationSplit>,
    /// Tokens of it.
    #[serde(default)]
    pub eval_tokens: Option<usize>,
}
