//! How an answer leaves the org: whole, cut, lost or stuck in the middle.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use bytes::Bytes;
use futures::stream;

use super::Owned;
use super::reply::Reply;
use crate::org::faults::{Failure, Form};
use crate::org::state::{State as Org, lock};
use crate::org::traffic::Ending;

/// An answer on its way.
pub(super) enum Answer {
    Whole(Reply),
    /// Nothing of it arrives: the connection is cut.
    Lost,
    /// Half of it arrives, then the connection is cut.
    Cut(Reply),
    /// Half of it arrives, and nothing more until the fault is gone; then the connection is cut.
    Stalled(Reply, Arc<Org>, Owned),
}

/// A step of a body that doesn't end well.
type Step = Result<Bytes, std::io::Error>;

fn cut() -> Step {
    Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted))
}

impl Answer {
    /// As the HTTP server sends it. A body that fails makes it close the connection where it stands.
    pub(super) fn into_response(self) -> Response<Body> {
        match self {
            Answer::Whole(reply) => reply.into_response(),
            Answer::Lost => Response::new(Body::from_stream(stream::iter([cut()]))),
            Answer::Cut(reply) => half(reply, |first| {
                Body::from_stream(stream::unfold(0, move |step| {
                    let first = first.clone();
                    async move {
                        match step {
                            0 => Some((Ok(first), 1)),
                            // The half is sent before the cut: the server is let in between.
                            1 => {
                                tokio::task::yield_now().await;
                                Some((cut(), 2))
                            }
                            _ => None,
                        }
                    }
                }))
            }),
            Answer::Stalled(reply, org, call) => half(reply, |first| stalled(first, org, call)),
        }
    }
}

/// The answer with the first half of its body, and the length of the whole.
fn half(reply: Reply, body: impl FnOnce(Bytes) -> Body) -> Response<Body> {
    let whole = reply.body.len();
    if whole == 0 {
        // What has no body has no middle.
        return Answer::Lost.into_response();
    }
    let first = reply.body.get(..whole / 2).unwrap_or_default().to_vec();
    let mut response = reply.into_response();
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(whole));
    *response.body_mut() = body(Bytes::from(first));
    response
}

fn stalled(first: Bytes, org: Arc<Org>, call: Owned) -> Body {
    let faults = Arc::clone(&org.faults.borrow());
    let start = Some((first, org, call, faults));
    Body::from_stream(stream::unfold((start, false), |(state, told)| async move {
        let (first, org, call, faults) = state?;
        if !told {
            let half = first.clone();
            return Some((Ok(half), (Some((first, org, call, faults)), true)));
        }
        let mut changes = org.faults.subscribe();
        let gone = |now: &Arc<_>| !Arc::ptr_eq(now, &faults);
        // The sender lives as long as the org.
        let _ = changes.wait_for(|now| gone(now) && !now.stall(&call.about())).await;
        Some((cut(), (None, true)))
    }))
}

/// The answer of a call that a fault or a maintenance window refuses.
pub(super) fn failed(org: &Org, failure: &Failure) -> Reply {
    lock(&org.stats).faulted += 1;
    let json = if failure.code.starts_with(char::is_lowercase) {
        serde_json::json!({ "error": failure.code, "error_description": failure.message })
    } else {
        serde_json::json!([{ "message": failure.message, "errorCode": failure.code }])
    };
    let mut reply = Reply::json(failure.status, &json);
    match failure.form {
        Form::Json => {}
        Form::Empty => reply.body.clear(),
        Form::WrongType => reply.content_type = HTML,
        Form::Html => {
            reply.content_type = HTML;
            reply.body = page(&failure.message).into_bytes();
        }
    }
    reply
}

const HTML: &str = "text/html; charset=UTF-8";

/// What stands before an org when the org itself doesn't answer.
fn page(message: &str) -> String {
    let message = message.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<!DOCTYPE html>\n<html><head><title>Server Unavailable</title></head>\n\
         <body><h1>We are down for maintenance.</h1><p>{message}</p></body></html>\n"
    )
}

/// Counts how a call ended; one that is given up before its answer is lost.
pub(super) struct Watch {
    org: Arc<Org>,
    ending: Ending,
}

impl Watch {
    /// A call begins.
    pub(super) fn new(org: &Arc<Org>) -> Self {
        Self { org: Arc::clone(org), ending: Ending::Lost }
    }

    /// It is over.
    pub(super) fn over(mut self, answer: &Answer) {
        if let Answer::Whole(reply) = answer {
            self.ending = Ending::of(reply.status);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.org.count(self.ending);
    }
}
