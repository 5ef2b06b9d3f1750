//! Answers to questions: a job's JSON, and a CSV of all that was asked for, as files with their checksums in the registry.

use std::{fs, io::Write as _, path::PathBuf};

use api::{Answer, JobId};
use sha2::{Digest, Sha256};

use crate::{End, Store, StoreError, open::At, write_atomic};

/// The columns of the checksums, which are also the files' endings.
const JSON: &str = "json";
const CSV: &str = "csv";

impl Store {
    /// Keeps the answer of the owner's job and its CSV, and ends the job, all or nothing. A crash leaves at most files without a row,
    /// which the job writes anew.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when `owner` does not have the job (any more); [`StoreError::File`].
    pub async fn finish_with_answer(&self, id: JobId, owner: &str, answer: &Answer, csv: String) -> Result<(), StoreError> {
        let path = self.answer_file(id, JSON);
        let json = serde_json::to_vec(answer).map_err(|error| StoreError::file(&path, error.into()))?;
        let mut tx = self.begin().await?;
        self.finish_in(&mut tx, id, owner, &End::Done(Vec::new())).await?;
        sqlx::query("insert or replace into answer (job, json, csv) values (?, ?, ?)")
            .bind(id.0)
            .bind(hash(&json))
            .bind(hash(csv.as_bytes()))
            .execute(&mut *tx)
            .await
            .at(self)?;
        let files = [(path, json), (self.answer_file(id, CSV), csv.into_bytes())];
        let write = move || {
            files
                .iter()
                .try_for_each(|(path, content)| write_atomic(path, |file| file.write_all(content)))
        };
        tokio::task::spawn_blocking(write).await??;
        tx.commit().await.at(self)
    }

    /// The answer of a job; none where it has none (yet).
    ///
    /// # Errors
    /// [`StoreError::Checksum`] for a file that is not what was written; [`StoreError::File`].
    pub async fn answer(&self, id: JobId) -> Result<Option<Answer>, StoreError> {
        let Some((path, json)) = self.read_answer(id, JSON).await? else {
            return Ok(None);
        };
        let answer = serde_json::from_slice(&json).map_err(|error| StoreError::file(&path, error.into()))?;
        Ok(Some(answer))
    }

    /// The CSV of a job's answer; none where it has none (yet).
    ///
    /// # Errors
    /// As [`Store::answer`].
    pub async fn answer_csv(&self, id: JobId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read_answer(id, CSV).await?.map(|(_, csv)| csv))
    }

    async fn read_answer(&self, id: JobId, ending: &'static str) -> Result<Option<(PathBuf, Vec<u8>)>, StoreError> {
        let known: Option<(String, String)> = sqlx::query_as("select json, csv from answer where job = ?")
            .bind(id.0)
            .fetch_optional(self.pool())
            .await
            .at(self)?;
        let Some((json, csv)) = known else { return Ok(None) };
        let expected = if ending == JSON { json } else { csv };
        let path = self.answer_file(id, ending);
        tokio::task::spawn_blocking(move || {
            let content = fs::read(&path).map_err(|error| StoreError::file(&path, error))?;
            match hash(&content) {
                found if found == expected => Ok(Some((path, content))),
                found => Err(StoreError::Checksum { path, found, expected }),
            }
        })
        .await?
    }

    fn answer_file(&self, id: JobId, ending: &str) -> PathBuf {
        self.data().join("answers").join(format!("{id}.{ending}"))
    }
}

fn hash(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}
