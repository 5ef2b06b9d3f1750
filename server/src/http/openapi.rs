//! The API's description of itself.

use axum::{Json, Router, routing::get};
use utoipa::OpenApi;

use super::{
    AppState, corpora, derive, dictionaries, events, health, imports, jobs, metrics, models, overview, pareto, questions, sweeps,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "saescope",
        description = "Train, evaluate, inspect and compare sparse dictionaries of language models. Every failed request answers an ApiError. \
                       Bound elsewhere than to loopback, changing anything needs the server's token as a bearer token."
    ),
    paths(
        health::health,
        health::token,
        overview::overview,
        models::list,
        models::add,
        models::upload,
        corpora::list,
        corpora::tokens,
        corpora::add,
        corpora::upload,
        sweeps::resolve,
        sweeps::start,
        derive::start,
        imports::start,
        questions::ask,
        questions::answer,
        questions::csv,
        questions::upload_labelled,
        jobs::list,
        jobs::one,
        jobs::cancel,
        jobs::resume,
        jobs::history,
        dictionaries::list,
        dictionaries::one,
        dictionaries::known,
        dictionaries::export,
        metrics::list,
        pareto::view,
        pareto::svg,
        pareto::png,
        pareto::csv,
        events::stream
    )
)]
struct Description;

pub fn router() -> Router<AppState> {
    Router::new().route("/openapi.json", get(|| async { Json(Description::openapi()) }))
}
