//! The Pareto curve: as data, and as a picture or a table to keep.

use api::{ApiError, ParetoQuery, ParetoView};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderName, header},
    routing::get,
};

use super::{AppState, error::Failure, extract::ApiQuery};
use crate::{pareto, render};

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/pareto", get(view))
        .route("/pareto.svg", get(svg))
        .route("/pareto.png", get(png))
        .route("/pareto.csv", get(csv))
}

/// A file to keep: its type, and the name that a browser saves it under.
type Attachment<T> = ([(HeaderName, &'static str); 2], T);

/// The dictionaries at one hook point of one model, their Pareto fronts, each objective against local, and the series in order.
#[utoipa::path(get, path = "/api/pareto", params(ParetoQuery),
    responses((status = 200, body = ParetoView), (status = "default", body = ApiError)))]
pub async fn view(State(state): State<AppState>, ApiQuery(query): ApiQuery<ParetoQuery>) -> Result<Json<ParetoView>, Failure> {
    Ok(Json(pareto::view(state.workspace.store.dictionaries().await?, query)?))
}

/// The chart as SVG.
#[utoipa::path(get, path = "/api/pareto.svg", params(ParetoQuery),
    responses((status = 200, content_type = "image/svg+xml", body = String), (status = "default", body = ApiError)))]
pub async fn svg(State(state): State<AppState>, ApiQuery(query): ApiQuery<ParetoQuery>) -> Result<Attachment<String>, Failure> {
    let view = pareto::view(state.workspace.store.dictionaries().await?, query)?;
    Ok((
        attachment("image/svg+xml", "attachment; filename=\"pareto.svg\""),
        pareto::svg(&view),
    ))
}

/// The chart as PNG.
#[utoipa::path(get, path = "/api/pareto.png", params(ParetoQuery),
    responses((status = 200, content_type = "image/png", body = Vec<u8>), (status = "default", body = ApiError)))]
pub async fn png(State(state): State<AppState>, ApiQuery(query): ApiQuery<ParetoQuery>) -> Result<Attachment<Vec<u8>>, Failure> {
    let view = pareto::view(state.workspace.store.dictionaries().await?, query)?;
    let png = state.workspace.short.run(move || render::png(&pareto::svg(&view))).await?;
    Ok((attachment("image/png", "attachment; filename=\"pareto.png\""), png))
}

/// The points as a table.
#[utoipa::path(get, path = "/api/pareto.csv", params(ParetoQuery),
    responses((status = 200, content_type = "text/csv", body = String), (status = "default", body = ApiError)))]
pub async fn csv(State(state): State<AppState>, ApiQuery(query): ApiQuery<ParetoQuery>) -> Result<Attachment<String>, Failure> {
    let view = pareto::view(state.workspace.store.dictionaries().await?, query)?;
    Ok((
        attachment("text/csv; charset=utf-8", "attachment; filename=\"pareto.csv\""),
        pareto::table(&view),
    ))
}

fn attachment(content_type: &'static str, disposition: &'static str) -> [(HeaderName, &'static str); 2] {
    [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_DISPOSITION, disposition),
    ]
}
