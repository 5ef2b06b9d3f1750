//! Models and corpora: named by their users, one content per name.

use api::{ConfigError, CorpusId, CorpusInfo, ModelId, ModelInfo};

use crate::{
    Store, StoreError,
    open::{At, from_json, to_json},
};

impl Store {
    /// Adds a model. The same id with the same hash updates what is kept about it; `created` stays that of the first time.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the id stands for another hash; [`StoreError::Invalid`] for an id that is no id.
    pub async fn add_model(&self, model: &ModelInfo) -> Result<(), StoreError> {
        check_id("model", &model.id.0, ModelId::from_name(&model.id.0).0)?;
        let info = to_json(model, self, format!("model {}", model.id))?;
        let updated = sqlx::query(
            "insert into model (id, hash, info, created) values (?1, ?2, ?3, ?4)
             on conflict (id) do update set info = json_set(excluded.info, '$.created', created) where hash = excluded.hash",
        )
        .bind(&model.id.0)
        .bind(&model.hash)
        .bind(info)
        .bind(model.created)
        .execute(self.pool())
        .await
        .at(self)?;
        if updated.rows_affected() == 1 {
            return Ok(());
        }
        Err(other_content("model", &model.id.0, &model.hash))
    }

    /// Every model, by id.
    ///
    /// # Errors
    /// [`StoreError::Database`]; [`StoreError::Row`].
    pub async fn models(&self) -> Result<Vec<ModelInfo>, StoreError> {
        let rows: Vec<(String, String)> = sqlx::query_as("select id, info from model order by id")
            .fetch_all(self.pool())
            .await
            .at(self)?;
        rows.iter()
            .map(|(id, info)| from_json(info, self, format!("model {id}")))
            .collect()
    }

    /// The model `id`.
    ///
    /// # Errors
    /// [`StoreError::Database`]; [`StoreError::Row`].
    pub async fn model(&self, id: &ModelId) -> Result<Option<ModelInfo>, StoreError> {
        let info: Option<String> = sqlx::query_scalar("select info from model where id = ?")
            .bind(&id.0)
            .fetch_optional(self.pool())
            .await
            .at(self)?;
        info.map(|info| from_json(&info, self, format!("model {id}"))).transpose()
    }

    /// Adds a corpus, as [`Store::add_model`] adds a model.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the id stands for another hash; [`StoreError::Invalid`] for an id that is no id.
    pub async fn add_corpus(&self, corpus: &CorpusInfo) -> Result<(), StoreError> {
        check_id("corpus", &corpus.id.0, CorpusId::from_name(&corpus.id.0).0)?;
        let info = to_json(corpus, self, format!("corpus {}", corpus.id))?;
        let updated = sqlx::query(
            "insert into corpus (id, hash, info, created) values (?1, ?2, ?3, ?4)
             on conflict (id) do update set info = json_set(excluded.info, '$.created', created) where hash = excluded.hash",
        )
        .bind(&corpus.id.0)
        .bind(&corpus.hash)
        .bind(info)
        .bind(corpus.created)
        .execute(self.pool())
        .await
        .at(self)?;
        if updated.rows_affected() == 1 {
            return Ok(());
        }
        Err(other_content("corpus", &corpus.id.0, &corpus.hash))
    }

    /// Every corpus, by id.
    ///
    /// # Errors
    /// [`StoreError::Database`]; [`StoreError::Row`].
    pub async fn corpora(&self) -> Result<Vec<CorpusInfo>, StoreError> {
        let rows: Vec<(String, String)> = sqlx::query_as("select id, info from corpus order by id")
            .fetch_all(self.pool())
            .await
            .at(self)?;
        rows.iter()
            .map(|(id, info)| from_json(info, self, format!("corpus {id}")))
            .collect()
    }

    /// The corpus `id`.
    ///
    /// # Errors
    /// [`StoreError::Database`]; [`StoreError::Row`].
    pub async fn corpus(&self, id: &CorpusId) -> Result<Option<CorpusInfo>, StoreError> {
        let info: Option<String> = sqlx::query_scalar("select info from corpus where id = ?")
            .bind(&id.0)
            .fetch_optional(self.pool())
            .await
            .at(self)?;
        info.map(|info| from_json(&info, self, format!("corpus {id}"))).transpose()
    }
}

/// An id names a folder and is part of links, so it is what a name's slug is.
fn check_id(field: &str, id: &str, slug: String) -> Result<(), StoreError> {
    if id == slug {
        return Ok(());
    }
    let message = format!("found the id '{id}'; expected lower-case letters, digits, '-', '_' and '.', such as '{slug}'");
    Err(ConfigError::new(field, message).into())
}

fn other_content(what: &str, id: &str, hash: &str) -> StoreError {
    StoreError::Conflict(format!(
        "the {what} '{id}' is in the registry with other content than this one (hash {hash}); give this one another id"
    ))
}
