//! Corpora: listed, and added from a file or folder, a data set's name on the hub, or uploaded files.

use api::{AddCorpus, ApiError, CorpusId, CorpusInfo, CorpusSource, ModelId, TokenisedExcerpt};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Multipart, State},
    routing::{get, post},
};
use serde::Deserialize;
use std::path::Path;
use utoipa::IntoParams;

use super::{
    AppState,
    error::Failure,
    extract::{ApiJson, ApiPath, ApiQuery},
    upload,
};
use crate::{hub, jobs::import};

/// Any file may be text; the corpus' reader says what it cannot read.
const ACCEPTED: upload::Accepted = upload::Accepted {
    names: &[],
    prefixes: &[""],
    suffixes: &[],
    what: "any file of text",
    reading: true,
};

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/corpora", get(list))
        .route("/corpora/{id}/tokens", get(tokens))
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

/// A model's name.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TokensQuery {
    /// The model whose tokens are shown.
    model: String,
}

/// How the first documents of a corpus begin, in a model's tokens.
#[utoipa::path(get, path = "/api/corpora/{id}/tokens", params(("id" = String, Path, description = "The corpus' name"), TokensQuery),
    responses((status = 200, body = Vec<TokenisedExcerpt>), (status = "default", body = ApiError)))]
pub async fn tokens(
    State(state): State<AppState>,
    ApiPath(id): ApiPath<CorpusId>,
    ApiQuery(query): ApiQuery<TokensQuery>,
) -> Result<Json<Vec<TokenisedExcerpt>>, Failure> {
    let store = &state.workspace.store;
    let corpus = store.corpus(&id).await?;
    let corpus = corpus.ok_or_else(|| ApiError::not_found(format!("corpus {id}")))?;
    let model = store.model(&ModelId(query.model.clone())).await?;
    let model = model.ok_or_else(|| ApiError::not_found(format!("model {}", query.model)))?;
    Ok(Json(import::tokenised_excerpts(&state.workspace, &corpus, &model).await?))
}

/// Adds a corpus from a file or folder on the server's disk, or by a data set's name on the hub.
#[utoipa::path(post, path = "/api/corpora", request_body = AddCorpus,
    responses((status = 200, body = CorpusInfo), (status = "default", body = ApiError)))]
pub async fn add(State(state): State<AppState>, ApiJson(asked): ApiJson<AddCorpus>) -> Result<Json<CorpusInfo>, Failure> {
    let (source, reading) = asked.check()?;
    let info = match source {
        CorpusSource::Path(path) => import::corpus(&state.workspace, Path::new(&path), &path, None, &reading).await?,
        CorpusSource::Hub(name) => {
            let path = hub::pull_dataset(name.clone(), Vec::new(), hub::Show::Nothing).await?;
            import::corpus(&state.workspace, &path, &name, Some(&name), &reading).await?
        }
    };
    Ok(Json(info))
}

/// Adds a corpus from uploaded files: a part per file, and the parts `name`, `text_field` and `keep_runs`.
#[utoipa::path(post, path = "/api/corpora/upload", request_body(content_type = "multipart/form-data", content = String),
    responses((status = 200, body = CorpusInfo), (status = "default", body = ApiError)))]
pub async fn upload(State(state): State<AppState>, form: Multipart) -> Result<Json<CorpusInfo>, Failure> {
    let files = upload::receive(form, state.workspace.store.data(), &ACCEPTED).await?;
    let source = files.source();
    Ok(Json(
        import::uploaded_corpus(&state.workspace, files.folder, &source, &files.name, &files.reading).await?,
    ))
}
