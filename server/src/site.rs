//! The page's files, inside the binary, and how they are served: compressed where the browser takes it,
//! kept by the browser until they change.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header},
    response::IntoResponse,
};

include!(concat!(env!("OUT_DIR"), "/site.rs"));

/// A file of the page.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// The content.
    pub bytes: &'static [u8],
    /// The content compressed with brotli, where that is smaller.
    pub brotli: Option<&'static [u8]>,
    /// The media type.
    pub content_type: &'static str,
    /// SHA-256 of the content, in hexadecimal.
    pub hash: &'static str,
}

/// The file that the browser asks for as `path`, the leading slash given or not.
pub fn asset(path: &str) -> Option<Asset> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let place = FILES.binary_search_by(|(name, _)| (*name).cmp(path)).ok()?;
    Some(FILES[place].1)
}

/// Whether the page was built into this binary.
pub fn is_built() -> bool {
    asset("pkg/saescope.js").is_some() && asset("pkg/saescope_bg.wasm").is_some()
}

/// Answers a request for a file of the page; none where there is no such file, so that the caller goes on to its routes.
pub fn respond(request: &Request) -> Option<Response<Body>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return None;
    }
    let asset = asset(request.uri().path())?;
    let tag = format!("\"{}\"", &asset.hash[..32]);
    let kept_forever = request
        .uri()
        .query()
        .and_then(|query| query.strip_prefix("v="))
        .is_some_and(|version| asset.hash.starts_with(version) && version.len() >= 16);
    let cache = if kept_forever {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let answer = Response::builder()
        .header(header::CACHE_CONTROL, cache)
        .header(header::ETAG, &tag)
        .header(header::VARY, "accept-encoding");
    let answer = if names(request.headers(), &tag) {
        answer.status(StatusCode::NOT_MODIFIED).body(Body::empty())
    } else {
        let answer = answer.header(header::CONTENT_TYPE, asset.content_type);
        match asset.brotli.filter(|_| takes_brotli(request.headers())) {
            Some(small) => answer.header(header::CONTENT_ENCODING, "br").body(Body::from(small)),
            None => answer.body(Body::from(asset.bytes)),
        }
    };
    Some(answer.expect("every header above is valid"))
}

/// What the page's routes answer where the page is not in the binary.
pub fn missing() -> Response<Body> {
    let text = "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><title>saescope</title>\
                <link rel=\"icon\" href=\"data:,\"><p>the page is not in this build; run <code>cargo serve</code></p></html>";
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    (StatusCode::SERVICE_UNAVAILABLE, [(header::CONTENT_TYPE, kind)], text).into_response()
}

fn names(headers: &HeaderMap, tag: &str) -> bool {
    let asked = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    asked.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)
}

fn takes_brotli(headers: &HeaderMap) -> bool {
    let taken = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    taken.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        parts.next() == Some("br") && !parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(uri: &str, headers: &[(header::HeaderName, &str)]) -> Option<Response<Body>> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        respond(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn the_table_is_sorted_and_its_paths_are_found() {
        assert!(FILES.is_sorted_by(|(a, _), (b, _)| a < b));
        for (path, file) in FILES {
            assert_eq!(asset(&format!("/{path}")).unwrap().hash, file.hash);
        }
        assert!(asset("../Cargo.toml").is_none() && asset("").is_none());
    }

    #[test]
    fn a_file_is_sent_compressed_revalidated_and_kept_by_its_hash() {
        for (path, file) in FILES {
            let uri = format!("/{path}");
            let plain = get(&uri, &[]).unwrap();
            assert_eq!(plain.status(), StatusCode::OK);
            assert_eq!(plain.headers()[header::CACHE_CONTROL], "no-cache");
            assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
            let small = get(&uri, &[(header::ACCEPT_ENCODING, "gzip, br;q=0.9")]).unwrap();
            assert_eq!(small.headers().contains_key(header::CONTENT_ENCODING), file.brotli.is_some());
            let tag = plain.headers()[header::ETAG].to_str().unwrap().to_owned();
            assert_eq!(
                get(&uri, &[(header::IF_NONE_MATCH, &tag)]).unwrap().status(),
                StatusCode::NOT_MODIFIED
            );
            assert_eq!(
                get(&uri, &[(header::IF_NONE_MATCH, "\"other\"")]).unwrap().status(),
                StatusCode::OK
            );
            let kept = get(&format!("{uri}?v={}", &file.hash[..16]), &[]).unwrap();
            assert!(kept.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
            let stale = get(&format!("{uri}?v=0000000000000000"), &[]).unwrap();
            assert_eq!(stale.headers()[header::CACHE_CONTROL], "no-cache");
        }
    }

    #[test]
    fn brotli_that_is_refused_is_not_sent() {
        let headers = |value: &str| HeaderMap::from_iter([(header::ACCEPT_ENCODING, value.parse().unwrap())]);
        assert!(takes_brotli(&headers("gzip, deflate, br, zstd")));
        assert!(!takes_brotli(&headers("gzip, br;q=0")));
        assert!(!takes_brotli(&headers("brotli")));
        assert!(!takes_brotli(&HeaderMap::new()));
    }

    #[test]
    fn a_build_without_the_page_says_what_to_run() {
        assert_eq!(missing().status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(is_built(), asset("pkg/saescope_bg.wasm").is_some());
    }
}
