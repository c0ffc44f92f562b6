//! Copies of ledgers: a manifest for each event, written after all chunks of
//! its generation. Two nodes that write one at a time may spoil each other's;
//! then there is none, which costs a longer replay and nothing else.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document as Bson, doc};
use sloe_core::ids::EventRef;

use super::error::{explain, explain_write, is_duplicate};
use super::journal::binary;
use super::{Mongo, count, partition, signed};
use crate::api::{Checkpoint, StoreError};

pub(super) const COLLECTION: &str = "checkpoints";
pub(super) const CHUNKS: &str = "checkpoint_chunks";

pub(super) fn put(
    store: &Mongo,
    event: EventRef,
    checkpoint: &Checkpoint,
) -> Result<(), StoreError> {
    let version = signed(checkpoint.version)?;
    let manifests = store.collection(COLLECTION);
    let of = doc! { "_id": partition(event) };
    let stored = manifests.find_one(of.clone()).run().map_err(explain)?;
    if stored.is_some_and(|stored| stored.get_i64("version").is_ok_and(|stored| stored > version)) {
        return Ok(());
    }
    let generation = ObjectId::new();
    for (chunk, position) in checkpoint.chunks.iter().zip(0_i64..) {
        let chunk = doc! {
            "_id": { "event": partition(event), "generation": generation, "position": position },
            "body": binary(chunk),
        };
        store.collection(CHUNKS).insert_one(chunk).run().map_err(explain_write)?;
    }
    let manifest = doc! {
        "_id": partition(event),
        "version": version,
        "nonce": binary(&checkpoint.nonce.to_be_bytes()),
        "generation": generation,
        "chunks": signed(checkpoint.chunks.len() as u64)?,
    };
    let older = doc! { "_id": partition(event), "version": { "$lte": version } };
    match manifests.replace_one(older, manifest).upsert(true).run() {
        Ok(_) => drop_chunks(store, event, generation, true),
        // Another node was faster, and its copy is newer.
        Err(error) if is_duplicate(&error) => drop_chunks(store, event, generation, false),
        Err(error) => Err(explain_write(error)),
    }
}

/// Drops an event's chunks: those of one generation, or all others.
fn drop_chunks(
    store: &Mongo,
    event: EventRef,
    generation: ObjectId,
    others: bool,
) -> Result<(), StoreError> {
    let which = if others {
        doc! { "$ne": generation }
    } else {
        doc! { "$eq": generation }
    };
    let of = doc! { "_id.event": partition(event), "_id.generation": which };
    store.collection(CHUNKS).delete_many(of).run().map(drop).map_err(explain_write)
}

pub(super) fn get(store: &Mongo, event: EventRef) -> Result<Option<Checkpoint>, StoreError> {
    let of = doc! { "_id": partition(event) };
    let Some(manifest) = store.collection(COLLECTION).find_one(of).run().map_err(explain)? else {
        return Ok(None);
    };
    let damaged = || StoreError::Damaged(format!("the checkpoint of {}", partition(event)));
    let generation = manifest.get_object_id("generation").map_err(|_| damaged())?;
    let nonce = manifest.get_binary_generic("nonce").map_err(|_| damaged())?;
    let nonce = nonce.as_slice().try_into().map_err(|_| damaged())?;
    let (version, total) = (count(&manifest, "version")?, count(&manifest, "chunks")?);
    let found = store
        .collection(CHUNKS)
        .find(doc! { "_id.event": partition(event), "_id.generation": generation })
        .sort(doc! { "_id.position": 1 })
        .run()
        .map_err(explain)?;
    let mut chunks = Vec::new();
    for chunk in found {
        let chunk: Bson = chunk.map_err(explain)?;
        chunks.push(chunk.get_binary_generic("body").map_err(|_| damaged())?.clone());
    }
    let nonce = u128::from_be_bytes(nonce);
    Ok((chunks.len() as u64 == total).then_some(Checkpoint { version, nonce, chunks }))
}

pub(super) fn discard(store: &Mongo) -> Result<(), StoreError> {
    for name in [COLLECTION, CHUNKS] {
        store.collection(name).delete_many(doc! {}).run().map_err(explain_write)?;
    }
    Ok(())
}
