//! What a run tells of itself, into the registry.

use anyhow::{Context as _, Result};
use api::{HistoryPoint, Progress};
use engine::train::Observer;
use store::StoreError;

use super::execute::Stage;

/// Writes the run's curves, tells its progress, and stops it.
pub struct Recorder<'a> {
    stage: &'a Stage<'a>,
    error: Option<StoreError>,
}

impl<'a> Recorder<'a> {
    /// For the job of `stage`.
    pub fn new(stage: &'a Stage<'a>) -> Self {
        Self { stage, error: None }
    }

    /// # Errors
    /// What kept the curves from being written.
    pub fn written(self) -> Result<()> {
        match self.error {
            Some(error) => Err(error).context("the curves could not be written"),
            None => Ok(()),
        }
    }

    /// The first failure to write stops the run: a run without curves is not what was asked for.
    fn note(&mut self, result: Result<(), StoreError>) {
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
    }
}

impl Observer for Recorder<'_> {
    fn resumed(&mut self, step: usize) {
        let store = &self.stage.workspace.store;
        let (id, owner) = (self.stage.job.id, self.stage.owner);
        let written = self.stage.runtime.block_on(async {
            store.goes_on(id, owner, step).await?;
            store.truncate_history(id, step).await
        });
        self.note(written);
    }

    fn history(&mut self, points: Vec<HistoryPoint>) {
        if self.stage.is_lost() {
            return;
        }
        let store = &self.stage.workspace.store;
        let written = self.stage.runtime.block_on(store.append_history(self.stage.job.id, &points));
        self.note(written);
    }

    fn progress(&mut self, progress: Progress) {
        self.stage.progress(progress);
    }

    fn stop(&mut self) -> bool {
        self.error.is_some() || self.stage.should_stop()
    }
}
