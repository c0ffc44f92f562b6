//! What the embedded store reads, on connections that only read.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row, params};
use sloe_core::fact::Batch;
use sloe_core::ids::{ClaimId, EventRef};
use sloe_core::time::Timestamp;

use super::{explain, name, open, signed};
use crate::api::{Checkpoint, Destination, Document, Pending, StoreError};
use crate::key::{Key, Range};
use crate::record;

/// Connections open at once: more would not read faster, only keep more pages in memory.
const CONNECTIONS: usize = 8;

/// Connections that read, opened when first needed.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct Pool {
    idle: Vec<Connection>,
    busy: usize,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, pool: Mutex::default(), returned: Condvar::new() }
    }

    /// Runs `job` on a connection, waiting for one if all are busy.
    pub(super) fn with<T>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut lent = self.lend();
        let connection = match lent.connection.take() {
            Some(connection) => connection,
            None => open::reader(&self.path).map_err(explain)?,
        };
        job(lent.connection.insert(connection))
    }

    fn lend(&self) -> Lent<'_> {
        let pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pool = self
            .returned
            .wait_while(pool, |pool| pool.busy >= CONNECTIONS)
            .unwrap_or_else(PoisonError::into_inner);
        pool.busy += 1;
        Lent { readers: self, connection: pool.idle.pop() }
    }
}

/// One of the connections; goes back when dropped, also out of a panic.
struct Lent<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut pool = self.readers.pool.lock().unwrap_or_else(PoisonError::into_inner);
        pool.busy -= 1;
        pool.idle.extend(self.connection.take());
        self.readers.returned.notify_one();
    }
}

pub(super) fn batches(
    connection: &Connection,
    event: EventRef,
    after: u64,
    limit: usize,
) -> Result<Vec<Batch>, StoreError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT version, at, nonce, facts FROM journal
             WHERE partition = (SELECT id FROM partitions WHERE name = ?1) AND version > ?2
             ORDER BY version LIMIT ?3",
        )
        .map_err(explain)?;
    let mut rows = statement
        .query(params![event.partition(), signed(after)?, capped(limit)])
        .map_err(explain)?;
    let mut batches = Vec::new();
    while let Some(row) = rows.next().map_err(explain)? {
        let version = count(row, 0).map_err(explain)?;
        let damaged = |what: &dyn std::fmt::Display| {
            StoreError::Damaged(format!("batch {version} of {}: {what}", event.partition()))
        };
        let at = Timestamp(row.get(1).map_err(explain)?);
        let form = row.get_ref(3).and_then(|form| Ok(form.as_blob()?));
        let facts = record::batch::decode(form.map_err(explain)?, at).map_err(|e| damaged(&e))?;
        let nonce = id(row, 2).map_err(|error| damaged(&error))?;
        batches.push(Batch { version, at, nonce, facts });
    }
    Ok(batches)
}

pub(super) fn find(
    connection: &Connection,
    event: EventRef,
    claim: ClaimId,
) -> Result<Option<u64>, StoreError> {
    connection
        .prepare_cached(
            "SELECT version FROM claims
             WHERE partition = (SELECT id FROM partitions WHERE name = ?1) AND claim = ?2",
        )
        .and_then(|mut statement| {
            statement
                .query_row(params![event.partition(), claim.0.to_be_bytes()], |row| count(row, 0))
                .optional()
        })
        .map_err(explain)
}

pub(super) fn journals(connection: &Connection) -> Result<Vec<(EventRef, u64)>, StoreError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT name, version FROM (
                 SELECT name, (SELECT max(version) FROM journal WHERE partition = id) AS version
                 FROM partitions
             ) WHERE version IS NOT NULL ORDER BY name",
        )
        .map_err(explain)?;
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, String>(0)?, count(row, 1)?)))
        .map_err(explain)?;
    rows.map(|row| {
        let (partition, version) = row.map_err(explain)?;
        Ok((event(&partition)?, version))
    })
    .collect()
}

pub(super) fn checkpoint(
    connection: &Connection,
    event: EventRef,
) -> Result<Option<Checkpoint>, StoreError> {
    // One transaction: the chunks must be those that the manifest counts.
    let transaction = connection.unchecked_transaction().map_err(explain)?;
    let manifest = transaction
        .prepare_cached(
            "SELECT partition, version, nonce, generation, chunks FROM checkpoints
             WHERE partition = (SELECT id FROM partitions WHERE name = ?1)",
        )
        .and_then(|mut statement| {
            statement
                .query_row([event.partition()], |row| {
                    let place = (row.get::<_, i64>(0)?, row.get::<_, i64>(3)?);
                    Ok((place, count(row, 1)?, id(row, 2)?, count(row, 4)?))
                })
                .optional()
        })
        .map_err(explain)?;
    let Some((place, version, nonce, total)) = manifest else { return Ok(None) };
    let mut statement = transaction
        .prepare_cached(
            "SELECT body FROM checkpoint_chunks WHERE partition = ?1 AND generation = ?2
             ORDER BY position",
        )
        .map_err(explain)?;
    let chunks: Vec<Vec<u8>> = statement
        .query_map([place.0, place.1], |row| row.get(0))
        .and_then(Iterator::collect)
        .map_err(explain)?;
    Ok((chunks.len() as u64 == total).then_some(Checkpoint { version, nonce, chunks }))
}

/// All in one transaction: without one each row would lock the file anew.
pub(super) fn sealed_of(
    connection: &Connection,
    event: EventRef,
    claims: &[ClaimId],
) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
    let read = || {
        let transaction = connection.unchecked_transaction()?;
        let mut statement = transaction.prepare_cached(
            "SELECT body FROM vault
             WHERE partition = (SELECT id FROM partitions WHERE name = ?1) AND claim = ?2",
        )?;
        let (partition, mut bodies) = (event.partition(), Vec::with_capacity(claims.len()));
        for claim in claims {
            let claim = claim.0.to_be_bytes();
            let body = statement.query_row(params![partition, claim], |row| row.get(0)).optional();
            bodies.push(body?.flatten());
        }
        Ok(bodies)
    };
    read().map_err(explain)
}

pub(super) fn document(connection: &Connection, key: &Key) -> Result<Option<Document>, StoreError> {
    connection
        .prepare_cached("SELECT version, body FROM documents WHERE collection = ?1 AND id = ?2")
        .and_then(|mut statement| {
            statement
                .query_row([key.collection().name(), key.id()], |row| {
                    Ok(Document { version: count(row, 0)?, body: row.get(1)? })
                })
                .optional()
        })
        .map_err(explain)
}

/// Each bound stands once and alone: only then SQLite begins and ends where
/// they are, and does not look at all that comes before or after.
pub(super) const SCAN: &str = "SELECT id, version, body FROM documents
     WHERE collection = ?1 AND id >= ?2 AND id <> ?3 AND id < ?4 ORDER BY id LIMIT ?5";
/// As [`SCAN`].
pub(super) const VERSIONS: &str = "SELECT id, version FROM documents
     WHERE collection = ?1 AND id >= ?2 AND id < ?3 ORDER BY id";

pub(super) fn scan(
    connection: &Connection,
    range: Range,
    after: Option<&Key>,
    limit: usize,
) -> Result<Vec<(Key, Document)>, StoreError> {
    let (collection, first, end) = range.bounds();
    let mut statement = connection.prepare_cached(SCAN).map_err(explain)?;
    let after = after.map_or("", Key::id);
    let from = after.max(&first);
    statement
        .query_map(params![collection.name(), from, after, end, capped(limit)], |row| {
            let key = Key::from_parts(collection, row.get(0)?);
            Ok((key, Document { version: count(row, 1)?, body: row.get(2)? }))
        })
        .and_then(Iterator::collect)
        .map_err(explain)
}

pub(super) fn versions(
    connection: &Connection,
    range: Range,
) -> Result<Vec<(Key, u64)>, StoreError> {
    let (collection, first, end) = range.bounds();
    let mut statement = connection.prepare_cached(VERSIONS).map_err(explain)?;
    statement
        .query_map(params![collection.name(), first, end], |row| {
            Ok((Key::from_parts(collection, row.get(0)?), count(row, 1)?))
        })
        .and_then(Iterator::collect)
        .map_err(explain)
}

pub(super) fn beyond(
    connection: &Connection,
    known: &[(EventRef, u64)],
) -> Result<Vec<EventRef>, StoreError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT 1 FROM journal
             WHERE partition = (SELECT id FROM partitions WHERE name = ?1) AND version > ?2",
        )
        .map_err(explain)?;
    let mut news = Vec::new();
    for (event, version) in known {
        if statement.exists(params![event.partition(), signed(*version)?]).map_err(explain)? {
            news.push(*event);
        }
    }
    Ok(news)
}

pub(super) fn pending(
    connection: &Connection,
    destination: Destination,
) -> Result<Vec<Pending>, StoreError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT name, cursor, latest FROM outbox INDEXED BY outbox_pending
             JOIN partitions ON partitions.id = outbox.partition
             WHERE destination = ?1 AND latest > cursor
             ORDER BY outbox.partition",
        )
        .map_err(explain)?;
    let rows = statement
        .query_map([name(destination)], |row| {
            Ok((row.get::<_, String>(0)?, count(row, 1)?, count(row, 2)?))
        })
        .map_err(explain)?;
    rows.map(|row| {
        let (partition, cursor, latest) = row.map_err(explain)?;
        Ok(Pending { event: event(&partition)?, cursor, latest })
    })
    .collect()
}

fn event(partition: &str) -> Result<EventRef, StoreError> {
    EventRef::from_partition(partition)
        .ok_or_else(|| StoreError::Damaged(format!("{partition:?} names no event's journal")))
}

fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<u128> {
    row.get(column).map(u128::from_be_bytes)
}

/// What [`signed`] wrote.
fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

fn capped(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
