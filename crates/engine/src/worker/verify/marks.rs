//! What both sides counted when an event's rows were last compared one by one
//! and none differed: as long as both count the same, none differs now.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sloe_core::ids::EventRef;
use sloe_core::verify::{Expected, Group, Tally};
use sloe_salesforce::RowKind;
use sloe_store::api::{StoreError, Write};
use sloe_store::key::Key;
use sloe_store::scope::OrgScope;

use crate::engine::Engine;
use crate::worker::outbox::file;
use crate::worker::outbox::letter::ANY;
use crate::worker::stored;

/// Count and sum of those registered, of those cancelled, of the others.
type Sums = [u64; 6];

#[derive(Serialize, Deserialize)]
struct Mark {
    expected: Sums,
    theirs: u64,
    found: Sums,
}

fn sums(tally: &Tally) -> Sums {
    let Tally { registered, cancelled, others } = tally;
    let [registered, cancelled, others] =
        [registered, cancelled, others].map(|group| (group.count, group.versions));
    [registered.0, registered.1, cancelled.0, cancelled.1, others.0, others.1]
}

fn tally(sums: Sums) -> Tally {
    let [registered, their_versions, cancelled, cancelled_versions, others, others_versions] = sums;
    let group = |count, versions| Group { count, versions };
    Tally {
        registered: group(registered, their_versions),
        cancelled: group(cancelled, cancelled_versions),
        others: group(others, others_versions),
    }
}

fn key(scope: OrgScope, event: EventRef, kind: RowKind) -> Key {
    let what = match kind {
        RowKind::Attendee => "attendees",
        RowKind::SessionAttendee => "places",
    };
    Key::verified(scope, &format!("event {} {what}", event.event))
}

type Marks = BTreeMap<(EventRef, RowKind), (Expected, Tally)>;

/// The marks of events.
pub(super) async fn read(
    engine: &Engine,
    scope: OrgScope,
    events: &[EventRef],
) -> Result<Marks, StoreError> {
    let events = events.to_vec();
    stored(engine, move |store| {
        let mut marks = Marks::new();
        for event in events {
            for kind in [RowKind::Attendee, RowKind::SessionAttendee] {
                let Some(found) = store.get(&key(scope, event, kind))? else { continue };
                // One that can't be read is as good as none.
                let Ok(mark) = file::decode::<Mark>(&found.body) else { continue };
                let expected =
                    Expected { tally: tally(mark.expected), theirs: mark.theirs, unsure: 0 };
                marks.insert((event, kind), (expected, tally(mark.found)));
            }
        }
        Ok(marks)
    })
    .await
}

/// Notes that no row differed.
pub(super) async fn note(
    engine: &Engine,
    scope: OrgScope,
    (event, kind): (EventRef, RowKind),
    expected: &Expected,
    found: &Tally,
) -> Result<(), StoreError> {
    let mark =
        Mark { expected: sums(&expected.tally), theirs: expected.theirs, found: sums(found) };
    let key = key(scope, event, kind);
    let away = Write { key: key.clone(), version: ANY, body: None };
    let write = Write { key, version: 1, body: Some(file::encode(&mark)) };
    stored(engine, move |store| store.put(&[away, write])).await
}
