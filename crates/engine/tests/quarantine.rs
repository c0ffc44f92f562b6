//! An event whose journal is damaged waits for staff, and nobody else waits with it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;

use common::org::{Org, hasty, until};
use common::{connect, damage, event, org_id, person, place, raw, record, start};
use serde_json::json;
use sloe_core::ids::{EventRef, SfId};
use sloe_engine::claims::{Confirmed, RequestId};
use sloe_engine::engine::Engine;
use sloe_engine::error::Denied;
use sloe_store::api::{Destination, Store};

const ORDERS: usize = 30;

async fn add_event(org: &Org) -> EventRef {
    let fields = json!({
        "Name": "Second", "Published__c": true, "Time_Zone__c": "UTC",
        "Starts_At__c": "2099-05-01T09:00:00.000+0000", "Ends_At__c": "2099-05-01T17:00:00.000+0000",
    });
    let id = org.create("Sloe_Event__c", fields).await;
    org.create("Sloe_Item__c", json!({ "Name": "Pass", "Event__c": id })).await;
    EventRef { event: SfId::parse(&id).unwrap(), ..org.event() }
}

/// Orders of one attendee each, for no sessions.
async fn register(engine: &Engine, event: EventRef) -> Vec<Confirmed> {
    let mut orders = Vec::new();
    for n in 0..ORDERS {
        let mut people = [person(engine, event, n)];
        people[0].0.sessions.clear();
        let order = engine.register(event.public_id(), &RequestId::Fresh, &people).await;
        orders.push(order.unwrap());
    }
    orders
}

#[test]
fn rows_of_a_job_under_way_are_adopted_although_an_event_of_it_is_damaged() {
    let outside = tokio::runtime::Runtime::new().unwrap();
    let org = outside.block_on(Org::start());
    let place = place();
    let inside = tokio::runtime::Runtime::new().unwrap();
    let (good, bad, orders) = inside.block_on(async {
        let (good, bad) = (org.event(), add_event(&org).await);
        let engine = start(&place, Some(hasty(20)));
        org.connect(&engine, &*place.store);
        until("both are shown", async || {
            [good, bad].iter().all(|event| engine.event(event.public_id()).is_ok())
        })
        .await;
        org.drained(&engine).await;
        org.faults(json!({ "outage": true })).await;
        let orders = register(&engine, good).await;
        register(&engine, bad).await;
        org.tried_in_vain(&engine).await;
        // The job runs, and what came of it is never told to this process.
        let asking = json!({
            "stall": true, "path": "/services/data/*/jobs/ingest/*", "methods": ["GET"],
        });
        org.faults(asking).await;
        until("the job has run", async || org.attendees().await.len() == 2 * ORDERS).await;
        (good, bad, orders)
    });
    inside.shutdown_timeout(std::time::Duration::from_secs(5));
    damage(&place, bad);
    outside.block_on(async {
        org.faults(json!({})).await;
        let engine = start(&place, Some(hasty(20)));
        let waits = || -> BTreeSet<_> {
            let pending = place.store.pending(Destination::Org).unwrap();
            pending.into_iter().map(|pending| pending.event).collect()
        };
        until("all but the damaged event is done with", async || waits() == [bad].into()).await;
        assert_eq!(org.jobs().await.len(), 1, "its rows went a second time");
        // What is known of the rows by now lets their news go by their ids.
        engine.cancel(&orders[0].token, None).await.unwrap();
        until("the good event's news arrive", async || {
            let all = org.attendees().await;
            all.iter().any(|row| row["Registration_Status__c"] == "Cancelled")
        })
        .await;
        assert_eq!(org.attendees().await.len(), 2 * ORDERS);
        assert!(waits().contains(&bad) && engine.event(good.public_id()).is_ok());
        engine.stop().await;
    });
}

#[tokio::test]
async fn a_person_is_erased_in_all_events_but_the_damaged_one_and_that_is_said() {
    let place = place();
    let engine = start(&place, None);
    connect(&engine, &*place.store, org_id(1), "acme", "http://127.0.0.1:9");
    let bad = event(org_id(1));
    let good = EventRef { event: record("a00", 2), ..bad };
    let mut orders = Vec::new();
    for (n, event) in [(1, bad), (2, good)] {
        engine.apply_refresh(org_id(1), raw(n, &format!("Event {n}"), None, 0)).await.unwrap();
        let people = [person(&engine, event, 7)];
        let order = engine.register(event.public_id(), &RequestId::Fresh, &people).await;
        orders.push(order.unwrap());
    }
    engine.stop().await;
    drop(engine);
    damage(&place, bad);
    let engine = start(&place, None);
    let erased = engine.erase_person(org_id(1), "person7@example.org").await;
    assert_eq!(erased, Err(Denied::Quarantined));
    let order = engine.order_by_token(&orders[1].token).await.unwrap();
    assert!(order.tickets[0].attendee.is_none(), "it waited for the damaged event");
    engine.stop().await;
}
