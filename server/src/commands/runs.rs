//! What every command that makes dictionaries does with its jobs: they stand in the registry, are run here or followed where another
//! process has them, and what came of them is printed.

use anyhow::{Result, bail};
use api::{ConfigError, DictionaryInfo, Job, JobConfig, JobId, JobState, Progress};
use std::{
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::runtime::Handle;

use super::{
    report::Report,
    say::{note, say},
    serve::signal,
    table,
};
use crate::{
    jobs::{Ended, execute, lease::LEASE},
    workspace::Workspace,
};

/// How often a job that another process runs is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Whether a table can be written to `path`: found now, and not after hours of training.
///
/// # Errors
/// When its folder is not there.
pub fn check_csv(path: Option<&Path>) -> Result<(), ConfigError> {
    let folder = path.and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    match folder.filter(|folder| !folder.is_dir()) {
        Some(folder) => Err(ConfigError::new("csv", format!("there is no folder '{}'", folder.display()))),
        None => Ok(()),
    }
}

/// Runs the jobs `ids` for `command`, or follows them, prints what came of them, and writes it to `csv`.
///
/// # Errors
/// The failures of all of them.
pub async fn to_the_end(workspace: &Arc<Workspace>, ids: &[JobId], command: &str, csv: Option<&Path>) -> Result<ExitCode> {
    let stop = Arc::new(AtomicBool::new(false));
    tokio::spawn(stop_on_signal(stop.clone()));
    let owner = workspace.owner(command);
    let mut failed = Vec::new();
    for &id in ids {
        match run_or_follow(workspace, id, &owner, &stop).await? {
            Ended::Done(_) => {}
            Ended::Failed(message) => failed.push(format!("job {id}: {message}")),
            Ended::Cancelled => failed.push(format!(
                "job {id} was cancelled; the same command goes on from its checkpoint"
            )),
            Ended::Lost => failed.push(format!("job {id} was taken over by another process")),
            Ended::Released => {
                cancel_queued(workspace, ids).await?;
                note!("stopped; the same command goes on from the checkpoint");
                return Ok(ExitCode::from(130));
            }
        }
    }
    let dictionaries = dictionaries(workspace, ids).await?;
    if let Some(path) = csv {
        write_table(path, &dictionaries, failed.len())?;
    }
    if !dictionaries.is_empty() {
        print(&dictionaries)?;
    }
    if !failed.is_empty() {
        bail!("{}", failed.join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The jobs of the runs: those that are in the registry already, unless `fresh`, and new ones.
pub async fn jobs<C: Clone + Into<JobConfig>>(workspace: &Workspace, runs: Vec<(C, String)>, fresh: bool) -> Result<Vec<JobId>> {
    let known = if fresh { Vec::new() } else { workspace.store.jobs().await? };
    let mut found: Vec<Option<&Job>> = Vec::new();
    let mut missing = Vec::new();
    for run in runs {
        let config: JobConfig = run.0.clone().into();
        let job = known.iter().find(|job| job.config == config);
        found.push(job);
        if job.is_none() {
            missing.push(run);
        }
    }
    let mut new = workspace.store.enqueue(&missing).await?.into_iter();
    let mut ids = Vec::with_capacity(found.len());
    for job in found {
        let Some(job) = job else {
            ids.extend(new.next());
            continue;
        };
        match job.state {
            JobState::Done => note!("job {}: the same run is done already; --fresh trains it again", job.id),
            JobState::Failed | JobState::Cancelled => {
                workspace.store.resume(job.id).await?;
                note!("job {}: goes on from its last checkpoint; --fresh starts anew", job.id);
            }
            JobState::Queued | JobState::Running => note!("job {}: the same run is in the queue already", job.id),
        }
        ids.push(job.id);
    }
    Ok(ids)
}

/// Runs the job here, or shows how it goes where another process has it.
pub async fn run_or_follow(workspace: &Arc<Workspace>, id: JobId, owner: &str, stop: &Arc<AtomicBool>) -> Result<Ended> {
    let mut report: Option<Report> = None;
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(Ended::Released);
        }
        if let Some(job) = workspace.store.claim_job(id, owner, LEASE).await? {
            return run(workspace, job, owner, stop).await;
        }
        let job = workspace.store.job(id).await?;
        let Some(job) = job else {
            bail!("job {id} is no longer in the registry")
        };
        let end = |text: &str| {
            if report.is_some() {
                note!("job {id}: {text}");
            }
        };
        match job.state {
            JobState::Done => {
                end("done");
                return Ok(Ended::Done(job.dictionaries));
            }
            JobState::Failed => return Ok(Ended::Failed(job.error.unwrap_or_default())),
            JobState::Cancelled => return Ok(Ended::Cancelled),
            JobState::Queued | JobState::Running => {
                let owner = job.owner.as_deref().unwrap_or("nobody yet");
                report
                    .get_or_insert_with(|| Report::new(format!("job {id}, run by {owner}")))
                    .show(&job.progress);
                tokio::time::sleep(EVERY).await;
            }
        }
    }
}

async fn run(workspace: &Arc<Workspace>, job: Job, owner: &str, stop: &Arc<AtomicBool>) -> Result<Ended> {
    let report = Report::new(match &job.config {
        JobConfig::Train(config) => format!(
            "job {} (seed {}, {} dictionaries)",
            job.id,
            config.data_seed,
            config.dictionaries.len()
        ),
        JobConfig::Pretrain(config) => format!("job {} (seed {}, the model {})", job.id, config.seed, config.name),
        JobConfig::Verify(config) => format!("job {} ({} dictionaries)", job.id, config.dictionaries.len()),
        JobConfig::Ask(config) => format!("job {} ({})", job.id, config.what()),
    });
    let (workspace, owner, stop, runtime) = (workspace.clone(), owner.to_owned(), stop.clone(), Handle::current());
    let running = tokio::task::spawn_blocking(move || {
        let ended = execute(&workspace, &runtime, &job, &owner, &stop, &|progress: &Progress| {
            report.show(progress)
        });
        report.end(match &ended {
            Ended::Done(_) => "done",
            Ended::Failed(_) => "failed",
            Ended::Cancelled => "cancelled, with a checkpoint",
            Ended::Released => "stopped, with a checkpoint",
            Ended::Lost => "taken over by another process",
        });
        ended
    });
    Ok(running.await?)
}

/// The first signal stops at the next step, the second at once.
pub async fn stop_on_signal(stop: Arc<AtomicBool>) {
    signal().await;
    stop.store(true, Ordering::Relaxed);
    note!("stopping at the next step, with a checkpoint; once more quits at once");
    signal().await;
    std::process::exit(130);
}

/// The user stopped the command: what it had queued does not stay behind for a server to start.
pub async fn cancel_queued(workspace: &Workspace, ids: &[JobId]) -> Result<()> {
    for &id in ids {
        let is_queued = workspace
            .store
            .job(id)
            .await?
            .is_some_and(|job| job.state == JobState::Queued);
        if is_queued {
            workspace.store.request_cancel(id).await?;
        }
    }
    Ok(())
}

/// What the jobs made, in the order of their configs.
async fn dictionaries(workspace: &Workspace, ids: &[JobId]) -> Result<Vec<DictionaryInfo>> {
    let mut made = Vec::new();
    for &id in ids {
        for dictionary in workspace.store.job(id).await?.map(|job| job.dictionaries).unwrap_or_default() {
            made.extend(workspace.store.dictionary(dictionary).await?);
        }
    }
    Ok(made)
}

/// Writes the table, unless it would be empty: what is there from an earlier sweep is better than a header.
fn write_table(path: &Path, dictionaries: &[DictionaryInfo], n_failed: usize) -> Result<()> {
    let path_is = path.display();
    if dictionaries.is_empty() {
        note!("no dictionary came of it: '{path_is}' is left as it was");
        return Ok(());
    }
    table::write(path, app::charts::csv(dictionaries).as_bytes())?;
    if n_failed > 0 {
        note!("'{path_is}' lacks the dictionaries of {n_failed} runs that did not end");
    }
    Ok(())
}

fn print(dictionaries: &[DictionaryInfo]) -> Result<()> {
    if let Some(first) = dictionaries.first() {
        say!("measured on {}", first.evaluated_on.text())?;
    }
    say!(
        "dictionary  {:<18}  coefficient  seed        L0   alive  CE increase        KL  expl. var.",
        "kind, objective"
    )?;
    for d in dictionaries {
        let metric = |name| d.metric(name).unwrap_or(f64::NAN);
        say!(
            "{:>10}  {:<18}  {:>11}  {:>4}  {:>8.2}  {:>6}  {:>11.4}  {:>8.4}  {:>10.4}",
            d.id.to_string(),
            d.config.series(),
            dial(d),
            d.config.seed,
            metric("l0"),
            metric("alive"),
            metric("ce_increase"),
            metric("kl_div_with_sae"),
            metric("explained_variance")
        )?;
    }
    for d in dictionaries {
        for finding in &d.findings {
            note!("dictionary {}: {}", d.id, finding.says());
            note!("    to try: {}", finding.advice());
        }
    }
    Ok(())
}

/// λ, or k with its name.
fn dial(d: &DictionaryInfo) -> String {
    match d.config.dial() {
        ("λ", value) => value.to_string(),
        (name, value) => format!("{name} {value}"),
    }
}
