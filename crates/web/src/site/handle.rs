//! What the site's handlers have in common: finding orgs and events, turning
//! faults of ours into pages, full addresses.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use sloe_core::catalog::Snapshot;
use sloe_engine::error::Denied;
use sloe_engine::tenant::Org;
use sloe_engine::view::{Availability, Found};

use super::answer::Failure;
use super::form::SiteForm;
use super::refused::{At, unknown_event};
use super::view::message::Again;
use super::{present, words};
use crate::error::Cause;
use crate::state::AppState;

/// Where a slug leads on the public site.
pub(super) enum Public {
    /// To a published event.
    Here(Arc<Snapshot>),
    /// To another address.
    Moved(String),
}

/// The org called `slug`.
pub(super) fn org(app: &AppState, slug: &str) -> Result<Arc<Org>, Failure> {
    app.engine.registry().by_slug(slug).ok_or_else(Failure::not_found)
}

/// The published event at `slug`.
pub(super) fn event(app: &AppState, org: &Org, slug: &str) -> Result<Public, Failure> {
    let found = app.engine.find_event(org, slug);
    let found = found
        .map_err(|denied| At { org: Some(present::org(org)), ..At::default() }.refused(&denied))?;
    match found {
        Found::Here(snapshot) if snapshot.published => Ok(Public::Here(snapshot)),
        Found::Moved(slug) => Ok(Public::Moved(format!("/{}/{slug}", org.profile.slug))),
        Found::Here(_) | Found::Nowhere => Err(unknown_event(&present::org(org))),
    }
}

/// Org and published event of a form or a part of the event's page: an address
/// of yesterday still works there.
pub(super) fn both(
    app: &AppState,
    (org_slug, event_slug): &(String, String),
) -> Result<(Arc<Org>, Arc<Snapshot>), Failure> {
    let org = org(app, org_slug)?;
    match event(app, &org, event_slug)? {
        Public::Here(snapshot) => Ok((org, snapshot)),
        Public::Moved(to) => match event(app, &org, to.rsplit('/').next().unwrap_or_default())? {
            Public::Here(snapshot) => Ok((org, snapshot)),
            Public::Moved(_) => Err(unknown_event(&present::org(&org))),
        },
    }
}

/// What is left of an event.
pub(super) async fn availability(
    app: &AppState,
    org: &Org,
    snapshot: &Snapshot,
) -> Result<Arc<Availability>, Failure> {
    if let Some(known) = app.engine.availability_now(snapshot.event) {
        return Ok(known);
    }
    let loaded = app.engine.availability(snapshot.event).await;
    loaded.map_err(|denied| At::event(present::org(org), snapshot).refused(&denied))
}

/// A refusal met where only a token is known.
pub(super) fn bare(denied: &Denied) -> Failure {
    At::default().refused(denied)
}

/// The same for a form, which can be sent to `action` again.
pub(super) fn bare_form(denied: &Denied, action: String, sent: SiteForm) -> Failure {
    At { again: Again::after(denied, action, sent.0), ..At::default() }.refused(denied)
}

/// A fault of ours.
pub(super) fn broken(error: &askama::Error, headers: &HeaderMap) -> Failure {
    tracing::error!(%error, "a page can't be rendered");
    let id = headers.get("x-request-id").and_then(|value| value.to_str().ok()).unwrap_or("unknown");
    Failure::new(Cause::Internal, words::internal(id))
}

/// The full address of `path`, for people to keep.
pub(super) fn full(app: &AppState, headers: &HeaderMap, path: &str) -> String {
    if app.settings.public_url.is_some() {
        return app.public(path);
    }
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    format!("http://{}{path}", host.unwrap_or("localhost"))
}
