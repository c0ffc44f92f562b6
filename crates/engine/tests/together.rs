//! Attendees and their sessions in one call: what normal hours are made of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::org::{Org, hasty, until};
use common::{person, place, start};
use serde_json::json;
use sloe_engine::claims::RequestId;
use sloe_engine::engine::Engine;
use sloe_engine::worker::Settings;

/// Registers so many people while the org is away, each for two sessions, and
/// lets the org be as `then` says once the outbox has noticed.
async fn at_once(
    engine: &Engine,
    org: &Org,
    people: std::ops::Range<usize>,
    then: serde_json::Value,
) {
    org.faults(json!({ "outage": true })).await;
    for n in people {
        let people = [person(engine, org.event(), n)];
        engine.register(org.event().public_id(), &RequestId::Fresh, &people).await.unwrap();
    }
    org.tried_in_vain(engine).await;
    org.faults(then).await;
    org.drained(engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attendees_and_their_sessions_are_one_call_and_a_refused_attendee_costs_its_own_only() {
    let (org, place) = (Org::start().await, place());
    let settings = Settings { figures_every: Duration::from_secs(600), ..hasty(2_000) };
    let engine = start(&place, Some(settings));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    org.drained(&engine).await;
    until("the figures are told", async || org.calls("collections").await > 0).await;
    let before = (org.calls("collections").await, org.composites().await);
    at_once(&engine, &org, 0..150, json!({})).await;
    let spent = (org.calls("collections").await - before.0, org.composites().await - before.1);
    assert_eq!(spent, (0, 1));
    let sessions = "SELECT Attendee__c FROM Sloe_Session_Attendee__c";
    assert_eq!((org.attendees().await.len(), org.records(sessions).await.len()), (150, 300));

    let refused = json!({
        "row_error_code": "FIELD_CUSTOM_VALIDATION_EXCEPTION", "row_error_rate": 0.3, "seed": 7,
        "objects": ["Sloe_Attendee__c"],
    });
    at_once(&engine, &org, 150..190, refused).await;
    let there = org.attendees().await;
    let gone = 190 - there.len();
    assert!((1..40).contains(&gone), "{gone} attendees were refused");
    let ids: BTreeSet<_> = there.iter().map(|attendee| attendee["Id"].to_string()).collect();
    let children = org.records(sessions).await;
    assert!(children.iter().all(|child| ids.contains(&child["Attendee__c"].to_string())));
    assert_eq!(children.len(), 2 * there.len(), "sessions of attendees that are there");
    let state = engine.sync_state(org.id()).await.unwrap();
    assert_eq!((state.dead_letters, state.retrying), (3 * gone, 0), "{state:?}");
    engine.stop().await;
}
