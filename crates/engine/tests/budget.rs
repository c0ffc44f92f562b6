//! An org's API allowance is Sloe's in part only, and registrants never notice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::org::{Org, hasty, until};
use common::{org_id, person, place, start, start_under};
use serde_json::json;
use sloe_core::budget::Rules;
use sloe_engine::claims::RequestId;
use sloe_engine::engine::Engine;
use sloe_engine::mapping::MappingError;
use sloe_engine::tenant::{Connect, Profile};
use sloe_salesforce::Error;
use sloe_store::api::{Store, Write};
use sloe_store::key::Key;

const MINUTE: i64 = 60_000;

async fn register(engine: &Engine, org: &Org, n: usize) {
    let people = [person(engine, org.event(), n)];
    engine.register(org.event().public_id(), &RequestId::Fresh, &people).await.unwrap();
}

async fn used(org: &Org) -> u64 {
    org.limits(json!({})).await["used"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_org_with_few_calls_is_called_within_its_budget_and_drains_once_it_has_more() {
    let (org, place) = (Org::limited(Some(200)).await, place());
    let (engine, clock) = org.served(&place).await;
    // Registrations one after the other for hours: each alone would be worth some calls.
    let mut n = 0;
    let mut gone = false;
    while !gone {
        register(&engine, &org, n).await;
        n += 1;
        clock.advance(10 * MINUTE);
        until("it is sent, or waits", async || {
            let state = engine.sync_state(org.id()).await.unwrap();
            gone = state.fault.is_some() && engine.calls(org.id()).await.unwrap().left < 6;
            gone || state.fault.is_some() || state.is_drained()
        })
        .await;
        assert!(n < 60, "it never stops");
        if !gone {
            until("its turn has come", async || {
                clock.advance(MINUTE);
                engine.sync_state(org.id()).await.unwrap().is_drained()
                    || engine.calls(org.id()).await.unwrap().left < 6
            })
            .await;
        }
    }
    // A call that is under way is counted here already, and not there.
    until("both count the same", async || {
        engine.calls(org.id()).await.unwrap().ours == used(&org).await
    })
    .await;
    let calls = engine.calls(org.id()).await.unwrap();
    assert!(calls.ours <= 30 && calls.waits_until.is_some(), "{calls:?}");
    // Neither more news nor a restart makes it call.
    engine.stop().await;
    let engine = start_under(&place, &clock, Some(hasty(2_000)));
    org.shown(&engine).await;
    for n in n..n + 20 {
        register(&engine, &org, n).await;
    }
    until("the outbox says why it waits", async || {
        let fault = engine.sync_state(org.id()).await.unwrap().fault;
        fault.is_some_and(|fault| fault.means.contains("at the latest"))
    })
    .await;
    assert!(!engine.sync_state(org.id()).await.unwrap().is_drained());
    assert!(used(&org).await <= 30);
    // The org gets more, which Sloe learns by looking.
    org.limits(json!({ "daily": 100_000 })).await;
    until("all is there", async || {
        clock.advance(15 * MINUTE);
        engine.sync_state(org.id()).await.unwrap().is_drained()
    })
    .await;
    assert_eq!(org.attendees().await.len(), n + 20);
    until("nothing is wrong any more", async || {
        engine.sync_state(org.id()).await.unwrap().fault.is_none()
    })
    .await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allowance_that_others_used_up_stops_the_outbox_only() {
    let (org, place) = (Org::start().await, place());
    let (engine, clock) = org.served(&place).await;
    register(&engine, &org, 0).await;
    org.drained(&engine).await;
    org.limits(json!({ "daily": 1_000, "used": 1_000 })).await;
    // The first call after that is refused, and tells.
    register(&engine, &org, 1).await;
    until("the outbox has noticed", async || {
        engine.calls(org.id()).await.unwrap().waits_until.is_some()
    })
    .await;
    register(&engine, &org, 2).await;
    assert_eq!(engine.availability(org.event()).await.unwrap().left, Some(997));
    org.limits(json!({ "used": 10 })).await;
    engine.stop().await;
    let engine = start_under(&place, &clock, Some(hasty(2_000)));
    until("all is there", async || {
        clock.advance(15 * MINUTE);
        engine.sync_state(org.id()).await.unwrap().is_drained()
    })
    .await;
    assert_eq!(org.attendees().await.len(), 3);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_org_s_own_share_is_in_force_at_once_and_after_a_restart() {
    let (org, place) = (Org::limited(Some(1_000)).await, place());
    let (engine, clock) = org.served(&place).await;
    let before = engine.calls(org.id()).await.unwrap();
    assert_eq!((before.rules, before.at_once), (Rules::default(), 2));
    let rules = Rules::new(50, 10, 1).unwrap();
    assert!(engine.set_budget(org.id(), rules).unwrap());
    let after = engine.calls(org.id()).await.unwrap();
    assert!(after.left > before.left + 200, "{before:?} {after:?}");
    assert_eq!((after.rules, after.at_once), (rules, 1));
    engine.stop().await;
    let engine = start_under(&place, &clock, Some(hasty(2_000)));
    assert_eq!(engine.calls(org.id()).await.unwrap().rules, rules);
    assert!(!engine.set_budget(org_id(9), rules).unwrap());
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_calls_that_connecting_costs_are_counted_with_and_without_workers() {
    let (org, place) = (Org::start().await, place());
    let connect = async |engine: &Engine| {
        let profile = Profile { slug: "test".into(), name: "Test".into(), ..Profile::default() };
        let credentials = org.credentials();
        let connect =
            Connect { profile: profile.into(), credentials, expected: None, mapping: None };
        engine.connect_org(connect).await.unwrap();
    };
    let alone = start(&place, None);
    connect(&alone).await;
    let (calls, made) = (alone.calls(org.id()).await.unwrap(), used(&org).await);
    assert!(made > 0);
    // The org does not count that it was asked for its versions.
    assert_eq!((calls.ours, calls.told.map(|told| told.used)), (made + 1, Some(made)));
    alone.stop().await;
    let engine = start(&place, Some(hasty(2_000)));
    connect(&engine).await;
    until("all are counted", async || {
        let ours = engine.calls(org.id()).await.unwrap().ours;
        ours == used(&org).await + 2
    })
    .await;
    assert!(used(&org).await > made);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_where_nobody_works_for_the_org_is_counted_and_keeps_to_the_share() {
    let (org, place) = (Org::limited(Some(200)).await, place());
    let engine = start(&place, None);
    org.connect(&engine, &*place.store);
    let mut refused = None;
    for _ in 0..10 {
        refused = engine.check_org(org.id()).await.err();
        // The org does not count that it was asked for its versions.
        let ours = engine.calls(org.id()).await.unwrap().ours;
        assert!(ours >= used(&org).await && ours <= 30, "{ours}");
        if refused.is_some() {
            break;
        }
    }
    let Some(MappingError::Org(Error::Budget { .. })) = refused else { panic!("{refused:?}") };
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counted_calls_that_can_t_be_read_are_counted_anew_and_stop_nothing() {
    let (org, place) = (Org::start().await, place());
    let (engine, _) = org.served(&place).await;
    engine.stop().await;
    let scope = place.store.open_org(org.id()).unwrap().unwrap();
    let key = Key::budget(scope);
    let version = place.store.get(&key).unwrap().unwrap().version + 1;
    place.store.put(&[Write { key, version, body: Some(b"{".to_vec()) }]).unwrap();
    let engine = start(&place, Some(hasty(2_000)));
    assert!(engine.calls(org.id()).await.is_ok());
    org.shown(&engine).await;
    register(&engine, &org, 1).await;
    org.drained(&engine).await;
    assert_eq!(org.attendees().await.len(), 1);
    until("they are counted", async || {
        let calls = engine.calls(org.id()).await.unwrap();
        calls.ours > 0 && calls.told.is_some()
    })
    .await;
    engine.stop().await;
    // And written down in the place of what can't be read.
    let engine = start(&place, None);
    assert!(engine.calls(org.id()).await.unwrap().ours > 0);
}
