//! Sloe's own front page, the orgs' stylesheets and the cookie that names a
//! browser.

use std::fmt::Write as _;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::answer::{Failure, private};
use super::assets::{self, FOREVER};
use super::form::Address;
use super::view::Shell;
use super::view::demo::{LandingOrg, LandingPage};
use super::{cookie, handle, present};
use crate::state::AppState;

/// `GET /`.
pub async fn landing(State(app): State<AppState>) -> Response {
    let shell = Shell { title: "Sloe".to_owned(), index: true, ..Shell::default() };
    let mailbox = app.settings.mailbox.as_ref().map(|_| "/demo/mailbox".to_owned());
    let orgs = if app.settings.demo { orgs(&app) } else { Vec::new() };
    private(StatusCode::OK, &LandingPage { shell, orgs, mailbox })
}

fn orgs(app: &AppState) -> Vec<LandingOrg> {
    let now = app.engine.now();
    let mut out = Vec::new();
    for org in app.engine.registry().all() {
        let events = app.engine.events(&org);
        out.push(LandingOrg {
            swatch: present::look(&org.profile).swatch(&org.profile.slug),
            events: events.iter().filter(|event| event.published && now < event.ends_at).count(),
            salesforce: Some(org.login_url().to_owned()),
            org: present::org(&org),
        });
    }
    out
}

/// `GET /assets/org/{org}.css`.
///
/// # Errors
/// No such org.
pub async fn org_css(
    State(app): State<AppState>,
    Address(file): Address<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let slug = file.strip_suffix(".css").ok_or_else(Failure::not_found)?;
    let org = handle::org(&app, slug)?;
    let hash = present::look_hash(&org.profile);
    let css = Bytes::from(present::look(&org.profile).stylesheet());
    let asked = query.as_deref().and_then(|query| query.strip_prefix("v="));
    let cache = if asked == Some(hash.as_str()) { FOREVER } else { "no-cache" };
    let zipped = assets::gzip(&css);
    Ok(assets::respond_file(
        &headers,
        (&assets::etag(&hash), &css, &zipped),
        "text/css; charset=utf-8",
        cache,
    ))
}

/// `GET /assets/visitor.css`: an empty stylesheet that names the browser, so
/// that the page which links it can be cached. Without randomness the browser
/// stays unnamed, which only costs the comfort of harmless double clicks.
pub async fn visitor_css(State(app): State<AppState>, headers: HeaderMap) -> Response {
    let mut response = "".into_response();
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let mut bytes = [0; 16];
    if cookie::visitor(&headers).is_none() && getrandom::fill(&mut bytes).is_ok() {
        let mut name = String::with_capacity(32);
        for byte in bytes {
            let _ = write!(name, "{byte:02x}");
        }
        out.extend(
            cookie::name_visitor(&name, app.is_https()).map(|cookie| (header::SET_COOKIE, cookie)),
        );
    }
    response
}
