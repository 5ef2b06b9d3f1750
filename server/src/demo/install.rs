//! The shipped set into a data folder: model, text, runs and dictionaries as rows and files like any others, beside whatever is
//! there, and a verification into the queue. Each step is whole or not there, and is not made twice: an installation that was
//! interrupted goes on.

use anyhow::{Context as _, Result, ensure};
use api::{CorpusId, CorpusInfo, CorpusReading, DictionaryId, DictionaryInfo, Job, JobConfig, JobId, ModelInfo, VerifyConfig};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::Path,
    sync::Arc,
};
use store::Finished;
use tempfile::TempDir;

use super::bundle::{Bundle, Run};
use crate::{jobs::import, workspace::Workspace};

/// The file in a data folder that says which set it has.
const MARK: &str = "demo.json";
const LOCK: &str = "demo.lock";
/// Where the model and the text come from, as pages say it.
const SOURCE: &str = "shipped with saescope";

/// What a data folder has of the shipped set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installed {
    /// The set's version.
    pub version: u32,
    /// Whether all of it is there: an installation that was interrupted left a part.
    pub whole: bool,
}

/// Which set the data folder has; none where it never had one.
///
/// # Errors
/// A mark that cannot be read.
pub fn installed(data: &Path) -> Result<Option<Installed>> {
    let path = data.join(MARK);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read '{}'", path.display())),
    };
    let mark = serde_json::from_slice(&bytes);
    mark.map(Some).with_context(|| {
        format!(
            "'{}' is damaged; it says which demo is in the folder: remove it, and saescope demo --add puts in what is missing",
            path.display()
        )
    })
}

/// Puts the set into the data folder, or what is missing of it. Gives the verification that was queued; none where nothing was
/// missing.
///
/// # Errors
/// The registry's and the system's; a text that the generator no longer comes to.
pub async fn install(workspace: &Arc<Workspace>, bundle: &Bundle) -> Result<Option<JobId>> {
    let _lock = lock(workspace.store.data())?;
    let version = bundle.about.recipe.version;
    mark(workspace, Installed { version, whole: false })?;
    let model = model(workspace, bundle).await?;
    let corpus = corpus(workspace, bundle).await?;
    let mut sweeps: Vec<JobId> = Vec::new();
    let (jobs, known) = (workspace.store.jobs().await?, workspace.store.dictionaries().await?);
    let mut unverified = Vec::new();
    for run in &bundle.about.runs {
        let config = with_names(&run.config, &model, &corpus)?;
        if let Some(job) = jobs.iter().find(|job| job.config == config && made(job, run, &known)) {
            sweeps.push(job.sweep);
            add_known(workspace, bundle, run, job.id).await?;
            let of_job = known.iter().filter(|d| d.job == job.id && d.verified.is_none());
            unverified.extend(of_job.map(|d| d.id));
            continue;
        }
        let sweep = sweeps.get(run.sweep).copied();
        let id = add(workspace, bundle, run, config, sweep, (&model, &corpus)).await?;
        add_known(workspace, bundle, run, id).await?;
        sweeps.push(sweep.unwrap_or(id));
        let job = workspace.store.job(id).await?;
        unverified.extend(job.map(|job| job.dictionaries).unwrap_or_default());
    }
    let verification = VerifyConfig {
        model: model.id,
        corpus: corpus.id,
        dictionaries: unverified,
    };
    let is_known = jobs
        .iter()
        .any(|job| !job.state.is_final() && job.config == verification.clone().into());
    let mut queued = None;
    if !verification.dictionaries.is_empty() && !is_known {
        let command = verification.command();
        queued = workspace.store.enqueue(&[(verification, command)]).await?.pop();
    }
    mark(workspace, Installed { version, whole: true })?;
    Ok(queued)
}

/// Whether the job has made the very dictionaries of the run.
fn made(job: &Job, run: &Run, dictionaries: &[DictionaryInfo]) -> bool {
    let checksum = |id: &DictionaryId| dictionaries.iter().find(|d| d.id == *id).map(|d| d.checksum.as_str());
    let theirs = run.dictionaries.iter().map(|made| Some(made.info.checksum.as_str()));
    job.dictionaries.iter().map(checksum).eq(theirs)
}

/// One process installs at a time.
fn lock(data: &Path) -> Result<File> {
    let path = data.join(LOCK);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("cannot write '{}'", path.display()))?;
    match file.lock() {
        Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error).with_context(|| format!("'{}'", path.display())),
        _ => Ok(file),
    }
}

fn mark(workspace: &Workspace, installed: Installed) -> Result<()> {
    let json = serde_json::to_vec(&installed)?;
    Ok(store::write_atomic(&workspace.store.data().join(MARK), |file| {
        file.write_all(&json)
    })?)
}

fn staging(workspace: &Workspace) -> Result<TempDir> {
    let folder = tempfile::Builder::new()
        .prefix(store::UPLOAD_PREFIX) // which is swept up after a crash
        .tempdir_in(workspace.store.data());
    folder.with_context(|| format!("cannot write to '{}'", workspace.store.data().display()))
}

async fn model(workspace: &Arc<Workspace>, bundle: &Bundle) -> Result<ModelInfo> {
    let models = workspace.store.models().await?;
    if let Some(known) = models.into_iter().find(|model| model.hash == bundle.about.model_hash) {
        return Ok(known);
    }
    let folder = staging(workspace)?;
    for name in &bundle.about.model_files {
        write(&folder.path().join(name), &bundle.file(&format!("model/{name}"))?)?;
    }
    let name = &bundle.about.recipe.model.name.0;
    let added = import::uploaded_model(workspace, folder, SOURCE, name).await?;
    ensure!(
        added.hash == bundle.about.model_hash,
        "the shipped model has the hash {}; expected {}",
        added.hash,
        bundle.about.model_hash
    );
    Ok(added)
}

async fn corpus(workspace: &Arc<Workspace>, bundle: &Bundle) -> Result<CorpusInfo> {
    let corpora = workspace.store.corpora().await?;
    if let Some(known) = corpora.into_iter().find(|corpus| corpus.hash == bundle.about.corpus_hash) {
        return Ok(known);
    }
    let recipe = &bundle.about.recipe;
    let CorpusId(name) = recipe.corpus()?;
    let folder = staging(workspace)?;
    recipe.text.write(&folder.path().join(format!("{name}.jsonl")))?;
    let added = import::uploaded_corpus(workspace, folder, SOURCE, name, &CorpusReading::default()).await?;
    ensure!(
        added.hash == bundle.about.corpus_hash,
        "the stories have the hash {}; expected {}: this program tells other stories than the one that made the set",
        added.hash,
        bundle.about.corpus_hash
    );
    Ok(added)
}

/// The config under the names that model and text have here.
fn with_names(config: &JobConfig, model: &ModelInfo, corpus: &CorpusInfo) -> Result<JobConfig> {
    let mut config = config
        .training()
        .context("a run of the shipped set trains no dictionaries")?
        .clone();
    config.model = model.id.clone();
    config.corpus = corpus.id.clone();
    Ok(config.into())
}

async fn add(
    workspace: &Workspace,
    bundle: &Bundle,
    run: &Run,
    config: JobConfig,
    sweep: Option<JobId>,
    (model, corpus): (&ModelInfo, &CorpusInfo),
) -> Result<JobId> {
    let folder = staging(workspace)?;
    let mut dictionaries = Vec::new();
    for (index, made) in run.dictionaries.iter().enumerate() {
        let path = folder.path().join(index.to_string());
        write(&path, &bundle.file(&made.file)?)?;
        let mut info = made.info.clone();
        info.model = model.id.clone();
        info.corpus = corpus.id.clone();
        dictionaries.push((info, path));
    }
    let finished = Finished {
        config,
        command: run.command.clone(),
        sweep,
        started: run.started,
        finished: run.finished,
        history: bundle.history(run)?,
        dictionaries,
    };
    Ok(workspace.store.add_finished(finished).await?)
}

/// What the dictionaries of the job `id`, which are those of `run`, know of known labels, where that is missing: an installation may
/// have been interrupted between a run and this.
async fn add_known(workspace: &Workspace, bundle: &Bundle, run: &Run, id: JobId) -> Result<()> {
    let job = workspace.store.job(id).await?;
    let dictionaries = job.map(|job| job.dictionaries).unwrap_or_default();
    for (made, dictionary) in run.dictionaries.iter().zip(dictionaries) {
        if workspace.store.known(dictionary).await?.is_none() {
            workspace.store.set_known(dictionary, &bundle.known(made)?).await?;
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write '{}'", path.display()))
}
