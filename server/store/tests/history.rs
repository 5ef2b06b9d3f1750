//! Histories: indices without gaps, cut back at a step.
#![allow(clippy::unwrap_used, reason = "a test may stop at a surprise")]

mod common;

use api::{ErrorKind, HistoryPoint, JobId};
use common::{enqueue, store};

fn point(step: usize, dictionary: usize) -> HistoryPoint {
    HistoryPoint {
        step,
        tokens: 10 * step as u64,
        dictionary,
        values: [("loss".to_string(), 0.1 + step as f64)].into(),
    }
}

#[tokio::test]
async fn append_cut_and_read() {
    let (_folder, store) = store().await;
    let ids = enqueue(&store, 2).await;
    let points: Vec<_> = (0..5).flat_map(|step| [point(step, 0), point(step, 1)]).collect();
    store.append_history(ids[0], &points[..4]).await.unwrap();
    let before = store.revision().await.unwrap();
    store.append_history(ids[0], &points[4..]).await.unwrap();
    let after = store.revision().await.unwrap();
    assert!(after.history > before.history && after.jobs == before.jobs);
    store.append_history(ids[1], &points[..2]).await.unwrap();
    assert_eq!(store.history(ids[0], 0).await.unwrap(), points);
    assert_eq!(store.history(ids[0], 7).await.unwrap(), points[7..]);
    assert_eq!(store.n_history(ids[0]).await.unwrap(), 10);

    store.truncate_history(ids[0], 3).await.unwrap();
    assert_eq!(store.history(ids[0], 0).await.unwrap(), points[..6]);
    store.append_history(ids[0], &points[6..]).await.unwrap();
    assert_eq!(store.history(ids[0], 0).await.unwrap(), points);
    store.truncate_history(ids[0], 100).await.unwrap();
    assert_eq!(store.n_history(ids[0]).await.unwrap(), 10);
    assert_eq!(store.n_history(ids[1]).await.unwrap(), 2);
}

#[tokio::test]
async fn what_json_cannot_write_is_left_out() {
    let (_folder, store) = store().await;
    let id = enqueue(&store, 1).await[0];
    let mut bad = point(0, 0);
    bad.values.insert("loss/kl".into(), f64::NAN);
    store.append_history(id, &[bad]).await.unwrap();
    assert_eq!(store.history(id, 0).await.unwrap(), [point(0, 0)]);
    assert_eq!(
        store.append_history(JobId(99), &[point(0, 0)]).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
}
