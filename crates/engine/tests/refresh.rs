//! What was read of an event becomes what the public sees, or nothing changes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{connect, event, org_id, person, place, raw, start};
use sloe_core::inbound::{Field, Value};
use sloe_engine::claims::RequestId;
use sloe_engine::error::Denied;
use sloe_engine::refresh::RefreshError;

#[tokio::test]
async fn a_refresh_changes_its_own_event_and_no_other() {
    let place = place();
    let engine = start(&place, None);
    let org = org_id(1);
    connect(&engine, &*place.store, org, "acme", "http://127.0.0.1:9");
    for n in 1..=2 {
        assert!(engine.apply_refresh(org, raw(n, "Before", Some(5), 0)).await.unwrap().changed);
    }
    let (_, other) = engine.event(event(org).public_id()).unwrap();
    let read = raw(2, "After", Some(5), 0);
    let applied = engine.apply_refresh(org, read.clone()).await.unwrap();
    assert!(applied.changed && applied.version == 2);
    let (_, same) = engine.event(event(org).public_id()).unwrap();
    assert_eq!(other, same);
    let again = engine.apply_refresh(org, read).await.unwrap();
    assert!(!again.changed && again.version == 2);
    engine.stop().await;
}

#[tokio::test]
async fn a_faulty_event_is_refused_with_every_fault_and_the_last_good_one_stays() {
    let place = place();
    let engine = start(&place, None);
    let org = org_id(1);
    connect(&engine, &*place.store, org, "acme", "http://127.0.0.1:9");
    engine.apply_refresh(org, raw(1, "Good", Some(5), 1)).await.unwrap();
    let mut bad = raw(1, "Bad", Some(5), 1);
    bad.event.fields.insert(Field::Limit, Value::Number(-1.0));
    bad.sessions[0].fields.remove(&Field::Name);
    let Err(RefreshError::Faulty(faults)) = engine.apply_refresh(org, bad).await else {
        panic!("a faulty event was taken");
    };
    assert_eq!(faults.len(), 2, "{faults:?}");
    let (_, snapshot) = engine.event(event(org).public_id()).unwrap();
    assert_eq!(snapshot.name, "Good");
    engine.stop().await;
}

#[tokio::test]
async fn older_data_changes_nothing() {
    let place = place();
    let engine = start(&place, None);
    let org = org_id(1);
    connect(&engine, &*place.store, org, "acme", "http://127.0.0.1:9");
    engine.apply_refresh(org, raw(1, "Newer", Some(5), 0)).await.unwrap();
    let mut older = raw(1, "Older", Some(500), 0);
    older.as_of = older.as_of.plus_millis(-60_000);
    assert!(!engine.apply_refresh(org, older).await.unwrap().changed);
    let (_, snapshot) = engine.event(event(org).public_id()).unwrap();
    assert_eq!((snapshot.name.as_str(), snapshot.limit), ("Newer", Some(5)));
    engine.stop().await;
}

#[tokio::test]
async fn the_same_record_id_in_two_orgs_is_two_events() {
    let place = place();
    let engine = start(&place, None);
    for (n, slug) in [(1, "acme"), (2, "globex")] {
        connect(&engine, &*place.store, org_id(n), slug, "http://127.0.0.1:9");
        engine.apply_refresh(org_id(n), raw(1, slug, Some(u32::from(n)), 0)).await.unwrap();
    }
    let (ours, theirs) = (event(org_id(1)), event(org_id(2)));
    let people = [person(&engine, ours, 1)];
    engine.register(ours.public_id(), &RequestId::Fresh, &people).await.unwrap();
    assert_eq!(engine.availability(ours).await.unwrap().left, Some(0));
    assert_eq!(engine.availability(theirs).await.unwrap().left, Some(2));
    let (_, snapshot) = engine.event(theirs.public_id()).unwrap();
    assert_eq!(snapshot.name, "globex");
    engine.stop().await;
}

#[tokio::test]
async fn an_attendee_cancelled_in_the_org_frees_the_seat() {
    let place = place();
    let engine = start(&place, None);
    let org = org_id(1);
    connect(&engine, &*place.store, org, "acme", "http://127.0.0.1:9");
    engine.apply_refresh(org, raw(1, "Event", Some(1), 0)).await.unwrap();
    let id = event(org).public_id();
    let people = [person(&engine, event(org), 1)];
    let order = engine.register(id, &RequestId::Fresh, &people).await.unwrap();
    let order = engine.order_by_token(&order.token).await.unwrap();
    let refused = engine.register(id, &RequestId::Fresh, &people).await;
    assert!(matches!(refused, Err(Denied::SoldOut(_))), "{refused:?}");
    let mut cancelled = raw(1, "Event", Some(1), 0);
    let somebody_elses = sloe_core::ids::ClaimId(9).attendee_key(1);
    cancelled.cancelled = vec![order.claim.attendee_key(1), somebody_elses, "odd".to_owned()];
    engine.apply_refresh(org, cancelled).await.unwrap();
    engine.register(id, &RequestId::Fresh, &people).await.unwrap();
    engine.stop().await;
}
