//! `POST /api/v1/holds/{hold}/confirm`.

use axum::extract::State;
use axum::response::Response;
use sloe_core::limits::MAX_PLACES;
use sloe_engine::error::Fault;

use crate::api::person::{self, Draft};
use crate::api::{order_made, types};
use crate::error::{Cause, Problem};
use crate::extract::{IdempotencyKey, JsonBody, Reader, Token};
use crate::state::AppState;

pub(crate) const REFUSALS: &[Cause] = &[
    Cause::Malformed,
    Cause::UnsupportedMediaType,
    Cause::TooLarge,
    Cause::TooSlow,
    Cause::NotFound,
    Cause::Unpublished,
    Cause::Invalid,
    Cause::IdReused,
    Cause::SoldOut,
    Cause::NotYetOpen,
    Cause::Closed,
    Cause::Over,
    Cause::Cancelled,
    Cause::HoldReleased,
    Cause::AlreadyConfirmed,
    Cause::HoldExpired,
    Cause::OutcomeUnknown,
    Cause::OutOfOrder,
];

/// Makes a hold an order. One that has expired is taken again if its seats
/// are still free.
#[utoipa::path(
    post, path = "/api/v1/holds/{hold}/confirm", tag = "holds", operation_id = "confirm_hold",
    params(
        ("hold" = String, Path, description = "Id of the hold."),
        ("Idempotency-Key" = Option<String>, Header, description = "Any text of at most 255 bytes: the same request with the same key is answered alike and done once."),
    ),
    request_body = types::ConfirmRequest,
    responses((status = 201, description = "The order.", body = types::OrderMade))
)]
pub(crate) async fn confirm(
    State(state): State<AppState>,
    Token(hold): Token,
    IdempotencyKey(key): IdempotencyKey,
    body: JsonBody,
) -> Result<Response, Problem> {
    let json = body.parse()?;
    let mut read = Reader::default();
    let drafts = person::attendees(&mut read, &json, person::PLACED_FIELDS);
    let order = by_place(&drafts);
    let Some(order) = order.filter(|_| read.is_clean()) else {
        return Err(every_fault(&state, &hold, read, &drafts).await?);
    };
    let inputs: Vec<_> = order.iter().map(|index| drafts[*index].input.clone()).collect();
    let confirmed = state.engine.confirm(&hold, &key, &inputs, None).await;
    let confirmed = confirmed.map_err(|denied| {
        let index = |fault: &Fault| order.get(usize::from(fault.place?).checked_sub(1)?).copied();
        Problem::denied(denied, |fault| person::pointer(index(fault), fault.part))
    })?;
    Ok(order_made(&state, confirmed))
}

/// For each place from 1, which attendee is for it; `None` unless each place
/// up to their number has exactly one.
fn by_place(drafts: &[Draft]) -> Option<Vec<usize>> {
    let mut order = vec![None; drafts.len()];
    for (index, draft) in drafts.iter().enumerate() {
        let slot = order.get_mut(usize::from(draft.place?).checked_sub(1)?)?;
        if slot.replace(index).is_some() {
            return None;
        }
    }
    order.into_iter().collect()
}

/// All that is wrong with a request, told with the hold's places at hand.
async fn every_fault(
    state: &AppState,
    hold: &str,
    mut read: Reader,
    drafts: &[Draft],
) -> Result<Problem, Problem> {
    let held = state.engine.hold_by_token(hold).await?;
    let mut taken = [false; MAX_PLACES + 1];
    for (index, draft) in drafts.iter().enumerate() {
        let Some(place) = draft.place else { continue };
        let at = format!("/attendees/{index}/place");
        match taken.get_mut(usize::from(place)).filter(|_| usize::from(place) <= held.places.len())
        {
            Some(slot) if !*slot => *slot = true,
            Some(_) => read.fault_at(at, "twice", format!("Place {place} is named twice.")),
            None => read.fault_at(at, "unknown", format!("The hold has no place {place}.")),
        }
    }
    for place in &held.places {
        if taken.get(usize::from(place.place)) == Some(&false) {
            let message = format!("Place {} of the hold has no attendee.", place.place);
            read.fault_at("/attendees".to_owned(), "missing-place", message);
        }
    }
    person::check_details(&state.engine, &mut read, &held.snapshot, drafts);
    Ok(read.problem())
}
