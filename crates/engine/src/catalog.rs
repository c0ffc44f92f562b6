//! The catalog in memory: what every list needs of every event, and a bounded
//! cache of whole snapshots. A change to one event touches that event only.

use std::collections::BTreeMap;
use std::sync::Arc;

use dashmap::DashMap;
use moka::sync::Cache;
use sloe_core::catalog::{EventStatus, Snapshot};
use sloe_core::ids::{EventRef, OrgId, PublicId, SfId};
use sloe_store::api::{Document, Store, StoreError, Write};
use sloe_store::key::{Collection, Key, Range};
use sloe_store::record;

use crate::tenant::Org;
use crate::token::{Locator, locator};
use crate::view::{Found, Listing};

/// Bytes that cached snapshots may take together.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Slugs of one org that may differ only by their number.
const SLUG_TRIES: usize = 1_000;

/// All that the public may see.
pub struct Catalog {
    listings: DashMap<EventRef, Arc<Listing>>,
    by_locator: DashMap<Locator, EventRef>,
    /// Current slugs of an org's events.
    slugs: DashMap<OrgId, BTreeMap<String, EventRef>>,
    /// Slugs that events had before.
    old_slugs: DashMap<(OrgId, String), EventRef>,
    snapshots: Cache<EventRef, Arc<Snapshot>>,
    /// Events whose snapshot can't be read, its document's version, and why.
    unreadable: DashMap<EventRef, (u64, String)>,
    store: Arc<dyn Store>,
}

impl Catalog {
    /// Reads what lists need of every event.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn load(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let weigh = |_: &EventRef, s: &Arc<Snapshot>| u32::try_from(weight(s)).unwrap_or(u32::MAX);
        let catalog = Self {
            listings: DashMap::new(),
            by_locator: DashMap::new(),
            slugs: DashMap::new(),
            old_slugs: DashMap::new(),
            snapshots: Cache::builder().max_capacity(CACHE_BYTES).weigher(weigh).build(),
            unreadable: DashMap::new(),
            store,
        };
        let mut after = None;
        loop {
            let range = Range::All(Collection::Snapshots);
            let page = catalog.store.scan(range, after.as_ref(), 500)?;
            for (key, document) in &page {
                // One event's damage is that event's only: the next refresh mends it.
                let Some(event) = event_of(key) else { continue };
                if let Ok(snapshot) = catalog.decode(event, document) {
                    catalog.index(&snapshot);
                }
            }
            match page.into_iter().next_back() {
                Some((key, _)) => after = Some(key),
                None => break,
            }
        }
        for (key, document) in
            catalog.store.scan(Range::All(Collection::Slugs), None, usize::MAX)?
        {
            let org = key.id().split_once('/').and_then(|(org, _)| OrgId::parse(org).ok());
            let event = std::str::from_utf8(&document.body).ok().and_then(EventRef::from_partition);
            if let (Some(org), Some(event)) = (org, event) {
                catalog.old_slugs.insert((org, key.local_id().to_owned()), event);
            }
        }
        Ok(catalog)
    }

    /// Whether nothing of an org was ever read.
    #[must_use]
    pub fn is_empty(&self, org: OrgId) -> bool {
        self.slugs.get(&org).is_none_or(|slugs| slugs.is_empty())
    }

    /// An org's events by start; unpublished ones too.
    #[must_use]
    pub fn events(&self, org: OrgId) -> Vec<Arc<Listing>> {
        let events: Vec<EventRef> =
            self.slugs.get(&org).map(|s| s.values().copied().collect()).unwrap_or_default();
        let mut listings: Vec<_> =
            events.iter().filter_map(|e| Some(Arc::clone(&*self.listings.get(e)?))).collect();
        listings.sort_by(|a, b| (a.starts_at, &a.slug).cmp(&(b.starts_at, &b.slug)));
        listings
    }

    /// The event behind a public id or a token's locator.
    #[must_use]
    pub fn at(&self, at: Locator) -> Option<EventRef> {
        self.by_locator.get(&at).map(|event| *event)
    }

    /// The event with this public id.
    #[must_use]
    pub fn by_id(&self, id: PublicId) -> Option<EventRef> {
        self.at(locator(id)).filter(|event| event.public_id() == id)
    }

    /// An event's listing.
    #[must_use]
    pub fn listing(&self, event: EventRef) -> Option<Arc<Listing>> {
        self.listings.get(&event).map(|listing| Arc::clone(&*listing))
    }

    /// Where a slug leads.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn find(&self, org: OrgId, slug: &str) -> Result<Found, StoreError> {
        let here = self.slugs.get(&org).and_then(|slugs| slugs.get(slug).copied());
        if let Some(event) = here {
            return Ok(self.snapshot(event)?.map_or(Found::Nowhere, Found::Here));
        }
        let before = self.old_slugs.get(&(org, slug.to_owned())).map(|event| *event);
        let moved = before.and_then(|event| self.listing(event));
        Ok(moved.map_or(Found::Nowhere, |listing| Found::Moved(listing.slug.clone())))
    }

    /// An event's snapshot, from memory or from the store.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn snapshot(&self, event: EventRef) -> Result<Option<Arc<Snapshot>>, StoreError> {
        if let Some(snapshot) = self.snapshots.get(&event) {
            return Ok(Some(snapshot));
        }
        Ok(self.stored(event)?.map(|snapshot| self.keep(&Arc::new(snapshot))))
    }

    /// An event's snapshot as it is stored.
    fn stored(&self, event: EventRef) -> Result<Option<Snapshot>, StoreError> {
        let Some(scope) = self.store.open_org(event.org)? else { return Ok(None) };
        let Some(document) = self.store.get(&Key::snapshot(scope, event.event))? else {
            return Ok(None);
        };
        self.decode(event, &document).map(Some)
    }

    fn decode(&self, event: EventRef, document: &Document) -> Result<Snapshot, StoreError> {
        record::snapshot::decode(&document.body).map_err(|error| {
            let why = error.to_string();
            tracing::error!(?event, why, "snapshot can't be read; refresh the event");
            self.unreadable.insert(event, (document.version, why.clone()));
            StoreError::Damaged(why)
        })
    }

    /// Events whose snapshot can't be read, and why.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = (EventRef, String)> + '_ {
        self.unreadable.iter().map(|entry| (*entry.key(), entry.value().1.clone()))
    }

    /// Caches what was read from the store, unless something newer was
    /// published meanwhile: that is what stays.
    fn keep(&self, read: &Arc<Snapshot>) -> Arc<Snapshot> {
        let entry = self.snapshots.entry(read.event);
        let newest = |known: Option<moka::Entry<EventRef, Arc<Snapshot>>>| {
            known.map(moka::Entry::into_value).filter(|known| known.version >= read.version)
        };
        entry
            .and_upsert_with(|known| newest(known).unwrap_or_else(|| Arc::clone(read)))
            .into_value()
    }

    /// Whether less of a snapshot is known here than its document's `version`.
    pub(crate) fn is_older(&self, key: &Key, version: u64) -> bool {
        let Some(event) = event_of(key) else { return false };
        let known = self.listing(event).map(|known| known.version);
        let damaged = self.unreadable.get(&event).map(|damaged| damaged.0);
        known.max(damaged).is_none_or(|known| known < version)
    }

    /// Takes up what another node has published of an event.
    ///
    /// # Errors
    /// The store can't be read, or what is stored is damaged.
    pub(crate) fn read_again(&self, key: &Key) -> Result<(), StoreError> {
        let Some(event) = event_of(key) else { return Ok(()) };
        let Some(snapshot) = self.stored(event)? else { return Ok(()) };
        let before = self.listing(event);
        if before.as_ref().is_some_and(|before| before.version >= snapshot.version) {
            return Ok(());
        }
        if let Some(before) = before.filter(|before| before.slug != snapshot.slug) {
            self.retire(event, before.slug.clone());
        }
        let snapshot = self.keep(&Arc::new(snapshot));
        self.index(&snapshot);
        Ok(())
    }

    /// A slug that is an event's no more, and still leads to it.
    fn retire(&self, event: EventRef, slug: String) {
        if let Some(mut slugs) = self.slugs.get_mut(&event.org) {
            slugs.remove(&slug);
        }
        self.old_slugs.insert((event.org, slug), event);
    }

    /// Makes `snapshot` what the public sees, unless it shows the same as
    /// before: sets its version and slug, stores it, then swaps that one entry.
    ///
    /// # Errors
    /// The store does not take it; then nothing changed.
    pub fn publish(
        &self,
        store: &dyn Store,
        org: &Org,
        mut snapshot: Snapshot,
    ) -> Result<(Arc<Snapshot>, bool), StoreError> {
        // On a store of several nodes another one may have published since this one looked.
        let before = if store.is_shared() {
            self.stored(snapshot.event).map(|before| before.map(Arc::new))
        } else {
            self.snapshot(snapshot.event)
        };
        let before = before.or_else(|error| match error {
            // What is published now mends it.
            StoreError::Damaged(_) => Ok(None),
            error => Err(error),
        })?;
        snapshot.slug = self.free_slug(&snapshot);
        if let Some(before) = &before
            && before.shows_the_same(&snapshot)
        {
            self.index(before);
            return Ok((self.keep(before), false));
        }
        let damaged = self.unreadable.get(&snapshot.event).map(|damaged| damaged.0);
        let known = before.as_ref().map(|before| before.version).max(damaged);
        snapshot.version = known.map_or(1, |known| known + 1);
        let mut writes = vec![Write {
            key: Key::snapshot(org.scope, snapshot.event.event),
            version: snapshot.version,
            body: Some(record::snapshot::encode(&snapshot)),
        }];
        let old_slug = before.map(|b| b.slug.clone()).filter(|slug| *slug != snapshot.slug);
        if let Some(slug) = &old_slug {
            writes.push(Write {
                key: Key::slug(org.scope, slug),
                version: snapshot.version,
                body: Some(snapshot.event.partition().into_bytes()),
            });
        }
        store.put(&writes)?;
        if let Some(slug) = old_slug {
            self.retire(snapshot.event, slug);
        }
        let snapshot = Arc::new(snapshot);
        self.index(&snapshot);
        // Not a plain insert: one entry's changes are to wait for each other.
        let entry = self.snapshots.entry(snapshot.event);
        entry.and_upsert_with(|_| Arc::clone(&snapshot));
        Ok((snapshot, true))
    }

    /// Forgets all events of an org; what is stored of them is not touched.
    pub(crate) fn forget(&self, org: OrgId) {
        self.slugs.remove(&org);
        self.old_slugs.retain(|(of, _), _| *of != org);
        self.by_locator.retain(|_, event| event.org != org);
        self.listings.retain(|event, _| event.org != org);
        self.unreadable.retain(|event, _| event.org != org);
        let all: Vec<EventRef> = self.snapshots.iter().map(|(event, _)| *event).collect();
        for event in all.into_iter().filter(|event| event.org == org) {
            self.snapshots.invalidate(&event);
        }
    }

    /// The slug wished for, numbered if another event has it.
    fn free_slug(&self, snapshot: &Snapshot) -> String {
        let event = snapshot.event;
        let Some(slugs) = self.slugs.get(&event.org) else { return snapshot.slug.clone() };
        let free = |slug: &String| slugs.get(slug).is_none_or(|other| *other == event);
        let numbered = (2..SLUG_TRIES).map(|n| format!("{}-{n}", snapshot.slug));
        std::iter::once(snapshot.slug.clone())
            .chain(numbered)
            .find(free)
            .unwrap_or_else(|| snapshot.id.to_string())
    }

    fn index(&self, snapshot: &Snapshot) {
        let event = snapshot.event;
        self.unreadable.remove(&event);
        self.listings.insert(event, Arc::new(listing(snapshot)));
        self.by_locator.insert(locator(snapshot.id), event);
        self.slugs.entry(event.org).or_default().insert(snapshot.slug.clone(), event);
        self.old_slugs.remove(&(event.org, snapshot.slug.clone()));
    }
}

/// The event whose snapshot has a key.
fn event_of(key: &Key) -> Option<EventRef> {
    let (org, event) = key.id().split_once('/')?;
    Some(EventRef { org: OrgId::parse(org).ok()?, event: SfId::parse(event).ok()? })
}

fn listing(snapshot: &Snapshot) -> Listing {
    Listing {
        event: snapshot.event,
        id: snapshot.id,
        version: snapshot.version,
        slug: snapshot.slug.clone(),
        name: snapshot.name.clone(),
        summary: snapshot.summary.clone(),
        starts_at: snapshot.starts_at,
        ends_at: snapshot.ends_at,
        time_zone: snapshot.time_zone.clone(),
        venue: snapshot.place.venue.clone(),
        online: snapshot.place.online_url.is_some(),
        published: snapshot.published,
        cancelled: snapshot.status == EventStatus::Cancelled,
        opens_at: snapshot.opens_at,
        closes_at: snapshot.closes_at,
        has_free_items: snapshot.items.iter().any(|item| item.price.is_none()),
    }
}

/// Roughly the bytes of a snapshot in memory.
fn weight(snapshot: &Snapshot) -> usize {
    let texts = snapshot.description.len() + snapshot.summary.len() + snapshot.name.len();
    let items: usize =
        snapshot.items.iter().map(|i| 200 + i.name.len() + i.description.len()).sum();
    let sessions: usize =
        snapshot.sessions.iter().map(|s| 250 + s.name.len() + s.description.len()).sum();
    800 + texts + items + sessions
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use sloe_core::catalog::AttendeeForm;
    use sloe_core::inbound;

    use super::*;
    use crate::testing::{engine, org_id, raw};

    fn page(name: &str) -> Arc<Snapshot> {
        let accepted = inbound::build(org_id(), &raw(name), "UTC", AttendeeForm::default());
        Arc::new(accepted.unwrap().snapshot)
    }

    #[test]
    fn a_page_that_is_published_while_an_older_one_is_read_is_not_replaced_by_that() {
        let (engine, org, _directory) = engine(None);
        let catalog = engine.catalog();
        let (read, after) = (page("Before"), Snapshot::clone(&page("After")));
        let event = after.event;
        catalog.publish(&**engine.store(), &org, after).unwrap();
        assert_eq!(catalog.keep(&read).name, "After");
        assert_eq!(catalog.snapshot(event).unwrap().unwrap().name, "After");
        // Where there is none it is kept.
        catalog.snapshots.invalidate(&event);
        assert_eq!(catalog.keep(&page("Before")).name, "Before");
        assert_eq!(catalog.snapshot(event).unwrap().unwrap().name, "Before");
    }
}
