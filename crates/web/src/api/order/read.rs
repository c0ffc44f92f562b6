//! `GET /api/v1/orders/{order}`.

use axum::extract::State;
use axum::response::Response;

use super::order;
use crate::api::{answer, types};
use crate::error::{Cause, Problem};
use crate::extract::Token;
use crate::state::AppState;

pub(crate) const REFUSALS: &[Cause] = &[Cause::NotFound, Cause::OutcomeUnknown, Cause::OutOfOrder];

/// An order as it stands. It stays readable when its event is hidden.
#[utoipa::path(
    get, path = "/api/v1/orders/{order}", tag = "orders", operation_id = "read_order",
    params(("order" = String, Path, description = "Id of the order.")),
    responses((status = 200, description = "The order.", body = types::Order))
)]
pub(crate) async fn read(
    State(state): State<AppState>,
    Token(token): Token,
) -> Result<Response, Problem> {
    let found = state.engine.order_by_token(&token).await?;
    Ok(answer(order(&state, found)))
}
