//! An org that is away for three days gets everything once it is back, within
//! its budget, parents before children, of each record the newest state.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::org::{Org, hasty, until};
use common::{Clock, person, place, start_under};
use serde_json::json;
use sloe_engine::claims::RequestId;
use sloe_engine::engine::Engine;

const HOUR: i64 = 3_600_000;
/// Orders in each six hours.
const ORDERS: usize = 40;

/// Everything is in the org, once, and in its newest state; how many rows that is.
async fn arrived(engine: &Engine, org: &Org, newest: &BTreeMap<String, bool>) -> usize {
    let state = engine.sync_state(org.id()).await.unwrap();
    assert_eq!((state.dead_letters, state.retrying), (0, 0), "{state:?}");
    let attendees = org.attendees().await;
    assert_eq!(attendees.len(), newest.len(), "an attendee is missing or there twice");
    for attendee in &attendees {
        let cancelled = newest[attendee["Sloe_Id__c"].as_str().unwrap()];
        let expected = if cancelled { "Cancelled" } else { "Registered" };
        assert_eq!(attendee["Registration_Status__c"], expected, "{attendee}");
    }
    // A child can't be there before its parent, nor of another state.
    let ids: BTreeSet<_> = attendees.iter().map(|a| a["Id"].as_str().unwrap()).collect();
    let soql = "SELECT Attendee__c, Registration_Status__c, Attendee__r.Registration_Status__c \
                FROM Sloe_Session_Attendee__c";
    let children = org.records(soql).await;
    assert_eq!(children.len(), 2 * newest.len());
    for child in &children {
        assert!(ids.contains(child["Attendee__c"].as_str().unwrap()), "{child}");
        let parent = &child["Attendee__r"]["Registration_Status__c"];
        assert_eq!(&child["Registration_Status__c"], parent, "{child}");
    }
    attendees.len() + children.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_days_of_registrations_and_cancellations_arrive_after_three_days_of_503() {
    let (org, place) = (Org::start().await, place());
    let clock = Arc::new(Clock::default());
    let start = || start_under(&place, &clock, Some(hasty(200)));
    let mut engine = start();
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    org.drained(&engine).await;
    org.faults(json!({ "outage": true })).await;
    let mut orders = Vec::new();
    for six_hours in 0..12 {
        for n in 0..ORDERS {
            let people = [person(&engine, org.event(), six_hours * ORDERS + n)];
            let id = org.event().public_id();
            orders.push(engine.register(id, &RequestId::Fresh, &people).await.unwrap());
        }
        // Every third changes its mind, some of them half a day later.
        for order in
            orders.iter().skip(six_hours.saturating_sub(2) * ORDERS).step_by(3).take(ORDERS)
        {
            let _ = engine.cancel(&order.token, None).await;
        }
        until("Sloe says that the org is away", async || {
            engine.sync_state(org.id()).await.unwrap().fault.is_some()
        })
        .await;
        clock.advance(6 * HOUR);
        if six_hours == 5 {
            engine.stop().await;
            engine = start();
        }
    }
    assert!(!engine.sync_state(org.id()).await.unwrap().is_drained());
    let mut newest = BTreeMap::new();
    for order in &orders {
        let order = engine.order_by_token(&order.token).await.unwrap();
        newest.insert(order.claim.attendee_key(1), order.tickets[0].cancelled.is_some());
    }
    assert!(newest.values().filter(|cancelled| **cancelled).count() > ORDERS);
    org.faults(json!({})).await;
    let (before, used) = (org.calls("bulk_ingest").await, org.limits(json!({})).await);
    org.drained(&engine).await;
    let rows = arrived(&engine, &org, &newest).await;
    let calls =
        org.limits(json!({})).await["used"].as_u64().unwrap() - used["used"].as_u64().unwrap();
    assert!(calls < 60, "{calls} calls for {rows} rows");
    assert!(org.calls("bulk_ingest").await > before, "so many rows go in bulk");
    engine.stop().await;
}
