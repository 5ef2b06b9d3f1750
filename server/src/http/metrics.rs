//! The definitions of the metrics.

use api::{METRICS, MetricDefinition};
use axum::{Json, Router, routing::get};

use super::AppState;

pub fn router() -> Router<AppState> {
    Router::new().route("/metrics", get(list))
}

/// Every metric with its unit, its direction, its definition and the definition's version.
#[utoipa::path(get, path = "/api/metrics", responses((status = 200, body = Vec<MetricDefinition>)))]
pub async fn list() -> Json<&'static [MetricDefinition]> {
    Json(METRICS)
}
