//! Sweeps: what a request comes to, and starting it.

use api::{ApiError, JobId, ResolvedSweep, SweepRequest};
use axum::{Json, Router, extract::State, routing::post};
use serde::Serialize;
use utoipa::ToSchema;

use super::{AppState, error::Failure, extract::ApiJson};
use crate::jobs::request;

/// What was started.
#[derive(Serialize, ToSchema)]
pub struct Started {
    /// The jobs, one per run.
    pub jobs: Vec<JobId>,
}

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/sweeps", post(start))
        .route("/sweeps/resolve", post(resolve))
}

/// Checks a request and fills in its defaults; starts nothing.
#[utoipa::path(post, path = "/api/sweeps/resolve", request_body = SweepRequest,
    responses((status = 200, body = ResolvedSweep), (status = "default", body = ApiError)))]
pub async fn resolve(
    State(state): State<AppState>,
    ApiJson(request): ApiJson<SweepRequest>,
) -> Result<Json<ResolvedSweep>, Failure> {
    Ok(Json(request::resolve_here(&state.workspace, &request).await?))
}

/// Queues the runs that a request comes to.
#[utoipa::path(post, path = "/api/sweeps", request_body = SweepRequest,
    responses((status = 200, body = Started), (status = "default", body = ApiError)))]
pub async fn start(State(state): State<AppState>, ApiJson(request): ApiJson<SweepRequest>) -> Result<Json<Started>, Failure> {
    let store = &state.workspace.store;
    let resolved = request::resolve_here(&state.workspace, &request).await?;
    let jobs = store.enqueue(&request::with_commands(&request, resolved.runs)).await?;
    Ok(Json(Started { jobs }))
}
