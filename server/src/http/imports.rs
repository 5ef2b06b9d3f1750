//! Other tools' dictionaries, brought in from a path of the server's disk or from the hub.

use api::{ApiError, ConfigError, ImportRequest, Job};
use axum::{Json, Router, extract::State, routing::post};
use tokio::runtime::Handle;

use super::{AppState, error::Failure, extract::ApiJson, sweeps::Started};
use crate::{
    hub,
    imported::{Wanted, locate, stage},
    room,
};

/// A download takes as long as it takes.
pub fn slow_router() -> Router<AppState> {
    Router::new().route("/imports", post(start))
}

/// Reads a dictionary of another tool, checks it against its model, and queues the run that measures and keeps it.
#[utoipa::path(post, path = "/api/imports", request_body = ImportRequest,
    responses((status = 200, body = Started), (status = "default", body = ApiError)))]
pub async fn start(State(state): State<AppState>, ApiJson(request): ApiJson<ImportRequest>) -> Result<Json<Started>, Failure> {
    let store = state.workspace.store.clone();
    let model = store.model(&request.model).await?;
    let missing = || {
        let message = format!("there is no model '{}' in the registry; add it first", request.model);
        ConfigError::new("model", message)
    };
    let model = model.ok_or_else(missing)?;
    let (path, normaliser) = locate(&request.source, hub::Show::Nothing).await?;
    let wanted = Wanted {
        source: request.source,
        path,
        number: request.number,
        normaliser,
        model,
        any_model: request.any_model,
        corpus: request.corpus,
        at: request.at,
        read_at: request.read_at,
        residual: request.residual,
        n_ctx: request.n_ctx,
        bos: request.bos,
        eos: request.eos,
        evaluate_on: request.evaluate_on,
        eval_tokens: request.eval_tokens,
    };
    let runtime = Handle::current();
    let reading = store.clone();
    // the weights are read and written again
    let staged = tokio::task::spawn_blocking(move || runtime.block_on(stage(&reading, wanted))).await??;
    room::check_asked(&state.workspace, &[&staged.config]).await?;
    // one that waits or runs has been read from the same file, which is removed when it is done
    let same = |job: &Job| !job.state.is_final() && job.config.training() == Some(&staged.config);
    if let Some(open) = store.jobs().await?.into_iter().find(same) {
        return Ok(Json(Started { jobs: vec![open.id] }));
    }
    Ok(Json(Started {
        jobs: store.enqueue(&[(staged.config, staged.command)]).await?,
    }))
}
