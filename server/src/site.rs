//! The files of the page.

use axum::Router;

/// The routes of the page's files.
pub fn routes() -> Router {
    Router::new()
}
