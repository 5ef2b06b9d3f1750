//! The client's transport where the page is neither rendered nor hydrated, as in this crate's own unit tests.

use api::{ApiError, ErrorKind};
use leptos::web_sys::HtmlInputElement;

use super::{Answer, Heard, Request};

/// Files chosen in the browser: none here.
pub struct Files;

impl Files {
    /// The files chosen in `input`.
    pub fn chosen(_: &HtmlInputElement) -> Option<Self> {
        None
    }

    /// The name of the first file, or of the folder it lies in.
    pub fn name(&self) -> String {
        String::new()
    }
}

fn nowhere(path: &str) -> ApiError {
    ApiError::new(
        ErrorKind::Unreachable,
        format!("{path}: built without ssr and hydrate, so there is no server to ask"),
    )
}

pub(crate) async fn exchange(request: Request) -> Answer<(u16, String)> {
    let Request { method, path, body } = request;
    Err(nowhere(&format!("{method} {path} ({} bytes)", body.map_or(0, |b| b.len()))))
}

pub(crate) async fn exchange_with(path: &str, _: &str) -> Answer<(u16, String)> {
    Err(nowhere(path))
}

pub(crate) async fn upload(path: &str, _: &str, _: &Files, _: &[(&str, String)]) -> Answer<(u16, String)> {
    Err(nowhere(path))
}

pub(crate) fn follow(_: &'static str, _: impl Fn(Heard) + 'static) {}

pub(crate) fn kept() -> Option<String> {
    None
}

pub(crate) fn keep(_: Option<&str>) {}

pub(crate) fn when_refused(_: impl Fn() + 'static) {}

pub(crate) fn go_on(_: bool) {}
