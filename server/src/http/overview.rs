//! What the first page shows.

use api::{ApiError, DictionaryGroup, DictionaryInfo, Job, Overview, Series};
use axum::{Json, Router, extract::State, routing::get};
use std::collections::BTreeMap;

use super::{AppState, error::Failure};

/// Ended jobs in the list.
const N_ENDED: usize = 10;

pub fn router() -> Router<AppState> {
    Router::new().route("/overview", get(overview))
}

/// Models, corpora, dictionaries by hook point, and what runs now.
#[utoipa::path(get, path = "/api/overview", responses((status = 200, body = Overview), (status = "default", body = ApiError)))]
pub async fn overview(State(state): State<AppState>) -> Result<Json<Overview>, Failure> {
    let store = &state.workspace.store;
    Ok(Json(Overview {
        models: store.models().await?,
        corpora: store.corpora().await?,
        dictionaries: groups(&store.dictionaries().await?),
        jobs: recent(store.jobs().await?),
        data: store.data().display().to_string(),
        set_aside: store.set_aside_folders()?,
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

/// The dictionaries by model and hook point, those with the newest first.
fn groups(dictionaries: &[DictionaryInfo]) -> Vec<DictionaryGroup> {
    let mut groups: Vec<DictionaryGroup> = Vec::new();
    for d in dictionaries.iter().rev() {
        if groups.iter().any(|group| (&group.model, group.at) == (&d.model, d.at)) {
            continue;
        }
        let same: Vec<&DictionaryInfo> = dictionaries
            .iter()
            .filter(|other| (&other.model, other.at) == (&d.model, d.at))
            .collect();
        let mut series: BTreeMap<Series, u64> = BTreeMap::new();
        same.iter().for_each(|d| *series.entry(d.config.series()).or_default() += 1);
        let verified = |holds| {
            let found = same.iter().filter_map(|d| d.verified.as_ref());
            found.filter(|verified| verified.holds() == holds).count() as u64
        };
        groups.push(DictionaryGroup {
            model: d.model.clone(),
            at: d.at,
            series: series.into_iter().collect(),
            l0: range(&same, "l0"),
            ce_increase: range(&same, "ce_increase"),
            n_verified: verified(true),
            n_differing: verified(false),
        });
    }
    groups
}

fn range(dictionaries: &[&DictionaryInfo], metric: &str) -> Option<(f64, f64)> {
    let values = || dictionaries.iter().filter_map(|d| d.metric(metric));
    Some((values().min_by(f64::total_cmp)?, values().max_by(f64::total_cmp)?))
}
