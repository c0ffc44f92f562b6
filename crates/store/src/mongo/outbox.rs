//! How far the news of each journal went. A batch that an outbox has to look
//! at says so itself, so that its insert is all there is to it; the cursor is
//! a document of its own, and what it has passed is tidied up behind it.

use std::collections::HashMap;

use mongodb::bson::{Document as Bson, doc};
use sloe_core::ids::EventRef;

use super::error::{explain, explain_write};
use super::{Mongo, count, documents, event_of, journal, name, partition, passed_over, signed};
use crate::api::{Destination, Fence, Pending, StoreError, Write};

pub(super) const COLLECTION: &str = "outbox";

/// The document of a cursor.
pub(super) fn id(destination: Destination, event: EventRef) -> Bson {
    doc! { "to": name(destination), "event": partition(event) }
}

pub(super) fn pending(store: &Mongo, destination: Destination) -> Result<Vec<Pending>, StoreError> {
    let to = name(destination);
    let newest = vec![
        doc! { "$match": { "to": to } },
        doc! { "$group": { "_id": "$_id.event", "latest": { "$max": "$_id.version" } } },
        doc! { "$sort": { "_id": 1 } },
    ];
    let mut latest = Vec::new();
    for found in store.collection(journal::COLLECTION).aggregate(newest).run().map_err(explain)? {
        let found = found.map_err(explain)?;
        let event = event_of(found.get_str("_id").unwrap_or_default());
        let place = event.and_then(|event| Ok((event, count(&found, "latest")?)));
        latest.extend(passed_over(place));
    }
    if latest.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Bson> = latest.iter().map(|(event, _)| id(destination, *event)).collect();
    let mut cursors = HashMap::new();
    let all = store.collection(COLLECTION);
    for found in all.find(doc! { "_id": { "$in": ids } }).run().map_err(explain)? {
        let found = found.map_err(explain)?;
        let event = found.get_document("_id").and_then(|id| id.get_str("event"));
        let event = event_of(event.unwrap_or_default());
        // Without its cursor all of it is looked at once more, which changes nothing.
        let cursor = event.and_then(|event| Ok((event, count(&found, "cursor")?)));
        cursors.extend(passed_over(cursor));
    }
    let pending = latest.into_iter().map(|(event, latest)| {
        let cursor = cursors.get(&event).copied().unwrap_or(0);
        Pending { event, cursor, latest }
    });
    Ok(pending.filter(|pending| pending.latest > pending.cursor).collect())
}

pub(super) fn advance(
    store: &Mongo,
    fence: Option<&Fence>,
    (destination, event): (Destination, EventRef),
    cursor: u64,
    writes: &[Write],
) -> Result<(), StoreError> {
    // Beyond the last batch there is no news yet: it must not be skipped when it comes.
    let cursor = cursor.min(journal::last_version(store, event)?);
    let at = (id(destination, event), signed(cursor)?);
    documents::put(store, fence, writes, Some(&at))?;
    let passed = doc! {
        "to": name(destination),
        "_id.event": partition(event),
        "_id.version": { "$lte": signed(cursor)? },
    };
    let tidy = doc! { "$pull": { "to": name(destination) } };
    let tidied = store.collection(journal::COLLECTION).update_many(passed, tidy).run();
    if let Err(error) = tidied.map_err(explain_write) {
        // The cursor stands; the next one tidies up for this one, too.
        tracing::debug!(%error, "passed batches still say where they go");
    }
    Ok(())
}
