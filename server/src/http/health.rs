//! Whether the server is there, and what it takes to change something on it.

use api::{ApiError, Health};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};

use super::{AppState, error::Failure};

pub fn router() -> Router<AppState> {
    Router::new().route("/health", get(health)).route("/token", post(token))
}

/// Whether the server is there and its registry answers.
#[utoipa::path(get, path = "/api/health", responses((status = 200, body = Health), (status = "default", body = ApiError)))]
pub async fn health(State(state): State<AppState>) -> Result<Json<Health>, Failure> {
    state.workspace.store.revision().await?;
    Ok(Json(Health {
        ok: true,
        version: env!("CARGO_PKG_VERSION").into(),
        needs_token: state.access.needs_token(),
    }))
}

/// Changes nothing: it is answered where the request carries the server's token, or needs none, and refused as any change
/// would be. So the page can tell a wrong token before it keeps it.
#[utoipa::path(post, path = "/api/token", responses((status = 204), (status = "default", body = ApiError)))]
pub async fn token() -> StatusCode {
    StatusCode::NO_CONTENT
}
