//! A MongoDB that can't keep the store's promises is refused at the start,
//! with what is needed. Where the server of the tests can be like that it is;
//! for the rest a few lines here answer as an old or a crippled one would.
#![cfg(feature = "mongo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stand_in;

use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

use mongodb::bson::{Document as Bson, doc};
use mongodb::sync::Client;
use sloe_store::api::StoreError;
use sloe_store::mongo::{Bounded, Mongo};
use stand_in::Server;
use stand_in::wire::Message;

/// Why a MongoDB can't be used.
fn refused(uri: &str) -> String {
    match Mongo::open(uri) {
        Err(StoreError::Unusable(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// What a server that is none answers to a command.
type Answers = fn(&Bson) -> Bson;

/// Listens as a MongoDB does that gives `answers`.
fn pretend(answers: Answers) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                // Until whoever asks leaves.
                while let Some(message) = Message::read(&mut stream) {
                    if stream.write_all(&message.answer(&answers(&message.command))).is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("mongodb://{address}/sloe?serverSelectionTimeoutMS=20000")
}

/// What a replica set of one says of itself, of some age.
fn greeting(wire: i32) -> Bson {
    doc! {
        "ok": 1, "isWritablePrimary": true, "ismaster": true, "helloOk": true,
        "setName": "rs0", "setVersion": 1, "hosts": ["127.0.0.1:1"],
        "minWireVersion": 0, "maxWireVersion": wire,
        "maxBsonObjectSize": 16_777_216, "maxMessageSizeBytes": 48_000_000,
        "maxWriteBatchSize": 100_000, "logicalSessionTimeoutMinutes": 30,
    }
}

fn is(command: &Bson, name: &str) -> bool {
    command.keys().next().is_some_and(|first| first == name)
}

fn single(answers: Answers) -> String {
    // The members that it names are not asked.
    format!("{}&directConnection=true", pretend(answers))
}

#[test]
fn a_mongodb_that_is_too_old_is_refused() {
    // One that the driver still talks to (5.0), and one that it doesn't (3.6).
    for why in [refused(&single(|_| greeting(13))), refused(&single(|_| greeting(6)))] {
        assert!(why.contains("too old") && why.contains("6.0 or newer"), "{why}");
    }
}

#[test]
fn a_mongodb_that_does_not_acknowledge_by_majority_is_refused() {
    let why = refused(&single(|command| match () {
        () if is(command, "delete") => doc! {
            "ok": 1, "n": 0, "writeConcernError": {
                "code": 100, "codeName": "UnsatisfiableWriteConcern", "errmsg": "not enough nodes",
            },
        },
        () => greeting(21),
    }));
    assert!(why.contains("majority") && why.contains("UnsatisfiableWriteConcern"), "{why}");
}

#[test]
fn a_majority_that_is_late_is_waited_for() {
    let uri = single(|command| match () {
        () if is(command, "delete") => doc! {
            "ok": 1, "n": 0, "writeConcernError": {
                "code": 64, "codeName": "WriteConcernTimeout", "errmsg": "waiting timed out",
            },
        },
        () => greeting(21),
    });
    let late = Mongo::open(&uri);
    assert!(
        matches!(&late, Err(StoreError::Unavailable(why)) if why.contains("majority")),
        "{late:?}"
    );
}

#[test]
fn a_mongodb_that_greets_and_then_hangs_is_given_up() {
    let uri = single(|command| {
        while is(command, "delete") {
            std::thread::park();
        }
        greeting(21)
    });
    let hung = Bounded::open(&uri, Duration::from_secs(2)).map(drop);
    assert!(
        matches!(&hung, Err(StoreError::Unavailable(why)) if why.contains("did not answer")),
        "{hung:?}"
    );
}

#[test]
fn a_user_who_may_not_write_is_refused() {
    let why = refused(&single(|command| match () {
        () if is(command, "delete") => {
            doc! { "ok": 0, "code": 13, "codeName": "Unauthorized", "errmsg": "not authorized" }
        }
        () => greeting(21),
    }));
    assert!(why.contains("readWrite"), "{why}");
}

#[test]
fn a_mongodb_that_is_no_replica_set_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::with(directory.path(), &["--standalone"]);
    if server.is_given() {
        return;
    }
    let why = refused(&server.uri());
    assert!(why.contains("no replica set") && why.contains("rs.initiate()"), "{why}");
    assert!(matches!(Mongo::migrate(&server.uri()), Err(StoreError::Unusable(_))));
}

#[test]
fn a_wrong_password_is_said_without_it() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::with(directory.path(), &["--auth"]);
    if server.is_given() {
        return;
    }
    let uri = server.uri().replace("mongodb://", "mongodb://sloe:hunter2@");
    let why = refused(&format!("{uri}?authSource=admin"));
    assert!(why.contains("user") && !why.contains("hunter2"), "{why}");
}

#[test]
fn an_address_that_can_not_be_read_is_said_without_its_password() {
    for bad in [
        "mongodb://sloe:hunter2@h:port/db",
        "mongodb://sloe:hunter2@/db",
        "mongodb://sloe:hunter2/x@h/db",
        "mongodb://sloe:hunter2%zz@h/db",
        "mongodb://sloe:hun@ter2@h/db",
        "mongodb://sloe:hunter2@h/db?w=many&connectTimeoutMS=soon",
        "mongodb+srv://sloe:hunter2@h:27017/db",
    ] {
        let why = refused(bad);
        assert!(!why.contains("hunter2") && !why.contains("ter2"), "{bad}: {why}");
    }
}

#[test]
fn a_database_that_lacks_an_index_is_refused_with_its_name_until_it_has_it_again() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let uri = server.uri();
    Mongo::migrate(&uri).unwrap();
    drop(Mongo::open(&uri).unwrap());
    let client = Client::with_uri_str(&uri).unwrap();
    let journal = client.default_database().unwrap().collection::<Bson>("journal");
    journal.drop_index("a_claim_is_held_once").run().unwrap();
    let why = refused(&uri);
    assert!(why.contains("index a_claim_is_held_once"), "{why}");
    assert!(why.contains("sloe store migrate"), "{why}");
    assert_eq!(Mongo::migrate(&uri).unwrap(), ["index a_claim_is_held_once of journal"]);
    drop(Mongo::open(&uri).unwrap());
}
