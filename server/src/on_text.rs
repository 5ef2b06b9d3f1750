//! Registered dictionaries on the text that they are measured on: files, model and tokens, brought together.

use anyhow::{Context as _, Result, bail};
use api::{ConfigError, DictionaryInfo, ModelInfo, TrainConfig};
use engine::{corpus::TokenFile, train::Backend};
use std::{path::PathBuf, sync::Arc};

use crate::{jobs::pack_corpus, workspace::Workspace};

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
pub async fn common_config(workspace: &Workspace, infos: &[DictionaryInfo]) -> Result<TrainConfig> {
    let mut common: Option<TrainConfig> = None;
    for info in infos {
        let job = workspace.store.job(info.job).await?;
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
                "{} of {} ({}), on {} of {} in contexts of {}",
                c.at,
                c.model,
                c.residual,
                c.evaluation.split.text(),
                c.corpus,
                c.packing.n_ctx
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
            return Err(ConfigError::new("dictionary", message).into());
        }
    }
    common.context("no dictionary was named")
}

/// Runs `work` on the job's threads with the dictionaries, which lie at one hook point, and the model and text of `config`. `stage` is
/// told what is done until then.
///
/// # Errors
/// Files, models and texts that are missing, damaged or not what they were; whatever `work` fails with.
pub async fn on_text<T: Send + 'static>(
    workspace: &Arc<Workspace>,
    infos: &[DictionaryInfo],
    config: TrainConfig,
    work: impl FnOnce(OnText<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let store = &workspace.store;
    let mut files = Vec::with_capacity(infos.len());
    for info in infos {
        files.push(store.verify_dictionary(info.id).await?);
    }
    let model = store.model(&config.model).await?;
    let model = model.with_context(|| format!("there is no model '{}'", config.model))?;
    let corpus = store.corpus(&config.corpus).await?;
    let corpus = corpus.with_context(|| format!("there is no corpus '{}'", config.corpus))?;
    let (pool, workspace) = (workspace.job_pool()?, workspace.clone());
    let work = move || {
        let weights = workspace.models.get(model.folder.as_ref(), &model.hash, config.residual)?;
        let tokens = pack_corpus(&workspace.store, &model, &corpus, &config.packing, &mut |_, _| true)?;
        let Some(tokens) = tokens else {
            bail!("tokenising was stopped")
        };
        let backend = workspace.device.backend(&weights)?;
        work(OnText {
            backend: &*backend,
            model: &model,
            tokens: &tokens,
            files: &files,
            config: &config,
        })
    };
    tokio::task::spawn_blocking(move || pool.install(work)).await?
}
