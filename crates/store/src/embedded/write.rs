//! What the embedded store writes, each function within one transaction.

use rusqlite::{OptionalExtension, Transaction, params};
use sloe_core::fact::Fact;
use sloe_core::ids::{ClaimId, EventRef};

use super::{Embedded, explain, name, signed};
use crate::api::{Append, Appended, Checkpoint, Destination, Fence, Sealed, StoreError, Write};
use crate::key::Collection;
use crate::record;

/// Why a transaction of appends is given up.
enum Stop {
    Store(StoreError),
    /// The append at this place brings in a claim that its journal already has.
    Taken(usize, ClaimId),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(explain(error))
    }
}

/// An append with all that can be done before it is its turn to write.
struct Entry<'a> {
    append: &'a Append,
    partition: String,
    facts: Vec<u8>,
    /// Claims that may be new, by id, and whether they must be.
    claims: Vec<(ClaimId, bool)>,
    /// By claim: neighbors on the way in are neighbors on the page.
    sealed: Vec<&'a Sealed>,
}

impl<'a> Entry<'a> {
    fn new(append: &'a Append) -> Self {
        let mut claims: Vec<(ClaimId, bool)> = append
            .batch
            .facts
            .iter()
            .filter_map(|fact| match fact {
                Fact::Held { claim, .. } => Some((*claim, true)),
                // New only if it never was a hold.
                Fact::Confirmed { claim, .. } => Some((*claim, false)),
                _ => None,
            })
            .collect();
        // A claim that is held and confirmed in one batch comes in as held.
        claims.sort_unstable_by_key(|(claim, must)| (*claim, !must));
        let mut sealed: Vec<&Sealed> = append.sealed.iter().collect();
        // Stable: of two entries for one claim the later one stands.
        sealed.sort_by_key(|entry| entry.claim);
        Self {
            append,
            partition: append.event.partition(),
            facts: record::batch::encode(&append.batch),
            claims,
            sealed,
        }
    }
}

pub(super) fn append(store: &Embedded, appends: &[Append]) -> Result<Vec<Appended>, StoreError> {
    if appends.is_empty() {
        return Ok(Vec::new());
    }
    let entries: Vec<Entry<'_>> = appends.iter().map(Entry::new).collect();
    let mut taken: Vec<Option<ClaimId>> = vec![None; entries.len()];
    // A taken claim shows when half of its batch is written. It never happens
    // to a sound ledger, so all is undone and the others are written again.
    loop {
        let answer = store.write(|transaction| {
            let mut answers = Vec::with_capacity(entries.len());
            for (place, (entry, taken)) in entries.iter().zip(&taken).enumerate() {
                answers.push(match taken {
                    Some(claim) => Appended::Taken(*claim),
                    None => append_one(transaction, entry, place)?,
                });
            }
            Ok(answers)
        });
        match answer {
            Ok(answers) => return Ok(answers),
            Err(Stop::Store(error)) => return Err(error),
            Err(Stop::Taken(place, claim)) => {
                if let Some(slot) = taken.get_mut(place) {
                    *slot = Some(claim);
                }
            }
        }
    }
}

fn append_one(
    transaction: &Transaction<'_>,
    entry: &Entry<'_>,
    place: usize,
) -> Result<Appended, Stop> {
    let batch = &entry.append.batch;
    let partition = intern(transaction, &entry.partition)?;
    let version = signed(batch.version)?;
    if last_version(transaction, partition)?.checked_add(1) != Some(version) {
        return Ok(Appended::Conflict);
    }
    transaction
        .prepare_cached(
            "INSERT INTO journal (partition, version, at, nonce, facts) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![partition, version, batch.at.0, batch.nonce.to_be_bytes(), entry.facts])?;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO claims (partition, claim, version) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?;
    for (claim, must_be_new) in &entry.claims {
        let added = statement.execute(params![partition, claim.0.to_be_bytes(), version])?;
        if added == 0 && *must_be_new {
            return Err(Stop::Taken(place, *claim));
        }
    }
    let mut statement = transaction.prepare_cached(
        "INSERT INTO vault (partition, claim, body) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET body = excluded.body",
    )?;
    for sealed in &entry.sealed {
        statement.execute(params![partition, sealed.claim.0.to_be_bytes(), sealed.body])?;
    }
    for destination in &entry.append.destinations {
        transaction
            .prepare_cached(
                "INSERT INTO outbox (destination, partition, latest, cursor) VALUES (?1, ?2, ?3, 0)
                 ON CONFLICT DO UPDATE SET latest = excluded.latest",
            )?
            .execute(params![name(*destination), partition, version])?;
    }
    Ok(Appended::Committed)
}

/// The number of a partition, given to it at its first use.
fn intern(transaction: &Transaction<'_>, partition: &str) -> rusqlite::Result<i64> {
    let known = transaction
        .prepare_cached("SELECT id FROM partitions WHERE name = ?1")?
        .query_row([partition], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    transaction
        .prepare_cached("INSERT INTO partitions (name) VALUES (?1)")?
        .execute([partition])?;
    Ok(transaction.last_insert_rowid())
}

/// 0 before the first batch.
fn last_version(transaction: &Transaction<'_>, partition: i64) -> rusqlite::Result<i64> {
    transaction
        .prepare_cached("SELECT coalesce(max(version), 0) FROM journal WHERE partition = ?1")?
        .query_row([partition], |row| row.get(0))
}

/// Whether a lease is still where its holder believes it to be.
pub(super) fn check(
    transaction: &Transaction<'_>,
    fence: Option<&Fence>,
) -> Result<(), StoreError> {
    let Some(Fence { lease, epoch }) = fence else { return Ok(()) };
    let stored: Option<i64> = transaction
        .prepare_cached("SELECT version FROM documents WHERE collection = ?1 AND id = ?2")
        .and_then(|mut s| {
            s.query_row([lease.collection().name(), lease.id()], |row| row.get(0)).optional()
        })
        .map_err(explain)?;
    if stored == Some(signed(*epoch)?) { Ok(()) } else { Err(StoreError::Superseded) }
}

pub(super) fn documents(transaction: &Transaction<'_>, writes: &[Write]) -> Result<(), StoreError> {
    for write in writes {
        let (collection, id) = (write.key.collection().name(), write.key.id());
        let version = signed(write.version)?;
        let done = match &write.body {
            Some(body) => transaction
                .prepare_cached(
                    "INSERT INTO documents (collection, id, version, body) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET version = excluded.version, body = excluded.body
                     WHERE excluded.version > version",
                )
                .and_then(|mut s| s.execute(params![collection, id, version, body])),
            None => transaction
                .prepare_cached(
                    "DELETE FROM documents WHERE collection = ?1 AND id = ?2 AND version < ?3",
                )
                .and_then(|mut s| s.execute(params![collection, id, version])),
        };
        done.map_err(explain)?;
    }
    Ok(())
}

pub(super) fn advance(
    transaction: &Transaction<'_>,
    destination: Destination,
    event: EventRef,
    cursor: u64,
) -> Result<(), StoreError> {
    let cursor = signed(cursor)?;
    let write = || -> rusqlite::Result<()> {
        let partition = intern(transaction, &event.partition())?;
        // Beyond the last batch there is no news yet: it must not be skipped when it comes.
        let cursor = cursor.min(last_version(transaction, partition)?);
        transaction
            .prepare_cached(
                "INSERT INTO outbox (destination, partition, latest, cursor) VALUES (?1, ?2, 0, ?3)
                 ON CONFLICT DO UPDATE SET cursor = max(cursor, excluded.cursor)",
            )?
            .execute(params![name(destination), partition, cursor])?;
        Ok(())
    };
    write().map_err(explain)
}

/// Chunk by chunk, each in a commit of its own, so that claims get their turn
/// in between; the manifest turns to the new generation at the end.
pub(super) fn put_checkpoint(
    store: &Embedded,
    event: EventRef,
    checkpoint: &Checkpoint,
) -> Result<(), StoreError> {
    let version = signed(checkpoint.version)?;
    let chunks = signed(checkpoint.chunks.len() as u64)?;
    let begun = store.write(|transaction| {
        let begin = || -> rusqlite::Result<_> {
            let partition = intern(transaction, &event.partition())?;
            let stored: Option<(i64, i64)> = transaction
                .prepare_cached("SELECT version, generation FROM checkpoints WHERE partition = ?1")?
                .query_row([partition], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            Ok((partition, stored))
        };
        begin().map_err(explain)
    })?;
    let (partition, stored) = begun;
    if stored.is_some_and(|(stored, _)| stored > version) {
        return Ok(());
    }
    let current = stored.map_or(0, |(_, generation)| generation);
    // What an interrupted attempt left behind.
    drop_chunks(store, partition, current)?;
    let generation = current + 1;
    for (chunk, position) in checkpoint.chunks.iter().zip(0_i64..) {
        store.write(|transaction| {
            transaction
                .prepare_cached(
                    "INSERT INTO checkpoint_chunks (partition, generation, position, body)
                     VALUES (?1, ?2, ?3, ?4)",
                )
                .and_then(|mut s| s.execute(params![partition, generation, position, chunk]))
                .map_err(explain)
        })?;
    }
    store.write(|transaction| {
        transaction
            .prepare_cached(
                "INSERT INTO checkpoints (partition, version, nonce, generation, chunks)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO UPDATE SET version = excluded.version, nonce = excluded.nonce,
                     generation = excluded.generation, chunks = excluded.chunks",
            )
            .and_then(|mut statement| {
                let nonce = checkpoint.nonce.to_be_bytes();
                statement.execute(params![partition, version, nonce, generation, chunks])
            })
            .map_err(explain)
    })?;
    drop_chunks(store, partition, generation)
}

/// Drops an event's chunks of all generations but `keep`, a chunk per commit.
fn drop_chunks(store: &Embedded, partition: i64, keep: i64) -> Result<(), StoreError> {
    let drop_one = |transaction: &Transaction<'_>| -> rusqlite::Result<usize> {
        // No personal data here, so the pages need not be overwritten: half the writing.
        transaction.pragma_update(None, "secure_delete", "FAST")?;
        let dropped = transaction
            .prepare_cached(
                "DELETE FROM checkpoint_chunks WHERE rowid = (
                     SELECT rowid FROM checkpoint_chunks
                     WHERE partition = ?1 AND generation <> ?2 LIMIT 1)",
            )
            .and_then(|mut statement| statement.execute([partition, keep]));
        transaction.pragma_update(None, "secure_delete", "ON")?;
        dropped
    };
    while store.write(|transaction| drop_one(transaction).map_err(explain))? > 0 {}
    Ok(())
}

pub(super) fn discard_projections(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let discard = || -> rusqlite::Result<()> {
        for collection in [Collection::Orders, Collection::Projections] {
            transaction
                .execute("DELETE FROM documents WHERE collection = ?1", [collection.name()])?;
        }
        transaction.execute("DELETE FROM checkpoints", [])?;
        transaction.execute("DELETE FROM checkpoint_chunks", [])?;
        Ok(())
    };
    discard().map_err(explain)
}
