//! A store in memory, for tests and simulations: does what [`crate::api`] asks
//! and forgets it with its last handle. Everything is kept in order, so that
//! what it answers never depends on chance.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sloe_core::fact::{Batch, Fact};
use sloe_core::ids::{ClaimId, EventRef, OrgId};

use crate::api::{
    Append, Appended, Checkpoint, Destination, Document, Fence, Pending, Store, StoreError, Write,
};
use crate::key::{Collection, Key, Range};
use crate::scope::OrgScope;

/// The store; clones share what is in it.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    journals: BTreeMap<EventRef, Vec<Batch>>,
    claims: BTreeMap<(EventRef, ClaimId), u64>,
    vault: BTreeMap<(EventRef, ClaimId), Vec<u8>>,
    checkpoints: BTreeMap<EventRef, Checkpoint>,
    documents: BTreeMap<Key, Document>,
    /// The newest marked batch and the cursor.
    outboxes: BTreeMap<(Destination, EventRef), (u64, u64)>,
}

impl Memory {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many batches an event's journal has.
    #[must_use]
    pub fn reach(&self, event: EventRef) -> u64 {
        self.content().reach(event)
    }

    /// Throws an event's checkpoint away: it is only a copy.
    pub fn drop_checkpoint(&self, event: EventRef) {
        self.content().checkpoints.remove(&event);
    }
}

impl Content {
    fn reach(&self, event: EventRef) -> u64 {
        self.journals.get(&event).map_or(0, |batches| batches.len() as u64)
    }

    fn append(&mut self, append: &Append) -> Appended {
        let (event, batch) = (append.event, &append.batch);
        if batch.version != self.reach(event) + 1 {
            return Appended::Conflict;
        }
        let mut fresh = BTreeMap::new();
        for fact in &batch.facts {
            let (claim, must_be_new) = match fact {
                Fact::Held { claim, .. } => (*claim, true),
                // New only if it never was a hold.
                Fact::Confirmed { claim, .. } => (*claim, false),
                _ => continue,
            };
            let known = self.claims.contains_key(&(event, claim)) || fresh.contains_key(&claim);
            if known && must_be_new {
                return Appended::Taken(claim);
            }
            if !known {
                fresh.insert(claim, batch.version);
            }
        }
        let fresh = fresh.into_iter().map(|(claim, version)| ((event, claim), version));
        self.claims.extend(fresh);
        for sealed in &append.sealed {
            match &sealed.body {
                Some(body) => self.vault.insert((event, sealed.claim), body.clone()),
                None => self.vault.remove(&(event, sealed.claim)),
            };
        }
        for destination in &append.destinations {
            let mark = self.outboxes.entry((*destination, event)).or_insert((0, 0));
            mark.0 = batch.version;
        }
        self.journals.entry(event).or_default().push(batch.clone());
        Appended::Committed
    }

    fn check(&self, fence: Option<&Fence>) -> Result<(), StoreError> {
        let Some(Fence { lease, epoch }) = fence else { return Ok(()) };
        let held = self.documents.get(lease).is_some_and(|lease| lease.version == *epoch);
        if held { Ok(()) } else { Err(StoreError::Superseded) }
    }

    fn put(&mut self, writes: &[Write]) {
        for write in writes {
            match (self.documents.entry(write.key.clone()), &write.body) {
                (Entry::Occupied(known), _) if known.get().version >= write.version => {}
                (Entry::Occupied(known), None) => drop(known.remove()),
                (Entry::Vacant(_), None) => {}
                (entry, Some(body)) => {
                    entry.insert_entry(Document { version: write.version, body: body.clone() });
                }
            }
        }
    }
}

impl Store for Memory {
    fn append(&self, appends: &[Append]) -> Result<Vec<Appended>, StoreError> {
        let mut content = self.content();
        Ok(appends.iter().map(|append| content.append(append)).collect())
    }

    fn read(&self, event: EventRef, after: u64, limit: usize) -> Result<Vec<Batch>, StoreError> {
        let content = self.content();
        let batches = content.journals.get(&event).map(Vec::as_slice).unwrap_or_default();
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        Ok(batches.iter().skip(after).take(limit).cloned().collect())
    }

    fn find(&self, event: EventRef, claim: ClaimId) -> Result<Option<u64>, StoreError> {
        Ok(self.content().claims.get(&(event, claim)).copied())
    }

    fn journals(&self) -> Result<Vec<(EventRef, u64)>, StoreError> {
        let content = self.content();
        Ok(content.journals.keys().map(|event| (*event, content.reach(*event))).collect())
    }

    fn put_checkpoint(&self, event: EventRef, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let mut content = self.content();
        let known = content.checkpoints.get(&event).map_or(0, |known| known.version);
        if checkpoint.version > known {
            content.checkpoints.insert(event, checkpoint.clone());
        }
        Ok(())
    }

    fn checkpoint(&self, event: EventRef) -> Result<Option<Checkpoint>, StoreError> {
        Ok(self.content().checkpoints.get(&event).cloned())
    }

    fn sealed_of(
        &self,
        event: EventRef,
        claims: &[ClaimId],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let content = self.content();
        Ok(claims.iter().map(|claim| content.vault.get(&(event, *claim)).cloned()).collect())
    }

    fn get(&self, key: &Key) -> Result<Option<Document>, StoreError> {
        Ok(self.content().documents.get(key).cloned())
    }

    fn put_under(&self, fence: Option<&Fence>, writes: &[Write]) -> Result<(), StoreError> {
        let mut content = self.content();
        content.check(fence)?;
        content.put(writes);
        Ok(())
    }

    fn scan(
        &self,
        range: Range,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Document)>, StoreError> {
        let (collection, prefix) = match range {
            Range::All(collection) => (collection, String::new()),
            Range::Org(Collection::Orgs, scope) => (Collection::Orgs, scope.org().to_string()),
            Range::Org(collection, scope) => (collection, format!("{}/", scope.org())),
        };
        let first = Key::from_parts(collection, prefix.clone());
        let from = match after {
            Some(after) if *after >= first => Bound::Excluded(after.clone()),
            _ => Bound::Included(first),
        };
        let content = self.content();
        let found = content.documents.range((from, Bound::Unbounded));
        let own = |key: &Key| key.collection() == collection && key.id().starts_with(&prefix);
        let found = found.take_while(|(key, _)| own(key)).take(limit);
        Ok(found.map(|(key, document)| (key.clone(), document.clone())).collect())
    }

    fn versions(&self, range: Range) -> Result<Vec<(Key, u64)>, StoreError> {
        let all = self.scan(range, None, usize::MAX)?;
        Ok(all.into_iter().map(|(key, document)| (key, document.version)).collect())
    }

    fn beyond(&self, known: &[(EventRef, u64)]) -> Result<Vec<EventRef>, StoreError> {
        let content = self.content();
        let news = known.iter().filter(|(event, version)| content.reach(*event) > *version);
        Ok(news.map(|(event, _)| *event).collect())
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn pending(&self, destination: Destination) -> Result<Vec<Pending>, StoreError> {
        let content = self.content();
        let marked = content.outboxes.iter().filter(|((to, _), _)| *to == destination);
        let pending = marked.filter(|(_, (latest, cursor))| latest > cursor);
        Ok(pending
            .map(|((_, event), (latest, cursor))| Pending {
                event: *event,
                cursor: *cursor,
                latest: *latest,
            })
            .collect())
    }

    fn advance_under(
        &self,
        fence: Option<&Fence>,
        (destination, event): (Destination, EventRef),
        cursor: u64,
        writes: &[Write],
    ) -> Result<(), StoreError> {
        let mut content = self.content();
        content.check(fence)?;
        let reach = content.reach(event);
        let mark = content.outboxes.entry((destination, event)).or_insert((0, 0));
        mark.1 = mark.1.max(cursor.min(reach));
        content.put(writes);
        Ok(())
    }

    fn open_org(&self, org: OrgId) -> Result<Option<OrgScope>, StoreError> {
        let known = self.content().documents.contains_key(&Key::org(org));
        Ok(known.then(|| OrgScope::new(org)))
    }

    fn add_org(&self, org: OrgId, version: u64, body: Vec<u8>) -> Result<OrgScope, StoreError> {
        self.content().put(&[Write { key: Key::org(org), version, body: Some(body) }]);
        Ok(OrgScope::new(org))
    }

    fn discard_projections(&self) -> Result<(), StoreError> {
        let mut content = self.content();
        let projected = [Collection::Orders, Collection::Projections];
        content.documents.retain(|key, _| !projected.contains(&key.collection()));
        content.checkpoints.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;
    use crate::api::Store;

    impl Memory {
        fn open(&self) -> Box<dyn Store> {
            Box::new(self.clone())
        }
    }

    crate::conformance_tests!(Memory::default());
}
