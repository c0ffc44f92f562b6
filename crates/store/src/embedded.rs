//! The store inside the process: one SQLite file, one writer, one process.
//!
//! Writers take turns at one connection behind a mutex: a flush takes a
//! fraction of what the inserts around it take, so a queue that gathers the
//! writers of several threads would win nothing, and the engine's combiner
//! already gathers claims. Readers have connections of their own and never
//! wait for the writer.

mod append;
mod fold;
mod open;
mod read;
mod rows;
mod schema;
mod write;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use sloe_core::fact::Batch;
use sloe_core::ids::{ClaimId, EventRef, OrgId};

use crate::api::{
    Append, Appended, Checkpoint, Destination, Document, Fence, Pending, Store, StoreError, Write,
};
use crate::key::{Key, Range};
use crate::scope::OrgScope;
use fold::Folder;
use read::Readers;

/// A store in a directory of this machine.
#[derive(Debug)]
pub struct Embedded {
    // Fields close in this order: the writer's connection is the last to go,
    // and folds what is left of the log into the file; then the lock.
    readers: Readers,
    writer: Option<Writer>,
    _lock: Option<File>,
}

#[derive(Debug)]
struct Writer {
    folder: Folder,
    state: Arc<Mutex<WriterState>>,
    /// Held while a checkpoint is being replaced, chunk by chunk.
    checkpointing: Mutex<()>,
}

#[derive(Debug)]
struct WriterState {
    connection: Connection,
    /// A commit failed half-way. What the disk holds is not known any more,
    /// and a later flush would claim to have written what it lost.
    broken: bool,
}

impl Embedded {
    /// Whether there is a store in `directory`.
    #[must_use]
    pub fn exists(directory: &Path) -> bool {
        directory.join(open::FILE).exists()
    }

    /// Opens the store in `directory`, made if it is missing, for this process alone.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] says what is wrong and what to do: the
    /// directory is in use or can't be written, or what lies in it is damaged,
    /// foreign or of a newer Sloe.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let lock = open::lock(directory)?;
        let path = directory.join(open::FILE);
        let connection = open::writer(&path)?;
        let state = Arc::new(Mutex::new(WriterState { connection, broken: false }));
        let folder = Folder::start(&path, Arc::clone(&state))?;
        let writer = Writer { folder, state, checkpointing: Mutex::new(()) };
        Ok(Self { readers: Readers::new(path), writer: Some(writer), _lock: Some(lock) })
    }

    /// Opens the store in `directory` for reading only, for tools beside a running Sloe.
    ///
    /// # Errors
    /// As [`Embedded::open`]; every write answers [`StoreError::Unusable`].
    pub fn open_read_only(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(open::FILE);
        open::check_readable(&path)?;
        Ok(Self { readers: Readers::new(path), writer: None, _lock: None })
    }

    fn writer(&self) -> Result<&Writer, StoreError> {
        self.writer.as_ref().ok_or_else(|| {
            StoreError::Unusable("the store is open for reading only; nothing was written".into())
        })
    }

    /// Runs `job` in one transaction and makes it durable.
    fn write<T, E: From<StoreError>>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let writer = self.writer()?;
        let mut state = writer.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.broken {
            return Err(StoreError::Unavailable(
                "an earlier write failed half-way: restart Sloe once the disk is well again".into(),
            )
            .into());
        }
        let transaction = state
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(explain)?;
        let answer = job(&transaction)?;
        if let Err(error) = transaction.commit() {
            state.broken = true;
            return Err(StoreError::OutcomeUnknown(error.to_string()).into());
        }
        writer.folder.notice_commit();
        Ok(answer)
    }
}

impl Store for Embedded {
    fn append(&self, appends: &[Append]) -> Result<Vec<Appended>, StoreError> {
        append::append(self, appends)
    }

    fn read(&self, event: EventRef, after: u64, limit: usize) -> Result<Vec<Batch>, StoreError> {
        self.readers.with(|connection| read::batches(connection, event, after, limit))
    }

    fn find(&self, event: EventRef, claim: ClaimId) -> Result<Option<u64>, StoreError> {
        self.readers.with(|connection| read::find(connection, event, claim))
    }

    fn journals(&self) -> Result<Vec<(EventRef, u64)>, StoreError> {
        self.readers.with(read::journals)
    }

    fn put_checkpoint(&self, event: EventRef, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let checkpointing = &self.writer()?.checkpointing;
        let _turn = checkpointing.lock().unwrap_or_else(PoisonError::into_inner);
        write::put_checkpoint(self, event, checkpoint)
    }

    fn checkpoint(&self, event: EventRef) -> Result<Option<Checkpoint>, StoreError> {
        self.readers.with(|connection| read::checkpoint(connection, event))
    }

    fn sealed_of(
        &self,
        event: EventRef,
        claims: &[ClaimId],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.readers.with(|connection| read::sealed_of(connection, event, claims))
    }

    fn get(&self, key: &Key) -> Result<Option<Document>, StoreError> {
        self.readers.with(|connection| read::document(connection, key))
    }

    fn put_under(&self, fence: Option<&Fence>, writes: &[Write]) -> Result<(), StoreError> {
        if writes.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            write::check(transaction, fence)?;
            write::documents(transaction, writes)
        })
    }

    fn scan(
        &self,
        range: Range,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Document)>, StoreError> {
        self.readers.with(|connection| read::scan(connection, range, after, limit))
    }

    fn pending(&self, destination: Destination) -> Result<Vec<Pending>, StoreError> {
        self.readers.with(|connection| read::pending(connection, destination))
    }

    fn versions(&self, range: Range) -> Result<Vec<(Key, u64)>, StoreError> {
        self.readers.with(|connection| read::versions(connection, range))
    }

    fn beyond(&self, known: &[(EventRef, u64)]) -> Result<Vec<EventRef>, StoreError> {
        self.readers.with(|connection| read::beyond(connection, known))
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn advance_under(
        &self,
        fence: Option<&Fence>,
        (destination, event): (Destination, EventRef),
        cursor: u64,
        writes: &[Write],
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            write::check(transaction, fence)?;
            write::advance(transaction, destination, event, cursor)?;
            write::documents(transaction, writes)
        })
    }

    fn open_org(&self, org: OrgId) -> Result<Option<OrgScope>, StoreError> {
        Ok(self.get(&Key::org(org))?.map(|_| OrgScope::new(org)))
    }

    fn add_org(&self, org: OrgId, version: u64, body: Vec<u8>) -> Result<OrgScope, StoreError> {
        self.put(&[Write { key: Key::org(org), version, body: Some(body) }])?;
        Ok(OrgScope::new(org))
    }

    fn discard_projections(&self) -> Result<(), StoreError> {
        let checkpointing = &self.writer()?.checkpointing;
        let _turn = checkpointing.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(write::discard_projections)
    }
}

/// What an error of SQLite means to the caller: before the commit nothing is durable.
#[allow(clippy::needless_pass_by_value, reason = "made for map_err")]
fn explain(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged(format!(
            "the database file is damaged ({error}): stop Sloe and restore a backup"
        )),
        Some(ErrorCode::DiskFull) => {
            StoreError::Unavailable("the disk is full: free some space".into())
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Unavailable(
            "another program keeps the database locked: end its transaction".into(),
        ),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// SQLite counts with signed numbers. Versions count up from 1, so only a
/// caller's mistake gets beyond them.
fn signed(version: u64) -> Result<i64, StoreError> {
    i64::try_from(version)
        .map_err(|_| StoreError::Unavailable(format!("{version} is beyond the last version")))
}

fn name(destination: Destination) -> &'static str {
    match destination {
        Destination::Org => "org",
        Destination::Mail => "mail",
    }
}
