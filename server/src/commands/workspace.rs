//! What the commands have in common: the data folder opened, and models and corpora found by name or path.

use anyhow::{Context as _, Result};
use api::{ConfigError, CorpusId, CorpusInfo, CorpusReading, ModelId, ModelInfo};
use std::{future::Future, path::Path, sync::Arc, time::Duration};

use super::{Global, say::note};
use crate::{device::Kind, hub, jobs::import, workspace::Workspace};

/// How long the registry may take to close: a thread that is left behind may hold a connection.
const CLOSES_WITHIN: Duration = Duration::from_secs(5);

/// Opens the data folder, does `work` with it, and closes it, whatever came of the work.
pub fn on<T>(global: &Global, work: impl AsyncFnOnce(Arc<Workspace>) -> Result<T>) -> Result<T> {
    block_on(async {
        let workspace = open(global).await?;
        let done = work(workspace.clone()).await;
        close(&workspace).await;
        done
    })
}

/// Closes the registry, so that nothing of it is left beside its file.
pub async fn close(workspace: &Workspace) {
    if tokio::time::timeout(CLOSES_WITHIN, workspace.store.close()).await.is_err() {
        tracing::warn!("the registry is still in use; its log is folded in by the next command");
    }
}

/// Runs `work` on a runtime of its own.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(work);
    // a thread may still wait for a file or the network: what is done is done, and nobody waits for the rest
    runtime.shutdown_background();
    result
}

/// Opens the data folder.
pub async fn open(global: &Global) -> Result<Arc<Workspace>> {
    let device = global.device.open()?;
    if global.device != Kind::Cpu {
        note!("computing on {}", device.name());
    }
    let workspace = Workspace::open(&global.data, global.n_threads(), device).await;
    let workspace = workspace.with_context(|| format!("the data folder '{}' cannot be opened", global.data.display()))?;
    if let Some(set_aside) = workspace.store.set_aside_at_opening()? {
        note!("{}", set_aside.text());
    }
    Ok(Arc::new(workspace))
}

/// The model that `given` names: its id, a folder, or its name on the hub. Added to the registry if it is not there.
pub async fn model(workspace: &Arc<Workspace>, given: &str) -> Result<ModelInfo> {
    if let Some(known) = workspace.store.model(&ModelId(given.into())).await? {
        return Ok(known);
    }
    if Path::new(given).exists() {
        return import::model(workspace, Path::new(given), given, None).await;
    }
    let pulled = workspace
        .store
        .models()
        .await?
        .into_iter()
        .find(|model| model.source == given);
    match pulled {
        Some(known) => Ok(known),
        None if is_hub_name(given) => pull_model(workspace, given).await,
        None => Err(ConfigError::new("model", unknown(given, "Hugging Face folder", "EleutherAI/pythia-70m")).into()),
    }
}

/// A corpus, and whether it was read now.
pub struct FoundCorpus {
    pub corpus: CorpusInfo,
    read_now: bool,
}

/// As [`find_corpus`], and says what was read where it was read now.
pub async fn corpus(workspace: &Arc<Workspace>, given: &str, reading: &CorpusReading) -> Result<CorpusInfo> {
    let FoundCorpus { corpus, read_now } = find_corpus(workspace, given, reading).await?;
    if let Some(summary) = corpus.summary.as_ref().filter(|_| read_now) {
        note!("corpus {}: {}", corpus.id, summary.lines().join("; "));
    }
    Ok(corpus)
}

/// The corpus that `given` names: its id, or a file or folder. Added to the registry, read as `reading` says, if it is not there.
pub async fn find_corpus(workspace: &Arc<Workspace>, given: &str, reading: &CorpusReading) -> Result<FoundCorpus> {
    let there = |corpus| FoundCorpus { corpus, read_now: false };
    let new = |corpus| FoundCorpus { corpus, read_now: true };
    if let Some(known) = workspace.store.corpus(&CorpusId(given.into())).await? {
        if reading.is_default() || known.reading == *reading {
            return Ok(there(known));
        }
        let message = format!(
            "the corpus '{given}' is in the registry and was read otherwise; leave {} out, or give the path '{}' with it to add it anew",
            reading.options().join(" and "),
            known.path
        );
        return Err(ConfigError::new("text_field", message).into());
    }
    if Path::new(given).exists() {
        return import::corpus(workspace, Path::new(given), given, None, reading)
            .await
            .map(new);
    }
    let pulled = workspace
        .store
        .corpora()
        .await?
        .into_iter()
        .find(|corpus| corpus.source == given && (reading.is_default() || corpus.reading == *reading));
    match pulled {
        Some(known) => Ok(there(known)),
        None if is_hub_name(given) => pull_dataset(workspace, given, Vec::new(), reading).await.map(new),
        None => Err(ConfigError::new("corpus", unknown(given, "file or folder", "roneneldan/TinyStories")).into()),
    }
}

/// Fetches a model from the hub and adds it.
pub async fn pull_model(workspace: &Arc<Workspace>, name: &str) -> Result<ModelInfo> {
    let folder = hub::pull_model(name.to_owned(), show()).await?;
    import::model(workspace, &folder, name, Some(name)).await
}

/// Fetches a data set's files from the hub and adds them as a corpus.
pub async fn pull_dataset(
    workspace: &Arc<Workspace>,
    name: &str,
    files: Vec<String>,
    reading: &CorpusReading,
) -> Result<CorpusInfo> {
    let path = hub::pull_dataset(name.to_owned(), files, show()).await?;
    import::corpus(workspace, &path, name, Some(name), reading).await
}

fn show() -> hub::Show {
    use std::io::IsTerminal as _;
    if std::io::stderr().is_terminal() {
        hub::Show::Bars
    } else {
        hub::Show::Nothing
    }
}

/// `owner/name`, and not a path that is mistyped.
fn is_hub_name(given: &str) -> bool {
    let mut parts = given.split('/');
    let is_part = |part: Option<&str>| part.is_some_and(|part| !part.is_empty() && !part.starts_with('.'));
    is_part(parts.next()) && is_part(parts.next()) && parts.next().is_none()
}

fn unknown(given: &str, what: &str, example: &str) -> String {
    format!(
        "there is no '{given}': neither in the registry nor as a {what} on this machine; give one of these, or a name on the hub such as {example}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_path_is_no_hub_name() {
        assert!(is_hub_name("EleutherAI/pythia-70m"));
        for path in ["models/a/b", "./models", "../models", "/models", "models", "models/"] {
            assert!(!is_hub_name(path), "{path}");
        }
    }
}
