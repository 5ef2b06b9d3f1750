//! Models and corpora, as the registry lists them.

use serde::{Deserialize, Serialize};

use crate::{ConfigError, CorpusId, CorpusReading, CorpusSummary, HookPoint, Job, ModelId, Series};

/// Where a model comes from: exactly one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ModelSource {
    /// A Hugging Face folder on the server's disk.
    Folder(String),
    /// A name on the hub.
    Hub(String),
}

/// Where a corpus comes from: one of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorpusSource {
    /// A file, or a folder of files, on the server's disk.
    Path(String),
    /// A data set's name on the hub.
    Hub(String),
}

/// A corpus to be added: where it comes from (`path` or `hub`), and how it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct AddCorpus {
    /// A file, or a folder of files, on the server's disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A data set's name on the hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub: Option<String>,
    /// As [`CorpusReading::text_field`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_field: Option<String>,
    /// As [`CorpusReading::keep_runs`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_runs: bool,
}

impl AddCorpus {
    /// What asks for `source`, read as `reading` says.
    pub fn new(source: CorpusSource, reading: CorpusReading) -> Self {
        let CorpusReading { text_field, keep_runs } = reading;
        let (path, hub) = match source {
            CorpusSource::Path(path) => (Some(path), None),
            CorpusSource::Hub(name) => (None, Some(name)),
        };
        Self {
            path,
            hub,
            text_field,
            keep_runs,
        }
    }

    /// Where it comes from and how it is read.
    ///
    /// # Errors
    /// Both sources or none; a field without a name.
    pub fn check(self) -> Result<(CorpusSource, CorpusReading), ConfigError> {
        let source = match (self.path, self.hub) {
            (Some(path), None) => CorpusSource::Path(path),
            (None, Some(name)) => CorpusSource::Hub(name),
            (Some(_), Some(_)) => return Err(ConfigError::new("path", "found both 'path' and 'hub'; expected one of them")),
            (None, None) => {
                return Err(ConfigError::new(
                    "path",
                    "found neither 'path' nor 'hub'; expected one of them",
                ));
            }
        };
        let reading = CorpusReading {
            text_field: self.text_field,
            keep_runs: self.keep_runs,
        };
        reading.check()?;
        Ok((source, reading))
    }
}

/// A language model in the registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelInfo {
    /// Its id.
    pub id: ModelId,
    /// Where it came from, as it was given.
    pub source: String,
    /// The Hugging Face folder on the server's disk.
    pub folder: String,
    /// Its family, by the name in its config: `gpt2`, `gpt_neo`, `gpt_neox`, `llama`, `mistral`, `qwen2`, `qwen3` or `gemma2`.
    pub family: String,
    /// Blocks.
    pub n_layers: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Heads.
    pub n_heads: usize,
    /// Width of the MLP's hidden layer.
    pub d_mlp: usize,
    /// Entries of the vocabulary.
    pub d_vocab: usize,
    /// Longest context.
    pub n_ctx: usize,
    /// Parameters.
    pub n_params: u64,
    /// Whether its norms are LayerNorms, so that the residual can be centred.
    pub layer_norm: bool,
    /// Whether its tokenizer has a BOS token.
    pub has_bos: bool,
    /// SHA-256 over config, weights and tokenizer, in hexadecimal.
    pub hash: String,
    /// The hook points, in the order of the forward pass, with the width of the tensor at each.
    pub hook_points: Vec<(HookPoint, usize)>,
    /// Seconds since 1970.
    pub created: i64,
}

impl ModelInfo {
    /// The width of the tensor at `at`; none where the model has no such point.
    pub fn width(&self, at: HookPoint) -> Option<usize> {
        self.hook_points
            .iter()
            .find(|(point, _)| *point == at)
            .map(|(_, width)| *width)
    }
}

/// A corpus in the registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CorpusInfo {
    /// Its id.
    pub id: CorpusId,
    /// Where it came from, as it was given.
    pub source: String,
    /// The file or folder on the server's disk.
    pub path: String,
    /// `text`, `json_lines`, `json_array`, `csv`, `tsv`, `parquet` or `token_file`.
    pub format: String,
    /// How its files are read.
    #[serde(default, skip_serializing_if = "CorpusReading::is_default")]
    pub reading: CorpusReading,
    /// Documents.
    pub n_documents: u64,
    /// Bytes of text.
    pub n_bytes: u64,
    /// SHA-256 of the source files, in hexadecimal.
    pub hash: String,
    /// What was read of it; none where it was added before this was kept.
    #[serde(default)]
    pub summary: Option<CorpusSummary>,
    /// Seconds since 1970.
    pub created: i64,
}

/// The dictionaries of one model at one hook point, in a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DictionaryGroup {
    /// The model.
    pub model: ModelId,
    /// The hook point.
    pub at: HookPoint,
    /// How many there are of each series, in their order.
    pub series: Vec<(Series, u64)>,
    /// The smallest and the largest L0; none where none was measured.
    pub l0: Option<(f64, f64)>,
    /// The smallest and the largest CE increase, in nats per token.
    pub ce_increase: Option<(f64, f64)>,
    /// Dictionaries whose stored metrics came out again when they were computed again.
    pub n_verified: u64,
    /// Those of which one did not.
    pub n_differing: u64,
}

impl DictionaryGroup {
    /// Dictionaries.
    pub fn n(&self) -> u64 {
        self.series.iter().map(|(_, n)| n).sum()
    }
}

/// What the first page shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Overview {
    /// Every model.
    pub models: Vec<ModelInfo>,
    /// Every corpus.
    pub corpora: Vec<CorpusInfo>,
    /// The dictionaries by model and hook point, those with the newest first.
    pub dictionaries: Vec<DictionaryGroup>,
    /// Jobs that wait or run, then the last that ended, newest first.
    pub jobs: Vec<Job>,
    /// The data folder.
    pub data: String,
    /// Files of it that the registry did not know when it was opened, the earliest first.
    #[serde(default)]
    pub set_aside: Vec<SetAside>,
    /// The program's version.
    pub version: String,
}

/// Files of a data folder that its registry did not know: of a registry that was removed, or older than they are. They were moved
/// to a folder of their own, under the paths that they had in the data folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SetAside {
    /// The folder.
    pub folder: String,
    /// Dictionaries' weights.
    pub n_dictionaries: u64,
    /// Jobs' folders.
    pub n_jobs: u64,
    /// Answers to questions.
    pub n_answers: u64,
}

impl SetAside {
    /// What it is and what to do, in a sentence or two.
    pub fn text(&self) -> String {
        let counted = |n: u64, one: &str, many: &str| match n {
            0 => None,
            1 => Some(format!("1 {one}")),
            n => Some(format!("{n} {many}")),
        };
        let parts = [
            counted(self.n_dictionaries, "dictionary", "dictionaries"),
            counted(self.n_jobs, "job's folder", "jobs' folders"),
            counted(self.n_answers, "answer", "answers"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let what = if parts.is_empty() {
            "some files".into()
        } else {
            parts.join(", ")
        };
        format!(
            "The registry does not know {what} that lay in the data folder; they were moved to '{}'. If another registry knows them, \
             put it back and move them to where they were; otherwise delete that folder when you no longer need it.",
            self.folder
        )
    }
}

/// The server is there, and its registry answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// True: a server that is not well answers an error.
    pub ok: bool,
    /// The program's version.
    pub version: String,
    /// Whether changing anything needs the server's token.
    pub needs_token: bool,
}
