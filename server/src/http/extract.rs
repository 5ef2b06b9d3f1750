//! Bodies, queries and paths of requests, refused as [`api::ApiError`] where they cannot be read: in the words of the other
//! errors, and with the field that is meant, so that a form can point at it.

use api::{ApiError, ErrorKind};
use axum::{
    Json,
    extract::{
        FromRequest, FromRequestParts, Path, Query, Request, path,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;
use serde_path_to_error::{Error as At, Path as Place, Segment};
use std::error::Error;

use super::{JSON_LIMIT, REQUEST_LIMIT, error::Failure};

/// A JSON body.
pub struct ApiJson<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for ApiJson<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        match Json::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(body(&rejection)),
        }
    }
}

/// The query behind the `?`.
pub struct ApiQuery<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(query(&rejection)),
        }
    }
}

/// The parameters in the path.
pub struct ApiPath<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for ApiPath<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(in_path(&rejection)),
        }
    }
}

fn body(rejection: &JsonRejection) -> Failure {
    match rejection {
        // a body of the wrong shape is a bad request like any other value that cannot be used
        JsonRejection::JsonDataError(error) => match caused_by::<At<serde_json::Error>>(error) {
            Some(at) => wrong_shape(at.path(), &without_place(at.inner())),
            None => refused(rejection.status(), rejection.body_text()),
        },
        JsonRejection::JsonSyntaxError(error) => {
            let said = caused_by::<At<serde_json::Error>>(error).map_or_else(|| error.body_text(), |at| at.inner().to_string());
            refused(rejection.status(), format!("the body is no JSON: {said}"))
        }
        JsonRejection::MissingJsonContentType(_) => refused(
            rejection.status(),
            "expected JSON, announced by the header 'content-type: application/json'",
        ),
        other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => refused(
            other.status(),
            format!(
                "the body is too large; one that asks for jobs may have {} KiB, any other {} KiB",
                REQUEST_LIMIT >> 10,
                JSON_LIMIT >> 10
            ),
        ),
        other => refused(other.status(), other.body_text()),
    }
}

fn query(rejection: &QueryRejection) -> Failure {
    match caused_by::<At<serde::de::value::Error>>(rejection) {
        Some(at) => wrong_shape(at.path(), &at.inner().to_string()),
        None => refused(rejection.status(), rejection.body_text()),
    }
}

fn in_path(rejection: &PathRejection) -> Failure {
    use path::ErrorKind::{ParseError, ParseErrorAtIndex, ParseErrorAtKey};
    let value = match rejection {
        PathRejection::FailedToDeserializePathParams(error) => match error.kind() {
            ParseError { value, .. } | ParseErrorAtIndex { value, .. } | ParseErrorAtKey { value, .. } => Some(value),
            _ => None,
        },
        _ => None,
    };
    match value {
        Some(value) => refused(rejection.status(), format!("found '{value}' in the path; expected a number")),
        None => refused(rejection.status(), rejection.body_text()),
    }
}

fn refused(status: StatusCode, message: impl Into<String>) -> Failure {
    Failure::with_status(status, message)
}

/// What cannot be used, and where: `said` are serde's words.
fn wrong_shape(place: &Place, said: &str) -> Failure {
    let said = said.replace('`', "'");
    let field = match place.iter().next() {
        Some(Segment::Map { key }) => Some(key.clone()),
        // what is missing has no place: its name stands in the words
        _ => said
            .strip_prefix("missing field '")
            .and_then(|rest| rest.strip_suffix('\''))
            .map(String::from),
    };
    let message = match &field {
        Some(field) if !said.starts_with(&format!("{field}: ")) => format!("{field}: {said}"),
        _ => said,
    };
    Failure {
        error: ApiError {
            kind: ErrorKind::Invalid,
            message,
            field,
        },
        status: None,
    }
}

/// The error without line and column: the field says where it is.
fn without_place(error: &serde_json::Error) -> String {
    let said = error.to_string();
    match said.rsplit_once(" at line ") {
        Some((before, _)) => before.into(),
        None => said,
    }
}

/// The first of the error's causes, or itself, that is an `E`.
fn caused_by<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
