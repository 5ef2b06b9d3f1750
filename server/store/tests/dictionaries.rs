//! Dictionaries: row and file come together or not at all.
#![allow(clippy::unwrap_used, reason = "a test may stop at a surprise")]

mod common;

use std::fs;

use api::{Density, DictionaryId, ErrorKind, Interval, JobState, KnownFeatures, Measurement, Resampled, SetAside};
use common::{LEASE, dictionary, enqueue, measurement, store, weights};
use store::{Store, StoreError};

/// SHA-256 of "abc" (FIPS 180-4, example).
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[tokio::test]
async fn a_run_ends_with_all_its_dictionaries() {
    let (_folder, store) = store().await;
    let id = enqueue(&store, 1).await[0];
    store.claim("a", LEASE).await.unwrap();
    let made = || {
        vec![
            (dictionary(id), weights(&store, id, "0", "abc")),
            (dictionary(id), weights(&store, id, "1", "d")),
        ]
    };
    let before = store.revision().await.unwrap();
    let ids = store.finish_with(id, "a", made()).await.unwrap();
    assert!(store.revision().await.unwrap().registry > before.registry);
    let job = store.job(id).await.unwrap().unwrap();
    assert_eq!((job.state, &job.dictionaries), (JobState::Done, &ids));
    let listed = store.dictionaries().await.unwrap();
    assert_eq!(listed.iter().map(|d| d.id).collect::<Vec<_>>(), ids);
    assert_eq!(listed[0].checksum, ABC);
    assert_eq!(listed[0].metrics, [measurement("l0", 12.25)]);
    assert_eq!(listed[0].command, job.command);
    assert_eq!(fs::read(store.verify_dictionary(ids[0]).await.unwrap()).unwrap(), b"abc");

    let again = made();
    let error = store.finish_with(id, "a", again.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(store.dictionaries().await.unwrap().len(), 2);
    assert!(again.iter().all(|(_, file)| file.exists()), "the files stay where they were");
}

#[tokio::test]
async fn a_missing_file_adds_nothing() {
    let (_folder, store) = store().await;
    let id = enqueue(&store, 1).await[0];
    store.claim("a", LEASE).await.unwrap();
    let first = weights(&store, id, "0", "abc");
    let gone = store.job_folder(id).join("gone");
    let made = vec![(dictionary(id), first.clone()), (dictionary(id), gone.clone())];
    let error = store.finish_with(id, "a", made).await.unwrap_err();
    assert!(error.to_string().contains(gone.to_str().unwrap()), "{error}");
    assert!(first.exists());
    assert_eq!(store.dictionaries().await.unwrap(), []);
    assert_eq!(store.job(id).await.unwrap().unwrap().state, JobState::Running);
}

#[tokio::test]
async fn a_file_that_cannot_be_placed_undoes_the_others() {
    let (_folder, store) = store().await;
    let id = enqueue(&store, 1).await[0];
    store.claim("a", LEASE).await.unwrap();
    let files = [weights(&store, id, "0", "abc"), weights(&store, id, "1", "d")];
    // a folder in the second one's place
    fs::create_dir_all(store.dictionary_file(DictionaryId(2)).join("x")).unwrap();
    let made = files.iter().map(|f| (dictionary(id), f.clone())).collect();
    let error = store.finish_with(id, "a", made).await.unwrap_err();
    assert!(matches!(error, StoreError::File { .. }), "{error}");
    assert!(files.iter().all(|f| f.exists()));
    assert!(!store.dictionary_file(DictionaryId(1)).exists());
    assert_eq!(store.dictionaries().await.unwrap(), []);
}

#[tokio::test]
async fn damage_is_named() {
    let (_folder, store) = store().await;
    let id = enqueue(&store, 1).await[0];
    let added = store
        .add_dictionary(dictionary(id), &weights(&store, id, "0", "abc"))
        .await
        .unwrap();
    assert!(added.created > 0);
    let file = store.dictionary_file(added.id);
    fs::write(&file, "abd").unwrap();
    let error = store.verify_dictionary(added.id).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Checksum { expected, .. } if expected == ABC),
        "{error}"
    );
    assert!(error.to_string().starts_with(file.to_str().unwrap()), "{error}");
    assert_eq!(
        store.verify_dictionary(DictionaryId(9)).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn metrics_are_replaced() {
    let (_folder, store) = store().await;
    let id = enqueue(&store, 1).await[0];
    let added = store
        .add_dictionary(dictionary(id), &weights(&store, id, "0", "abc"))
        .await
        .unwrap();
    let before = store.revision().await.unwrap();
    let sure = Measurement {
        interval: Some(Interval {
            low: -4.0,
            high: -2.5,
            over: Resampled::Documents,
            n: 12,
        }),
        ..measurement("a", -3.0)
    };
    let metrics = [measurement("b", 0.1), measurement("nan", f64::NAN), sure];
    let density = Density::new(&[0, 3, 70], 100);
    store.set_metrics(added.id, &metrics, Some(&density)).await.unwrap();
    let now = store.dictionary(added.id).await.unwrap().unwrap();
    assert_eq!(now.metrics, [metrics[0].clone(), metrics[2].clone()]);
    assert_eq!(now.density, Some(density));
    assert!(store.revision().await.unwrap().registry > before.registry);
    assert_eq!(
        store.set_metrics(DictionaryId(9), &[], None).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn what_a_dictionary_knows_takes_its_own_place_among_the_metrics() {
    let (_folder, store) = store().await;
    let id = enqueue(&store, 1).await[0];
    let added = store
        .add_dictionary(dictionary(id), &weights(&store, id, "0", "abc"))
        .await
        .unwrap();
    assert_eq!(store.known(added.id).await.unwrap(), None);
    let known = |names: &[&str], value: f64| -> KnownFeatures {
        let estimate = serde_json::json!({"value": value, "low": 0.0, "high": 1.0});
        let summary: Vec<_> = names
            .iter()
            .map(|name| serde_json::json!({"name": name, "value": estimate, "n_labels": 3}))
            .collect();
        serde_json::from_value(serde_json::json!({
            "storyworld": 1, "seed": 5, "n_stories": 600, "n_tokens": 40, "causal_floor": 0.01, "summary": summary, "labels": [],
        }))
        .unwrap()
    };
    let names = async || {
        let now = store.dictionary(added.id).await.unwrap().unwrap();
        now.metrics.into_iter().map(|m| (m.name, m.value)).collect::<Vec<_>>()
    };
    let before = names().await;
    assert_eq!(before.len(), 1);
    for (measured, value) in [
        (&["known_coverage", "known_coverage_used"][..], 0.5),
        (&["known_auc", "known_coverage"], 0.25),
    ] {
        let known = known(measured, value);
        store.set_known(added.id, &known).await.unwrap();
        let now = names().await;
        assert_eq!(now[..1], before);
        assert_eq!(
            now[1..],
            measured.iter().map(|name| (name.to_string(), value)).collect::<Vec<_>>()
        );
        assert_eq!(store.known(added.id).await.unwrap(), Some(known));
    }
    let error = store.set_known(DictionaryId(9), &known(&[], 0.0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!store.known_file(DictionaryId(9)).exists());
    fs::write(store.known_file(added.id), "{").unwrap();
    let error = store.known(added.id).await.unwrap_err().to_string();
    assert!(error.contains("1.known.json"), "{error}");
}

#[tokio::test]
async fn opening_removes_what_a_crash_left_unfinished_and_sets_aside_what_has_no_row() {
    let (folder, store) = store().await;
    let id = enqueue(&store, 1).await[0];
    let added = store
        .add_dictionary(dictionary(id), &weights(&store, id, "0", "abc"))
        .await
        .unwrap();
    let orphan = store.dictionary_file(DictionaryId(77));
    let foreign = folder.path().join("dictionaries/notes.txt");
    let young = folder.path().join("jobs/1/.saescope-young.tmp");
    let old = folder.path().join("jobs/1/.saescope-old.tmp");
    for path in [&orphan, &foreign, &young, &old] {
        fs::write(path, "x").unwrap();
    }
    let upload = |name: &str| {
        let file = folder.path().join(name).join("config.json");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "x").unwrap();
        file
    };
    let (crashed, uploading) = (upload(".upload-crashed"), upload(".upload-slow"));
    let packing = upload("corpora/c/.packing-crashed");
    let caching = upload("cache/activations/.caching-crashed");
    let kept = upload("cache/activations/abc");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3 * 86_400);
    let age = |path: &std::path::Path| fs::File::open(path).unwrap().set_modified(long_ago).unwrap();
    for path in [&old, &crashed, &packing, &caching, &kept] {
        age(path);
    }
    // of the slow upload only the folder is old: its file is being written to
    for file in [&crashed, &uploading, &packing, &caching, &kept] {
        age(file.parent().unwrap());
    }
    assert_eq!(store.set_aside_at_opening().unwrap(), None);
    let opened = Store::open(folder.path()).await.unwrap();
    assert!(!orphan.exists() && !old.exists());
    let set_aside = opened.set_aside_at_opening().unwrap().unwrap();
    assert_eq!((set_aside.n_dictionaries, set_aside.n_jobs, set_aside.n_answers), (1, 0, 0));
    let moved = std::path::Path::new(&set_aside.folder).join("dictionaries/77.safetensors");
    assert_eq!(fs::read(moved).unwrap(), b"x");
    // said once by the opening that did it, and listed as long as it is there
    let again = Store::open(folder.path()).await.unwrap();
    assert_eq!(again.set_aside_at_opening().unwrap(), None);
    assert_eq!(again.set_aside_folders().unwrap(), [set_aside]);
    assert!(!crashed.parent().unwrap().exists() && !packing.parent().unwrap().exists());
    assert!(!caching.parent().unwrap().exists() && kept.exists());
    assert!(uploading.exists() && packing.parent().unwrap().parent().unwrap().exists());
    assert!(foreign.exists() && young.exists() && store.dictionary_file(added.id).exists());
}

/// What a person does whose registry was damaged: puts a copy back, or begins anew.
#[tokio::test]
async fn an_older_registry_or_none_loses_no_file() {
    let (folder, store) = store().await;
    let registry = folder.path().join("registry.sqlite");
    let job = enqueue(&store, 1).await[0];
    let add = async |store: &Store, content: &str| {
        let weights = weights(store, job, "new", content);
        store.add_dictionary(dictionary(job), &weights).await.unwrap().id
    };
    add(&store, "the first").await;
    store.close().await;
    let older = fs::read(&registry).unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let second = add(&store, "the second").await;
    fs::write(store.known_file(second), "{}").unwrap();
    fs::write(folder.path().join("jobs/1/checkpoint.safetensors"), "a checkpoint").unwrap();
    store.close().await;

    fs::write(&registry, older).unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let kept = |set_aside: &SetAside, path: &str| fs::read_to_string(std::path::Path::new(&set_aside.folder).join(path)).unwrap();
    let first = store.set_aside_at_opening().unwrap().unwrap();
    assert_eq!(kept(&first, "dictionaries/2.safetensors"), "the second");
    assert_eq!(kept(&first, "dictionaries/2.known.json"), "{}");
    assert_eq!((first.n_dictionaries, first.n_jobs), (1, 0));
    assert!(first.text().contains("1 dictionary") && first.text().contains(&first.folder));
    assert!(store.verify_dictionary(DictionaryId(1)).await.is_ok());
    // a file that came into the place of a number that is given now
    fs::write(store.dictionary_file(second), "somebody's").unwrap();
    assert_eq!(add(&store, "another second").await, second);
    assert_eq!(fs::read_to_string(store.dictionary_file(second)).unwrap(), "another second");
    let folders = store.set_aside_folders().unwrap();
    assert_eq!(folders.len(), 2);
    assert_eq!(kept(&folders[1], "dictionaries/2.safetensors"), "somebody's");
    store.close().await;

    fs::remove_file(&registry).unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let all = store.set_aside_at_opening().unwrap().unwrap();
    assert_eq!((all.n_dictionaries, all.n_jobs), (2, 1));
    assert_eq!(kept(&all, "dictionaries/1.safetensors"), "the first");
    assert_eq!(kept(&all, "jobs/1/checkpoint.safetensors"), "a checkpoint");
}
