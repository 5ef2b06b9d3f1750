//! Jobs whose owner's process vanishes: taken up again, and given up when they get no further.
#![allow(clippy::unwrap_used, reason = "a test may stop at a surprise")]

mod common;

use std::{path::Path, process::Command, time::Duration};

use api::{JobId, JobState, Progress};
use common::{LEASE, enqueue, store};
use store::Store;

/// The owner of a running job vanishes: its process is one that has ended, and its lease is over.
async fn owner_vanishes(folder: &Path, id: JobId) {
    let mut child = Command::new("true").spawn().unwrap();
    let (number, start) = (child.id(), start_of(child.id()));
    child.wait().unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.join("registry.sqlite"));
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let own: Option<String> = sqlx::query_scalar("select process from job where id = ?")
        .bind(id.0)
        .fetch_one(&pool)
        .await
        .unwrap();
    // where processes have no name, the lease is all there is
    let gone = own.map(|own| format!("{} {number} {start}", own.split_once(' ').unwrap().0));
    sqlx::query("update job set process = ?, lease_until = 0 where id = ?")
        .bind(gone)
        .bind(id.0)
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
}

fn start_of(id: u32) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields.split_whitespace().nth(19).unwrap_or("1").to_owned()
}

async fn claim(store: &Store, owner: &str) -> Option<JobId> {
    store.claim(owner, LEASE).await.unwrap().map(|job| job.id)
}

#[tokio::test]
async fn a_job_that_ends_its_process_twice_has_failed_and_those_behind_it_go_on() {
    let (folder, store) = store().await;
    let ids = enqueue(&store, 2).await;
    for owner in ["first", "second"] {
        assert_eq!(claim(&store, owner).await, Some(ids[0]));
        store.goes_on(ids[0], owner, 0).await.unwrap();
        owner_vanishes(folder.path(), ids[0]).await;
    }
    assert_eq!(claim(&store, "third").await, Some(ids[1]));
    let job = store.job(ids[0]).await.unwrap().unwrap();
    assert_eq!((job.state, job.owner), (JobState::Failed, None));
    let error = job.error.unwrap();
    assert!(
        error.contains("2 times (lastly 'second')") && error.contains("resume it"),
        "{error}"
    );
    // resumed by a person, it is tried as often again
    store.resume(ids[0]).await.unwrap();
    for owner in ["fourth", "fifth"] {
        assert_eq!(claim(&store, owner).await, Some(ids[0]));
        owner_vanishes(folder.path(), ids[0]).await;
    }
    assert_eq!(claim(&store, "sixth").await, None);
    assert_eq!(store.job(ids[0]).await.unwrap().unwrap().state, JobState::Failed);
}

#[tokio::test]
async fn a_job_that_gets_further_between_deaths_goes_on_for_ever() {
    let (folder, store) = store().await;
    let id = enqueue(&store, 1).await[0];
    for step in [0, 100, 200, 300, 400, 500] {
        assert_eq!(claim(&store, "someone").await, Some(id), "{step}");
        store.goes_on(id, "someone", step).await.unwrap();
        owner_vanishes(folder.path(), id).await;
    }
    // from the same checkpoint once more, and that was the second death there
    assert_eq!(claim(&store, "someone").await, Some(id));
    store.goes_on(id, "someone", 500).await.unwrap();
    owner_vanishes(folder.path(), id).await;
    assert_eq!(claim(&store, "someone").await, None);
}

#[tokio::test]
async fn a_person_who_asks_for_that_job_gets_it_and_a_late_owner_who_lives_is_no_death() {
    let (folder, store) = store().await;
    let id = enqueue(&store, 1).await[0];
    for _ in 0..5 {
        assert_eq!(store.claim_job(id, "a person", LEASE).await.unwrap().unwrap().id, id);
        owner_vanishes(folder.path(), id).await;
    }
    assert_eq!(claim(&store, "late").await, Some(id));
    if Path::new("/proc/self/stat").exists() {
        for _ in 0..5 {
            let progress = Progress::default();
            store.heartbeat(id, "late", &progress, Duration::ZERO).await.unwrap();
            assert_eq!(claim(&store, "late").await, Some(id), "this process lives");
        }
    }
}
