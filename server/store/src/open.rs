//! Opening a data folder: what is wrong with it is recognised here, before anything is written, and said with what to do.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sqlx::{
    Connection as _, Sqlite, SqliteConnection, SqlitePool, Transaction,
    migrate::MigrateError,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{StoreError, folder, schema};

/// How long a statement waits for another process' transaction. Transactions here take milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);

/// What every SQLite database begins with.
const SQLITE_HEADER: &[u8; 16] = b"SQLite format 3\0";

/// An open data folder. Clones share one pool of connections.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    data: PathBuf,
    file: PathBuf,
    pool: SqlitePool,
    /// Where files went at the opening that the registry does not know.
    set_aside: OnceLock<PathBuf>,
}

impl Store {
    /// Opens the data folder `data`, makes it if it is not there, brings the registry to this program's schema, sets aside what
    /// the registry does not know, and removes temporary files that crashes left behind.
    ///
    /// # Errors
    /// [`StoreError::NotWritable`], [`StoreError::NotADatabase`], [`StoreError::Damaged`], [`StoreError::NewerSchema`], each
    /// naming the path; otherwise what the system or SQLite said.
    pub async fn open(data: &Path) -> Result<Store, StoreError> {
        let (lock, data) = tokio::task::spawn_blocking({
            let data = data.to_owned();
            move || prepare(&data)
        })
        .await??;
        let file = data.join("registry.sqlite");
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .before_acquire(|connection, _| Box::pin(is_usable(connection)))
            .connect_with(options)
            .await
            .map_err(|e| StoreError::database(&file, e))?;
        let store = Store {
            inner: Arc::new(Inner {
                data,
                file,
                pool,
                set_aside: OnceLock::new(),
            }),
        };
        store.check().await?;
        store.migrate().await?;
        if let Some(folder) = store.clean().await? {
            store.inner.set_aside.get_or_init(|| folder);
        }
        drop(lock);
        Ok(store)
    }

    /// Closes the connections, of all clones, and waits until those in use are given back. The last process to do so folds
    /// SQLite's log into the registry's file.
    pub async fn close(&self) {
        self.pool().close().await;
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.inner.data
    }

    /// The registry's file, for messages.
    pub(crate) fn file(&self) -> &Path {
        &self.inner.file
    }

    /// Where files went at the opening that the registry does not know, if there were any.
    pub(crate) fn set_aside_folder(&self) -> Option<&Path> {
        self.inner.set_aside.get().map(PathBuf::as_path)
    }

    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.inner.pool
    }

    /// A transaction that writes. It takes SQLite's write lock at once, so that what it reads stays true until it commits.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.pool().begin_with("BEGIN IMMEDIATE").await.at(self)
    }

    async fn check(&self) -> Result<(), StoreError> {
        let found: String = sqlx::query_scalar("pragma quick_check(1)")
            .fetch_one(self.pool())
            .await
            .at(self)?;
        if found == "ok" {
            return Ok(());
        }
        Err(StoreError::Damaged {
            path: self.file().to_owned(),
            reason: found,
        })
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let migrations = schema::migrator();
        let known = migrations.iter().map(|m| m.version).max().unwrap_or(0);
        migrations.run(self.pool()).await.map_err(|error| {
            let path = self.file().to_owned();
            match error {
                MigrateError::VersionMissing(found) => StoreError::NewerSchema { path, found, known },
                MigrateError::Execute(source) => StoreError::database(&path, source),
                source => StoreError::Migration { path, source },
            }
        })
    }
}

/// Whether an idle connection can be used again. Where a transaction could not be committed because the disk was full, SQLite has
/// rolled it back by itself; the rollback that sqlx then asks for fails, and sqlx counts the transaction as open from then on and
/// begins no other. Such a connection is closed, and a new one is opened in its place.
async fn is_usable(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    Ok(!connection.is_in_transaction())
}

/// Makes the folders and takes the lock under which a data folder is opened: SQLite migrations of two processes that open a new
/// folder at the same time would run into each other. The second value is the data folder's absolute path, so that
/// nothing changes its meaning when the process changes its working folder.
fn prepare(data: &Path) -> Result<(File, PathBuf), StoreError> {
    folder::create(data)?;
    let data = fs::canonicalize(data).map_err(|e| StoreError::file(data, e))?;
    let path = data.join("registry.lock");
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| StoreError::NotWritable {
            path: data.clone(),
            reason: e.to_string(),
        })?;
    match lock.lock() {
        Ok(()) => {}
        // a file system without locks: opening a new folder twice at the same time is then the user's affair
        Err(e) if e.kind() == io::ErrorKind::Unsupported => {}
        Err(e) => return Err(StoreError::file(&path, e)),
    }
    look_at_header(&data.join("registry.sqlite"))?;
    Ok((lock, data))
}

/// SQLite reads the file lazily and takes some foreign ones for damaged; the header says which of the two it is.
fn look_at_header(path: &Path) -> Result<(), StoreError> {
    let mut header = Vec::new();
    match File::open(path) {
        Ok(file) => file
            .take(16)
            .read_to_end(&mut header)
            .map_err(|e| StoreError::file(path, e))?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(StoreError::file(path, e)),
    };
    if header.is_empty() || header == SQLITE_HEADER {
        Ok(())
    } else {
        Err(StoreError::NotADatabase { path: path.to_owned() })
    }
}

/// Names the registry's file in SQLite's errors.
pub(crate) trait At<T> {
    fn at(self, store: &Store) -> Result<T, StoreError>;
}

impl<T> At<T> for Result<T, sqlx::Error> {
    fn at(self, store: &Store) -> Result<T, StoreError> {
        self.map_err(|e| StoreError::database(store.file(), e))
    }
}

/// `value` as the text of a column.
pub(crate) fn to_json<T: serde::Serialize>(value: &T, store: &Store, row: impl Into<String>) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| unreadable(store, row, e))
}

/// The value that the text of a column stands for; `row` says where it was found.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(
    text: &str,
    store: &Store,
    row: impl Into<String>,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| unreadable(store, row, e))
}

/// The error of a row that is not what this program writes.
pub(crate) fn unreadable(store: &Store, row: impl Into<String>, reason: impl ToString) -> StoreError {
    StoreError::Row {
        path: store.file().to_owned(),
        row: row.into(),
        reason: reason.to_string(),
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    since_1970().as_secs() as i64
}

/// Milliseconds since 1970; leases are kept in them.
pub(crate) fn now_ms() -> i64 {
    since_1970().as_millis() as i64
}

fn since_1970() -> Duration {
    // a clock before 1970 is not set; leases then count from 0, which is as good as any start
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
