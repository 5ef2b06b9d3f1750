//! What is asked of dictionaries, over the API: answered, refused, kept.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::fs;

use super::{
    Access,
    testing::{TestApp, small_sweep, tiny_model},
};

/// The body of a GET, its status, and what it is called where it is to be kept.
async fn file(app: &TestApp, path: &str) -> (StatusCode, String, Vec<u8>) {
    let response = app.send(Request::get(path).body(Body::empty()).unwrap()).await;
    let name = response.headers().get(header::CONTENT_DISPOSITION);
    let name = name.map_or(String::new(), |name| name.to_str().unwrap().into());
    let status = response.status();
    (
        status,
        name,
        response.into_body().collect().await.unwrap().to_bytes().to_vec(),
    )
}

/// Two dictionaries at one hook point and one at another, trained.
async fn trained(app: &TestApp) {
    let (model, corpus) = app.with_model_and_text().await;
    let mut elsewhere = small_sweep(&model, &corpus);
    elsewhere["at"] = json!("blocks.1.hook_resid_post");
    elsewhere["objectives"] = json!(["local"]);
    let workers = app.work();
    for sweep in [small_sweep(&model, &corpus), elsewhere] {
        let (_, started) = app.post("/api/sweeps", sweep).await;
        let job = app.ended(started["jobs"][0].as_i64().unwrap()).await;
        assert_eq!(job["state"], "done", "{job}");
    }
    workers.stop().await;
}

/// Asks, waits for the end, and gives the job's number and the answer.
async fn answered(app: &TestApp, question: Value) -> (i64, Value) {
    let (status, started) = app.post("/api/questions", question).await;
    assert_eq!(status, StatusCode::OK, "{started}");
    let id = started["jobs"][0].as_i64().unwrap();
    let (status, error) = app.get(&format!("/api/jobs/{id}/answer")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(error["message"].as_str().unwrap().contains("not done"), "{error}");
    let workers = app.work();
    let job = app.ended(id).await;
    workers.stop().await;
    assert_eq!(job["state"], "done", "{job}");
    let (status, answer) = app.get(&format!("/api/jobs/{id}/answer")).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    (id, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_and_the_answers_kept() {
    let app = TestApp::new().await;
    trained(&app).await;

    // what both fail on: as many rows as were asked for, ordered, each in its context
    let question = json!({"dictionaries": [1, 2], "question": {"tokens": {"by": "kl", "top": 9}}});
    let (id, answer) = answered(&app, question).await;
    let (_, job) = app.get(&format!("/api/jobs/{id}")).await;
    assert_eq!(
        job["command"],
        "saescope tokens --dictionary 1,2 --by kl --top 9 --tokens 256 --to tokens.csv"
    );
    let tokens = &answer["tokens"];
    assert_eq!((&tokens["n_rows"], &tokens["n_tokens"]), (&json!(9), &json!(256)), "{tokens}");
    let rows = tokens["rows"].as_array().unwrap();
    let least = |row: &Value| {
        let kl = row["kl"].as_array().unwrap().iter().map(|kl| kl.as_f64().unwrap());
        kl.reduce(f64::min).unwrap()
    };
    assert_eq!(rows.len(), 9);
    assert!(rows.iter().map(least).is_sorted_by(|a, b| a >= b), "{tokens}");
    for row in rows {
        let position = row["position"].as_u64().unwrap();
        let (around, at) = (row["around"].as_array().unwrap(), row["at"].as_u64().unwrap());
        assert!(position > 0 && at == position.min(12), "{row}");
        assert_eq!(around.len() as u64, at + 1 + (15 - position).min(12), "{row}");
        // the next one's own prediction is the row's
        let least = row["ce_increase"]
            .as_array()
            .unwrap()
            .iter()
            .map(|x| x.as_f64().unwrap())
            .reduce(f64::min);
        let next = around.get(at as usize + 1).and_then(|next| next["increase"].as_f64());
        assert_eq!(next, least, "{row}");
        assert_eq!(row["ce_loss_without_sae"].is_null(), position == 15, "{row}");
    }
    let (status, name, csv) = file(&app, &format!("/api/jobs/{id}/answer.csv")).await;
    assert_eq!(
        (status, name),
        (StatusCode::OK, format!("attachment; filename=\"answer-{id}.csv\""))
    );
    let csv = String::from_utf8(csv).unwrap();
    assert!(
        csv.starts_with("context,position,token,next,ce_loss_without_sae,least_ce_increase,least_kl,ce_increase_1,"),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 10);

    // alike: itself, and one at another hook point of the same width
    let (_, same) = answered(&app, json!({"dictionaries": [1, 1], "question": "compare"})).await;
    let found = &same["compare"]["found"];
    assert!((found["hungarian"].as_f64().unwrap() - 1.0).abs() < 1e-6, "{same}");
    let (_, other) = answered(&app, json!({"dictionaries": [1, 3], "question": "compare"})).await;
    let compared = &other["compare"];
    assert!(compared["found"]["mmcs"].as_f64().unwrap() < 0.999, "{other}");
    assert_eq!(
        (&compared["of"][1]["dictionary"], &compared["width"]),
        (&json!(3), &json!(32))
    );
    assert!(compared["null"]["hungarian"].is_number());

    // a damaged answer is not given out
    let path = app.workspace.store.data().join(format!("answers/{id}.json"));
    fs::write(&path, "{}").unwrap();
    assert_eq!(
        app.get(&format!("/api/jobs/{id}/answer")).await.0,
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn labelled_texts_are_uploaded_and_probed() {
    let app = TestApp::new().await;
    trained(&app).await;
    let line = |i: usize| {
        let (text, label) = if i.is_multiple_of(2) {
            ("cats", "cat")
        } else {
            ("dogs", "dog")
        };
        json!({"text": format!("once there were {i} {text}"), "label": label}).to_string()
    };
    let lines: Vec<String> = (0..40).map(line).collect();
    let upload = async |text: String| {
        app.upload("/api/labelled/upload", "pets", &[("pets.jsonl", text.into_bytes())])
            .await
    };
    let (status, texts) = upload(lines.join("\n")).await;
    assert_eq!(status, StatusCode::OK, "{texts}");
    assert_eq!(
        (&texts["n_texts"], &texts["labels"]),
        (&json!(40), &json!([["cat", 20], ["dog", 20]]))
    );
    let (status, error) = upload(format!("{}\n{{\"text\": \"no label\"}}", lines[0])).await;
    assert_eq!((status, &error["field"]), (StatusCode::BAD_REQUEST, &json!("data")));
    assert!(
        error["message"].as_str().unwrap().contains("line 2: missing field 'label'"),
        "{error}"
    );
    assert_eq!(
        app.upload("/api/labelled/upload", "x", &[("x.exe", vec![1])]).await.0,
        StatusCode::BAD_REQUEST
    );

    let probe = json!({"dictionaries": [1, 2], "question": {"probe": {"data": texts["path"], "sha256": texts["sha256"]}}});
    let (_, answer) = answered(&app, probe.clone()).await;
    let answer = &answer["probe"];
    assert_eq!(answer["labels"], texts["labels"]);
    for dictionary in answer["dictionaries"].as_array().unwrap() {
        let probes = dictionary["probes"].as_array().unwrap();
        assert_eq!(probes.iter().map(|p| p["k"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 5]);
        for probe in probes {
            assert_eq!((&probe["n_train"], &probe["n_test"]), (&json!(32), &json!(8)));
            assert!((0.0..=1.0).contains(&probe["features"].as_f64().unwrap()), "{probe}");
        }
    }
    // what was asked about is what is read
    let path = texts["path"].as_str().unwrap();
    fs::write(path, lines.join("\n") + "\n").unwrap();
    let (status, error) = app.post("/api/questions", probe).await;
    assert_eq!(
        (status, &error["field"]),
        (StatusCode::BAD_REQUEST, &json!("data")),
        "{error}"
    );
    assert!(error["message"].as_str().unwrap().contains("has changed"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_refused_before_a_job_is_made() {
    let app = TestApp::new().await;
    trained(&app).await;
    let n_jobs = app.get("/api/jobs").await.1.as_array().unwrap().len();
    for (dictionaries, question, field, says) in [
        (json!([7]), json!({"tokens": {}}), "dictionaries", "no dictionary 7"),
        (json!([]), json!({"tokens": {}}), "dictionaries", "at least one"),
        (json!([1]), json!("compare"), "dictionaries", "expected two"),
        (json!([1, 3]), json!({"tokens": {}}), "dictionaries", "the same place"),
        (json!([1]), json!({"tokens": {"by": "mse"}}), "question", "'mse'"),
        (json!([1]), json!({"tokens": {"top": 0}}), "top", "found 0"),
        (
            json!([1]),
            json!({"probe": {"data": "/no/such/file"}}),
            "data",
            "'/no/such/file'",
        ),
    ] {
        let (status, error) = app
            .post("/api/questions", json!({"dictionaries": dictionaries, "question": question}))
            .await;
        assert_eq!((status, &error["field"]), (StatusCode::BAD_REQUEST, &json!(field)), "{error}");
        assert!(error["message"].as_str().unwrap().contains(says), "{error}");
    }
    assert_eq!(app.get("/api/jobs").await.1.as_array().unwrap().len(), n_jobs);
    for (path, says) in [
        ("/api/jobs/1/answer", "asks no question"),
        ("/api/jobs/77/answer.csv", "job 77"),
    ] {
        let (status, error) = app.get(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(error["message"].as_str().unwrap().contains(says), "{error}");
    }
    let guarded = TestApp::with(Access::elsewhere("secret")).await;
    for path in ["/api/questions", "/api/labelled/upload", "/api/imports"] {
        assert_eq!(guarded.post(path, json!({})).await.0, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dictionary_goes_out_and_comes_in_again() {
    let app = TestApp::new().await;
    trained(&app).await;
    for format in ["saelens", "dictionary_learning", "openai", "gemma_scope"] {
        let (status, name, zip) = file(&app, &format!("/api/dictionaries/1/export?format={format}")).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(name, format!("attachment; filename=\"dictionary_1_{format}.zip\""));
        assert!(zip.starts_with(b"PK\x03\x04") && zip.len() > 1000);
    }
    let (status, error) = app.get("/api/dictionaries/1/export?format=onnx").await;
    assert_eq!((status, &error["field"]), (StatusCode::BAD_REQUEST, &json!("format")));
    let message = error["message"].as_str().unwrap();
    let known = crate::exported::WRITTEN.map(|(name, _)| name);
    assert!(
        message.contains("'onnx'") && known.iter().all(|name| message.contains(name)),
        "{error}"
    );
    for (format, says) in [
        (
            "sparsify",
            "cannot be written as sparsify's: found a relu dictionary; sparsify has topk",
        ),
        ("sparse_coding", "found a bias of the decoder"),
    ] {
        let (status, error) = app.get(&format!("/api/dictionaries/1/export?format={format}")).await;
        assert_eq!((status, &error["field"]), (StatusCode::BAD_REQUEST, &json!("format")));
        assert!(error["message"].as_str().unwrap().contains(says), "{error}");
    }
    assert_eq!(
        app.get("/api/dictionaries/77/export?format=saelens").await.0,
        StatusCode::NOT_FOUND
    );

    let folder = tempfile::tempdir().unwrap();
    let store = &app.workspace.store;
    let export = crate::exported::export(store, api::DictionaryId(1), engine::exchange::Format::SaeLens)
        .await
        .unwrap();
    export.write(folder.path()).unwrap();
    let import = json!({"source": folder.path(), "model": "tiny", "corpus": "stories.json", "n_ctx": 16, "eval_tokens": 256});
    let (status, started) = app.post("/api/imports", import.clone()).await;
    assert_eq!(status, StatusCode::OK, "{started}");
    assert_eq!(
        app.post("/api/imports", import.clone()).await.1,
        started,
        "the same import waits already"
    );
    let workers = app.work();
    let job = app.ended(started["jobs"][0].as_i64().unwrap()).await;
    workers.stop().await;
    assert_eq!(job["state"], "done", "{job}");
    let (_, info) = app.get(&format!("/api/dictionaries/{}", job["dictionaries"][0])).await;
    assert_eq!(info["config"]["origin"]["imported"]["format"], "SAELens");
    let staged = app.workspace.store.data().join("cache/imports");
    assert_eq!(fs::read_dir(staged).unwrap().count(), 0, "the run's own copy is gone");

    for (change, field, says) in [
        (json!({"model": "other"}), "model", "'other'"),
        (json!({"corpus": "other"}), "corpus", "'other'"),
        (json!({"at": "blocks.0.hook_resid_pre"}), "at", "the file says"),
        (json!({"source": "nowhere"}), "source", "'nowhere'"),
        (json!({"source": tiny_model()}), "source", "tiny"),
        (json!({"sauce": 1}), "sauce", "'sauce'"),
    ] {
        let mut import = import.clone();
        import.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (status, error) = app.post("/api/imports", import).await;
        assert_eq!((status, &error["field"]), (StatusCode::BAD_REQUEST, &json!(field)), "{error}");
        assert!(error["message"].as_str().unwrap().contains(says), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_cancelled_and_asked_again() {
    let app = TestApp::new().await;
    trained(&app).await;
    let question = json!({"dictionaries": [1], "question": {"tokens": {}}});
    let id = app.post("/api/questions", question).await.1["jobs"][0].as_i64().unwrap();
    assert_eq!(
        app.post(&format!("/api/jobs/{id}/cancel"), Value::Null).await.1["state"],
        "cancelled"
    );
    let (status, error) = app.get(&format!("/api/jobs/{id}/answer")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(
        error["message"].as_str().unwrap().contains("did not come to its end"),
        "{error}"
    );
    assert_eq!(
        app.post(&format!("/api/jobs/{id}/resume"), Value::Null).await.1["state"],
        "queued"
    );
    let workers = app.work();
    assert_eq!(app.ended(id).await["state"], "done");
    workers.stop().await;
    assert_eq!(app.get(&format!("/api/jobs/{id}/answer")).await.0, StatusCode::OK);
}
