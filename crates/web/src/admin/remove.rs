//! Disconnecting an org for good, and what would go with it.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use sloe_engine::engine::Engine;
use sloe_engine::remove::RemoveError;

use super::{find_org, refused};
use crate::error::Problem;
use crate::state::AppState;

pub(super) async fn remove(
    State(state): State<AppState>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Problem> {
    remove_org(&state.engine, &body).await.map(Json).map_err(refused)
}

/// What goes with `org`. With `really` it is disconnected, unless it does not
/// have everything yet and the body does not say `force`; `removed` says
/// whether it was.
///
/// # Errors
/// No such org, or why it could not be done.
pub async fn remove_org(engine: &Engine, body: &Value) -> Result<Value, String> {
    let id = find_org(engine, body)?;
    let is = |key: &str| body.get(key).and_then(Value::as_bool).unwrap_or(false);
    let org = engine.registry().by_id(id).ok_or("the org is not connected")?;
    let (removed, gone) = if is("really") {
        match engine.remove_org(id, is("force")).await {
            Ok(gone) => (true, gone),
            Err(RemoveError::Unsent(gone)) => (false, gone),
            Err(error) => return Err(error.to_string()),
        }
    } else {
        (false, engine.belongings(id).await.map_err(|error| error.to_string())?)
    };
    Ok(json!({
        "org_id": id.to_string(),
        "slug": org.profile.slug,
        "name": org.profile.name,
        "removed": removed,
        "events": gone.events,
        "all_sent": gone.all_sent(),
        "unsent_events": gone.unsent_events,
        "unsent_mails": gone.unsent_mails,
        "retrying": gone.retrying,
        "letters": gone.letters,
    }))
}
