//! Answers to questions: kept with their job's end, read back whole or not at all.
#![allow(clippy::unwrap_used, reason = "a test may stop at a surprise")]

mod common;

use api::*;
use common::{LEASE, store};
use store::{Store, StoreError};

fn question() -> AskConfig {
    AskConfig {
        model: ModelId("m".into()),
        corpus: CorpusId("c".into()),
        dictionaries: vec![DictionaryId(7)],
        question: Question::Tokens(TokensQuestion::default()),
    }
}

fn answer(n_rows: u64) -> Answer {
    Answer::Tokens(TokensAnswer {
        dictionaries: vec![DictionaryId(7)],
        by: TokenOrder::Kl,
        n_tokens: 512,
        n_rows,
        rows: Vec::new(),
    })
}

async fn claimed(store: &Store) -> JobId {
    let ids = store.enqueue(&[(question(), "saescope tokens".to_string())]).await.unwrap();
    store.claim("me", LEASE).await.unwrap().unwrap();
    ids[0]
}

#[tokio::test]
async fn an_answer_ends_its_job_and_comes_back() {
    let (folder, store) = store().await;
    let id = claimed(&store).await;
    assert_eq!(store.job(id).await.unwrap().unwrap().config, question().into());
    assert_eq!(
        (store.answer(id).await.unwrap(), store.answer_csv(id).await.unwrap()),
        (None, None)
    );
    store
        .finish_with_answer(id, "me", &answer(3), "a,b\r\n".into())
        .await
        .unwrap();
    assert_eq!(store.job(id).await.unwrap().unwrap().state, JobState::Done);

    let other = Store::open(folder.path()).await.unwrap();
    assert_eq!(other.answer(id).await.unwrap(), Some(answer(3)));
    assert_eq!(other.answer_csv(id).await.unwrap().as_deref(), Some(&b"a,b\r\n"[..]));

    // a file that is not what was written is refused by name, the other one is not
    let path = folder.path().join(format!("answers/{id}.csv"));
    std::fs::write(&path, "a,c\r\n").unwrap();
    let error = other.answer_csv(id).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Checksum { path: found, .. } if *found == path),
        "{error}"
    );
    assert_eq!(other.answer(id).await.unwrap(), Some(answer(3)));
}

#[tokio::test]
async fn only_the_jobs_owner_answers() {
    let (_folder, store) = store().await;
    let id = claimed(&store).await;
    let error = store
        .finish_with_answer(id, "other", &answer(1), String::new())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(store.answer(id).await.unwrap(), None);
    assert_eq!(store.job(id).await.unwrap().unwrap().state, JobState::Running);
}
