//! Questions about dictionaries: asked as jobs, answered as JSON and CSV.

use anyhow::Context as _;
use api::{Answer, ApiError, AskConfig, AskRequest, JobId, JobState, LabelledTexts};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Multipart, State},
    http::{HeaderName, header},
    routing::{get, post},
};
use std::fs;

use super::{
    AppState,
    error::Failure,
    extract::{ApiJson, ApiPath},
    sweeps::Started,
    upload,
};
use crate::ask::{resolve, summary};

/// Bytes of labelled texts: they are read whole.
const LABELLED_LIMIT: usize = 256 << 20;

const ACCEPTED: upload::Accepted = upload::Accepted {
    names: &[],
    prefixes: &[],
    suffixes: &[".jsonl", ".json", ".ndjson", ".txt"],
    what: "a file of JSON lines such as reviews.jsonl",
    reading: false,
};

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/questions", post(ask))
        .route("/jobs/{id}/answer", get(answer))
        .route("/jobs/{id}/answer.csv", get(csv))
}

pub fn slow_router() -> Router<AppState> {
    let limit = DefaultBodyLimit::max(LABELLED_LIMIT);
    Router::new().route("/labelled/upload", post(upload_labelled).layer(limit))
}

/// Queues the job that answers a question.
#[utoipa::path(post, path = "/api/questions", request_body = AskRequest,
    responses((status = 200, body = Started), (status = "default", body = ApiError)))]
pub async fn ask(State(state): State<AppState>, ApiJson(request): ApiJson<AskRequest>) -> Result<Json<Started>, Failure> {
    let store = &state.workspace.store;
    let config: AskConfig = resolve(store, request).await?;
    let command = config.command();
    Ok(Json(Started {
        jobs: store.enqueue(&[(config, command)]).await?,
    }))
}

/// The answer to a job's question, once the job is done.
#[utoipa::path(get, path = "/api/jobs/{id}/answer", params(("id" = i64, Path, description = "The job's number")),
    responses((status = 200, body = Answer), (status = "default", body = ApiError)))]
pub async fn answer(State(state): State<AppState>, ApiPath(id): ApiPath<JobId>) -> Result<Json<Answer>, Failure> {
    match state.workspace.store.answer(id).await? {
        Some(answer) => Ok(Json(answer)),
        None => Err(no_answer(&state, id).await?.into()),
    }
}

/// All that a job's question asked for, as a table.
#[utoipa::path(get, path = "/api/jobs/{id}/answer.csv", params(("id" = i64, Path, description = "The job's number")),
    responses((status = 200, content_type = "text/csv", body = String), (status = "default", body = ApiError)))]
pub async fn csv(
    State(state): State<AppState>,
    ApiPath(id): ApiPath<JobId>,
) -> Result<([(HeaderName, String); 2], Vec<u8>), Failure> {
    let Some(csv) = state.workspace.store.answer_csv(id).await? else {
        return Err(no_answer(&state, id).await?.into());
    };
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"answer-{id}.csv\""),
        ),
    ];
    Ok((headers, csv))
}

/// Receives labelled texts, and says what they are; their path is then a question's `data`.
#[utoipa::path(post, path = "/api/labelled/upload", request_body(content_type = "multipart/form-data", content = String),
    responses((status = 200, body = LabelledTexts), (status = "default", body = ApiError)))]
pub async fn upload_labelled(State(state): State<AppState>, form: Multipart) -> Result<Json<LabelledTexts>, Failure> {
    let workspace = state.workspace.clone();
    let files = upload::receive(form, workspace.store.data(), &ACCEPTED).await?;
    let store = workspace.store.clone();
    let keep = move || {
        let entry = fs::read_dir(files.folder.path())?.next().context("nothing was received")??;
        let mut texts = summary(&entry.path())?;
        let place = store.labelled_file(&texts.sha256);
        fs::rename(entry.path(), &place).with_context(|| format!("cannot keep the texts in '{}'", place.display()))?;
        texts.path = place.display().to_string();
        Ok(texts)
    };
    Ok(Json(workspace.short.run(keep).await?))
}

/// Why a job has no answer.
async fn no_answer(state: &AppState, id: JobId) -> Result<ApiError, Failure> {
    let job = state.workspace.store.job(id).await?;
    let job = job.ok_or_else(|| ApiError::not_found(format!("job {id}")))?;
    Ok(match (&job.config, job.state) {
        (api::JobConfig::Ask(_), JobState::Queued | JobState::Running) => {
            ApiError::not_found(format!("answer of job {id} yet: it is not done"))
        }
        (api::JobConfig::Ask(_), _) => ApiError::not_found(format!("answer of job {id}: it did not come to its end")),
        _ => ApiError::not_found(format!("answer of job {id}, which asks no question")),
    })
}
