//! Trained dictionaries: a row and a file each. The file is moved into its place inside the transaction that adds the row, just
//! before it commits: a crash leaves at most a file without a row, which the next opening sets aside, and never a row without
//! a file.

use std::path::{Path, PathBuf};

use api::{ConfigError, Density, DictionaryId, DictionaryInfo, HookPoint, JobId, Measurement, TokenSet, Verified};
use sqlx::SqliteConnection;

use crate::{
    End, Store, StoreError,
    artifact::{checksum, move_file, sync_file},
    open::{At, from_json, now, to_json, unreadable},
    row::row,
};

row! {
    struct DictionaryRow {
        id: i64,
        info: String,
        checksum: String,
        verified: Option<String>,
        density: Option<String>,
        command: String,
    }
}

row! {
    struct MetricRow {
        dictionary: i64,
        name: String,
        version: u32,
        at: Option<String>,
        tokens: String,
        n_tokens: i64,
        value: f64,
        interval: Option<String>,
    }
}

impl Store {
    /// Adds a dictionary and moves the file `weights` into the registry. Number, checksum and, where it is 0, the time of
    /// `info` are filled in.
    ///
    /// # Errors
    /// [`StoreError::File`] naming the file; [`StoreError::NotFound`] for a job, model or corpus that is not in the
    /// registry. The file is then where it was.
    pub async fn add_dictionary(&self, info: DictionaryInfo, weights: &Path) -> Result<DictionaryInfo, StoreError> {
        let staged = self.stage(vec![(info, weights.to_owned())]).await?;
        let mut tx = self.begin().await?;
        let added = self.add_in(&mut tx, &staged).await?;
        self.commit_with_files(tx, &staged, &added).await?;
        self.dictionary(added[0]).await?.ok_or_else(|| no_dictionary(added[0]))
    }

    /// Adds all dictionaries of a run, in the order of its config, and ends the run with them: all or nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when `owner` does not have the job (any more), in particular when it is done;
    /// otherwise as [`Store::add_dictionary`]. The files are then where they were.
    pub async fn finish_with(
        &self,
        id: JobId,
        owner: &str,
        dictionaries: Vec<(DictionaryInfo, PathBuf)>,
    ) -> Result<Vec<DictionaryId>, StoreError> {
        let staged = self.stage(dictionaries).await?;
        let mut tx = self.begin().await?;
        let added = self.add_in(&mut tx, &staged).await?;
        self.finish_in(&mut tx, id, owner, &End::Done(added.clone())).await?;
        self.commit_with_files(tx, &staged, &added).await?;
        Ok(added)
    }

    /// Every dictionary, by number.
    ///
    /// # Errors
    /// [`StoreError::Database`]; [`StoreError::Row`].
    pub async fn dictionaries(&self) -> Result<Vec<DictionaryInfo>, StoreError> {
        self.dictionaries_where(None).await
    }

    /// The dictionary `id`.
    ///
    /// # Errors
    /// [`StoreError::Database`]; [`StoreError::Row`].
    pub async fn dictionary(&self, id: DictionaryId) -> Result<Option<DictionaryInfo>, StoreError> {
        Ok(self.dictionaries_where(Some(id)).await?.pop())
    }

    /// Puts `metrics` and `density` in the place of all that was measured of the dictionary. Values that are not finite are left
    /// out: they are no measurement.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn set_metrics(
        &self,
        id: DictionaryId,
        metrics: &[Measurement],
        density: Option<&Density>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        self.set_metrics_in(&mut tx, id, metrics).await?;
        sqlx::query("update dictionary set density = ? where id = ?")
            .bind(self.density_json(density)?)
            .bind(id.0)
            .execute(&mut *tx)
            .await
            .at(self)?;
        tx.commit().await.at(self)
    }

    /// Notes how the dictionary's stored metrics compared with those computed again. The time, where it is 0, is filled in.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn set_verified(&self, id: DictionaryId, verified: &Verified) -> Result<(), StoreError> {
        let mut verified = verified.clone();
        if verified.when == 0 {
            verified.when = now();
        }
        let json = to_json(&verified, self, format!("verification of dictionary {id}"))?;
        let found = sqlx::query("update dictionary set verified = ? where id = ?")
            .bind(json)
            .bind(id.0)
            .execute(self.pool())
            .await
            .at(self)?;
        match found.rows_affected() {
            0 => Err(no_dictionary(id)),
            _ => Ok(()),
        }
    }

    /// The file of the dictionary's weights, after its checksum was found to be the one that it was written with.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::File`] when it cannot be read; [`StoreError::Checksum`] when it is damaged.
    pub async fn verify_dictionary(&self, id: DictionaryId) -> Result<PathBuf, StoreError> {
        let expected: Option<String> = sqlx::query_scalar("select checksum from dictionary where id = ?")
            .bind(id.0)
            .fetch_optional(self.pool())
            .await
            .at(self)?;
        let expected = expected.ok_or_else(|| no_dictionary(id))?;
        let path = self.dictionary_file(id);
        let (path, found) = tokio::task::spawn_blocking(move || checksum(&path).map(|found| (path, found))).await??;
        if found == expected {
            Ok(path)
        } else {
            Err(StoreError::Checksum { path, found, expected })
        }
    }

    /// Does what takes long before the registry is locked: makes the files durable and takes their checksums.
    pub(crate) async fn stage(
        &self,
        mut dictionaries: Vec<(DictionaryInfo, PathBuf)>,
    ) -> Result<Vec<(DictionaryInfo, PathBuf)>, StoreError> {
        for (info, _) in &dictionaries {
            if !info.n_passes.is_finite() {
                return Err(ConfigError::new("n_passes", format!("found {}; expected a finite number", info.n_passes)).into());
            }
        }
        tokio::task::spawn_blocking(move || {
            for (info, weights) in &mut dictionaries {
                sync_file(weights)?;
                info.checksum = checksum(weights)?;
                if info.created == 0 {
                    info.created = now();
                }
            }
            Ok(dictionaries)
        })
        .await?
    }

    /// Adds the rows.
    pub(crate) async fn add_in(
        &self,
        connection: &mut SqliteConnection,
        staged: &[(DictionaryInfo, PathBuf)],
    ) -> Result<Vec<DictionaryId>, StoreError> {
        let mut added = Vec::with_capacity(staged.len());
        for (info, _) in staged {
            let bare = DictionaryInfo {
                id: DictionaryId(0),
                metrics: Vec::new(),
                density: None,
                checksum: String::new(),
                verified: None,
                command: String::new(),
                ..info.clone()
            };
            let id: i64 = sqlx::query_scalar(
                "insert into dictionary (job, model, corpus, info, density, checksum, created)
                 values (?, ?, ?, ?, ?, ?, ?) returning id",
            )
            .bind(info.job.0)
            .bind(&info.model.0)
            .bind(&info.corpus.0)
            .bind(to_json(&bare, self, "a new dictionary")?)
            .bind(self.density_json(info.density.as_ref())?)
            .bind(&info.checksum)
            .bind(info.created)
            .fetch_one(&mut *connection)
            .await
            .map_err(|error| match error.as_database_error() {
                Some(e) if e.is_foreign_key_violation() => StoreError::NotFound(format!(
                    "job {}, model '{}' or corpus '{}' in the registry, which the dictionary names",
                    info.job, info.model, info.corpus
                )),
                _ => StoreError::database(self.file(), error),
            })?;
            self.set_metrics_in(connection, DictionaryId(id), &info.metrics).await?;
            added.push(DictionaryId(id));
        }
        Ok(added)
    }

    /// Moves the files into their places and commits; when either fails, the files go back to where they were.
    ///
    /// A file of that name is one that a crash left, or of another registry, which was here before: it is set aside.
    pub(crate) async fn commit_with_files(
        &self,
        mut tx: sqlx::Transaction<'_, sqlx::Sqlite>,
        staged: &[(DictionaryInfo, PathBuf)],
        added: &[DictionaryId],
    ) -> Result<(), StoreError> {
        let moves: Vec<(PathBuf, PathBuf)> = staged
            .iter()
            .zip(added)
            .map(|((_, weights), id)| (weights.clone(), self.dictionary_file(*id)))
            .collect();
        let places = added.iter().flat_map(|id| [self.dictionary_file(*id), self.known_file(*id)]);
        self.set_aside(&mut tx, places.filter(|place| place.is_file()).collect())
            .await?;
        let moves = tokio::task::spawn_blocking(move || {
            for (n, (from, to)) in moves.iter().enumerate() {
                if let Err(error) = move_file(from, to) {
                    move_back(&moves[..n]);
                    return Err(error);
                }
            }
            Ok(moves)
        })
        .await??;
        let committed = tx.commit().await.at(self);
        if committed.is_err() {
            tokio::task::spawn_blocking(move || move_back(&moves)).await?;
        }
        committed
    }

    async fn set_metrics_in(
        &self,
        connection: &mut SqliteConnection,
        id: DictionaryId,
        metrics: &[Measurement],
    ) -> Result<(), StoreError> {
        sqlx::query("delete from metric where dictionary = ?")
            .bind(id.0)
            .execute(&mut *connection)
            .await
            .at(self)?;
        self.add_metrics_in(connection, id, metrics).await
    }

    /// Adds metrics behind those that there are, and says that the dictionary was measured.
    pub(crate) async fn add_metrics_in(
        &self,
        connection: &mut SqliteConnection,
        id: DictionaryId,
        metrics: &[Measurement],
    ) -> Result<(), StoreError> {
        // what was verified is replaced
        let found = sqlx::query("update dictionary set measured = ?, verified = null where id = ?")
            .bind(now())
            .bind(id.0)
            .execute(&mut *connection)
            .await
            .at(self)?;
        if found.rows_affected() == 0 {
            return Err(no_dictionary(id));
        }
        let first: i64 = sqlx::query_scalar("select coalesce(max(position) + 1, 0) from metric where dictionary = ?")
            .bind(id.0)
            .fetch_one(&mut *connection)
            .await
            .at(self)?;
        for (position, metric) in metrics.iter().filter(|m| m.value.is_finite()).enumerate() {
            sqlx::query(
                "insert into metric (dictionary, position, name, version, at, tokens, n_tokens, value, interval)
                 values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(id.0)
            .bind(first + position as i64)
            .bind(&metric.name)
            .bind(metric.version)
            .bind(metric.at.map(|at| at.to_string()))
            .bind(word(metric.tokens))
            .bind(metric.n_tokens as i64)
            .bind(metric.value)
            .bind(match &metric.interval {
                Some(interval) => Some(to_json(interval, self, &metric.name)?),
                None => None,
            })
            .execute(&mut *connection)
            .await
            .at(self)?;
        }
        Ok(())
    }

    fn density_json(&self, density: Option<&Density>) -> Result<Option<String>, StoreError> {
        density.map(|density| to_json(density, self, "a density")).transpose()
    }

    async fn dictionaries_where(&self, id: Option<DictionaryId>) -> Result<Vec<DictionaryInfo>, StoreError> {
        let id = id.map(|id| id.0);
        // one transaction, so that the metrics are those of the rows
        let mut tx = self.pool().begin().await.at(self)?;
        let rows: Vec<DictionaryRow> = sqlx::query_as(
            "select d.id, d.info, d.checksum, d.verified, d.density, j.command from dictionary d join job j on j.id = d.job
             where ?1 is null or d.id = ?1 order by d.id",
        )
        .bind(id)
        .fetch_all(&mut *tx)
        .await
        .at(self)?;
        let metrics: Vec<MetricRow> = sqlx::query_as(
            "select dictionary, name, version, at, tokens, n_tokens, value, interval from metric
             where ?1 is null or dictionary = ?1 order by dictionary, position",
        )
        .bind(id)
        .fetch_all(&mut *tx)
        .await
        .at(self)?;
        tx.commit().await.at(self)?;
        let mut metrics = metrics.into_iter().peekable();
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let mut info: DictionaryInfo = from_json(&row.info, self, format!("dictionary {}", row.id))?;
            info.id = DictionaryId(row.id);
            info.checksum = row.checksum;
            info.command = row.command;
            info.verified = match &row.verified {
                Some(verified) => Some(from_json(verified, self, format!("verification of dictionary {}", row.id))?),
                None => None,
            };
            info.density = match &row.density {
                Some(density) => Some(from_json(density, self, format!("density of dictionary {}", row.id))?),
                None => None,
            };
            while let Some(metric) = metrics.next_if(|m| m.dictionary == row.id) {
                info.metrics.push(self.metric_of(metric)?);
            }
            found.push(info);
        }
        Ok(found)
    }

    fn metric_of(&self, row: MetricRow) -> Result<Measurement, StoreError> {
        let name = || format!("metric '{}' of dictionary {}", row.name, row.dictionary);
        let at = match &row.at {
            None => None,
            Some(at) => Some(at.parse::<HookPoint>().map_err(|e| unreadable(self, name(), e))?),
        };
        let tokens =
            token_set(&row.tokens).ok_or_else(|| unreadable(self, name(), format!("unknown token set '{}'", row.tokens)))?;
        let interval = match &row.interval {
            Some(interval) => Some(from_json(interval, self, name())?),
            None => None,
        };
        Ok(Measurement {
            at,
            tokens,
            version: row.version,
            n_tokens: row.n_tokens as u64,
            value: row.value,
            interval,
            name: row.name,
        })
    }
}

/// Undoes moves after a failure. What cannot be moved back is a file without a row, which the next opening sets aside.
fn move_back(moves: &[(PathBuf, PathBuf)]) {
    for (from, to) in moves {
        let _ = move_file(to, from);
    }
}

fn no_dictionary(id: DictionaryId) -> StoreError {
    StoreError::NotFound(format!("dictionary {id}"))
}

/// A token set as the table has it.
fn word(tokens: TokenSet) -> &'static str {
    match tokens {
        TokenSet::Ordinary => "ordinary",
        TokenSet::PositionZero => "position_zero",
        TokenSet::Special => "special",
    }
}

fn token_set(word: &str) -> Option<TokenSet> {
    Some(match word {
        "ordinary" => TokenSet::Ordinary,
        "position_zero" => TokenSet::PositionZero,
        "special" => TokenSet::Special,
        _ => return None,
    })
}
