//! The API under `/api`: JSON, one file per resource. [`api`] is the router that the page on the server calls in process;
//! [`server`] puts the page, the files and what guards them around it.

mod access;
mod corpora;
#[cfg(test)]
mod corpora_tests;
mod derive;
mod dictionaries;
mod error;
mod events;
mod extract;
#[cfg(test)]
mod findings_tests;
mod guard;
mod health;
mod host;
mod imports;
mod jobs;
mod metrics;
mod models;
#[cfg(test)]
mod odd_models_tests;
mod openapi;
mod overview;
mod pareto;
mod questions;
#[cfg(test)]
mod questions_tests;
#[cfg(test)]
mod refused_tests;
mod state;
mod sweeps;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod upload;

pub use access::Access;
pub use error::{Failure, log_id};
pub use events::Events;
pub use guard::server;
pub use host::HostName;
pub use state::AppState;

use api::{ApiError, ErrorKind};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{StatusCode, Uri},
    middleware,
};

/// Bytes of a JSON body.
const JSON_LIMIT: usize = 1 << 20;

/// Bytes of a JSON body that asks for jobs: lists of numbers, of which each is multiplied with others.
const REQUEST_LIMIT: usize = 64 << 10;

/// Every route of the API.
pub fn api(state: AppState) -> Router {
    let quick = Router::new()
        .merge(health::router())
        .merge(overview::router())
        .merge(models::router())
        .merge(corpora::router())
        .merge(
            sweeps::router()
                .merge(derive::router())
                .merge(questions::router())
                .layer(DefaultBodyLimit::max(REQUEST_LIMIT)),
        )
        .merge(jobs::router())
        .merge(dictionaries::router())
        .merge(metrics::router())
        .merge(pareto::router())
        .merge(openapi::router())
        .layer(middleware::from_fn(guard::time_limit));
    // these take as long as they take: a stream, a file of gigabytes, a download
    let slow = Router::new()
        .merge(events::router())
        .merge(models::slow_router())
        .merge(corpora::slow_router())
        .merge(dictionaries::slow_router())
        .merge(questions::slow_router())
        .merge(imports::slow_router());
    let routes = quick
        .merge(slow)
        .layer(DefaultBodyLimit::max(JSON_LIMIT))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method);
    Router::new().nest("/api", routes).with_state(state)
}

async fn unknown_path(uri: Uri) -> Failure {
    let message = format!(
        "there is no '{}' under /api; /api/openapi.json lists what there is",
        uri.path()
    );
    Failure::with_status(StatusCode::NOT_FOUND, message)
}

async fn wrong_method() -> Failure {
    let error = ApiError::new(
        ErrorKind::Invalid,
        "this path takes other methods; the answer's header 'allow' and /api/openapi.json say which",
    );
    Failure {
        error,
        status: Some(StatusCode::METHOD_NOT_ALLOWED),
    }
}
