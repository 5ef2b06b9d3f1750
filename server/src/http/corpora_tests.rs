//! Texts over the API: how they are read, what is answered of it, and paths that lead to no file.

use axum::http::StatusCode;
use serde_json::json;
use std::{path::Path, process::Command, time::Duration};

use super::testing::{TestApp, tiny_model};

const CHATS: &str = "{\"id\": \"r1\", \"conversations\": [{\"from\": \"human\", \"value\": \"two cats\"}]}\n\
                     {\"id\": \"r2\", \"conversations\": []}\n";

#[tokio::test]
async fn a_corpus_answers_what_was_read_of_it() {
    let app = TestApp::new().await;
    let path = app.file("chats.jsonl", CHATS);
    let (status, corpus) = app.post("/api/corpora", json!({"path": path})).await;
    assert_eq!(status, StatusCode::OK, "{corpus}");
    let summary = &corpus["summary"];
    assert_eq!(summary["field"], json!({"name": "conversations", "form": "turns"}));
    assert_eq!(
        (&summary["n_read"], &summary["skipped"]),
        (&json!(1), &json!([{"reason": "empty", "n": 1}]))
    );
    assert_eq!(summary["first"], json!([{"text": "human: two cats"}]));
    let (_, corpora) = app.get("/api/corpora").await;
    assert_eq!(corpora[0], corpus);

    let (status, model) = app.post("/api/models", json!({"folder": tiny_model()})).await;
    assert_eq!(status, StatusCode::OK, "{model}");
    let (status, excerpts) = app.get("/api/corpora/chats.jsonl/tokens?model=tiny").await;
    assert_eq!(status, StatusCode::OK, "{excerpts}");
    assert_eq!(excerpts[0]["text"], json!("human: two cats"));
    let pieces = excerpts[0]["tokens"].as_array().unwrap();
    let joined: String = pieces.iter().map(|piece| piece["text"].as_str().unwrap()).collect();
    assert_eq!(joined, "human: two cats");
    assert!(pieces.iter().all(|piece| piece["id"].is_u64()));
    for path in [
        "/api/corpora/chats.jsonl/tokens?model=other",
        "/api/corpora/other/tokens?model=tiny",
    ] {
        let (status, error) = app.get(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{error}");
    }
}

#[tokio::test]
async fn the_same_file_read_otherwise_is_another_corpus() {
    let app = TestApp::new().await;
    let path = app.file("chats.jsonl", CHATS);
    let add = async |body| {
        let (status, corpus) = app.post("/api/corpora", body).await;
        assert_eq!(status, StatusCode::OK, "{corpus}");
        corpus
    };
    let first = add(json!({"path": path})).await;
    let second = add(json!({"path": path, "text_field": "id"})).await;
    assert_eq!(
        (&first["id"], &second["id"]),
        (&json!("chats.jsonl"), &json!("chats.jsonl-2"))
    );
    assert_eq!(
        (&second["n_documents"], &second["reading"]),
        (&json!(2), &json!({"text_field": "id"}))
    );
    assert_eq!(add(json!({"path": path, "text_field": "id"})).await, second);

    let parts = [
        ("text_field", b"id".to_vec()),
        ("keep_runs", b"true".to_vec()),
        ("c.jsonl", CHATS.into()),
    ];
    let (status, uploaded) = app.upload("/api/corpora/upload", "sent", &parts).await;
    assert_eq!(status, StatusCode::OK, "{uploaded}");
    assert_eq!(uploaded["reading"], json!({"text_field": "id", "keep_runs": true}));
    assert_eq!(
        (&uploaded["id"], &uploaded["summary"]["first"][1]),
        (&json!("sent"), &json!({"text": "r2"}))
    );
}

#[tokio::test]
async fn what_cannot_be_read_names_its_fields() {
    let app = TestApp::new().await;
    let path = app.file("lists.jsonl", "{\"id\": \"r1\", \"turns\": [\"a\"]}\n");
    for (body, expected) in [
        (json!({"path": path}), "found the fields id (a string), turns (an array)"),
        (json!({"path": path, "text_field": "body"}), "no record has the field 'body'"),
        (json!({"path": path, "text_field": " "}), "text_field: it is empty"),
        (json!({"path": path, "hub": "a/b"}), "found both 'path' and 'hub'"),
        (json!({}), "found neither 'path' nor 'hub'"),
        (json!({"path": path, "textfield": "id"}), "unknown field"),
    ] {
        let (status, error) = app.post("/api/corpora", body).await;
        let said = error["message"].as_str().unwrap_or_default();
        assert!(status.is_client_error() && said.contains(expected), "{status}: {error}");
    }
    let (_, corpora) = app.get("/api/corpora").await;
    assert_eq!(corpora, json!([]));
}

/// What a version before this one wrote of a corpus has no summary, and gets it when the file is added again.
#[tokio::test]
async fn a_corpus_of_before_keeps_working() {
    let app = TestApp::new().await;
    let path = app.file("old.jsonl", "{\"text\": \"one\"}\n");
    let (_, corpus) = app.post("/api/corpora", json!({"path": path})).await;
    let mut old = corpus.clone();
    old.as_object_mut().unwrap().remove("summary");
    let old: api::CorpusInfo = serde_json::from_value(old).unwrap();
    assert!(old.summary.is_none() && old.reading.is_default());
    app.workspace.store.add_corpus(&old).await.unwrap();
    let (_, corpora) = app.get("/api/corpora").await;
    assert_eq!(corpora[0]["summary"], json!(null));
    let (status, again) = app.post("/api/corpora", json!({"path": path})).await;
    assert_eq!((status, &again), (StatusCode::OK, &corpus));
}

#[tokio::test]
async fn a_pipe_or_a_device_is_refused_at_once() {
    let app = TestApp::new().await;
    let pipe = app.file("beside", "").with_file_name("a.pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let folder = pipe.with_file_name("model");
    std::fs::create_dir(&folder).unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        std::fs::copy(tiny_model().join(name), folder.join(name)).unwrap();
    }
    std::fs::remove_file(folder.join("config.json")).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(folder.join("config.json"))
            .status()
            .unwrap()
            .success()
    );
    let (zero, pipe_within) = (Path::new("/dev/zero"), folder.join("config.json"));
    let cases = [
        ("/api/corpora", json!({"path": pipe})),
        ("/api/corpora", json!({"path": zero})),
        ("/api/models", json!({"folder": pipe})),
        ("/api/models", json!({"folder": zero})),
        ("/api/models", json!({"folder": folder})),
        ("/api/corpora", json!({"path": pipe_within})),
    ];
    for (route, body) in cases {
        let answer = tokio::time::timeout(Duration::from_secs(5), app.post(route, body.clone())).await;
        let (status, error) = answer.unwrap_or_else(|_| panic!("{route} {body} waits"));
        assert!(!status.is_success(), "{route} {body}: {error}");
        let said = error["message"].as_str().unwrap_or_default();
        assert!(
            said.contains("pipe") || said.contains("device") || said.contains("no ") || said.contains("not"),
            "{said}"
        );
    }
}
