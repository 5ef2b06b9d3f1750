//! Trained dictionaries with their metrics.

use api::{ApiError, ConfigError, DictionaryId, DictionaryInfo, KnownFeatures};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderName, header},
    routing::get,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    AppState,
    error::Failure,
    extract::{ApiPath, ApiQuery},
};
use crate::exported::{self, WRITTEN};

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/dictionaries", get(list))
        .route("/dictionaries/{id}", get(one))
        .route("/dictionaries/{id}/known", get(known))
}

/// Writing and packing a large one takes its time.
pub fn slow_router() -> Router<AppState> {
    Router::new().route("/dictionaries/{id}/export", get(export))
}

/// Whose files a dictionary is written as.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// `saelens`, `dictionary_learning`, `sparsify`, `openai`, `gemma_scope`, `e2e_sae` or `sparse_coding`.
    format: String,
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

/// One dictionary in another tool's files, as a zip archive.
#[utoipa::path(get, path = "/api/dictionaries/{id}/export",
    params(("id" = i64, Path, description = "The dictionary's number"), ExportQuery),
    responses((status = 200, content_type = "application/zip", body = Vec<u8>), (status = "default", body = ApiError)))]
pub async fn export(
    State(state): State<AppState>,
    ApiPath(id): ApiPath<DictionaryId>,
    ApiQuery(query): ApiQuery<ExportQuery>,
) -> Result<([(HeaderName, String); 2], Vec<u8>), Failure> {
    let written = WRITTEN.into_iter().find(|(name, _)| *name == query.format);
    let unknown = || {
        let known = WRITTEN.map(|(name, _)| name).join(", ");
        ConfigError::new("format", format!("found '{}'; expected {known}", query.format))
    };
    let (format, of) = written.ok_or_else(unknown)?;
    let store = &state.workspace.store;
    if store.dictionary(id).await?.is_none() {
        return Err(ApiError::not_found(format!("dictionary {id}")).into());
    }
    let export = exported::export(store, id, of).await?;
    let name = format!("dictionary_{id}_{format}");
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.zip\"")),
    ];
    let zip = state.workspace.short.run(move || export.zip(&name)).await?;
    Ok((headers, zip))
}
