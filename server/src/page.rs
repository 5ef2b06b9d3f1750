//! The page, rendered on the server with its data, behind a strict content security policy; and its files.

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use http_body_util::BodyExt as _;
use leptos::{config::LeptosOptions, context::use_context, nonce::use_nonce};
use leptos_axum::{LeptosRoutes as _, ResponseOptions, generate_route_list};
use std::net::SocketAddr;

use crate::{http::Failure, site};

/// The page's routes and files. `api` answers what the page asks while it is rendered.
pub fn routes(api: Router, address: SocketAddr) -> Router {
    if !site::is_built() {
        return Router::new().fallback(get(|| async { site::missing() }));
    }
    let options = LeptosOptions::builder()
        .output_name("saescope")
        .site_pkg_dir("pkg")
        .site_addr(address)
        .build();
    let provide = move || {
        app::client::provide_router(api.clone());
        set_policy();
    };
    let shell = {
        let options = options.clone();
        move || app::shell(options.clone())
    };
    // any other address is a file, or a page that says that there is none
    let render = leptos_axum::render_app_async_with_context(provide.clone(), shell.clone());
    let other = move |request: Request| async move {
        match site::respond(&request) {
            Some(file) => file,
            None => render(request).await,
        }
    };
    Router::new()
        .leptos_routes_with_context(&options, generate_route_list(app::App), provide, shell)
        .fallback(other)
        .with_state(options)
        .layer(middleware::from_fn(never_kept))
        .layer(middleware::from_fn(to_its_end))
}

/// Scripts run only when they carry the answer's nonce or come from those that do; nothing is loaded from elsewhere.
fn set_policy() {
    let (Some(nonce), Some(response)) = (use_nonce(), use_context::<ResponseOptions>()) else {
        return;
    };
    let policy = format!(
        "default-src 'self'; script-src 'nonce-{nonce}' 'strict-dynamic' 'wasm-unsafe-eval'; style-src 'self' 'nonce-{nonce}'; \
         img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
    }
}

/// A rendered page holds data of its moment: a browser must not keep it. Files say themselves how long they hold.
async fn never_kept(request: Request, next: Next) -> Response {
    const NAME: HeaderName = header::CACHE_CONTROL;
    let mut response = next.run(request).await;
    if !response.headers().contains_key(NAME) {
        response.headers_mut().insert(NAME, HeaderValue::from_static("no-store"));
    }
    response
}

/// Renders a page to its end, whether or not its reader still waits. What a page holds while it is rendered is given back by the
/// last piece of its answer: an answer that is dropped before keeps all of it for good. Pages wait for their data and come in one
/// piece anyway (`SsrMode::Async`), so nothing is sent later than it could be.
async fn to_its_end(request: Request, next: Next) -> Response {
    let rendered = tokio::spawn(async move {
        let (parts, body) = next.run(request).await.into_parts();
        let whole = body.collect().await?.to_bytes();
        Ok::<_, axum::Error>(Response::from_parts(parts, Body::from(whole)))
    });
    match rendered.await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => Failure::from(error).into_response(),
        // for the guard that answers panics
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(ended) => Failure::from(ended).into_response(),
    }
}
