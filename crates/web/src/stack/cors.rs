//! The API is open to scripts of any site: it knows no cookies, and ids are
//! its only capabilities.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::Response;

use crate::error::done;

const ANY: HeaderValue = HeaderValue::from_static("*");
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");
const HEADERS: HeaderValue = HeaderValue::from_static("content-type, idempotency-key");
const TOLD: HeaderValue = HeaderValue::from_static("retry-after, x-request-id");
/// A day, in seconds: browsers keep to their own lower bounds.
const KEPT: HeaderValue = HeaderValue::from_static("86400");

/// Whether scripts of other sites may use this address.
pub(super) fn is_open(path: &str) -> bool {
    let staff = path.starts_with("/api/v1/admin/");
    (path.starts_with("/api/v1/") && !staff) || path == "/openapi.json"
}

/// The answer to a browser that asks before it sends; `None` for any other request.
pub(super) fn preflight(request: &Request) -> Option<Response> {
    let asks = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    (asks && is_open(request.uri().path())).then(|| {
        let mut response = done();
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, KEPT);
        response
    })
}

/// Lets any site's script read the answer.
pub(super) fn open(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, TOLD);
}
