//! Who may do what. Every request must call the server by a name that is its own. Reading is then open to whoever reaches the
//! address, and so is asking what a sweep would come to. Changing anything needs the token, where there is one; on a loopback
//! address without one it is open to the server's own pages.
//!
//! A server is reachable by every page that the user's browser has open. So the request must say that it comes from ours: its Host
//! is a name of this server (else a foreign name may have been made to point here: DNS rebinding), and, where no token shows it, its
//! Origin, where the browser gives one, is that same host (else another page sends it: CSRF).

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::sync::Arc;

use super::{error::Failure, host::HostName};

/// Questions too long for a URL: sent as POST, they change nothing.
const QUESTIONS: &[&str] = &["/api/sweeps/resolve"];

/// What the server's address and options allow.
#[derive(Clone, Debug)]
pub struct Access {
    is_loopback: bool,
    /// Names of this server beside those that it always has.
    names: Arc<[HostName]>,
    /// What changing anything needs.
    token: Option<Arc<str>>,
}

impl Access {
    /// Bound to loopback: pages of this address may change things.
    pub fn loopback() -> Self {
        Self {
            is_loopback: true,
            names: Arc::new([]),
            token: None,
        }
    }

    /// Bound elsewhere: whoever has the token may change things.
    pub fn elsewhere(token: &str) -> Self {
        Self {
            is_loopback: false,
            ..Self::loopback().with_token(token)
        }
    }

    /// The same, where changing anything needs `token`.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        Self {
            token: Some(token.into()),
            ..self
        }
    }

    /// The same, called by these names as well.
    #[must_use]
    pub fn named(self, names: &[HostName]) -> Self {
        Self {
            names: names.into(),
            ..self
        }
    }

    /// What changing anything needs, if it needs something.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Whether changing anything needs a token.
    pub fn needs_token(&self) -> bool {
        self.token.is_some()
    }

    /// # Errors
    /// 401, 403 or 421 with what is missing.
    fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Failure> {
        let host = self.check_host(uri, headers)?;
        let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) || QUESTIONS.contains(&uri.path());
        match &self.token {
            _ if reads => Ok(()),
            Some(token) => check_token(headers, token),
            None => check_origin(headers, host),
        }
    }

    /// The host that the request calls, which must be this server. Where the request's target names one, too, that must be as well.
    fn check_host<'h>(&self, uri: &Uri, headers: &'h HeaderMap) -> Result<&'h str, Failure> {
        let mut values = headers.get_all(header::HOST).iter();
        let given = match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().unwrap_or_default(),
            _ => "",
        };
        let target = uri.authority().map(|authority| authority.as_str());
        // HTTP/2 has the target alone
        let called = target
            .into_iter()
            .chain((target.is_none() || !given.is_empty()).then_some(given));
        for host in called {
            if !HostName::of_header(host).is_some_and(|name| self.answers_to(&name)) {
                return Err(self.misdirected(host));
            }
        }
        Ok(given)
    }

    fn answers_to(&self, name: &HostName) -> bool {
        let is_reached = match name {
            HostName::Address(_) => !self.is_loopback,
            HostName::Name(_) => false,
        };
        name.is_loopback() || is_reached || self.names.contains(name)
    }

    fn misdirected(&self, host: &str) -> Failure {
        let instead = match self.is_loopback {
            true => "open it as localhost, 127.0.0.1 or [::1]",
            false => "open it by its address in figures",
        };
        let message = format!(
            "host '{host}' is not a name of this server; {instead}, or start it with --host NAME for each name that it is opened by"
        );
        Failure::with_status(StatusCode::MISDIRECTED_REQUEST, message)
    }
}

/// The middleware that asks [`Access`].
pub async fn guard(State(access): State<Access>, request: Request, next: Next) -> Response {
    match access.check(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

fn check_origin(headers: &HeaderMap, host: &str) -> Result<(), Failure> {
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

/// Equality whose time does not tell how much of the token was right.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use header::{AUTHORIZATION, HOST, ORIGIN};

    fn check(access: &Access, method: Method, path: &str, headers: &[(HeaderName, &str)]) -> Result<(), StatusCode> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.clone(), value.parse().unwrap());
        }
        access
            .check(&method, &path.parse().unwrap(), &map)
            .map_err(|failure| failure.status.unwrap())
    }

    const ELSEWHERE: StatusCode = StatusCode::MISDIRECTED_REQUEST;

    #[test]
    fn a_loopback_server_is_read_and_changed_under_loopback_names_only() {
        let access = Access::loopback();
        for method in [Method::GET, Method::HEAD, Method::POST] {
            for path in ["/", "/api/models", "/api/events", "/api/sweeps/resolve", "/pkg/saescope.js"] {
                let ask = |headers: &[(HeaderName, &str)]| check(&access, method.clone(), path, headers);
                for host in [
                    "localhost:3000",
                    "LOCALHOST.:3000",
                    "127.0.0.1:3000",
                    "[::1]:3000",
                    "localhost",
                    "[::1]",
                ] {
                    assert_eq!(ask(&[(HOST, host)]), Ok(()), "{host}");
                }
                for host in [
                    "evil.example:3000",
                    "127.0.0.1.evil.example",
                    "localhost.evil.example",
                    "10.0.0.7:3000",
                    "",
                ] {
                    assert_eq!(ask(&[(HOST, host)]), Err(ELSEWHERE), "{method} {path} {host}");
                }
                assert_eq!(ask(&[]), Err(ELSEWHERE), "none at all");
                let both = [(HOST, "localhost"), (HOST, "evil.example")];
                assert_eq!(ask(&both), Err(ELSEWHERE), "two of them");
            }
        }
        let named = "http://evil.example/api/models";
        assert_eq!(check(&access, Method::GET, named, &[(HOST, "localhost")]), Err(ELSEWHERE));
        let own = "http://localhost:3000/api/models";
        assert_eq!(check(&access, Method::GET, own, &[]), Ok(()), "as HTTP/2 has it");
    }

    #[test]
    fn a_loopback_server_is_changed_by_its_own_pages_only() {
        let post = |headers: &[(HeaderName, &str)]| check(&Access::loopback(), Method::POST, "/api/models", headers);
        for host in ["localhost:3000", "127.0.0.1:3000", "[::1]:3000", "localhost", "[::1]"] {
            assert_eq!(post(&[(HOST, host), (ORIGIN, &format!("http://{host}"))]), Ok(()), "{host}");
        }
        for origin in ["http://evil.example", "http://localhost:8000", "null"] {
            assert_eq!(
                post(&[(HOST, "localhost:3000"), (ORIGIN, origin)]),
                Err(StatusCode::FORBIDDEN),
                "{origin}"
            );
        }
    }

    #[test]
    fn a_token_that_was_given_is_asked_for_on_loopback_too() {
        let access = Access::loopback().with_token("secret");
        let post = |headers: &[(HeaderName, &str)]| check(&access, Method::POST, "/api/models", headers);
        let own = [(HOST, "localhost:3000"), (ORIGIN, "http://localhost:3000")];
        assert_eq!(post(&own), Err(StatusCode::UNAUTHORIZED));
        assert_eq!(post(&[(HOST, "localhost"), (AUTHORIZATION, "Bearer secret")]), Ok(()));
        assert_eq!(
            post(&[(HOST, "evil.example"), (AUTHORIZATION, "Bearer secret")]),
            Err(ELSEWHERE)
        );
        assert_eq!(check(&access, Method::GET, "/api/models", &own), Ok(()), "reading is open");
    }

    #[test]
    fn elsewhere_a_name_must_be_allowed_and_an_address_in_figures_is() {
        let access = Access::elsewhere("secret").named(&["saes.example.org".parse().unwrap()]);
        let get = |host: &str| check(&access, Method::GET, "/api/models", &[(HOST, host)]);
        for host in [
            "saes.example.org",
            "SAES.example.org.:3000",
            "10.0.0.7:3000",
            "[2001:db8::1]:3000",
            "localhost:3000",
        ] {
            assert_eq!(get(host), Ok(()), "{host}");
        }
        for host in ["evil.example", "a.saes.example.org", "saes.example.org.evil.example", ""] {
            assert_eq!(get(host), Err(ELSEWHERE), "{host}");
        }
    }

    #[test]
    fn elsewhere_changing_needs_the_token_and_reading_does_not() {
        let access = Access::elsewhere("secret");
        let ask = |method: Method, path: &str, token: Option<&str>| {
            let mut headers = vec![(HOST, "10.0.0.7:3000")];
            headers.extend(token.map(|token| (AUTHORIZATION, token)));
            check(&access, method, path, &headers)
        };
        let denied = Err(StatusCode::UNAUTHORIZED);
        assert_eq!(ask(Method::GET, "/api/models", None), Ok(()));
        assert_eq!(ask(Method::POST, "/api/models", None), denied);
        assert_eq!(ask(Method::POST, "/api/models", Some("Bearer secret")), Ok(()));
        assert_eq!(ask(Method::POST, "/api/sweeps/resolve", None), Ok(()), "a question");
        assert_eq!(ask(Method::POST, "/api/sweeps", None), denied);
        for wrong in ["Bearer secre", "Bearer Secret", "secret", "Basic secret"] {
            assert_eq!(ask(Method::POST, "/api/models", Some(wrong)), denied, "{wrong}");
        }
    }
}
