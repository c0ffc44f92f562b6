//! The console's pages as responses: never stored, told to nobody, and asked
//! for again cheaply by whoever watches.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;
use sloe_engine::error::Denied;

use super::view::{Notice, NoticeKind};
use super::words;
use crate::error::{Cause, Problem};
pub(super) use crate::site::answer::Failure;
use crate::site::view::message::MessagePage;
use crate::site::{assets, cookie};
use crate::state::AppState;

const PRIVATE: [(HeaderName, HeaderValue); 3] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex")),
];
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// Names what was just done, for the page that follows.
const SAID: &str = "sloe_staff_said";
/// Set by the script that asks for a page again: what was said is not for it.
const AGAIN: &str = "x-sloe-again";

/// The engine's refusal, with a page that says why.
pub(super) fn refused(denied: &Denied) -> Failure {
    let page = match denied {
        Denied::NotFound => words::no_org(),
        _ => words::not_now(),
    };
    Failure::denied(denied, page)
}

/// A page that says one thing.
pub(super) fn message(page: &MessagePage) -> Response {
    plain(page)
}

/// A page as it is.
pub(super) fn plain(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (PRIVATE, [(header::CONTENT_TYPE, HTML)], html).into_response(),
        Err(error) => broken(&error),
    }
}

fn broken(error: &askama::Error) -> Response {
    tracing::error!(%error, "a page can't be rendered");
    Problem::from(Cause::Internal).into_response()
}

/// A page that is watched. `as_of` is the part of it that tells when it was
/// made, and so says nothing of whether anything has changed.
pub(super) fn watched(headers: &HeaderMap, page: &impl Template, as_of: &str) -> Response {
    let html = match page.render() {
        Ok(html) => html,
        Err(error) => return broken(&error),
    };
    let hash = assets::content_hash(html.replacen(as_of, "", 1).as_bytes());
    let etag = HeaderValue::try_from(format!("W/\"{hash}\""));
    let etag = etag.unwrap_or(HeaderValue::from_static("W/\"\""));
    let zipped = assets::gzip(html.as_bytes());
    let mut response = assets::respond(headers, &etag, &Bytes::from(html), &zipped);
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HTML);
    out.extend(PRIVATE);
    if cookie::value(headers, SAID).is_some() && !is_again(headers) {
        out.extend(cookie::cookie(SAID, "", "/staff", 0, true, false).map(set));
    }
    response
}

fn set(cookie: HeaderValue) -> (HeaderName, HeaderValue) {
    (header::SET_COOKIE, cookie)
}

fn is_again(headers: &HeaderMap) -> bool {
    headers.contains_key(AGAIN)
}

/// On to another page after a form.
pub(super) fn see_other(to: &str) -> Response {
    (PRIVATE, Redirect::to(to)).into_response()
}

/// The same, with what was done: the page that follows says it once.
pub(super) fn done(app: &AppState, to: &str, what: Did, count: usize) -> Response {
    let mut response = see_other(to);
    let value = format!("{}.{count}", what.word());
    let said = cookie::cookie(SAID, &value, "/staff", 60, true, app.is_https());
    response.headers_mut().extend(said.map(set));
    response
}

/// What staff did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Did {
    /// Asked for rows to be sent again.
    Replay,
    /// Asked for an event or an org to be read.
    Refresh,
    /// Asked for an org to be compared.
    Compare,
    /// Let stand what the org changed or deleted.
    Accept,
    /// Put mails aside.
    Aside,
    /// Chose nothing.
    Nothing,
}

impl Did {
    const ALL: [Self; 6] =
        [Self::Replay, Self::Refresh, Self::Compare, Self::Accept, Self::Aside, Self::Nothing];

    fn word(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Refresh => "refresh",
            Self::Compare => "compare",
            Self::Accept => "accept",
            Self::Aside => "aside",
            Self::Nothing => "nothing",
        }
    }
}

/// What was just done, if anything.
pub(super) fn said(headers: &HeaderMap) -> Option<Notice> {
    if is_again(headers) {
        return None;
    }
    let (word, count) = cookie::value(headers, SAID)?.split_once('.')?;
    let count: usize = count.parse().ok()?;
    let did = Did::ALL.into_iter().find(|did| did.word() == word)?;
    let rows = if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
    let (kind, text) = match (did, count) {
        (Did::Replay | Did::Accept | Did::Aside, 0) => {
            (NoticeKind::Info, "None of these rows is a dead letter any more.".to_owned())
        }
        (Did::Replay, _) => (
            NoticeKind::Good,
            format!(
                "{rows} will be sent again. Each leaves this page once Salesforce has taken it."
            ),
        ),
        (Did::Refresh, _) => (NoticeKind::Good, "Sloe reads it from Salesforce now.".to_owned()),
        (Did::Compare, _) => (
            NoticeKind::Good,
            "Sloe compares it with Salesforce now; what differs is shown here.".to_owned(),
        ),
        (Did::Accept, _) => {
            (NoticeKind::Good, format!("{rows} left as Salesforce has it. Sloe asks no more."))
        }
        (Did::Aside, 1) => (NoticeKind::Good, "1 mail was put aside.".to_owned()),
        (Did::Aside, _) => (NoticeKind::Good, format!("{count} mails were put aside.")),
        (Did::Nothing, _) => {
            (NoticeKind::Info, "No row was chosen, so nothing was done.".to_owned())
        }
    };
    Some(Notice { kind, text })
}

/// There is no such page.
pub(super) async fn nothing(State(_app): State<AppState>) -> Failure {
    Failure::new(Cause::NotFound, words::no_page())
}
