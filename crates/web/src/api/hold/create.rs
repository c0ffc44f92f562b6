//! `POST /api/v1/events/{event}/holds`.

use axum::extract::State;
use axum::response::Response;
use sloe_core::ids::PublicId;
use sloe_core::limits::{MAX_PLACES, MAX_SESSIONS_PER_PLACE};
use sloe_engine::claims;
use sloe_engine::error::{Fault, Part};
use sloe_engine::view::{Choice, HeldPlace, HoldView};

use crate::api::types::{Hold, HoldRequest, Line, Place};
use crate::error::{Cause, Problem, created};
use crate::extract::{EventId, IdempotencyKey, Json, JsonBody, Pointer, Reader};
use crate::state::AppState;

pub(crate) const REFUSALS: &[Cause] = &[
    Cause::Malformed,
    Cause::UnsupportedMediaType,
    Cause::TooLarge,
    Cause::TooSlow,
    Cause::NotFound,
    Cause::Unpublished,
    Cause::LicenseInactive,
    Cause::Invalid,
    Cause::IdReused,
    Cause::SoldOut,
    Cause::NotYetOpen,
    Cause::Closed,
    Cause::Over,
    Cause::Cancelled,
    Cause::OutcomeUnknown,
    Cause::OutOfOrder,
];

pub(crate) const HOLD_FIELDS: &[&str] = &["lines"];
pub(crate) const LINE_FIELDS: &[&str] = &["item", "quantity", "sessions"];

/// Holds seats for a while: all that is asked for, or none.
#[utoipa::path(
    post, path = "/api/v1/events/{event}/holds", tag = "holds", operation_id = "create_hold",
    params(
        ("event" = String, Path, description = "Id of the event."),
        ("Idempotency-Key" = Option<String>, Header, description = "Any text of at most 255 bytes: the same request with the same key is answered alike and done once."),
    ),
    request_body = HoldRequest,
    responses((status = 201, description = "The seats are held.", body = Hold))
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    EventId(event): EventId,
    IdempotencyKey(key): IdempotencyKey,
    body: JsonBody,
) -> Result<Response, Problem> {
    let json = body.parse()?;
    let mut read = Reader::default();
    let request = hold(&mut read, &json);
    if !read.is_clean() {
        let (_, snapshot) = state.engine.event(event)?;
        for fault in claims::choice_faults(&snapshot, &choices(&request)) {
            read.fault_of(&fault, |fault| pointer(&request, fault));
        }
        return Err(read.problem());
    }
    let held = state.engine.hold(event, &key, &choices(&request)).await;
    let held = held.map_err(|denied| Problem::denied(denied, |fault| pointer(&request, fault)))?;
    Ok(created(axum::Json(answer(held))))
}

/// What could be read of the request; lines with faults keep their place.
fn hold(read: &mut Reader, json: &Json<'_>) -> Vec<Option<Line>> {
    let root = Pointer::Root;
    let Some(fields) = read.object(&root, json, HOLD_FIELDS) else { return Vec::new() };
    let Some(value) = fields.required(read, "lines") else { return Vec::new() };
    let at = root.field("lines");
    let Some(list) = read.list(&at, value, MAX_PLACES) else { return Vec::new() };
    if list.is_empty() {
        read.fault(&at, "required", "Name at least one line.".to_owned());
    }
    let lines = list.iter().enumerate();
    let lines: Vec<_> = lines.map(|(index, value)| line(read, &at.entry(index), value)).collect();
    let units: usize = lines.iter().flatten().map(|line| usize::from(line.quantity)).sum();
    if units > MAX_PLACES {
        let message = format!("One order can have at most {MAX_PLACES} tickets, not {units}.");
        read.fault(&at, "too-many", message);
    }
    lines
}

fn line(read: &mut Reader, at: &Pointer<'_>, value: &Json<'_>) -> Option<Line> {
    let fields = read.object(at, value, LINE_FIELDS)?;
    let item = fields.id(read, "item");
    let quantity = fields.number(read, "quantity", 1..=most());
    let sessions = fields.ids(read, "sessions", MAX_SESSIONS_PER_PLACE);
    Some(Line { item: item?, quantity: quantity?, sessions })
}

fn most() -> u16 {
    u16::try_from(MAX_PLACES).unwrap_or(u16::MAX)
}

/// One choice per unit.
fn choices(lines: &[Option<Line>]) -> Vec<Choice> {
    let units = lines.iter().flatten().flat_map(|line| {
        let choice = Choice { item: line.item, sessions: line.sessions.clone() };
        std::iter::repeat_n(choice, usize::from(line.quantity))
    });
    units.take(MAX_PLACES).collect()
}

/// Where a fault's unit came from.
fn pointer(lines: &[Option<Line>], fault: &Fault) -> String {
    let part = match fault.part {
        Part::Item => "/item",
        Part::Sessions => "/sessions",
        Part::Selection
        | Part::Attendees
        | Part::FirstName
        | Part::LastName
        | Part::Email
        | Part::Invitation => "",
    };
    let Some(place) = fault.place else { return "/lines".to_owned() };
    let mut last = 0_u16;
    for (index, line) in lines.iter().enumerate() {
        last = last.saturating_add(line.as_ref().map_or(0, |line| line.quantity));
        if place <= last {
            return format!("/lines/{index}{part}");
        }
    }
    "/lines".to_owned()
}

fn answer(held: HoldView) -> Hold {
    let place = |place: HeldPlace| Place {
        place: place.place,
        item: place.item.to_string(),
        sessions: place.sessions.iter().map(PublicId::to_string).collect(),
    };
    Hold {
        id: held.token,
        expires_at: held.expires_at.to_rfc3339(),
        places: held.places.into_iter().map(place).collect(),
    }
}
