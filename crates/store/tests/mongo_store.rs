//! The store on MongoDB keeps the common promises, and those of its own,
//! against a server process that speaks the real wire protocol.
#![cfg(all(feature = "mongo", feature = "testing"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stand_in;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mongodb::bson::{Document as Bson, doc};
use mongodb::sync::{Client, Collection};
use sloe_core::fact::{Batch, Fact, PoolIx, Request, Selection};
use sloe_core::ids::{ClaimId, EventRef, OrgId, SfId};
use sloe_core::time::Timestamp;
use sloe_store::api::{Append, Appended, News, Sealed, Store, StoreError, Write};
use sloe_store::key::Key;
use sloe_store::mongo::{Bounded, Mongo};
use stand_in::Server;
use stand_in::wire::Wire;
use tempfile::TempDir;

struct Place {
    server: Server,
    directory: TempDir,
}

impl Place {
    fn bare() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { server: Server::start(directory.path()), directory }
    }

    fn new() -> Self {
        let place = Self::bare();
        Mongo::migrate(&place.server.uri()).unwrap();
        place
    }

    fn open(&self) -> Box<dyn Store> {
        Box::new(Bounded::new(Mongo::open(&self.server.uri()).unwrap()))
    }
}

mod conformance {
    use super::Place;
    sloe_store::conformance_tests!(Place::new());
}

fn event(n: u8) -> EventRef {
    EventRef {
        org: OrgId::parse("00D000000000001").unwrap(),
        event: SfId::parse(&format!("a000000000000{n:02}")).unwrap(),
    }
}

/// A batch that confirms the claim of its version.
fn append(event: EventRef, version: u64, nonce: u128) -> Append {
    let claim = ClaimId(version.into());
    let place = Selection { item: PoolIx(1), sessions: [PoolIx(2)].into_iter().collect() };
    let request = Request { key: claim.0, body: 1 };
    let facts = vec![Fact::Confirmed { claim, request, places: vec![place] }];
    let batch = Batch { version, at: Timestamp(1_800_000_000_000), nonce, facts };
    Append { event, batch, sealed: Vec::new(), destinations: Vec::new() }
}

#[test]
fn what_was_acknowledged_is_there_after_the_server_is_killed() {
    let mut place = Place::new();
    let uri = format!("{}?serverSelectionTimeoutMS=500", place.server.uri());
    let store = Mongo::open(&uri).unwrap();
    let acknowledged = [const { AtomicU64::new(0) }; 3];
    let killed = std::thread::scope(|scope| {
        for (n, acknowledged) in (1..).zip(&acknowledged) {
            let store = &store;
            scope.spawn(move || {
                for version in 1..100_000 {
                    match store.append(&[append(event(n), version, version.into())]) {
                        Ok(answers) => assert_eq!(answers, [Appended::Committed]),
                        Err(_) => return,
                    }
                    acknowledged.store(version, Ordering::Release);
                }
            });
        }
        let began = Instant::now();
        let least = || acknowledged.iter().map(|a| a.load(Ordering::Acquire)).min();
        while least() < Some(30) && began.elapsed() < Duration::from_secs(90) {
            std::thread::sleep(Duration::from_millis(5));
        }
        place.server.kill()
    });
    if !killed {
        return;
    }
    place.server.restart(place.directory.path());
    let store = place.open();
    for (n, acknowledged) in (1..).zip(acknowledged) {
        let there = store.read(event(n), 0, usize::MAX).unwrap().len() as u64;
        let told = acknowledged.into_inner();
        // The last one may have been on its way when nobody could be told any more.
        assert!((told..=told + 1).contains(&there), "told {told}, there {there}");
        assert!(told >= 30, "it was killed before it had written anything");
    }
}

#[test]
fn a_batch_whose_answer_was_lost_is_known_by_its_nonce() {
    let place = Place::new();
    let store = place.open();
    let ours = append(event(1), 1, 7);
    assert_eq!(store.append(std::slice::from_ref(&ours)).unwrap(), [Appended::Committed]);
    // The driver sends once more what it heard nothing of.
    assert_eq!(store.append(&[ours]).unwrap(), [Appended::Committed]);
    assert_eq!(store.append(&[append(event(1), 1, 8)]).unwrap(), [Appended::Conflict]);
    assert_eq!(store.journals().unwrap(), [(event(1), 1)]);
}

#[test]
fn details_that_an_ended_process_left_to_be_destroyed_are_at_the_next_start() {
    let place = Place::new();
    let store = place.open();
    let claim = ClaimId(1);
    let mut first = append(event(1), 1, 1);
    first.sealed = vec![Sealed { claim, body: Some(b"sealed".to_vec()) }];
    let mut second = append(event(1), 2, 2);
    second.sealed = vec![Sealed { claim, body: None }];
    store.append(&[first]).unwrap();
    let client = Client::with_uri_str(place.server.uri()).unwrap();
    let journal: Collection<Bson> = client.default_database().unwrap().collection("journal");
    let bytes = |version: i64| -> Option<Bson> {
        let found = journal.find_one(doc! { "_id.version": version }).run().unwrap().unwrap();
        let entries = found.get_array("sealed").unwrap();
        entries.first().and_then(|entry| entry.as_document().cloned())
    };
    let left = bytes(1).unwrap();
    store.append(&[second]).unwrap();
    assert_eq!(bytes(1), None);
    // As if it had ended between the insert and this.
    let undone = doc! { "$set": { "sealed": [left] } };
    journal.update_one(doc! { "_id.version": 1 }, undone).run().unwrap();
    let undone = doc! { "$set": { "erasing": [claim.text()] } };
    journal.update_one(doc! { "_id.version": 2 }, undone).run().unwrap();
    assert_eq!(store.sealed(event(1), claim).unwrap(), None, "the batch says so");
    drop(store);
    let store = place.open();
    assert_eq!(bytes(1), None);
    assert_eq!(store.sealed(event(1), claim).unwrap(), None);
    let left = journal.count_documents(doc! { "erasing": { "$exists": true } }).run().unwrap();
    assert_eq!(left, 0);
}

#[test]
fn a_database_without_what_is_needed_is_refused_until_it_is_migrated_and_that_can_be_repeated() {
    let place = Place::bare();
    let refused = match Mongo::open(&place.server.uri()) {
        Err(StoreError::Unusable(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(refused.contains("sloe store migrate"), "{refused}");
    let made = Mongo::migrate(&place.server.uri()).unwrap();
    assert!(made.iter().any(|made| made.contains("a_claim_is_held_once")), "{made:?}");
    drop(place.open());
    assert_eq!(Mongo::migrate(&place.server.uri()).unwrap(), [""; 0]);
}

#[test]
fn a_server_that_hangs_keeps_nobody_long_and_what_it_had_taken_is_known_afterwards() {
    let place = Place::new();
    let store = place.open();
    assert_eq!(store.append(&[append(event(1), 1, 1)]).unwrap(), [Appended::Committed]);
    if !place.server.signal("STOP") {
        return;
    }
    let began = Instant::now();
    let lost = store.append(&[append(event(1), 2, 2)]);
    assert!(matches!(lost, Err(StoreError::OutcomeUnknown(_))), "{lost:?}");
    // It is known to be away now: at most one of these tries it.
    for _ in 0..20 {
        let denied = store.read(event(1), 0, 10);
        assert!(matches!(denied, Err(StoreError::Unavailable(_))), "{denied:?}");
    }
    // Two bounds of eight seconds, and much for a busy machine; not twenty of them.
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    place.server.signal("CONT");
    let give_up = Instant::now() + Duration::from_secs(90);
    let there = loop {
        match store.read(event(1), 0, 10) {
            Ok(batches) => break batches,
            Err(error) => assert!(Instant::now() < give_up, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let versions: Vec<u64> = there.iter().map(|batch| batch.version).collect();
    assert!(versions == [1] || versions == [1, 2], "{versions:?}");
    // Whichever it was, the same batch again tells.
    assert_eq!(store.append(&[append(event(1), 2, 2)]).unwrap(), [Appended::Committed]);
}

#[test]
fn where_nothing_listens_it_is_said_and_nothing_was_written() {
    let mut place = Place::new();
    let uri = place.server.uri();
    let store = Mongo::open(&format!("{uri}?serverSelectionTimeoutMS=2000")).unwrap();
    if !place.server.kill() {
        return;
    }
    let journals = store.journals();
    assert!(matches!(journals, Err(StoreError::Unavailable(_))), "{journals:?}");
    let opened = Mongo::open("mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=200");
    assert!(matches!(opened, Err(StoreError::Unavailable(_))), "{opened:?}");
    for bad in ["mongodb://", "http://x", "mongodb://h:notaport"] {
        assert!(matches!(Mongo::open(bad), Err(StoreError::Unusable(_))), "{bad}");
    }
}

#[test]
fn changes_are_told_also_those_that_happened_while_the_connection_was_lost() {
    let place = Place::new();
    let Some(port) = place.server.port() else { return };
    let wire = Wire::to(port, |_| None);
    let uri = place.server.uri().replace(&port.to_string(), &wire.port.to_string());
    let listener = Mongo::open(&format!("{uri}?directConnection=true")).unwrap();
    let store = place.open();
    let scope = store.add_org(event(1).org, 1, b"{}".to_vec()).unwrap();
    let (tell, told) = mpsc::channel();
    let thread = std::thread::spawn(move || listener.watch(&mut |news| tell.send(news).is_ok()));
    let wait_for = |wanted: News| loop {
        let news = told.recv_timeout(Duration::from_secs(120)).expect("it is told");
        if news == wanted {
            return;
        }
    };
    wait_for(News::Anything);
    store.append(&[append(event(1), 1, 1)]).unwrap();
    wait_for(News::Batch(event(1), 1));
    let page = Key::snapshot(scope, event(2).event);
    store.put(&[Write { key: page.clone(), version: 1, body: Some(b"{}".to_vec()) }]).unwrap();
    wait_for(News::Document(page));
    wire.cut();
    store.append(&[append(event(1), 2, 2), append(event(2), 1, 2)]).unwrap();
    wait_for(News::Batch(event(1), 2));
    // Who has nobody to tell ends.
    drop(told);
    assert!(thread.join().unwrap().unwrap());
}

#[test]
fn what_was_damaged_by_hand_is_told_by_a_body_that_can_not_be_read_and_can_be_written_anew() {
    let place = Place::new();
    let store = place.open();
    let scope = store.add_org(event(1).org, 1, b"{}".to_vec()).unwrap();
    let client = Client::with_uri_str(place.server.uri()).unwrap();
    let pages: Collection<Bson> = client.default_database().unwrap().collection("snapshots");
    let damages = [
        (doc! { "$set": { "data": 5 } }, 3),
        (doc! { "$unset": { "data": 1 } }, 3),
        (doc! { "$set": { "data": "x", "version": "y" } }, 0),
    ];
    for (n, (damage, version)) in (1..).zip(damages) {
        let key = Key::snapshot(scope, event(n).event);
        let write = |version| Write { key: key.clone(), version, body: Some(b"{}".to_vec()) };
        store.put(&[write(3)]).unwrap();
        pages.update_one(doc! { "_id": key.id() }, damage).run().unwrap();
        let found = store.get(&key).unwrap().unwrap();
        assert_eq!((found.version, found.body), (version, Vec::new()));
        store.put(&[write(4)]).unwrap();
        assert_eq!(store.get(&key).unwrap().unwrap().body, b"{}");
    }
}

#[test]
fn the_server_tells_the_time() {
    let place = Place::new();
    let told = place.open().clock().unwrap().unwrap();
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = Timestamp(i64::try_from(since.as_millis()).unwrap());
    // The same machine's clock, read a little earlier.
    assert!((0..600_000).contains(&now.millis_since(told)), "{told:?}");
}
