//! The key that an event's requests are hashed with: one for all engines,
//! there before any claim, and gone when the event's retention ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::faults::Faults;
use common::{event, now, org_id, person, raw};
use sloe_core::inbound::{Field, RawEvent, Value};
use sloe_engine::claims::{Confirmed, RequestId};
use sloe_engine::engine::Engine;
use sloe_engine::error::Denied;
use sloe_engine::worker;
use sloe_store::api::{Store, Write};
use sloe_store::faulty::{Call, Fault, Plan};

async fn register(engine: &Engine, id: &str) -> Result<String, Denied> {
    let people = [person(engine, event(org_id(1)), 1)];
    let id = RequestId::Given(id.to_owned());
    let confirmed = engine.register(event(org_id(1)).public_id(), &id, &people).await;
    confirmed.map(|confirmed| confirmed.token)
}

/// The event again, from `first` to `last` days from now.
fn moved(first: i64, last: i64) -> RawEvent {
    let mut raw = raw(1, "Event", Some(50), 1);
    let at = |days: i64| Value::Text(now().plus_millis(days * 86_400_000).to_rfc3339());
    raw.event.fields.insert(Field::StartsAt, at(first));
    raw.event.fields.insert(Field::EndsAt, at(last));
    raw
}

#[tokio::test]
async fn the_same_request_has_the_same_answer_after_a_restart_and_a_rebuild() {
    let place = Faults::new();
    let engine = place.first().await;
    assert_eq!(place.keys(), []);
    let token = register(&engine, "once").await.unwrap();
    let keys = place.keys();
    assert_eq!(keys.len(), 1);
    engine.stop().await;
    worker::rebuild(&*place.store).unwrap();
    assert_eq!(place.keys(), keys, "a key can't be made anew from the journal");
    let engine = place.engine(None);
    assert_eq!(register(&engine, "once").await.unwrap(), token);
    assert_eq!((place.confirmed(), place.keys()), (1, keys));
    engine.stop().await;
}

#[tokio::test]
async fn an_event_s_key_is_good_for_that_event_only() {
    let place = Faults::new();
    let engine = place.first().await;
    engine.apply_refresh(org_id(1), raw(2, "Other", Some(50), 1)).await.unwrap();
    register(&engine, "once").await.unwrap();
    let other = sloe_core::ids::EventRef { event: common::record("a00", 2), ..event(org_id(1)) };
    let people = [person(&engine, other, 1)];
    let id = RequestId::Given("once".to_owned());
    engine.register(other.public_id(), &id, &people).await.unwrap();
    let keys = place.keys();
    assert_eq!(keys.len(), 2);
    // One event's key is no key of another.
    let (ours, theirs) = (&keys[0], &keys[1]);
    let swapped = Write { key: ours.0.clone(), version: 2, body: Some(theirs.1.body.clone()) };
    place.store.put(&[swapped]).unwrap();
    engine.stop().await;
    let engine = place.engine(None);
    assert_eq!(register(&engine, "once").await, Err(Denied::Quarantined));
    assert_eq!(place.confirmed(), 1);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_first_claims_at_once_agree_on_one_key() {
    let place = Faults::new();
    let (ours, theirs) = (place.first().await, place.engine(None));
    place.store.set_plan(Plan::new().at(Call::Put, 1, Fault::Delayed));
    // Ours has made a key, but theirs is written first.
    let slow = tokio::spawn({
        let ours = ours.clone();
        async move { register(&ours, "ours").await }
    });
    let store = Arc::clone(&place.store);
    tokio::task::spawn_blocking(move || store.wait_until_delayed(1)).await.unwrap();
    assert_eq!(place.keys(), []);
    let second = register(&theirs, "theirs").await.unwrap();
    let keys = place.keys();
    place.store.release();
    let first = slow.await.unwrap().unwrap();
    assert_eq!((place.keys(), place.confirmed()), (keys, 2));
    for engine in [&ours, &theirs, &place.engine(None)] {
        assert_eq!(register(engine, "ours").await.unwrap(), first);
        assert_eq!(register(engine, "theirs").await.unwrap(), second);
    }
    assert_eq!(place.confirmed(), 2);
}

#[tokio::test]
async fn no_claim_is_taken_under_a_key_that_was_not_stored() {
    for (fault, stored) in [(Fault::Refused, 0), (Fault::RequestLost, 0), (Fault::AnswerLost, 1)] {
        let place = Faults::new();
        let engine = place.first().await;
        place.store.set_plan(Plan::new().at(Call::Put, 1, fault));
        let denied = register(&engine, "once").await;
        assert!(matches!(denied, Err(Denied::NotAccepted { .. })), "{fault:?}: {denied:?}");
        assert_eq!((place.confirmed(), place.keys().len()), (0, stored), "{fault:?}");
        let token = register(&engine, "once").await.unwrap();
        engine.stop().await;
        let engine = place.engine(None);
        assert_eq!(register(&engine, "once").await.unwrap(), token, "{fault:?}");
        assert_eq!(place.confirmed(), 1, "{fault:?}");
        engine.stop().await;
    }
}

#[tokio::test]
async fn a_key_in_memory_is_not_read_again_for_every_claim() {
    let place = Faults::new();
    let engine = place.first().await;
    let token = register(&engine, "once").await.unwrap();
    let (key, document) = place.keys().remove(0);
    place.store.put(&[Write { key, version: document.version + 1, body: None }]).unwrap();
    assert_eq!(register(&engine, "once").await.unwrap(), token);
    assert_eq!(place.keys(), []);
}

#[tokio::test]
async fn a_key_ends_with_its_event_s_retention_and_requests_are_unknown_from_then_on() {
    let place = Faults::new();
    let engine = place.first().await;
    let token = register(&engine, "once").await.unwrap();
    let id = event(org_id(1)).public_id();
    let (choice, input) = person(&engine, event(org_id(1)), 2);
    let hold = engine.hold(id, &RequestId::Fresh, &[choice]).await.unwrap().token;
    // Over, but within its retention of 90 days.
    engine.apply_refresh(org_id(1), moved(-80, -79)).await.unwrap();
    engine.stop().await;
    let engine = place.look().await;
    assert_eq!(register(&engine, "once").await.unwrap(), token);
    assert_eq!(place.keys().len(), 1);
    engine.apply_refresh(org_id(1), moved(-92, -91)).await.unwrap();
    engine.stop().await;
    place.look().await.stop().await;
    assert_eq!(place.keys().len(), 1, "the catalog has said so for a moment only");
    place.clock.advance_days(7);
    let engine = place.look().await;
    assert_eq!(place.keys(), []);
    // A clear refusal, whatever is asked; nothing makes a key again.
    assert_eq!(register(&engine, "once").await, Err(Denied::EventOver));
    assert_eq!(register(&engine, "new").await, Err(Denied::EventOver));
    let confirmed = engine.confirm(&hold, &RequestId::Fresh, &[input], None).await;
    assert_eq!(confirmed.map(|confirmed: Confirmed| confirmed.token), Err(Denied::EventOver));
    assert_eq!(place.keys(), []);
    // The order stands. Its hash is in the journal as before, and not even the
    // very same request leads to it any more.
    engine.order_by_token(&token).await.unwrap();
    engine.apply_refresh(org_id(1), moved(30, 31)).await.unwrap();
    let second = register(&engine, "once").await.unwrap();
    assert_ne!(second, token);
    assert_eq!((place.confirmed(), place.keys().len()), (2, 1));
    assert_eq!(register(&engine, "once").await.unwrap(), second);
    engine.stop().await;
}
