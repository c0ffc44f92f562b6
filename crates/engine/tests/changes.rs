//! What an org tells of its changes shows at once, and what it can't tell is found all the same.
#![cfg(feature = "pubsub")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::org::{Org, hasty, until};
use common::{Place, person, place, start};
use reqwest::Method;
use serde_json::{Value as Json, json};
use sloe_core::catalog::Snapshot;
use sloe_core::time::Timestamp;
use sloe_engine::changes::{Changes, ChangesError, Part, Source};
use sloe_engine::claims::RequestId;
use sloe_engine::engine::Engine;
use sloe_engine::refresh::{Outcome, Refresh};
use sloe_engine::worker;

const EVENT: &str = "a005g0000000001";

/// Workers that look for changes when they begin, and then hardly ever.
fn drowsy() -> worker::Settings {
    worker::Settings { poll_every: Duration::from_secs(3_600), ..hasty(2_000) }
}

async fn changes(engine: &Engine, org: &Org) -> Changes {
    engine.changes(org.id()).await.unwrap()
}

async fn healthy(engine: &Engine, org: &Org) {
    until("change events are followed", async || changes(engine, org).await.healthy()).await;
}

async fn follow(engine: &Engine, org: &Org) {
    let source = Source { url: org.running.pubsub_url().unwrap() };
    engine.set_change_events(org.id(), Some(source)).await.unwrap();
    healthy(engine, org).await;
}

/// Calls that read an event: those that looked for changes left out, once they are over.
async fn reads(engine: &Engine, org: &Org) -> u64 {
    org.composite_reads().await - engine.poll_state(org.id()).unwrap().count
}

/// Changes told since the start that were news: our own figures are none.
async fn news(engine: &Engine, org: &Org) -> u64 {
    let changes = changes(engine, org).await;
    changes.told - changes.passed_over
}

/// An engine whose org has been read and tells of its changes.
async fn followed(org: &Org, place: &Place) -> Engine {
    let engine = start(place, Some(drowsy()));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    // One look when it begins; the next comes an hour after the org was read.
    follow(&engine, org).await;
    let looked = || engine.poll_state(org.id()).unwrap().count > 0;
    until("what happened before was looked for", async || looked()).await;
    engine
}

fn event(engine: &Engine, org: &Org) -> Snapshot {
    Snapshot::clone(&engine.event(org.event().public_id()).unwrap().1)
}

async fn rename(org: &Org, name: &str) {
    org.change("Sloe_Event__c", EVENT, json!({ "Name": name })).await;
}

async fn named(engine: &Engine, org: &Org, name: &str) {
    until(name, async || event(engine, org).name == name).await;
}

/// Waits until the whole org was read after `since`.
async fn read_whole(engine: &Engine, org: &Org, since: Timestamp) {
    let read = || engine.refreshes(org.id()).iter().any(|r| r.event.is_none() && r.at > since);
    until("the whole org is read", async || read()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_an_event_an_item_or_a_session_shows_at_one_call_each_and_our_own_at_none() {
    let (org, place) = (Org::telling().await, place());
    let engine = followed(&org, &place).await;
    let before = reads(&engine, &org).await;
    rename(&org, "Told").await;
    named(&engine, &org, "Told").await;
    let item = json!({ "Name": "Late pass", "Event__c": EVENT, "Quantity__c": 5 });
    let item = org.create("Sloe_Item__c", item).await;
    until("the new item", async || event(&engine, &org).items.len() == 2).await;
    org.change("Sloe_Item__c", &item, json!({ "Quantity__c": 6 })).await;
    let limits = |engine: &Engine| -> Vec<_> {
        event(engine, &org).items.iter().map(|item| item.limit).collect()
    };
    until("its new quantity", async || limits(&engine).contains(&Some(6))).await;
    org.delete("Sloe_Item__c", &item).await;
    until("the lost item", async || event(&engine, &org).items.len() == 1).await;
    assert_eq!(reads(&engine, &org).await, before + 4, "one call a change");
    // Figures are written by Sloe: told, and no news. What the org's staff writes into them isn't either.
    let people = [person(&engine, org.event(), 1)];
    engine.register(org.event().public_id(), &RequestId::Fresh, &people).await.unwrap();
    org.drained(&engine).await;
    org.change("Sloe_Event__c", EVENT, json!({ "Sold__c": 77 })).await;
    until("figures are told", async || changes(&engine, &org).await.passed_over >= 3).await;
    rename(&org, "Told again").await;
    named(&engine, &org, "Told again").await;
    assert_eq!(reads(&engine, &org).await, before + 5, "nothing was read for them");
    engine.stop().await;
    org.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_where_it_was_and_the_switch_is_remembered() {
    let (org, place) = (Org::telling().await, place());
    let engine = followed(&org, &place).await;
    for name in ["One", "Two"] {
        rename(&org, name).await;
        named(&engine, &org, name).await;
    }
    assert_eq!(news(&engine, &org).await, 2);
    engine.stop().await;
    rename(&org, "While nobody listened").await;
    let engine = start(&place, Some(drowsy()));
    healthy(&engine, &org).await;
    named(&engine, &org, "While nobody listened").await;
    until("it is told", async || news(&engine, &org).await > 0).await;
    rename(&org, "Later").await;
    named(&engine, &org, "Later").await;
    assert_eq!(news(&engine, &org).await, 2, "what was dealt with is not told again");
    engine.set_change_events(org.id(), None).await.unwrap();
    until("nothing is followed", async || changes(&engine, &org).await.parts.is_empty()).await;
    assert!(!changes(&engine, &org).await.healthy());
    engine.stop().await;
    let engine = start(&place, None);
    assert_eq!(changes(&engine, &org).await.source, None);
    engine.stop().await;
    org.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_is_made_up_for_by_reading_the_event_or_the_whole_org() {
    let (org, place) = (Org::telling().await, place());
    let engine = followed(&org, &place).await;
    org.event_knobs(json!({ "gap_rate": 1.0 })).await;
    rename(&org, "Gap").await;
    named(&engine, &org, "Gap").await;
    org.event_knobs(json!({ "gap_rate": 0.0, "duplicate_rate": 1.0, "reorder": true })).await;
    rename(&org, "Repeated").await;
    named(&engine, &org, "Repeated").await;
    let since = engine.now();
    let overflow = json!({ "object": "Sloe_Session__c" });
    org.control(Method::POST, "events/overflow", overflow).await;
    read_whole(&engine, &org, since).await;
    // Whoever was away for longer than events are kept has lost some.
    engine.stop().await;
    rename(&org, "Forgotten").await;
    org.control(Method::DELETE, "events", Json::Null).await;
    let engine = start(&place, Some(drowsy()));
    let since = engine.now();
    healthy(&engine, &org).await;
    named(&engine, &org, "Forgotten").await;
    read_whole(&engine, &org, since).await;
    rename(&org, "Kept").await;
    named(&engine, &org, "Kept").await;
    engine.stop().await;
    org.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_and_a_lost_session_are_made_anew() {
    let (org, place) = (Org::telling().await, place());
    let engine = followed(&org, &place).await;
    org.control(Method::POST, "events/cut", Json::Null).await;
    rename(&org, "Cut").await;
    named(&engine, &org, "Cut").await;
    healthy(&engine, &org).await;
    org.control(Method::DELETE, "tokens", Json::Null).await;
    org.control(Method::POST, "events/cut", Json::Null).await;
    until("it is noticed", async || !changes(&engine, &org).await.healthy()).await;
    healthy(&engine, &org).await;
    let told = news(&engine, &org).await;
    let form = [("Name", "Signed in again")];
    // The test's own session ended too: the org's page needs none.
    let url = format!("{}/r/{EVENT}", org.running.url());
    reqwest::Client::new().post(url).form(&form).send().await.unwrap();
    until("it is told", async || news(&engine, &org).await > told).await;
    engine.stop().await;
    org.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_place_or_a_delivery_left_sloe_looks_by_itself_and_says_so() {
    let (org, place) = (Org::telling().await, place());
    let engine = followed(&org, &place).await;
    let looks = || engine.poll_state(org.id()).unwrap().count;
    let before = looks();
    org.event_knobs(json!({ "daily": 0 })).await;
    rename(&org, "Not delivered").await;
    named(&engine, &org, "Not delivered").await;
    assert!(looks() > before, "nobody told of it: it was looked for");
    let state = changes(&engine, &org).await;
    assert!(!state.healthy());
    let trouble = state.trouble().unwrap();
    assert!(
        trouble.contains("used up") && trouble.contains("looks for changes by itself"),
        "{trouble}"
    );
    let Some(Part::Down { since, again, .. }) = state.parts.get("event") else {
        panic!("{state:?}")
    };
    assert!(again.millis_since(*since) >= 10 * 60_000, "not asked again soon: {state:?}");
    // Switching anew asks at once.
    org.event_knobs(json!({ "daily": 1_000, "subscribers": 0 })).await;
    let source = state.source.clone();
    engine.set_change_events(org.id(), source.clone()).await.unwrap();
    until("no place", async || {
        changes(&engine, &org).await.trouble().is_some_and(|t| t.contains("no place"))
    })
    .await;
    org.event_knobs(json!({ "subscribers": 10 })).await;
    engine.set_change_events(org.id(), source).await.unwrap();
    healthy(&engine, &org).await;
    engine.stop().await;
    org.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_looked_for_before_the_org_was_read_as_a_whole() {
    let (org, place) = (Org::telling().await, place());
    org.faults(json!({ "error_rate": 1.0, "error_status": 503, "kinds": ["query"] })).await;
    let engine = start(&place, Some(drowsy()));
    org.connect(&engine, &*place.store);
    let failed = |refresh: &Refresh| matches!(refresh.outcome, Outcome::Failed { .. });
    until("the org can't be read", async || engine.refreshes(org.id()).iter().any(failed)).await;
    follow(&engine, &org).await;
    org.faults(json!({})).await;
    org.shown(&engine).await;
    let state = engine.poll_state(org.id()).unwrap();
    assert_eq!((state.fault, state.count), (None, 0), "there was nothing to go on from");
    engine.stop().await;
    org.running.shutdown().await;
}

#[tokio::test]
async fn an_address_that_would_give_the_session_away_is_refused() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, None);
    org.connect(&engine, &*place.store);
    let source = Source { url: "http://pubsub.example:7443".to_owned() };
    let refused = engine.set_change_events(org.id(), Some(source)).await;
    assert!(matches!(refused, Err(ChangesError::Source(_))), "{refused:?}");
    assert_eq!(changes(&engine, &org).await.source, None);
    engine.stop().await;
    org.running.shutdown().await;
}
