//! The files of the page.

use axum::{
    body::Body,
    extract::Request,
    http::{Response, StatusCode},
    response::IntoResponse,
};

/// Whether the page was built into this binary.
pub fn is_built() -> bool {
    false
}

/// The handler that serves the files.
pub async fn serve(_: Request) -> Response<Body> {
    (StatusCode::NOT_FOUND, "no such file\n").into_response()
}

/// What the page's routes answer where the page is not in the binary.
pub fn missing() -> Response<Body> {
    (StatusCode::SERVICE_UNAVAILABLE, "the page is not in this build\n").into_response()
}
