//! What is sold is told in rounds: all events that changed in one call, and
//! those that nothing was told of yet at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::org::{Org, hasty, until};
use common::{person, place, start, start_under};
use serde_json::{Value as Json, json};
use sloe_core::ids::{EventRef, SfId};
use sloe_engine::claims::RequestId;
use sloe_engine::engine::Engine;
use sloe_engine::worker::Settings;

async fn add_event(org: &Org, name: &str) -> EventRef {
    let fields = json!({
        "Name": name,
        "Published__c": true,
        "Time_Zone__c": "UTC",
        "Starts_At__c": "2099-05-01T09:00:00.000+0000",
        "Ends_At__c": "2099-05-01T17:00:00.000+0000",
    });
    let id = org.create("Sloe_Event__c", fields).await;
    org.create("Sloe_Item__c", json!({ "Name": "Pass", "Event__c": id })).await;
    EventRef { event: SfId::parse(&id).unwrap(), ..org.event() }
}

/// What the org says is sold, by event.
async fn sold(org: &Org, events: &[EventRef]) -> Vec<Json> {
    let records = org.records("SELECT Id, Sold__c FROM Sloe_Event__c").await;
    let of = |event: &EventRef| {
        let same = |record: &&Json| record["Id"] == event.event.as_str();
        records.iter().find(same).unwrap()["Sold__c"].clone()
    };
    events.iter().map(of).collect()
}

async fn register(engine: &Engine, events: &[EventRef]) {
    for (n, event) in events.iter().enumerate() {
        let people = [person(engine, *event, n)];
        engine.register(event.public_id(), &RequestId::Fresh, &people).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_of_all_events_go_together_and_those_of_a_new_event_do_not_wait() {
    let (org, place) = (Org::start().await, place());
    let events = [org.event(), add_event(&org, "Second").await, add_event(&org, "Third").await];
    let long = || Settings { figures_every: Duration::from_secs(3_600), ..hasty(2_000) };
    let engine = start(&place, Some(long()));
    org.connect(&engine, &*place.store);
    until("all are told", async || sold(&org, &events).await == [0.0, 0.0, 0.0]).await;
    register(&engine, &events).await;
    org.drained(&engine).await;
    assert_eq!(org.attendees().await.len(), 3);

    let fourth = [add_event(&org, "Fourth").await];
    engine.request_refresh(org.id(), Some(fourth[0].event));
    until("the fourth is told", async || sold(&org, &fourth).await == [0.0]).await;
    assert_eq!(sold(&org, &events).await, [0.0, 0.0, 0.0], "the round is not over");
    engine.stop().await;
    drop(engine);

    // A start begins a round: nobody knows any more when the last one was.
    let before = org.calls("collections").await;
    let engine = start(&place, Some(long()));
    until("all are told", async || sold(&org, &events).await == [1.0, 1.0, 1.0]).await;
    assert_eq!(org.calls("collections").await - before, 1, "one call for all");
    register(&engine, &events).await;
    org.drained(&engine).await;
    assert_eq!(sold(&org, &events).await, [1.0, 1.0, 1.0], "the next round has not come");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seats_of_a_hold_that_ended_while_nothing_ran_are_told_to_be_free_though_nobody_looks() {
    let (org, place) = (Org::start().await, place());
    let (engine, clock) = org.served(&place).await;
    let held = async || {
        let records = org.records("SELECT Held__c FROM Sloe_Event__c").await;
        records[0]["Held__c"].clone()
    };
    let (choice, _) = person(&engine, org.event(), 1);
    let event = org.event().public_id();
    engine.hold(event, &RequestId::Fresh, &[choice]).await.unwrap();
    until("the hold is told", async || held().await == 1.0).await;
    engine.stop().await;
    drop(engine);
    clock.advance_days(1);
    let engine = start_under(&place, &clock, Some(hasty(2_000)));
    until("its seat is told to be free", async || held().await == 0.0).await;
    engine.stop().await;
}
