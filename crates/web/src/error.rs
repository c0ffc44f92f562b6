//! From refusals to answers: the only file, with its folder, that knows
//! status codes. A [`Problem`] travels in its response as a value; the
//! middleware writes it out as a document for programs or as a page for
//! people, and adds the request's id.

mod causes;
mod document;

use std::borrow::Cow;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sloe_core::time::Timestamp;
use sloe_engine::error::{Denied, Fault, Hindrance, PoolRef, Shortage};
use sloe_engine::peers::PeerError;

use crate::peer::Unheard;

pub use causes::{Cause, Entry};
pub use document::{FaultDocument, PoolDocument, PoolKind, ProblemDocument};

/// Media type of problem documents (RFC 9457).
pub const PROBLEM_JSON: &str = "application/problem+json";

/// One fault of a request, with where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    /// JSON pointer (RFC 6901) into the body, or the name of a query parameter.
    pub at: Place,
    /// A stable code.
    pub code: &'static str,
    /// What is wrong and what it should be.
    pub message: String,
}

/// Where in a request a fault is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the body.
    Pointer(String),
    /// In the query.
    Parameter(String),
}

/// A refusal on its way out. Boxed, so that results stay small.
#[derive(Clone, Debug)]
pub struct Problem(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    cause: Cause,
    detail: Option<Cow<'static, str>>,
    /// Whether the detail says it all.
    plain: bool,
    faults: Vec<FieldFault>,
    pools: Vec<Shortage>,
    opens_at: Option<Timestamp>,
    retry_after: Option<Duration>,
}

impl From<Cause> for Problem {
    fn from(cause: Cause) -> Self {
        Self(Box::new(Parts {
            cause,
            detail: None,
            plain: false,
            faults: Vec::new(),
            pools: Vec::new(),
            opens_at: None,
            retry_after: None,
        }))
    }
}

impl Problem {
    /// A cause with what is particular about this case.
    #[must_use]
    pub fn new(cause: Cause, detail: impl Into<Cow<'static, str>>) -> Self {
        let mut problem = Self::from(cause);
        problem.0.detail = Some(detail.into());
        problem
    }

    /// A cause of which `detail` says all there is to say, in sentences.
    #[must_use]
    pub fn plain(cause: Cause, detail: impl Into<Cow<'static, str>>) -> Self {
        let mut problem = Self::new(cause, detail);
        problem.0.plain = true;
        problem
    }

    /// A request with these faults.
    #[must_use]
    pub fn invalid(faults: Vec<FieldFault>) -> Self {
        let mut problem = Self::from(Cause::Invalid);
        problem.0.faults = faults;
        problem
    }

    /// To be tried again after `wait`.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// The engine's refusal; `pointer` says where in the body a fault's part is.
    #[must_use]
    pub fn denied(denied: Denied, pointer: impl Fn(&Fault) -> String) -> Self {
        let mut problem = Self::from(cause_of(&denied));
        match denied {
            Denied::SoldOut(pools) | Denied::HoldExpired(pools) => problem.0.pools = pools,
            Denied::NotYetOpen { opens_at } => problem.0.opens_at = Some(opens_at),
            Denied::NotAccepted { why, retry_after } => {
                problem.0.detail = Some(hindered(why).into());
                problem.0.retry_after = Some(retry_after);
            }
            Denied::OutcomeUnknown => problem.0.retry_after = Some(Duration::from_secs(1)),
            Denied::Invalid(faults) => {
                for fault in faults {
                    let at = Place::Pointer(pointer(&fault));
                    let fault = FieldFault { at, code: fault.code, message: fault.message };
                    // A line of three units has each of its faults three times.
                    if !problem.0.faults.contains(&fault) {
                        problem.0.faults.push(fault);
                    }
                }
            }
            Denied::NotFound
            | Denied::IdReused
            | Denied::LicenseInactive
            | Denied::EventCancelled
            | Denied::EventUnpublished
            | Denied::EventOver
            | Denied::Closed
            | Denied::HoldReleased
            | Denied::AlreadyConfirmed
            | Denied::NotConfirmed
            | Denied::Quarantined => {}
        }
        problem
    }

    /// Why.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.0.cause
    }

    /// Every fault, of a request that has any.
    #[must_use]
    pub fn faults(&self) -> &[FieldFault] {
        &self.0.faults
    }

    /// What happened, what it means and what to do, in sentences.
    #[must_use]
    pub fn detail(&self) -> String {
        let entry = self.0.cause.entry();
        match &self.0.detail {
            Some(detail) if self.0.plain => detail.to_string(),
            Some(detail) => format!("{detail} {} {}", entry.meaning, entry.remedy),
            None => format!("{} {}", entry.meaning, entry.remedy),
        }
    }

    /// The document that programs read.
    #[must_use]
    pub fn document(&self, request_id: &str) -> ProblemDocument {
        let entry = self.0.cause.entry();
        ProblemDocument {
            kind: format!("/problems/{}", entry.name),
            title: entry.title.to_owned(),
            status: entry.status.as_u16(),
            detail: self.detail(),
            request_id: request_id.to_owned(),
            errors: self.0.faults.iter().map(FaultDocument::from).collect(),
            pools: self.0.pools.iter().map(PoolDocument::from).collect(),
            opens_at: self.0.opens_at.map(Timestamp::to_rfc3339),
        }
    }
}

impl From<Denied> for Problem {
    /// For what has no body to point into.
    fn from(denied: Denied) -> Self {
        Self::denied(denied, |_| String::new())
    }
}

impl IntoResponse for Problem {
    /// Status and headers, with the problem beside them: the middleware writes
    /// the body.
    fn into_response(self) -> Response {
        let mut response = self.0.cause.entry().status.into_response();
        if let Some(wait) = self.0.retry_after {
            // Whole seconds, and never an invitation to come back at once.
            let seconds = wait.as_millis().div_ceil(1_000).max(1);
            response.headers_mut().insert(header::RETRY_AFTER, number(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

fn number(n: u128) -> HeaderValue {
    HeaderValue::from(u64::try_from(n).unwrap_or(u64::MAX))
}

fn cause_of(denied: &Denied) -> Cause {
    match denied {
        Denied::NotFound => Cause::NotFound,
        Denied::IdReused => Cause::IdReused,
        Denied::LicenseInactive => Cause::LicenseInactive,
        Denied::EventCancelled => Cause::Cancelled,
        Denied::EventUnpublished => Cause::Unpublished,
        Denied::EventOver => Cause::Over,
        Denied::NotYetOpen { .. } => Cause::NotYetOpen,
        Denied::Closed => Cause::Closed,
        Denied::Invalid(_) => Cause::Invalid,
        Denied::SoldOut(_) => Cause::SoldOut,
        Denied::HoldExpired(_) => Cause::HoldExpired,
        Denied::HoldReleased => Cause::HoldReleased,
        Denied::AlreadyConfirmed => Cause::AlreadyConfirmed,
        Denied::NotConfirmed => Cause::NotConfirmed,
        Denied::NotAccepted { .. } => Cause::NotAccepted,
        Denied::OutcomeUnknown => Cause::OutcomeUnknown,
        Denied::Quarantined => Cause::OutOfOrder,
    }
}

/// Why nothing was taken, in a sentence.
pub(crate) fn hindered(why: Hindrance) -> &'static str {
    match why {
        Hindrance::Crowd => "Too much is going on.",
        Hindrance::Fault => {
            "What everything is kept in does not answer, or this node may not use it now."
        }
    }
}

/// The status of a page that tells a refusal.
#[must_use]
pub fn status_of(denied: &Denied) -> StatusCode {
    cause_of(denied).entry().status
}

/// The problem of a response that has a failing status and no words: what a
/// router or an extractor answers by itself.
pub(crate) fn wordless(response: &Response) -> Option<Problem> {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    let written = response.headers().get(header::CONTENT_TYPE);
    if written.is_some_and(|kind| !kind.as_bytes().starts_with(b"text/plain")) {
        return None;
    }
    Some(Problem::from(match status {
        StatusCode::NOT_FOUND => Cause::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Cause::MethodNotAllowed,
        StatusCode::REQUEST_TIMEOUT => Cause::TooSlow,
        StatusCode::PAYLOAD_TOO_LARGE => Cause::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Cause::UnsupportedMediaType,
        StatusCode::UNPROCESSABLE_ENTITY => Cause::Invalid,
        StatusCode::FORBIDDEN => Cause::CrossSite,
        _ if status.is_client_error() => Cause::Malformed,
        _ => Cause::Internal,
    }))
}

/// Which class of statuses, for metrics: 2 is success.
pub(crate) fn class(status: StatusCode) -> usize {
    usize::from(status.as_u16() / 100)
}

/// What another node is told whose claims are not decided here.
pub(crate) fn of_peer(unheard: Unheard) -> StatusCode {
    match unheard {
        Unheard::Length => StatusCode::PAYLOAD_TOO_LARGE,
        Unheard::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Unheard::Late => StatusCode::REQUEST_TIMEOUT,
        Unheard::Refused(PeerError::NotOurs) => StatusCode::FORBIDDEN,
        Unheard::Refused(PeerError::Unreadable) => StatusCode::BAD_REQUEST,
    }
}

/// A thing was made.
pub(crate) fn created(body: impl IntoResponse) -> Response {
    (StatusCode::CREATED, body).into_response()
}

/// A hint was taken.
pub(crate) fn accepted(body: impl IntoResponse) -> Response {
    (StatusCode::ACCEPTED, body).into_response()
}

/// Done, and there is nothing to say.
pub(crate) fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

impl From<&Shortage> for PoolDocument {
    fn from(shortage: &Shortage) -> Self {
        let (pool, id, name) = match &shortage.pool {
            PoolRef::Event => (PoolKind::Event, None, None),
            PoolRef::Item { id, name } => (PoolKind::Item, Some(id), Some(name)),
            PoolRef::Session { id, name } => (PoolKind::Session, Some(id), Some(name)),
        };
        Self {
            pool,
            id: id.map(ToString::to_string),
            name: name.cloned(),
            asked: shortage.asked,
            left: shortage.left,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_cause_has_its_own_name_and_a_failing_status() {
        let mut names = BTreeSet::new();
        for cause in Cause::ALL {
            let entry = cause.entry();
            assert!(names.insert(entry.name), "{} stands twice", entry.name);
            assert!(entry.status.is_client_error() || entry.status.is_server_error());
            let plain = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(entry.name.chars().all(plain), "{}", entry.name);
            for sentence in [entry.meaning, entry.remedy] {
                assert!(sentence.ends_with('.'), "{sentence}");
            }
        }
    }

    #[test]
    fn a_fault_that_every_unit_of_a_line_has_is_told_once() {
        let fault = |place| Fault {
            place: Some(place),
            part: sloe_engine::error::Part::Item,
            code: "unknown",
            message: "This event has no such ticket type.".to_owned(),
        };
        let denied = Denied::Invalid(vec![fault(1), fault(2), fault(3)]);
        let problem = Problem::denied(denied, |_| "/lines/0/item".to_owned());
        assert_eq!(problem.faults().len(), 1);
    }

    #[test]
    fn an_invitation_to_come_back_is_never_for_now() {
        let (why, retry_after) = (Hindrance::Crowd, Duration::from_millis(3));
        let response = Problem::from(Denied::NotAccepted { why, retry_after }).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }

    #[test]
    fn a_store_that_is_away_is_not_told_as_a_crowd() {
        let told = |why| {
            let denied = Denied::NotAccepted { why, retry_after: Duration::from_secs(2) };
            Problem::from(denied).document("1").detail
        };
        let (crowd, fault) = (told(Hindrance::Crowd), told(Hindrance::Fault));
        assert!(crowd.starts_with("Too much is going on. Nothing was taken"), "{crowd}");
        assert!(fault.contains("does not answer") && !fault.contains("going on"), "{fault}");
    }
}
