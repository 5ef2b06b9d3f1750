//! Files that the registry does not know: of a registry that was removed, or older than they are. They may be the only copy of what
//! they hold, so nothing here deletes: each is moved to `set-aside/TIME/` in the data folder, under the path that it had.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use api::SetAside;
use sqlx::SqliteConnection;

use crate::{Store, StoreError, artifact::move_file, folder::WEIGHTS, open::At};

/// The folder in the data folder.
const FOLDER: &str = "set-aside";

/// A folder whose entries are named by the number of a row, and the statement that gives the numbers that there are.
struct Numbered {
    folder: &'static str,
    numbers: &'static str,
}

/// Weights are moved into their place inside the transaction that adds their row, and an answer's files are written inside the one
/// that ends their job. A job's folder is made after its row. So while the write lock is held, what has no row is nobody's.
const NUMBERED: [Numbered; 3] = [
    Numbered {
        folder: "dictionaries",
        numbers: "select id from dictionary",
    },
    Numbered {
        folder: "answers",
        numbers: "select id from job",
    },
    Numbered {
        folder: "jobs",
        numbers: "select id from job",
    },
];

impl Store {
    /// Sets aside what has no row, under the write lock that `connection` holds; answers where it is then, if there was any.
    pub(crate) async fn set_aside_unknown(&self, connection: &mut SqliteConnection) -> Result<Option<PathBuf>, StoreError> {
        let mut unknown = Vec::new();
        for Numbered { folder, numbers } in NUMBERED {
            let known: Vec<i64> = sqlx::query_scalar(numbers).fetch_all(&mut *connection).await.at(self)?;
            let (folder, known) = (self.data().join(folder), known.into_iter().collect());
            unknown.extend(tokio::task::spawn_blocking(move || without_row(&folder, &known)).await??);
        }
        self.set_aside(connection, unknown).await
    }

    /// Moves `paths` of the data folder, those of them that are there, into a folder of their own in `set-aside`, and answers it.
    pub(crate) async fn set_aside(
        &self,
        connection: &mut SqliteConnection,
        mut paths: Vec<PathBuf>,
    ) -> Result<Option<PathBuf>, StoreError> {
        paths.retain(|path| path.exists());
        if paths.is_empty() {
            return Ok(None);
        }
        let time: String = sqlx::query_scalar("select strftime('%Y-%m-%dT%H-%M-%SZ', 'now')")
            .fetch_one(connection)
            .await
            .at(self)?;
        let data = self.data().to_owned();
        tokio::task::spawn_blocking(move || {
            let folder = new_folder(&data.join(FOLDER), &time)?;
            for path in &paths {
                let to = folder.join(path.strip_prefix(&data).unwrap_or(path));
                let parent = to.parent().unwrap_or(&folder);
                fs::create_dir_all(parent).map_err(|e| StoreError::file(parent, e))?;
                move_file(path, &to)?;
            }
            Ok(Some(folder))
        })
        .await?
    }

    /// What was set aside and is still there, the earliest first.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn set_aside_folders(&self) -> Result<Vec<SetAside>, StoreError> {
        let folders = entries(&self.data().join(FOLDER))?;
        let mut found = folders
            .iter()
            .map(|folder| described(folder))
            .collect::<Result<Vec<_>, _>>()?;
        found.sort_by(|a, b| a.folder.cmp(&b.folder));
        Ok(found)
    }

    /// What this opening of the data folder set aside.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn set_aside_at_opening(&self) -> Result<Option<SetAside>, StoreError> {
        self.set_aside_folder().map(described).transpose()
    }
}

/// What is in a folder of `set-aside`.
fn described(folder: &Path) -> Result<SetAside, StoreError> {
    let count = |kind: &str, ending: Option<&str>| -> Result<u64, StoreError> {
        let all = entries(&folder.join(kind))?;
        let is_counted = |path: &&PathBuf| path.extension().and_then(|ending| ending.to_str()) == ending;
        Ok(all.iter().filter(is_counted).count() as u64)
    };
    Ok(SetAside {
        folder: folder.display().to_string(),
        n_dictionaries: count("dictionaries", Some(WEIGHTS))?,
        n_jobs: count("jobs", None)?,
        n_answers: count("answers", Some("json"))?,
    })
}

/// The entries of `folder` that this program names by a number that is not `known`: files `N.…` and folders `N` that hold something.
fn without_row(folder: &Path, known: &HashSet<i64>) -> Result<Vec<PathBuf>, StoreError> {
    let mut unknown = Vec::new();
    for path in entries(folder)? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.split('.').next().and_then(|number| number.parse::<i64>().ok());
        let is_own = |number: i64| match path.is_dir() {
            true => name == number.to_string() && !entries(&path).is_ok_and(|entries| entries.is_empty()),
            false => [WEIGHTS, "known.json", "json", "csv"]
                .iter()
                .any(|ending| name == format!("{number}.{ending}")),
        };
        if number.is_some_and(|number| !known.contains(&number) && is_own(number)) {
            unknown.push(path);
        }
    }
    unknown.sort();
    Ok(unknown)
}

/// What is in `folder`; nothing where there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let failed = |e| StoreError::file(folder, e);
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(failed(e)),
    }
}

/// A folder that was not there before: `name`, or that with a number.
fn new_folder(parent: &Path, name: &str) -> Result<PathBuf, StoreError> {
    fs::create_dir_all(parent).map_err(|e| StoreError::file(parent, e))?;
    let names = std::iter::once(name.to_owned()).chain((2_u64..).map(|n| format!("{name}-{n}")));
    for folder in names.map(|name| parent.join(name)) {
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(StoreError::file(&folder, e)),
        }
    }
    Ok(parent.to_owned())
}
