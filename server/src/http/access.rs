//! Who may do what. Reading is open to whoever reaches the address, and so is asking what a sweep would come to. Changing
//! anything is open to the pages of a loopback address alone, and elsewhere needs the bearer token.
//!
//! A loopback address is reachable by every page that the user's browser has open, so the request must say that it comes
//! from ours: its Host is a loopback name (else a foreign name may have been made to point here: DNS rebinding), and its
//! Origin, where the browser gives one, is that same host (else another page sends it: CSRF).

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{net::IpAddr, sync::Arc};

use super::error::Failure;

/// Questions too long for a URL: sent as POST, they change nothing.
const QUESTIONS: &[&str] = &["/api/sweeps/resolve"];

/// What the server's address and options allow.
#[derive(Clone, Debug)]
pub enum Access {
    /// Bound to loopback: pages of this address may change things.
    Loopback,
    /// Bound elsewhere: whoever has the token may change things.
    Token(Arc<str>),
}

impl Access {
    /// Whether changing anything needs a token.
    pub fn needs_token(&self) -> bool {
        matches!(self, Access::Token(_))
    }

    /// # Errors
    /// 401 or 403 with what is missing.
    fn check(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), Failure> {
        let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) || QUESTIONS.contains(&path);
        match self {
            _ if reads => Ok(()),
            Access::Loopback => check_loopback(headers),
            Access::Token(token) => check_token(headers, token),
        }
    }
}

/// The middleware that asks [`Access`].
pub async fn guard(State(access): State<Access>, request: Request, next: Next) -> Response {
    match access.check(request.method(), request.uri().path(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

fn check_loopback(headers: &HeaderMap) -> Result<(), Failure> {
    let host = text(headers, header::HOST).unwrap_or_default();
    if !is_loopback(host_name(host)) {
        return Err(Failure::with_status(
            StatusCode::FORBIDDEN,
            format!(
                "host '{host}' is not a loopback name; changing anything needs localhost, 127.0.0.1 or [::1], or a server with --bind and --token"
            ),
        ));
    }
    let Some(origin) = text(headers, header::ORIGIN) else {
        return Ok(()); // not a browser's: a page cannot leave it out
    };
    match origin.split_once("://") {
        Some((_, of)) if of.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(Failure::with_status(
            StatusCode::FORBIDDEN,
            format!("origin '{origin}' is another page than this server's '{host}'; only its own pages may change anything"),
        )),
    }
}

fn check_token(headers: &HeaderMap, token: &str) -> Result<(), Failure> {
    let given = text(headers, header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    match given {
        Some(given) if same(given.trim().as_bytes(), token.as_bytes()) => Ok(()),
        Some(_) => Err(Failure::with_status(
            StatusCode::UNAUTHORIZED,
            "the token is wrong; the server printed the right one when it started, or was given it with --token",
        )),
        None => Err(Failure::with_status(
            StatusCode::UNAUTHORIZED,
            "changing anything needs the server's token, which it printed when it started or was given with --token; send it in the header \
             'Authorization: Bearer TOKEN'",
        )),
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The host without its port.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

fn is_loopback(name: &str) -> bool {
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Equality whose time does not tell how much of the token was right.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(access: &Access, method: Method, headers: &[(HeaderName, &str)]) -> Result<(), StatusCode> {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect();
        access
            .check(&method, "/api/models", &headers)
            .map_err(|failure| failure.status.unwrap())
    }

    #[test]
    fn a_loopback_server_is_changed_by_its_own_pages_only() {
        use header::{HOST, ORIGIN};
        let post = |headers: &[(HeaderName, &str)]| check(&Access::Loopback, Method::POST, headers);
        for host in ["localhost:3000", "127.0.0.1:3000", "[::1]:3000", "localhost", "[::1]"] {
            assert_eq!(post(&[(HOST, host)]), Ok(()), "{host}");
            assert_eq!(post(&[(HOST, host), (ORIGIN, &format!("http://{host}"))]), Ok(()), "{host}");
        }
        for host in ["evil.example:3000", "127.0.0.1.evil.example", ""] {
            assert_eq!(post(&[(HOST, host)]), Err(StatusCode::FORBIDDEN), "{host}");
        }
        for origin in ["http://evil.example", "http://localhost:8000", "null"] {
            assert_eq!(
                post(&[(HOST, "localhost:3000"), (ORIGIN, origin)]),
                Err(StatusCode::FORBIDDEN),
                "{origin}"
            );
        }
        assert_eq!(check(&Access::Loopback, Method::GET, &[]), Ok(()));
    }

    #[test]
    fn elsewhere_changing_needs_the_token_and_reading_does_not() {
        let access = Access::Token("secret".into());
        let post = |value: &str| check(&access, Method::POST, &[(header::AUTHORIZATION, value)]);
        assert_eq!(check(&access, Method::GET, &[]), Ok(()));
        assert_eq!(check(&access, Method::POST, &[]), Err(StatusCode::UNAUTHORIZED));
        assert_eq!(post("Bearer secret"), Ok(()));
        let none = HeaderMap::new();
        assert!(
            access.check(&Method::POST, "/api/sweeps/resolve", &none).is_ok(),
            "a question"
        );
        assert!(access.check(&Method::POST, "/api/sweeps", &none).is_err());
        for wrong in ["Bearer secre", "Bearer Secret", "secret", "Basic secret"] {
            assert_eq!(post(wrong), Err(StatusCode::UNAUTHORIZED), "{wrong}");
        }
    }
}
