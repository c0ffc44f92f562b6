//! `GET /{org}` and `GET /{org}/{event}`: cached, the same for everybody. An
//! invitation in the query becomes a cookie first.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use sloe_core::catalog::Snapshot;
use sloe_engine::tenant::Org;

use super::answer::{Failure, see_other};
use super::form::Address;
use super::handle::{self, Public};
use super::{cookie, present};
use crate::state::AppState;

/// `GET /{org}`.
///
/// # Errors
/// A page that says why.
pub async fn list(
    State(app): State<AppState>,
    Address(slug): Address<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let org = handle::org(&app, &slug)?;
    let now = app.engine.now();
    if let Some(sent) = app.rendered.list(&org, now) {
        return Ok(sent.respond(&headers));
    }
    let mut events = Vec::new();
    for event in app.engine.events(&org) {
        let upcoming = event.published && now < event.ends_at;
        // What can't be told now is shown as paused; the engine has logged why.
        let left = if upcoming { app.engine.availability(event.event).await.ok() } else { None };
        events.push((event, left));
    }
    let page = present::event_list(&org, &events, app.engine.is_live(org.id()), now);
    let sent = app.rendered.keep_list(&org, &page, now);
    Ok(sent.map_err(|error| handle::broken(&error, &headers))?.respond(&headers))
}

/// `GET /{org}/{event}`.
///
/// # Errors
/// A page that says why.
pub async fn show(
    State(app): State<AppState>,
    Address((org, event)): Address<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let token = query.as_deref().and_then(invitation);
    let org = handle::org(&app, &org)?;
    let snapshot = match handle::event(&app, &org, &event)? {
        Public::Here(snapshot) => snapshot,
        Public::Moved(to) => {
            let query = token.map(|token| format!("?invitation={token}")).unwrap_or_default();
            return Ok(Redirect::permanent(&format!("{to}{query}")).into_response());
        }
    };
    if let Some(token) = token {
        return Ok(invited(&app, &org, &snapshot, token));
    }
    let availability = handle::availability(&app, &org, &snapshot).await?;
    let live = app.engine.is_live(org.id());
    let sent = app.rendered.event(&org, &snapshot, &availability, live, app.engine.now());
    Ok(sent.map_err(|error| handle::broken(&error, &headers))?.respond(&headers))
}

/// The invitation in a page's query, if it can be one.
fn invitation(query: &str) -> Option<&str> {
    let values = query.split('&').filter_map(|pair| pair.strip_prefix("invitation="));
    let plain =
        |token: &&str| token.len() <= 64 && token.bytes().all(|b| b.is_ascii_alphanumeric());
    values.into_iter().find(plain)
}

/// On to the page that is the same for everybody, with the invitation
/// remembered if it is to this event. One that was altered on its way costs
/// nobody the page.
fn invited(app: &AppState, org: &Org, snapshot: &Snapshot, token: &str) -> Response {
    let mut response = see_other(&format!("/{}/{}", org.profile.slug, snapshot.slug));
    if app.engine.invited(snapshot.event, token).is_some() {
        let cookie = cookie::remember_invitation(snapshot.id, Some(token), app.is_https());
        response.headers_mut().extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
    }
    response
}
