//! An org whose attendees are details of their event: every row locks it, so
//! Sloe's own rows must not go side by side.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::org::{Org, hasty, until};
use common::{license, place, start};
use jiff::tz::TimeZone;
use serde_json::json;
use sloe_core::ids::{EventRef, SfId};
use sloe_engine::claims::{Confirmed, RequestId};
use sloe_engine::engine::Engine;
use sloe_engine::tenant::{Connect, Profile};
use sloe_engine::view::{AttendeeInput, Choice};
use sloe_salesforce::map::preset;
use sloe_salesforce::{Credentials, Flow};

/// One more than Salesforce works through one after the other.
const ORDERS: usize = 1_001;
const PER_ORDER: usize = 10;
const PEOPLE: u64 = (ORDERS * PER_ORDER) as u64;

fn seed() -> String {
    let today = jiff::Timestamp::now().to_zoned(TimeZone::UTC).date();
    let day = |days| today.checked_add(jiff::Span::new().days(days)).unwrap().to_string();
    let seed = include_str!("seeds/blackthorn.toml");
    let seed = seed.replace("{start}", &day(30)).replace("{end}", &day(31));
    seed.replace("Quantity_Made_Available__c = 3", "Quantity_Made_Available__c = 20000")
}

async fn connect(engine: &Engine, org: &Org, store: &dyn sloe_store::api::Store) -> EventRef {
    let flow = Flow::ClientCredentials {
        client_id: "client".to_owned(),
        client_secret: "secret".to_owned().into(),
    };
    let credentials = Credentials { login_url: org.running.url(), flow };
    let mapping = preset("blackthorn").unwrap().replace("# Event_Role__c", "Event_Role__c");
    let profile =
        Profile { slug: "thorn".to_owned(), name: "Thorn".to_owned(), ..Profile::default() };
    let connect = Connect {
        profile: profile.into(),
        credentials,
        expected: Some(org.id()),
        mapping: Some(mapping),
    };
    engine.connect_org(connect).await.unwrap();
    license(engine, store, org.id());
    engine.request_refresh(org.id(), None);
    let event = EventRef { org: org.id(), event: SfId::parse("a055g0000000001").unwrap() };
    until("the event is shown", async || engine.event(event.public_id()).is_ok()).await;
    event
}

async fn register(engine: &Engine, event: EventRef) -> Vec<Confirmed> {
    let snapshot = engine.event(event.public_id()).unwrap().1;
    let item = snapshot.items[0].id;
    let mut running = tokio::task::JoinSet::new();
    for order in 0..ORDERS {
        let engine = engine.clone();
        running.spawn(async move {
            let person = |n| {
                let person = AttendeeInput {
                    first_name: "Jane".to_owned(),
                    last_name: format!("No{order}-{n}"),
                    email: format!("jane{order}-{n}@example.org"),
                    invitation: String::new(),
                };
                (Choice { item, sessions: Vec::new() }, person)
            };
            let people: Vec<_> = (0..PER_ORDER).map(person).collect();
            engine.register(event.public_id(), &RequestId::Fresh, &people).await.unwrap()
        });
    }
    running.join_all().await
}

/// Waits until the org has everything: many rows take their time on a slow machine.
async fn drained(engine: &Engine, org: &Org) {
    let give_up = tokio::time::Instant::now() + Duration::from_secs(300);
    loop {
        let state = engine.sync_state(org.id()).await.unwrap();
        assert_eq!((state.retrying, state.dead_letters), (0, 0), "{state:?}");
        if state.is_drained() {
            return;
        }
        assert!(tokio::time::Instant::now() < give_up, "{state:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_one_master_never_run_into_each_other_s_locks() {
    let (org, place) = (Org::seeded(&seed()).await, place());
    let engine = start(&place, Some(hasty(2_000)));
    let event = connect(&engine, &org, &*place.store).await;
    // Who meets a lock fails at once, and every 200 rows hold theirs for a while.
    org.control(reqwest::Method::PUT, "locks", json!({ "wait_ms": 0 })).await;
    org.faults(json!({ "outage": true })).await;
    let orders = register(&engine, event).await;
    org.faults(json!({ "chunk_ms": 20, "kinds": ["bulk_ingest", "collections"] })).await;
    drained(&engine, &org).await;
    // A drain that the outage held up may send what it had by another call.
    let (made, failed) = org.bulk_rows().await;
    assert!(made > PEOPLE / 2 && failed == 0, "{made} made, {failed} failed");
    // So do their updates, which name no parent.
    org.faults(json!({ "outage": true })).await;
    for order in orders {
        engine.cancel(&order.token, None).await.unwrap();
    }
    org.faults(json!({ "chunk_ms": 20, "kinds": ["bulk_ingest", "collections"] })).await;
    drained(&engine, &org).await;
    let (sent, failed) = org.bulk_rows().await;
    assert!(sent > made && failed == 0, "{sent} sent, {failed} failed");
    let soql = "SELECT COUNT(Id) n FROM conference360__Attendee__c \
                WHERE Sloe_Id__c != null AND conference360__Registration_Status__c = 'Cancelled'";
    assert_eq!(org.records(soql).await[0]["n"], PEOPLE);
    engine.stop().await;
}
