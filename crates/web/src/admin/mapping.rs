//! What an org calls its objects and fields: shown, changed, and compared with
//! the org itself.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use sloe_engine::engine::Engine;
use sloe_engine::mapping::{Finding, MappingError, MappingFault, Severity};

use super::{find_org, refused};
use crate::error::Problem;
use crate::state::AppState;

pub(super) async fn show(
    State(state): State<AppState>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Problem> {
    show_mapping(&state.engine, &body).map(Json).map_err(refused)
}

pub(super) async fn change(
    State(state): State<AppState>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Problem> {
    change_mapping(&state.engine, &body).await.map(Json).map_err(refused)
}

pub(super) async fn check(
    State(state): State<AppState>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Problem> {
    check_org(&state.engine, &body).await.map(Json).map_err(refused)
}

/// The mapping in force of `org`, with its text and since when.
///
/// # Errors
/// No such org is connected.
pub fn show_mapping(engine: &Engine, body: &Value) -> Result<Value, String> {
    let id = find_org(engine, body)?;
    let org = engine.registry().by_id(id).ok_or("the org is not connected")?;
    let since = |text: &sloe_engine::tenant::MappingText| text.since().to_rfc3339();
    Ok(json!({
        "org_id": id.to_string(),
        "slug": org.profile.slug,
        "text": org.mapping.text(),
        "since": org.mapping.current.as_ref().map(since),
        "before": org.mapping.before.as_ref().map(since),
        "trouble": org.mapping.trouble,
    }))
}

/// Puts the mapping in force whose `text` the body holds, or with `back` the
/// one before. Answers whether it is `stored`, and the `faults` of the text and
/// the `findings` in the org that speak against it.
///
/// # Errors
/// No such org, or why the org could not be asked or the mapping not stored.
pub async fn change_mapping(engine: &Engine, body: &Value) -> Result<Value, String> {
    let org = find_org(engine, body)?;
    let text = body.get("text").and_then(Value::as_str);
    let changed = match (text, body.get("back").and_then(Value::as_bool)) {
        (Some(text), _) => engine.set_mapping(org, text.to_owned()).await,
        (None, Some(true)) => engine.set_mapping_back(org).await.map(|()| Vec::new()),
        (None, _) => return Err("give the mapping's text, or say back".to_owned()),
    };
    let (stored, faults, found) = match changed {
        Ok(found) => (true, Vec::new(), found),
        Err(MappingError::Faulty(faults)) => (false, faults, Vec::new()),
        Err(MappingError::NotReady(found)) => (false, Vec::new(), found),
        Err(error) => return Err(error.to_string()),
    };
    let fault = |fault: &MappingFault| {
        json!({
            "line": fault.line,
            "place": fault.place,
            "problem": fault.problem,
            "text": fault.to_string(),
        })
    };
    Ok(json!({
        "stored": stored,
        "faults": faults.iter().map(fault).collect::<Vec<_>>(),
        "findings": findings(&found),
    }))
}

/// Compares `org` with its mapping: `ready` unless a finding is a blocker.
///
/// # Errors
/// No such org, or why it could not be asked.
pub async fn check_org(engine: &Engine, body: &Value) -> Result<Value, String> {
    let org = find_org(engine, body)?;
    let found = engine.check_org(org).await.map_err(|error| error.to_string())?;
    let ready = !found.iter().any(|finding| finding.severity == Severity::Blocker);
    Ok(json!({ "org_id": org.to_string(), "ready": ready, "findings": findings(&found) }))
}

/// Findings as the commands read them.
#[must_use]
pub fn findings(found: &[Finding]) -> Value {
    let one = |finding: &Finding| {
        json!({
            "severity": finding.severity.name(),
            "code": finding.code,
            "object": finding.object,
            "field": finding.field,
            "what": finding.what,
            "fix": finding.fix,
        })
    };
    found.iter().map(one).collect()
}
