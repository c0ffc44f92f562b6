//! Several nodes on one store: any of them serves any request, one of them
//! does what one node at a time does, and any of them may die.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::org::{Org, hasty, until};
use common::{Clock, connect, event, org_id, person, raw, start_on};
use sloe_core::budget::Rules;
use sloe_core::ids::EventRef;
use sloe_core::inbound::{Field, Value};
use sloe_engine::claims::RequestId;
use sloe_engine::clock::{Machine, World};
use sloe_engine::engine::Engine;
use sloe_engine::error::Denied;
use sloe_engine::worker::{self, Calls24h};
use sloe_store::api::Store;
use sloe_store::faulty::{Faulty, Plan};
use sloe_store::key::{Collection, Range};
use sloe_store::memory::Memory;
use tokio::runtime::Runtime;

fn node(store: &Memory, workers: Option<worker::Settings>) -> Engine {
    start_on(Arc::new(store.clone()), Arc::new(Machine), workers)
}

/// A node for the public only.
fn web() -> worker::Settings {
    worker::Settings { works: false, ..hasty(2_000) }
}

/// Three nodes that follow each other, and an event of so many seats.
async fn three(store: &Memory, seats: u32) -> ([Engine; 3], EventRef) {
    let first = node(store, Some(web()));
    connect(&first, store, org_id(1), "acme", "http://127.0.0.1:9");
    first.apply_refresh(org_id(1), raw(1, "Event", Some(seats), 0)).await.unwrap();
    let others = [(); 2].map(|()| node(store, Some(web())));
    let [second, third] = others;
    ([first, second, third], event(org_id(1)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_that_changes_node_at_every_step_completes() {
    let store = Memory::default();
    let ([a, b, c], at) = three(&store, 10).await;
    let id = at.public_id();
    for n in 0..8 {
        // Each node's ledger is there already, and as old as its last request.
        for node in [&a, &b, &c] {
            node.availability(at).await.unwrap();
        }
        let people = [person(&a, at, n)];
        let request = RequestId::Given(format!("hold {n}"));
        let hold = a.hold(id, &request, &[people[0].0.clone()]).await.unwrap();
        assert!(b.hold_by_token(&hold.token).await.is_ok());
        let again = c.hold(id, &request, &[people[0].0.clone()]).await.unwrap();
        assert_eq!(again.token, hold.token, "the same request has the same answer on every node");
        let request = RequestId::Given(format!("confirm {n}"));
        let inputs = [people[0].1.clone()];
        let order = c.confirm(&hold.token, &request, &inputs, None).await.unwrap();
        assert!(a.order_by_token(&order.token).await.is_ok());
        let repeat = b.confirm(&hold.token, &request, &inputs, None).await.unwrap();
        assert_eq!(repeat.reference, order.reference);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_sold_no_other_sells_again_and_what_it_freed_any_may() {
    let store = Memory::default();
    let ([a, b, c], at) = three(&store, 1).await;
    let people = [person(&a, at, 1)];
    for node in [&a, &b, &c] {
        node.availability(at).await.unwrap();
    }
    let order = a.register(at.public_id(), &RequestId::Fresh, &people).await.unwrap();
    for node in [&b, &c] {
        let refused = node.register(at.public_id(), &RequestId::Fresh, &people).await;
        assert!(matches!(refused, Err(Denied::SoldOut { .. })), "{refused:?}");
    }
    c.cancel(&order.token, None).await.unwrap();
    // The node that refused it a moment ago.
    b.register(at.public_id(), &RequestId::Fresh, &people).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_connected_and_published_on_one_node_is_served_by_all() {
    let store = Memory::default();
    let [a, b] = [(); 2].map(|()| node(&store, Some(web())));
    connect(&a, &store, org_id(1), "acme", "http://127.0.0.1:9");
    let at = event(org_id(1));
    let mut draft = raw(1, "Before", Some(10), 0);
    a.apply_refresh(org_id(1), draft.clone()).await.unwrap();
    let shown = |name: &'static str| {
        let b = b.clone();
        async move || b.event(at.public_id()).is_ok_and(|(_, page)| page.name == name)
    };
    until("the other node shows it", shown("Before")).await;
    assert!(b.registry().by_slug("acme").is_some());
    let left = async || b.availability(at).await.unwrap().left;
    assert_eq!(left().await, Some(10));
    draft.event.fields.insert(Field::Name, Value::Text("After".to_owned()));
    draft.as_of = draft.as_of.plus_millis(1);
    a.apply_refresh(org_id(1), draft).await.unwrap();
    until("the other node shows the change", shown("After")).await;
    // What is left is told a second later at most, without anybody asking for it.
    a.register(at.public_id(), &RequestId::Fresh, &[person(&a, at, 1)]).await.unwrap();
    until("the other node tells what is left", async || {
        b.availability_now(at).unwrap().left == Some(9)
    })
    .await;
    a.remove_org(org_id(1), true).await.unwrap();
    until("the other node serves it no more", async || b.registry().by_slug("acme").is_none())
        .await;
    assert!(b.event(at.public_id()).is_err());
}

fn holder(store: &Memory, org: &Org) -> Option<(u64, String)> {
    let leases = store.scan(Range::All(Collection::Leases), None, 100).unwrap();
    let of_org = |key: &str| key == format!("org/{}", org.id());
    let (_, lease) = leases.into_iter().find(|(key, _)| of_org(key.id()))?;
    let body: serde_json::Value = serde_json::from_slice(&lease.body).unwrap();
    Some((lease.version, body["node"].as_str()?.to_owned()))
}

async fn register(engine: &Engine, org: &Org, n: usize) {
    let people = [person(engine, org.event(), n)];
    let id = org.event().public_id();
    engine.register(id, &RequestId::Fresh, &people).await.unwrap();
}

/// Nodes die one after the other in the middle of their work, and each row is
/// in the org once.
#[test]
fn an_orgs_work_moves_on_when_the_node_that_does_it_dies() {
    let outside = Runtime::new().unwrap();
    let org = outside.block_on(Org::start());
    let store = Memory::default();
    let public = outside.block_on(async { node(&store, Some(web())) });
    outside.block_on(async { org.connect(&public, &store) });
    let mut epochs = Vec::new();
    for life in 0..3_usize {
        let inside = Runtime::new().unwrap();
        let worker = inside.block_on(async { node(&store, Some(hasty(2_000))) });
        outside.block_on(async {
            org.shown(&public).await;
            for n in 0..10 {
                // Whoever serves the public knows nothing of who sends it on.
                register(&public, &org, life * 10 + n).await;
            }
            until("its rows have arrived", async || org.attendees().await.len() == (life + 1) * 10)
                .await;
        });
        let held = holder(&store, &org).unwrap();
        assert!(epochs.last().is_none_or(|(epoch, node)| *epoch < held.0 && *node != held.1));
        epochs.push(held);
        // As after a kill: nothing is given back.
        inside.shutdown_background();
        drop(worker);
    }
    outside.block_on(async {
        let rows = org.attendees().await;
        assert_eq!(rows.len(), 30);
        let ids: BTreeSet<_> = rows.iter().map(|row| row["Sloe_Id__c"].to_string()).collect();
        assert_eq!(ids.len(), 30);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_ends_gives_its_work_back_at_once() {
    let org = Org::start().await;
    let store = Memory::default();
    let first = node(&store, Some(hasty(2_000)));
    org.connect(&first, &store);
    org.shown(&first).await;
    let (epoch, held_by) = holder(&store, &org).unwrap();
    first.stop().await;
    assert_eq!(holder(&store, &org), None, "it was given back");
    assert!(store.scan(Range::All(Collection::Nodes), None, 10).unwrap().is_empty());
    let second = node(&store, Some(hasty(2_000)));
    until("the other one has it", async || holder(&store, &org).is_some()).await;
    let (next, other) = holder(&store, &org).unwrap();
    assert!(next > epoch && other != held_by);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_one_node_sets_is_in_force_where_the_org_s_work_is_done() {
    let (org, store) = (Org::limited(Some(1_000)).await, Memory::default());
    let worker = node(&store, Some(hasty(2_000)));
    org.connect(&worker, &store);
    org.shown(&worker).await;
    let other = node(&store, Some(web()));
    assert!(other.set_budget(org.id(), Rules::new(1, 10, 1).unwrap()).unwrap());
    let held = async || {
        let fault = worker.sync_state(org.id()).await.unwrap().fault;
        fault.is_some_and(|fault| Calls24h::is_the_remedy(&fault.remedy))
    };
    let mut taken = 0;
    until("a hundredth of the allowance is used", async || {
        register(&worker, &org, taken).await;
        taken += 1;
        held().await
    })
    .await;
    assert!(other.set_budget(org.id(), Rules::new(50, 10, 1).unwrap()).unwrap());
    until("all are there", async || org.attendees().await.len() == taken).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_share_the_work_of_many_orgs() {
    let store = Memory::default();
    let first = node(&store, Some(hasty(2_000)));
    for n in 1..=5 {
        connect(&first, &store, org_id(n), &format!("org-{n}"), "http://127.0.0.1:9");
    }
    let by_node = || {
        let leases = store.scan(Range::All(Collection::Leases), None, 100).unwrap();
        let mut by_node = BTreeMap::<String, usize>::new();
        for (_, lease) in leases {
            let body: serde_json::Value = serde_json::from_slice(&lease.body).unwrap();
            if let Some(node) = body["node"].as_str() {
                *by_node.entry(node.to_owned()).or_default() += 1;
            }
        }
        by_node.into_values().collect::<Vec<_>>()
    };
    until("the first has it all", async || by_node() == [6]).await;
    let second = node(&store, Some(hasty(2_000)));
    until("each has its share", async || by_node() == [3, 3]).await;
    let told = "2 nodes on this store; this one does 3 pieces of what one node at a time does.";
    until("the doctor tells so", async || {
        let lines = first.examine_platform().await;
        lines.iter().any(|line| line.subject == "running nodes" && line.says == told)
    })
    .await;
    first.stop().await;
    until("the second has it all", async || by_node() == [6]).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_asked_of_whichever_node_reads_the_org() {
    let org = Org::start().await;
    let store = Memory::default();
    let (public, worker) = (node(&store, Some(web())), node(&store, Some(hasty(2_000))));
    org.connect(&worker, &store);
    until("every node knows the event", async || {
        [&public, &worker].iter().all(|node| node.event(org.event().public_id()).is_ok())
    })
    .await;
    let change = serde_json::json!({ "Name": "Changed" });
    org.change("Sloe_Event__c", org.event().event.as_str(), change).await;
    assert!(public.request_update(org.id(), Some(org.event().event)));
    until("the node for the public shows it", async || {
        public.event(org.event().public_id()).is_ok_and(|(_, page)| page.name == "Changed")
    })
    .await;
    // Whoever asks how it stands is told the same on every node.
    register(&public, &org, 1).await;
    until("the node for the public tells of a delivery", async || {
        let told = public.sync_state(org.id()).await.unwrap();
        told.delivered >= 1 && told.last_drain.is_some() && told.is_drained()
    })
    .await;
    assert!(public.refreshes(org.id()).iter().any(|refresh| refresh.trouble().is_none()));
    assert!(public.poll_state(org.id()).is_some());
    until("nothing is asked any more", async || {
        store.scan(Range::All(Collection::Asks), None, 10).unwrap().is_empty()
    })
    .await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_clock_is_off_takes_no_claims_until_it_is_put_right() {
    let (memory, clock) = (Memory::default(), Arc::new(Clock::default()));
    let store = Faulty::new(memory.clone(), Plan::new()).with_clock(common::now);
    let off = start_on(Arc::new(store), Arc::clone(&clock) as Arc<dyn World>, Some(web()));
    let other = node(&memory, Some(web()));
    connect(&other, &memory, org_id(1), "acme", "http://127.0.0.1:9");
    other.apply_refresh(org_id(1), raw(1, "Event", Some(10), 0)).await.unwrap();
    let at = event(org_id(1));
    let knows = async || off.event(at.public_id()).is_ok() && off.is_live(org_id(1));
    until("it knows the event and its license", knows).await;
    let register = async |n| {
        off.register(at.public_id(), &RequestId::Fresh, &[person(&off, at, n)]).await.map(drop)
    };
    register(1).await.unwrap();
    clock.advance(20_000);
    until("it is seen", async || off.clock_ahead().is_some_and(|ahead| ahead > 15_000)).await;
    assert!(matches!(register(2).await, Err(Denied::NotAccepted { .. })));
    clock.advance(-20_000);
    until("it is put right", async || off.clock_ahead().is_none()).await;
    register(3).await.unwrap();
}
