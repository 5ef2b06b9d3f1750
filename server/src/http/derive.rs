//! Changing trained dictionaries after their training.

use api::{ApiError, DeriveRequest};
use axum::{Json, Router, extract::State, routing::post};

use super::{AppState, error::Failure, extract::ApiJson, sweeps::Started};
use crate::{jobs::request, room};

pub fn router() -> Router<AppState> {
    Router::new().route("/derive", post(start))
}

/// Queues the runs that make and measure what a request asks for.
#[utoipa::path(post, path = "/api/derive", request_body = DeriveRequest,
    responses((status = 200, body = Started), (status = "default", body = ApiError)))]
pub async fn start(State(state): State<AppState>, ApiJson(request): ApiJson<DeriveRequest>) -> Result<Json<Started>, Failure> {
    let store = &state.workspace.store;
    let runs = request::derive(store, &request).await?;
    let asked: Vec<_> = runs.iter().map(|(run, _)| run).collect();
    room::check_asked(&state.workspace, &asked).await?;
    Ok(Json(Started {
        jobs: store.enqueue(&runs).await?,
    }))
}
