//! `/order/{order}`: tickets, calendar, cancelling.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sloe_engine::calendar;

use super::answer::{Failure, private, see_other};
use super::form::{Address, SiteForm};
use super::present::{Done, order_page};
use super::{handle, words};
use crate::error::Cause;
use crate::state::AppState;

/// Set on the way back from cancelling, for a word of thanks.
const CANCELLED: &str = "cancelled";

/// `GET /order/{order}`.
///
/// # Errors
/// A page that says why.
pub async fn show(
    State(app): State<AppState>,
    Address(token): Address<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let order = app.engine.order_by_token(&token).await.map_err(|denied| handle::bare(&denied))?;
    let any_cancelled = order.tickets.iter().any(|ticket| ticket.cancelled.is_some());
    let done = if any_cancelled && query.as_deref() == Some(CANCELLED) {
        Done::Cancelled
    } else {
        Done::Nothing
    };
    let url = handle::full(&app, &headers, &format!("/order/{token}"));
    let page = order_page(&order, app.engine.now(), done, app.settings.mail, url);
    Ok(private(StatusCode::OK, &page))
}

/// `POST /order/{order}/cancel`: one ticket by `place`, else all.
///
/// # Errors
/// A page that says why.
pub async fn cancel(
    State(app): State<AppState>,
    Address(token): Address<String>,
    form: SiteForm,
) -> Result<Response, Failure> {
    let place = place(&form)
        .map_err(|faults| Failure::new(Cause::Malformed, words::bad_request(None, faults)))?;
    match app.engine.cancel(&token, place).await {
        Ok(_) => Ok(see_other(&format!("/order/{token}?{CANCELLED}"))),
        Err(denied) => Err(handle::bare_form(&denied, format!("/order/{token}/cancel"), form)),
    }
}

/// Which ticket a form names.
fn place(form: &SiteForm) -> Result<Option<u16>, Vec<String>> {
    match form.0.as_slice() {
        [] => Ok(None),
        [(name, value)] if name == "place" => match value.parse::<u16>() {
            Ok(place) if place > 0 => Ok(Some(place)),
            _ => Err(vec!["“place” is the number of a ticket, from 1.".to_owned()]),
        },
        _ => Err(vec!["This form has one field, “place”, or none.".to_owned()]),
    }
}

/// `GET /order/{order}/event.ics`.
///
/// # Errors
/// A page that says why.
pub async fn ics(
    State(app): State<AppState>,
    Address(token): Address<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let order = app.engine.order_by_token(&token).await.map_err(|denied| handle::bare(&denied))?;
    let page = format!("/{}/{}", order.org.profile.slug, order.snapshot.slug);
    let event = handle::full(&app, &headers, &page);
    let text = calendar::order(&order, &event, app.engine.now());
    let headers = [
        (header::CONTENT_TYPE, "text/calendar; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"event.ics\""),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    Ok((headers, text).into_response())
}
