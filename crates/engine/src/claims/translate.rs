//! Between public ids and records.

use sloe_core::catalog::Snapshot;
use sloe_core::ids::{PublicId, SfId};
use sloe_core::ledger::{Blocked, PlaceRequest, PlaceView, PoolKey};

use crate::error::{Denied, Fault, Part, PoolRef, Shortage};
use crate::view::{Choice, HeldPlace};

/// The records that `choices` name, or every fault.
pub(super) fn places(snapshot: &Snapshot, choices: &[Choice]) -> Result<Vec<PlaceRequest>, Denied> {
    let mut faults = Vec::new();
    let mut places = Vec::with_capacity(choices.len());
    for (number, choice) in (1_u16..).zip(choices) {
        let mut fault = |part, what: &str, id: PublicId| {
            faults.push(Fault {
                place: Some(number),
                part,
                code: "unknown",
                message: format!("This event has no {what} {id}."),
            });
        };
        let item = snapshot.item(choice.item);
        if item.is_none() {
            fault(Part::Item, "ticket type", choice.item);
        }
        let mut sessions = Vec::with_capacity(choice.sessions.len());
        for id in &choice.sessions {
            match snapshot.session(*id) {
                Some(session) => sessions.push(session.sf),
                None => fault(Part::Sessions, "session", *id),
            }
        }
        places.extend(item.map(|item| PlaceRequest { item: item.sf, sessions }));
    }
    if faults.is_empty() { Ok(places) } else { Err(Denied::Invalid(faults)) }
}

/// The sessions that a confirmation names, or every fault.
pub(super) fn sessions(
    snapshot: &Snapshot,
    chosen: &[Vec<PublicId>],
) -> Result<Vec<Vec<SfId>>, Denied> {
    let mut faults = Vec::new();
    let mut all = Vec::with_capacity(chosen.len());
    for (number, ids) in (1_u16..).zip(chosen) {
        let mut sessions = Vec::with_capacity(ids.len());
        for id in ids {
            match snapshot.session(*id) {
                Some(session) => sessions.push(session.sf),
                None => faults.push(Fault {
                    place: Some(number),
                    part: Part::Sessions,
                    code: "unknown",
                    message: format!("This event has no session {id}."),
                }),
            }
        }
        all.push(sessions);
    }
    if faults.is_empty() { Ok(all) } else { Err(Denied::Invalid(faults)) }
}

/// Held places in public ids.
pub(super) fn held(snapshot: &Snapshot, places: &[PlaceView]) -> Vec<HeldPlace> {
    (1_u16..)
        .zip(places)
        .map(|(place, view)| HeldPlace {
            place,
            item: item_id(snapshot, view.item),
            sessions: view.sessions.iter().map(|sf| session_id(snapshot, *sf)).collect(),
        })
        .collect()
}

/// The public id of an item, also of one that the event has no more: looked
/// up, as that is a tenth of the work of deriving it.
fn item_id(snapshot: &Snapshot, sf: SfId) -> PublicId {
    let known = snapshot.item_by_record(sf).map(|item| item.id);
    known.unwrap_or_else(|| PublicId::derive(&snapshot.event.org, &sf))
}

fn session_id(snapshot: &Snapshot, sf: SfId) -> PublicId {
    let known = snapshot.session_by_record(sf).map(|session| session.id);
    known.unwrap_or_else(|| PublicId::derive(&snapshot.event.org, &sf))
}

/// Blocking pools in public ids and names.
pub(super) fn shortages(snapshot: &Snapshot, blocked: &[Blocked]) -> Vec<Shortage> {
    let shortage = |blocked: &Blocked| Shortage {
        pool: pool(snapshot, blocked.pool),
        asked: blocked.asked,
        left: blocked.left,
    };
    blocked.iter().map(shortage).collect()
}

fn pool(snapshot: &Snapshot, key: PoolKey) -> PoolRef {
    match key {
        PoolKey::Event => PoolRef::Event,
        PoolKey::Item(sf) => {
            let name = snapshot.item_by_record(sf).map(|item| item.name.clone());
            PoolRef::Item { id: item_id(snapshot, sf), name: name.unwrap_or_default() }
        }
        PoolKey::Session(sf) => {
            let name = snapshot.session_by_record(sf).map(|session| session.name.clone());
            PoolRef::Session { id: session_id(snapshot, sf), name: name.unwrap_or_default() }
        }
    }
}
