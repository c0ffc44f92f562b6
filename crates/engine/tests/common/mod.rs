//! What the engine's tests share: an engine on a store in a temporary
//! directory, orgs, and events as an org would answer them.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

pub mod compare;
pub mod faults;
pub mod org;
pub mod source;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use sloe_core::fact::{Actor, Batch, Fact};
use sloe_core::ids::{ClaimId, EventRef, OrgId, SfId};
use sloe_core::inbound::{Field, RawEvent, RawRecord, Value};
use sloe_core::license::{License, Status};
use sloe_core::time::Timestamp;
use sloe_engine::clock::{Machine, World};
use sloe_engine::engine::{Engine, LEDGER_BYTES, Options};
use sloe_engine::seal::Key;
use sloe_engine::tenant::Profile;
use sloe_engine::view::{AttendeeInput, Choice};
use sloe_engine::worker;
use sloe_salesforce::{Credentials, Flow};
use sloe_store::api::{Append, Appended, Destination, Store};
use sloe_store::embedded::Embedded;

/// The machine's clock, turned by as much as a test likes.
#[derive(Default)]
pub struct Clock(AtomicI64);

impl Clock {
    pub fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    pub fn advance_days(&self, days: i64) {
        self.advance(days * 86_400_000);
    }
}

impl World for Clock {
    fn now(&self) -> Timestamp {
        Machine.now().plus_millis(self.0.load(Ordering::SeqCst))
    }

    fn id(&self) -> u128 {
        Machine.id()
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), getrandom::Error> {
        Machine.random(bytes)
    }
}

pub struct Place {
    pub store: Arc<Embedded>,
    pub _directory: tempfile::TempDir,
}

pub fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Embedded::open(directory.path()).unwrap());
    Place { store, _directory: directory }
}

pub fn start(place: &Place, workers: Option<worker::Settings>) -> Engine {
    start_on(Arc::clone(&place.store) as Arc<dyn Store>, Arc::new(Machine), workers)
}

/// The same under a clock that can be turned.
pub fn start_under(place: &Place, clock: &Arc<Clock>, workers: Option<worker::Settings>) -> Engine {
    let store = Arc::clone(&place.store) as Arc<dyn Store>;
    start_on(store, Arc::clone(clock) as Arc<dyn World>, workers)
}

pub fn start_on(
    store: Arc<dyn Store>,
    world: Arc<dyn World>,
    workers: Option<worker::Settings>,
) -> Engine {
    Engine::start(Options {
        store,
        master_key: Key::new([7; 32]),
        world,
        ledger_bytes: LEDGER_BYTES,
        workers,
    })
    .unwrap()
}

pub fn org_id(n: u8) -> OrgId {
    OrgId::parse(&format!("00D0000000000{n:02}")).unwrap()
}

pub fn record(kind: &str, n: u32) -> SfId {
    SfId::parse(&format!("{kind}{n:012}")).unwrap()
}

pub fn event(org: OrgId) -> EventRef {
    EventRef { org, event: record("a00", 1) }
}

/// Connects an org that nobody answers for, with a live license.
pub fn connect(engine: &Engine, store: &dyn Store, org: OrgId, slug: &str, url: &str) -> String {
    let profile = Profile { slug: slug.to_owned(), name: slug.to_owned(), ..Profile::default() };
    let flow = Flow::ClientCredentials {
        client_id: "sloe".to_owned(),
        client_secret: "secret".to_owned().into(),
    };
    let credentials = Credentials { login_url: url.to_owned(), flow };
    let (_, hook) = engine.registry().connect(store, org, profile, credentials).unwrap();
    license(engine, store, org);
    hook.secret
}

pub fn license(engine: &Engine, store: &dyn Store, org: OrgId) {
    let license = License { number: "L-1".to_owned(), status: Status::Active, expires_at: None };
    engine.registry().licenses.replace(store, org, &[license]).unwrap();
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

/// An event in a month, with one item, and sessions of 1,000 seats each.
pub fn raw(n: u32, name: &str, seats: Option<u32>, sessions: u32) -> RawEvent {
    let now = now();
    let at = |days: i64| text(now.plus_millis(days * 86_400_000).to_rfc3339());
    let mut fields = BTreeMap::from([
        (Field::Name, text(name)),
        (Field::StartsAt, at(30)),
        (Field::EndsAt, at(31)),
        (Field::Published, Value::Bool(true)),
    ]);
    if let Some(seats) = seats {
        fields.insert(Field::Limit, Value::Number(seats.into()));
    }
    let session = |s: u32| RawRecord {
        id: record("a02", n * 1_000 + s),
        fields: BTreeMap::from([
            (Field::Name, text(format!("Session {s}"))),
            (Field::StartsAt, at(30)),
            (Field::EndsAt, at(31)),
            (Field::Limit, Value::Number(1_000.0)),
        ]),
    };
    let item = RawRecord {
        id: record("a01", n * 1_000),
        fields: BTreeMap::from([(Field::Name, text("Free ticket"))]),
    };
    RawEvent {
        event: RawRecord { id: record("a00", n), fields },
        items: vec![item],
        sessions: (0..sessions).map(session).collect(),
        external_total: 0,
        external_by_item: Vec::new(),
        external_by_session: Vec::new(),
        cancelled: Vec::new(),
        as_of: now,
    }
}

pub fn now() -> Timestamp {
    Machine.now()
}

/// One person for the event's first item and all its sessions.
pub fn person(engine: &Engine, event: EventRef, n: usize) -> (Choice, AttendeeInput) {
    let (_, snapshot) = engine.event(event.public_id()).unwrap();
    let choice = Choice {
        item: snapshot.items[0].id,
        sessions: snapshot.sessions.iter().map(|session| session.id).collect(),
    };
    let input = AttendeeInput {
        first_name: format!("First{n}"),
        last_name: format!("Last{n}"),
        email: format!("person{n}@example.org"),
        invitation: String::new(),
    };
    (choice, input)
}

/// Lets an event's journal say what can't be: nobody made the order that is cancelled.
pub fn damage(place: &Place, event: EventRef) {
    let journals = place.store.journals().unwrap();
    let (_, version) = journals.into_iter().find(|(of, _)| *of == event).unwrap();
    let fact = Fact::Cancelled { claim: ClaimId(1), place: 1, actor: Actor::Registrant };
    let (at, facts) = (now(), vec![fact]);
    let batch = Batch { version: version + 1, at, nonce: 1, facts };
    let append = Append { event, batch, sealed: Vec::new(), destinations: vec![Destination::Org] };
    assert_eq!(place.store.append(&[append]).unwrap(), [Appended::Committed]);
}
