//! Personal links to an event, for Contacts and Leads.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use sloe_core::ids::SfId;
use sloe_engine::invitation::Invitee;
use sloe_engine::view::Found;

use super::{find_org, refused};
use crate::error::Problem;
use crate::state::AppState;

/// Invitees of one request.
const AT_ONCE: usize = 1_000;
/// Faults that are named; more are counted.
const NAMED: usize = 10;

/// Links to the `event` of `org` (its slug) for `records`, in their order; all, or every fault.
pub(super) async fn invite(
    State(state): State<AppState>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Problem> {
    let links = links(&state, &body).map_err(refused)?;
    Ok(Json(json!({ "links": links })))
}

fn links(state: &AppState, body: &Value) -> Result<Vec<String>, String> {
    let org = find_org(&state.engine, body)?;
    let org = state.engine.registry().by_id(org).ok_or("the org is gone")?;
    let slug = body.get("event").and_then(Value::as_str).unwrap_or_default();
    let event = match state.engine.find_event(&org, slug).map_err(|denied| denied.to_string())? {
        Found::Here(snapshot) => snapshot.id,
        Found::Moved(to) => return Err(format!("the event {slug:?} is called {to:?} now")),
        Found::Nowhere => {
            return Err(format!("{} has no event {slug:?}", org.profile.slug));
        }
    };
    let records = body.get("records").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if records.is_empty() || records.len() > AT_ONCE {
        return Err(format!("name from 1 to {AT_ONCE} Contacts or Leads"));
    }
    let (mut invitees, mut faults) = (Vec::new(), Vec::new());
    for record in records {
        let text = record.as_str().unwrap_or_default();
        match SfId::parse(text).ok().and_then(Invitee::of) {
            Some(invitee) => invitees.push(invitee),
            None => faults.push(format!("{text:?}")),
        }
    }
    if !faults.is_empty() {
        let more = faults.len().saturating_sub(NAMED);
        faults.truncate(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        return Err(format!(
            "not the id of a Contact (003…) or a Lead (00Q…): {}{more}. Nobody was invited",
            faults.join(", "),
        ));
    }
    let link = |invitee| state.engine.invite(event, invitee).map(|path| state.public(&path));
    let links: Result<_, _> = invitees.into_iter().map(link).collect();
    links.map_err(|denied| denied.to_string())
}
