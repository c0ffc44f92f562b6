//! What changes while a comparison runs, and before what it found is mended,
//! is no difference and is not mended by what is known no more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::compare::{begin_with, clean, found, id, key, letters, record, verify};
use common::org::{Org, hasty, until};
use common::{Place, person, place};
use serde_json::json;
use sloe_engine::claims::RequestId;
use sloe_engine::engine::Engine;
use sloe_engine::worker;
use sloe_store::api::Store;
use sloe_store::key::Key;

/// Workers that bear a call which stands still for as long as a test takes.
fn patient() -> worker::Settings {
    let mut settings = hasty(2_000);
    settings.salesforce.deadline = Duration::from_secs(600);
    settings
}

/// Registers somebody for no session: one row, and no composite call.
async fn register(engine: &Engine, org: &Org, n: usize) {
    let mut people = [person(engine, org.event(), n)];
    people[0].0.sessions.clear();
    engine.register(org.event().public_id(), &RequestId::Fresh, &people).await.unwrap();
}

/// How many of the event's seats the org shows as sold.
async fn sold(org: &Org) -> Option<f64> {
    org.records("SELECT Sold__c FROM Sloe_Event__c").await[0]["Sold__c"].as_f64()
}

/// Whether it is noted that the org was told the event's newest figures.
fn is_told(place: &Place, org: &Org) -> bool {
    let scope = place.store.open_org(org.id()).unwrap().unwrap();
    let told = Key::delivered(scope, &format!("figures {}", org.event().event));
    let told = place.store.get(&told).unwrap().map_or(0, |told| told.version);
    place.store.journals().unwrap().contains(&(org.event(), told))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_that_are_told_while_the_org_answers_are_no_difference() {
    let place = place();
    let (org, engine, _) = begin_with(&place, patient(), 2).await;
    until("all is noted", async || is_told(&place, &org)).await;
    // The org has counted, and its answer is on its way for as long as this is in force.
    org.faults(json!({ "late_rate": 1, "times": 1, "kinds": ["composite"] })).await;
    let comparing = verify(&org, &engine);
    tokio::pin!(comparing);
    let verified = tokio::select! {
        verified = &mut comparing => panic!("{verified:?}"),
        () = until("the org has counted", async || org.faulted().await == 1) => {
            register(&engine, &org, 2).await;
            until("more is sold", async || sold(&org).await == Some(3.0)).await;
            until("that is noted", async || is_told(&place, &org)).await;
            org.faults(json!({})).await;
            comparing.await
        }
    };
    assert_eq!((found(&verified), &verified.fault), (BTreeMap::new(), &None), "{verified:?}");
    clean(&org, &engine).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_comparison_found_of_a_row_is_not_mended_once_the_row_was_sent_again() {
    let place = place();
    let (org, engine, orders) = begin_with(&place, patient(), 2).await;
    let key = key(&engine, &orders[0]).await;
    let before = record(&org, &key).await;
    let newer = json!({ "Sloe_Version__c": before["Sloe_Version__c"].as_f64().unwrap() + 1.0 });
    org.change("Sloe_Attendee__c", id(&before), newer).await;
    // The outbox stands still with the figures, so it mends nothing yet.
    let figures = "/services/data/*/composite/sobjects";
    org.faults(json!({ "stall": true, "path": figures, "methods": ["PATCH"] })).await;
    register(&engine, &org, 2).await;
    until("the outbox stands still", async || org.hits().await == 1).await;
    let verified = verify(&org, &engine).await;
    assert_eq!(found(&verified), BTreeMap::from([("changed", (1, 0))]), "{verified:?}");
    // Meanwhile the row has news, which go first.
    engine.cancel(&orders[0].token, None).await.unwrap();
    let looks = || engine.runs()["orgs"].count;
    let seen = looks();
    until("the outbox knows of the news", async || looks() >= seen + 2).await;
    org.faults(json!({})).await;
    until("the figures are told", async || sold(&org).await == Some(2.0)).await;
    assert_eq!(letters(&engine, &org).await, [], "staff are asked about what is right by now");
    clean(&org, &engine).await;
    let after = record(&org, &key).await;
    assert_eq!(after["Registration_Status__c"], "Cancelled");
    engine.stop().await;
}
