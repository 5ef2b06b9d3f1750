//! A plain HTTP client for the loopback: what curl would send, what it would show.

use anyhow::{Context, Result, ensure};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use std::time::Duration;

/// How long a request may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it was sent: nothing is decompressed.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none; the message holds the body.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("expected JSON, got {} `{}`", self.status, self.text()))
    }

    /// A header's value; empty where it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// Sends a request with `headers` and, where it is given, a JSON body.
///
/// # Errors
/// When there is no answer within a minute. An answer of any status is none.
pub async fn send(method: Method, url: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Result<Answer> {
    let mut request = Request::builder().method(method.clone()).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let request = request
        .body(body.map(Value::to_string).unwrap_or_default())
        .with_context(|| format!("`{url}` is no URL"))?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let exchange = async {
        let (parts, body) = client.request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        anyhow::Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    };
    let answer = tokio::time::timeout(DEADLINE, exchange).await;
    answer
        .with_context(|| format!("{method} {url}: no answer in {DEADLINE:?}"))?
        .with_context(|| format!("{method} {url}"))
}

/// GET.
///
/// # Errors
/// As [`send`].
pub async fn get(url: &str) -> Result<Answer> {
    send(Method::GET, url, &[], None).await
}

/// GET of JSON.
///
/// # Errors
/// As [`send`], and when the status is no success or the body no JSON.
pub async fn get_json(url: &str) -> Result<Value> {
    let answer = get(url).await?;
    ensure!(answer.status.is_success(), "GET {url}: {} `{}`", answer.status, answer.text());
    answer.json()
}

/// POST of JSON, whatever the answer's status.
///
/// # Errors
/// As [`send`].
pub async fn post(url: &str, body: &Value) -> Result<Answer> {
    send(Method::POST, url, &[], Some(body)).await
}

/// POST of JSON that is answered by JSON.
///
/// # Errors
/// As [`post`], and when the status is no success or the body no JSON.
pub async fn post_json(url: &str, body: &Value) -> Result<Value> {
    let answer = post(url, body).await?;
    ensure!(
        answer.status.is_success(),
        "POST {url}: {} `{}`",
        answer.status,
        answer.text()
    );
    answer.json()
}
