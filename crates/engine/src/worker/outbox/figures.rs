//! What is sold, held and left of events, items and sessions, told to the org:
//! the last value only, and not often.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sloe_core::ids::{EventRef, OrgId, SfId};
use sloe_core::ledger::{PoolCount, PoolKey};
use sloe_salesforce::{Figure, FigureRow, Rejection, RowOutcome};
use sloe_store::api::{StoreError, Write};
use sloe_store::key::Key;
use tokio::time::Instant;

use super::file::{self, Told};
use super::remote::Remote;
use super::{Halt, passed};
use crate::engine::Engine;
use crate::ledger::Unanswered;
use crate::tenant::Org;
use crate::worker::orgs::lock;
use crate::worker::stored;

/// What the org was told of one event's records.
type Known = BTreeMap<SfId, FigureRow>;

/// Records whose figures the org refused when they were told last, and why.
pub(in crate::worker) type Refused = Mutex<BTreeMap<SfId, Rejection>>;

/// The figures of one org's events.
pub(super) struct Figures {
    every: Duration,
    /// How long events gather that the org was told nothing of yet, so that many go in one call.
    gather: Duration,
    /// When any were last told.
    at: Option<Instant>,
    /// When all that had changed were last told; a call that failed told nothing.
    round: Option<Instant>,
    wanted: BTreeSet<EventRef>,
    known: BTreeMap<EventRef, Known>,
}

impl Figures {
    /// Figures of an org's events that go once in `every`, all together: were
    /// each event to keep a time of its own, busy ones would soon be told one
    /// by one. The first of an event go at most once in `gather`.
    pub(super) fn new(every: Duration, gather: Duration) -> Self {
        let (wanted, known) = (BTreeSet::new(), BTreeMap::new());
        Self { every, gather, at: None, round: None, wanted, known }
    }

    /// Wants the figures of events told.
    pub(super) fn want(&mut self, events: impl IntoIterator<Item = EventRef>) {
        self.wanted.extend(events);
    }

    /// Wants the figures of events told whatever they were told before.
    pub(super) fn want_anew(&mut self, events: impl IntoIterator<Item = EventRef>) {
        for event in events {
            self.known.remove(&event);
            self.wanted.insert(event);
        }
    }

    /// Wants what an earlier process did not come to tell, and what holds change by ending:
    /// they end by themselves only where their event's ledger is in memory.
    pub(super) async fn load(&mut self, engine: &Engine, org: &Arc<Org>) -> Result<(), Halt> {
        let scope = org.scope;
        let untold = stored(engine, move |store| {
            let mut untold = Vec::new();
            for (event, latest) in store.journals()? {
                if event.org == scope.org() {
                    let ends = |body: &[u8]| file::decode::<Told>(body).map_or(true, |t| t.held);
                    let told = store.get(&key(scope, event))?;
                    let told = told.is_some_and(|t| t.version >= latest && !ends(&t.body));
                    untold.extend((!told).then_some(event));
                }
            }
            Ok(untold)
        });
        self.wanted.extend(untold.await?);
        Ok(())
    }

    /// Tells what is wanted and may be told by now; whether there was anything.
    pub(super) async fn tell(
        &mut self,
        engine: &Engine,
        (org, refused): (&Arc<Org>, &Refused),
        client: &dyn Remote,
    ) -> Result<bool, Halt> {
        if !passed(self.at, self.gather) {
            return Ok(false);
        }
        let round = passed(self.round, self.every);
        let may = |event: &&EventRef| round || !self.known.contains_key(event);
        let events: Vec<EventRef> = self.wanted.iter().filter(may).copied().collect();
        let (mut rows, mut told) = (Vec::new(), Vec::new());
        for event in events {
            let offered = match offered(engine, event) {
                Ok(Some(offered)) => offered,
                // Its terms came before its page, with which it is wanted again.
                Ok(None) => {
                    self.wanted.remove(&event);
                    continue;
                }
                Err(_) => continue,
            };
            let (version, counts) = match engine.desk().counts(event).await {
                Ok(counted) => counted,
                // It waits for staff; the next start wants it again.
                Err(Unanswered::Quarantined(_)) => {
                    self.wanted.remove(&event);
                    continue;
                }
                // One that can't be counted now is counted another time.
                Err(_) => continue,
            };
            self.wanted.remove(&event);
            let known = self.known.entry(event).or_default();
            let changed = counts
                .iter()
                .filter_map(|count| row(event, count))
                .filter(|row| client.has_figures(row.of))
                .filter(|row| row.of == Figure::Event || !sloe_core::planted!(FiguresOfEventOnly))
                .filter(|row| offered.contains(&row.id) && known.get(&row.id) != Some(row));
            rows.extend(changed.map(|row| (event, row)));
            let held = counts.iter().any(|count| count.held > 0);
            told.push((event, version, held));
        }
        if let Err(halt) = self.send((org.id(), refused), client, &rows).await {
            self.wanted.extend(told.iter().map(|(event, ..)| *event));
            return Err(halt);
        }
        // Those with a record that could not be told now are not told yet.
        told.retain(|(event, ..)| !self.wanted.contains(event));
        if round && !rows.is_empty() {
            self.round = Some(Instant::now());
        }
        let scope = org.scope;
        let write = |(event, version, held): &(EventRef, u64, bool)| Write {
            key: key(scope, *event),
            version: *version,
            body: Some(file::encode(&Told { held: *held })),
        };
        let writes: Vec<_> = told.iter().map(write).collect();
        if !writes.is_empty() {
            stored(engine, move |store| store.put(&writes)).await?;
        }
        Ok(!told.is_empty())
    }

    async fn send(
        &mut self,
        (org, refused): (OrgId, &Refused),
        client: &dyn Remote,
        rows: &[(EventRef, FigureRow)],
    ) -> Result<(), Halt> {
        if rows.is_empty() {
            return Ok(());
        }
        self.at = Some(Instant::now());
        let events: BTreeMap<SfId, EventRef> = rows.iter().map(|(e, row)| (row.id, *e)).collect();
        let mut rows: Vec<FigureRow> = rows.iter().map(|(_, row)| *row).collect();
        let sent = client.update_figures(&mut rows).await;
        note_refused(org, refused, &rows, &sent.outcomes);
        for (row, outcome) in rows.iter().zip(&sent.outcomes) {
            let Some(event) = events.get(&row.id) else { continue };
            match outcome {
                RowOutcome::Retry { .. } => {
                    self.wanted.insert(*event);
                }
                // A record that is gone or won't take figures is not asked again for the same.
                RowOutcome::Delivered { .. }
                | RowOutcome::Stale
                | RowOutcome::Deleted
                | RowOutcome::Rejected(_) => {
                    self.known.entry(*event).or_default().insert(row.id, *row);
                }
            }
        }
        // Whether the org took the rest nobody heard: whatever they were told before, they are told
        // again, even if they are by then what they were.
        for row in rows.iter().skip(sent.outcomes.len()) {
            if let Some(known) = events.get(&row.id).and_then(|event| self.known.get_mut(event))
                && !sloe_core::planted!(UnheardFigures)
            {
                known.remove(&row.id);
            }
        }
        sent.halted.map_or(Ok(()), |error| Err(Halt::Org(error)))
    }
}

fn note_refused(org: OrgId, refused: &Refused, rows: &[FigureRow], outcomes: &[RowOutcome]) {
    let mut refused = lock(refused);
    for (row, outcome) in rows.iter().zip(outcomes) {
        match outcome {
            RowOutcome::Rejected(rejection) => {
                let (id, code, fields) = (&row.id, &rejection.code, &rejection.fields);
                tracing::warn!(%org, %id, code, ?fields, "the org refuses figures");
                refused.insert(row.id, rejection.clone());
            }
            // What is gone has none to refuse.
            _ => drop(refused.remove(&row.id)),
        }
    }
}

pub(in crate::worker) fn key(scope: sloe_store::scope::OrgScope, event: EventRef) -> Key {
    Key::delivered(scope, &format!("figures {}", event.event))
}

/// The records that the event still has; `None` before its first page.
///
/// # Errors
/// The store can't be read, or not its page.
pub(in crate::worker) fn offered(
    engine: &Engine,
    event: EventRef,
) -> Result<Option<BTreeSet<SfId>>, StoreError> {
    let Some(snapshot) = engine.catalog().snapshot(event)? else { return Ok(None) };
    let items = snapshot.items.iter().map(|item| item.sf);
    let sessions = snapshot.sessions.iter().map(|session| session.sf);
    Ok(Some(items.chain(sessions).chain([event.event]).collect()))
}

pub(in crate::worker) fn row(event: EventRef, count: &PoolCount) -> Option<FigureRow> {
    let (of, id) = match count.pool {
        PoolKey::Event => (Figure::Event, event.event),
        PoolKey::Item(id) => (Figure::Item, id),
        PoolKey::Session(id) => (Figure::Session, id),
    };
    let sold = count.sold.saturating_add(count.external);
    Some(FigureRow { of, id, sold, held: count.held, remaining: count.left() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use sloe_salesforce::{Mapping, Options, Org as Client};

    use super::*;
    use crate::testing::{engine, event, raw};

    #[tokio::test]
    async fn an_event_without_a_page_is_not_looked_at_for_ever_but_wanted_with_its_page() {
        let (engine, org, _directory) = engine(None);
        // Nothing listens there: this makes no call.
        let credentials = sloe_salesforce::Credentials::clone(&org.connection);
        let client = Client::new(credentials, Mapping::default(), Options::default()).unwrap();
        let mut figures = Figures::new(Duration::ZERO, Duration::ZERO);
        figures.want([event()]);
        let refused = Refused::default();
        assert!(!figures.tell(&engine, (&org, &refused), &client).await.unwrap());
        assert_eq!(figures.wanted, BTreeSet::new());
        assert!(engine.apply_refresh(org.id(), raw("Event")).await.unwrap().changed);
        assert!(lock(&engine.news().recount).contains(&event()));
        engine.stop().await;
    }
}
