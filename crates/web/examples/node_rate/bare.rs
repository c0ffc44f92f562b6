//! What must be written for every registration, by one writer as fast as the
//! driver can: one insert for all that wait, and the orders' documents beside it.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sloe_core::fact::{Batch, Fact, PoolIx, Request, Selection};
use sloe_core::ids::{ClaimId, EventRef, SfId};
use sloe_core::time::Timestamp;
use sloe_store::api::{Append, Appended, Destination, Sealed, Store};
use sloe_store::mongo::Mongo;
use sloe_store::record::order::{self, Order, OrderPlace};

use crate::stage::{self, Failure};

/// One person's name and address once sealed.
const SEALED_BYTES: usize = 140;

pub(super) fn run(uri: &str, duration: Duration, waiting: u64) -> Result<Value, Failure> {
    let store = Mongo::open(uri)?;
    let client = mongodb::sync::Client::with_uri_str(uri)?;
    let database = client.default_database().ok_or("the address names no database")?;
    let orders = database.collection::<mongodb::bson::Document>("bare_orders");
    let journal = write(&store, stage::event(1)?, duration, waiting, |_, _| Ok(()))?;
    // One batch of documents may wait: the writer is never far ahead of them.
    let (documents, batches) = mpsc::sync_channel::<Vec<mongodb::bson::Document>>(1);
    let both = std::thread::scope(|threads| {
        let writer = threads.spawn(move || {
            let insert = |some: Vec<_>| orders.insert_many(some).ordered(false).run().map(drop);
            batches.into_iter().try_for_each(insert)
        });
        let at = stage::event(2)?;
        let item = SfId::parse("a01000000000002")?;
        let both = write(&store, at, duration, waiting, |ids, version| {
            let document = |claim: &ClaimId| document((at, item), *claim, version);
            Ok(documents.send(ids.iter().map(document).collect::<Result<_, _>>()?)?)
        });
        // What waits is written within the time that counts, but for one batch or two.
        drop(documents);
        writer.join().map_err(|_| "the writer of documents ended by a panic")??;
        both
    })?;
    Ok(json!({ "journal_per_second": journal, "per_second": both }))
}

/// Appends batches of so many for so long, each followed by `beside`; claims a second.
fn write(
    store: &Mongo,
    at: EventRef,
    duration: Duration,
    waiting: u64,
    mut beside: impl FnMut(&[ClaimId], u64) -> Result<(), Failure>,
) -> Result<f64, Failure> {
    let (began, mut claims, mut version) = (Instant::now(), 0, 0);
    while began.elapsed() < duration {
        version += 1;
        let (append, ids) = registrations(at, version, waiting);
        if store.append(&[append])? != [Appended::Committed] {
            return Err("a batch was refused".into());
        }
        claims += ids.len();
        beside(&ids, version)?;
    }
    Ok(claims as f64 / began.elapsed().as_secs_f64())
}

fn registrations(event: EventRef, version: u64, count: u64) -> (Append, Vec<ClaimId>) {
    let at = Timestamp(1_800_000_000_000);
    let (mut facts, mut sealed, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for n in version * count..(version + 1) * count {
        // Time first, as in UUIDv7; the rest scattered.
        let scattered = u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let claim = ClaimId(u128::from(n / 64) << 80 | scattered);
        let request = Request { key: scattered << 64 | u128::from(n), body: n };
        let place = Selection { item: PoolIx(1), sessions: std::iter::empty().collect() };
        facts.push(Fact::Confirmed { claim, request, places: vec![place] });
        sealed.push(Sealed { claim, body: Some(vec![0xa5; SEALED_BYTES]) });
        ids.push(claim);
    }
    let batch = Batch { version, at, nonce: u128::from(version), facts };
    let destinations = vec![Destination::Org, Destination::Mail];
    (Append { event, batch, sealed, destinations }, ids)
}

/// An order's document as the store keeps it.
fn document(
    (event, item): (EventRef, SfId),
    claim: ClaimId,
    version: u64,
) -> Result<mongodb::bson::Document, Failure> {
    let place = OrderPlace { item, sessions: Vec::new(), cancelled: None, erased: false };
    let order = Order {
        claim,
        event,
        version,
        reference: claim.reference(),
        registered_at: Timestamp(1_800_000_000_000),
        places: vec![place],
    };
    let body: Value = serde_json::from_slice(&order::encode(&order))?;
    let version = i64::try_from(version)?;
    let id = format!("{}/{}", event.org, claim.text());
    let body = mongodb::bson::serialize_to_bson(&body)?;
    Ok(mongodb::bson::doc! { "_id": id, "version": version, "body": body })
}
