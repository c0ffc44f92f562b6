//! A store as it is to whoever works under a lease: what they write is taken
//! only while the lease is theirs, so that one who was paused and goes on as
//! if nothing had happened writes over nobody's work.

use std::sync::Arc;

use sloe_core::fact::Batch;
use sloe_core::ids::{ClaimId, EventRef, OrgId};
use sloe_core::time::Timestamp;

use crate::api::{
    Append, Appended, Checkpoint, Destination, Document, Fence, News, Pending, Store, StoreError,
    Write,
};
use crate::key::{Key, Range};
use crate::scope::OrgScope;

/// A store whose documents and cursors are written under one lease. Journals
/// have a judge of their own: the version.
pub struct Fenced {
    inner: Arc<dyn Store>,
    fence: Fence,
}

impl Fenced {
    /// `inner` under `fence`.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, fence: Fence) -> Self {
        Self { inner, fence }
    }

    /// The fence that was told is the narrower one.
    fn under<'a>(&'a self, fence: Option<&'a Fence>) -> Option<&'a Fence> {
        fence.or(Some(&self.fence))
    }
}

impl Store for Fenced {
    fn append(&self, appends: &[Append]) -> Result<Vec<Appended>, StoreError> {
        self.inner.append(appends)
    }

    fn read(&self, event: EventRef, after: u64, limit: usize) -> Result<Vec<Batch>, StoreError> {
        self.inner.read(event, after, limit)
    }

    fn find(&self, event: EventRef, claim: ClaimId) -> Result<Option<u64>, StoreError> {
        self.inner.find(event, claim)
    }

    fn journals(&self) -> Result<Vec<(EventRef, u64)>, StoreError> {
        self.inner.journals()
    }

    fn put_checkpoint(&self, event: EventRef, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        self.inner.put_checkpoint(event, checkpoint)
    }

    fn checkpoint(&self, event: EventRef) -> Result<Option<Checkpoint>, StoreError> {
        self.inner.checkpoint(event)
    }

    fn sealed_of(
        &self,
        event: EventRef,
        claims: &[ClaimId],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.inner.sealed_of(event, claims)
    }

    fn get(&self, key: &Key) -> Result<Option<Document>, StoreError> {
        self.inner.get(key)
    }

    fn put_under(&self, fence: Option<&Fence>, writes: &[Write]) -> Result<(), StoreError> {
        self.inner.put_under(self.under(fence), writes)
    }

    fn scan(
        &self,
        range: Range,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Document)>, StoreError> {
        self.inner.scan(range, after, limit)
    }

    fn versions(&self, range: Range) -> Result<Vec<(Key, u64)>, StoreError> {
        self.inner.versions(range)
    }

    fn beyond(&self, known: &[(EventRef, u64)]) -> Result<Vec<EventRef>, StoreError> {
        self.inner.beyond(known)
    }

    fn watch(&self, tell: &mut dyn FnMut(News) -> bool) -> Result<bool, StoreError> {
        self.inner.watch(tell)
    }

    fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        self.inner.clock()
    }

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    fn pending(&self, destination: Destination) -> Result<Vec<Pending>, StoreError> {
        self.inner.pending(destination)
    }

    fn advance_under(
        &self,
        fence: Option<&Fence>,
        of: (Destination, EventRef),
        cursor: u64,
        writes: &[Write],
    ) -> Result<(), StoreError> {
        self.inner.advance_under(self.under(fence), of, cursor, writes)
    }

    fn open_org(&self, org: OrgId) -> Result<Option<OrgScope>, StoreError> {
        self.inner.open_org(org)
    }

    fn add_org(&self, org: OrgId, version: u64, body: Vec<u8>) -> Result<OrgScope, StoreError> {
        self.put(&[Write { key: Key::org(org), version, body: Some(body) }])?;
        Ok(OrgScope::new(org))
    }

    fn discard_projections(&self) -> Result<(), StoreError> {
        self.inner.discard_projections()
    }
}
