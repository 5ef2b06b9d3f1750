//! A claimed job, run to its end: whatever happens, the registry says how it ended.

use anyhow::Result;
use api::{DictionaryId, ErrorKind, Job, JobConfig, Progress};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};
use store::End;
use tokio::runtime::Handle;

use super::{
    ask,
    lease::{LEASE, Lease, StopReason},
    pretrain, train, verify,
};
use crate::{http::log_id, short::panic_message, workspace::Workspace};

/// How soon it is tried again to write how a job ended.
const AGAIN: Duration = Duration::from_secs(1);

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// What it made is in the registry: these dictionaries, a model, or an answer.
    Done(Vec<DictionaryId>),
    /// It failed, with this message; its last checkpoint is kept.
    Failed(String),
    /// Its user asked it to stop; its last checkpoint is kept.
    Cancelled,
    /// The process ends; the job is in the queue again, with its checkpoint.
    Released,
    /// Someone else has it.
    Lost,
}

/// What a job's stages need.
pub struct Stage<'a> {
    /// The data folder, the models in memory, the threads.
    pub workspace: &'a Workspace,
    /// For the registry's calls, from the job's thread.
    pub runtime: &'a Handle,
    /// The job.
    pub job: &'a Job,
    /// Who runs it.
    pub owner: &'a str,
    lease: Lease,
    /// Becomes true when the process ends.
    stop: &'a AtomicBool,
    report: &'a (dyn Fn(&Progress) + Sync),
}

impl Stage<'_> {
    /// Tells how far the job is.
    pub fn progress(&self, progress: Progress) {
        (self.report)(&progress);
        self.lease.set(progress);
    }

    /// Tells that a stage of unknown length begins.
    pub fn begin(&self, stage: &str) {
        self.progress(Progress {
            stage: stage.into(),
            ..Progress::default()
        });
    }

    /// Whether the job should stop.
    pub fn should_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.lease.stop_reason().is_some()
    }

    /// Whether the job is someone else's by now.
    pub fn is_lost(&self) -> bool {
        self.lease.stop_reason() == Some(StopReason::Lost)
    }
}

/// Runs a job that `owner` has claimed, on this thread, until it ends, or `stop` becomes true and it has kept a checkpoint.
/// Must not be called from the runtime's own threads.
pub fn execute(
    workspace: &Workspace,
    runtime: &Handle,
    job: &Job,
    owner: &str,
    stop: &AtomicBool,
    report: &(dyn Fn(&Progress) + Sync),
) -> Ended {
    let lease = Lease::hold(workspace.store.clone(), runtime, job.id, owner.to_owned());
    let stage = Stage {
        workspace,
        runtime,
        job,
        owner,
        lease,
        stop,
        report,
    };
    let result = catch_unwind(AssertUnwindSafe(|| match &job.config {
        JobConfig::Train(config) => train::train(&stage, config),
        // what it makes is a model
        JobConfig::Pretrain(config) => pretrain::pretrain(&stage, config).map(|done| done.map(|_| Vec::new())),
        JobConfig::Verify(config) => verify::verify(&stage, config).map(|done| done.map(|()| Vec::new())),
        JobConfig::Ask(config) => ask::ask(&stage, config).map(|done| done.map(|()| Vec::new())),
    }));
    let ended = match result {
        Ok(Ok(Some(dictionaries))) => return Ended::Done(dictionaries),
        _ if stage.is_lost() => return Ended::Lost,
        Ok(Ok(None)) if stage.lease.stop_reason() == Some(StopReason::Cancelled) => Ended::Cancelled,
        Ok(Ok(None)) => Ended::Released,
        Ok(Err(error)) => Ended::Failed(format!("{error:#}")),
        Err(panic) => Ended::Failed(bug(job, &panic_message(&*panic))),
    };
    match leave(&stage, &ended) {
        Ok(()) => ended,
        Err(error) => {
            // the job stays "running" until its lease runs out, and is then taken up from its checkpoint
            tracing::error!("job {}: how it ended could not be written: {error:#}", job.id);
            ended
        }
    }
}

/// Writes how the job ended. Where the registry cannot be written, as on a full disk, it is tried again for as long as a lease lasts:
/// there may be room again.
fn leave(stage: &Stage<'_>, ended: &Ended) -> Result<()> {
    let end = match ended {
        Ended::Failed(message) => End::Failed(message.clone()),
        Ended::Cancelled => End::Cancelled,
        Ended::Released => End::Released,
        Ended::Done(_) | Ended::Lost => return Ok(()), // already written, or no longer ours to write
    };
    let (store, id) = (&stage.workspace.store, stage.job.id);
    let (began, mut is_told) = (Instant::now(), false);
    loop {
        match stage.runtime.block_on(store.finish(id, stage.owner, end.clone())) {
            Err(error)
                if error.kind() == ErrorKind::Internal && began.elapsed() < LEASE && !stage.stop.load(Ordering::Relaxed) =>
            {
                if !is_told {
                    tracing::warn!("job {id}: how it ended could not be written yet: {error}");
                }
                is_told = true;
                thread::sleep(AGAIN);
            }
            written => return Ok(written?),
        }
    }
}

fn bug(job: &Job, message: &str) -> String {
    let id = log_id();
    tracing::error!(%id, "job {} {message}", job.id);
    format!("{message}; this is a bug in saescope, its log has more under {id}; the last checkpoint is kept")
}
