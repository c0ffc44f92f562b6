//! Engines on one store that may be told to fail, under one clock.

use std::sync::Arc;

use sloe_core::fact::Fact;
use sloe_engine::clock::World;
use sloe_engine::engine::Engine;
use sloe_engine::worker;
use sloe_store::api::{Document, Store};
use sloe_store::embedded::Embedded;
use sloe_store::faulty::{Faulty, Plan};
use sloe_store::key::{Collection, Key, Range};

use super::org::{hasty, until};
use super::{Clock, connect, event, org_id, raw, start_on};

/// A store that takes everything until it is told otherwise, and the clock of its engines.
pub struct Faults {
    pub store: Arc<Faulty<Embedded>>,
    pub clock: Arc<Clock>,
    _directory: tempfile::TempDir,
}

impl Faults {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let embedded = Embedded::open(directory.path()).unwrap();
        let store = Arc::new(Faulty::new(embedded, Plan::new()));
        Self { store, clock: Arc::default(), _directory: directory }
    }

    /// An engine on the store; several may run at once.
    pub fn engine(&self, workers: Option<worker::Settings>) -> Engine {
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        start_on(store, Arc::clone(&self.clock) as Arc<dyn World>, workers)
    }

    /// An engine with an event of 50 seats.
    pub async fn first(&self) -> Engine {
        let engine = self.engine(None);
        connect(&engine, &*self.store, org_id(1), "acme", "http://127.0.0.1:9");
        engine.apply_refresh(org_id(1), raw(1, "Event", Some(50), 1)).await.unwrap();
        engine
    }

    /// An engine that has looked at what is past its retention.
    pub async fn look(&self) -> Engine {
        let engine = self.engine(Some(hasty(2_000)));
        until("retention was looked at", async || engine.runs().contains_key("retention")).await;
        engine
    }

    /// Events' keys in the store.
    pub fn keys(&self) -> Vec<(Key, Document)> {
        self.store.inner().scan(Range::All(Collection::EventKeys), None, 100).unwrap()
    }

    /// Orders in the event's journal.
    pub fn confirmed(&self) -> usize {
        let batches = self.store.inner().read(event(org_id(1)), 0, 1_000).unwrap();
        let facts = batches.iter().flat_map(|batch| &batch.facts);
        facts.filter(|fact| matches!(fact, Fact::Confirmed { .. })).count()
    }
}
