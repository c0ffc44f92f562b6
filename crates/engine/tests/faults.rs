//! What becomes of claims when the store refuses, loses an answer, or was
//! written by somebody else meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::org::{hasty, until};
use common::{Clock, connect, event, org_id, person, raw, record, start_on};
use sloe_core::fact::Fact;
use sloe_core::ids::EventRef;
use sloe_engine::claims::RequestId;
use sloe_engine::clock::World;
use sloe_engine::engine::Engine;
use sloe_engine::error::Denied;
use sloe_engine::worker;
use sloe_store::api::Store;
use sloe_store::embedded::Embedded;
use sloe_store::faulty::{Call, Fault, Faulty, Plan};
use sloe_store::key::{Collection, Range};

/// A store that takes everything until it is told otherwise, and the clock of its engines.
struct Place {
    store: Arc<Faulty<Embedded>>,
    clock: Arc<Clock>,
    _directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let embedded = Embedded::open(directory.path()).unwrap();
        let store = Arc::new(Faulty::new(embedded, Plan::new()));
        Self { store, clock: Arc::default(), _directory: directory }
    }

    fn engine(&self) -> Engine {
        self.start(None)
    }

    fn start(&self, workers: Option<worker::Settings>) -> Engine {
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        start_on(store, Arc::clone(&self.clock) as Arc<dyn World>, workers)
    }

    /// An engine with an event of 50 seats.
    async fn first(&self) -> Engine {
        let engine = self.engine();
        connect(&engine, &*self.store, org_id(1), "acme", "http://127.0.0.1:9");
        engine.apply_refresh(org_id(1), raw(1, "Event", Some(50), 1)).await.unwrap();
        engine
    }

    fn confirmed(&self) -> usize {
        let batches = self.store.inner().read(event(org_id(1)), 0, 1_000).unwrap();
        let facts = batches.iter().flat_map(|batch| &batch.facts);
        facts.filter(|fact| matches!(fact, Fact::Confirmed { .. })).count()
    }
}

async fn register(engine: &Engine, id: &str, n: usize) -> Result<String, Denied> {
    let people = [person(engine, event(org_id(1)), n)];
    let id = RequestId::Given(id.to_owned());
    let confirmed = engine.register(event(org_id(1)).public_id(), &id, &people).await;
    confirmed.map(|confirmed| confirmed.token)
}

async fn left(engine: &Engine) -> Option<u32> {
    engine.availability(event(org_id(1))).await.unwrap().left
}

#[tokio::test]
async fn what_is_decided_again_after_a_conflict_keeps_its_personal_data() {
    let place = Place::new();
    let (ours, theirs) = (place.first().await, place.engine());
    assert_eq!((left(&ours).await, left(&theirs).await), (Some(50), Some(50)));
    register(&theirs, "theirs", 1).await.unwrap();
    place.store.set_plan(Plan::new());
    let token = register(&ours, "ours", 2).await.unwrap();
    assert_eq!(place.store.calls(Call::Append), 2, "the first came too late");
    let order = ours.order_by_token(&token).await.unwrap();
    let attendee = order.tickets[0].attendee.as_ref().unwrap();
    assert_eq!(attendee.email, "person2@example.org");
    // So does the order to destroy it.
    register(&theirs, "theirs too", 3).await.unwrap();
    place.store.set_plan(Plan::new());
    let receipt = ours.erase_person(org_id(1), "person2@example.org").await.unwrap();
    assert_eq!((receipt.attendees, place.store.calls(Call::Append)), (1, 2));
    assert_eq!(place.store.sealed(event(org_id(1)), order.claim).unwrap(), None);
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_found_in_the_journal() {
    let place = Place::new();
    let engine = place.first().await;
    place.store.set_plan(Plan::new().at(Call::Append, 1, Fault::AnswerLost));
    let token = register(&engine, "once", 1).await.unwrap();
    assert_eq!(register(&engine, "once", 1).await.unwrap(), token);
    assert_eq!((place.confirmed(), left(&engine).await), (1, Some(49)));
}

#[tokio::test]
async fn a_claim_that_was_written_twice_is_one_order() {
    let place = Place::new();
    let engine = place.first().await;
    // The second writing finds its version taken, by itself.
    place.store.set_plan(Plan::new().at(Call::Append, 1, Fault::Twice));
    let token = register(&engine, "once", 1).await.unwrap();
    let order = engine.order_by_token(&token).await.unwrap();
    assert!(order.tickets[0].attendee.is_some());
    assert_eq!((place.confirmed(), left(&engine).await), (1, Some(49)));
}

#[tokio::test]
async fn a_claim_that_may_still_arrive_is_not_called_refused() {
    let place = Place::new();
    let engine = place.first().await;
    place.store.set_plan(Plan::new().at(Call::Append, 1, Fault::RequestLost));
    // It is not in the journal now, but nobody knows where it is.
    assert_eq!(register(&engine, "once", 1).await, Err(Denied::OutcomeUnknown));
    let token = register(&engine, "once", 1).await.unwrap();
    assert_eq!(register(&engine, "once", 1).await.unwrap(), token);
    assert_eq!((place.confirmed(), left(&engine).await), (1, Some(49)));
}

#[tokio::test]
async fn a_claim_that_another_took_the_place_of_was_not_taken() {
    let place = Place::new();
    let (ours, theirs) = (place.first().await, place.engine());
    assert_eq!((left(&ours).await, left(&theirs).await), (Some(50), Some(50)));
    register(&theirs, "theirs", 1).await.unwrap();
    place.store.set_plan(Plan::new().at(Call::Append, 1, Fault::RequestLost));
    // Its version belongs to another batch: it can't arrive any more.
    let answer = register(&ours, "ours", 2).await;
    assert!(matches!(answer, Err(Denied::NotAccepted { .. })), "{answer:?}");
    register(&ours, "ours", 2).await.unwrap();
    assert_eq!((place.confirmed(), left(&ours).await), (2, Some(48)));
}

#[tokio::test]
async fn a_hold_expires_though_the_store_refused_that_at_first() {
    let place = Place::new();
    let engine = place.first().await;
    let (choice, _) = person(&engine, event(org_id(1)), 1);
    let event = event(org_id(1)).public_id();
    engine.hold(event, &RequestId::Fresh, &[choice]).await.unwrap();
    assert_eq!(left(&engine).await, Some(49));
    place.store.set_plan(Plan::new().at(Call::Append, 1, Fault::Refused));
    place.clock.advance(3_600_000);
    // Nobody asks for the ledger: only what is published is read here.
    until("the seat is free again", async || left(&engine).await == Some(50)).await;
    assert_eq!(place.store.calls(Call::Append), 2);
}

#[tokio::test]
async fn orders_that_could_not_be_written_are_written_later_of_every_event() {
    let place = Place::new();
    let engine = place.first().await;
    let events: Vec<_> =
        (1..=3).map(|n| EventRef { event: record("a00", n), ..event(org_id(1)) }).collect();
    for (n, event) in (1..).zip(&events) {
        engine.apply_refresh(org_id(1), raw(n, "Event", Some(50), 1)).await.unwrap();
        let people = [person(&engine, *event, 1)];
        engine.register(event.public_id(), &RequestId::Fresh, &people).await.unwrap();
    }
    engine.stop().await;
    // All three are looked at once, at the start.
    let plan = (1..=3).fold(Plan::new(), |plan, n| plan.at(Call::Put, n, Fault::Refused));
    place.store.set_plan(plan);
    let engine = place.start(Some(hasty(2_000)));
    until("all orders are projected", async || {
        let orders = Range::All(Collection::Orders);
        place.store.inner().scan(orders, None, 100).unwrap().len() == events.len()
    })
    .await;
    assert!(place.store.calls(Call::Put) > 3);
    engine.stop().await;
}
