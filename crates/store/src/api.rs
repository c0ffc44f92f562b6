//! What a store does, as few operations as possible. Calls block: they run on
//! the committer's thread or on the runtime's blocking pool.

use sloe_core::fact::Batch;
use sloe_core::ids::{ClaimId, EventRef, OrgId};
use sloe_core::time::Timestamp;

use crate::key::{Key, Range};
use crate::scope::OrgScope;

/// What went wrong with a store, by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was written; trying again may help.
    #[error("the store did not take it: {0}")]
    Unavailable(String),
    /// It may have been written: read the journal before deciding again.
    #[error("the store's answer was lost: {0}")]
    OutcomeUnknown(String),
    /// Something stored can't be read back; only this partition or document is concerned.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
    /// The lease that the write was made under is somebody else's by now: nothing was written.
    #[error("another node has taken this work over")]
    Superseded,
    /// The data directory can't be used; says what to do.
    #[error("{0}")]
    Unusable(String),
}

/// Where the journal's news must still go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// The event's own Salesforce org.
    Org,
    /// Registrants' mailboxes.
    Mail,
}

/// Personal data of a claim, sealed by the engine; the store can't read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Whose.
    pub claim: ClaimId,
    /// The sealed bytes; `None` destroys what is there.
    pub body: Option<Vec<u8>>,
}

/// One batch for one event's journal, with what must become durable with it.
#[derive(Clone, Debug)]
pub struct Append {
    /// Whose journal.
    pub event: EventRef,
    /// Version = the journal's last + 1, or it is a conflict.
    pub batch: Batch,
    /// Vault entries to write or destroy in the same commit.
    pub sealed: Vec<Sealed>,
    /// Which outboxes must look at this batch.
    pub destinations: Vec<Destination>,
}

/// What became of one [`Append`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is durable.
    Committed,
    /// The journal's next version is another one: roll forward and decide again.
    Conflict,
    /// The batch brings in a claim that this journal already has, under another
    /// version. A ledger that has applied the whole journal can't do that:
    /// quarantine the event and raise the alarm. Nothing of the batch is stored.
    Taken(ClaimId),
}

/// A document and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Only a greater version replaces it.
    pub version: u64,
    /// A stored form of [`crate::record`].
    pub body: Vec<u8>,
}

/// One change of a document.
#[derive(Clone, Debug)]
pub struct Write {
    /// Which.
    pub key: Key,
    /// Ignored unless greater than the stored one.
    pub version: u64,
    /// `None` removes it (its version is forgotten).
    pub body: Option<Vec<u8>>,
}

/// A lease that a node holds: what is written under it is taken only while its
/// document has this version, checked in the same commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The lease's document.
    pub lease: Key,
    /// Its version: the lease's epoch, one more with each holder.
    pub epoch: u64,
}

/// What a store tells of changes, whoever made them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A journal has a batch of this version.
    Batch(EventRef, u64),
    /// A document was written or removed.
    Document(Key),
    /// More than can be told: look at everything.
    Anything,
    /// Nothing for a moment; whoever listens may end it now.
    None,
}

/// A discardable copy of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The journal's version it stands at.
    pub version: u64,
    /// That batch's nonce.
    pub nonce: u128,
    /// The encoded ledger, in chunks of at most 4 MB.
    pub chunks: Vec<Vec<u8>>,
}

/// A journal stretch that an outbox has not passed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Whose journal.
    pub event: EventRef,
    /// Everything up to here is done.
    pub cursor: u64,
    /// The newest batch that concerns the destination.
    pub latest: u64,
}

/// A store.
///
/// Every method that writes has made it durable when it returns `Ok`.
pub trait Store: Send + Sync + 'static {
    /// Writes one batch per event touched, all in one commit; answers per
    /// batch, in order. A conflict of one does not disturb the others.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: none is durable.
    /// [`StoreError::OutcomeUnknown`]: read the journal and compare nonces.
    fn append(&self, appends: &[Append]) -> Result<Vec<Appended>, StoreError>;

    /// Up to `limit` batches of an event's journal after version `after`, in order.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the version that can't be read.
    fn read(&self, event: EventRef, after: u64, limit: usize) -> Result<Vec<Batch>, StoreError>;

    /// The version at which a claim first appeared in an event's journal.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn find(&self, event: EventRef, claim: ClaimId) -> Result<Option<u64>, StoreError>;

    /// Every event that has a journal, with its last version.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn journals(&self) -> Result<Vec<(EventRef, u64)>, StoreError>;

    /// Replaces an event's checkpoint, unless what is stored is newer.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn put_checkpoint(&self, event: EventRef, checkpoint: &Checkpoint) -> Result<(), StoreError>;

    /// An event's checkpoint, if a whole one is there.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn checkpoint(&self, event: EventRef) -> Result<Option<Checkpoint>, StoreError>;

    /// A claim's sealed personal data; `None` if there never was any or it was destroyed.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn sealed(&self, event: EventRef, claim: ClaimId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.sealed_of(event, &[claim])?.pop().flatten())
    }

    /// The same of some hundred claims of an event at once, in their order.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn sealed_of(
        &self,
        event: EventRef,
        claims: &[ClaimId],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError>;

    /// A document. Of one that was damaged by hand its body tells: it can't be decoded.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn get(&self, key: &Key) -> Result<Option<Document>, StoreError>;

    /// Writes documents in one commit; those not newer than what is stored are ignored.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; [`StoreError::OutcomeUnknown`]: the same again does no harm.
    fn put(&self, writes: &[Write]) -> Result<(), StoreError> {
        self.put_under(None, writes)
    }

    /// The same, for whoever does it under a lease.
    ///
    /// # Errors
    /// [`StoreError::Superseded`]; as [`Store::put`].
    fn put_under(&self, fence: Option<&Fence>, writes: &[Write]) -> Result<(), StoreError>;

    /// Up to `limit` documents after local or full id `after`, by id.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn scan(
        &self,
        range: Range,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Document)>, StoreError>;

    /// The versions of a range's documents, by id, without their bodies.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn versions(&self, range: Range) -> Result<Vec<(Key, u64)>, StoreError>;

    /// Those of the named journals that go on beyond the version named with
    /// them, in any order.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn beyond(&self, known: &[(EventRef, u64)]) -> Result<Vec<EventRef>, StoreError>;

    /// Tells of changes as they happen, until `tell` says false; blocks as long.
    /// It only shortens waits: news may come late, twice or never. False at once if
    /// this store tells of nothing.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn watch(&self, tell: &mut dyn FnMut(News) -> bool) -> Result<bool, StoreError> {
        let _ = tell;
        Ok(false)
    }

    /// The time by the store's own clock, where that is another machine's.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }

    /// Whether other processes may use what is stored at the same time.
    fn is_shared(&self) -> bool;

    /// Journals with batches for `destination` beyond its cursor.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn pending(&self, destination: Destination) -> Result<Vec<Pending>, StoreError>;

    /// Moves an outbox's cursor forward, never back and never beyond the
    /// journal's last version, with `writes` in the same commit.
    ///
    /// # Errors
    /// As [`Store::put`].
    fn advance(
        &self,
        destination: Destination,
        event: EventRef,
        cursor: u64,
        writes: &[Write],
    ) -> Result<(), StoreError> {
        self.advance_under(None, (destination, event), cursor, writes)
    }

    /// The same, for whoever does it under a lease.
    ///
    /// # Errors
    /// [`StoreError::Superseded`]; as [`Store::put`].
    fn advance_under(
        &self,
        fence: Option<&Fence>,
        of: (Destination, EventRef),
        cursor: u64,
        writes: &[Write],
    ) -> Result<(), StoreError>;

    /// Access to an org's documents, if the store knows the org.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn open_org(&self, org: OrgId) -> Result<Option<OrgScope>, StoreError>;

    /// Writes an org's own document and gives access to the rest.
    ///
    /// # Errors
    /// As [`Store::put`].
    fn add_org(&self, org: OrgId, version: u64, body: Vec<u8>) -> Result<OrgScope, StoreError>;

    /// Discards every projection (orders and how far they got) and checkpoint:
    /// the journal makes them anew. Outbox cursors stay.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn discard_projections(&self) -> Result<(), StoreError>;
}
