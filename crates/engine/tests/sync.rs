//! What is confirmed reaches the org exactly once, whatever happens on the way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::org::{Org, hasty, status, until};
use common::{Clock, person, place, raw, start, start_on};
use sloe_core::ids::{EventRef, SfId};
use sloe_core::inbound::RawEvent;
use sloe_engine::claims::{Confirmed, RequestId};
use sloe_engine::engine::Engine;
use sloe_engine::refresh::{Outcome, Refresh};
use sloe_store::api::Store;
use sloe_store::key::{Collection, Range};

async fn register(engine: &Engine, org: &Org, numbers: std::ops::Range<usize>) -> Vec<Confirmed> {
    let mut running = tokio::task::JoinSet::new();
    for n in numbers {
        let people = [person(engine, org.event(), n)];
        let (engine, event) = (engine.clone(), org.event().public_id());
        running.spawn(
            async move { engine.register(event, &RequestId::Fresh, &people).await.unwrap() },
        );
    }
    running.join_all().await
}

async fn keys(engine: &Engine, orders: &[Confirmed]) -> Vec<String> {
    let mut keys = Vec::new();
    for order in orders {
        keys.push(engine.order_by_token(&order.token).await.unwrap().claim.attendee_key(1));
    }
    keys
}

fn text<'a>(record: &'a serde_json::Value, field: &str) -> &'a str {
    record[field].as_str().unwrap_or_else(|| panic!("{record} has no {field}"))
}

/// Every life ends without notice once the org holds so many attendees.
fn survives_being_dropped(bulk_from: usize) {
    let outside = tokio::runtime::Runtime::new().unwrap();
    let org = outside.block_on(Org::start());
    let place = place();
    let mut keys = BTreeSet::new();
    for (life, dies_at) in [3_usize, 41, 90, 120, 205].into_iter().enumerate() {
        let inside = tokio::runtime::Runtime::new().unwrap();
        let new = inside.block_on(async {
            let engine = start(&place, Some(hasty(bulk_from)));
            if life == 0 {
                org.connect(&engine, &*place.store);
            }
            org.shown(&engine).await;
            let orders = register(&engine, &org, life * 50..(life + 1) * 50).await;
            until("some have arrived", async || org.attendees().await.len() >= dies_at).await;
            self::keys(&engine, &orders).await
        });
        keys.extend(new);
        inside.shutdown_timeout(std::time::Duration::from_secs(5));
    }
    outside.block_on(async {
        let engine = start(&place, Some(hasty(bulk_from)));
        org.shown(&engine).await;
        org.drained(&engine).await;
        let attendees = org.attendees().await;
        let arrived: BTreeSet<_> =
            attendees.iter().map(|record| text(record, "Sloe_Id__c").to_owned()).collect();
        assert_eq!(attendees.len(), 250, "an attendee is there twice, or missing");
        assert_eq!(arrived, keys);
        let sessions = org.records("SELECT Id, Attendee__c FROM Sloe_Session_Attendee__c").await;
        assert_eq!(sessions.len(), 500);
        until("the event's figures are told", async || {
            let figures = org.records("SELECT Sold__c, Remaining__c FROM Sloe_Event__c").await;
            figures[0]["Sold__c"] == 250.0 && figures[0]["Remaining__c"] == 750.0
        })
        .await;
        engine.stop().await;
    });
}

#[test]
fn registrations_reach_the_org_once_by_collections_although_the_worker_dies() {
    survives_being_dropped(usize::MAX);
}

#[test]
fn registrations_reach_the_org_once_by_bulk_jobs_although_the_worker_dies() {
    survives_being_dropped(20);
}

#[test]
fn a_job_that_was_under_way_is_taken_over_and_none_with_rows_stays_open() {
    let outside = tokio::runtime::Runtime::new().unwrap();
    let org = outside.block_on(Org::start());
    let place = place();
    let sends = || place.store.scan(Range::All(Collection::Sends), None, 9).unwrap();
    for (life, latency) in [10, 20, 40, 60].into_iter().enumerate() {
        let inside = tokio::runtime::Runtime::new().unwrap();
        inside.block_on(async {
            let engine = start(&place, Some(hasty(20)));
            if life == 0 {
                org.connect(&engine, &*place.store);
            }
            org.shown(&engine).await;
            org.drained(&engine).await;
            let slow = serde_json::json!({ "latency_ms": latency, "kinds": ["bulk_ingest"] });
            org.faults(slow).await;
            register(&engine, &org, life * 40..(life + 1) * 40).await;
            until("a job is recorded", async || {
                sends().iter().any(|(key, _)| key.local_id() == "bulk")
            })
            .await;
            // Each life ends at another step of its job; any would do.
            tokio::time::sleep(std::time::Duration::from_millis(latency)).await;
        });
        inside.shutdown_timeout(std::time::Duration::from_secs(5));
        outside.block_on(org.faults(serde_json::json!({})));
    }
    outside.block_on(async {
        let engine = start(&place, Some(hasty(20)));
        org.shown(&engine).await;
        org.drained(&engine).await;
        assert_eq!(org.attendees().await.len(), 160);
        let jobs = org.jobs().await;
        assert!(jobs.len() > 4, "{jobs:?}");
        for (id, state) in &jobs {
            match state.as_str() {
                "JobComplete" | "Aborted" => {}
                // An engine that ends before it has written down which job it opened leaves it
                // behind; rows come only after that.
                "Open" => assert_eq!(org.rows_of_open_job(id).await, 0, "{jobs:?}"),
                _ => panic!("{jobs:?}"),
            }
        }
        assert_eq!(org.attendees().await.len(), 160);
        assert!(sends().is_empty());
        engine.stop().await;
    });
}

#[tokio::test]
async fn a_ticket_cancelled_in_the_org_frees_its_seats_and_is_not_written_back() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    register(&engine, &org, 0..2).await;
    org.drained(&engine).await;
    let before = org.attendees().await;
    let id = text(&before[0], "Id");
    org.change("Sloe_Attendee__c", id, status("Cancelled")).await;
    engine.request_refresh(org.id(), Some(org.event().event));
    until("the seat is free", async || {
        engine.availability(org.event()).await.unwrap().left == Some(999)
    })
    .await;
    register(&engine, &org, 2..3).await;
    org.drained(&engine).await;
    let after = org.attendees().await;
    let same = after.iter().find(|record| text(record, "Id") == id).unwrap();
    assert_eq!(same["Sloe_Version__c"], before[0]["Sloe_Version__c"]);
    assert_eq!(after.len(), 3);
    engine.stop().await;
}

#[tokio::test]
async fn an_attendee_deleted_in_the_org_never_comes_back() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    let orders = register(&engine, &org, 0..2).await;
    org.drained(&engine).await;
    let key = &keys(&engine, &orders).await[0];
    let attendees = org.attendees().await;
    let record = attendees.iter().find(|record| text(record, "Sloe_Id__c") == key).unwrap();
    org.delete("Sloe_Attendee__c", text(record, "Id")).await;
    engine.cancel(&orders[0].token, None).await.unwrap();
    engine.cancel(&orders[1].token, None).await.unwrap();
    org.drained(&engine).await;
    let after = org.attendees().await;
    assert_eq!(after.len(), 1);
    assert_eq!(text(&after[0], "Registration_Status__c"), "Cancelled");
    engine.stop().await;
}

#[tokio::test]
async fn an_org_that_is_away_gets_everything_once_it_is_back() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    org.faults(serde_json::json!({ "outage": true })).await;
    register(&engine, &org, 0..5).await;
    until("the outbox has noticed", async || {
        engine.sync_state(org.id()).await.unwrap().fault.is_some()
    })
    .await;
    org.faults(serde_json::json!({})).await;
    org.drained(&engine).await;
    assert_eq!(org.attendees().await.len(), 5);
    engine.stop().await;
}

#[tokio::test]
async fn a_hundred_requests_for_one_event_are_at_most_two_refreshes_more() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    let changed = serde_json::json!({ "Name": "Renamed" });
    let before = org.composites().await;
    org.change("Sloe_Event__c", org.event().event.as_str(), changed).await;
    for _ in 0..100 {
        engine.request_refresh(org.id(), Some(org.event().event));
    }
    // Refreshes go in turn: once this one is done, so are those before it.
    let last = common::record("a00", 999);
    engine.request_refresh(org.id(), Some(last));
    until("the last refresh is done", async || {
        engine.refreshes(org.id()).iter().any(|refresh| refresh.event == Some(last))
    })
    .await;
    assert_eq!(engine.event(org.event().public_id()).unwrap().1.name, "Renamed");
    let refreshes = org.composites().await - before;
    assert!(refreshes <= 2 + 1, "{refreshes}");
    let refreshes = engine.refreshes(org.id());
    let of_event = refreshes.iter().find(|r| r.event == Some(org.event().event)).unwrap();
    assert!(matches!(of_event.outcome, Outcome::Applied(_)), "{of_event:?}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readings_of_an_org_do_not_overtake_each_other() {
    let org = Org::start().await;
    let place = place();
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    // Reading the whole org takes two calls: what the first has told is old when the second ends.
    org.faults(serde_json::json!({ "jitter_ms": 40, "kinds": ["composite"] })).await;
    let (id, last) = (org.event().event, 200_u32);
    let mut seen = Vec::new();
    let look = || {
        let name = engine.event(org.event().public_id()).unwrap().1.name.clone();
        name.parse::<u32>().unwrap_or(0)
    };
    for n in 1..=last {
        let name = serde_json::json!({ "Name": n.to_string() });
        org.change("Sloe_Event__c", id.as_str(), name).await;
        engine.request_refresh(org.id(), (n % 2 != 0).then_some(id));
        seen.push(look());
    }
    until("the last name is shown", async || {
        seen.push(look());
        seen.last() == Some(&last)
    })
    .await;
    assert!(seen.is_sorted(), "{seen:?}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_there_again_is_shown_again_although_our_clock_is_ahead() {
    let org = Org::start().await;
    let (place, clock) = (place(), Arc::new(Clock::default()));
    clock.advance_days(1);
    let store = Arc::clone(&place.store) as Arc<dyn Store>;
    let engine = start_on(store, clock, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    // Nothing that the org has: it comes, goes and comes again here only.
    let read = || raw(1, "Event", Some(5), 0);
    let event = EventRef { event: read().event.id, ..org.event() };
    let shown = || engine.catalog().listing(event).unwrap().published;
    engine.apply_refresh(org.id(), read()).await.unwrap();
    assert!(shown());
    engine.request_refresh(org.id(), Some(event.event));
    until("it is taken down", async || !shown()).await;
    assert!(engine.apply_refresh(org.id(), read()).await.unwrap().changed);
    assert!(shown());
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_gone_is_taken_down_although_its_figures_are_newer_than_its_page() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    let read = raw(1, "Event", Some(5), 0);
    let event = EventRef { event: read.event.id, ..org.event() };
    let later = read.as_of.plus_millis(3_600_000);
    engine.apply_refresh(org.id(), read.clone()).await.unwrap();
    let counted = RawEvent { external_total: 1, as_of: later, ..read };
    engine.apply_refresh(org.id(), counted).await.unwrap();
    let shown = || engine.catalog().listing(event).unwrap().published;
    assert!(shown());
    engine.request_refresh(org.id(), Some(event.event));
    until("it is taken down", async || !shown()).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_org_that_shows_none_of_its_events_any_more_keeps_them_and_staff_are_told() {
    let org = Org::start().await;
    let mut events = vec![org.event()];
    for name in ["Second", "Third"] {
        let fields = serde_json::json!({
            "Name": name,
            "Published__c": true,
            "Time_Zone__c": "UTC",
            "Starts_At__c": "2099-05-01T09:00:00.000+0000",
            "Ends_At__c": "2099-05-01T17:00:00.000+0000",
        });
        let id = org.create("Sloe_Event__c", fields).await;
        events.push(EventRef { event: SfId::parse(&id).unwrap(), ..org.event() });
    }
    let place = place();
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    let shown = || -> Vec<_> {
        let listing = |event: &EventRef| engine.catalog().listing(*event);
        events.iter().map(|event| listing(event).is_some_and(|listing| listing.published)).collect()
    };
    let trouble = || engine.refreshes(org.id()).first().and_then(Refresh::trouble);
    until("all are shown", async || shown() == [true, true, true]).await;
    // One that vanishes is taken down; the others are as they were.
    org.delete_event(events[2].event).await;
    engine.request_refresh(org.id(), None);
    until("the third is taken down", async || shown() == [true, true, false]).await;
    until("that is no trouble", async || trouble().is_none()).await;
    // All at once look like a right that was lost.
    for event in &events[..2] {
        org.delete_event(event.event).await;
    }
    engine.request_refresh(org.id(), None);
    until("staff are told", async || trouble().is_some()).await;
    let told = trouble().unwrap();
    assert!(told.contains("none of the org's 2 published events"), "{told}");
    assert!(told.contains("permission set") && told.contains("sloe event refresh"), "{told}");
    assert_eq!(shown(), [true, true, false]);
    // As the remedy says: one by one they go.
    engine.request_refresh(org.id(), Some(events[0].event));
    until("the first is taken down", async || shown() == [false, true, false]).await;
    engine.request_refresh(org.id(), None);
    until("the second is taken down", async || shown() == [false, false, false]).await;
    until("nothing is wrong any more", async || trouble().is_none()).await;
    engine.stop().await;
}
