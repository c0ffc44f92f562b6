//! `DELETE /api/v1/holds/{hold}`.

use axum::extract::State;
use axum::response::Response;

use crate::error::{Cause, Problem, done};
use crate::extract::Token;
use crate::state::AppState;

pub(crate) const REFUSALS: &[Cause] =
    &[Cause::NotFound, Cause::AlreadyConfirmed, Cause::OutcomeUnknown, Cause::OutOfOrder];

/// Gives a hold's seats back. One that has ended stays so.
#[utoipa::path(
    delete, path = "/api/v1/holds/{hold}", tag = "holds", operation_id = "release_hold",
    params(("hold" = String, Path, description = "Id of the hold.")),
    responses((status = 204, description = "The seats are free again."))
)]
pub(crate) async fn release(
    State(state): State<AppState>,
    Token(hold): Token,
) -> Result<Response, Problem> {
    state.engine.release(&hold).await?;
    Ok(done())
}
