//! Whether events, items and sessions show the figures that they were told.

use std::collections::BTreeMap;
use std::sync::Arc;

use sloe_core::ids::EventRef;
use sloe_core::time::Timestamp;
use sloe_core::verify::Difference;
use sloe_salesforce::{Counted, Figures, Rejection};
use sloe_store::api::StoreError;
use sloe_store::scope::OrgScope;

use crate::engine::Engine;
use crate::sync::SyncFault;
use crate::verify::Verified;
use crate::worker::orgs::{OrgWork, lock};
use crate::worker::outbox::{figures, letter};
use crate::worker::stored;

/// Up to which version the org was told the figures of events. Read before the
/// org is asked: what it is told while it answers is no difference.
pub(super) async fn told(
    engine: &Engine,
    scope: OrgScope,
    events: &[EventRef],
) -> Result<BTreeMap<EventRef, u64>, StoreError> {
    let events = events.to_vec();
    stored(engine, move |store| {
        let mut told = BTreeMap::new();
        for event in events {
            let found = store.get(&figures::key(scope, event))?;
            told.extend(found.map(|found| (event, found.version)));
        }
        Ok(told)
    })
    .await
}

/// What helps whatever the reason is.
const REMEDY: &str = "Relax the rule or fill in what is required. If a right is lacking: Sloe's user needs the permission \
                      set Sloe Integration, and the public group Sloe Integration for events that others own. The figures \
                      go again with the next comparison.";

/// Why the org won't take figures, for its staff: by its code, as its own words may name somebody.
fn refusal(now: Timestamp, refused: &Rejection) -> SyncFault {
    let words = letter::words(&refused.code, &refused.fields, letter::About::Row);
    let means = format!("The org refuses what is sold, held and left. {}", words.means);
    SyncFault { at: now, means, remedy: REMEDY.to_owned() }
}

/// Has figures told again that the org doesn't hold as they were `told`. Those
/// of an event with news are told anyway.
pub(super) async fn compare(
    engine: &Engine,
    work: &Arc<OrgWork>,
    told: BTreeMap<EventRef, u64>,
    counted: &Counted,
    verified: &mut Verified,
) -> Result<(), StoreError> {
    let now = engine.now();
    for (event, told) in told {
        let open = engine.catalog().listing(event).is_some_and(|listing| listing.ends_at > now);
        let Some(org) = engine.registry().by_id(event.org).filter(|_| open) else { continue };
        let Some(mapping) = &org.mapping.mapping else { continue };
        // An event that can't be counted now, or has news to tell, is compared another time: until
        // then nobody can say that the org shows what it should.
        let counts = match engine.desk().counts(event).await {
            Ok((version, counts)) if version == told => counts,
            _ => {
                verified.unsure += 1;
                continue;
            }
        };
        let Ok(Some(offered)) = figures::offered(engine, event) else { continue };
        let rows = counts.iter().filter_map(|count| figures::row(event, count));
        let mut differ = 0_u64;
        for row in rows.filter(|row| offered.contains(&row.id)) {
            let Some(found) = counted.figures.get(&row.id) else { continue };
            let wanted =
                Figures { sold: Some(row.sold), held: Some(row.held), remaining: row.remaining };
            let wanted = wanted.as_held(mapping, row.of);
            if *found == wanted {
                continue;
            }
            differ += 1;
            let refused = lock(&work.refused).get(&row.id).cloned();
            verified.note(Difference::Figures, refused.is_none());
            if let Some(refused) = refused {
                verified.refusal.get_or_insert_with(|| refusal(now, &refused));
            }
        }
        if differ > 0 {
            lock(&work.retell).insert(event);
            work.outbox.notify_one();
        }
    }
    Ok(())
}
