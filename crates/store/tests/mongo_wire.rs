//! What a server would do that the one of the tests does not: a wire between
//! both answers in its place now and then.
#![cfg(feature = "mongo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stand_in;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mongodb::bson::{Document as Bson, doc};
use sloe_core::fact::{Batch, Fact, PoolIx, Request, Selection};
use sloe_core::ids::{ClaimId, EventRef, OrgId, SfId};
use sloe_core::time::Timestamp;
use sloe_store::api::{Append, Appended, News, Store, StoreError};
use sloe_store::mongo::Mongo;
use stand_in::Server;
use stand_in::wire::Wire;

fn event(n: u8) -> EventRef {
    EventRef {
        org: OrgId::parse("00D000000000001").unwrap(),
        event: SfId::parse(&format!("a000000000000{n:02}")).unwrap(),
    }
}

/// A batch that confirms a claim of its own.
fn append(event: EventRef, version: u64, nonce: u128) -> Append {
    let claim = ClaimId(nonce);
    let place = Selection { item: PoolIx(1), sessions: [PoolIx(2)].into_iter().collect() };
    let request = Request { key: claim.0, body: 1 };
    let facts = vec![Fact::Confirmed { claim, request, places: vec![place] }];
    let batch = Batch { version, at: Timestamp(1_800_000_000_000), nonce, facts };
    Append { event, batch, sealed: Vec::new(), destinations: Vec::new() }
}

/// A server, and the address of a wire to it.
fn between(
    server: &Server,
    instead: impl Fn(&Bson) -> Option<Bson> + Send + Sync + 'static,
) -> Option<(Wire, String)> {
    let port = server.port()?;
    Mongo::migrate(&server.uri()).unwrap();
    let wire = Wire::to(port, instead);
    let uri = server.uri().replace(&port.to_string(), &wire.port.to_string());
    Some((wire, format!("{uri}?directConnection=true")))
}

/// Somebody who is told of changes.
struct Listener {
    told: Receiver<News>,
    thread: JoinHandle<Result<bool, StoreError>>,
}

impl Listener {
    fn at(uri: &str) -> Self {
        let store = Mongo::open(uri).unwrap();
        let (tell, told) = channel();
        let thread = std::thread::spawn(move || store.watch(&mut |news| tell.send(news).is_ok()));
        Self { told, thread }
    }

    fn wait_for(&self, wanted: &News) {
        let give_up = Instant::now() + Duration::from_secs(120);
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            if self.told.recv_timeout(left).expect("it is told") == *wanted {
                return;
            }
        }
    }

    /// Who has nobody to tell ends.
    fn end(self) {
        drop(self.told);
        assert!(self.thread.join().unwrap().unwrap());
    }
}

fn commit(store: &Mongo, version: u64) {
    let answers = store.append(&[append(event(1), version, version.into())]).unwrap();
    assert_eq!(answers, [Appended::Committed]);
}

#[test]
fn a_watch_whose_history_is_lost_begins_anew_and_has_everything_looked_at_from_its_version() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let (breaks, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (once, count) = (Arc::clone(&breaks), Arc::clone(&refused));
    let refusal = |code: i32, name: &str| {
        doc! { "ok": 0, "code": code, "codeName": name, "errmsg": "the wire says so" }
    };
    let lost = move |command: &Bson| {
        if command.contains_key("getMore") {
            let breaks = once.swap(false, Ordering::SeqCst);
            return breaks.then(|| refusal(43, "CursorNotFound"));
        }
        let first = command.get_array("pipeline").ok()?.first()?.as_document()?;
        let stream = first.get_document("$changeStream").ok()?;
        let from = ["resumeAfter", "startAfter", "startAtOperationTime"];
        from.into_iter().find(|from| stream.contains_key(from))?;
        count.fetch_add(1, Ordering::SeqCst);
        Some(refusal(286, "ChangeStreamHistoryLost"))
    };
    let Some((_wire, uri)) = between(&server, lost) else { return };
    let (listener, store) = (Listener::at(&uri), Mongo::open(&server.uri()).unwrap());
    listener.wait_for(&News::Anything);
    commit(&store, 1);
    listener.wait_for(&News::Batch(event(1), 1));
    breaks.store(true, Ordering::SeqCst);
    commit(&store, 2);
    listener.wait_for(&News::Anything);
    assert!(
        refused.load(Ordering::SeqCst) > 0,
        "it asked for what came after what it was told last"
    );
    // Whoever looks at everything finds what nobody told.
    assert_eq!(store.beyond(&[(event(1), 1)]).unwrap(), [event(1)]);
    commit(&store, 3);
    listener.wait_for(&News::Batch(event(1), 3));
    listener.end();
}

#[test]
fn a_watch_whose_stream_the_server_ends_begins_anew() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let ends = Arc::new(AtomicBool::new(false));
    let once = Arc::clone(&ends);
    let ended = move |command: &Bson| {
        command.get_i64("getMore").ok()?;
        let ended = once.swap(false, Ordering::SeqCst);
        let cursor = doc! { "id": 0_i64, "ns": "sloe.$cmd.aggregate", "nextBatch": [] };
        ended.then(|| doc! { "ok": 1, "cursor": cursor })
    };
    let Some((_wire, uri)) = between(&server, ended) else { return };
    let (listener, store) = (Listener::at(&uri), Mongo::open(&server.uri()).unwrap());
    listener.wait_for(&News::Anything);
    ends.store(true, Ordering::SeqCst);
    listener.wait_for(&News::Anything);
    assert!(!ends.load(Ordering::SeqCst));
    commit(&store, 1);
    listener.wait_for(&News::Batch(event(1), 1));
    listener.end();
}

#[test]
fn a_batch_that_is_durable_is_not_told_to_be_refused_where_another_one_s_refusal_can_not_be_explained()
 {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    // Who asks which batch has a version is not told.
    let silent = |command: &Bson| {
        let of = command.get_document("filter").ok()?.get_document("_id").ok()?;
        let asked = command.get_str("find").is_ok_and(|name| name == "journal");
        (asked && of.contains_key("version"))
            .then(|| doc! { "ok": 0, "code": 13, "codeName": "Unauthorized", "errmsg": "no" })
    };
    let Some((_wire, uri)) = between(&server, silent) else { return };
    let (mute, store) = (Mongo::open(&uri).unwrap(), Mongo::open(&server.uri()).unwrap());
    commit(&store, 1);
    let both = [append(event(1), 1, 7), append(event(2), 1, 8)];
    let lost = mute.append(&both);
    assert!(matches!(lost, Err(StoreError::OutcomeUnknown(_))), "{lost:?}");
    let there = |n| store.read(event(n), 0, 9).unwrap().pop().map(|batch| batch.nonce);
    assert_eq!((there(1), there(2)), (Some(1), Some(8)));
}
