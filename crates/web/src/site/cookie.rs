//! The site's cookies: a random name of the browser, the token of its open hold
//! per event, and that of its invitation. None is needed to register; the first
//! two make a double click and the Back button harmless, the last lets the pages
//! be the same for everybody.

use std::fmt::Write as _;

use axum::http::{HeaderMap, HeaderValue, header};
use sloe_core::ids::PublicId;

/// The browser's random name.
const VISITOR: &str = "sloe_visitor";

/// Tells the script that there is a hold on this event; says nothing else.
const HOLDING: &str = "sloe_holding";

/// How long an invitation is remembered, in seconds: a month, in which somebody makes up their mind.
const INVITED: i64 = 2_592_000;

/// A name in the form we give: 32 hexadecimal digits.
fn is_name(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The value of the cookie `name`.
pub(crate) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// The browser's name, if it has one of ours.
pub(super) fn visitor(headers: &HeaderMap) -> Option<String> {
    value(headers, VISITOR).filter(|name| is_name(name)).map(str::to_owned)
}

/// The token of the browser's hold on `event`.
pub(super) fn hold(headers: &HeaderMap, event: PublicId) -> Option<String> {
    value(headers, &hold_name(event))
        .filter(|token| !token.is_empty() && token.len() <= 128)
        .map(str::to_owned)
}

fn hold_name(event: PublicId) -> String {
    let id = event.to_string();
    format!("sloe_hold_{}", id.get(..8).unwrap_or(&id))
}

fn invitation_name(event: PublicId) -> String {
    let id = event.to_string();
    format!("sloe_invitation_{}", id.get(..8).unwrap_or(&id))
}

/// The token of the browser's invitation to `event`.
pub(super) fn invitation(headers: &HeaderMap, event: PublicId) -> Option<&str> {
    value(headers, &invitation_name(event))
}

/// Remembers an invitation that proved genuine; forgets it without a token.
pub(super) fn remember_invitation(
    event: PublicId,
    token: Option<&str>,
    secure: bool,
) -> Option<HeaderValue> {
    let seconds = if token.is_some() { INVITED } else { 0 };
    cookie(&invitation_name(event), token.unwrap_or_default(), "/", seconds, true, secure)
}

/// Names the browser.
pub(super) fn name_visitor(name: &str, secure: bool) -> Option<HeaderValue> {
    cookie(VISITOR, name, "/", 31_536_000, true, secure)
}

/// Remembers a hold for `seconds`, or forgets it with 0. `page` is the event's
/// page.
pub(super) fn remember_hold(
    event: PublicId,
    token: &str,
    page: &str,
    seconds: i64,
    secure: bool,
) -> [Option<HeaderValue>; 2] {
    let seconds = seconds.max(0);
    let token = if seconds == 0 { "" } else { token };
    [
        cookie(&hold_name(event), token, "/", seconds, true, secure),
        cookie(HOLDING, if seconds == 0 { "" } else { "1" }, page, seconds, false, secure),
    ]
}

/// A cookie to set, or to forget with 0 seconds.
pub(crate) fn cookie(
    name: &str,
    value: &str,
    path: &str,
    seconds: i64,
    http_only: bool,
    secure: bool,
) -> Option<HeaderValue> {
    let mut text = format!("{name}={value}; Path={path}; Max-Age={seconds}; SameSite=Lax");
    if http_only {
        let _ = write!(text, "; HttpOnly");
    }
    if secure {
        let _ = write!(text, "; Secure");
    }
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use axum::http::{HeaderMap, header};

    use super::{name_visitor, visitor};

    #[test]
    fn only_a_name_of_our_own_form_is_believed() {
        let read = |cookie: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, cookie.parse().unwrap());
            visitor(&headers)
        };
        let name = "0123456789abcdef0123456789abcdef";
        assert_eq!(read(&format!("a=b; sloe_visitor={name}; c=d")).as_deref(), Some(name));
        for bad in [
            "sloe_visitor=",
            "sloe_visitor=x",
            "xsloe_visitor=0123456789abcdef0123456789abcdef",
            ";;=;",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_cookie_is_secure_exactly_where_the_site_is() {
        assert!(name_visitor("a", true).unwrap().to_str().unwrap().ends_with("; Secure"));
        assert!(!name_visitor("a", false).unwrap().to_str().unwrap().contains("Secure"));
    }
}
