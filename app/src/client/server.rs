//! The client's transport while the server renders: the API's own router, called in process.

use api::{ApiError, ErrorKind};
use axum::{
    Router,
    body::Body,
    http::{self, header::CONTENT_TYPE},
};
use http_body_util::BodyExt;
use leptos::{prelude::*, web_sys::HtmlInputElement};
use tower::ServiceExt;

use super::{Answer, Heard, Request};

/// Gives the router that serves `/api` to the page, as a context, so that rendering can ask it.
pub fn provide_router(router: Router) {
    provide_context(router);
}

/// Files chosen in the browser: none on the server.
pub struct Files;

impl Files {
    /// The files chosen in `input`.
    pub fn chosen(_: &HtmlInputElement) -> Option<Self> {
        None
    }

    /// The name of the first file, or of the folder it lies in.
    pub fn name(&self) -> String {
        String::new()
    }
}

pub(crate) async fn exchange(request: Request) -> Answer<(u16, String)> {
    let failed = |what: String| ApiError::new(ErrorKind::Internal, format!("{} {what}", request.path));
    let router = use_context::<Router>().ok_or_else(|| failed("was asked for without a router".into()))?;
    let message = http::Request::builder()
        .method(request.method)
        .uri(&request.path)
        .header(CONTENT_TYPE, "application/json")
        .body(request.body.map_or_else(Body::empty, Body::from))
        .map_err(|e| failed(e.to_string()))?;
    let response = match router.oneshot(message).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.map_err(|e| failed(e.to_string()))?;
    Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
}

/// What is sent from the browser only.
fn not_here(path: &str) -> ApiError {
    ApiError::new(ErrorKind::Invalid, format!("{path}: sent from the browser only"))
}

pub(crate) async fn exchange_with(path: &str, _: &str) -> Answer<(u16, String)> {
    Err(not_here(path))
}

pub(crate) async fn upload(path: &str, _: &str, _: &Files, _: &[(&str, String)]) -> Answer<(u16, String)> {
    Err(not_here(path))
}

/// The token is the browser's: what the server asks itself needs none.
pub(crate) fn kept() -> Option<String> {
    None
}

pub(crate) fn keep(_: Option<&str>) {}

pub(crate) fn when_refused(_: impl Fn() + 'static) {}

pub(crate) fn go_on(_: bool) {}

/// Events are followed in the browser only.
pub(crate) fn follow(_: &'static str, _: impl Fn(Heard) + 'static) {}
