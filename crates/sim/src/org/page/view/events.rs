//! The org's last change events, for people.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::{EVENTS, Frame, frame, grouped};
use crate::org::data::format_time;
use crate::org::events::Event;
use crate::org::page::render;
use crate::org::state::{State as Org, lock};

/// How many are shown.
const SHOWN: usize = 100;

struct EventRow {
    at: String,
    kind: &'static str,
    object: String,
    records: String,
    changed: String,
    origin: String,
    replay: u64,
}

#[derive(Template)]
#[template(path = "org/events.html")]
struct Events {
    frame: Frame,
    kept: String,
    delivered: String,
    daily: String,
    subscribed: u32,
    selected: String,
    rows: Vec<EventRow>,
}

/// `/events`.
pub(in crate::org::page) async fn show(State(org): State<Arc<Org>>) -> Response {
    let frame = {
        let database = lock(&org.database);
        frame(&org, &database, "Change events", EVENTS, None)
    };
    let knobs = org.events.knobs();
    let (kept, delivered) = org.events.counts((org.now)().as_millisecond());
    let page = Events {
        frame,
        kept: grouped(&kept.to_string()),
        delivered: grouped(&delivered.to_string()),
        daily: grouped(&knobs.daily.to_string()),
        subscribed: org.events.subscribers(),
        selected: knobs.selected.join(", "),
        rows: org.events.newest(SHOWN).into_iter().map(row).collect(),
    };
    render(StatusCode::OK, &page)
}

fn row(event: Event) -> EventRow {
    EventRow {
        at: format_time(event.at, "Z"),
        kind: event.kind.name(),
        object: event.entity,
        records: event.records.join(", "),
        changed: event.changed.join(", "),
        origin: event.origin,
        replay: event.replay,
    }
}
