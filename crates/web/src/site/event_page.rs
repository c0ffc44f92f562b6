//! `GET /{org}` and `GET /{org}/{event}`: cached, the same for everybody.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};

use super::answer::Failure;
use super::form::Address;
use super::handle::{self, Public};
use super::present;
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
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let org = handle::org(&app, &org)?;
    let snapshot = match handle::event(&app, &org, &event)? {
        Public::Here(snapshot) => snapshot,
        Public::Moved(to) => return Ok(Redirect::permanent(&to).into_response()),
    };
    let availability = handle::availability(&app, &org, &snapshot).await?;
    let live = app.engine.is_live(org.id());
    let sent = app.rendered.event(&org, &snapshot, &availability, live, app.engine.now());
    Ok(sent.map_err(|error| handle::broken(&error, &headers))?.respond(&headers))
}
