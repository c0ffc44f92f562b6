//! Orders' documents: a fold over each journal, so that making them anew
//! gives the same. Runs behind everything else: small commits, and pauses
//! between them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use sloe_core::fact::{Batch, Fact, Selection, Terms};
use sloe_core::ids::{ClaimId, EventRef, SfId};
use sloe_store::api::{Store, StoreError, Write};
use sloe_store::key::Key;
use sloe_store::record::order::{self, Cancellation, Order, OrderPlace};
use sloe_store::scope::OrgScope;

use super::orgs::lock;
use super::stored;
use crate::engine::Engine;
use crate::nodes::PLATFORM;

/// Batches read at a time.
const BATCHES: usize = 8;
/// Changed orders after which a step ends.
const ORDERS: usize = 500;
/// The pause after a commit while others commit, by the time it took: whoever
/// registers has three times as much of a processor as this.
const PAUSE: u32 = 3;

/// A record that a journal's facts call by a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    /// The event itself: number 0.
    Event,
    Item(SfId),
    Session(SfId),
}

/// The records that a journal has named so far, by number: stored as
/// `item ID` and `session ID`, the event left out.
fn decode(body: &[u8]) -> Result<Vec<Named>, StoreError> {
    let damaged = |what: String| StoreError::Damaged(format!("how far orders are: {what}"));
    let texts: Vec<String> = serde_json::from_slice(body).map_err(|e| damaged(e.to_string()))?;
    let named = |text: &String| {
        let (kind, id) = text.split_once(' ').unwrap_or_default();
        let id = SfId::parse(id).map_err(|e| damaged(e.to_string()))?;
        match kind {
            "item" => Ok(Named::Item(id)),
            "session" => Ok(Named::Session(id)),
            _ => Err(damaged(format!("{text:?} names no record"))),
        }
    };
    std::iter::once(Ok(Named::Event)).chain(texts.iter().map(named)).collect()
}

fn encode(pools: &[Named]) -> Vec<u8> {
    let text = |named: &Named| match named {
        Named::Event => None,
        Named::Item(id) => Some(format!("item {id}")),
        Named::Session(id) => Some(format!("session {id}")),
    };
    let texts: Vec<_> = pools.iter().filter_map(text).collect();
    // A list of texts always makes JSON.
    serde_json::to_vec(&texts).unwrap_or_default()
}

/// Makes every projection anew from the journals.
///
/// # Errors
/// The store's; a journal that contradicts itself is [`StoreError::Damaged`].
pub fn rebuild(store: &dyn Store) -> Result<(), StoreError> {
    store.discard_projections()?;
    for (event, latest) in store.journals()? {
        while step(store, event)?.is_some_and(|reached| reached < latest) {}
    }
    Ok(())
}

/// How often all journals are compared where several nodes commit: one that died may have left
/// orders that nobody else knows of.
const COMPARE: Duration = Duration::from_secs(60);

/// When the journals were last compared with what is projected.
#[derive(Default)]
pub(super) struct Compared(Mutex<Option<Instant>>);

impl Compared {
    /// Whether it is time: once where one process does everything.
    fn is_due(&self, engine: &Engine) -> bool {
        let again = engine.nodes().shared() && engine.nodes().holds(PLATFORM);
        lock(&self.0).is_none_or(|last| again && last.elapsed() >= COMPARE)
    }
}

/// Projects what is new in the journals.
pub(super) async fn look(engine: Engine, compared: &Compared) -> Result<(), String> {
    let mut changed = std::mem::take(&mut *lock(&engine.news().reorder));
    if compared.is_due(&engine) {
        let all = stored(&engine, Store::journals).await.map_err(|error| error.to_string())?;
        changed.extend(all.into_iter().map(|(event, _)| event));
        *lock(&compared.0) = Some(Instant::now());
    }
    changed.retain(|event| engine.registry().by_id(event.org).is_some());
    // Events that have more wait until all others had their turn.
    let (mut failed, mut more) = (Vec::new(), BTreeSet::new());
    while !changed.is_empty() {
        if engine.workers().stopping.is_cancelled() {
            break;
        }
        let (began, events) = (Instant::now(), std::mem::take(&mut changed));
        let again = events.clone();
        let round = match stored(&engine, move |store| round(store, events)).await {
            Ok(round) => round,
            Err(error) => {
                changed = again;
                failed.push(error.to_string());
                break;
            }
        };
        for (event, error) in round.failed {
            // A damaged journal waits for staff, anything else for the next look.
            if !matches!(error, StoreError::Damaged(_)) {
                lock(&engine.news().reorder).insert(event);
            }
            failed.push(format!("orders of {event:?}: {error}"));
        }
        changed = round.left;
        more.extend(round.more);
        if changed.is_empty() {
            changed = std::mem::take(&mut more);
        }
        if round.wrote {
            // While nobody registers, what has piled up is caught up with sooner.
            let times = if lock(&engine.news().reorder).is_empty() { 1 } else { PAUSE };
            let pause = tokio::time::sleep(began.elapsed() * times);
            engine.workers().stopping.run_until_cancelled(pause).await;
        }
    }
    lock(&engine.news().reorder).extend(changed.into_iter().chain(more));
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

/// What became of a few events' new orders.
struct Round {
    /// Events that were not looked at.
    left: BTreeSet<EventRef>,
    /// Events that may have more.
    more: Vec<EventRef>,
    failed: Vec<(EventRef, StoreError)>,
    wrote: bool,
}

/// Projects a little of as many journals as make one commit of a usual size: two
/// hundred events that each have a few new orders are not two hundred commits.
fn round(store: &dyn Store, mut events: BTreeSet<EventRef>) -> Result<Round, StoreError> {
    let (mut writes, mut more, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    while writes.len() < ORDERS
        && let Some(event) = events.pop_first()
    {
        match plan(store, event) {
            Ok(None) => {}
            Ok(Some(step)) => {
                writes.extend(step.writes);
                more.push(event);
            }
            Err(error) => failed.push((event, error)),
        }
    }
    let wrote = !writes.is_empty();
    if wrote {
        store.put(&writes)?;
    }
    Ok(Round { left: events, more, failed, wrote })
}

/// Projects a little more of a journal; the version reached, or `None` at its end.
pub(crate) fn step(store: &dyn Store, event: EventRef) -> Result<Option<u64>, StoreError> {
    let Some(step) = plan(store, event)? else { return Ok(None) };
    store.put(&step.writes)?;
    Ok(Some(step.reached))
}

/// A little more of a journal, to be written in one commit.
struct Step {
    writes: Vec<Write>,
    /// The journal's version that orders are at then.
    reached: u64,
}

fn plan(store: &dyn Store, event: EventRef) -> Result<Option<Step>, StoreError> {
    let Some(scope) = store.open_org(event.org)? else { return Ok(None) };
    let key = Key::projection(scope, event.event);
    let (cursor, mut pools) = match store.get(&key)? {
        Some(document) => (document.version, decode(&document.body)?),
        None => (0, vec![Named::Event]),
    };
    let batches = store.read(event, cursor, BATCHES)?;
    let mut fold = Fold { store, scope, event, pools: &mut pools, changed: BTreeMap::new() };
    let mut reached = None;
    for batch in &batches {
        if fold.changed.len() >= ORDERS {
            break;
        }
        fold.follow(batch)?;
        reached = Some(batch.version);
    }
    let Some(version) = reached else { return Ok(None) };
    let mut writes: Vec<Write> = fold
        .changed
        .iter()
        .map(|(claim, changed)| Write {
            key: Key::order(scope, *claim),
            version: changed.version,
            body: Some(order::encode(changed)),
        })
        .collect();
    writes.push(Write { key, version, body: Some(encode(&pools)) });
    Ok(Some(Step { writes, reached: version }))
}

struct Fold<'a> {
    store: &'a dyn Store,
    scope: OrgScope,
    event: EventRef,
    pools: &'a mut Vec<Named>,
    changed: BTreeMap<ClaimId, Order>,
}

impl Fold<'_> {
    fn follow(&mut self, batch: &Batch) -> Result<(), StoreError> {
        for fact in &batch.facts {
            match fact {
                Fact::TermsSet(terms) => self.name(terms),
                Fact::Confirmed { claim, places, .. } => {
                    let places = places.iter().map(|place| self.place(place));
                    let order = Order {
                        claim: *claim,
                        event: self.event,
                        version: batch.version,
                        reference: claim.reference(),
                        registered_at: batch.at,
                        places: places.collect::<Result<_, _>>()?,
                    };
                    self.changed.insert(*claim, order);
                }
                Fact::Cancelled { claim, place, actor } => {
                    let end = Cancellation { at: batch.at, by: *actor };
                    self.change(*claim, *place, batch.version, |p| p.cancelled = Some(end))?;
                }
                Fact::Erased { claim, place } => {
                    self.change(*claim, *place, batch.version, |p| p.erased = true)?;
                }
                Fact::Held { .. } | Fact::Released { .. } | Fact::Expired { .. } => {}
            }
        }
        Ok(())
    }

    /// Numbers records as the ledger does: in the order in which terms first name them.
    fn name(&mut self, terms: &Terms) {
        let items = terms.items.iter().map(|item| Named::Item(item.pool.record));
        let sessions = terms.sessions.iter().map(|session| Named::Session(session.pool.record));
        let known = &mut self.pools;
        for named in items.chain(sessions) {
            if !known.contains(&named) {
                known.push(named);
            }
        }
    }

    fn place(&self, selection: &Selection) -> Result<OrderPlace, StoreError> {
        let at = |ix: sloe_core::fact::PoolIx| self.pools.get(usize::from(ix.0));
        let Some(Named::Item(item)) = at(selection.item) else {
            return Err(self.odd("a place names no item"));
        };
        let session = |ix: &sloe_core::fact::PoolIx| match at(*ix) {
            Some(Named::Session(session)) => Ok(*session),
            _ => Err(self.odd("a place names no session")),
        };
        Ok(OrderPlace {
            item: *item,
            sessions: selection.sessions.iter().map(session).collect::<Result<_, _>>()?,
            cancelled: None,
            erased: false,
        })
    }

    fn change(
        &mut self,
        claim: ClaimId,
        place: u16,
        version: u64,
        change: impl FnOnce(&mut OrderPlace),
    ) -> Result<(), StoreError> {
        let mut order = match self.changed.remove(&claim) {
            Some(order) => order,
            None => {
                let document = self.store.get(&Key::order(self.scope, claim))?;
                let document = document.ok_or_else(|| self.odd("an order is unknown"))?;
                let read = order::decode(&document.body);
                read.map_err(|error| StoreError::Damaged(error.to_string()))?
            }
        };
        order.version = version;
        let place = usize::from(place).checked_sub(1).and_then(|at| order.places.get_mut(at));
        change(place.ok_or_else(|| self.odd("an attendee is unknown"))?);
        self.changed.insert(claim, order);
        Ok(())
    }

    fn odd(&self, what: &str) -> StoreError {
        StoreError::Damaged(format!("the journal of {:?} contradicts itself: {what}", self.event))
    }
}
