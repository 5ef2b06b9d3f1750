//! The curves of a job: append-only, cut back only when a run resumes from a checkpoint that is older than its last points.

use api::{HistoryPoint, JobId};
use sqlx::SqliteConnection;

use crate::{
    Store, StoreError,
    open::{At, from_json, to_json},
};

impl Store {
    /// Adds points to the end of the job's history, in the order of their steps. Values that are not finite are left out
    /// (JSON has no way to write them, and a chart none to draw them).
    ///
    /// # Errors
    /// [`StoreError::NotFound`] without such a job; [`StoreError::Database`].
    pub async fn append_history(&self, id: JobId, points: &[HistoryPoint]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        self.append_history_in(&mut tx, id, points).await?;
        tx.commit().await.at(self)
    }

    /// [`Store::append_history`] within a transaction.
    pub(crate) async fn append_history_in(
        &self,
        connection: &mut SqliteConnection,
        id: JobId,
        points: &[HistoryPoint],
    ) -> Result<(), StoreError> {
        self.job_in(connection, id).await?.ok_or_else(|| no_job(id))?;
        let n: i64 = n_points(&mut *connection, id).await.at(self)?;
        for (position, point) in (n..).zip(points) {
            let mut point = point.clone();
            point.values.retain(|_, value| value.is_finite());
            sqlx::query("insert into history (job, position, step, point) values (?, ?, ?, ?)")
                .bind(id.0)
                .bind(position)
                .bind(point.step as i64)
                .bind(to_json(&point, self, format!("history of job {id}"))?)
                .execute(&mut *connection)
                .await
                .at(self)?;
        }
        Ok(())
    }

    /// Drops everything from the first point with a step of `from_step` or more.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn truncate_history(&self, id: JobId, from_step: usize) -> Result<(), StoreError> {
        sqlx::query(
            "delete from history where job = ?1 and position >=
             (select min(position) from history where job = ?1 and step >= ?2)",
        )
        .bind(id.0)
        .bind(from_step as i64)
        .execute(self.pool())
        .await
        .at(self)?;
        Ok(())
    }

    /// The job's points from the index `from` on; none for a job without a history.
    ///
    /// # Errors
    /// [`StoreError::Database`]; [`StoreError::Row`].
    pub async fn history(&self, id: JobId, from: usize) -> Result<Vec<HistoryPoint>, StoreError> {
        let rows: Vec<(i64, String)> =
            sqlx::query_as("select position, point from history where job = ? and position >= ? order by position")
                .bind(id.0)
                .bind(from as i64)
                .fetch_all(self.pool())
                .await
                .at(self)?;
        rows.iter()
            .map(|(position, text)| from_json(text, self, format!("point {position} of job {id}'s history")))
            .collect()
    }

    /// How many points the job's history has.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn n_history(&self, id: JobId) -> Result<usize, StoreError> {
        let n = n_points(self.pool(), id).await.at(self)?;
        Ok(n as usize)
    }
}

/// Positions have no gaps, so the last one tells how many there are without counting.
async fn n_points(executor: impl sqlx::Executor<'_, Database = sqlx::Sqlite>, id: JobId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select coalesce(max(position) + 1, 0) from history where job = ?")
        .bind(id.0)
        .fetch_one(executor)
        .await
}

/// The error of a number that no job has.
pub(crate) fn no_job(id: JobId) -> StoreError {
    StoreError::NotFound(format!("job {id}"))
}
