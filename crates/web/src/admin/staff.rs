//! A link that lets staff in to the console, for whoever has the machine.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use sloe_engine::staff::LINK_MILLIS;

use super::refused;
use crate::error::Problem;
use crate::staff;
use crate::state::AppState;

pub(super) async fn link(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    let link = state.engine.make_staff_link(LINK_MILLIS).await;
    let link = link.map_err(|denied| refused(denied.to_string()))?;
    Ok(Json(json!({
        "url": state.public(&staff::sign_in_path(&link)),
        "until": link.until.to_rfc3339(),
    })))
}
