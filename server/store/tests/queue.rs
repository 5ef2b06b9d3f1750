//! The queue: one owner at a time, leases, cancelling, resuming, over two handles on one data folder.
#![allow(clippy::unwrap_used, reason = "a test may stop at a surprise")]

mod common;

use std::{collections::HashSet, time::Duration};

use api::{ErrorKind, JobId, JobState, Progress};
use common::{LEASE, config, enqueue, store};
use store::{End, Heartbeat, Store};

const NO_LEASE: Duration = Duration::ZERO;

#[tokio::test]
async fn a_sweep_is_queued_whole_or_not_at_all() {
    let (_folder, store) = store().await;
    let ids = enqueue(&store, 3).await;
    let jobs = store.jobs().await.unwrap();
    assert_eq!(jobs.iter().map(|j| j.id).collect::<Vec<_>>(), [ids[2], ids[1], ids[0]]);
    assert!(
        jobs.iter()
            .all(|j| j.sweep == ids[0] && j.state == JobState::Queued && j.config == config().into())
    );
    assert_eq!(jobs[0].command, "saescope sweep 2");

    let mut unknown = config();
    unknown.model.0 = "gone".into();
    let error = store
        .enqueue(&[(config(), String::new()), (unknown, String::new())])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("'gone'"), "{error}");
    let mut bad = config();
    bad.batch = 0;
    assert_eq!(
        store.enqueue(&[(bad, String::new())]).await.unwrap_err().kind(),
        ErrorKind::Invalid
    );
    assert_eq!(store.jobs().await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_job_is_given_twice() {
    let (folder, first) = store().await;
    let second = Store::open(folder.path()).await.unwrap();
    let ids = enqueue(&first, 12).await;
    let workers = [first.clone(), second.clone(), first, second]
        .into_iter()
        .enumerate()
        .map(|(n, store)| {
            tokio::spawn(async move {
                let mut taken = Vec::new();
                while let Some(job) = store.claim(&format!("worker {n}"), LEASE).await.unwrap() {
                    assert_eq!(job.owner, Some(format!("worker {n}")));
                    assert_eq!(job.state, JobState::Running);
                    taken.push(job.id);
                }
                taken
            })
        });
    let mut taken = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        taken.extend(worker.await.unwrap());
    }
    assert_eq!(taken.len(), 12);
    assert_eq!(taken.into_iter().collect::<HashSet<_>>(), ids.into_iter().collect());
}

#[tokio::test]
async fn an_expired_lease_is_taken_over() {
    let (folder, first) = store().await;
    let second = Store::open(folder.path()).await.unwrap();
    let id = enqueue(&first, 1).await[0];
    first.claim("a", LEASE).await.unwrap().unwrap();
    assert_eq!(second.claim("b", LEASE).await.unwrap(), None);
    assert_eq!(second.claim_job(id, "b", LEASE).await.unwrap(), None);

    let progress = Progress {
        done: 5,
        rate: f64::NAN,
        ..Progress::default()
    };
    assert_eq!(first.heartbeat(id, "a", &progress, NO_LEASE).await.unwrap(), Heartbeat::Go);
    assert_eq!(second.claim("b", LEASE).await.unwrap().unwrap().id, id);
    assert_eq!(first.heartbeat(id, "a", &progress, LEASE).await.unwrap(), Heartbeat::Lost);
    let error = first.finish(id, "a", End::Failed("x".into())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("running by 'b'"), "{error}");
    let job = first.job(id).await.unwrap().unwrap();
    assert_eq!(
        (job.owner.as_deref(), job.progress.done, job.progress.rate),
        (Some("b"), 5, 0.0)
    );
}

#[tokio::test]
async fn cancelling() {
    let (_folder, store) = store().await;
    let ids = enqueue(&store, 3).await;
    let queued = store.request_cancel(ids[1]).await.unwrap();
    assert_eq!(queued.state, JobState::Cancelled);
    assert!(queued.finished.is_some());
    assert_eq!(store.request_cancel(ids[1]).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.request_cancel(JobId(99)).await.unwrap_err().kind(), ErrorKind::NotFound);

    store.claim_job(ids[0], "a", LEASE).await.unwrap().unwrap();
    let running = store.request_cancel(ids[0]).await.unwrap();
    assert_eq!((running.state, running.cancel_requested), (JobState::Running, true));
    assert_eq!(
        store.heartbeat(ids[0], "a", &Progress::default(), LEASE).await.unwrap(),
        Heartbeat::Cancel
    );
    // its owner shuts down instead of ending it: it must not run again
    store.finish(ids[0], "a", End::Released).await.unwrap();
    assert_eq!(store.job(ids[0]).await.unwrap().unwrap().state, JobState::Cancelled);

    // an owner that died while its job was to stop: nobody begins it again
    store.claim_job(ids[2], "a", LEASE).await.unwrap().unwrap();
    store.request_cancel(ids[2]).await.unwrap();
    store.heartbeat(ids[2], "a", &Progress::default(), NO_LEASE).await.unwrap();
    assert_eq!(store.claim("b", LEASE).await.unwrap(), None);
    assert_eq!(store.job(ids[2]).await.unwrap().unwrap().state, JobState::Cancelled);
}

#[tokio::test]
async fn failing_releasing_and_resuming() {
    let (_folder, store) = store().await;
    let id = enqueue(&store, 1).await[0];
    assert_eq!(store.resume(id).await.unwrap_err().kind(), ErrorKind::Conflict);
    store.claim("a", LEASE).await.unwrap().unwrap();
    store.finish(id, "a", End::Released).await.unwrap();
    let job = store.claim("b", LEASE).await.unwrap().unwrap();
    assert_eq!(job.finished, None);
    store.finish(id, "b", End::Failed("loss is not finite".into())).await.unwrap();
    let failed = store.job(id).await.unwrap().unwrap();
    assert_eq!(
        (failed.state, failed.error.as_deref(), failed.owner),
        (JobState::Failed, Some("loss is not finite"), None)
    );
    let resumed = store.resume(id).await.unwrap();
    assert_eq!(
        (resumed.state, resumed.error, resumed.started, resumed.finished),
        (JobState::Queued, None, None, None)
    );
    assert_eq!(store.claim("c", LEASE).await.unwrap().unwrap().id, id);
}

#[tokio::test]
async fn changes_are_seen_by_other_handles() {
    let (folder, first) = store().await;
    let second = Store::open(folder.path()).await.unwrap();
    let ids = enqueue(&first, 2).await;
    let before = second.revision().await.unwrap();
    assert_eq!(second.revision().await.unwrap(), before);
    assert_eq!(second.changed_jobs(before.jobs).await.unwrap(), []);
    first.claim_job(ids[1], "a", LEASE).await.unwrap();
    let after = second.revision().await.unwrap();
    assert_eq!((after.registry, after.history), (before.registry, before.history));
    assert!(after.jobs > before.jobs);
    let changed = second.changed_jobs(before.jobs).await.unwrap();
    assert_eq!(changed.iter().map(|j| j.id).collect::<Vec<_>>(), [ids[1]]);
    assert_eq!(second.changed_jobs(after.jobs).await.unwrap(), []);
}

#[tokio::test]
async fn a_job_without_a_model_is_a_job_like_the_others() {
    let (_folder, store) = store().await;
    let config: api::PretrainConfig = serde_json::from_value(serde_json::json!({
        "name": "new", "corpus": "c", "tokenizer": {"from": "trained", "vocab_size": 300},
        "shape": {"n_layers": 1, "d_model": 8, "n_heads": 2, "n_ctx": 16}, "batch": 2, "tokens": 1000, "lr": 0.001,
        "schedule": {"warmup_steps": 1, "min_lr_factor": 0.1}, "adam": {"beta1": 0.9, "beta2": 0.99, "eps": 1e-8},
        "weight_decay": 0.1, "max_grad_norm": 1.0, "seed": 0, "dtype": "f16", "log_every_steps": 1,
        "checkpoint_every_steps": 1, "evaluation": {"n_tokens": 1, "validation_tokens": 1, "every_steps": 1}
    }))
    .unwrap();
    let unknown = api::PretrainConfig {
        corpus: api::CorpusId("x".into()),
        ..config.clone()
    };
    let error = store.enqueue(&[(unknown, String::new())]).await.unwrap_err();
    assert!(error.to_string().contains("corpus 'x'"), "{error}");
    let id = store.enqueue(&[(config.clone(), "a command".into())]).await.unwrap()[0];
    let job = store.claim("me", LEASE).await.unwrap().unwrap();
    assert_eq!((job.id, job.config), (id, config.into()));
    store.finish(id, "me", End::Done(Vec::new())).await.unwrap();
    assert_eq!(store.job(id).await.unwrap().unwrap().state, JobState::Done);
}
