//! What must be written for every registration, by one writer as fast as the
//! driver can: one insert for all that wait, and the orders' documents beside it.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sloe_core::fact::{Batch, Fact, PoolIx, Request, Selection};
use sloe_core::ids::{ClaimId, EventRef, SfId};
use sloe_core::time::Timestamp;
use sloe_store::api::{Append, Appended, Destination, Sealed, Store, StoreError, Write};
use sloe_store::key::Key;
use sloe_store::mongo::Mongo;
use sloe_store::record::order::{self, Order, OrderPlace};
use sloe_store::scope::OrgScope;

use crate::stage::{self, Failure};

/// One person's name and address once sealed.
const SEALED_BYTES: usize = 140;

pub(super) fn run(store: &Mongo, duration: Duration, waiting: u64) -> Result<Value, Failure> {
    let at = stage::event(1)?;
    let item = SfId::parse("a01000000000001")?;
    let scope = store.add_org(at.org, 1, b"{}".to_vec())?;
    // One batch of documents may wait: the writer is never far ahead of them.
    let (documents, orders) = mpsc::sync_channel::<Vec<Write>>(1);
    std::thread::scope(|threads| {
        let writer = threads.spawn(move || {
            let write = |some: Vec<Write>| store.put(&some);
            orders.into_iter().try_for_each(write).map(|()| Instant::now())
        });
        let (began, mut claims, mut version) = (Instant::now(), 0, 0);
        while began.elapsed() < duration {
            version += 1;
            let (append, ids) = registrations(at, version, waiting);
            if store.append(&[append])? != [Appended::Committed] {
                return Err("a batch was refused".into());
            }
            claims += ids.len();
            let document = |claim: &ClaimId| document(scope, (at, item), *claim, version);
            documents.send(ids.iter().map(document).collect())?;
        }
        drop(documents);
        let ended: Result<Instant, StoreError> =
            writer.join().map_err(|_| "the writer panicked")?;
        let seconds = (ended? - began).as_secs_f64();
        Ok(json!({ "claims": claims, "per_second": claims as f64 / seconds, "batches": version }))
    })
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

fn document(
    scope: OrgScope,
    (event, item): (EventRef, SfId),
    claim: ClaimId,
    version: u64,
) -> Write {
    let place = OrderPlace { item, sessions: Vec::new(), cancelled: None, erased: false };
    let order = Order {
        claim,
        event,
        version,
        reference: claim.reference(),
        registered_at: Timestamp(1_800_000_000_000),
        places: vec![place],
    };
    Write { key: Key::order(scope, claim), version, body: Some(order::encode(&order)) }
}
