//! Runs that ended elsewhere, brought here with all they made.

use std::path::PathBuf;

use api::{DictionaryInfo, HistoryPoint, JobConfig, JobId, Progress};

use crate::{
    Store, StoreError,
    open::{At, to_json},
};

/// A run that is done.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What it did; its model and its corpus are in the registry.
    pub config: JobConfig,
    /// The command that does the same.
    pub command: String,
    /// The first run of the sweep that it belongs to, where it is not that itself.
    pub sweep: Option<JobId>,
    /// When it began, in seconds since 1970.
    pub started: i64,
    /// When it ended.
    pub finished: i64,
    /// Its curves.
    pub history: Vec<HistoryPoint>,
    /// What it made, in the order of its config, with the files of the weights, which are moved. Number, run, sweep and checksum
    /// are filled in.
    pub dictionaries: Vec<(DictionaryInfo, PathBuf)>,
}

impl Store {
    /// Adds a run that is done, its curves and its dictionaries: all or nothing.
    ///
    /// # Errors
    /// As [`Store::enqueue`] and [`Store::add_dictionary`]; the files are then where they were.
    pub async fn add_finished(&self, run: Finished) -> Result<JobId, StoreError> {
        run.config.validate()?;
        let mut staged = self.stage(run.dictionaries).await?;
        let mut tx = self.begin().await?;
        self.check_names(&mut tx, &run.config).await?;
        let id: i64 = sqlx::query_scalar(
            "insert into job (sweep, model, corpus, config, command, state, progress, created, started, finished)
             values (?, ?, ?, ?, ?, 'done', ?, ?, ?, ?) returning id",
        )
        .bind(run.sweep.map_or(0, |sweep| sweep.0))
        .bind(run.config.model().map(|model| &model.0))
        .bind(&run.config.corpus().0)
        .bind(to_json(&run.config, self, "a new job")?)
        .bind(&run.command)
        .bind(to_json(&Progress::default(), self, "a new job")?)
        .bind(run.started)
        .bind(run.started)
        .bind(run.finished)
        .fetch_one(&mut *tx)
        .await
        .at(self)?;
        let id = JobId(id);
        let sweep = run.sweep.unwrap_or(id);
        sqlx::query("update job set sweep = ? where id = ?")
            .bind(sweep.0)
            .bind(id.0)
            .execute(&mut *tx)
            .await
            .at(self)?;
        self.append_history_in(&mut tx, id, &run.history).await?;
        for (info, _) in &mut staged {
            (info.job, info.sweep) = (id, sweep);
        }
        let added = self.add_in(&mut tx, &staged).await?;
        self.place_in(&mut tx, id, &added).await?;
        self.commit_with_files(tx, &staged, &added).await?;
        Ok(id)
    }
}
