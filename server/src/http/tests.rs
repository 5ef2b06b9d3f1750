//! The API as its users meet it: every route's success and failure.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::{fs, time::Duration};

use super::testing::{TestApp, small_sweep, tiny_model};

#[tokio::test]
async fn an_empty_data_folder_has_an_answer_everywhere() {
    let app = TestApp::new().await;
    assert_eq!(app.get("/api/health").await.1["ok"], true);
    let (status, overview) = app.get("/api/overview").await;
    assert_eq!((status, &overview["dictionaries"]), (StatusCode::OK, &json!([])));
    for path in ["/api/models", "/api/corpora", "/api/jobs", "/api/dictionaries"] {
        assert_eq!(app.get(path).await, (StatusCode::OK, json!([])), "{path}");
    }
    let (status, view) = app.get("/api/pareto").await;
    assert_eq!((status, &view["dictionaries"]), (StatusCode::OK, &json!([])));
    assert_eq!(view["query"]["x"], "l0");
    let (_, metrics) = app.get("/api/metrics").await;
    assert_eq!(metrics[0]["name"], "l0");
    assert!(metrics[0]["definition"].is_string() && metrics[0]["unit"].is_string());
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let app = TestApp::new().await;
    for (path, named) in [
        ("/api/jobs/7", "job 7"),
        ("/api/jobs/7/history", "job 7"),
        ("/api/dictionaries/7", "dictionary 7"),
        ("/api/dictionaries/7/known", "dictionary 7"),
        ("/api/nothing", "'/nothing'"),
    ] {
        let (status, error) = app.get(path).await;
        assert_eq!(
            (status, &error["kind"]),
            (StatusCode::NOT_FOUND, &json!("not_found")),
            "{path}: {error}"
        );
        assert!(error["message"].as_str().unwrap().contains(named), "{path}: {error}");
    }
    for path in ["/api/jobs/7/cancel", "/api/jobs/7/resume"] {
        assert_eq!(app.post(path, Value::Null).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_request_of_the_wrong_shape_is_refused_as_json() {
    let app = TestApp::new().await;
    assert_eq!(app.get("/api/sweeps").await.0, StatusCode::METHOD_NOT_ALLOWED);
    let (status, error) = app.get("/api/jobs/seven").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(error["message"].as_str().unwrap().contains("'seven'"), "{error}");
    let (status, error) = app.get("/api/pareto?x_axis=l0").await;
    assert_eq!(
        (status, &error["field"]),
        (StatusCode::BAD_REQUEST, &json!("x_axis")),
        "{error}"
    );
    let (status, error) = app.get("/api/pareto?x=l00").await;
    assert_eq!((status, &error["field"]), (StatusCode::BAD_REQUEST, &json!("x")));
    for (change, field, says) in [
        (
            json!({"d_sea": 512}),
            "d_sea",
            "unknown field 'd_sea', expected one of 'model'",
        ),
        (json!({"tokens": "many"}), "tokens", "expected u64"),
        (json!({"seeds": [0, -1]}), "seeds", "expected u64"),
        (json!({"at": "here"}), "at", "'here'"),
    ] {
        let mut sweep = small_sweep("m", "c");
        sweep.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        for path in ["/api/sweeps", "/api/sweeps/resolve"] {
            let (status, error) = app.post(path, sweep.clone()).await;
            assert_eq!(
                (status, &error["kind"], &error["field"]),
                (StatusCode::BAD_REQUEST, &json!("invalid"), &json!(field)),
                "{error}"
            );
            let message = error["message"].as_str().unwrap();
            assert!(
                message.starts_with(&format!("{field}: ")) && message.contains(says),
                "{error}"
            );
            assert!(!message.contains('`') && !message.contains("line 1"), "{error}");
        }
    }
    let mut sweep = small_sweep("m", "c");
    sweep.as_object_mut().unwrap().remove("corpus");
    let (status, error) = app.post("/api/sweeps", sweep).await;
    assert_eq!(
        (status, &error["field"]),
        (StatusCode::BAD_REQUEST, &json!("corpus")),
        "{error}"
    );
    let request = Request::post("/api/sweeps")
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from("{\"model\": "))
        .unwrap();
    let body = app.send(request).await.into_body().collect().await.unwrap().to_bytes();
    let error: Value = serde_json::from_slice(&body).unwrap();
    assert!(
        error["message"].as_str().unwrap().starts_with("the body is no JSON: "),
        "{error}"
    );
    let (_, error) = app.get("/api/jobs/1/history?form=3").await;
    assert_eq!(error["field"], "form", "{error}");
    let (status, error) = app.post("/api/models", json!({"folder": "x".repeat(2 << 20)})).await;
    assert_eq!((status, &error["kind"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("too_large")));
}

#[tokio::test]
async fn the_description_names_every_route() {
    let app = TestApp::new().await;
    let (_, description) = app.get("/api/openapi.json").await;
    let paths = description["paths"].as_object().unwrap();
    for path in [
        "/api/health",
        "/api/token",
        "/api/overview",
        "/api/models",
        "/api/models/upload",
        "/api/corpora",
        "/api/corpora/upload",
        "/api/sweeps",
        "/api/sweeps/resolve",
        "/api/jobs",
        "/api/jobs/{id}",
        "/api/jobs/{id}/cancel",
        "/api/jobs/{id}/resume",
        "/api/jobs/{id}/history",
        "/api/jobs/{id}/answer",
        "/api/jobs/{id}/answer.csv",
        "/api/questions",
        "/api/labelled/upload",
        "/api/derive",
        "/api/imports",
        "/api/dictionaries",
        "/api/dictionaries/{id}",
        "/api/dictionaries/{id}/export",
        "/api/dictionaries/{id}/known",
        "/api/metrics",
        "/api/pareto",
        "/api/pareto.svg",
        "/api/pareto.png",
        "/api/pareto.csv",
        "/api/events",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    let resolve = &description["components"]["schemas"]["SweepRequest"]["properties"]["coefficient"];
    assert!(resolve.is_object(), "the schemas are part of it");
}

#[tokio::test]
async fn models_are_added_once_and_damaged_ones_never() {
    let app = TestApp::new().await;
    let folder = json!({"folder": tiny_model()});
    let (status, model) = app.post("/api/models", folder.clone()).await;
    assert_eq!(
        (status, &model["id"], &model["family"]),
        (StatusCode::OK, &json!("tiny"), &json!("gpt2")),
        "{model}"
    );
    assert_eq!(app.post("/api/models", folder).await.1, model);
    let (status, error) = app.post("/api/models", json!({"folder": "/no/such/folder"})).await;
    assert_eq!((status, &error["field"]), (StatusCode::BAD_REQUEST, &json!("folder")));

    let read = |name: &str| fs::read(tiny_model().join(name)).unwrap();
    let mut files: Vec<_> = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
        .map(|name| (name, read(name)))
        .into();
    let (status, same) = app.upload("/api/models/upload", "copy", &files).await;
    assert_eq!(
        (status, &same["id"]),
        (StatusCode::OK, &json!("tiny")),
        "the same content is the same model"
    );
    files[1].1.truncate(1000);
    let (status, error) = app.upload("/api/models/upload", "damaged", &files).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
    assert!(error["message"].as_str().unwrap().contains("model.safetensors"), "{error}");
    let (status, error) = app
        .upload("/api/models/upload", "pickled", &[("pytorch_model.bin", vec![0])])
        .await;
    assert_eq!((status, &error["field"]), (StatusCode::BAD_REQUEST, &json!("files")));
    assert_eq!(app.get("/api/models").await.1.as_array().unwrap().len(), 1);
    let left = fs::read_dir(app.workspace.store.data())
        .unwrap()
        .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with(".upload"));
    assert_eq!(left.count(), 0, "a refused upload leaves nothing behind");
}

#[tokio::test]
async fn corpora_are_added_from_a_path_and_from_an_upload() {
    let app = TestApp::new().await;
    let path = app.file("My Text.jsonl", "{\"text\": \"one\"}\n{\"text\": \"two\"}\n");
    let (status, corpus) = app.post("/api/corpora", json!({"path": path})).await;
    assert_eq!(
        (status, &corpus["id"], &corpus["n_documents"]),
        (StatusCode::OK, &json!("my-text.jsonl"), &json!(2)),
        "{corpus}"
    );
    let (status, corpus) = app
        .upload("/api/corpora/upload", "letters", &[("a.txt", b"a b c d".to_vec())])
        .await;
    assert_eq!(
        (status, &corpus["id"], &corpus["format"]),
        (StatusCode::OK, &json!("letters"), &json!("text")),
        "{corpus}"
    );
    let (status, error) = app.upload("/api/corpora/upload", "empty", &[]).await;
    assert_eq!((status, &error["field"]), (StatusCode::BAD_REQUEST, &json!("files")));
    let empty = app.file("empty.txt", "");
    assert_eq!(
        app.post("/api/corpora", json!({"path": empty})).await.0,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(app.get("/api/corpora").await.1.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_sweep_is_refused_by_its_first_bad_field() {
    let app = TestApp::new().await;
    let (model, corpus) = app.with_model_and_text().await;
    for (change, field) in [
        (json!({"model": "other"}), "model"),
        (json!({"corpus": "other"}), "corpus"),
        (json!({"at": "blocks.9.hook_resid_pre"}), "at"),
        (json!({"n_ctx": 1000}), "n_ctx"),
        (json!({"lr": "-1"}), "lr"),
    ] {
        let mut sweep = small_sweep(&model, &corpus);
        sweep.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        for path in ["/api/sweeps", "/api/sweeps/resolve"] {
            let (status, error) = app.post(path, sweep.clone()).await;
            assert_eq!(
                (status, &error["field"]),
                (StatusCode::BAD_REQUEST, &json!(field)),
                "{path}: {error}"
            );
        }
    }
    assert_eq!(app.get("/api/jobs").await.1, json!([]));
    let (status, resolved) = app.post("/api/sweeps/resolve", small_sweep(&model, &corpus)).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        resolved["defaults"]
            .as_array()
            .unwrap()
            .contains(&json!("lr = local=0.036;e2e=0.024")),
        "{resolved}"
    );
    assert!(
        resolved["command"]
            .as_str()
            .unwrap()
            .starts_with("saescope sweep --model tiny"),
        "{resolved}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_trains_and_its_dictionaries_are_plotted() {
    let app = TestApp::new().await;
    let (model, corpus) = app.with_model_and_text().await;
    let (_, started) = app.post("/api/sweeps", small_sweep(&model, &corpus)).await;
    let id = started["jobs"][0].as_i64().unwrap();
    let workers = app.work();
    let job = app.ended(id).await;
    workers.stop().await;
    assert_eq!(job["state"], "done", "{job}");
    assert_eq!(job["dictionaries"].as_array().unwrap().len(), 2);

    let (_, history) = app.get(&format!("/api/jobs/{id}/history")).await;
    let n = history.as_array().unwrap().len();
    assert!(n > 2 && history[0]["values"]["loss"].is_number(), "{history}");
    let (_, rest) = app.get(&format!("/api/jobs/{id}/history?from={}", n - 1)).await;
    assert_eq!(rest.as_array().unwrap().len(), 1);

    let (_, dictionaries) = app.get("/api/dictionaries").await;
    assert_eq!(dictionaries.as_array().unwrap().len(), 2);
    let number = dictionaries[0]["id"].as_i64().unwrap();
    assert_eq!(app.get(&format!("/api/dictionaries/{number}")).await.1, dictionaries[0]);
    let known = format!("/api/dictionaries/{number}/known");
    let (status, error) = app.get(&known).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(error["message"].as_str().unwrap().contains("saescope known"), "{error}");
    let measured =
        json!({"storyworld": 1, "seed": 5, "n_stories": 600, "n_tokens": 40, "causal_floor": 0.01, "summary": [], "labels": []});
    let kept = serde_json::from_value(measured.clone()).unwrap();
    app.workspace.store.set_known(api::DictionaryId(number), &kept).await.unwrap();
    assert_eq!(app.get(&known).await, (StatusCode::OK, measured));
    let (_, view) = app
        .get(&format!("/api/pareto?model={model}&at=blocks.1.hook_resid_pre&sweep={id}"))
        .await;
    assert_eq!(view["dictionaries"], dictionaries);
    for (ending, kind, begins) in [
        ("svg", "image/svg+xml", &b"<svg"[..]),
        ("png", "image/png", b"\x89PNG"),
        ("csv", "text/csv; charset=utf-8", b"objective,coefficient,seed,"),
    ] {
        let response = app
            .send(Request::get(format!("/api/pareto.{ending}")).body(Body::empty()).unwrap())
            .await;
        assert_eq!(response.headers()[header::CONTENT_TYPE], kind);
        assert!(
            response.headers()[header::CONTENT_DISPOSITION]
                .to_str()
                .unwrap()
                .contains(&format!("pareto.{ending}"))
        );
        assert!(
            response.into_body().collect().await.unwrap().to_bytes().starts_with(begins),
            "{ending}"
        );
    }
    let (status, error) = app.post(&format!("/api/jobs/{id}/cancel"), Value::Null).await;
    assert_eq!((status, &error["kind"]), (StatusCode::CONFLICT, &json!("conflict")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_cancelled_resumed_and_survives_the_servers_end() {
    let app = TestApp::new().await;
    let (model, corpus) = app.with_model_and_text().await;
    let mut long = small_sweep(&model, &corpus);
    long["tokens"] = json!(500_000_000);
    let id = app.post("/api/sweeps", long).await.1["jobs"][0].as_i64().unwrap();
    let workers = app.work();
    let running = || async {
        for _ in 0..600 {
            let (_, job) = app.get(&format!("/api/jobs/{id}")).await;
            if job["progress"]["done"].as_u64() > Some(0) && job["progress"]["unit"] == "tokens" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the job does not begin to train");
    };
    running().await;
    assert_eq!(
        app.post(&format!("/api/jobs/{id}/cancel"), Value::Null).await.0,
        StatusCode::OK
    );
    assert_eq!(app.ended(id).await["state"], "cancelled");
    assert_eq!(
        app.post(&format!("/api/jobs/{id}/resume"), Value::Null).await.1["state"],
        "queued"
    );
    running().await;
    workers.stop().await;
    let (_, job) = app.get(&format!("/api/jobs/{id}")).await;
    assert_eq!(
        (&job["state"], &job["owner"]),
        (&json!("queued"), &Value::Null),
        "released, for the next start"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_of_jobs_and_end_at_shutdown() {
    let app = TestApp::new().await;
    let (model, corpus) = app.with_model_and_text().await;
    let response = app.send(Request::get("/api/events").body(Body::empty()).unwrap()).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
    tokio::time::sleep(Duration::from_millis(700)).await; // the watcher has looked once
    app.post("/api/sweeps", small_sweep(&model, &corpus)).await;
    let reading = tokio::spawn(response.into_body().collect());
    tokio::time::sleep(Duration::from_millis(1000)).await;
    app.shut_down.send(true).unwrap();
    let body = tokio::time::timeout(Duration::from_secs(5), reading)
        .await
        .expect("the stream ends")
        .unwrap()
        .unwrap();
    let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
    assert!(
        text.contains(r#""event":"job""#) && text.contains(r#""state":"queued""#),
        "{text}"
    );
}
