//! What changed: three counters that SQLite's triggers keep, so that a page's event stream also sees other processes' changes.

use crate::{Store, StoreError, open::At, row::row};

row! {
    /// Three counters, each raised by every change of its part of the registry.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Revision {
        /// Models, corpora, dictionaries and their metrics.
        pub registry: i64,
        /// Jobs. [`Store::changed_jobs`] lists what changed since one of its values.
        pub jobs: i64,
        /// Histories.
        pub history: i64,
    }
}

impl Store {
    /// The counters as they are: one row of one page, cheap enough to ask for a few times a second.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn revision(&self) -> Result<Revision, StoreError> {
        sqlx::query_as("select registry, jobs, history from revision")
            .fetch_one(self.pool())
            .await
            .at(self)
    }
}
