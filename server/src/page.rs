//! The page, rendered on the server with its data, behind a strict content security policy; and its files.

use axum::{
    Router,
    extract::Request,
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use leptos::{config::LeptosOptions, context::use_context, nonce::use_nonce};
use leptos_axum::{LeptosRoutes as _, ResponseOptions, generate_route_list};
use std::net::SocketAddr;

use crate::site;

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
