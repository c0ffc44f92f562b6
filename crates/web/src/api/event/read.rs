//! `GET /api/v1/events/{event}`.

use axum::extract::State;
use axum::response::Response;

use super::{event, public};
use crate::api::{answer, types};
use crate::error::{Cause, Problem};
use crate::extract::EventId;
use crate::state::AppState;

pub(crate) const REFUSALS: &[Cause] = &[Cause::NotFound, Cause::Unpublished];

/// One event with what is left of it.
#[utoipa::path(
    get, path = "/api/v1/events/{event}", tag = "events", operation_id = "read_event",
    params(("event" = String, Path, description = "Id of the event.")),
    responses((status = 200, description = "The event.", body = types::Event))
)]
pub(crate) async fn read(
    State(state): State<AppState>,
    EventId(id): EventId,
) -> Result<Response, Problem> {
    let (snapshot, left) = public(&state.engine, id).await?;
    Ok(answer(event(&snapshot, &left)))
}
