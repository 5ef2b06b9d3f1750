//! Corpora: listed, and added from a file or folder, a data set's name on the hub, or uploaded files.

use api::{ApiError, CorpusInfo, CorpusSource};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Multipart, State},
    routing::{get, post},
};
use std::path::Path;

use super::{AppState, error::Failure, extract::ApiJson, upload};
use crate::{hub, jobs::import};

/// Any file may be text; the corpus' reader says what it cannot read.
const ACCEPTED: upload::Accepted = upload::Accepted {
    names: &[],
    prefixes: &[""],
    suffixes: &[],
    what: "any file of text",
};

pub fn router() -> Router<AppState> {
    Router::new().route("/corpora", get(list))
}

pub fn slow_router() -> Router<AppState> {
    Router::new()
        .route("/corpora", post(add))
        .route("/corpora/upload", post(upload).layer(DefaultBodyLimit::max(upload::LIMIT)))
}

/// Every corpus.
#[utoipa::path(get, path = "/api/corpora", responses((status = 200, body = Vec<CorpusInfo>), (status = "default", body = ApiError)))]
pub async fn list(State(state): State<AppState>) -> Result<Json<Vec<CorpusInfo>>, Failure> {
    Ok(Json(state.workspace.store.corpora().await?))
}

/// Adds a corpus from a file or folder on the server's disk, or by a data set's name on the hub.
#[utoipa::path(post, path = "/api/corpora", request_body = CorpusSource,
    responses((status = 200, body = CorpusInfo), (status = "default", body = ApiError)))]
pub async fn add(State(state): State<AppState>, ApiJson(source): ApiJson<CorpusSource>) -> Result<Json<CorpusInfo>, Failure> {
    let info = match source {
        CorpusSource::Path(path) => import::corpus(&state.workspace, Path::new(&path), &path, None).await?,
        CorpusSource::Hub(name) => {
            let path = hub::pull_dataset(name.clone(), Vec::new(), hub::Show::Nothing).await?;
            import::corpus(&state.workspace, &path, &name, Some(&name)).await?
        }
    };
    Ok(Json(info))
}

/// Adds a corpus from uploaded files: a part per file, and the part `name`.
#[utoipa::path(post, path = "/api/corpora/upload", request_body(content_type = "multipart/form-data", content = String),
    responses((status = 200, body = CorpusInfo), (status = "default", body = ApiError)))]
pub async fn upload(State(state): State<AppState>, form: Multipart) -> Result<Json<CorpusInfo>, Failure> {
    let files = upload::receive(form, state.workspace.store.data(), &ACCEPTED).await?;
    let source = files.source();
    Ok(Json(
        import::uploaded_corpus(&state.workspace, files.folder, &source, &files.name).await?,
    ))
}
