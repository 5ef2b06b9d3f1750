//! Jobs: the queue, who runs what, and how each ended. One job has one owner at a time, over all processes.

use std::time::Duration;

use api::{DictionaryId, Job, JobConfig, JobId, JobState, Progress};
use sqlx::SqliteConnection;

use crate::{
    Store, StoreError,
    history::no_job,
    open::{At, from_json, now, now_ms, to_json, unreadable},
    row::row,
};

/// What a heartbeat is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heartbeat {
    /// Carry on.
    Go,
    /// The job's user asked it to stop: end it with [`End::Cancelled`].
    Cancel,
    /// Someone else has the job, or it has ended: stop, and write nothing more.
    Lost,
}

/// How a job's owner leaves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It is finished; its dictionaries, in the order of its config.
    Done(Vec<DictionaryId>),
    /// It failed, with this message.
    Failed(String),
    /// It stopped because its user asked for it.
    Cancelled,
    /// Back to the queue, for example because the process ends; its checkpoint is kept.
    Released,
}

/// A job's columns; `dictionaries` and `findings` are JSON lists.
macro_rules! select_job {
    ($rest:literal) => {
        concat!(
            "select id, sweep, config, command, state, progress, error, owner, cancel_requested, created, started, finished,
             (select json_group_array(d.id order by d.position) from dictionary d where d.job = job.id and d.position is not null)
             as dictionaries,
             (select json_group_array(json_object('dictionary', d.id, 'findings', json_extract(d.info, '$.findings')) order by d.position)
             from dictionary d where d.job = job.id and d.position is not null and json_extract(d.info, '$.findings') is not null)
             as findings from job ",
            $rest
        )
    };
}

row! {
    struct JobRow {
        id: i64,
        sweep: i64,
        config: String,
        command: String,
        state: String,
        progress: String,
        error: Option<String>,
        owner: Option<String>,
        cancel_requested: bool,
        created: i64,
        started: Option<i64>,
        finished: Option<i64>,
        dictionaries: String,
        findings: String,
    }
}

impl Store {
    /// Puts one sweep's runs into the queue, each with the command that does the same. The sweep's number is that of its
    /// first job.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a config that cannot be used; [`StoreError::NotFound`] for a model or corpus that is not in
    /// the registry. Nothing is then added.
    pub async fn enqueue<C: Clone + Into<JobConfig>>(&self, runs: &[(C, String)]) -> Result<Vec<JobId>, StoreError> {
        let mut ids: Vec<JobId> = Vec::with_capacity(runs.len());
        let mut tx = self.begin().await?;
        for (config, command) in runs {
            let config: JobConfig = config.clone().into();
            config.validate()?;
            self.check_names(&mut tx, &config).await?;
            let id: i64 = sqlx::query_scalar(
                "insert into job (sweep, model, corpus, config, command, state, progress, created)
                 values (?, ?, ?, ?, ?, 'queued', ?, ?) returning id",
            )
            .bind(ids.first().map_or(0, |first| first.0))
            .bind(config.model().map(|model| &model.0))
            .bind(&config.corpus().0)
            .bind(to_json(&config, self, "a new job")?)
            .bind(command)
            .bind(to_json(&Progress::default(), self, "a new job")?)
            .bind(now())
            .fetch_one(&mut *tx)
            .await
            .at(self)?;
            if ids.is_empty() {
                sqlx::query("update job set sweep = id where id = ?")
                    .bind(id)
                    .execute(&mut *tx)
                    .await
                    .at(self)?;
            }
            ids.push(JobId(id));
        }
        tx.commit().await.at(self)?;
        Ok(ids)
    }

    /// Every job, newest first.
    ///
    /// # Errors
    /// [`StoreError::Database`]; [`StoreError::Row`].
    pub async fn jobs(&self) -> Result<Vec<Job>, StoreError> {
        let rows: Vec<JobRow> = sqlx::query_as(select_job!("order by id desc"))
            .fetch_all(self.pool())
            .await
            .at(self)?;
        rows.into_iter().map(|row| self.job_of(row)).collect()
    }

    /// The job `id`.
    ///
    /// # Errors
    /// [`StoreError::Database`]; [`StoreError::Row`].
    pub async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let mut connection = self.pool().acquire().await.at(self)?;
        self.job_in(&mut connection, id).await
    }

    /// The jobs that changed after the jobs' revision was `since`, the earliest change first.
    ///
    /// # Errors
    /// [`StoreError::Database`]; [`StoreError::Row`].
    pub async fn changed_jobs(&self, since: i64) -> Result<Vec<Job>, StoreError> {
        let rows: Vec<JobRow> = sqlx::query_as(select_job!("where revision > ? order by revision"))
            .bind(since)
            .fetch_all(self.pool())
            .await
            .at(self)?;
        rows.into_iter().map(|row| self.job_of(row)).collect()
    }

    /// Renews the owner's lease and tells how far the job is. An owner that is late keeps its job as long as nobody took it.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn heartbeat(&self, id: JobId, owner: &str, progress: &Progress, lease: Duration) -> Result<Heartbeat, StoreError> {
        let mut progress = progress.clone();
        if !progress.rate.is_finite() {
            progress.rate = 0.0; // JSON has no way to write it
        }
        let cancel: Option<bool> = sqlx::query_scalar(
            "update job set progress = ?, lease_until = ? where id = ? and owner = ? and state = 'running'
             returning cancel_requested",
        )
        .bind(to_json(&progress, self, format!("job {id}"))?)
        .bind(until(lease))
        .bind(id.0)
        .bind(owner)
        .fetch_optional(self.pool())
        .await
        .at(self)?;
        Ok(match cancel {
            None => Heartbeat::Lost,
            Some(true) => Heartbeat::Cancel,
            Some(false) => Heartbeat::Go,
        })
    }

    /// Ends the owner's work on the job.
    ///
    /// A job that its user asked to stop does not go back to the queue: [`End::Released`] then cancels it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when `owner` does not have it (any more).
    pub async fn finish(&self, id: JobId, owner: &str, end: End) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        self.finish_in(&mut tx, id, owner, &end).await?;
        tx.commit().await.at(self)
    }

    /// Asks the job to stop. One that waits, or whose owner is gone, is cancelled at once; one that runs ends at its owner's
    /// next heartbeat.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Conflict`] for a job that has ended.
    pub async fn request_cancel(&self, id: JobId) -> Result<Job, StoreError> {
        let mut tx = self.begin().await?;
        self.end_leases_of_the_dead(&mut tx).await?;
        let job = self.job_in(&mut tx, id).await?.ok_or_else(|| no_job(id))?;
        if job.state.is_final() {
            return Err(StoreError::Conflict(format!(
                "job {id} is {}, which is final; only a queued or running job can be cancelled",
                word(job.state)
            )));
        }
        sqlx::query(
            "update job set cancel_requested = 1,
                 state       = iif(state = 'queued' or lease_until <= ?1, 'cancelled', state),
                 finished    = iif(state = 'queued' or lease_until <= ?1, ?2, finished),
                 owner       = iif(state = 'queued' or lease_until <= ?1, null, owner),
                 lease_until = iif(state = 'queued' or lease_until <= ?1, null, lease_until)
             where id = ?3",
        )
        .bind(now_ms())
        .bind(now())
        .bind(id.0)
        .execute(&mut *tx)
        .await
        .at(self)?;
        self.committed(tx, id).await
    }

    /// Puts a failed or cancelled job back into the queue; it goes on from its checkpoint.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Conflict`] for a job in another state.
    pub async fn resume(&self, id: JobId) -> Result<Job, StoreError> {
        let mut tx = self.begin().await?;
        let job = self.job_in(&mut tx, id).await?.ok_or_else(|| no_job(id))?;
        if !matches!(job.state, JobState::Failed | JobState::Cancelled) {
            return Err(StoreError::Conflict(format!(
                "job {id} is {}; only a failed or cancelled job can be resumed",
                word(job.state)
            )));
        }
        sqlx::query(
            "update job set state = 'queued', error = null, cancel_requested = 0, started = null, finished = null, deaths = 0
             where id = ?",
        )
        .bind(id.0)
        .execute(&mut *tx)
        .await
        .at(self)?;
        self.committed(tx, id).await
    }

    /// Commits, and answers with the job as it then is.
    async fn committed(&self, mut tx: sqlx::Transaction<'_, sqlx::Sqlite>, id: JobId) -> Result<Job, StoreError> {
        let job = self.job_in(&mut tx, id).await?.ok_or_else(|| no_job(id))?;
        tx.commit().await.at(self)?;
        Ok(job)
    }

    /// [`Store::finish`] within a transaction.
    pub(crate) async fn finish_in(
        &self,
        connection: &mut SqliteConnection,
        id: JobId,
        owner: &str,
        end: &End,
    ) -> Result<(), StoreError> {
        let job = self.job_in(connection, id).await?.ok_or_else(|| no_job(id))?;
        if job.state != JobState::Running || job.owner.as_deref() != Some(owner) {
            let whose = job.owner.map_or_else(String::new, |other| format!(" by '{other}'"));
            return Err(StoreError::Conflict(format!(
                "job {id} is {}{whose}; expected it to be running by '{owner}', whose lease ran out or who ended it before",
                word(job.state)
            )));
        }
        let (state, error) = match end {
            End::Done(_) => (JobState::Done, None),
            End::Failed(message) => (JobState::Failed, Some(message.as_str())),
            End::Released if !job.cancel_requested => (JobState::Queued, None),
            End::Cancelled | End::Released => (JobState::Cancelled, None),
        };
        if let End::Done(dictionaries) = end {
            self.place_in(connection, id, dictionaries).await?;
        }
        sqlx::query("update job set state = ?, error = ?, owner = null, lease_until = null, finished = ? where id = ?")
            .bind(word(state))
            .bind(error)
            .bind(state.is_final().then(now))
            .bind(id.0)
            .execute(&mut *connection)
            .await
            .at(self)?;
        Ok(())
    }

    /// Gives the dictionaries of a job that is done their places in its config.
    pub(crate) async fn place_in(
        &self,
        connection: &mut SqliteConnection,
        id: JobId,
        dictionaries: &[DictionaryId],
    ) -> Result<(), StoreError> {
        for (position, dictionary) in dictionaries.iter().enumerate() {
            let placed = sqlx::query("update dictionary set position = ? where id = ? and job = ?")
                .bind(position as i64)
                .bind(dictionary.0)
                .bind(id.0)
                .execute(&mut *connection)
                .await
                .at(self)?;
            if placed.rows_affected() == 0 {
                return Err(StoreError::NotFound(format!("dictionary {dictionary} made by job {id}")));
            }
        }
        Ok(())
    }

    /// [`Store::job`] within a transaction.
    pub(crate) async fn job_in(&self, connection: &mut SqliteConnection, id: JobId) -> Result<Option<Job>, StoreError> {
        let row: Option<JobRow> = sqlx::query_as(select_job!("where id = ?"))
            .bind(id.0)
            .fetch_optional(connection)
            .await
            .at(self)?;
        row.map(|row| self.job_of(row)).transpose()
    }

    pub(crate) async fn check_names(&self, connection: &mut SqliteConnection, config: &JobConfig) -> Result<(), StoreError> {
        let model = config.model().map(|model| &model.0);
        let (has_model, has_corpus): (bool, bool) = sqlx::query_as(
            "select ?1 is null or exists (select 1 from model where id = ?1), exists (select 1 from corpus where id = ?2)",
        )
        .bind(model)
        .bind(&config.corpus().0)
        .fetch_one(connection)
        .await
        .at(self)?;
        let missing = |what: &str, id: &str| StoreError::NotFound(format!("{what} '{id}' in the registry; add it first"));
        match (has_model, has_corpus) {
            (true, true) => Ok(()),
            (false, _) => Err(missing("model", model.map_or("", |id| id))),
            (_, false) => Err(missing("corpus", &config.corpus().0)),
        }
    }

    fn job_of(&self, row: JobRow) -> Result<Job, StoreError> {
        let name = format!("job {}", row.id);
        let ids: Vec<i64> = from_json(&row.dictionaries, self, &name)?;
        Ok(Job {
            id: JobId(row.id),
            config: from_json(&row.config, self, &name)?,
            command: row.command,
            sweep: JobId(row.sweep),
            state: state(&row.state).ok_or_else(|| unreadable(self, &name, format!("unknown state '{}'", row.state)))?,
            progress: from_json(&row.progress, self, &name)?,
            error: row.error,
            owner: row.owner,
            cancel_requested: row.cancel_requested,
            created: row.created,
            started: row.started,
            finished: row.finished,
            dictionaries: ids.into_iter().map(DictionaryId).collect(),
            findings: from_json(&row.findings, self, &name)?,
        })
    }
}

/// When a lease that begins now ends, in milliseconds since 1970.
pub(crate) fn until(lease: Duration) -> i64 {
    now_ms().saturating_add(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX))
}

/// A state as the table has it.
fn word(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "queued",
        JobState::Running => "running",
        JobState::Done => "done",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    }
}

fn state(word: &str) -> Option<JobState> {
    Some(match word {
        "queued" => JobState::Queued,
        "running" => JobState::Running,
        "done" => JobState::Done,
        "failed" => JobState::Failed,
        "cancelled" => JobState::Cancelled,
        _ => return None,
    })
}
