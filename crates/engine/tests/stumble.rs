//! A panic in an org's task is that moment's only: the task is begun again,
//! and staff are told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::org::{Org, hasty, until};
use common::{place, start_on};
use serde_json::json;
use sloe_core::time::Timestamp;
use sloe_engine::clock::{Machine, World};
use sloe_engine::doctor::Health;
use sloe_engine::refresh::Outcome;
use sloe_store::api::Store;

/// The machine's clock, which breaks once when a refresh asks it for the time.
#[derive(Default)]
struct Trap(AtomicBool);

impl World for Trap {
    fn now(&self) -> Timestamp {
        if self.0.load(Ordering::SeqCst) {
            let asked_by = std::backtrace::Backtrace::force_capture().to_string();
            if asked_by.contains("worker::refresh::") && self.0.swap(false, Ordering::SeqCst) {
                panic!("a trap of the test");
            }
        }
        Machine.now()
    }

    fn id(&self) -> u128 {
        Machine.id()
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), getrandom::Error> {
        Machine.random(bytes)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_ends_one_refresh_and_not_those_after_it() {
    let (org, place, trap) = (Org::start().await, place(), Arc::new(Trap::default()));
    let store = Arc::clone(&place.store) as Arc<dyn Store>;
    let engine = start_on(store, Arc::clone(&trap) as Arc<dyn World>, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    until("the org is read", async || {
        engine.refreshes(org.id()).iter().any(|refresh| refresh.event.is_none())
    })
    .await;
    let event = org.event().event;
    trap.0.store(true, Ordering::SeqCst);
    engine.request_refresh(org.id(), Some(event));
    until("it has stumbled", async || !engine.stumbles(org.id()).is_empty()).await;
    assert_eq!(engine.stumbles(org.id())[0].worker, "refresh");
    let of_event = || engine.refreshes(org.id()).into_iter().find(|r| r.event == Some(event));
    let told = || of_event().is_some_and(|r| matches!(r.outcome, Outcome::Failed { .. }));
    until("that is on record", async || told()).await;
    let examined = engine.examine_orgs().await.remove(0);
    let tasks = examined.lines.into_iter().find(|line| line.subject == "tasks").unwrap();
    assert_eq!(tasks.health, Health::Attention, "{tasks:?}");

    let renamed = json!({ "Name": "After the fall" });
    org.change("Sloe_Event__c", event.as_str(), renamed).await;
    engine.request_refresh(org.id(), Some(event));
    until("refreshes go on", async || {
        engine.event(org.event().public_id()).unwrap().1.name == "After the fall"
    })
    .await;
    engine.stop().await;
}
