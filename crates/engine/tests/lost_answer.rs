//! A row was made in the org, the answer was lost, or the Bulk job was aborted
//! under it, and somebody deleted it there before Sloe asked again: it stays
//! deleted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::org::{Org, hasty, until};
use common::{person, place, start};
use serde_json::json;
use sloe_engine::claims::{Confirmed, RequestId};
use sloe_engine::engine::Engine;
use sloe_engine::sync::LetterFilter;
use sloe_store::api::Store;
use sloe_store::key::{Collection, Range};

async fn register(engine: &Engine, org: &Org, n: usize, with_sessions: bool) -> Confirmed {
    let mut people = [person(engine, org.event(), n)];
    if !with_sessions {
        people[0].0.sessions.clear();
    }
    engine.register(org.event().public_id(), &RequestId::Fresh, &people).await.unwrap()
}

async fn conflicts(engine: &Engine, org: &Org) -> Vec<String> {
    let filter = LetterFilter { conflict: Some(true), ..LetterFilter::default() };
    let page = engine.letters(org.id(), &filter, None, 10).await.unwrap();
    page.letters.into_iter().map(|letter| letter.code).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attendee_deleted_before_it_was_asked_for_again_is_not_made_anew() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    let rows = json!(["/services/data/*/composite/sobjects/Sloe_Attendee__c/*"]);
    let faults = json!([
        { "path": rows[0], "cut_after_rate": 1, "times": 1 },
        { "path": rows[0], "error_rate": 1, "skip": 1 },
    ]);
    org.faults(faults).await;
    let order = register(&engine, &org, 1, false).await;
    until("the org made it", async || org.attendees().await.len() == 1).await;
    let id = org.attendees().await[0]["Id"].as_str().unwrap().to_owned();
    org.delete("Sloe_Attendee__c", &id).await;
    org.faults(json!({})).await;
    org.drained(&engine).await;
    assert_eq!(org.attendees().await.len(), 0, "it was revived");
    let order = engine.order_by_token(&order.token).await.unwrap();
    assert!(order.tickets.iter().all(|ticket| ticket.cancelled.is_some()), "its seat is free");
    // Another one whose answer is lost and that nobody deletes is there once.
    org.faults(json!({ "path": rows[0], "cut_after_rate": 1, "times": 1 })).await;
    let kept = register(&engine, &org, 2, false).await;
    org.drained(&engine).await;
    assert_eq!(org.attendees().await.len(), 1);
    engine.cancel(&kept.token, None).await.unwrap();
    org.drained(&engine).await;
    assert_eq!(org.attendees().await[0]["Registration_Status__c"], "Cancelled");
    engine.stop().await;
}

/// The process ends while the org works on the call.
#[test]
fn a_place_in_a_session_deleted_after_a_kill_is_not_made_anew() {
    let outside = tokio::runtime::Runtime::new().unwrap();
    let org = outside.block_on(Org::start());
    let place = place();
    let places = async || org.records("SELECT Id FROM Sloe_Session_Attendee__c").await;
    let inside = tokio::runtime::Runtime::new().unwrap();
    inside.block_on(async {
        let engine = start(&place, Some(hasty(2_000)));
        org.connect(&engine, &*place.store);
        org.shown(&engine).await;
        org.drained(&engine).await;
        org.faults(json!({ "stall_within_rate": 1, "kinds": ["composite"] })).await;
        register(&engine, &org, 1, true).await;
        until("the org made them", async || places().await.len() == 2).await;
    });
    inside.shutdown_timeout(std::time::Duration::from_secs(5));
    outside.block_on(async {
        let id = places().await[0]["Id"].as_str().unwrap().to_owned();
        org.delete("Sloe_Session_Attendee__c", &id).await;
        org.faults(json!({})).await;
        let engine = start(&place, Some(hasty(2_000)));
        org.shown(&engine).await;
        org.drained(&engine).await;
        assert_eq!((org.attendees().await.len(), places().await.len()), (1, 1), "it was revived");
        assert_eq!(conflicts(&engine, &org).await, ["deleted-in-org"]);
        assert!(place.store.scan(Range::All(Collection::Sends), None, 9).unwrap().is_empty());
        engine.stop().await;
    });
}

/// More than a Bulk job writes in one go.
const MANY: usize = 600;

/// Registers many while the org is away, and lets their job begin: it has
/// written some, and works on the next for a while.
async fn job_midway(engine: &Engine, org: &Org) {
    org.faults(json!({ "outage": true })).await;
    let mut running = tokio::task::JoinSet::new();
    for n in 0..MANY {
        let mut people = [person(engine, org.event(), n)];
        people[0].0.sessions.clear();
        let (engine, event) = (engine.clone(), org.event().public_id());
        running.spawn(async move {
            engine.register(event, &RequestId::Fresh, &people).await.unwrap();
        });
    }
    running.join_all().await;
    org.tried_in_vain(engine).await;
    let pace = |millis: u32| json!({ "chunk_ms": millis, "kinds": ["bulk_ingest"] });
    org.faults(pace(5_000)).await;
    until("some of the rows are written", async || !org.attendees().await.is_empty()).await;
    org.faults(pace(600_000)).await;
}

/// Deletes one of the rows that a job wrote before it was aborted.
async fn delete_one(org: &Org) {
    let written = org.attendees().await;
    assert!((1..MANY).contains(&written.len()), "it was not midway: {}", written.len());
    org.delete("Sloe_Attendee__c", written[0]["Id"].as_str().unwrap()).await;
    org.faults(json!({})).await;
}

async fn all_but_one_are_there(engine: &Engine, org: &Org) {
    org.drained(engine).await;
    until("no row waits", async || {
        engine.sync_state(org.id()).await.unwrap().retrying == 0
            && org.attendees().await.len() >= MANY - 1
    })
    .await;
    assert_eq!(org.attendees().await.len(), MANY - 1, "it was revived");
    assert_eq!(conflicts(engine, org).await, ["deleted-in-org"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_of_a_job_that_somebody_aborts_is_not_made_anew_once_it_is_deleted() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(50)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    job_midway(&engine, &org).await;
    org.abort_job().await;
    delete_one(&org).await;
    all_but_one_are_there(&engine, &org).await;
    assert!(place.store.scan(Range::All(Collection::Sends), None, 9).unwrap().is_empty());
    engine.stop().await;
}

/// The process ends while the job runs; an admin aborts it, and lets the org forget it.
#[test]
fn a_row_of_a_job_that_is_lost_after_a_kill_is_not_made_anew_once_it_is_deleted() {
    let outside = tokio::runtime::Runtime::new().unwrap();
    let org = outside.block_on(Org::start());
    let place = place();
    let inside = tokio::runtime::Runtime::new().unwrap();
    inside.block_on(async {
        let engine = start(&place, Some(hasty(50)));
        org.connect(&engine, &*place.store);
        org.shown(&engine).await;
        job_midway(&engine, &org).await;
    });
    inside.shutdown_timeout(std::time::Duration::from_secs(5));
    outside.block_on(async {
        let job = org.abort_job().await;
        delete_one(&org).await;
        org.forget_job(&job).await;
        let engine = start(&place, Some(hasty(50)));
        org.shown(&engine).await;
        all_but_one_are_there(&engine, &org).await;
        assert!(place.store.scan(Range::All(Collection::Sends), None, 9).unwrap().is_empty());
        engine.stop().await;
    });
}
