//! What the first page shows.

use api::{ApiError, Job, Overview};
use axum::{Json, Router, extract::State, routing::get};

use super::{AppState, error::Failure};

/// Ended jobs in the list.
const N_ENDED: usize = 10;

pub fn router() -> Router<AppState> {
    Router::new().route("/overview", get(overview))
}

/// Models, corpora, the number of dictionaries, and what runs now.
#[utoipa::path(get, path = "/api/overview", responses((status = 200, body = Overview), (status = "default", body = ApiError)))]
pub async fn overview(State(state): State<AppState>) -> Result<Json<Overview>, Failure> {
    let store = &state.workspace.store;
    Ok(Json(Overview {
        models: store.models().await?,
        corpora: store.corpora().await?,
        n_dictionaries: store.dictionaries().await?.len() as u64,
        jobs: recent(store.jobs().await?),
        data: store.data().display().to_string(),
        version: env!("CARGO_PKG_VERSION").into(),
    }))
}

/// Jobs that wait or run, then the last that ended, newest first in each part.
fn recent(mut jobs: Vec<Job>) -> Vec<Job> {
    jobs.sort_by_key(|job| (job.state.is_final(), std::cmp::Reverse((job.finished, job.id.0))));
    let n_open = jobs.iter().take_while(|job| !job.state.is_final()).count();
    jobs.truncate(n_open + N_ENDED);
    jobs
}
