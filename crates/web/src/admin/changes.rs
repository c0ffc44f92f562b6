//! Whether an org tells of changes by itself.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use sloe_core::time::Timestamp;
use sloe_engine::changes::{Changes, Part, Source};
use sloe_engine::engine::Engine;

use super::{find_org, refused};
use crate::error::Problem;
use crate::state::AppState;

pub(super) async fn changes(
    State(state): State<AppState>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Problem> {
    switch_changes(&state.engine, &body).await.map(Json).map_err(refused)
}

/// Switches the change events of the body's `org` as its `on` says, if it says,
/// from `url` if it names one; answers how they stand then.
///
/// # Errors
/// What is wrong with the body, or why it could not be done.
pub async fn switch_changes(engine: &Engine, body: &Value) -> Result<Value, String> {
    let org = find_org(engine, body)?;
    let url = match body.get("url") {
        None | Some(Value::Null) => None,
        Some(Value::String(url)) => Some(url.clone()),
        Some(other) => return Err(format!("url must be a text, not {other}")),
    };
    let source = match body.get("on") {
        None | Some(Value::Null) => None,
        Some(Value::Bool(false)) => Some(None),
        Some(Value::Bool(true)) => {
            Some(Some(url.map_or_else(Source::default, |url| Source { url })))
        }
        Some(other) => return Err(format!("on must be true or false, not {other}")),
    };
    if let Some(source) = source {
        engine.set_change_events(org, source).await.map_err(|error| error.to_string())?;
    }
    engine.changes(org).await.map(|changes| show(&changes)).map_err(|error| error.to_string())
}

/// How an org's change events stand.
pub(super) fn show(changes: &Changes) -> Value {
    let part = |part: &Part| match part {
        Part::Connecting => json!({ "state": "connecting" }),
        Part::Healthy(since) => json!({ "state": "healthy", "since": since.to_rfc3339() }),
        Part::Down { means, remedy, since, again, .. } => json!({
            "state": "down",
            "means": means,
            "remedy": remedy,
            "since": since.to_rfc3339(),
            "again": again.to_rfc3339(),
        }),
    };
    let parts: serde_json::Map<String, Value> =
        changes.parts.iter().map(|(name, of)| ((*name).to_owned(), part(of))).collect();
    json!({
        "on": changes.source.is_some(),
        "url": changes.source.as_ref().map(|source| source.url.as_str()),
        "healthy": changes.healthy(),
        "parts": parts,
        "last": changes.last.map(Timestamp::to_rfc3339),
        "told": changes.told,
        "passed_over": changes.passed_over,
        "trouble": changes.trouble(),
    })
}
