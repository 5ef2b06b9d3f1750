//! Registered dictionaries on the text that they are measured on: files, model and tokens, brought together.

use anyhow::{Context as _, Result};
use api::{ConfigError, DictionaryInfo, ModelInfo, Progress, TrainConfig};
use engine::{corpus::TokenFile, train::Backend};
use std::{path::PathBuf, sync::Arc, time::Instant};
use store::Store;
use tokio::runtime::Handle;

use crate::{
    jobs::{check_unchanged, pack_corpus},
    room::{self, Moment, Work},
    workspace::Workspace,
};

/// What is brought together.
pub struct OnText<'a> {
    /// The model, where it computes.
    pub backend: &'a dyn Backend,
    /// The model as it is registered.
    pub model: &'a ModelInfo,
    /// The text.
    pub tokens: &'a TokenFile,
    /// The dictionaries' files, whose checksums were checked.
    pub files: &'a [PathBuf],
    /// What says which part of the text is meant.
    pub config: &'a TrainConfig,
}

/// The config of the first dictionary's run, on the text of its stored metrics.
///
/// # Errors
/// Where another one lies at another hook point or was measured on another text: they cannot be measured in one pass.
pub async fn common_config(store: &Store, infos: &[DictionaryInfo]) -> Result<TrainConfig> {
    let mut common: Option<TrainConfig> = None;
    for info in infos {
        let job = store.job(info.job).await?;
        let job = job.with_context(|| format!("there is no job {}", info.job))?;
        let config = job.config.training().cloned();
        let mut config = config.with_context(|| format!("job {} trained no dictionary", info.job))?;
        config.evaluation.split = info.evaluated_on;
        let Some(first) = &common else {
            common = Some(config);
            continue;
        };
        let place = |c: &TrainConfig| {
            format!(
                "{} of {} ({}), on {} of {} in contexts of {}, {} left out",
                c.at,
                c.model,
                c.residual,
                c.evaluation.split.text(),
                c.corpus,
                c.packing.n_ctx,
                c.leave_out
            )
        };
        if place(first) != place(&config) || first.packing != config.packing {
            let message = format!(
                "found {} at {}; expected the same place and text as of {}: {}",
                info.id,
                place(&config),
                infos[0].id,
                place(first)
            );
            return Err(ConfigError::new("dictionaries", message).into());
        }
    }
    common.context("no dictionary was named")
}

/// Told how far something is; it goes on while the answer is true.
pub type Observe<'a> = dyn Fn(Progress) -> bool + Sync + 'a;

/// Runs `work` on the job's threads with the dictionaries, which lie at one hook point, and the model and text of `config`.
///
/// # Errors
/// Files, models and texts that are missing, damaged or not what they were; whatever `work` fails with.
pub async fn on_text<T: Send + 'static>(
    workspace: &Arc<Workspace>,
    infos: &[DictionaryInfo],
    config: TrainConfig,
    work: impl FnOnce(OnText<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (workspace, infos, runtime) = (workspace.clone(), infos.to_vec(), Handle::current());
    let here = move || on_text_here(&workspace, &runtime, &infos, &config, &|_| true, work);
    let done = tokio::task::spawn_blocking(here).await??;
    done.context("tokenising was stopped")
}

/// As [`on_text`], on this thread, which must not be one of the runtime's own. None where `observe` ended it before `work` began.
///
/// # Errors
/// As [`on_text`].
pub fn on_text_here<T: Send>(
    workspace: &Workspace,
    runtime: &Handle,
    infos: &[DictionaryInfo],
    config: &TrainConfig,
    observe: &Observe<'_>,
    work: impl FnOnce(OnText<'_>) -> Result<T> + Send,
) -> Result<Option<T>> {
    let store = &workspace.store;
    let files = infos.iter().map(|info| runtime.block_on(store.verify_dictionary(info.id)));
    let files = files.collect::<Result<Vec<_>, _>>()?;
    let model = runtime.block_on(store.model(&config.model))?;
    let model = model.with_context(|| format!("there is no model '{}'", config.model))?;
    let measured = TrainConfig {
        dictionaries: infos.iter().map(|info| info.config.clone()).collect(),
        ..config.clone()
    };
    room::check(workspace, &measured, &model, Work::Measure, Moment::Begins)?;
    check_unchanged(&model)?;
    let corpus = runtime.block_on(store.corpus(&config.corpus))?;
    let corpus = corpus.with_context(|| format!("there is no corpus '{}'", config.corpus))?;
    let mut told = told(observe, "tokenising", "documents");
    workspace.job_pool()?.install(|| {
        let weights = workspace.models.get(model.folder.as_ref(), &model.hash, config.residual)?;
        let Some(tokens) = pack_corpus(store, &model, &corpus, &config.packing, &mut told)? else {
            return Ok(None);
        };
        let backend = workspace.device.backend(&weights)?;
        work(OnText {
            backend: &*backend,
            model: &model,
            tokens: &tokens,
            files: &files,
            config,
        })
        .map(Some)
    })
}

/// What tells `observe` of counts, with their rate.
pub fn told<'a>(observe: &'a Observe<'a>, stage: &'a str, unit: &'a str) -> impl FnMut(u64, u64) -> bool + Send + 'a {
    let began = Instant::now();
    move |done, total| {
        observe(Progress {
            stage: stage.into(),
            done,
            total,
            unit: unit.into(),
            rate: done as f64 / began.elapsed().as_secs_f64().max(1e-3),
        })
    }
}
