//! The store on MongoDB, for any number of nodes. What one commit did to one
//! event is one document, and inserting it is the commit: two nodes that
//! decided on the same version compete for the same `_id`, and one of them is
//! told. Everything else can be done again from there.
//!
//! Writes are acknowledged by a majority that has them in its log, and what a
//! decision stands on is read from what a majority has.

mod bounded;
mod checkpoints;
mod documents;
mod error;
mod journal;
mod outbox;
mod setup;
mod watch;

pub use bounded::Bounded;

use std::collections::HashMap;
use std::sync::Mutex;

use mongodb::bson::{Bson as Value, Document as Bson};
use mongodb::sync::{Client, Collection, Database};
use sloe_core::fact::Batch;
use sloe_core::ids::{ClaimId, EventRef, OrgId};
use sloe_core::time::Timestamp;

use crate::api::{
    Append, Appended, Checkpoint, Destination, Document, Fence, News, Pending, Store, StoreError,
    Write,
};
use crate::key::{Key, Range};
use crate::scope::OrgScope;

/// A store in a MongoDB database.
#[derive(Debug)]
pub struct Mongo {
    client: Client,
    database: Database,
    /// Up to which version each journal is known to have every batch. It never
    /// loses one, so what was true once stays true.
    reached: Mutex<HashMap<EventRef, u64>>,
}

impl Mongo {
    /// Opens the store at `uri`. The database is the one that the address
    /// names, or `sloe`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it does not answer. [`StoreError::Unusable`]
    /// says what is wrong with it and what to do.
    pub fn open(uri: &str) -> Result<Self, StoreError> {
        let store = Self::connect(uri)?;
        setup::check(&store)?;
        journal::finish_erasures(&store)?;
        Ok(store)
    }

    /// Makes what is missing of the collections and indexes at `uri`; what was
    /// made, in words. Repeatable, beside running nodes too.
    ///
    /// # Errors
    /// As [`Mongo::open`].
    pub fn migrate(uri: &str) -> Result<Vec<String>, StoreError> {
        setup::migrate(&Self::connect(uri)?)
    }

    fn connect(uri: &str) -> Result<Self, StoreError> {
        let (client, database) = setup::connect(uri)?;
        Ok(Self { client, database, reached: Mutex::default() })
    }

    fn collection(&self, name: &str) -> Collection<Bson> {
        self.database.collection(name)
    }
}

impl Store for Mongo {
    fn append(&self, appends: &[Append]) -> Result<Vec<Appended>, StoreError> {
        journal::append(self, appends)
    }

    fn read(&self, event: EventRef, after: u64, limit: usize) -> Result<Vec<Batch>, StoreError> {
        journal::read(self, event, after, limit)
    }

    fn find(&self, event: EventRef, claim: ClaimId) -> Result<Option<u64>, StoreError> {
        journal::find(self, event, claim)
    }

    fn journals(&self) -> Result<Vec<(EventRef, u64)>, StoreError> {
        journal::list(self)
    }

    fn put_checkpoint(&self, event: EventRef, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        checkpoints::put(self, event, checkpoint)
    }

    fn checkpoint(&self, event: EventRef) -> Result<Option<Checkpoint>, StoreError> {
        checkpoints::get(self, event)
    }

    fn sealed_of(
        &self,
        event: EventRef,
        claims: &[ClaimId],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        journal::sealed_of(self, event, claims)
    }

    fn get(&self, key: &Key) -> Result<Option<Document>, StoreError> {
        documents::get(self, key)
    }

    fn put_under(&self, fence: Option<&Fence>, writes: &[Write]) -> Result<(), StoreError> {
        documents::put(self, fence, writes, None)
    }

    fn scan(
        &self,
        range: Range,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Document)>, StoreError> {
        documents::scan(self, range, after, limit)
    }

    fn versions(&self, range: Range) -> Result<Vec<(Key, u64)>, StoreError> {
        documents::versions(self, range)
    }

    fn beyond(&self, known: &[(EventRef, u64)]) -> Result<Vec<EventRef>, StoreError> {
        journal::beyond(self, known)
    }

    fn watch(&self, tell: &mut dyn FnMut(News) -> bool) -> Result<bool, StoreError> {
        watch::watch(self, tell)
    }

    fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        setup::clock(self)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn pending(&self, destination: Destination) -> Result<Vec<Pending>, StoreError> {
        outbox::pending(self, destination)
    }

    fn advance_under(
        &self,
        fence: Option<&Fence>,
        of: (Destination, EventRef),
        cursor: u64,
        writes: &[Write],
    ) -> Result<(), StoreError> {
        outbox::advance(self, fence, of, cursor, writes)
    }

    fn open_org(&self, org: OrgId) -> Result<Option<OrgScope>, StoreError> {
        Ok(documents::exists(self, &Key::org(org))?.then(|| OrgScope::new(org)))
    }

    fn add_org(&self, org: OrgId, version: u64, body: Vec<u8>) -> Result<OrgScope, StoreError> {
        self.put(&[Write { key: Key::org(org), version, body: Some(body) }])?;
        Ok(OrgScope::new(org))
    }

    fn discard_projections(&self) -> Result<(), StoreError> {
        documents::discard_projections(self)?;
        checkpoints::discard(self)
    }
}

/// The name that an event's journal goes by.
fn partition(event: EventRef) -> String {
    event.partition()
}

fn event_of(partition: &str) -> Result<EventRef, StoreError> {
    EventRef::from_partition(partition)
        .ok_or_else(|| StoreError::Damaged(format!("{partition:?} names no event's journal")))
}

/// BSON counts with signed numbers. Versions count up from 1, so only a
/// caller's mistake gets beyond them.
fn signed(version: u64) -> Result<i64, StoreError> {
    i64::try_from(version)
        .map_err(|_| StoreError::Unavailable(format!("{version} is beyond the last version")))
}

/// What [`signed`] wrote; tools make another kind of number of it when
/// somebody saves the document.
fn count(document: &Bson, field: &str) -> Result<u64, StoreError> {
    let value = match document.get(field) {
        Some(Value::Int64(value)) => u64::try_from(*value).ok(),
        Some(Value::Int32(value)) => u64::try_from(*value).ok(),
        Some(Value::Double(value)) if *value >= 0.0 && value.fract() == 0.0 => {
            format!("{value:.0}").parse().ok()
        }
        _ => None,
    };
    value.ok_or_else(|| StoreError::Damaged(format!("a document's {field} is no number")))
}

/// What names no event, in a list of events, is none of ours: the others are listed all the same.
fn passed_over<T>(found: Result<T, StoreError>) -> Option<T> {
    found.inspect_err(|error| tracing::warn!(%error, "a document is passed over")).ok()
}

fn capped(limit: usize) -> i64 {
    // Zero means no limit to MongoDB: callers leave out a look for nothing.
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn name(destination: Destination) -> &'static str {
    match destination {
        Destination::Org => "org",
        Destination::Mail => "mail",
    }
}
