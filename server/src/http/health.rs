//! Whether the server is there.

use api::ApiError;
use axum::{Json, Router, extract::State, routing::get};
use serde::Serialize;
use utoipa::ToSchema;

use super::{AppState, error::Failure};

/// The server is there, and its registry answers.
#[derive(Serialize, ToSchema)]
pub struct Health {
    ok: bool,
    /// The program's version.
    version: &'static str,
}

pub fn router() -> Router<AppState> {
    Router::new().route("/health", get(health))
}

/// Whether the server is there and its registry answers.
#[utoipa::path(get, path = "/api/health", responses((status = 200, body = Health), (status = "default", body = ApiError)))]
pub async fn health(State(state): State<AppState>) -> Result<Json<Health>, Failure> {
    state.workspace.store.revision().await?;
    Ok(Json(Health {
        ok: true,
        version: env!("CARGO_PKG_VERSION"),
    }))
}
