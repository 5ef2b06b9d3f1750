//! Errors that cross the wire.

use serde::{Deserialize, Serialize};

/// A config that cannot be used: which field, and what was found and expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[error("{field}: {message}")]
pub struct ConfigError {
    /// The field, as the config, the form and the command line name it.
    pub field: String,
    /// What was found and what was expected, lower-case and unpunctuated.
    pub message: String,
}

impl ConfigError {
    /// An error of the field `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

/// Which kind of failure an [`ApiError`] is; the server maps it to a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request cannot be used as it is (400).
    Invalid,
    /// Nothing has that name or number (404).
    NotFound,
    /// Whoever asks may not do it: the token is missing or wrong (401), or another page asks (403).
    Forbidden,
    /// It cannot be done in the present state (409).
    Conflict,
    /// The request is larger than the server takes (413).
    TooLarge,
    /// The server failed; the message carries a number that the log has too (500).
    Internal,
    /// The server could not be reached (only made by the client).
    Unreachable,
}

/// What every failed request answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[error("{message}")]
pub struct ApiError {
    /// The kind of failure.
    pub kind: ErrorKind,
    /// What happened, and what to do.
    pub message: String,
    /// The field of the request that the error is about, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl ApiError {
    /// An error without a field.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            field: None,
        }
    }

    /// 404: `what` does not exist.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, format!("there is no {what}"))
    }
}

impl From<ConfigError> for ApiError {
    fn from(error: ConfigError) -> Self {
        Self {
            kind: ErrorKind::Invalid,
            message: error.to_string(),
            field: Some(error.field),
        }
    }
}
