//! Who takes a job: one owner at a time, over all processes, and what becomes of a job whose owner is gone.
//!
//! A job whose owner's process vanished without a clean end has had a death. It is taken up again from its checkpoint, for a process
//! may be killed for many reasons. But a job that has had two of them and got no further in between is what kills the process: it
//! fails, instead of taking every server down that starts. A person who asks for that very job, by resuming it or by the command
//! that made it, begins the count anew.

use std::time::Duration;

use api::{Job, JobId};
use sqlx::SqliteConnection;

use crate::{
    Store, StoreError,
    job::until,
    open::{At, now, now_ms},
    process::{self, Sight},
    row::row,
};

/// Deaths after which a job has failed.
const MOST_DEATHS: i64 = 2;

row! {
    /// A job that may be taken.
    struct Candidate {
        id: i64,
        state: String,
        owner: Option<String>,
        process: Option<String>,
        deaths: i64,
    }
}

impl Candidate {
    /// Its deaths, with that of the owner who let its lease run out. A process that is there, and was late, is no death; one that
    /// cannot be seen from here is taken for one.
    fn deaths(&self) -> i64 {
        let lives = || {
            self.process
                .as_deref()
                .is_some_and(|process| process::look(process) == Sight::There)
        };
        self.deaths + i64::from(self.state == "running" && !lives())
    }
}

impl Store {
    /// Takes the oldest job that waits, or whose owner let its lease run out or is a process of this machine that is gone. None
    /// when there is nothing to do. A job that had two deaths without getting further fails here and is not taken.
    ///
    /// # Errors
    /// [`StoreError::Database`]; [`StoreError::Row`].
    pub async fn claim(&self, owner: &str, lease: Duration) -> Result<Option<Job>, StoreError> {
        self.take(None, owner, lease).await
    }

    /// As [`Store::claim`], but the job `id` or none, whatever its deaths: somebody asked for it.
    ///
    /// # Errors
    /// [`StoreError::Database`]; [`StoreError::Row`].
    pub async fn claim_job(&self, id: JobId, owner: &str, lease: Duration) -> Result<Option<Job>, StoreError> {
        self.take(Some(id), owner, lease).await
    }

    /// Notes that the owner's job goes on from `step`. Where that is further than it went on from before, its deaths are forgotten:
    /// it gets on, if slowly.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn goes_on(&self, id: JobId, owner: &str, step: usize) -> Result<(), StoreError> {
        sqlx::query(
            "update job set deaths = iif(coalesce(went_on_from, 0) < ?1, 0, deaths), went_on_from = ?1
             where id = ?2 and owner = ?3 and state = 'running'",
        )
        .bind(step as i64)
        .bind(id.0)
        .bind(owner)
        .execute(self.pool())
        .await
        .at(self)?;
        Ok(())
    }

    /// A lease is a sign of life for those who cannot see its owner. Where the owner was a process of this machine that is gone,
    /// it ends now: nobody has to wait for it.
    pub(crate) async fn end_leases_of_the_dead(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let held: Vec<(i64, String)> =
            sqlx::query_as("select id, process from job where state = 'running' and process is not null and lease_until > ?")
                .bind(now_ms())
                .fetch_all(&mut *connection)
                .await
                .at(self)?;
        for (id, _) in held.iter().filter(|(_, process)| process::look(process) == Sight::Gone) {
            sqlx::query("update job set lease_until = 0 where id = ?")
                .bind(id)
                .execute(&mut *connection)
                .await
                .at(self)?;
        }
        Ok(())
    }

    async fn take(&self, id: Option<JobId>, owner: &str, lease: Duration) -> Result<Option<Job>, StoreError> {
        let mut tx = self.begin().await?;
        self.end_leases_of_the_dead(&mut tx).await?;
        // a job that its user stopped and whose owner is gone must not be begun again
        sqlx::query(
            "update job set state = 'cancelled', owner = null, lease_until = null, finished = ?1
             where state = 'running' and cancel_requested = 1 and lease_until <= ?2",
        )
        .bind(now())
        .bind(now_ms())
        .execute(&mut *tx)
        .await
        .at(self)?;
        let mut job = None;
        while let Some(candidate) = self.candidate(&mut tx, id).await? {
            let deaths = if id.is_some() { 0 } else { candidate.deaths() };
            if deaths >= MOST_DEATHS {
                self.give_up(&mut tx, &candidate, deaths).await?;
                continue;
            }
            sqlx::query(
                "update job set state = 'running', owner = ?1, process = ?2, lease_until = ?3, started = coalesce(started, ?4),
                     deaths = ?5
                 where id = ?6",
            )
            .bind(owner)
            .bind(process::here())
            .bind(until(lease))
            .bind(now())
            .bind(deaths)
            .bind(candidate.id)
            .execute(&mut *tx)
            .await
            .at(self)?;
            job = self.job_in(&mut tx, JobId(candidate.id)).await?;
            break;
        }
        tx.commit().await.at(self)?;
        Ok(job)
    }

    async fn candidate(&self, connection: &mut SqliteConnection, id: Option<JobId>) -> Result<Option<Candidate>, StoreError> {
        sqlx::query_as(
            "select id, state, owner, process, deaths from job
             where (?1 is null or id = ?1) and (state = 'queued' or (state = 'running' and lease_until <= ?2))
             order by id limit 1",
        )
        .bind(id.map(|id| id.0))
        .bind(now_ms())
        .fetch_optional(connection)
        .await
        .at(self)
    }

    /// Fails a job that had too many deaths.
    async fn give_up(&self, connection: &mut SqliteConnection, job: &Candidate, deaths: i64) -> Result<(), StoreError> {
        let last = job.owner.as_deref().unwrap_or_default();
        let message = format!(
            "the process that ran it ended without a word {deaths} times (lastly '{last}'), and the job got no further in between; it may \
             have taken more memory than there is, which the system's log says: ask for less at a time, or resume it to try once more"
        );
        sqlx::query(
            "update job set state = 'failed', error = ?, owner = null, lease_until = null, finished = ?, deaths = ? where id = ?",
        )
        .bind(message)
        .bind(now())
        .bind(deaths)
        .bind(job.id)
        .execute(connection)
        .await
        .at(self)?;
        Ok(())
    }
}
