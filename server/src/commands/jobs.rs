//! `saescope jobs`, `cancel` and `resume`: the queue from the command line.

use anyhow::Result;
use api::{Job, JobConfig, JobId, JobState};
use clap::Args;
use std::process::ExitCode;

use super::{Global, say::say, workspace};

/// List the jobs of the data folder, newest first
#[derive(Debug, Args)]
#[command(after_help = "Example:
  saescope jobs --data data")]
pub struct Jobs {}

/// Stop a job; it keeps a checkpoint
#[derive(Debug, Args)]
#[command(after_help = "Example:
  saescope cancel 3")]
pub struct Cancel {
    /// The job's number
    #[arg(value_name = "JOB")]
    job: i64,
}

/// Queue a failed or cancelled job again; a server takes it up from its checkpoint
#[derive(Debug, Args)]
#[command(after_help = "Example:
  saescope resume 3")]
pub struct Resume {
    /// The job's number
    #[arg(value_name = "JOB")]
    job: i64,
}

impl Jobs {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        workspace::on(global, async |workspace| {
            let jobs = workspace.store.jobs().await?;
            if jobs.is_empty() {
                say!("no job yet; start one with saescope sweep, or in the browser with saescope serve")?;
            }
            for job in &jobs {
                say!("{}", line(job))?;
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

impl Cancel {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        workspace::on(global, async |workspace| {
            let job = workspace.store.request_cancel(JobId(self.job)).await?;
            match job.state {
                JobState::Cancelled => say!("job {} is cancelled", job.id)?,
                _ => say!("job {} will stop in a few seconds and keep a checkpoint", job.id)?,
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

impl Resume {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        workspace::on(global, async |workspace| {
            let job = workspace.store.resume(JobId(self.job)).await?;
            say!("job {} waits for a server; to run it here instead: {}", job.id, job.command)?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

fn line(job: &Job) -> String {
    let state = match job.state {
        JobState::Queued => "waits".to_string(),
        JobState::Running if job.cancel_requested => "stops".to_string(),
        JobState::Running => match (job.progress.done * 100).checked_div(job.progress.total) {
            Some(percent) => format!("{} {percent} %", job.progress.stage),
            None => job.progress.stage.clone(),
        },
        JobState::Done if job.findings.is_empty() => "done".to_string(),
        JobState::Done => {
            let n: usize = job.findings.iter().map(|found| found.findings.len()).sum();
            let things = if n == 1 { "thing" } else { "things" };
            format!("done, {n} {things} to look at (its page, or its dictionaries', has them)")
        }
        JobState::Failed => format!("failed: {}", job.error.as_deref().unwrap_or("for an unknown reason")),
        JobState::Cancelled => "cancelled".to_string(),
    };
    let owner = job.owner.as_deref().map(|owner| format!(" ({owner})")).unwrap_or_default();
    let what = match &job.config {
        JobConfig::Train(config) => format!(
            "{} at {}, {} dictionaries, seed {}, {} tokens of {}",
            config.model,
            config.at,
            config.dictionaries.len(),
            config.data_seed,
            config.tokens,
            config.corpus
        ),
        JobConfig::Pretrain(config) => format!(
            "the model {}, seed {}, {} tokens of {}",
            config.name, config.seed, config.tokens, config.corpus
        ),
        JobConfig::Verify(config) => format!("{} dictionaries of {} again", config.dictionaries.len(), config.model),
        JobConfig::Ask(config) => config.what(),
    };
    format!("{}\t{state}{owner}\t{what}", job.id)
}
