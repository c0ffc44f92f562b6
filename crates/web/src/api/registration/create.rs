//! `POST /api/v1/events/{event}/registrations`.

use axum::extract::State;
use axum::response::Response;
use sloe_engine::view::Choice;

use crate::api::person::{self, Draft};
use crate::api::{order_made, types};
use crate::error::{Cause, Problem};
use crate::extract::{EventId, IdempotencyKey, JsonBody, Reader};
use crate::state::AppState;

pub(crate) const REFUSALS: &[Cause] = crate::api::hold::create::REFUSALS;

/// Registers people: all of them, or none.
#[utoipa::path(
    post, path = "/api/v1/events/{event}/registrations", tag = "registrations",
    operation_id = "create_registration",
    params(
        ("event" = String, Path, description = "Id of the event."),
        ("Idempotency-Key" = Option<String>, Header, description = "Any text of at most 255 bytes: the same request with the same key is answered alike and done once."),
    ),
    request_body = types::RegistrationRequest,
    responses((status = 201, description = "The order.", body = types::OrderMade))
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    EventId(event): EventId,
    IdempotencyKey(key): IdempotencyKey,
    body: JsonBody,
) -> Result<Response, Problem> {
    let json = body.parse()?;
    let mut read = Reader::default();
    let drafts = person::attendees(&mut read, &json, person::CHOOSING_FIELDS);
    if !read.is_clean() {
        let (_, snapshot) = state.engine.event(event)?;
        person::check_choices(&mut read, &snapshot, &drafts);
        person::check_details(&state.engine, &mut read, &snapshot, &drafts);
        return Err(read.problem());
    }
    let person =
        |draft: Draft| Some((Choice { item: draft.item?, sessions: draft.sessions }, draft.input));
    let people: Vec<_> = drafts.into_iter().filter_map(person).collect();
    let confirmed = state.engine.register(event, &key, &people).await;
    let confirmed = confirmed.map_err(|denied| {
        Problem::denied(denied, |fault| {
            person::pointer(fault.place.map(|place| usize::from(place) - 1), fault.part)
        })
    })?;
    Ok(order_made(&state, confirmed))
}
