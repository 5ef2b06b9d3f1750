//! Models as people have them, through the server: what is read, what is refused, and what a job says that cannot be done on one.

use axum::http::StatusCode;
use serde_json::{Value, json};
use std::{fs, path::Path};

use super::testing::{TestApp, small_sweep, tiny_model};

/// A copy of the tiny model.
fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(tiny_model()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

/// Changes the numbers of a tensor of a folder, in place.
fn spoil(folder: &Path, tensor: &str, change: impl Fn(usize, f32) -> f32) {
    let path = folder.join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let about: Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let [first, last] = [0, 1].map(|end| about[tensor]["data_offsets"][end].as_u64().unwrap() as usize);
    for (i, number) in bytes[8 + header..][first..last].chunks_exact_mut(4).enumerate() {
        let changed = change(i, f32::from_le_bytes(number.try_into().unwrap()));
        number.copy_from_slice(&changed.to_le_bytes());
    }
    fs::write(&path, bytes).unwrap();
}

async fn added(app: &TestApp, folder: &Path) -> String {
    let (status, model) = app.post("/api/models", json!({"folder": folder})).await;
    assert_eq!(status, StatusCode::OK, "{model}");
    model["id"].as_str().unwrap().to_owned()
}

async fn corpus(app: &TestApp, name: &str, records: impl Iterator<Item = Value>) -> String {
    let lines: Vec<String> = records.map(|record| record.to_string()).collect();
    let (status, corpus) = app
        .post("/api/corpora", json!({"path": app.file(name, lines.join("\n"))}))
        .await;
    assert_eq!(status, StatusCode::OK, "{corpus}");
    corpus["id"].as_str().unwrap().to_owned()
}

/// The job of a small run, ended.
async fn ran(app: &TestApp, model: &str, corpus: &str) -> Value {
    let (status, started) = app.post("/api/sweeps", small_sweep(model, corpus)).await;
    assert_eq!(status, StatusCode::OK, "{started}");
    app.ended(started["jobs"][0].as_i64().unwrap()).await
}

fn texts(word: &'static str) -> impl Iterator<Item = Value> {
    let text = move |i: usize| format!("Story {i}: once upon a time there were {} small cats{word}.", i * 7 % 31);
    (0..200).map(move |i| json!({"text": text(i)}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weight_that_is_no_number_is_refused_by_name() {
    let app = TestApp::new().await;
    let folder = copy();
    spoil(folder.path(), "transformer.h.1.mlp.c_proj.weight", |i, x| {
        if i == 70 { f32::NAN } else { x }
    });
    let (status, error) = app.post("/api/models", json!({"folder": folder.path()})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
    let message = error["message"].as_str().unwrap();
    // 32 numbers a row
    assert!(
        message.contains("'transformer.h.1.mlp.c_proj.weight' holds NaN at [2, 6]"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_gives_no_numbers_ends_a_job_before_it_begins() {
    let app = TestApp::new().await;
    let folder = copy();
    spoil(folder.path(), "transformer.ln_f.weight", |_, _| 3e38);
    let (model, corpus) = (added(&app, folder.path()).await, corpus(&app, "texts.jsonl", texts("")).await);
    let workers = app.work();
    let job = ran(&app, &model, &corpus).await;
    workers.stop().await;
    assert_eq!(job["state"], "failed", "{job}");
    let message = job["error"].as_str().unwrap();
    assert!(
        message.contains("it is the model: it gives") && !message.contains("learning rate"),
        "{job}"
    );
    let (_, history) = app.get(&format!("/api/jobs/{}/history", job["id"])).await;
    assert_eq!(history.as_array().map(Vec::len), Some(0), "{history}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_beyond_the_vocabulary_counts_where_a_text_has_it() {
    let app = TestApp::new().await;
    let folder = copy();
    let path = folder.path().join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    tokenizer["added_tokens"]
        .as_array_mut()
        .unwrap()
        .push(json!({"id": 384, "content": "#PAD#", "special": false,
        "single_word": false, "lstrip": false, "rstrip": false, "normalized": false}));
    fs::write(&path, tokenizer.to_string()).unwrap();
    let model = added(&app, folder.path()).await;
    let plain = corpus(&app, "plain.jsonl", texts("")).await;
    let padded = corpus(&app, "padded.jsonl", texts("#PAD#")).await;
    let workers = app.work();
    let done = ran(&app, &model, &plain).await;
    let failed = ran(&app, &model, &padded).await;
    workers.stop().await;
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!(failed["state"], "failed", "{failed}");
    let message = failed["error"].as_str().unwrap();
    assert!(message.contains("the token '#PAD#', token id 384"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_tokenizer_token_ids_are_trained_on() {
    let app = TestApp::new().await;
    let folder = copy();
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        let _ = fs::remove_file(folder.path().join(name));
    }
    let model = added(&app, folder.path()).await;
    let ids = |i: usize| (0..40).map(|k| (i * 7 + k * k) % 384).collect::<Vec<_>>();
    let given = corpus(&app, "ids.jsonl", (0..100).map(|i| json!({"input_ids": ids(i)}))).await;
    let text = corpus(&app, "texts.jsonl", texts("")).await;
    let workers = app.work();
    let done = ran(&app, &model, &given).await;
    let failed = ran(&app, &model, &text).await;
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!(failed["state"], "failed", "{failed}");
    let message = failed["error"].as_str().unwrap();
    assert!(
        message.contains("the model has no tokenizer.json; expected token ids"),
        "{message}"
    );
    // a question shows tokens by their ids
    let question = json!({"dictionaries": done["dictionaries"], "question": {"tokens": {}}});
    let (status, asked) = app.post("/api/questions", question).await;
    assert_eq!(status, StatusCode::OK, "{asked}");
    let answered = app.ended(asked["jobs"][0].as_i64().unwrap()).await;
    workers.stop().await;
    assert_eq!(answered["state"], "done", "{answered}");
}
