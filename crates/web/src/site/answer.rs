//! Pages as responses: the headers every page carries, and pages that say why
//! something could not be done.

use askama::Template;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response as HttpResponse, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use sloe_engine::error::Denied;

use super::view::message::MessagePage;
use super::words;
use crate::error::{Cause, status_of};

/// Headers that pages for one visitor carry: such an address must neither be
/// stored, nor told to the next site, nor listed by search engines.
const PRIVATE: [(HeaderName, HeaderValue); 3] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex")),
];

/// A page for one visitor.
pub(super) fn private(status: StatusCode, page: &impl Template) -> Response {
    let Ok(html) = page.render() else {
        tracing::error!("a page can't be rendered");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut response = HttpResponse::new(Body::from(html));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.extend(PRIVATE);
    response
}

/// On to another page after a form; never stored.
pub(super) fn see_other(to: &str) -> Response {
    (PRIVATE, Redirect::to(to)).into_response()
}

/// A page that says why something could not be done.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    page: Box<MessagePage>,
    retry_after: Option<u64>,
}

impl Failure {
    /// With its page.
    pub(crate) fn new(cause: Cause, page: MessagePage) -> Self {
        Self { status: cause.entry().status, page: Box::new(page), retry_after: None }
    }

    /// The engine's refusal with its page.
    pub(crate) fn denied(denied: &Denied, page: MessagePage) -> Self {
        Self { status: status_of(denied), page: Box::new(page), retry_after: None }
    }

    /// With the seconds after which trying again makes sense.
    pub(crate) fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Nothing is at this address.
    pub(super) fn not_found() -> Self {
        Self::new(Cause::NotFound, words::not_found())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = private(self.status, &*self.page);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}
