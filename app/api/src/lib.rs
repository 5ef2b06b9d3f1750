//! The vocabulary that the page, the server and the engine speak: ids, hook points, configs,
//! results and errors. Data and validation only: nothing here computes, stores or sends anything.

mod answer;
mod basis;
mod buffer;
mod config;
mod corpus;
mod count;
mod course;
mod defaults;
mod density;
mod derive;
mod dictionary;
mod error;
mod finding;
mod fitted;
mod hook;
mod id;
mod import;
mod input_scale;
mod interval;
mod job;
mod kind;
mod kind_request;
mod kind_settings;
mod known;
mod leave_out;
mod limits;
mod metric;
mod origin;
mod pareto;
mod per_objective;
mod pretrain;
mod question;
mod registry;
mod series;
mod sparsity;
mod sweep;
mod sweep_command;
mod word;

pub use answer::{
    Answer, Compared, Comparison, LabelledTexts, LostToken, NearToken, ProbeAnswer, ProbePair, Probed, Similarity, TokensAnswer,
};
pub use buffer::{Buffer, BufferPlace};
pub use config::{
    Adam, BosPolicy, DictionaryConfig, EosPolicy, Evaluation, EvaluationSplit, Objective, ObjectiveKind, Packing, ResidualFrame,
    Schedule, TrainConfig,
};
pub use corpus::{
    CorpusReading, CorpusSummary, Excerpt, FieldForm, FieldTaken, Piece, SkipReason, Skipped, Spelling, TokenisedExcerpt,
};
pub use count::{DICTIONARIES_PER_REQUEST, RUNS_PER_REQUEST};
pub use course::Course;
pub use defaults::InitialWeights;
pub use density::Density;
pub use derive::DeriveRequest;
pub use dictionary::{DictionaryInfo, Difference, Measurement, TokenSet, Verified};
pub use error::{ApiError, ConfigError, ErrorKind};
pub use finding::{DictionaryFindings, Finding};
pub use hook::{HookPoint, Site};
pub use id::{CorpusId, DictionaryId, JobId, ModelId};
pub use import::ImportRequest;
pub use input_scale::InputScale;
pub use interval::{Interval, Resampled};
pub use job::{Event, HistoryPoint, Job, JobConfig, JobState, Progress, VerifyConfig};
pub use kind::{DictionaryKind, KindName};
pub use known::{BestFeature, CausalUse, Estimate, KnownFeatures, KnownLabel, KnownScores, KnownSummary, LabelKind, Reading};
pub use leave_out::LeaveOut;
pub use metric::{Direction, METRICS, MetricDefinition, MetricGroup, metric};
pub use origin::{Making, Origin, PostHoc};
pub use pareto::{
    Against, AtEqual, ParetoFront, ParetoQuery, ParetoRank, ParetoRanking, ParetoSeries, ParetoSummary, ParetoView,
};
pub use per_objective::PerObjective;
pub use pretrain::{ModelShape, PretrainConfig, TokenizerSource, WeightType};
pub use question::{AskConfig, AskRequest, ProbeQuestion, Question, TokenOrder, TokensQuestion, quoted};
pub use registry::{AddCorpus, CorpusInfo, CorpusSource, DictionaryGroup, Health, ModelInfo, ModelSource, Overview, SetAside};
pub use series::{Series, SeriesKey, SeriesSet};
pub use sparsity::FEATURES_PER_TOKEN;
pub use sweep::{ResolvedAgainst, ResolvedSweep, SweepRequest};
