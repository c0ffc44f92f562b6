//! The store on MongoDB keeps the common promises, and those of its own,
//! against a server process that speaks the real wire protocol.
#![cfg(all(feature = "mongo", feature = "testing"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stand_in;

use sloe_store::api::{Store, StoreError};
use sloe_store::mongo::Mongo;
use stand_in::Server;
use tempfile::TempDir;

struct Place {
    server: Server,
    _directory: TempDir,
}

impl Place {
    fn bare() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { server: Server::start(directory.path()), _directory: directory }
    }

    fn new() -> Self {
        let place = Self::bare();
        Mongo::migrate(&place.server.uri()).unwrap();
        place
    }

    fn open(&self) -> Box<dyn Store> {
        Box::new(Mongo::open(&self.server.uri()).unwrap())
    }
}

mod conformance {
    use super::Place;
    sloe_store::conformance_tests!(Place::new());
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
