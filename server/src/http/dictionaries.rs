//! Trained dictionaries with their metrics.

use api::{ApiError, DictionaryId, DictionaryInfo, KnownFeatures};
use axum::{Json, Router, extract::State, routing::get};

use super::{AppState, error::Failure, extract::ApiPath};

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/dictionaries", get(list))
        .route("/dictionaries/{id}", get(one))
        .route("/dictionaries/{id}/known", get(known))
}

/// Every dictionary with its metrics.
#[utoipa::path(get, path = "/api/dictionaries",
    responses((status = 200, body = Vec<DictionaryInfo>), (status = "default", body = ApiError)))]
pub async fn list(State(state): State<AppState>) -> Result<Json<Vec<DictionaryInfo>>, Failure> {
    Ok(Json(state.workspace.store.dictionaries().await?))
}

/// One dictionary with its metrics.
#[utoipa::path(get, path = "/api/dictionaries/{id}", params(("id" = i64, Path, description = "The dictionary's number")),
    responses((status = 200, body = DictionaryInfo), (status = "default", body = ApiError)))]
pub async fn one(State(state): State<AppState>, ApiPath(id): ApiPath<DictionaryId>) -> Result<Json<DictionaryInfo>, Failure> {
    let info = state.workspace.store.dictionary(id).await?;
    Ok(Json(info.ok_or_else(|| ApiError::not_found(format!("dictionary {id}")))?))
}

/// What a dictionary knows of storyworld's labels, once `saescope known` has measured it.
#[utoipa::path(get, path = "/api/dictionaries/{id}/known", params(("id" = i64, Path, description = "The dictionary's number")),
    responses((status = 200, body = KnownFeatures), (status = "default", body = ApiError)))]
pub async fn known(State(state): State<AppState>, ApiPath(id): ApiPath<DictionaryId>) -> Result<Json<KnownFeatures>, Failure> {
    let store = &state.workspace.store;
    if let Some(known) = store.known(id).await? {
        return Ok(Json(known));
    }
    let missing = match store.dictionary(id).await? {
        Some(_) => format!("measurement of what dictionary {id} knows; make one with saescope known --dictionary {id}"),
        None => format!("dictionary {id}"),
    };
    Err(ApiError::not_found(missing).into())
}
