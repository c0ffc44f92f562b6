//! New secrets for whoever calls an org's hook.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use sloe_engine::engine::Engine;

use super::{find_org, refused};
use crate::error::Problem;
use crate::state::AppState;

pub(super) async fn rotate(
    State(state): State<AppState>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Problem> {
    rotate_hook(&state.engine, &body).map(Json).map_err(refused)
}

/// Makes a new hook secret for the body's `org`, beside the one in use; with
/// `end_old` ends the one before the newest instead.
///
/// # Errors
/// What is wrong with the body, or why it could not be stored.
pub fn rotate_hook(engine: &Engine, body: &Value) -> Result<Value, String> {
    let org = find_org(engine, body)?;
    let gone = || format!("org {org} is not connected");
    if body.get("end_old").and_then(Value::as_bool).unwrap_or(false) {
        let ended = engine.end_old_hook(org).map_err(|error| error.to_string())?;
        return if ended { Ok(json!({ "org_id": org.to_string() })) } else { Err(gone()) };
    }
    let hook = engine.rotate_hook(org).map_err(|error| error.to_string())?.ok_or_else(gone)?;
    Ok(json!({
        "org_id": org.to_string(),
        "hook_secret": hook.secret,
        "hook_signing": hook.signing,
    }))
}
