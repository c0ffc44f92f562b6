//! `DELETE /api/v1/orders/{order}` and `…/tickets/{ticket}`.

use axum::extract::State;
use axum::response::Response;

use super::order;
use crate::api::{answer, types};
use crate::error::{Cause, Problem};
use crate::extract::{TicketPath, Token};
use crate::state::AppState;

pub(crate) const REFUSALS: &[Cause] =
    &[Cause::NotFound, Cause::NotConfirmed, Cause::OutcomeUnknown, Cause::OutOfOrder];

/// Cancels an order: all tickets that still stand.
#[utoipa::path(
    delete, path = "/api/v1/orders/{order}", tag = "orders", operation_id = "cancel_order",
    params(("order" = String, Path, description = "Id of the order.")),
    responses((status = 200, description = "The order as it stands now.", body = types::Order))
)]
pub(crate) async fn all(
    State(state): State<AppState>,
    Token(token): Token,
) -> Result<Response, Problem> {
    let left = state.engine.cancel(&token, None).await?;
    Ok(answer(order(&state, left)))
}

/// Cancels one person's ticket. One that is cancelled stays so.
#[utoipa::path(
    delete, path = "/api/v1/orders/{order}/tickets/{ticket}", tag = "orders",
    operation_id = "cancel_ticket",
    params(
        ("order" = String, Path, description = "Id of the order."),
        ("ticket" = u16, Path, description = "The ticket's number, from 1."),
    ),
    responses((status = 200, description = "The order as it stands now.", body = types::Order))
)]
pub(crate) async fn one(
    State(state): State<AppState>,
    TicketPath { order: token, place }: TicketPath,
) -> Result<Response, Problem> {
    let left = state.engine.cancel(&token, Some(place)).await?;
    Ok(answer(order(&state, left)))
}
