//! Connecting, what the database must have, and making it.

use std::collections::BTreeSet;
use std::time::Duration;

use mongodb::IndexModel;
use mongodb::bson::{Document as Bson, doc};
use mongodb::error::{ErrorKind, WriteFailure};
use mongodb::options::{
    Acknowledgment, ClientOptions, IndexOptions, ReadConcern, ReadPreference, SelectionCriteria,
    WriteConcern,
};
use mongodb::sync::{Client, Database};

use sloe_core::time::Timestamp;

use super::error::explain;
use super::{Mongo, checkpoints, journal, outbox};
use crate::api::StoreError;
use crate::key::Collection;
use crate::server::DATABASE;

/// The oldest MongoDB: 6.0, whose wire version this is.
const OLDEST_WIRE: i32 = 17;
/// What is said of an older one.
pub(super) const TOO_OLD: &str = "this MongoDB is too old: Sloe needs 6.0 or newer";
/// How long a server is looked for before a call is given up.
const SELECTION: Duration = Duration::from_secs(5);
/// How long one may take to be connected.
const CONNECT: Duration = Duration::from_secs(3);
/// The code of a majority that is late, and of what a user may not do.
const TIMED_OUT: i32 = 64;
const FORBIDDEN: i32 = 13;
/// How long a majority may take to have a write.
const MAJORITY: Duration = Duration::from_secs(7);

pub(super) fn connect(uri: &str) -> Result<(Client, Database), StoreError> {
    let mut options = ClientOptions::parse(uri).run().map_err(explain)?;
    options.app_name.get_or_insert_with(|| "sloe".to_owned());
    options.server_selection_timeout.get_or_insert(SELECTION);
    options.connect_timeout.get_or_insert(CONNECT);
    options.retry_writes = Some(true);
    // Whatever the address says of these: a decision must not stand on less.
    options.write_concern = Some(
        WriteConcern::builder()
            .w(Acknowledgment::Majority)
            .journal(true)
            .w_timeout(MAJORITY)
            .build(),
    );
    options.read_concern = Some(ReadConcern::majority());
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    let name = options.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
    let client = Client::with_options(options).map_err(explain)?;
    let database = client.database(&name);
    Ok((client, database))
}

/// An index that the store can't do without.
struct Index {
    collection: &'static str,
    name: &'static str,
    keys: Bson,
    unique: bool,
    /// Only documents that have this field are in it.
    of: Option<&'static str>,
}

fn indexes() -> Vec<Index> {
    let index = |name, keys, of: Option<&'static str>| Index {
        collection: journal::COLLECTION,
        name,
        keys,
        unique: false,
        of,
    };
    vec![
        index("by_event", doc! { "_id.event": 1, "_id.version": -1 }, None),
        Index {
            unique: true,
            ..index("a_claim_is_held_once", doc! { "_id.event": 1, "held": 1 }, Some("held"))
        },
        index("by_confirmed_claim", doc! { "_id.event": 1, "confirmed": 1 }, Some("confirmed")),
        index("by_sealed_claim", doc! { "_id.event": 1, "sealed.claim": 1 }, Some("sealed")),
        index("to_outboxes", doc! { "to": 1, "_id.event": 1, "_id.version": 1 }, Some("to")),
        index("to_be_erased", doc! { "erasing": 1 }, Some("erasing")),
        Index {
            collection: checkpoints::CHUNKS,
            ..index("by_generation", doc! { "_id.event": 1, "_id.generation": 1 }, None)
        },
    ]
}

/// Every collection; transactions of older servers make none.
fn collections() -> BTreeSet<&'static str> {
    let own =
        [journal::COLLECTION, outbox::COLLECTION, checkpoints::COLLECTION, checkpoints::CHUNKS];
    Collection::ALL.into_iter().map(Collection::name).chain(own).collect()
}

/// What is missing, in words.
fn missing(store: &Mongo) -> Result<(BTreeSet<&'static str>, Vec<Index>), StoreError> {
    let there = store.database.list_collection_names().run().map_err(explain)?;
    let mut absent = collections();
    absent.retain(|name| !there.iter().any(|there| there == name));
    let mut left = Vec::new();
    for index in indexes() {
        let known = if absent.contains(index.collection) {
            Vec::new()
        } else {
            store.collection(index.collection).list_index_names().run().map_err(explain)?
        };
        if !known.iter().any(|known| known == index.name) {
            left.push(index);
        }
    }
    Ok((absent, left))
}

/// Refuses a database that can't keep the store's promises.
pub(super) fn check(store: &Mongo) -> Result<(), StoreError> {
    server(store)?;
    let (collections, indexes) = missing(store)?;
    if collections.is_empty() && indexes.is_empty() {
        return Ok(());
    }
    let indexes = indexes.into_iter().map(|index| format!("index {}", index.name));
    let names: Vec<_> =
        collections.into_iter().map(|name| format!("collection {name}")).chain(indexes).collect();
    let (some, more) =
        (names.iter().take(3).cloned().collect::<Vec<_>>(), names.len().saturating_sub(3));
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Err(StoreError::Unusable(format!(
        "the MongoDB database {:?} lacks {}{more}: run `sloe store migrate` once",
        store.database.name(),
        some.join(", ")
    )))
}

fn server(store: &Mongo) -> Result<(), StoreError> {
    let hello = store.database.run_command(doc! { "hello": 1 }).run().map_err(explain)?;
    let wire = hello.get_i32("maxWireVersion").unwrap_or_default();
    if wire < OLDEST_WIRE {
        return Err(StoreError::Unusable(TOO_OLD.into()));
    }
    let set =
        hello.get_str("setName").is_ok() || hello.get_str("msg").is_ok_and(|m| m == "isdbgrid");
    if !set {
        return Err(StoreError::Unusable(
            "this MongoDB is no replica set, so nothing there is acknowledged by a majority: start \
             it with --replSet and run rs.initiate(), also where it is one server"
                .into(),
        ));
    }
    majority(store)
}

/// Has a write acknowledged that changes nothing.
fn majority(store: &Mongo) -> Result<(), StoreError> {
    let documents = store.collection(Collection::Platform.name());
    let done = documents.delete_one(doc! { "_id": "is it acknowledged?" }).run();
    let Err(error) = done else { return Ok(()) };
    Err(match error.kind.as_ref() {
        ErrorKind::Write(WriteFailure::WriteConcernError(late)) if late.code == TIMED_OUT => {
            StoreError::Unavailable(
                "no majority of MongoDB's replica set acknowledges what is written".into(),
            )
        }
        ErrorKind::Write(WriteFailure::WriteConcernError(refused)) => {
            StoreError::Unusable(format!(
                "this MongoDB does not acknowledge what a majority has in its log ({}): Sloe needs \
                 a replica set that does, with w: majority and j: true",
                refused.code_name
            ))
        }
        ErrorKind::Command(command) if command.code == FORBIDDEN => StoreError::Unusable(
            "MongoDB does not let this user write: grant readWrite on the database".into(),
        ),
        _ => explain(error),
    })
}

pub(super) fn migrate(store: &Mongo) -> Result<Vec<String>, StoreError> {
    server(store)?;
    let (collections, indexes) = missing(store)?;
    let mut made = Vec::new();
    for name in collections {
        store.database.create_collection(name).run().map_err(explain)?;
        made.push(format!("collection {name}"));
    }
    for index in indexes {
        let partial = index.of.map(|field| doc! { field: { "$exists": true } });
        let options = IndexOptions::builder()
            .name(index.name.to_owned())
            .unique(index.unique.then_some(true))
            .partial_filter_expression(partial)
            .build();
        let model = IndexModel::builder().keys(index.keys).options(options).build();
        store.collection(index.collection).create_index(model).run().map_err(explain)?;
        made.push(format!("index {} of {}", index.name, index.collection));
    }
    Ok(made)
}

/// The time by the server's clock.
pub(super) fn clock(store: &Mongo) -> Result<Option<Timestamp>, StoreError> {
    let hello = store.database.run_command(doc! { "hello": 1 }).run().map_err(explain)?;
    Ok(hello.get_datetime("localTime").ok().map(|at| Timestamp(at.timestamp_millis())))
}
