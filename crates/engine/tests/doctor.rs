//! `sloe doctor` says what is wrong in words, and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::org::{Org, hasty, until};
use common::{license, place, start};
use serde_json::json;
use sloe_core::license::{License, Status};
use sloe_engine::doctor::{Health, Line};
use sloe_engine::engine::Engine;

const EVENT: &str = "a005g0000000001";

async fn lines(engine: &Engine) -> Vec<Line> {
    let orgs = engine.examine_orgs().await;
    let mut lines: Vec<_> = orgs.into_iter().flat_map(|org| org.lines).collect();
    lines.extend(engine.examine_platform().await);
    lines
}

/// What needs a person.
async fn attention(engine: &Engine) -> Vec<&'static str> {
    let lines = lines(engine).await;
    lines.iter().filter(|line| line.health == Health::Attention).map(|line| line.subject).collect()
}

async fn line(engine: &Engine, subject: &str) -> Line {
    lines(engine).await.into_iter().find(|line| line.subject == subject).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_platform_needs_nobody_and_each_trouble_is_its_own_line_with_what_to_do() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    let whole = || engine.refreshes(org.id()).iter().any(|refresh| refresh.event.is_none());
    until("the org was read", async || whole()).await;
    until("it needs nobody", async || attention(&engine).await.is_empty()).await;
    let said = line(&engine, "refresh").await.says;
    assert!(said.starts_with("1 event as Salesforce says"), "{said}");
    assert!(line(&engine, "changes").await.says.contains("Update button"));

    // An organizer's mistake.
    org.change("Sloe_Event__c", EVENT, json!({ "Image_URL__c": "ftp://x" })).await;
    engine.request_refresh(org.id(), Some(org.event().event));
    until("the mistake is told", async || attention(&engine).await == ["refresh"]).await;
    let told = line(&engine, "refresh").await;
    assert!(told.says.contains(EVENT) && told.says.contains("https://"), "{told:?}");
    assert!(told.todo.unwrap().contains("press Update"));
    org.change("Sloe_Event__c", EVENT, json!({ "Image_URL__c": null })).await;
    engine.request_refresh(org.id(), Some(org.event().event));
    until("it is mended", async || attention(&engine).await.is_empty()).await;

    // No license in force.
    let registry = engine.registry();
    let over = License { number: "L-9".to_owned(), status: Status::Suspended, expires_at: None };
    registry.licenses.replace(&*place.store, org.id(), &[over]).unwrap();
    assert_eq!(attention(&engine).await, ["license"]);
    license(&engine, &*place.store, org.id());
    assert!(attention(&engine).await.is_empty());

    // The org is away.
    org.faults(json!({ "outage": true })).await;
    engine.request_refresh(org.id(), None);
    until("the outage is told", async || attention(&engine).await.contains(&"connection")).await;
    let told = line(&engine, "connection").await;
    assert!(told.todo.is_some() && !told.says.is_empty(), "{told:?}");
    org.faults(json!({})).await;
    engine.request_refresh(org.id(), None);
    until("it is back", async || attention(&engine).await.is_empty()).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_platform_that_does_not_run_it_says_what_is_written_down() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, None);
    org.connect(&engine, &*place.store);
    assert!(line(&engine, "refresh").await.says.contains("Nothing of the org was read"));
    assert!(line(&engine, "last look").await.says.contains("None is on record"));
    engine.stop().await;

    let engine = start(&place, Some(hasty(2_000)));
    let of_event =
        || engine.refreshes(org.id()).into_iter().find(|refresh| refresh.event.is_some());
    until("the event was read", async || of_event().is_some()).await;
    until("the org was read", async || engine.refreshes(org.id()).len() == 2).await;
    let first = of_event().unwrap().at;
    org.change("Sloe_Event__c", EVENT, json!({ "Image_URL__c": "ftp://x" })).await;
    engine.request_refresh(org.id(), Some(org.event().event));
    until("the mistake is told", async || of_event().unwrap().at > first).await;
    engine.stop().await;

    let engine = start(&place, None);
    assert_eq!(attention(&engine).await, ["refresh"]);
    let told = line(&engine, "refresh").await;
    assert!(told.says.contains(EVENT) && told.says.contains("https://"), "{told:?}");
    assert!(line(&engine, "connection").await.says.contains(" answered "));
    assert!(line(&engine, "last look").await.says.contains("On record up to "));
    // What only a running platform knows is left out rather than called good.
    assert!(lines(&engine).await.iter().all(|line| line.subject != "tasks"));
    engine.stop().await;
}
