//! Licenses, as operators ask for them: all of them, one with its reason, and
//! recording one by hand where no source org is configured.

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use sloe_core::ids::OrgId;
use sloe_core::license::{License, Standing, Status, end_of_day};
use sloe_core::time::Timestamp;
use sloe_engine::engine::Engine;
use sloe_engine::licensing::Licensed;

use super::{find_org, refused};
use crate::error::Problem;
use crate::state::AppState;

/// The addresses, below `/api/v1/admin`.
pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/licenses", post(set))
        .route("/licenses/list", post(list_all))
        .route("/licenses/why", post(why_one))
}

async fn set(
    State(state): State<AppState>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Problem> {
    record(&state.engine, &body).map(|()| Json(json!({}))).map_err(refused)
}

async fn list_all(State(state): State<AppState>) -> Json<Value> {
    Json(list(&state.engine))
}

async fn why_one(
    State(state): State<AppState>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Problem> {
    why(&state.engine, &body).map(Json).map_err(refused)
}

/// Every org that is connected or has a license row, and how the source org is read.
#[must_use]
pub fn list(engine: &Engine) -> Value {
    let orgs: Vec<Value> = engine.licensed_orgs().iter().map(shown).collect();
    json!({ "orgs": orgs, "source": source(engine) })
}

/// The answer for the org that the body names by slug or id; it need not be connected.
///
/// # Errors
/// No such slug, or no id.
pub fn why(engine: &Engine, body: &Value) -> Result<Value, String> {
    let name = body.get("org").and_then(Value::as_str).unwrap_or_default();
    let org = match find_org(engine, body) {
        Ok(org) => org,
        Err(unknown) => OrgId::parse(name).map_err(|_| unknown)?,
    };
    let mut answer = shown(&engine.licensed_org(org));
    answer["source"] = source(engine);
    Ok(answer)
}

fn shown(licensed: &Licensed) -> Value {
    let row = |row: &License| {
        json!({
            "number": row.number,
            "status": row.status.name(),
            "expires_on": row.expires_at.map(Timestamp::to_date),
        })
    };
    let profile = licensed.connected.as_ref().map(|org| &org.profile);
    json!({
        "org_id": licensed.org.to_string(),
        "subscriber": licensed.org.short(),
        "slug": profile.map(|profile| &profile.slug),
        "name": profile.map(|profile| &profile.name),
        "live": licensed.answer.is_live(),
        "reason": licensed.answer.by.as_ref().map_or("no-license", |(_, standing)| code(*standing)),
        "by": licensed.answer.by.as_ref().map(|(row, _)| &row.number),
        "grace_until": licensed.answer.grace_until().map(Timestamp::to_rfc3339),
        "why": licensed.why(),
        "licenses": licensed.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

/// A standing as programs read it.
fn code(standing: Standing) -> &'static str {
    match standing {
        Standing::Active => "active",
        Standing::Trial => "trial",
        Standing::Grace => "grace",
        Standing::Expired => "expired",
        Standing::Suspended => "suspended",
        Standing::Uninstalled => "uninstalled",
    }
}

/// How the source org is read; null when licenses are recorded by hand.
fn source(engine: &Engine) -> Value {
    let standing = engine.license_source();
    let troubles = standing.troubles();
    let Some((url, package)) = &standing.source else { return Value::Null };
    json!({
        "url": url,
        "package": package,
        "read_at": standing.read_at.map(Timestamp::to_rfc3339),
        "compared_at": standing.compared_at.map(Timestamp::to_rfc3339),
        "age_seconds": standing.read_at.map(|_| standing.dark_millis / 1_000),
        "rows": standing.rows,
        "alarm": standing.alarm(),
        "troubles": troubles,
    })
}

/// Records the one license that the body names as all of `org`'s.
///
/// # Errors
/// What is wrong with the body, or why it could not be stored: a source org is
/// configured, for instance.
pub fn record(engine: &Engine, body: &Value) -> Result<(), String> {
    let org = find_org(engine, body)?;
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let status = text("status").unwrap_or("active");
    let status = Status::parse(status).ok_or(format!(
        "{status:?} is no license status: use active, trial, suspended or uninstalled"
    ))?;
    let expires_at = match text("expires_at") {
        None => None,
        Some(text) => Some(
            end_of_day(text)
                .filter(|_| text.len() == 10)
                .or_else(|| Timestamp::parse(text))
                .ok_or(format!(
                    "{text:?} is no day such as 2027-01-31 and no time such as 2027-01-31T00:00:00Z"
                ))?,
        ),
    };
    let number = text("number").unwrap_or_default().to_owned();
    engine
        .set_licenses(org, &[License { number, status, expires_at }])
        .map_err(|error| error.to_string())
}
