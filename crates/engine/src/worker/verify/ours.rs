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
use crate::worker::outbox::file::{self, Dead, Delivered};
use crate::worker::outbox::letter;
use crate::worker::stored;

/// Orders looked at in one go, so that others get their turn at the store.
const ORDERS: usize = 250;
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
    /// The version of what the org is known to hold.
    pub(super) seen: Option<u64>,
    /// The version that changed the order last.
    pub(super) version: u64,
    pub(super) confirmed_at: Timestamp,
    /// The code of the letter that there is about it.
    pub(super) letter: Option<String>,
}

impl Known {
    pub(super) fn kind(&self) -> RowKind {
        kind(&self.key)
    }
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
    retries: BTreeSet<String>,
    /// Letters, by external id.
    letters: BTreeMap<String, String>,
    /// Kinds of rows whose versions the org has no field for.
    unversioned: Vec<RowKind>,
    /// Rows that staff have just left to the org.
    accepted: BTreeSet<String>,
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
            let all = |collection| store.scan(Range::Org(collection, scope), None, usize::MAX);
            let name = |(key, _): (Key, _)| key.local_id().to_owned();
            standing.retries = all(Collection::Retries)?.into_iter().map(name).collect();
            for (key, found) in all(Collection::DeadLetters)? {
                standing.note(key.local_id().to_owned(), &found);
            }
            Ok(standing)
        });
        read.await.map(Arc::new)
    }

    /// The same, with retries and letters of these rows only.
    pub(super) async fn read_about(
        engine: &Engine,
        scope: OrgScope,
        keys: Vec<String>,
    ) -> Result<Arc<Self>, StoreError> {
        let unversioned = unversioned(engine, scope);
        let read = stored(engine, move |store| {
            let mut standing = Self::begin(store, scope, unversioned)?;
            for key in keys {
                if let Some(found) = store.get(&Key::dead_letter(scope, &key))? {
                    standing.note(key.clone(), &found);
                }
                if store.get(&Key::retry(scope, &key))?.is_some() {
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

    fn note(&mut self, key: String, letter: &Document) {
        let Ok(dead) = file::decode::<Dead>(&letter.body) else { return };
        if dead.accepted {
            self.accepted.insert(key);
        } else {
            self.letters.insert(key, dead.code);
        }
    }

    pub(super) fn events(&self) -> impl Iterator<Item = EventRef> {
        self.cursors.keys().copied()
    }

    /// Letters that only a comparison settles, by event's rows that are asked for.
    pub(super) fn letters(&self) -> impl Iterator<Item = (&String, &String)> {
        self.letters.iter()
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
        let letter = self.letters.get(&text).cloned();
        let refused = letter.as_ref().is_some_and(|code| !letter::is_compared(code));
        let passed = self.cursors.get(&order.event).is_some_and(|cursor| order.version <= *cursor);
        let ours = match &delivered {
            _ if by_org || self.accepted.contains(&text) => Ours::Theirs,
            Some((_, known)) if known.gone || known.theirs => Ours::Theirs,
            _ if !passed || self.retries.contains(&text) => Ours::Moving,
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
            seen: delivered.as_ref().map(|(version, _)| *version),
            version: order.version,
            confirmed_at: order.registered_at,
            letter,
        })
    }

    /// Gives every row of an org's orders that `wanted` events have to `see`.
    pub(super) async fn each(
        self: &Arc<Self>,
        engine: &Engine,
        wanted: Option<BTreeSet<EventRef>>,
        mut see: impl FnMut(Known) + Send,
    ) -> Result<(), StoreError> {
        let (mut after, wanted) = (None, Arc::new(wanted));
        loop {
            let (standing, from, only) = (Arc::clone(self), after.take(), Arc::clone(&wanted));
            let (rows, last) = stored(engine, move |store| {
                let range = Range::Org(Collection::Orders, standing.scope);
                let page = store.scan(range, from.as_ref(), ORDERS)?;
                let mut rows = Vec::new();
                for (_, document) in &page {
                    let order = order::decode(&document.body)
                        .map_err(|error| StoreError::Damaged(error.to_string()))?;
                    let is_wanted = only.as_ref().as_ref().is_none_or(|w| w.contains(&order.event));
                    if is_wanted {
                        rows.extend(standing.rows(store, &order)?);
                    }
                }
                Ok((rows, page.into_iter().nth(ORDERS - 1).map(|(key, _)| key)))
            })
            .await?;
            rows.into_iter().for_each(&mut see);
            match last {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
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
    let Some(document) = store.get(&Key::order(scope, claim))? else { return Ok(None) };
    let order = order::decode(&document.body);
    order.map(Some).map_err(|error| StoreError::Damaged(error.to_string()))
}
