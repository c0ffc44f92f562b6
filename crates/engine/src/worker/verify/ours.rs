//! What Sloe knows of its rows, from its own documents: orders say which rows
//! there are, and the outbox's say what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sloe_core::fact::Actor;
use sloe_core::ids::{ClaimId, EventRef, PublicId, SfId};
use sloe_core::time::Timestamp;
use sloe_core::verify::{Ours, RecordKey};
use sloe_salesforce::RowKind;
use sloe_store::api::{Destination, Document, Store, StoreError};
use sloe_store::key::{Collection, Key, Range};
use sloe_store::record::order::{self, Order};
use sloe_store::scope::OrgScope;
use tokio::time::Instant;

use crate::engine::Engine;
use crate::worker::outbox::file::{self, Dead, Delivered, Seen};
use crate::worker::outbox::letter;
use crate::worker::stored;

/// Orders looked at in one go, so that others get their turn at the store.
const ORDERS: usize = 250;
/// Retries and letters read in one go.
const PAGE: usize = 1_000;
/// Rows that are looked up once more in one go.
pub(super) const AGAIN: usize = 1_000;
/// How long orders may lag behind their journal before their event is left out.
const LAG: Duration = Duration::from_secs(10);
/// Between two looks whether they have caught up.
const LOOK: Duration = Duration::from_millis(50);

/// A row of Sloe's, and what is known of it.
pub(super) struct Known {
    pub(super) key: RecordKey,
    pub(super) event: EventRef,
    pub(super) ours: Ours,
    /// The record's id in the org, if it told one.
    pub(super) id: Option<SfId>,
    /// What the org is known to hold.
    pub(super) seen: Option<Seen>,
    /// The version that changed the order last.
    pub(super) version: u64,
    pub(super) confirmed_at: Timestamp,
    /// There is a letter about it.
    pub(super) lettered: bool,
    /// Its attendee's details were destroyed.
    pub(super) erased: bool,
}

impl Known {
    pub(super) fn kind(&self) -> RowKind {
        kind(&self.key)
    }
}

/// Whether whoever looks at rows has seen enough of them for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enough {
    Yes,
    No,
}

pub(super) fn kind(key: &RecordKey) -> RowKind {
    if key.session.is_some() { RowKind::SessionAttendee } else { RowKind::Attendee }
}

/// How far the outbox was when a comparison began.
pub(super) struct Standing {
    scope: OrgScope,
    /// By event, the version that everything up to was sent, waits or failed.
    cursors: BTreeMap<EventRef, u64>,
    /// By event, its journal's last version.
    latest: BTreeMap<EventRef, u64>,
    /// Rows that wait to be sent again.
    retries: BTreeSet<RecordKey>,
    /// Rows with a letter, and whether a comparison wrote it.
    letters: BTreeMap<RecordKey, bool>,
    /// Kinds of rows whose versions the org has no field for.
    unversioned: Vec<RowKind>,
    /// Rows that staff have just left to the org.
    accepted: BTreeSet<RecordKey>,
}

/// Kinds of rows whose versions an org's mapping has no field for.
fn unversioned(engine: &Engine, scope: OrgScope) -> Vec<RowKind> {
    let org = engine.registry().by_id(scope.org());
    let mut kinds = vec![RowKind::Attendee, RowKind::SessionAttendee];
    kinds.retain(|kind| {
        let mapping = org.as_ref().and_then(|org| org.mapping.mapping.as_ref());
        mapping.is_some_and(|mapping| mapping.rows(*kind).version.is_none())
    });
    kinds
}

impl Standing {
    /// How the outbox of an org stands, with its events.
    pub(super) async fn read(engine: &Engine, scope: OrgScope) -> Result<Arc<Self>, StoreError> {
        let unversioned = unversioned(engine, scope);
        let read = stored(engine, move |store| {
            let mut standing = Self::begin(store, scope, unversioned)?;
            let retries = |key, _: &Document| {
                standing.retries.insert(key);
            };
            each_row(store, Collection::Retries, scope, retries)?;
            let letters = |key, found: &Document| standing.note(key, found);
            each_row(store, Collection::DeadLetters, scope, letters)?;
            Ok(standing)
        });
        read.await.map(Arc::new)
    }

    /// The same, with retries and letters of these rows only.
    pub(super) async fn read_about(
        engine: &Engine,
        scope: OrgScope,
        keys: Vec<RecordKey>,
    ) -> Result<Arc<Self>, StoreError> {
        let unversioned = unversioned(engine, scope);
        let read = stored(engine, move |store| {
            let mut standing = Self::begin(store, scope, unversioned)?;
            for key in keys {
                let text = key.text();
                if let Some(found) = store.get(&Key::dead_letter(scope, &text))? {
                    standing.note(key, &found);
                }
                if store.get(&Key::retry(scope, &text))?.is_some() {
                    standing.retries.insert(key);
                }
            }
            Ok(standing)
        });
        read.await.map(Arc::new)
    }

    fn begin(
        store: &dyn Store,
        scope: OrgScope,
        unversioned: Vec<RowKind>,
    ) -> Result<Self, StoreError> {
        // What is not pending has been passed to the journal's end.
        let mut latest: BTreeMap<_, _> = store.journals()?.into_iter().collect();
        latest.retain(|event, _| event.org == scope.org());
        let mut cursors = latest.clone();
        for pending in store.pending(Destination::Org)? {
            if let Some(cursor) = cursors.get_mut(&pending.event) {
                *cursor = pending.cursor;
            }
        }
        let (retries, letters, accepted) = Default::default();
        Ok(Self { scope, cursors, latest, retries, letters, unversioned, accepted })
    }

    fn note(&mut self, key: RecordKey, letter: &Document) {
        let Ok(dead) = file::decode::<Dead>(&letter.body) else { return };
        if dead.accepted {
            self.accepted.insert(key);
        } else {
            self.letters.insert(key, letter::is_compared(&dead.code));
        }
    }

    pub(super) fn events(&self) -> impl Iterator<Item = EventRef> {
        self.cursors.keys().copied()
    }

    /// Rows whose letters only a comparison settles.
    pub(super) fn compared(&self) -> impl Iterator<Item = RecordKey> {
        self.letters.iter().filter(|(_, compared)| **compared).map(|(key, _)| *key)
    }

    /// The rows of an order.
    pub(super) fn rows(&self, store: &dyn Store, order: &Order) -> Result<Vec<Known>, StoreError> {
        let mut rows = Vec::new();
        for (place, held) in (1_u16..).zip(&order.places) {
            let org = order.event.org;
            let sessions =
                held.sessions.iter().map(|session| Some(PublicId::derive(&org, session)));
            for session in std::iter::once(None).chain(sessions) {
                let key = RecordKey { claim: order.claim, place, session };
                let by_org = held.cancelled.is_some_and(|end| end.by == Actor::Org);
                let registered = held.cancelled.is_none();
                rows.push(self.row(store, order, key, (registered, by_org, held.erased))?);
            }
        }
        Ok(rows)
    }

    fn row(
        &self,
        store: &dyn Store,
        order: &Order,
        key: RecordKey,
        (registered, by_org, erased): (bool, bool, bool),
    ) -> Result<Known, StoreError> {
        let text = key.text();
        let delivered = match store.get(&Key::delivered(self.scope, &text))? {
            Some(found) => Some((found.version, file::decode::<Delivered>(&found.body)?)),
            None => None,
        };
        let letter = self.letters.get(&key).copied();
        let refused = letter == Some(false);
        let passed = self.cursors.get(&order.event).is_some_and(|cursor| order.version <= *cursor);
        let ours = match &delivered {
            _ if by_org || self.accepted.contains(&key) => Ours::Theirs,
            Some((_, known)) if known.gone || known.theirs => Ours::Theirs,
            _ if !passed || self.retries.contains(&key) => Ours::Moving,
            None if refused => Ours::Absent,
            Some(_) if refused => Ours::Moving,
            // It was refused and then erased: there is nothing left to tell.
            Some((_, known)) if erased && known.id.is_none() => Ours::Moving,
            Some(_) if self.unversioned.contains(&kind(&key)) => {
                Ours::Sent { version: Some(0), registered }
            }
            Some((version, _)) => Ours::Sent { version: Some(*version), registered },
            // The outbox has passed it, and nothing says what became of it.
            None => Ours::Sent { version: None, registered },
        };
        Ok(Known {
            key,
            event: order.event,
            ours,
            id: delivered.as_ref().and_then(|(_, known)| known.record()),
            seen: delivered.as_ref().map(|(version, known)| Seen::of(*version, known)),
            version: order.version,
            confirmed_at: order.registered_at,
            lettered: letter.is_some(),
            erased,
        })
    }

    /// Gives every row of an org's orders that `wanted` events have to `see`,
    /// order by order from the one behind `after`, until `see` has enough: then
    /// the order is named that was the last.
    pub(super) async fn each(
        self: &Arc<Self>,
        engine: &Engine,
        wanted: &Arc<BTreeSet<EventRef>>,
        after: Option<ClaimId>,
        mut see: impl FnMut(Known) -> Enough + Send,
    ) -> Result<Option<ClaimId>, StoreError> {
        let mut after = after.map(|claim| Key::order(self.scope, claim));
        loop {
            let (standing, from, only) = (Arc::clone(self), after.take(), Arc::clone(wanted));
            let page = stored(engine, move |store| standing.page(store, from.as_ref(), &only));
            let (rows, last) = page.await?;
            let mut enough = false;
            for row in rows {
                enough |= see(row) == Enough::Yes;
            }
            match last {
                Some(claim) if enough => return Ok(Some(claim)),
                Some(claim) => after = Some(Key::order(self.scope, claim)),
                None => return Ok(None),
            }
        }
    }

    /// The rows of some orders, and the last of these if there may be more.
    fn page(
        &self,
        store: &dyn Store,
        from: Option<&Key>,
        wanted: &BTreeSet<EventRef>,
    ) -> Result<(Vec<Known>, Option<ClaimId>), StoreError> {
        let page = store.scan(Range::Org(Collection::Orders, self.scope), from, ORDERS)?;
        let (mut rows, mut last) = (Vec::new(), None);
        for (_, document) in &page {
            let order = read_order(document)?;
            if wanted.contains(&order.event) {
                rows.extend(self.rows(store, &order)?);
            }
            last = Some(order.claim);
        }
        Ok((rows, last.filter(|_| page.len() == ORDERS)))
    }

    /// What is known of one row now; `None` if no order has it.
    pub(super) fn look(
        &self,
        store: &dyn Store,
        key: &RecordKey,
    ) -> Result<Option<Known>, StoreError> {
        let Some(order) = order_of(store, self.scope, key.claim)? else { return Ok(None) };
        Ok(self.rows(store, &order)?.into_iter().find(|known| known.key == *key))
    }

    /// The same of many rows, some at a time so that others get their turn.
    pub(super) async fn look_at(
        self: &Arc<Self>,
        engine: &Engine,
        keys: &[RecordKey],
    ) -> Result<Vec<Option<Known>>, StoreError> {
        let mut found = Vec::with_capacity(keys.len());
        for some in keys.chunks(AGAIN) {
            let (standing, some) = (Arc::clone(self), some.to_vec());
            let looked = stored(engine, move |store| {
                some.iter().map(|key| standing.look(store, key)).collect::<Result<Vec<_>, _>>()
            });
            found.extend(looked.await?);
        }
        Ok(found)
    }

    /// Events whose orders have caught up with their journal as it was when
    /// this was read; the others can't be judged now.
    pub(super) async fn caught_up(
        &self,
        engine: &Engine,
        only: Option<EventRef>,
    ) -> Result<BTreeSet<EventRef>, StoreError> {
        let mut ready = BTreeSet::new();
        let mut behind: Vec<_> = self.latest.iter().map(|(event, at)| (*event, *at)).collect();
        behind.retain(|(event, _)| only.is_none_or(|only| only == *event));
        let give_up = Instant::now() + LAG;
        while !behind.is_empty() {
            let (scope, asked) = (self.scope, std::mem::take(&mut behind));
            let looked = stored(engine, move |store| {
                let look = |(event, wanted): (EventRef, u64)| {
                    let reached = projected(store, scope, event)?;
                    Ok((event, wanted, reached >= wanted))
                };
                asked.into_iter().map(look).collect::<Result<Vec<_>, StoreError>>()
            });
            for (event, wanted, is_ready) in looked.await? {
                if is_ready {
                    ready.insert(event);
                } else {
                    behind.push((event, wanted));
                }
            }
            if Instant::now() >= give_up {
                break;
            }
            if !behind.is_empty() {
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(ready)
    }
}

fn projected(store: &dyn Store, scope: OrgScope, event: EventRef) -> Result<u64, StoreError> {
    Ok(store.get(&Key::projection(scope, event.event))?.map_or(0, |document| document.version))
}

fn order_of(
    store: &dyn Store,
    scope: OrgScope,
    claim: ClaimId,
) -> Result<Option<Order>, StoreError> {
    store.get(&Key::order(scope, claim))?.as_ref().map(read_order).transpose()
}

fn read_order(document: &Document) -> Result<Order, StoreError> {
    order::decode(&document.body).map_err(|error| StoreError::Damaged(error.to_string()))
}

/// Gives each document about a row to `see`; what has another name is mail's.
fn each_row(
    store: &dyn Store,
    collection: Collection,
    scope: OrgScope,
    mut see: impl FnMut(RecordKey, &Document),
) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = store.scan(Range::Org(collection, scope), after.as_ref(), PAGE)?;
        for (key, document) in &page {
            if let Some(key) = RecordKey::parse(key.local_id()) {
                see(key, document);
            }
        }
        match page.into_iter().nth(PAGE - 1) {
            Some((last, _)) => after = Some(last),
            None => return Ok(()),
        }
    }
}
