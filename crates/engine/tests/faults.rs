//! What becomes of claims when the store refuses, loses an answer, or was
//! written by somebody else meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::faults::Faults;
use common::org::{hasty, until};
use common::{event, org_id, person, raw, record};
use sloe_core::ids::EventRef;
use sloe_engine::claims::RequestId;
use sloe_engine::engine::Engine;
use sloe_engine::error::Denied;
use sloe_store::api::Store;
use sloe_store::faulty::{Call, Fault, Plan};
use sloe_store::key::{Collection, Range};

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
    let place = Faults::new();
    let (ours, theirs) = (place.first().await, place.engine(None));
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
    let place = Faults::new();
    let engine = place.first().await;
    place.store.set_plan(Plan::new().at(Call::Append, 1, Fault::AnswerLost));
    let token = register(&engine, "once", 1).await.unwrap();
    assert_eq!(register(&engine, "once", 1).await.unwrap(), token);
    assert_eq!((place.confirmed(), left(&engine).await), (1, Some(49)));
}

#[tokio::test]
async fn a_claim_that_was_written_twice_is_one_order() {
    let place = Faults::new();
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
    let place = Faults::new();
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
    let place = Faults::new();
    let (ours, theirs) = (place.first().await, place.engine(None));
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
    let place = Faults::new();
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
    let place = Faults::new();
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
    let engine = place.engine(Some(hasty(2_000)));
    until("all orders are projected", async || {
        let orders = Range::All(Collection::Orders);
        place.store.inner().scan(orders, None, 100).unwrap().len() == events.len()
    })
    .await;
    assert!(place.store.calls(Call::Put) > 3);
    engine.stop().await;
}
