//! Jobs, their progress, and the events that tell of it.

use serde::{Deserialize, Serialize};

use crate::{AskConfig, ConfigError, CorpusId, DictionaryFindings, DictionaryId, JobId, ModelId, PretrainConfig, TrainConfig};

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waiting for a worker.
    Queued,
    /// A worker has it, under a lease.
    Running,
    /// Finished; its results are in the registry.
    Done,
    /// Stopped by an error; its last checkpoint is kept.
    Failed,
    /// Stopped by its user; its last checkpoint is kept.
    Cancelled,
}

impl JobState {
    /// Whether nothing more will happen to it unless it is resumed.
    pub fn is_final(self) -> bool {
        matches!(self, JobState::Done | JobState::Failed | JobState::Cancelled)
    }
}

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Progress {
    /// What it is doing, in words ("training", "measuring on held-out text").
    pub stage: String,
    /// Units done.
    pub done: u64,
    /// Units in all; 0 while unknown.
    pub total: u64,
    /// What is counted ("tokens", "documents").
    pub unit: String,
    /// Units per second, over the last seconds.
    pub rate: f64,
}

/// What a job does: every value that its result depends on. Each has a field that no other has and refuses those that it does not
/// know, so none is tagged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum JobConfig {
    /// Trains dictionaries.
    Train(TrainConfig),
    /// Trains a language model from scratch.
    Pretrain(PretrainConfig),
    /// Measures dictionaries again.
    Verify(VerifyConfig),
    /// Answers a question about dictionaries.
    Ask(AskConfig),
}

/// Measures dictionaries again, each as its run did, and notes how the stored metrics compare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct VerifyConfig {
    /// Their model.
    pub model: ModelId,
    /// The text they were trained and measured on.
    pub corpus: CorpusId,
    /// The dictionaries.
    pub dictionaries: Vec<DictionaryId>,
}

impl VerifyConfig {
    /// The command that does the same.
    pub fn command(&self) -> String {
        let ids: Vec<String> = self.dictionaries.iter().map(ToString::to_string).collect();
        format!("saescope verify --dictionary {}", ids.join(","))
    }
}

impl JobConfig {
    /// The training of dictionaries, where it is that.
    pub fn training(&self) -> Option<&TrainConfig> {
        match self {
            JobConfig::Train(config) => Some(config),
            JobConfig::Pretrain(_) | JobConfig::Verify(_) | JobConfig::Ask(_) => None,
        }
    }

    /// The model that it needs, where it needs one.
    pub fn model(&self) -> Option<&ModelId> {
        match self {
            JobConfig::Train(config) => Some(&config.model),
            JobConfig::Pretrain(_) => None,
            JobConfig::Verify(config) => Some(&config.model),
            JobConfig::Ask(config) => Some(&config.model),
        }
    }

    /// The text.
    pub fn corpus(&self) -> &CorpusId {
        match self {
            JobConfig::Train(config) => &config.corpus,
            JobConfig::Pretrain(config) => &config.corpus,
            JobConfig::Verify(config) => &config.corpus,
            JobConfig::Ask(config) => &config.corpus,
        }
    }

    /// Checks what can be checked without the model and the corpus.
    ///
    /// # Errors
    /// The first field that cannot be used.
    pub fn validate(&self) -> Result<(), ConfigError> {
        match self {
            JobConfig::Train(config) => config.validate(),
            JobConfig::Pretrain(config) => config.validate(),
            JobConfig::Verify(config) if config.dictionaries.is_empty() => Err(ConfigError::new(
                "dictionaries",
                "found none; expected at least one".to_owned(),
            )),
            JobConfig::Verify(_) => Ok(()),
            JobConfig::Ask(config) => config.question.validate(&config.dictionaries),
        }
    }
}

impl From<TrainConfig> for JobConfig {
    fn from(config: TrainConfig) -> Self {
        JobConfig::Train(config)
    }
}

impl From<VerifyConfig> for JobConfig {
    fn from(config: VerifyConfig) -> Self {
        JobConfig::Verify(config)
    }
}

impl From<AskConfig> for JobConfig {
    fn from(config: AskConfig) -> Self {
        JobConfig::Ask(config)
    }
}

impl From<PretrainConfig> for JobConfig {
    fn from(config: PretrainConfig) -> Self {
        JobConfig::Pretrain(config)
    }
}

/// A job in the registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// What it does.
    pub config: JobConfig,
    /// The command that does the same.
    pub command: String,
    /// Jobs of one sweep share it: the number of the first of them.
    pub sweep: JobId,
    /// Where it stands.
    pub state: JobState,
    /// How far it is.
    pub progress: Progress,
    /// What stopped it, when it failed.
    pub error: Option<String>,
    /// Who runs it ("server 4711 on host", "saescope sweep 4712 on host").
    pub owner: Option<String>,
    /// Whether its user asked it to stop.
    pub cancel_requested: bool,
    /// Seconds since 1970: when it was asked for.
    pub created: i64,
    /// When it began.
    pub started: Option<i64>,
    /// When it ended.
    pub finished: Option<i64>,
    /// The dictionaries it made, in the order of the config's; empty until it is done.
    pub dictionaries: Vec<DictionaryId>,
    /// What is wrong with some of them, as far as the run's curves and metrics tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<DictionaryFindings>,
}

/// One point of a run's curves, for one of its dictionaries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryPoint {
    /// Optimiser step, from 0.
    pub step: usize,
    /// Tokens seen after it.
    pub tokens: u64,
    /// Index into the config's dictionaries; 0 for pretraining.
    pub dictionary: usize,
    /// Values by name: `loss`, `loss/sparsity`, `loss/reconstruction`, `loss/kl`, `loss/downstream`, `lr`, `grad_norm`, `l0`,
    /// and, where the validation text was measured, `validation/…` with the metrics' names. Of pretraining: `loss`, `lr`,
    /// `grad_norm`, `validation/loss` and, at its end, `final/loss` and `tokens_per_second`.
    pub values: std::collections::BTreeMap<String, f64>,
}

/// What a page's event stream carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A job appeared or changed.
    Job {
        /// The job as it is now (boxed: it is far larger than the other events).
        job: Box<Job>,
    },
    /// Points were added to a job's history.
    History {
        /// The job.
        job: JobId,
        /// How many points there are now.
        n_points: usize,
    },
    /// The registry's models, corpora or dictionaries changed.
    Registry,
}
