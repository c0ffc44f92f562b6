//! What the crate's own tests share: an engine on a store in a temporary
//! directory, with an org that nobody answers for, and an event as an org would
//! answer it.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use sloe_core::ids::{EventRef, OrgId, SfId};
use sloe_core::inbound::{Field, RawEvent, RawRecord, Value};
use sloe_core::time::Timestamp;
use sloe_salesforce::{Credentials, Flow};
use sloe_store::api::Store;
use sloe_store::embedded::Embedded;

use crate::clock::Machine;
use crate::engine::{Engine, LEDGER_BYTES, Options};
use crate::seal::Key;
use crate::tenant::{Org, Profile};
use crate::worker;

/// The org.
pub(crate) fn org_id() -> OrgId {
    OrgId::parse("00D000000000001").unwrap()
}

/// Its event.
pub(crate) fn event() -> EventRef {
    EventRef { org: org_id(), event: SfId::parse("a00000000000001").unwrap() }
}

/// The event as it would be read.
pub(crate) fn raw(name: &str) -> RawEvent {
    let text = |text: &str| Value::Text(text.to_owned());
    let fields = [
        (Field::Name, text(name)),
        (Field::StartsAt, text("2099-01-01T10:00:00Z")),
        (Field::EndsAt, text("2099-01-01T12:00:00Z")),
    ];
    RawEvent {
        event: RawRecord { id: event().event, fields: fields.into() },
        items: Vec::new(),
        sessions: Vec::new(),
        external_total: 0,
        external_by_item: Vec::new(),
        external_by_session: Vec::new(),
        cancelled: Vec::new(),
        as_of: Timestamp(1),
    }
}

/// An engine on a store.
pub(crate) fn engine_on(store: Arc<dyn Store>, workers: Option<worker::Settings>) -> Engine {
    Engine::start(Options {
        store,
        master_key: Key::new([7; 32]),
        world: Arc::new(Machine),
        ledger_bytes: LEDGER_BYTES,
        workers,
    })
    .unwrap()
}

/// An engine that serves the org.
pub(crate) fn engine(workers: Option<worker::Settings>) -> (Engine, Arc<Org>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(Embedded::open(directory.path()).unwrap());
    let engine = engine_on(Arc::clone(&store), workers);
    let org = connect(&engine, &*store);
    (engine, org, directory)
}

/// Connects the org.
pub(crate) fn connect(engine: &Engine, store: &dyn Store) -> Arc<Org> {
    let flow = Flow::ClientCredentials {
        client_id: "client".to_owned(),
        client_secret: "secret".to_owned().into(),
    };
    let credentials = Credentials { login_url: "http://127.0.0.1:9".to_owned(), flow };
    let profile = Profile { slug: "acme".into(), name: "Acme".into(), ..Profile::default() };
    engine.registry().connect(store, org_id(), profile, credentials).unwrap().0
}
