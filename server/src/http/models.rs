//! Language models: listed, and added from a folder, a name on the hub, or uploaded files.

use api::{ApiError, ModelInfo, ModelSource};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Multipart, State},
    routing::{get, post},
};
use std::path::Path;

use super::{AppState, error::Failure, extract::ApiJson, upload};
use crate::{hub, jobs::import};

/// What the page offers as a model: what a Hugging Face folder holds and the engine reads.
const ACCEPTED: upload::Accepted = upload::Accepted {
    names: &[
        "config.json",
        "generation_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "merges.txt",
    ],
    prefixes: &["tokenizer"],
    suffixes: &[".safetensors", ".safetensors.index.json"],
    what: "a Hugging Face folder's config.json, tokenizer.json, *.safetensors and their index",
    reading: false,
};

pub fn router() -> Router<AppState> {
    Router::new().route("/models", get(list))
}

pub fn slow_router() -> Router<AppState> {
    Router::new()
        .route("/models", post(add))
        .route("/models/upload", post(upload).layer(DefaultBodyLimit::max(upload::LIMIT)))
}

/// Every language model.
#[utoipa::path(get, path = "/api/models", responses((status = 200, body = Vec<ModelInfo>), (status = "default", body = ApiError)))]
pub async fn list(State(state): State<AppState>) -> Result<Json<Vec<ModelInfo>>, Failure> {
    Ok(Json(state.workspace.store.models().await?))
}

/// Adds a language model from a folder on the server's disk, or by its name on the hub.
#[utoipa::path(post, path = "/api/models", request_body = ModelSource,
    responses((status = 200, body = ModelInfo), (status = "default", body = ApiError)))]
pub async fn add(State(state): State<AppState>, ApiJson(source): ApiJson<ModelSource>) -> Result<Json<ModelInfo>, Failure> {
    let info = match source {
        ModelSource::Folder(folder) => import::model(&state.workspace, Path::new(&folder), &folder, None).await?,
        ModelSource::Hub(name) => {
            let folder = hub::pull_model(name.clone(), hub::Show::Nothing).await?;
            import::model(&state.workspace, &folder, &name, Some(&name)).await?
        }
    };
    Ok(Json(info))
}

/// Adds a language model from uploaded files: a part per file of a Hugging Face folder, and the part `name`.
#[utoipa::path(post, path = "/api/models/upload", request_body(content_type = "multipart/form-data", content = String),
    responses((status = 200, body = ModelInfo), (status = "default", body = ApiError)))]
pub async fn upload(State(state): State<AppState>, form: Multipart) -> Result<Json<ModelInfo>, Failure> {
    let files = upload::receive(form, state.workspace.store.data(), &ACCEPTED).await?;
    let source = files.source();
    Ok(Json(
        import::uploaded_model(&state.workspace, files.folder, &source, &files.name).await?,
    ))
}
