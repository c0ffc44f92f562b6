//! `/__control/events`: how change events are made, kept and told.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::Knobs;
use crate::org::api::control::{Answer, ok, refuse};
use crate::org::kept::Entry;
use crate::org::state::{State as Org, lock};

/// The addresses.
pub(crate) fn routes() -> Router<Arc<Org>> {
    Router::new()
        .route("/__control/events", get(show).put(set).delete(forget))
        .route("/__control/events/overflow", post(overflow))
        .route("/__control/events/cut", post(cut))
}

async fn show(State(org): State<Arc<Org>>) -> Answer {
    let (kept, delivered) = org.events.counts((org.now)().as_millisecond());
    ok(&json!({
        "knobs": org.events.knobs(),
        "kept": kept,
        "delivered": delivered,
        "subscribed": org.events.subscribers(),
    }))
}

/// Changes what the body names; `delivered` sets what counts as delivered of the day.
async fn set(State(org): State<Arc<Org>>, body: Bytes) -> Answer {
    let Ok(Json::Object(mut wanted)) = serde_json::from_slice(&body) else {
        return refuse("a JSON object is wanted");
    };
    let delivered = match wanted.remove("delivered") {
        Some(count) if count.is_u64() => count.as_u64(),
        Some(_) => return refuse("delivered is a number"),
        None => None,
    };
    let Ok(Json::Object(mut all)) = serde_json::to_value(org.events.knobs()) else {
        return refuse("the knobs can't be read");
    };
    all.extend(wanted);
    let knobs: Knobs = match serde_json::from_value(Json::Object(all)) {
        Ok(knobs) => knobs,
        Err(error) => return refuse(&error.to_string()),
    };
    let checked = knobs.check(lock(&org.database).schema());
    if let Err(message) = checked {
        return refuse(&message);
    }
    org.events.set_knobs(knobs.clone());
    if let Some(count) = delivered {
        org.events.set_delivered((org.now)().as_millisecond(), count);
    }
    match org.keep([Entry::ChangeKnobs(knobs)]) {
        Ok(()) => show(State(org)).await,
        Err(message) => refuse(&message),
    }
}

/// Forgets all events: whoever comes back with a replay id has lost some.
async fn forget(State(org): State<Arc<Org>>) -> Answer {
    org.events.forget();
    match org.keep([org.events.marks()]) {
        Ok(()) => show(State(org)).await,
        Err(message) => refuse(&message),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Overflow {
    object: String,
}

/// Tells that news of an object were lost.
async fn overflow(State(org): State<Arc<Org>>, body: Bytes) -> Answer {
    let wanted: Overflow = match serde_json::from_slice(&body) {
        Ok(wanted) => wanted,
        Err(error) => return refuse(&error.to_string()),
    };
    let kept = {
        let mut database = lock(&org.database);
        let Some(object) = database.schema().get(&wanted.object).cloned() else {
            return refuse("this org has no such object");
        };
        let event = org.events.overflow(&mut database, &object);
        org.commit(&mut database).map(|()| org.events.publish(vec![event]))
    };
    match kept {
        Ok(()) => show(State(org)).await,
        Err(message) => refuse(&message),
    }
}

/// Cuts all subscriptions off, as a network does.
async fn cut(State(org): State<Arc<Org>>) -> Answer {
    org.events.cut();
    show(State(org)).await
}
