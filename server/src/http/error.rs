//! How a failed request answers: an [`ApiError`] as JSON. What the client can mend is told to it;
//! the server's own failures go to the log, and the client gets the number under which they stand there.

use api::{ApiError, ConfigError, ErrorKind};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use std::{
    any::Any,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::short::panic_message;

/// A failed request.
#[derive(Debug)]
pub struct Failure {
    /// What the client is told.
    pub error: ApiError,
    /// The status, where the kind of error does not say it.
    pub status: Option<StatusCode>,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            error: classify(error.into()),
            status: None,
        }
    }
}

impl Failure {
    /// A request that cannot be used, with a status that says more than 400 does.
    pub fn with_status(status: StatusCode, message: impl Into<String>) -> Self {
        let kind = match status {
            StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge,
            StatusCode::NOT_FOUND => ErrorKind::NotFound,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST => ErrorKind::Forbidden,
            _ => ErrorKind::Invalid,
        };
        Self {
            error: ApiError::new(kind, message),
            status: Some(status),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = self.status.unwrap_or(match self.error.kind {
            ErrorKind::Invalid => StatusCode::BAD_REQUEST,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::Forbidden => StatusCode::FORBIDDEN,
            ErrorKind::Internal | ErrorKind::Unreachable => StatusCode::INTERNAL_SERVER_ERROR,
        });
        (status, Json(self.error)).into_response()
    }
}

/// What a client is told about `error`: the causes that describe its own input keep their words.
pub fn classify(error: anyhow::Error) -> ApiError {
    let told = |kind, field| ApiError {
        kind,
        message: format!("{error:#}"),
        field,
    };
    for cause in error.chain() {
        if let Some(api) = cause.downcast_ref::<ApiError>() {
            return told(api.kind, api.field.clone());
        }
        if let Some(config) = cause.downcast_ref::<ConfigError>() {
            return told(ErrorKind::Invalid, Some(config.field.clone()));
        }
        if let Some(store) = cause.downcast_ref::<store::StoreError>() {
            match store.kind() {
                ErrorKind::Internal => break,
                kind => return told(kind, None),
            }
        }
        if cause.is::<engine::model::ModelError>() || cause.is::<engine::corpus::CorpusError>() {
            return told(ErrorKind::Invalid, None);
        }
    }
    let id = log_id();
    tracing::error!(%id, "{error:#}");
    ApiError::new(
        ErrorKind::Internal,
        format!("the server could not do it; its log has the reason under {id}"),
    )
}

/// What a handler that panicked answers.
pub fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let id = log_id();
    tracing::error!(%id, "a request {}", panic_message(&*panic));
    let message = format!("the server met a bug; its log has the reason under {id}");
    Failure {
        error: ApiError::new(ErrorKind::Internal, message),
        status: None,
    }
    .into_response()
}

/// A number that finds a line in the log: the process' start and a count.
pub fn log_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    format!("{:x}-{}", seconds, COUNT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context as _, anyhow};

    #[test]
    fn the_clients_own_mistakes_keep_their_words() {
        let error = Err::<(), _>(ConfigError::new("lr", "found 0; expected more"))
            .context("the sweep")
            .unwrap_err();
        let told = classify(error);
        assert_eq!(told.kind, ErrorKind::Invalid);
        assert_eq!(told.field.as_deref(), Some("lr"));
        assert_eq!(told.message, "the sweep: lr: found 0; expected more");
    }

    #[test]
    fn the_servers_own_failures_stay_in_the_log() {
        let told = classify(anyhow!("a secret"));
        assert_eq!(told.kind, ErrorKind::Internal);
        assert!(
            !told.message.contains("secret") && told.message.contains('-'),
            "{}",
            told.message
        );
    }
}
