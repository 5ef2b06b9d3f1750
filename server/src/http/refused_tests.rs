//! What the API refuses whoever asks: foreign names and pages, changes without the token, requests for millions of things.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use super::{
    Access,
    testing::{TestApp, small_sweep, tiny_model},
};

#[tokio::test]
async fn another_page_changes_nothing() {
    let app = TestApp::new().await;
    let request = Request::post("/api/jobs/1/cancel")
        .header(header::HOST, "localhost:3000")
        .header(header::ORIGIN, "http://evil.example")
        .body(Body::empty())
        .unwrap();
    assert_eq!(app.send(request).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_request_that_calls_the_server_by_a_foreign_name_learns_nothing() {
    let app = TestApp::new().await;
    for path in [
        "/",
        "/api/health",
        "/api/overview",
        "/api/events",
        "/api/openapi.json",
        "/api/pareto.csv",
        "/api/nothing",
    ] {
        for host in ["evil.example:3000", "localhost.evil.example"] {
            let request = Request::get(path).header(header::HOST, host).body(Body::empty()).unwrap();
            let response = app.send(request).await;
            assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST, "{path}");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let error: Value = serde_json::from_slice(&body).unwrap();
            let message = error["message"].as_str().unwrap();
            assert!(message.contains(host) && message.contains("--host NAME"), "{error}");
        }
    }
}

#[tokio::test]
async fn elsewhere_than_loopback_reading_is_open_and_changing_needs_the_token() {
    let local = TestApp::new().await;
    assert_eq!(local.get("/api/health").await.1["needs_token"], false);
    let app = TestApp::with(Access::elsewhere("secret")).await;
    assert_eq!(app.get("/api/health").await.1["needs_token"], true);
    assert_eq!(app.get("/api/overview").await.0, StatusCode::OK);
    let try_token = async |token: Option<&str>| {
        let mut request = Request::post("/api/token");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        app.send(request.body(Body::empty()).unwrap()).await.status()
    };
    assert_eq!(try_token(None).await, StatusCode::UNAUTHORIZED);
    assert_eq!(try_token(Some("guess")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(try_token(Some("secret")).await, StatusCode::NO_CONTENT);
    let (status, error) = app.post("/api/models", json!({"folder": tiny_model()})).await;
    assert_eq!((status, &error["kind"]), (StatusCode::UNAUTHORIZED, &json!("forbidden")));
    assert!(error["message"].as_str().unwrap().contains("token"), "{error}");
    // what a sweep would come to is a question: it is answered, here by what is wrong with it
    let (status, error) = app.post("/api/sweeps/resolve", small_sweep("m", "c")).await;
    assert_eq!(
        (status, &error["field"]),
        (StatusCode::BAD_REQUEST, &json!("model")),
        "{error}"
    );
}

#[tokio::test]
async fn a_request_for_millions_is_refused_before_it_is_expanded() {
    let app = TestApp::new().await;
    let (model, corpus) = app.with_model_and_text().await;
    let numbers = |n: usize| (1..=n).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
    let seeds = |n: usize| (0..n).collect::<Vec<_>>();
    for (change, status, kind, says) in [
        // 134 kB that used to come to 1.6e8 dictionaries
        (
            json!({"seeds": seeds(13_000), "coefficient": numbers(13_000)}),
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "may have 64 KiB",
        ),
        (
            json!({"seeds": seeds(3000)}),
            StatusCode::BAD_REQUEST,
            "invalid",
            "seeds: found 3000, each of which is a run; expected 256 or fewer",
        ),
        (
            json!({"seeds": seeds(200), "coefficient": numbers(2000), "lr": numbers(2000)}),
            StatusCode::BAD_REQUEST,
            "invalid",
            "2000 coefficient × 2000 lr, which come to 1600000000 dictionaries",
        ),
        (
            json!({"from": seeds(9000)}),
            StatusCode::BAD_REQUEST,
            "invalid",
            "from: found 2 objectives × 9000 from",
        ),
    ] {
        let mut sweep = small_sweep(&model, &corpus);
        sweep.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        for path in ["/api/sweeps/resolve", "/api/sweeps"] {
            let began = Instant::now();
            let (answered, error) = app.post(path, sweep.clone()).await;
            assert!(began.elapsed() < Duration::from_secs(1), "{path}: {:?}", began.elapsed());
            assert_eq!((answered, &error["kind"]), (status, &json!(kind)), "{error}");
            assert!(error["message"].as_str().unwrap().contains(says), "{error}");
        }
    }
    let many = json!({"from": seeds(3000), "by": (0..9).map(|_| "fold").collect::<Vec<_>>()});
    let (status, error) = app.post("/api/derive", many).await;
    assert_eq!(
        (status, &error["field"]),
        (StatusCode::BAD_REQUEST, &json!("from")),
        "{error}"
    );
    let asked = json!({"dictionaries": seeds(3000), "question": {"tokens": {}}});
    let (status, error) = app.post("/api/questions", asked).await;
    assert_eq!(
        (status, &error["field"]),
        (StatusCode::BAD_REQUEST, &json!("dictionaries")),
        "{error}"
    );
    assert_eq!(app.get("/api/jobs").await.1, json!([]));
}
