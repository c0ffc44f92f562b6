//! A large org is read as a whole: in few calls, without disturbing anybody.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::org::{Org, hasty, until};
use common::{place, start};
use serde_json::{Value, json};
use sloe_core::ids::{EventRef, SfId};
use sloe_core::limits::MAX_POOLS;
use sloe_engine::engine::Engine;
use sloe_engine::refresh::{Outcome, Refresh};
use sloe_engine::worker;
use sloe_salesforce::Options;

const EVENTS: usize = 1_000;

fn event(n: usize) -> Value {
    json!({
        "Name": format!("Event {n}"), "Published__c": true, "Time_Zone__c": "UTC",
        "Starts_At__c": "2031-05-01T09:00:00.000+0000", "Ends_At__c": "2031-05-01T17:00:00.000+0000",
        "Capacity__c": 1_000 + n, "Description__c": "\"Quoted\",\r\nand on two lines, ελληνικά 🎉",
    })
}

/// A thousand events more, two items and one session each; in the order of their numbers.
async fn fill(org: &Org) -> Vec<String> {
    let events: Vec<_> = (0..EVENTS).map(event).collect();
    let events = org.create_many("Sloe_Event__c", &events).await;
    let item = |n: usize, event: &String| json!({ "Event__c": event, "Name": format!("Item {n}"), "Price__c": 12.5, "Currency__c": "EUR", "Active__c": true });
    // Not in the order of their events.
    let items =
        events.iter().rev().enumerate().flat_map(|(n, event)| [item(n, event), item(n, event)]);
    org.create_many("Sloe_Item__c", &items.collect::<Vec<_>>()).await;
    let session = |(n, event): (usize, &String)| {
        json!({
            "Event__c": event, "Name": format!("Session {n}"), "Active__c": true,
            "Starts_At__c": "2031-05-01T10:00:00.000+0000", "Ends_At__c": "2031-05-01T11:00:00.000+0000",
        })
    };
    let sessions: Vec<_> = events.iter().enumerate().map(session).collect();
    org.create_many("Sloe_Session__c", &sessions).await;
    events
}

fn whole(engine: &Engine, org: &Org) -> Option<Refresh> {
    engine.refreshes(org.id()).into_iter().find(|refresh| refresh.event.is_none())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_events_come_by_bulk_query_and_one_faulty_one_holds_up_no_other() {
    let (org, place) = (Org::start().await, place());
    let events = fill(&org).await;
    let guest = json!({
        "Event__c": events[700], "First_Name__c": "By", "Last_Name__c": "Hand",
        "Email__c": "by@hand.example", "Registration_Status__c": "Registered",
    });
    org.create("Sloe_Attendee__c", guest).await;
    org.change("Sloe_Event__c", &events[800], json!({ "Image_URL__c": "javascript:alert(1)" }))
        .await;
    let made = org.calls("collections").await;
    let settings = worker::Settings { gather: Duration::from_secs(1), ..hasty(2_000) };
    let engine = start(&place, Some(settings));
    org.connect(&engine, &*place.store);
    until("all is read", async || whole(&engine, &org).is_some()).await;
    let read = whole(&engine, &org).unwrap();
    assert_eq!(read.outcome, Outcome::Read { good: EVENTS, faulty: 1 });
    // Five pages by REST at most, and three jobs for the rest.
    assert!(org.calls("bulk_query").await >= 9, "the rest was not read in bulk");
    let (pages, counts) = (org.calls("query").await, org.calls("composite").await);
    assert!(pages <= 3 && counts <= 6, "{pages} pages, {counts} counts");
    for (n, id) in events.iter().enumerate().filter(|(n, _)| *n != 800) {
        let event = EventRef { org: org.id(), event: SfId::parse(id).unwrap() };
        let (_, snapshot) = engine.event(event.public_id()).unwrap();
        assert_eq!(snapshot.name, format!("Event {n}"));
        assert_eq!(snapshot.limit, Some(1_000 + u32::try_from(n).unwrap()));
        assert_eq!((snapshot.items.len(), snapshot.sessions.len()), (2, 1), "{n}");
        assert!(snapshot.items.iter().all(|item| item.price.is_some()));
        assert!(snapshot.description.ends_with("ελληνικά 🎉"), "{}", snapshot.description);
    }
    let event = EventRef { org: org.id(), event: SfId::parse(&events[700]).unwrap() };
    assert_eq!(engine.availability(event).await.unwrap().left, Some(1_699));
    let faulty = SfId::parse(&events[800]).unwrap();
    let of_faulty =
        engine.refreshes(org.id()).into_iter().find(|r| r.event == Some(faulty)).unwrap();
    assert!(matches!(of_faulty.outcome, Outcome::Faulty(_)), "{of_faulty:?}");

    // Figures of four records an event go 200 a call, and not event by event.
    until("all figures are told", async || {
        let told = "SELECT Id FROM Sloe_Event__c WHERE Remaining__c != null";
        org.records(told).await.len() == EVENTS
    })
    .await;
    let calls = org.calls("collections").await - made;
    assert!(calls < 100, "{calls} calls for figures");

    // The same again changes nothing: what came in bulk is what comes by REST.
    let version = |id: &String| {
        let event = EventRef { org: org.id(), event: SfId::parse(id).unwrap() };
        engine.event(event.public_id()).unwrap().1.version
    };
    let before = version(&events[600]);
    engine.request_refresh(org.id(), Some(SfId::parse(&events[600]).unwrap()));
    let at = |engine: &Engine| {
        let event = SfId::parse(&events[600]).unwrap();
        engine.refreshes(org.id()).into_iter().find(|r| r.event == Some(event)).unwrap().at
    };
    let earlier = at(&engine);
    until("it is read by itself", async || at(&engine) > earlier).await;
    assert_eq!(version(&events[600]), before);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_does_not_wait_for_the_whole_org() {
    let (org, place) = (Org::start().await, place());
    let events = fill(&org).await;
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    until("all is read", async || whole(&engine, &org).is_some()).await;
    let before = whole(&engine, &org).unwrap();
    // The whole org takes nine calls of the slow kind at least.
    let slow = json!([
        { "latency_ms": 300, "kinds": ["query", "composite"] },
        { "latency_ms": 3_000, "kinds": ["bulk_query"] },
    ]);
    org.faults(slow).await;
    engine.request_refresh(org.id(), None);
    until("it is under way", async || engine.progress(org.id()).is_some()).await;
    org.change("Sloe_Event__c", &events[3], json!({ "Name": "Urgent" })).await;
    let event = EventRef { org: org.id(), event: SfId::parse(&events[3]).unwrap() };
    engine.request_update(org.id(), Some(event.event));
    until("the update shows", async || engine.event(event.public_id()).unwrap().1.name == "Urgent")
        .await;
    assert_eq!(whole(&engine, &org).unwrap(), before, "the whole org was faster");
    let progress = engine.progress(org.id()).unwrap();
    assert_eq!(progress.known, EVENTS + 1);
    org.faults(json!({})).await;
    until("the whole org is read", async || whole(&engine, &org).unwrap().at > before.at).await;
    // What the page of before the update said does not come back.
    assert_eq!(engine.event(event.public_id()).unwrap().1.name, "Urgent");
    assert_eq!(engine.progress(org.id()), None);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_org_without_bulk_queries_is_read_page_by_page() {
    let (org, place) = (Org::start().await, place());
    fill(&org).await;
    let refuse = json!({
        "error_rate": 1.0, "error_status": 400, "error_code": "API_ERROR", "kinds": ["bulk_query"],
    });
    org.faults(refuse).await;
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    until("all is read", async || whole(&engine, &org).is_some()).await;
    let read = whole(&engine, &org).unwrap();
    assert_eq!(read.outcome, Outcome::Read { good: EVENTS + 1, faulty: 0 });
    tokio::time::timeout(Duration::from_secs(120), engine.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_event_with_more_sessions_than_can_be_offered_no_more_are_read() {
    let org = Org::start().await;
    let event = org.event().event;
    let session = |n: usize| {
        json!({
            "Event__c": event.as_str(), "Name": format!("Session {n}"),
            "Starts_At__c": "2031-05-01T10:00:00.000+0000", "Ends_At__c": "2031-05-01T11:00:00.000+0000",
        })
    };
    // Two pages of children are 4,000.
    let sessions: Vec<_> = (0..MAX_POOLS + 2_500).map(session).collect();
    org.create_many("Sloe_Session__c", &sessions).await;
    let by_rest = org.client().fetch_event(event, None).await.unwrap().unwrap();
    let range = MAX_POOLS..MAX_POOLS + 2_000;
    assert!(range.contains(&by_rest.sessions.len()), "{} by REST", by_rest.sessions.len());
    let client = org.client_with(Options { bulk_events: 0, ..Options::default() });
    let in_bulk = client.fetch_all(None).next_page().await.unwrap();
    assert_eq!(in_bulk[0].sessions.len(), MAX_POOLS);
}
