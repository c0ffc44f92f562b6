//! Ends the retention of personal data: once an event is so many days over,
//! its vault is emptied and the key of its requests destroyed.
//!
//! That can't be undone, and the day comes from a date that somebody typed. So
//! it is done only if the catalog has named the same day for a week. To keep
//! the day all the same, events are noted before it comes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sloe_core::ids::EventRef;
use sloe_core::time::Timestamp;
use sloe_store::api::{Store, StoreError, Write};
use sloe_store::key::Key;

use super::outbox::file;
use super::stored;
use crate::engine::Engine;
use crate::tenant::Org;

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1_000;
/// How long the catalog must have named the same day.
const GRACE_MILLIS: i64 = 7 * DAY_MILLIS;
/// How long before that day an event is noted: there is a look a day.
const AHEAD_MILLIS: i64 = GRACE_MILLIS + DAY_MILLIS;

/// An event whose data is to go.
#[derive(Serialize, Deserialize)]
struct Noted {
    /// When it was noted, in milliseconds since 1970.
    since: i64,
    /// The end of its retention as the catalog named it then.
    until: i64,
}

/// Destroys the key of every event whose time is up, and empties its vault. A
/// journal that had nothing left at its newest version is not looked through
/// again.
pub(super) async fn look(engine: Engine) -> Result<(), String> {
    let journals = stored(&engine, Store::journals).await;
    let journals = journals.map_err(|error| error.to_string())?;
    let mut ended = BTreeSet::new();
    for (event, _) in &journals {
        if engine.workers().stopping.is_cancelled() {
            return Ok(());
        }
        let is_over = is_over(&engine, *event).await;
        if is_over.map_err(|error| error.to_string())? {
            ended.insert(*event);
        }
    }
    let keys = engine.destroy_event_keys(&ended).await;
    let mut failed = 0;
    for (event, latest) in journals.into_iter().filter(|(event, _)| ended.contains(event)) {
        if engine.workers().stopping.is_cancelled() {
            return Ok(());
        }
        let Some(org) = engine.registry().by_id(event.org) else { continue };
        let key = Key::delivered(org.scope, &format!("emptied {}", event.event));
        let mark = key.clone();
        let emptied = stored(&engine, move |store| store.get(&mark)).await;
        let emptied = emptied.map_err(|error| error.to_string())?;
        if emptied.is_some_and(|mark| mark.version >= latest) {
            continue;
        }
        match engine.erase_event(org.scope, event).await {
            Ok(0) => {
                let write = Write { key, version: latest, body: Some(Vec::new()) };
                let put = stored(&engine, move |store| store.put(&[write])).await;
                put.map_err(|error| error.to_string())?;
            }
            Ok(orders) => tracing::info!(?event, orders, "retention ended: personal data erased"),
            Err(error) => {
                tracing::warn!(?event, %error, "personal data past its retention is still there");
                failed += 1;
            }
        }
    }
    keys.map_err(|error| format!("keys of events that are over are still there: {error}"))?;
    if failed == 0 { Ok(()) } else { Err(format!("{failed} events are still to be emptied")) }
}

/// Whether an event's retention has ended and was known to end for long
/// enough. Notes what is to end, and forgets that once it isn't any more.
async fn is_over(engine: &Engine, event: EventRef) -> Result<bool, StoreError> {
    let org = engine.registry().by_id(event.org);
    let Some((org, listing)) = org.zip(engine.catalog().listing(event)) else { return Ok(false) };
    let (now, until) = (engine.now(), org.kept_until(listing.ends_at));
    let key = key(&org, event);
    let at = key.clone();
    let before = stored(engine, move |store| store.get(&at)).await?;
    let noted = before.as_ref().and_then(|noted| file::decode::<Noted>(&noted.body).ok());
    let noted = noted.filter(|noted| noted.until == until.0);
    let soon = now.millis_since(until) >= -AHEAD_MILLIS;
    let body = match (soon, noted) {
        (true, Some(noted)) => {
            let known = now.millis_since(Timestamp(noted.since));
            return Ok(until <= now && known >= GRACE_MILLIS);
        }
        (true, None) => Some(file::encode(&Noted { since: now.0, until: until.0 })),
        (false, _) if before.is_none() => return Ok(false),
        (false, _) => None,
    };
    if body.is_some() && until <= now {
        tracing::warn!(
            ?event,
            "the event's retention has ended by its date: its personal data goes in a week unless \
             the date is put right"
        );
    }
    let write = Write { key, version: before.map_or(0, |before| before.version) + 1, body };
    stored(engine, move |store| store.put(&[write])).await?;
    Ok(false)
}

fn key(org: &Org, event: EventRef) -> Key {
    Key::delivered(org.scope, &format!("ending {}", event.event))
}
