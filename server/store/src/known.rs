//! What dictionaries know of labels that are known: a file beside the weights, with its metrics among the others in the registry.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::PathBuf,
};

use api::{DictionaryId, KnownFeatures, METRICS};

use crate::{Store, StoreError, open::At, write_atomic};

/// How the names of their metrics begin.
const METRIC_PREFIX: &str = "known_";

impl Store {
    /// The file of what a dictionary knows.
    pub fn known_file(&self, id: DictionaryId) -> PathBuf {
        self.dictionaries_folder().join(format!("{id}.known.json"))
    }

    /// Keeps what a dictionary knows, in the place of what was kept before; its other metrics stay. The metrics are those
    /// of the file: where they cannot be written, the file stays as it was.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::File`].
    pub async fn set_known(&self, id: DictionaryId, known: &KnownFeatures) -> Result<(), StoreError> {
        let path = self.known_file(id);
        let json = serde_json::to_vec(known).map_err(|error| StoreError::file(&path, error.into()))?;
        let mut tx = self.begin().await?;
        for metric in METRICS.iter().filter(|metric| metric.name.starts_with(METRIC_PREFIX)) {
            sqlx::query("delete from metric where dictionary = ? and name = ?")
                .bind(id.0)
                .bind(metric.name)
                .execute(&mut *tx)
                .await
                .at(self)?;
        }
        self.add_metrics_in(&mut tx, id, &known.measurements()).await?;
        // just before the commit, so that a crash leaves at most a file that is newer than its metrics
        tokio::task::spawn_blocking(move || write_atomic(&path, |file| file.write_all(&json))).await??;
        tx.commit().await.at(self)
    }

    /// What a dictionary knows; none where that was not measured.
    ///
    /// # Errors
    /// [`StoreError::File`] when the file cannot be read or is not what [`Store::set_known`] writes.
    pub async fn known(&self, id: DictionaryId) -> Result<Option<KnownFeatures>, StoreError> {
        let path = self.known_file(id);
        tokio::task::spawn_blocking(move || match fs::read(&path) {
            Ok(json) => match serde_json::from_slice(&json) {
                Ok(known) => Ok(Some(known)),
                Err(error) => Err(StoreError::file(&path, error.into())),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::file(&path, error)),
        })
        .await?
    }
}
