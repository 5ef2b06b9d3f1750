//! Jobs: where they stand, their curves, cancel and resume.

use api::{ApiError, HistoryPoint, Job, JobId};
use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    AppState,
    error::Failure,
    extract::{ApiPath, ApiQuery},
};

/// Which part of the curves.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// The first point, counted from 0.
    #[serde(default)]
    from: usize,
}

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/jobs", get(list))
        .route("/jobs/{id}", get(one))
        .route("/jobs/{id}/cancel", post(cancel))
        .route("/jobs/{id}/resume", post(resume))
        .route("/jobs/{id}/history", get(history))
}

/// Every job, newest first.
#[utoipa::path(get, path = "/api/jobs", responses((status = 200, body = Vec<Job>), (status = "default", body = ApiError)))]
pub async fn list(State(state): State<AppState>) -> Result<Json<Vec<Job>>, Failure> {
    Ok(Json(state.workspace.store.jobs().await?))
}

/// One job.
#[utoipa::path(get, path = "/api/jobs/{id}", params(("id" = i64, Path, description = "The job's number")),
    responses((status = 200, body = Job), (status = "default", body = ApiError)))]
pub async fn one(State(state): State<AppState>, ApiPath(id): ApiPath<JobId>) -> Result<Json<Job>, Failure> {
    let job = state
        .workspace
        .store
        .job(id)
        .await?
        .ok_or_else(|| ApiError::not_found(format!("job {id}")))?;
    Ok(Json(job))
}

/// Asks a job to stop; it keeps a checkpoint.
#[utoipa::path(post, path = "/api/jobs/{id}/cancel", params(("id" = i64, Path, description = "The job's number")),
    responses((status = 200, body = Job), (status = "default", body = ApiError)))]
pub async fn cancel(State(state): State<AppState>, ApiPath(id): ApiPath<JobId>) -> Result<Json<Job>, Failure> {
    Ok(Json(state.workspace.store.request_cancel(id).await?))
}

/// Queues a failed or cancelled job again; it goes on from its last checkpoint.
#[utoipa::path(post, path = "/api/jobs/{id}/resume", params(("id" = i64, Path, description = "The job's number")),
    responses((status = 200, body = Job), (status = "default", body = ApiError)))]
pub async fn resume(State(state): State<AppState>, ApiPath(id): ApiPath<JobId>) -> Result<Json<Job>, Failure> {
    Ok(Json(state.workspace.store.resume(id).await?))
}

/// The curves of a job, from one point on.
#[utoipa::path(get, path = "/api/jobs/{id}/history", params(("id" = i64, Path, description = "The job's number"), HistoryQuery),
    responses((status = 200, body = Vec<HistoryPoint>), (status = "default", body = ApiError)))]
pub async fn history(
    State(state): State<AppState>,
    ApiPath(id): ApiPath<JobId>,
    ApiQuery(query): ApiQuery<HistoryQuery>,
) -> Result<Json<Vec<HistoryPoint>>, Failure> {
    let store = &state.workspace.store;
    // a job that does not exist has no empty curves
    store.job(id).await?.ok_or_else(|| ApiError::not_found(format!("job {id}")))?;
    Ok(Json(store.history(id, query.from).await?))
}
