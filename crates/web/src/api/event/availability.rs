//! `GET /api/v1/events/{event}/availability`.

use axum::extract::State;
use axum::response::Response;

use super::public;
use crate::api::{answer, types};
use crate::error::{Cause, Problem};
use crate::extract::EventId;
use crate::state::AppState;

pub(crate) const REFUSALS: &[Cause] = &[Cause::NotFound, Cause::Unpublished];

/// What is left of an event, at most a second old.
#[utoipa::path(
    get, path = "/api/v1/events/{event}/availability", tag = "events",
    operation_id = "read_availability",
    params(("event" = String, Path, description = "Id of the event.")),
    responses((status = 200, description = "What is left.", body = types::Availability))
)]
pub(crate) async fn read(
    State(state): State<AppState>,
    EventId(id): EventId,
) -> Result<Response, Problem> {
    let (snapshot, left) = public(&state.engine, id).await?;
    let one = |id: sloe_core::ids::PublicId, left| types::Left { id: id.to_string(), left };
    Ok(answer(types::Availability {
        left: left.left,
        items: snapshot.items.iter().map(|item| one(item.id, left.item(item.id))).collect(),
        sessions: snapshot.sessions.iter().map(|s| one(s.id, left.session(s.id))).collect(),
    }))
}
