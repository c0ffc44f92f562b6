//! What an org refuses, and for how long: no row loses its chances, its neighbors' time or its
//! links for what has nothing to do with it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::org::{Org, hasty, until};
use common::{person, place, start};
use serde_json::{Value as Json, json};
use sloe_engine::claims::{Confirmed, RequestId};
use sloe_engine::engine::Engine;
use sloe_engine::sync::{LetterFilter, SyncFault};
use sloe_engine::worker;

async fn register(engine: &Engine, org: &Org, n: usize) -> Confirmed {
    let people = [person(engine, org.event(), n)];
    engine.register(org.event().public_id(), &RequestId::Fresh, &people).await.unwrap()
}

async fn fault(engine: &Engine, org: &Org) -> Option<SyncFault> {
    engine.sync_state(org.id()).await.unwrap().fault
}

/// The letters' codes.
async fn codes(engine: &Engine, org: &Org) -> Vec<String> {
    let page = engine.letters(org.id(), &LetterFilter::default(), None, 100).await.unwrap();
    page.letters.into_iter().map(|letter| letter.code).collect()
}

fn status(record: &Json) -> &str {
    record["Registration_Status__c"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_an_org_without_room_wait_and_use_up_no_chance() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    org.faults(
        json!({ "row_errors": { "STORAGE_LIMIT_EXCEEDED": 1.0 }, "objects": ["Sloe_Attendee__c"] }),
    )
    .await;
    register(&engine, &org, 1).await;
    until("the org is full", async || {
        fault(&engine, &org).await.is_some_and(|fault| fault.means.contains("storage is full"))
    })
    .await;
    let state = engine.sync_state(org.id()).await.unwrap();
    assert_eq!((state.retrying, state.dead_letters), (0, 0), "{state:?}");
    org.faults(json!({})).await;
    // Whoever mends it need not wait for the pause to end.
    org.connect(&engine, &*place.store);
    org.drained(&engine).await;
    assert_eq!(org.attendees().await.len(), 1);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_was_refused_is_followed_by_a_few_rows_by_name() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(10)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    org.faults(json!({ "outage": true })).await;
    for n in 0..12 {
        register(&engine, &org, n).await;
    }
    org.tried_in_vain(&engine).await;
    org.faults(json!({ "errors": { "INVALID_FIELD": 1.0 }, "kinds": ["bulk_ingest"] })).await;
    until("no job is taken", async || {
        fault(&engine, &org).await.is_some_and(|fault| fault.means.contains("field"))
    })
    .await;
    assert_eq!(org.attendees().await.len(), 0);
    org.connect(&engine, &*place.store);
    // The job would be refused again.
    org.drained(&engine).await;
    assert_eq!(org.attendees().await.len(), 12);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_waits_its_time_is_not_hurried_by_others_in_trouble() {
    let (org, place) = (Org::start().await, place());
    let (engine, clock) = org.served(&place).await;
    // Attendees run into locks; of their places in sessions nothing is ever heard.
    let faults = json!([
        { "row_error_rate": 1.0, "objects": ["Sloe_Attendee__c"] },
        { "error_rate": 1.0, "path": "*/Sloe_Session_Attendee__c/*" },
    ]);
    org.faults(faults).await;
    let mut people = [person(&engine, org.event(), 1), person(&engine, org.event(), 2)];
    people[1].0.sessions.clear();
    engine.register(org.event().public_id(), &RequestId::Fresh, &people).await.unwrap();
    let waiting = async || engine.waiting_rows(org.id(), None, 500).await.unwrap().rows;
    until("the attendees wait", async || waiting().await.len() == 2).await;
    // Their time is far off now.
    clock.advance(-3_600_000);
    let before = org.calls("collections").await;
    until("the sessions were tried again", async || org.calls("collections").await > before + 1)
        .await;
    let rows = waiting().await;
    assert!(rows.len() == 2 && rows.iter().all(|row| row.tries == 1), "{rows:?}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_org_only_says_it_does_not_know_is_not_taken_for_deleted() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    let order = register(&engine, &org, 1).await;
    let other = register(&engine, &org, 2).await;
    org.drained(&engine).await;
    let unknown = json!({ "row_errors": { "INVALID_CROSS_REFERENCE_KEY": 1.0 }, "objects": ["Sloe_Attendee__c"] });
    org.faults(unknown).await;
    engine.cancel(&order.token, None).await.unwrap();
    org.drained(&engine).await;
    assert!(codes(&engine, &org).await.contains(&"INVALID_CROSS_REFERENCE_KEY".to_owned()));
    let state = engine.sync_state(org.id()).await.unwrap();
    assert_eq!(state.conflicts, 0, "nothing was deleted: {state:?}");
    org.faults(json!({})).await;
    let all = sloe_engine::sync::Which::All(LetterFilter::default());
    engine.replay(org.id(), all).await.unwrap();
    until("the letters are gone", async || codes(&engine, &org).await.is_empty()).await;
    let attendees = org.attendees().await;
    assert_eq!(attendees.iter().filter(|one| status(one) == "Cancelled").count(), 1);
    let other = engine.order_by_token(&other.token).await.unwrap();
    assert!(other.tickets.iter().all(|ticket| ticket.cancelled.is_none()));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_that_the_org_refuses_are_told_with_its_reason_and_never_as_put_right() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    org.drained(&engine).await;
    let refused = json!({
        "row_errors": { "FIELD_CUSTOM_VALIDATION_EXCEPTION": 1.0 }, "objects": ["Sloe_Event__c"],
        "row_error_message": "Ask Ada Lovelace first.",
    });
    org.faults(refused).await;
    register(&engine, &org, 1).await;
    let verified = async || {
        engine.request_verify(org.id()).unwrap();
        engine.last_verify(org.id()).await.unwrap()
    };
    let mut last = None;
    until("it is told", async || {
        last = verified().await.filter(|last| last.refusal.is_some());
        last.is_some()
    })
    .await;
    let last = last.unwrap();
    let figures = last.differences[&sloe_core::verify::Difference::Figures];
    assert_eq!((figures.found, figures.mended), (1, 0), "{last:?}");
    let refusal = last.refusal.unwrap();
    assert!(refusal.means.contains("rule") && !refusal.means.contains("Ada"), "{refusal:?}");
    org.faults(json!({})).await;
    until("all is well", async || verified().await.is_some_and(|last| last.is_clean())).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_org_in_trouble_is_told_of_until_it_is_over() {
    let (org, place) = (Org::start().await, place());
    // As in normal hours, rows gather for a while.
    let settings = worker::Settings { gather: Duration::from_secs(2), ..hasty(2_000) };
    let engine = start(&place, Some(settings));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    org.drained(&engine).await;
    // With attendees only: figures go all the while.
    let trouble =
        json!({ "errors": { "SERVER_UNAVAILABLE": 1.0 }, "path": "*/Sloe_Attendee__c/*" });
    org.faults(trouble).await;
    let mut people = [person(&engine, org.event(), 1)];
    people[0].0.sessions.clear();
    engine.register(org.event().public_id(), &RequestId::Fresh, &people).await.unwrap();
    until("it is told", async || fault(&engine, &org).await.is_some()).await;
    let before = org.calls("collections").await;
    until("it was tried more often", async || {
        assert!(fault(&engine, &org).await.is_some(), "nothing has gone since");
        org.calls("collections").await > before + 1
    })
    .await;
    org.faults(json!({})).await;
    org.drained(&engine).await;
    until("it is over", async || fault(&engine, &org).await.is_none()).await;
    engine.stop().await;
}
