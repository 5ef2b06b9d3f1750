//! A server on a data folder of its own, asked without a socket.

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, Response, StatusCode, header},
};
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::{Access, AppState, Events};
use crate::{jobs::worker::Workers, workspace::Workspace};

/// A server and its data folder.
pub struct TestApp {
    pub workspace: Arc<Workspace>,
    /// Send true to shut the streams down.
    pub shut_down: watch::Sender<bool>,
    router: Router,
    folder: TempDir,
}

impl TestApp {
    /// Bound to loopback.
    pub async fn new() -> Self {
        Self::with(Access::loopback()).await
    }

    /// With another access.
    pub async fn with(access: Access) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Arc::new(
            Workspace::open(&folder.path().join("data"), 1, Arc::new(engine::train::Cpu))
                .await
                .unwrap(),
        );
        let (shut_down, shutdown) = watch::channel(false);
        let events = Events::watch(workspace.clone(), shutdown.clone());
        let state = AppState {
            workspace: workspace.clone(),
            events,
            access: access.clone(),
            shutdown,
        };
        let router = super::server(super::api(state), Router::new(), access);
        Self {
            workspace,
            shut_down,
            router,
            folder,
        }
    }

    /// Starts a worker.
    pub fn work(&self) -> Workers {
        Workers::start(&self.workspace, 1).unwrap()
    }

    /// Sends a request, to localhost unless it says another host.
    pub async fn send(&self, mut request: Request<Body>) -> Response<Body> {
        let own = HeaderValue::from_static("localhost:3000");
        request.headers_mut().entry(header::HOST).or_insert(own);
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// The status and the JSON of a GET.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        json(self.send(Request::get(path).body(Body::empty()).unwrap()).await).await
    }

    /// The status and the JSON of a POST from the server's own page.
    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let request = Request::post(path)
            .header(header::HOST, "localhost:3000")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        json(self.send(request).await).await
    }

    /// Uploads files under their names.
    pub async fn upload(&self, path: &str, name: &str, files: &[(&str, Vec<u8>)]) -> (StatusCode, Value) {
        const BOUNDARY: &str = "XXXX";
        let mut body = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\n{name}\r\n").into_bytes();
        for (file, content) in files {
            body.extend(
                format!(
                    "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{file}\"; filename=\"{file}\"\r\n\
                     Content-Type: application/octet-stream\r\n\r\n"
                )
                .bytes(),
            );
            body.extend(content);
            body.extend(b"\r\n");
        }
        body.extend(format!("--{BOUNDARY}--\r\n").bytes());
        let request = Request::post(path)
            .header(header::HOST, "localhost:3000")
            .header(header::CONTENT_TYPE, format!("multipart/form-data; boundary={BOUNDARY}"))
            .body(Body::from(body))
            .unwrap();
        json(self.send(request).await).await
    }

    /// Writes a file beside the data folder.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Adds the tiny model and a text; answers their ids.
    pub async fn with_model_and_text(&self) -> (String, String) {
        let (status, model) = self.post("/api/models", serde_json::json!({"folder": tiny_model()})).await;
        assert_eq!(status, StatusCode::OK, "{model}");
        let text = self.file("stories.json", serde_json::to_vec(&stories()).unwrap());
        let (status, corpus) = self.post("/api/corpora", serde_json::json!({"path": text})).await;
        assert_eq!(status, StatusCode::OK, "{corpus}");
        (model["id"].as_str().unwrap().into(), corpus["id"].as_str().unwrap().into())
    }

    /// Waits until the job `id` has ended.
    pub async fn ended(&self, id: i64) -> Value {
        let began = Instant::now();
        loop {
            let (_, job) = self.get(&format!("/api/jobs/{id}")).await;
            if !matches!(job["state"].as_str(), Some("queued" | "running")) {
                return job;
            }
            assert!(began.elapsed() < Duration::from_secs(120), "job {id} does not end: {job}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The folder of the tiny seeded model.
pub fn tiny_model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/golden/models/tiny")
        .canonicalize()
        .unwrap()
}

/// A request for two dictionaries that trains in a moment.
pub fn small_sweep(model: &str, corpus: &str) -> Value {
    serde_json::json!({
        "model": model, "corpus": corpus, "at": "blocks.1.hook_resid_pre", "objectives": ["local", "e2e"],
        "coefficient": "0.1", "d_sae": 64, "n_ctx": 16, "batch": 4, "tokens": 1280, "seeds": [0],
        "eval_tokens": 256, "validation_tokens": 64
    })
}

/// Documents enough for three splits.
fn stories() -> Vec<String> {
    (0..200)
        .map(|i| {
            format!(
                "Story {i}: once upon a time there were {} small cats and {} dogs.",
                i * 7 % 31,
                i * 5 % 17
            )
        })
        .collect()
}

async fn json(response: Response<Body>) -> (StatusCode, Value) {
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let value =
        serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{status}: {error}: {}", String::from_utf8_lossy(&body)));
    (status, value)
}
