//! How far each org's outbox is behind, for metrics and staff.

use std::collections::BTreeMap;
use std::time::Duration;

use sloe_core::fact::Fact;
use sloe_core::ids::{EventRef, OrgId};
use sloe_core::time::Timestamp;
use sloe_store::api::{Pending, Store, StoreError};

use crate::engine::Engine;
use crate::worker::orgs::lock;
use crate::worker::stored;

/// Events whose oldest news are looked up at a time: the others' turn comes.
const EVENTS: usize = 200;
/// Batches read from a journal at a time.
const BATCHES: usize = 16;

/// Notes since when what is pending waits, and shows it in the metrics.
pub(super) async fn look(engine: &Engine, pending: &[Pending]) {
    let mut by_org: BTreeMap<OrgId, Vec<Pending>> = BTreeMap::new();
    for pending in pending {
        by_org.entry(pending.event.org).or_default().push(*pending);
    }
    for org in engine.registry().all() {
        let Some(work) = engine.workers().known(org.id()) else { continue };
        let pending = by_org.remove(&org.id()).unwrap_or_default();
        let mut known = BTreeMap::new();
        let mut unknown = Vec::new();
        {
            let before = lock(&work.waiting);
            for pending in &pending {
                match before.get(&pending.event) {
                    Some(noted) if noted.0 == pending.cursor => {
                        known.insert(pending.event, *noted);
                    }
                    _ if unknown.len() < EVENTS => unknown.push(*pending),
                    _ => {}
                }
            }
        }
        // One that can't be read is looked at again the next time.
        known
            .extend(stored(engine, move |store| oldest(store, &unknown)).await.unwrap_or_default());
        *lock(&work.waiting) = known;
        let now = engine.now();
        let sync = work.sync();
        let oldest = [work.waiting_since(), sync.retrying_since].into_iter().flatten().min();
        let age = oldest.map_or(0, |since| now.millis_since(since).max(0));
        let batches: u64 = pending.iter().map(|pending| pending.latest - pending.cursor).sum();
        let label = org.id().to_string();
        let show = |name: &'static str, value: f64| {
            metrics::gauge!(name, "org" => label.clone()).set(value);
        };
        let float = |count: u64| u32::try_from(count).map_or(f64::MAX, f64::from);
        let size = |count: usize| float(count as u64);
        show(
            "sloe_org_outbox_age_seconds",
            Duration::from_millis(age.unsigned_abs()).as_secs_f64(),
        );
        show("sloe_org_outbox_pending", float(batches));
        show("sloe_org_retrying", size(sync.retrying));
        show("sloe_org_dead_letters", size(sync.dead_letters));
        show("sloe_org_conflicts", size(sync.conflicts));
    }
}

type Noted = (EventRef, (u64, Timestamp));

/// When the first batch was made that is news to the org.
fn oldest(store: &dyn Store, pending: &[Pending]) -> Result<Vec<Noted>, StoreError> {
    let mut found = Vec::new();
    'events: for Pending { event, cursor, latest } in pending.iter().copied() {
        let mut reached = cursor;
        while reached < latest {
            let Ok(batches) = store.read(event, reached, BATCHES) else { continue 'events };
            let Some(last) = batches.last() else { continue 'events };
            if let Some(first) = batches.iter().find(|b| b.facts.iter().any(Fact::is_outbound)) {
                found.push((event, (cursor, first.at)));
                continue 'events;
            }
            reached = last.version;
        }
    }
    Ok(found)
}
