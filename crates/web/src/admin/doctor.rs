//! How everything is, for `sloe doctor`.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use sloe_engine::doctor::{Examined, Health, Line};
use sloe_engine::engine::Engine;

use crate::state::AppState;

pub(super) async fn doctor(State(state): State<AppState>) -> Json<Value> {
    Json(examine(&state.engine).await)
}

/// Every org's lines and the platform's, and whether any needs a person.
pub async fn examine(engine: &Engine) -> Value {
    let (orgs, platform) = (engine.examine_orgs().await, engine.examine_platform().await);
    let all = orgs.iter().flat_map(|org| &org.lines).chain(&platform);
    let attention = all.clone().any(|line| line.health == Health::Attention);
    json!({
        "attention": attention,
        "orgs": orgs.iter().map(org).collect::<Vec<_>>(),
        "platform": platform.iter().map(show).collect::<Vec<_>>(),
    })
}

fn org(examined: &Examined) -> Value {
    json!({
        "slug": examined.slug,
        "org_id": examined.org.to_string(),
        "lines": examined.lines.iter().map(show).collect::<Vec<_>>(),
    })
}

fn show(line: &Line) -> Value {
    json!({
        "subject": line.subject,
        "health": line.health.name(),
        "says": line.says,
        "todo": line.todo,
    })
}
