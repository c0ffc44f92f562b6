//! `/__control/events`: how change events are made, kept and told.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post};
use serde_json::json;

use crate::org::api::control::{Answer, ok, refuse, refuse_all};
use crate::org::kept::Entry;
use crate::org::knobs::Knobs;
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
    let mut wanted = Knobs::parse(&body);
    let delivered = wanted.whole("delivered", u64::MAX);
    let knobs = org.events.knobs().changed(&mut wanted);
    let mut wrong = wanted.end();
    wrong.extend(knobs.check(lock(&org.database).schema()));
    if !wrong.is_empty() {
        return refuse_all(&wrong);
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

/// Tells that news of an object were lost.
async fn overflow(State(org): State<Arc<Org>>, body: Bytes) -> Answer {
    let mut wanted = Knobs::parse(&body);
    let object = wanted.needed("object");
    let wrong = wanted.end();
    if !wrong.is_empty() {
        return refuse_all(&wrong);
    }
    let kept = {
        let mut database = lock(&org.database);
        let Some(object) = database.schema().get(&object).cloned() else {
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
