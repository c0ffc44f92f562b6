//! What the embedded store writes beside the journal, each function within one transaction.

use rusqlite::{OptionalExtension, Transaction, params};
use sloe_core::ids::EventRef;

use super::rows::{self, blob, number, text};
use super::{Embedded, explain, name, signed};
use crate::api::{Checkpoint, Destination, Fence, StoreError, Write};
use crate::key::Collection;

/// The number of a partition, given to it at its first use.
pub(super) fn intern(transaction: &Transaction<'_>, partition: &str) -> rusqlite::Result<i64> {
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
pub(super) fn last_version(transaction: &Transaction<'_>, partition: i64) -> rusqlite::Result<i64> {
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
    // Of several writes to one document each finds what the one before left.
    for some in writes.chunk_by(|one, next| one.body.is_some() == next.body.is_some()) {
        if some.iter().any(|write| write.body.is_none()) {
            remove(transaction, some)?;
            continue;
        }
        let versions = some.iter().map(|write| signed(write.version));
        let versions = versions.collect::<Result<Vec<i64>, _>>()?;
        let rows: Vec<(&Write, i64)> = some.iter().zip(versions).collect();
        let into = "INSERT INTO documents (collection, id, version, body)";
        let newer = "ON CONFLICT DO UPDATE SET version = excluded.version, body = excluded.body
                     WHERE excluded.version > version";
        rows::insert(transaction, (into, newer), &rows, |(write, version)| {
            let collection = text(write.key.collection().name());
            let body = blob(write.body.as_deref());
            [collection, text(write.key.id()), number(*version), body]
        })
        .map_err(explain)?;
    }
    Ok(())
}

fn remove(transaction: &Transaction<'_>, gone: &[Write]) -> Result<(), StoreError> {
    let sql = "DELETE FROM documents WHERE collection = ?1 AND id = ?2 AND version < ?3";
    let mut statement = transaction.prepare_cached(sql).map_err(explain)?;
    for write in gone {
        let (collection, id) = (write.key.collection().name(), write.key.id());
        statement.execute(params![collection, id, signed(write.version)?]).map_err(explain)?;
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
