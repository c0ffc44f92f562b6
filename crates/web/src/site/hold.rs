//! `POST /{org}/{event}/hold`, and finding the way back to seats one holds.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sloe_core::catalog::Snapshot;
use sloe_core::ids::PublicId;
use sloe_core::ledger::ClaimStatus;
use sloe_core::limits::COUNTDOWN_MARGIN_MILLIS;
use sloe_engine::claims::Visitor;
use sloe_engine::error::{Denied, Part};
use sloe_engine::tenant::Org;
use sloe_engine::view::HoldView;

use super::answer::{Failure, private, see_other};
use super::form::{Address, SiteForm};
use super::present::{credited, fault_of};
use super::refused::{At, notice};
use super::selection::Selection;
use super::view::Fault;
use super::view::message::Again;
use super::when::Moment;
use super::{cookie, handle, present, words};
use crate::error::{Cause, status_of};
use crate::state::AppState;

/// `POST /{org}/{event}/hold`.
///
/// # Errors
/// A page that says why.
pub async fn create(
    State(app): State<AppState>,
    Address(at): Address<(String, String)>,
    headers: HeaderMap,
    form: SiteForm,
) -> Result<Response, Failure> {
    let (org, snapshot) = handle::both(&app, &at)?;
    let selection = Selection::read(&snapshot, &form).map_err(|faults| {
        let page = words::bad_request(Some(&present::org(&org)), faults);
        let back = format!("/{}/{}", org.profile.slug, snapshot.slug);
        Failure::new(Cause::Malformed, page.about(&snapshot.name).link("Back to the event", &back))
    })?;
    let hold = selection.hold.clone().or_else(|| cookie::hold(&headers, snapshot.id));
    if !selection.faults.is_empty() {
        let denied = Denied::Invalid(Vec::new());
        return refused(&app, &org, &snapshot, (selection, form), hold, &denied).await;
    }
    let visitor = Visitor { name: cookie::visitor(&headers), hold: hold.clone() };
    match app.engine.hold_for_visitor(snapshot.id, &visitor, &selection.choices(&snapshot)).await {
        Ok(held) => Ok(held_response(&app, &held)),
        Err(denied) => refused(&app, &org, &snapshot, (selection, form), hold, &denied).await,
    }
}

/// On to the checkout, with the hold remembered until it ends.
fn held_response(app: &AppState, held: &HoldView) -> Response {
    let seconds = held.expires_at.millis_since(app.engine.now()) / 1_000;
    let page = format!("/{}/{}", held.org.profile.slug, held.snapshot.slug);
    let mut response = see_other(&format!("/checkout/{}", held.token));
    for cookie in
        cookie::remember_hold(held.snapshot.id, &held.token, &page, seconds, app.is_https())
            .into_iter()
            .flatten()
    {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The event's page again, with what was chosen and what is wrong with it.
async fn refused(
    app: &AppState,
    org: &Arc<Org>,
    snapshot: &Snapshot,
    (selection, sent): (Selection, SiteForm),
    hold: Option<String>,
    denied: &Denied,
) -> Result<Response, Failure> {
    let said = match denied {
        Denied::SoldOut(_) | Denied::Invalid(_) => None,
        Denied::EventCancelled
        | Denied::EventOver
        | Denied::NotYetOpen { .. }
        | Denied::Closed
        | Denied::LicenseInactive => Some(notice(denied, &snapshot.time_zone)),
        // A store that is away is not asked again before this is told.
        _ => {
            let action = format!("/{}/{}/hold", org.profile.slug, snapshot.slug);
            let again = Again::after(denied, action, sent.0);
            return Err(At { again, ..At::event(present::org(org), snapshot) }.refused(denied));
        }
    };
    let own = own(app, snapshot, hold).await;
    let places = own.as_ref().map(|held| held.places.as_slice()).unwrap_or_default();
    let mut faults = selection.faults;
    match denied {
        Denied::SoldOut(short) => {
            faults.extend(short.iter().map(|short| fault_of(&credited(short, places))));
        }
        Denied::Invalid(more) => faults.extend(more.iter().map(|fault| {
            let field = if fault.part == Part::Sessions { "program" } else { "tickets" };
            Fault { field: field.to_owned(), message: fault.message.clone() }
        })),
        _ => {}
    }
    let availability = handle::availability(app, org, snapshot).await?;
    let visitor = present::Visitor {
        hold: own.as_ref().map(|held| held.token.clone()),
        own: own.map(|held| held.places).unwrap_or_default(),
        quantities: selection.quantities,
        sessions: selection.sessions,
        faults,
    };
    let live = app.engine.is_live(org.id());
    let (mut page, _) =
        present::event_page(org, snapshot, &availability, live, app.engine.now(), Some(visitor));
    page.notice = said.or(page.notice);
    Ok(private(status_of(denied), &page))
}

/// The visitor's live hold on this event, if `token` names one.
async fn own(app: &AppState, snapshot: &Snapshot, token: Option<String>) -> Option<HoldView> {
    let held = app.engine.hold_by_token(&token?).await.ok()?;
    (held.status == ClaimStatus::Held && held.snapshot.event == snapshot.event).then_some(held)
}

/// `GET /checkout/{hold}/change`: the event's page with what is held, for this
/// visitor only.
///
/// # Errors
/// A page that says why.
pub async fn change(
    State(app): State<AppState>,
    Address(token): Address<String>,
) -> Result<Response, Failure> {
    let held = app.engine.hold_by_token(&token).await.map_err(|denied| handle::bare(&denied))?;
    let (org, snapshot) = (&held.org, &held.snapshot);
    if held.status != ClaimStatus::Held {
        return Ok(see_other(&format!("/{}/{}", org.profile.slug, snapshot.slug)));
    }
    let availability = handle::availability(&app, org, snapshot).await?;
    let visitor = present::Visitor::holding(&held.token, &held.places);
    let live = app.engine.is_live(org.id());
    let (page, _) =
        present::event_page(org, snapshot, &availability, live, app.engine.now(), Some(visitor));
    Ok(private(StatusCode::OK, &page))
}

/// `GET /{org}/{event}/resume`: on to the checkout that this browser has open.
///
/// # Errors
/// A page that says why.
pub async fn resume(
    State(app): State<AppState>,
    Address(at): Address<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (org, snapshot) = handle::both(&app, &at)?;
    let event = format!("/{}/{}", org.profile.slug, snapshot.slug);
    Ok(match own(&app, &snapshot, cookie::hold(&headers, snapshot.id)).await {
        Some(held) => see_other(&format!("/checkout/{}", held.token)),
        None => {
            let page = words::nothing_held(&present::org(&org), &event);
            private(StatusCode::OK, &page.about(&snapshot.name))
        }
    })
}

/// What the script shows of a hold, and what is left with its seats given back.
#[derive(Serialize)]
struct Mine {
    url: String,
    places: usize,
    until: String,
    items: Vec<Left>,
    sessions: Vec<Left>,
}

/// As the API tells it.
#[derive(Serialize)]
struct Left {
    id: String,
    left: Option<u32>,
}

/// `GET /{org}/{event}/mine`: the hold that this browser has open, or 204.
///
/// # Errors
/// A page that says why.
pub async fn mine(
    State(app): State<AppState>,
    Address(at): Address<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (org, snapshot) = handle::both(&app, &at)?;
    let Some(held) = own(&app, &snapshot, cookie::hold(&headers, snapshot.id)).await else {
        return Ok(([(header::CACHE_CONTROL, "no-store")], StatusCode::NO_CONTENT).into_response());
    };
    let shown = present::instant(held.expires_at.plus_millis(-COUNTDOWN_MARGIN_MILLIS));
    let availability = handle::availability(&app, &org, &snapshot).await?;
    let counts = present::Counts::new(&availability, &held.places);
    let left = |id: PublicId, (left, _)| Left { id: id.to_string(), left };
    let mine = Mine {
        url: format!("/checkout/{}", held.token),
        places: held.places.len(),
        until: Moment::new(shown, &present::zone(&snapshot.time_zone)).time,
        items: snapshot.items.iter().map(|item| left(item.id, counts.item(item))).collect(),
        sessions: snapshot.sessions.iter().map(|s| left(s.id, counts.session(s.id))).collect(),
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(mine)).into_response())
}
