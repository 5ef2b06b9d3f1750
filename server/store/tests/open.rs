//! Opening: what is wrong with a data folder is said by path and with what to do.
#![allow(clippy::unwrap_used, reason = "a test may stop at a surprise")]

mod common;

use std::{fs, io::Write};

use api::{BosPolicy, CorpusId, EosPolicy, ErrorKind, ModelId, Packing};
use common::{corpus, model, store};
use store::{Store, StoreError, write_atomic};

#[tokio::test]
async fn two_open_a_new_folder_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("new/data");
    let (a, b) = tokio::join!(Store::open(&data), Store::open(&data));
    a.unwrap().add_model(&model("m", "aa")).await.unwrap();
    assert_eq!(b.unwrap().models().await.unwrap(), [model("m", "aa")]);
    // and what was written is there when it is opened again
    assert_eq!(Store::open(&data).await.unwrap().models().await.unwrap(), [model("m", "aa")]);
}

#[tokio::test]
async fn a_foreign_file_is_no_registry() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("registry.sqlite");
    fs::write(&file, "my notes, more than sixteen bytes").unwrap();
    let error = Store::open(folder.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::NotADatabase { .. }), "{error}");
    assert!(error.to_string().contains("registry.sqlite"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"my notes, more than sixteen bytes");
}

#[tokio::test]
async fn a_damaged_registry_is_recognised() {
    let (folder, store) = store().await;
    let data = folder.path().to_owned();
    let copy = tempfile::tempdir().unwrap();
    let file = copy.path().join("registry.sqlite");
    common::enqueue(&store, 20).await;
    copy_registry(&data, &file).await;
    let mut bytes = fs::read(&file).unwrap();
    let n = bytes.len();
    assert!(n > 3 * 4096);
    bytes[4096..n].fill(0xa5);
    fs::write(&file, bytes).unwrap();
    let error = Store::open(copy.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
}

/// One file with everything in it, also what is still in the write-ahead log.
async fn copy_registry(data: &std::path::Path, to: &std::path::Path) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.join("registry.sqlite"));
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query("vacuum into ?")
        .bind(to.to_str().unwrap())
        .execute(&pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (folder, _store) = store().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("registry.sqlite"));
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (99, 'later', 1, x'00', 0)",
    )
    .execute(&pool)
    .await
    .unwrap();
    let error = Store::open(folder.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 99, .. }), "{error}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let data = file.join("data");
    let error = Store::open(&data).await.unwrap_err();
    assert!(matches!(error, StoreError::NotWritable { .. }), "{error}");
    assert!(error.to_string().contains(data.to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn one_content_per_name() {
    let (_folder, store) = store().await;
    let mut again = model("m", "aa");
    again.folder = "/elsewhere".into();
    again.created = 2;
    store.add_model(&again).await.unwrap();
    let found = store.model(&again.id).await.unwrap().unwrap();
    assert_eq!((found.folder.as_str(), found.created), ("/elsewhere", 1));
    let error = store.add_model(&model("m", "other")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        store.add_corpus(&corpus("c", "other")).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    assert_eq!(
        store.add_model(&model("../m", "aa")).await.unwrap_err().kind(),
        ErrorKind::Invalid
    );
    assert_eq!(store.model(&ModelId("none".into())).await.unwrap(), None);
    assert_eq!(store.corpora().await.unwrap(), [corpus("c", "bb")]);
}

#[tokio::test]
async fn folders() {
    let (_folder, store) = store().await;
    let packing = Packing {
        n_ctx: 32,
        bos: BosPolicy::Document,
        eos: EosPolicy::None,
    };
    let c = CorpusId("c".into());
    let folder = store.corpus_folder(&c, &packing, "aa");
    assert_eq!(folder, store.corpus_folder(&c, &packing, "aa"));
    assert!(folder.starts_with(store.data().join("corpora/c")));
    assert_ne!(folder, store.corpus_folder(&c, &packing, "ab"));
    assert_ne!(folder, store.corpus_folder(&c, &Packing { n_ctx: 64, ..packing }, "aa"));
    assert_eq!(
        store.model_folder(&ModelId("../../etc".into())).parent(),
        Some(store.data().join("models").as_path())
    );
}

#[tokio::test]
async fn a_write_that_fails_leaves_the_former_content() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    write_atomic(&path, |f| f.write_all(b"one")).unwrap();
    let error = write_atomic(&path, |f| {
        f.write_all(b"tw")?;
        Err(std::io::ErrorKind::StorageFull.into())
    })
    .unwrap_err();
    assert!(error.to_string().starts_with(path.to_str().unwrap()), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"one");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// The third migration makes the table of jobs anew.
#[tokio::test]
async fn a_registry_of_the_first_schema_keeps_its_jobs_and_curves() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("registry.sqlite");
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&file)
        .create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let first = sqlx::migrate::Migration::new(
        1,
        "registry".into(),
        sqlx::migrate::MigrationType::Simple,
        sqlx::SqlSafeStr::into_sql_str(include_str!("../migrations/0001_registry.sql")),
        false,
    );
    let first = sqlx::migrate::Migrator::with_migrations(vec![first]);
    first.run(&pool).await.unwrap();
    let job = "insert into job (id, sweep, model, corpus, config, command, state, progress, created)
               values (?, 5, 'm', 'c', ?, 'a command', 'queued', '{\"stage\":\"\",\"done\":0,\"total\":0,\"unit\":\"\",\"rate\":0}', 1)";
    for statement in [
        "insert into model values ('m', 'aa', '{}', 1)",
        "insert into corpus values ('c', 'bb', '{}', 1)",
        job,
        job,
    ] {
        let number = sqlx::query_scalar::<_, i64>("select 5 + count(*) from job")
            .fetch_one(&pool)
            .await
            .unwrap();
        let query = sqlx::query(statement);
        let query = if statement == job {
            query.bind(number).bind(serde_json::to_string(&common::config()).unwrap())
        } else {
            query
        };
        query.execute(&pool).await.unwrap();
    }
    let point = "{\"step\":1,\"tokens\":2,\"dictionary\":0,\"values\":{\"loss\":0.5,\"loss/kl\":0.1,\"validation/kl\":0.25}}";
    sqlx::query("insert into history values (6, 0, 1, ?)")
        .bind(point)
        .execute(&pool)
        .await
        .unwrap();
    for statement in [
        "insert into dictionary (id, job, position, model, corpus, info, checksum, created) values (1, 6, 0, 'm', 'c', '{}', 'ee', 1)",
        "insert into metric (dictionary, position, name, version, tokens, n_tokens, value) values (1, 0, 'l0', 1, 'ordinary', 9, 3.0)",
        "insert into metric (dictionary, position, name, version, tokens, n_tokens, value) values (1, 1, 'kl', 1, 'ordinary', 9, 0.5)",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    pool.close().await;

    let store = Store::open(folder.path()).await.unwrap();
    let jobs = store.jobs().await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.id.0).collect::<Vec<_>>(), [6, 5]);
    assert_eq!(jobs[0].config, common::config().into());
    // metrics have other names since the seventh; terms of the loss have theirs
    let values = &store.history(jobs[0].id, 0).await.unwrap()[0].values;
    let expected = [("loss", 0.5), ("loss/kl", 0.1), ("validation/kl_div_with_sae", 0.25)];
    assert_eq!(
        values.iter().map(|(name, value)| (name.as_str(), *value)).collect::<Vec<_>>(),
        expected
    );
    let pool = sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(&file));
    let names = sqlx::query_scalar::<_, String>("select name from metric order by position");
    assert_eq!(
        names.fetch_all(&pool.await.unwrap()).await.unwrap(),
        ["l0", "kl_div_with_sae"]
    );
    // what hangs on the table works on: numbers, triggers, foreign keys
    let before = store.revision().await.unwrap();
    store.add_model(&model("new", "cc")).await.unwrap();
    let claimed = store.claim("me", common::LEASE).await.unwrap().unwrap();
    assert_eq!(claimed.id.0, 5);
    assert!(store.revision().await.unwrap().jobs > before.jobs);
    store.add_corpus(&corpus("d", "dd")).await.unwrap();
    let run = api::TrainConfig {
        model: ModelId("new".into()),
        corpus: CorpusId("d".into()),
        ..common::config()
    };
    assert_eq!(store.enqueue(&[(run, String::new())]).await.unwrap()[0].0, 7);
}
