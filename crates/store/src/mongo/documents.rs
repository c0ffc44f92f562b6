//! Everything that has a key, a collection for each kind: `_id` is the key's
//! id, `version` what only a greater one replaces. A body that is JSON is
//! stored as a document (`data`), so that it can be read in any tool, if it
//! comes back byte by byte; other bodies as they are (`bytes`).

use std::collections::{BTreeMap, BTreeSet};

use mongodb::bson::{Bson as Value, Document as Bson, doc};
use mongodb::error::{Error, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use mongodb::sync::ClientSession;

use super::error::{explain, explain_write, is_duplicate};
use super::journal::binary;
use super::{Mongo, capped, count, outbox, passed_over, signed};
use crate::api::{Document, Fence, StoreError, Write};
use crate::key::{Collection, Key, Range};

/// How often a transaction that another one disturbed is tried.
const TRIES: u32 = 50;

pub(super) fn get(store: &Mongo, key: &Key) -> Result<Option<Document>, StoreError> {
    let collection = store.collection(key.collection().name());
    let found = collection.find_one(doc! { "_id": key.id() }).run().map_err(explain)?;
    Ok(found.map(|found| read(&found)))
}

/// Whether a document is there, also where it can't be read.
pub(super) fn exists(store: &Mongo, key: &Key) -> Result<bool, StoreError> {
    let collection = store.collection(key.collection().name());
    let found = collection.find_one(doc! { "_id": key.id() }).projection(doc! { "_id": 1 }).run();
    Ok(found.map_err(explain)?.is_some())
}

pub(super) fn scan(
    store: &Mongo,
    range: Range,
    after: Option<&Key>,
    limit: usize,
) -> Result<Vec<(Key, Document)>, StoreError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let (collection, filter) = filter(range, after);
    let found = store
        .collection(collection.name())
        .find(filter)
        .sort(doc! { "_id": 1 })
        .limit(capped(limit))
        .run()
        .map_err(explain)?;
    let mut documents = Vec::new();
    for found in found {
        let found = found.map_err(explain)?;
        let id = found.get_str("_id").map_err(|_| damaged(&found));
        let Some(id) = passed_over(id.map(str::to_owned)) else { continue };
        documents.push((Key::from_parts(collection, id), read(&found)));
    }
    Ok(documents)
}

/// A document's version; of one that has none, the lowest: anything replaces it.
fn version_of(found: &Bson) -> u64 {
    count(found, "version").unwrap_or(0)
}

/// The documents of a range after one of them.
fn filter(range: Range, after: Option<&Key>) -> (Collection, Bson) {
    let (collection, first, end) = range.bounds();
    let from = match after {
        Some(after) if *after.id() >= *first => doc! { "$gt": after.id() },
        _ => doc! { "$gte": first },
    };
    let mut within = from;
    within.insert("$lt", end);
    (collection, doc! { "_id": within })
}

pub(super) fn versions(store: &Mongo, range: Range) -> Result<Vec<(Key, u64)>, StoreError> {
    let (collection, filter) = filter(range, None);
    let found = store
        .collection(collection.name())
        .find(filter)
        .projection(doc! { "version": 1 })
        .sort(doc! { "_id": 1 })
        .run()
        .map_err(explain)?;
    let mut versions = Vec::new();
    for found in found {
        let found = found.map_err(explain)?;
        let id = found.get_str("_id").map_err(|_| damaged(&found));
        let Some(id) = passed_over(id.map(str::to_owned)) else { continue };
        versions.push((Key::from_parts(collection, id), version_of(&found)));
    }
    Ok(versions)
}

/// Writes documents, and an outbox's cursor with them, in one commit.
pub(super) fn put(
    store: &Mongo,
    fence: Option<&Fence>,
    writes: &[Write],
    cursor: Option<&(Bson, i64)>,
) -> Result<(), StoreError> {
    match (writes, cursor) {
        ([], None) => Ok(()),
        _ if fence.is_some() => put_all(store, fence, writes, cursor),
        ([], Some((id, cursor))) => {
            let higher = doc! { "$max": { "cursor": cursor } };
            let cursors = store.collection(outbox::COLLECTION);
            let done = cursors.update_one(doc! { "_id": id }, higher).upsert(true).run();
            done.map(drop).map_err(explain_write)
        }
        ([write], None) => put_one(store, write),
        _ => put_all(store, None, writes, cursor),
    }
}

fn put_one(store: &Mongo, write: &Write) -> Result<(), StoreError> {
    let collection = store.collection(write.key.collection().name());
    let older = doc! { "_id": write.key.id(), "version": not_from(signed(write.version)?) };
    let done = match &write.body {
        None => collection.delete_one(older).run().map(drop),
        Some(body) => {
            let document = document(&write.key, signed(write.version)?, body);
            collection.replace_one(older, document).upsert(true).run().map(drop)
        }
    };
    match done {
        // What is there is as new or newer.
        Err(error) if is_duplicate(&error) => Ok(()),
        done => done.map_err(explain_write),
    }
}

/// Of a version that is lower, or damaged.
fn not_from(version: i64) -> Bson {
    doc! { "$not": { "$gte": version } }
}

/// Why a transaction did not come to its end.
enum Stop {
    Store(StoreError),
    Driver(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Driver(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn put_all(
    store: &Mongo,
    fence: Option<&Fence>,
    writes: &[Write],
    cursor: Option<&(Bson, i64)>,
) -> Result<(), StoreError> {
    let mut session = store.client.start_session().run().map_err(explain)?;
    let mut tries = 0;
    loop {
        tries += 1;
        session.start_transaction().run().map_err(explain)?;
        let trust = if tries == 1 { Trust::Many } else { Trust::Nothing };
        let error = match within(store, &mut session, (fence, writes, trust), cursor) {
            Ok(()) => match commit(&mut session) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            },
            Err(Stop::Store(error)) => {
                let _ = session.abort_transaction().run();
                return Err(error);
            }
            Err(Stop::Driver(error)) => {
                let _ = session.abort_transaction().run();
                error
            }
        };
        // Somebody inserted what was not there a moment ago: then it is there now.
        let again = error.contains_label(TRANSIENT_TRANSACTION_ERROR) || is_duplicate(&error);
        if !again || tries >= TRIES {
            return Err(explain_write(error));
        }
        // Two that disturbed each other must not do so again at once.
        std::thread::sleep(std::time::Duration::from_millis(u64::from(tries.min(20))));
    }
}

/// What is believed of documents before it is looked up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Of many orders at once, that they are new, as those are that have just been made: looking
    /// for five hundred costs as much as writing them. One that is there undoes the try.
    Many,
    Nothing,
}

/// From so many orders on they are believed to be new.
const MANY: usize = 32;

/// Whether there are many orders, each written once.
fn orders_are_new(writes: &[Write]) -> bool {
    let mut ids = BTreeSet::new();
    let mut orders = writes.iter().filter(|write| write.key.collection() == Collection::Orders);
    orders.all(|write| write.body.is_some() && ids.insert(write.key.id())) && ids.len() >= MANY
}

fn within(
    store: &Mongo,
    session: &mut ClientSession,
    (fence, writes, trust): (Option<&Fence>, &[Write], Trust),
    cursor: Option<&(Bson, i64)>,
) -> Result<(), Stop> {
    if let Some(Fence { lease, epoch }) = fence {
        // Not only looked at: whoever takes the lease over meanwhile disturbs this, or is disturbed.
        let held = doc! { "_id": lease.id(), "version": signed(*epoch)? };
        let used = doc! { "$inc": { "used": 1 } };
        let leases = store.collection(lease.collection().name());
        if leases.update_one(held, used).session(&mut *session).run()?.matched_count == 0 {
            return Err(StoreError::Superseded.into());
        }
    }
    if let Some((id, cursor)) = cursor {
        let higher = doc! { "$max": { "cursor": cursor } };
        let cursors = store.collection(outbox::COLLECTION);
        cursors.update_one(doc! { "_id": id }, higher).upsert(true).session(&mut *session).run()?;
    }
    let mut times: BTreeMap<(Collection, &str), u32> = BTreeMap::new();
    for write in writes {
        *times.entry((write.key.collection(), write.key.id())).or_default() += 1;
    }
    let trusted = trust == Trust::Many && orders_are_new(writes);
    let asked =
        writes.iter().filter(|write| !trusted || write.key.collection() != Collection::Orders);
    let mut stored = versions_within(store, session, asked)?;
    let is_new = |place: &(Collection, &str)| !stored.contains_key(place) && times[place] == 1;
    let (new, others): (Vec<&Write>, Vec<&Write>) = writes.iter().partition(|write| {
        write.body.is_some() && is_new(&(write.key.collection(), write.key.id()))
    });
    insert_all(store, session, &new)?;
    // Of several writes to one document each finds what the one before left.
    for write in others {
        let (place, version) = ((write.key.collection(), write.key.id()), signed(write.version)?);
        let before = stored.get(&place).copied();
        let collection = store.collection(write.key.collection().name());
        let of = doc! { "_id": write.key.id() };
        match &write.body {
            Some(body) if before.is_none_or(|before| before < version) => {
                let document = document(&write.key, version, body);
                let replace = collection.replace_one(of, document).upsert(true);
                replace.session(&mut *session).run()?;
                stored.insert(place, version);
            }
            None if before.is_some_and(|before| before < version) => {
                collection.delete_one(of).session(&mut *session).run()?;
                stored.remove(&place);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Inserts documents that are not there, in one call for each kind: a projection
/// makes hundreds of orders at a time.
fn insert_all(store: &Mongo, session: &mut ClientSession, new: &[&Write]) -> Result<(), Stop> {
    let mut by_collection: BTreeMap<Collection, Vec<Bson>> = BTreeMap::new();
    for write in new {
        let Some(body) = &write.body else { continue };
        let document = document(&write.key, signed(write.version)?, body);
        by_collection.entry(write.key.collection()).or_default().push(document);
    }
    for (collection, documents) in by_collection {
        let collection = store.collection(collection.name());
        collection.insert_many(documents).session(&mut *session).run()?;
    }
    Ok(())
}

type Versions<'a> = BTreeMap<(Collection, &'a str), i64>;

/// The versions of what is stored, as the transaction sees them.
fn versions_within<'a>(
    store: &Mongo,
    session: &mut ClientSession,
    writes: impl Iterator<Item = &'a Write>,
) -> Result<Versions<'a>, Stop> {
    let mut ids: BTreeMap<Collection, BTreeSet<&'a str>> = BTreeMap::new();
    for write in writes {
        ids.entry(write.key.collection()).or_default().insert(write.key.id());
    }
    let mut stored = Versions::new();
    for (collection, ids) in ids {
        let all: Vec<&str> = ids.iter().copied().collect();
        let mut found = store
            .collection(collection.name())
            .find(doc! { "_id": { "$in": all } })
            .projection(doc! { "version": 1 })
            .session(&mut *session)
            .run()?;
        for found in found.iter(session) {
            let found = found?;
            if let Some(id) = ids.get(found.get_str("_id").unwrap_or_default()) {
                let version = signed(version_of(&found))?;
                stored.insert((collection, *id), version);
            }
        }
    }
    Ok(stored)
}

fn commit(session: &mut ClientSession) -> Result<(), Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        match session.commit_transaction().run() {
            Err(error)
                if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) && tries < TRIES => {}
            done => return done,
        }
    }
}

fn document(key: &Key, version: i64, body: &[u8]) -> Bson {
    let mut document = doc! { "_id": key.id(), "version": version };
    match as_data(body) {
        Some(data) => document.insert("data", data),
        None => document.insert("bytes", binary(body)),
    };
    document
}

/// A JSON object as a document, if it comes back as it was.
fn as_data(body: &[u8]) -> Option<Bson> {
    let data: Bson = serde_json::from_slice(body).ok()?;
    let same = as_body(&data)? == body;
    same.then_some(data)
}

fn as_body(data: &Bson) -> Option<Vec<u8>> {
    serde_json::to_vec(data).ok()
}

/// What was written. One that is damaged is told from its body, which is none: whoever asked
/// knows what to do about a body that can't be read.
fn read(found: &Bson) -> Document {
    let body = match (found.get("data"), found.get("bytes")) {
        (Some(Value::Document(data)), None) => as_body(data),
        (None, Some(Value::Binary(bytes))) => Some(bytes.bytes.clone()),
        _ => None,
    };
    Document { version: version_of(found), body: body.unwrap_or_default() }
}

fn damaged(found: &Bson) -> StoreError {
    let id = found.get("_id").map(ToString::to_string).unwrap_or_default();
    StoreError::Damaged(format!("the document {id} can't be read"))
}

pub(super) fn discard_projections(store: &Mongo) -> Result<(), StoreError> {
    for collection in [Collection::Orders, Collection::Projections] {
        let all = store.collection(collection.name());
        all.delete_many(doc! {}).run().map_err(explain_write)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_json_can_be_read_in_any_tool_and_comes_back_byte_by_byte() {
        let plain =
            br#"{"format":1,"z":"\u00e9 \ud83c\udf89","a":[1,-2,null,true,{"b":""}],"n":1.5}"#;
        for (body, readable) in [
            (&br#"{"z":1,"a":{"b":[]}}"#[..], true),
            (br#"{"at":1700000000000,"big":9223372036854775807}"#, true),
            (br#"{"beyond":18446744073709551615}"#, false),
            (br#"{"spaces": 1}"#, false),
            (br#"{"twice":1,"twice":2}"#, false),
            (br#"{"$oid":"507f1f77bcf86cd799439011"}"#, false),
            (br#"{"in":{"$date":"2026-01-01T00:00:00Z"}}"#, false),
            (b"[1]", false),
            (b"", false),
            (&[0xff, 0], false),
            (plain, false),
        ] {
            let stored = document(&Key::platform("x"), 3, body);
            assert_eq!(stored.contains_key("data"), readable, "{}", String::from_utf8_lossy(body));
            assert_eq!(read(&stored), Document { version: 3, body: body.to_vec() });
        }
    }

    proptest! {
        #[test]
        fn any_body_comes_back(text in ".*", bytes in proptest::collection::vec(any::<u8>(), 0..200), n: i64, f: f64) {
            let json = serde_json::to_vec(&serde_json::json!({ "t": text, "n": n, "f": f })).unwrap();
            for body in [json, bytes] {
                let stored = document(&Key::platform("x"), 1, &body);
                let over_the_wire: Bson = mongodb::bson::deserialize_from_slice(
                    &mongodb::bson::serialize_to_vec(&stored).unwrap(),
                ).unwrap();
                prop_assert_eq!(read(&over_the_wire).body, body);
            }
        }
    }
}
