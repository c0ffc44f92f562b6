//! What operators' commands ask of a running platform, with its bearer token.
//! Answers are plain JSON; the commands make sentences of them.

mod budget;
mod changes;
mod doctor;
mod hook;
mod invite;
pub mod license;
mod mapping;
mod remove;
mod staff;
mod sync;

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use sloe_core::ids::{OrgId, SfId};
use sloe_core::time::Timestamp;
use sloe_engine::engine::Engine;
use sloe_engine::refresh::{Outcome, Refresh};
use sloe_engine::tenant::Connect;
use sloe_engine::worker::Calls24h;
use subtle::ConstantTimeEq;
use tower::ServiceExt;

use crate::error::{Cause, Problem};
use crate::stack::MAX_BODY;
use crate::state::AppState;

pub use budget::choose_budget;
pub use changes::switch_changes;
pub use doctor::examine;
pub use hook::rotate_hook;
pub use mapping::{change_mapping, check_org, findings, show_mapping};
pub use remove::remove_org;

/// The admin API, below `/api/v1/admin`.
pub fn router(state: AppState) -> Router<AppState> {
    let token = from_fn_with_state(state, require_token);
    routes().layer(DefaultBodyLimit::max(MAX_BODY)).layer(token)
}

fn routes() -> Router<AppState> {
    Router::new()
        .route("/orgs", post(connect_org))
        .route("/orgs/list", post(list_orgs))
        .route("/orgs/hook", post(hook::rotate))
        .route("/orgs/budget", post(budget::budget))
        .route("/orgs/changes", post(changes::changes))
        .route("/orgs/check", post(mapping::check))
        .route("/orgs/mapping", post(mapping::show))
        .route("/orgs/mapping/change", post(mapping::change))
        .route("/orgs/remove", post(remove::remove))
        .route("/doctor", post(doctor::doctor))
        .merge(license::routes())
        .route("/events/invite", post(invite::invite))
        .route("/refresh", post(refresh))
        .route("/sync", post(drained))
        .merge(sync::router())
        .route("/persons/erase", post(erase))
        .route("/staff/link", post(staff::link))
}

/// Asks the admin API of an engine of the caller's own, as over HTTP; `path` is
/// what stands behind `/api/v1/admin/`.
///
/// # Errors
/// Why it was refused.
pub async fn ask(state: AppState, path: &str, body: &Value) -> Result<Value, String> {
    let request = Request::post(format!("/{path}"))
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .map_err(|error| error.to_string())?;
    let answer = match routes().with_state(state).oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    if let Some(problem) = answer.extensions().get::<Problem>() {
        return Err(problem.detail());
    }
    if !answer.status().is_success() {
        return Err(format!("{path} can't be asked"));
    }
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
    serde_json::from_slice(&body.map_err(|error| error.to_string())?)
        .map_err(|error| error.to_string())
}

async fn require_token(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer "));
    let known = match (given, &state.settings.admin_token) {
        (Some(given), Some(token)) => bool::from(given.as_bytes().ct_eq(token.as_bytes())),
        _ => false,
    };
    if known { next.run(request).await } else { Problem::from(Cause::Unauthorized).into_response() }
}

async fn connect_org(
    State(state): State<AppState>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Problem> {
    let connect = Connect::from_json(body).map_err(refused)?;
    let connected = state.engine.connect_org(connect).await;
    let connected = connected.map_err(|error| refused(error.to_string()))?;
    let id = connected.org.id();
    state.engine.request_first_refresh(id);
    Ok(Json(json!({
        "org_id": id.to_string(),
        "hook_secret": connected.hook.secret,
        "hook_signing": connected.hook.signing,
        "findings": findings(&connected.findings),
    })))
}

async fn list_orgs(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    let mut orgs = Vec::new();
    for org in state.engine.registry().all() {
        let live = if state.engine.is_live(org.id()) { "yes" } else { "no" };
        let (slug, name) = (&org.profile.slug, &org.profile.name);
        state.engine.recall_standing(org.id()).await;
        let calls = state.engine.calls(org.id()).await;
        let calls = calls.map_err(|denied| refused(denied.to_string()))?;
        let mut troubles = reading(&state.engine.refreshes(org.id()), calls.trouble().as_deref());
        let changes = state.engine.changes(org.id()).await;
        let changes = changes.map_err(|error| refused(error.to_string()))?;
        troubles.extend(changes.trouble());
        troubles.extend(org.mapping.trouble.clone());
        orgs.push(json!({
            "slug": slug,
            "org_id": org.id().to_string(),
            "name": name,
            "live": live,
            "troubles": troubles,
            "calls": budget::show(&calls),
            "changes": changes::show(&changes),
        }));
    }
    Ok(Json(json!({ "orgs": orgs, "troubles": state.engine.license_source().troubles() })))
}

/// What is wrong with what was read of an org, and why Sloe makes no calls: told
/// once, not also of each refresh that waits for that.
fn reading(refreshes: &[Refresh], pause: Option<&str>) -> Vec<String> {
    let waits = |refresh: &Refresh| match &refresh.outcome {
        Outcome::Failed { remedy, .. } => Calls24h::is_the_remedy(remedy),
        _ => false,
    };
    let own = refreshes.iter().filter(|refresh| pause.is_none() || !waits(refresh));
    own.filter_map(trouble).chain(pause.map(str::to_owned)).collect()
}

/// What is wrong with what was read of an org, or of an event of it.
fn trouble(refresh: &Refresh) -> Option<String> {
    let said = refresh.trouble()?;
    Some(refresh.event.map_or(said.clone(), |event| format!("{event}: {said}")))
}

async fn refresh(
    State(state): State<AppState>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Problem> {
    let org = find_org(&state.engine, &body).map_err(refused)?;
    let event = match body.get("event").and_then(Value::as_str) {
        Some(text) => Some(SfId::parse(text).map_err(|error| refused(error.to_string()))?),
        None => None,
    };
    state.engine.request_refresh(org, event);
    Ok(Json(json!({ "accepted": true })))
}

async fn drained(
    State(state): State<AppState>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Problem> {
    let org = find_org(&state.engine, &body).map_err(refused)?;
    let sync = state.engine.sync_state(org).await.map_err(|denied| refused(denied.to_string()))?;
    Ok(Json(json!({
        "drained": sync.is_drained(),
        "pending_events": sync.pending_events,
        "pending_batches": sync.pending_batches,
        "retrying": sync.retrying,
        "dead_letters": sync.dead_letters,
        "delivered": sync.delivered,
        "last_drain": sync.last_drain.map(Timestamp::to_rfc3339),
        "fault": sync.fault.map(|fault| fault.means),
    })))
}

async fn erase(
    State(state): State<AppState>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Problem> {
    erase_person(&state.engine, &body).await.map(Json).map_err(refused)
}

/// Destroys the data of the person whose `email` the body names, in `org`.
///
/// # Errors
/// What is wrong with the body, or why it could not be done.
pub async fn erase_person(engine: &Engine, body: &Value) -> Result<Value, String> {
    let org = find_org(engine, body)?;
    let email = body.get("email").and_then(Value::as_str).map(str::trim).unwrap_or_default();
    if email.is_empty() {
        return Err("name the person's e-mail address".to_owned());
    }
    let receipt = engine.erase_person(org, email).await.map_err(|error| error.to_string())?;
    Ok(json!({
        "receipt": receipt.id,
        "org_id": receipt.org.to_string(),
        "at": receipt.at.to_rfc3339(),
        "orders": receipt.orders,
        "attendees": receipt.attendees,
        "references": receipt.references,
    }))
}

/// The org whose id or slug the body names.
fn find_org(engine: &Engine, body: &Value) -> Result<OrgId, String> {
    let name = body.get("org").and_then(Value::as_str).unwrap_or_default();
    let by_id = OrgId::parse(name).ok().and_then(|id| engine.registry().by_id(id));
    let org = by_id.or_else(|| engine.registry().by_slug(name));
    org.map(|org| org.id()).ok_or_else(|| format!("no org {name:?} is connected"))
}

fn refused(why: impl Into<String>) -> Problem {
    Problem::plain(Cause::Invalid, why.into())
}

#[cfg(test)]
mod tests {
    use sloe_core::time::Timestamp;

    use super::*;

    #[test]
    fn what_waits_for_calls_is_told_once_and_other_trouble_beside_it() {
        let failed = |remedy: &str| Refresh {
            event: None,
            at: Timestamp(0),
            outcome: Outcome::Failed {
                means: "No answer.".to_owned(),
                remedy: remedy.to_owned(),
                again: true,
            },
        };
        let refreshes = [failed(sloe_salesforce::BUDGET_REMEDY), failed("Wait.")];
        let told = reading(&refreshes, Some("Paused."));
        assert_eq!(told, ["No answer. Wait.", "Paused."]);
        // Nothing else tells of it then.
        assert_eq!(reading(&refreshes, None).len(), 2);
    }
}
