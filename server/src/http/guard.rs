//! What stands around every request: the log, panics caught, time limits, compression, headers, access.

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use std::time::Duration;
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer, set_header::SetResponseHeaderLayer, trace::TraceLayer,
};

use super::{
    access::{self, Access},
    error::{self, Failure},
};

/// How long a request may take that is neither a stream nor an upload.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The whole server: the API, the page and its files behind one set of guards.
pub fn server(api: Router, page: Router, access: Access) -> Router {
    let guards = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .layer(set(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(set(header::REFERRER_POLICY, "same-origin"))
        .layer(set(header::X_FRAME_OPTIONS, "DENY"))
        .layer(CompressionLayer::new()) // leaves event streams and images alone
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(middleware::from_fn_with_state(access, access::guard));
    api.merge(page).layer(guards)
}

fn set(name: header::HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

/// Ends requests that take too long.
pub async fn time_limit(request: Request, next: Next) -> Response {
    match tokio::time::timeout(TIME_LIMIT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = format!(
                "the server took longer than {} seconds; try again when fewer jobs run",
                TIME_LIMIT.as_secs()
            );
            Failure::with_status(StatusCode::SERVICE_UNAVAILABLE, message).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{body::Body, routing::get};
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    #[tokio::test]
    async fn a_panic_is_answered_as_json_and_its_words_stay_in_the_log() {
        let api = Router::new().route("/api/bug", get(|| async { panic!("a secret") as &'static str }));
        let server = server(api, Router::new(), Access::loopback());
        let response = server
            .oneshot(
                Request::get("/api/bug")
                    .header(header::HOST, "localhost")
                    .body(Body::empty())
                    .unwrap(),
            )
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let error: ::api::ApiError = serde_json::from_slice(&body).unwrap();
        assert_eq!(error.kind, ::api::ErrorKind::Internal);
        assert!(!error.message.contains("secret"), "{error}");
    }
}
