//! Events as the public may read them.

pub(crate) mod availability;
pub(crate) mod list;
pub(crate) mod read;

use std::sync::Arc;

use sloe_core::catalog::{self, EventStatus, Snapshot};
use sloe_core::ids::PublicId;
use sloe_engine::engine::Engine;
use sloe_engine::error::Denied;
use sloe_engine::view;

use super::types;
use crate::error::{Cause, Problem};

/// A public event with what is left of it.
async fn public(
    engine: &Engine,
    id: PublicId,
) -> Result<(Arc<Snapshot>, Arc<view::Availability>), Problem> {
    let (_, snapshot) = engine.event(id)?;
    if !snapshot.published {
        return Err(Cause::Unpublished.into());
    }
    let left = left_of(engine, &snapshot).await?;
    Ok((snapshot, left))
}

/// What is left of an event. One that is out of order stays readable: nothing
/// of it can be had.
async fn left_of(engine: &Engine, snapshot: &Snapshot) -> Result<Arc<view::Availability>, Denied> {
    let left = engine.availability(snapshot.event).await;
    if left != Err(Denied::Quarantined) {
        return left;
    }
    let none = |id| view::Left { id, left: Some(0), limit: None };
    Ok(Arc::new(view::Availability {
        left: Some(0),
        items: snapshot.items.iter().map(|item| none(item.id)).collect(),
        sessions: snapshot.sessions.iter().map(|session| none(session.id)).collect(),
        ..view::Availability::default()
    }))
}

fn event(snapshot: &Snapshot, left: &view::Availability) -> types::Event {
    let item = |item: &catalog::Item| types::Item {
        id: item.id.to_string(),
        name: item.name.clone(),
        price: item.price.as_ref().map(types::Amount::from),
        left: left.item(item.id),
    };
    let session = |session: &catalog::Session| types::Session {
        id: session.id.to_string(),
        name: session.name.clone(),
        starts_at: session.starts_at.to_rfc3339(),
        ends_at: session.ends_at.to_rfc3339(),
        left: left.session(session.id),
    };
    types::Event {
        id: snapshot.id.to_string(),
        slug: snapshot.slug.clone(),
        name: snapshot.name.clone(),
        status: match snapshot.status {
            EventStatus::Scheduled => types::EventStatus::Scheduled,
            EventStatus::Cancelled => types::EventStatus::Cancelled,
        },
        starts_at: snapshot.starts_at.to_rfc3339(),
        ends_at: snapshot.ends_at.to_rfc3339(),
        time_zone: snapshot.time_zone.clone(),
        left: left.left,
        items: snapshot.items.iter().map(item).collect(),
        sessions: snapshot.sessions.iter().map(session).collect(),
    }
}
