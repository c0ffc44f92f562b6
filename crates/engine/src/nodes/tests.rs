//! What is tidied up behind nodes that died.
#![allow(clippy::unwrap_used)]

use sloe_store::faulty::{Call, Faulty, Plan};
use sloe_store::memory::Memory;

use super::litter::FORGOTTEN_MILLIS;
use super::*;
use crate::testing;

fn held(epoch: u64, holder: Option<u128>) -> Lease {
    Lease { epoch, holder: holder.map(NodeId) }
}

#[test]
fn what_a_node_left_that_died_long_ago_goes_and_nothing_else() {
    let nodes = [1, 2, 3].map(|n| (NodeId(n), (1, StoredNode::default()))).into();
    let leases = [
        ("event/of nobody", held(7, None)),
        ("event/of one forgotten", held(4, Some(9))),
        ("event/of one that died", held(2, Some(3))),
        ("event/of one that lives", held(1, Some(2))),
        ("org/of one forgotten", held(5, Some(9))),
    ];
    let leases = leases.map(|(name, lease)| (name.to_owned(), lease)).into();
    let still = |node| match node {
        NodeId(1 | 3) => Some(FORGOTTEN_MILLIS + 1),
        _ => Some(FORGOTTEN_MILLIS),
    };
    let gone = litter(NodeId(1), &nodes, &leases, still);
    let gone: Vec<_> = gone.iter().map(|write| (write.key.id(), write.version)).collect();
    let name = NodeId(3).text();
    let wanted = [(name.as_str(), ANY), ("event/of nobody", 8), ("event/of one forgotten", 5)];
    assert_eq!(gone, wanted);
}

#[test]
fn a_lead_that_is_another_node_s_by_now_is_not_dropped() {
    let store = Memory::default();
    let key = Key::lease("event/x");
    store.put(&[Write { key: key.clone(), version: 5, body: Some(b"{}".to_vec()) }]).unwrap();
    store.put(&[no_lead("event/x", 4)]).unwrap();
    assert!(store.get(&key).unwrap().is_some());
    store.put(&[no_lead("event/x", 5)]).unwrap();
    assert!(store.get(&key).unwrap().is_none());
}

#[tokio::test]
async fn a_node_takes_much_work_in_few_commits_or_it_would_beat_too_late() {
    let store = Arc::new(Faulty::new(Memory::default(), Plan::new()).shared());
    let engine = testing::engine_on(Arc::<Faulty<Memory>>::clone(&store), None);
    let wanted: Vec<_> = (0..250).map(|n| (format!("org/{n}"), 1)).collect();
    // Somebody else was first.
    let other = encode(&StoredLease { node: Some(NodeId(7).text()), since: 0 });
    store.put(&[Write { key: Key::lease("org/99"), version: 1, body: Some(other) }]).unwrap();
    let before = store.calls(Call::Put);
    take(&engine, &wanted).await.unwrap();
    assert_eq!(store.calls(Call::Put) - before, 3);
    let held: Vec<_> = wanted.iter().filter(|(name, _)| engine.nodes().holds(name)).collect();
    assert_eq!(held.len(), 249);
    assert!(!engine.nodes().holds("org/99"));
    engine.stop().await;
}

#[test]
fn a_node_that_was_paused_takes_nobody_for_dead_by_what_it_had_read_before() {
    let (store, began) = (Memory::default(), Instant::now());
    let nodes = Nodes::new(NodeId(1), &store, true, began);
    let there = [1, 2].map(|n| (NodeId(n), (7, StoredNode { works: true, ..Default::default() })));
    let there = there.into();
    let leases = [(PLATFORM.to_owned(), held(3, Some(2)))].into();
    let work = [PLATFORM.to_owned()].into();
    let at = |millis| began + Duration::from_millis(millis);
    let look = |asked, now| nodes.judge(&there, &leases, &work, (at(asked), at(now))).steps;
    assert_eq!(look(0, 1_000), []);
    assert_eq!(look(2_000, 60_000), []);
    // It was asked again, and the other's beat had not moved since it was first heard.
    assert_eq!(look(6_999, 7_000), []);
    let step = Step::Take(PLATFORM.to_owned(), 4);
    assert_eq!(look(1_000 + lease::LAPSE_MILLIS, 8_000), [step]);
}
