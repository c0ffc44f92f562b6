//! How much of its API allowance an org lets Sloe have.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use sloe_core::budget::Rules;
use sloe_core::time::Timestamp;
use sloe_engine::engine::Engine;
use sloe_engine::worker::Calls24h;

use super::{find_org, refused};
use crate::error::Problem;
use crate::state::AppState;

pub(super) async fn budget(
    State(state): State<AppState>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Problem> {
    choose_budget(&state.engine, &body).await.map(Json).map_err(refused)
}

/// Changes what the body names of `org`'s `share` and `reserve`, in percent,
/// and calls `at_once`; answers how things stand then.
///
/// # Errors
/// Everything that is wrong with the body, or why it could not be stored.
pub async fn choose_budget(engine: &Engine, body: &Value) -> Result<Value, String> {
    let org = find_org(engine, body)?;
    let now = engine.calls(org).await.map_err(|denied| denied.to_string())?.rules;
    let mut faults = Vec::new();
    let mut read = |key: &str, now: u8| match body.get(key) {
        None | Some(Value::Null) => now,
        Some(value) => value.as_u64().and_then(|n| u8::try_from(n).ok()).unwrap_or_else(|| {
            faults.push(format!("{key} must be a whole number, not {value}"));
            now
        }),
    };
    let (share, reserve) = (read("share", now.share()), read("reserve", now.reserve()));
    let at_once = read("at_once", now.at_once());
    let rules = Rules::new(share, reserve, at_once).unwrap_or_else(|more| {
        faults.extend(more);
        now
    });
    if !faults.is_empty() {
        return Err(faults.join("; "));
    }
    if rules != now {
        engine.set_budget(org, rules).map_err(|error| error.to_string())?;
    }
    engine.calls(org).await.map(|calls| show(&calls)).map_err(|denied| denied.to_string())
}

/// An org's API calls of 24 hours.
pub(super) fn show(calls: &Calls24h) -> Value {
    json!({
        "used": calls.told.map(|told| told.used),
        "max": calls.told.map(|told| told.max),
        "by_sloe": calls.ours,
        "left": calls.left,
        "at_once": calls.at_once,
        "waits_until": calls.waits_until.map(Timestamp::to_rfc3339),
        "share": calls.rules.share(),
        "reserve": calls.rules.reserve(),
        "most_at_once": calls.rules.at_once(),
    })
}
