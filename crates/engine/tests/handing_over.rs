//! Claims that are handed to the node that leads their event: taken once
//! whoever was heard, and never told as refused while they may yet be taken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::org::{hasty, until};
use common::{Clock, connect, event, org_id, person, raw, start_on};
use sloe_core::ids::EventRef;
use sloe_core::time::Timestamp;
use sloe_engine::claims::{Confirmed, RequestId};
use sloe_engine::clock::{Machine, World};
use sloe_engine::engine::Engine;
use sloe_engine::error::Denied;
use sloe_engine::peers::{Peering, Posted};
use sloe_engine::worker;
use sloe_store::api::{Store, Write};
use sloe_store::faulty::{Faulty, Plan};
use sloe_store::key::{Collection, Key, Range};
use sloe_store::memory::Memory;
use tokio::time::Instant;

/// A node for the public only, which others reach at an address.
fn peer(wires: &Wires, address: &str) -> Option<worker::Settings> {
    let peering = Some(wires.peering(address));
    Some(worker::Settings { works: false, peering, ..hasty(2_000) })
}

/// Addresses that lead from one engine to another within this process, and how
/// many calls went there; an address that is taken away is as a dead node's.
#[derive(Clone, Default)]
struct Wires {
    ends: Arc<Mutex<BTreeMap<String, Engine>>>,
    calls: Arc<AtomicUsize>,
    /// Answers get lost.
    mute: Arc<AtomicBool>,
    /// Calls get lost; the last one is kept.
    deaf: Arc<AtomicBool>,
    lost: Arc<Mutex<Vec<u8>>>,
}

impl Wires {
    fn peering(&self, address: &str) -> Peering {
        let wires = self.clone();
        let post = move |to: String, body: Vec<u8>| -> Posted {
            let wires = wires.clone();
            Box::pin(async move {
                let address = to.trim_end_matches("/peer/claims");
                let end = wires.ends.lock().unwrap().get(address).cloned();
                let end = end.ok_or("nobody is there")?;
                wires.calls.fetch_add(1, Ordering::SeqCst);
                if wires.deaf.load(Ordering::SeqCst) {
                    *wires.lost.lock().unwrap() = body;
                    return Err("the call is lost".to_owned());
                }
                let answer = end.decide_for_peer(&body).await.map_err(|error| error.to_string());
                if wires.mute.load(Ordering::SeqCst) {
                    return Err("the answer is lost".to_owned());
                }
                answer
            })
        };
        Peering { address: address.to_owned(), post: Arc::new(post) }
    }
}

/// Many register for one event on all nodes at once, until nobody can any more. The same round
/// has the same people with the same requests.
async fn rush(nodes: &[Engine], at: EventRef, each: usize, round: usize) -> usize {
    let mut running = tokio::task::JoinSet::new();
    for (n, node) in nodes.iter().enumerate() {
        for m in 0..each {
            let (node, people) = (node.clone(), [person(node, at, round * 1_000 + n * each + m)]);
            let request = RequestId::Given(format!("{round} {n} {m}"));
            running.spawn(async move {
                loop {
                    match node.register(at.public_id(), &request, &people).await {
                        Ok(_) => return 1,
                        Err(Denied::SoldOut { .. }) => return 0,
                        // As a careful client does, with the same request id.
                        Err(Denied::NotAccepted { .. } | Denied::OutcomeUnknown) => {
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                        Err(denied) => panic!("{denied:?}"),
                    }
                }
            });
        }
    }
    running.join_all().await.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_of_a_hot_event_are_handed_to_the_node_that_leads_it() {
    let (store, wires) = (Memory::default(), Wires::default());
    let nodes: Vec<Engine> = (0..3)
        .map(|n| {
            let address = format!("http://node-{n}");
            let workers = peer(&wires, &address);
            let engine = start_on(Arc::new(store.clone()), Arc::new(Machine), workers);
            wires.ends.lock().unwrap().insert(address, engine.clone());
            engine
        })
        .collect();
    connect(&nodes[0], &store, org_id(1), "acme", "http://127.0.0.1:9");
    let at = event(org_id(1));
    nodes[0].apply_refresh(org_id(1), raw(1, "Event", Some(100_000), 0)).await.unwrap();
    let live = |node: &Engine| node.event(at.public_id()).is_ok() && node.is_live(org_id(1));
    let known = async || nodes.iter().all(live);
    until("every node knows the event", known).await;
    let (mut rounds, mut answered) = (0_u32, 0);
    until("one node leads what all want", async || {
        // Whoever repeats a request commits nothing, and so is in nobody's way.
        rounds += 1;
        answered += rush(&nodes, at, 60, rounds as usize).await;
        wires.calls.load(Ordering::SeqCst) > 0
    })
    .await;
    let sold = 180 * rounds;
    until("claims are handed over", async || {
        answered += rush(&nodes, at, 60, 1).await;
        wires.calls.load(Ordering::SeqCst) > 20
    })
    .await;
    // Everybody is told that they have a place, and nobody has two.
    assert_eq!(answered % 180, 0);
    let left = |left| nodes.iter().all(|n| n.availability_now(at).is_some_and(|a| a.left == left));
    until("every node tells what is left", async || left(Some(100_000 - sold))).await;
    // The leader dies for the others: they decide by themselves, and nothing is lost.
    wires.ends.lock().unwrap().clear();
    nodes[0].apply_refresh(org_id(1), raw(1, "Event", Some(sold + 120), 0)).await.unwrap();
    let people: Vec<_> = (0..3).map(|n| person(&nodes[n], at, n)).collect();
    for (node, people) in nodes.iter().zip(people) {
        node.register(at.public_id(), &RequestId::Fresh, &[people]).await.unwrap();
    }
    until("every node tells the same", async || left(Some(117))).await;
}

/// Has the node at an address lead an event, as if it had been the first to want it.
fn let_lead(store: &Memory, at: EventRef, address: &str) {
    let nodes = store.scan(Range::All(Collection::Nodes), None, 10).unwrap();
    let of = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).unwrap();
    let mut nodes = nodes.iter().filter(|(_, node)| of(&node.body)["peer"] == address);
    let node = nodes.next().unwrap().0.id();
    let key = Key::lease(&format!("event/{}", at.partition()));
    let body = serde_json::json!({ "node": node, "since": 0 }).to_string().into_bytes();
    store.put(&[Write { key, version: 1, body: Some(body) }]).unwrap();
}

/// A node that leads an event, and one that hands it what it is asked.
struct Two {
    memory: Memory,
    wires: Wires,
    leader: Engine,
    /// The other one's way to the store.
    store: Arc<Faulty<Memory>>,
    other: Engine,
    at: EventRef,
}

impl Two {
    async fn start(seats: u32, world: Arc<dyn World>) -> Self {
        let (memory, wires) = (Memory::default(), Wires::default());
        let store = Arc::new(Faulty::new(memory.clone(), Plan::new()));
        let workers = peer(&wires, "http://leader");
        let leader = start_on(Arc::new(memory.clone()), Arc::new(Machine), workers);
        let faulty = Arc::<Faulty<Memory>>::clone(&store);
        let other = start_on(faulty, world, peer(&wires, "http://other"));
        wires.ends.lock().unwrap().insert("http://leader".to_owned(), leader.clone());
        connect(&leader, &memory, org_id(1), "acme", "http://127.0.0.1:9");
        leader.apply_refresh(org_id(1), raw(1, "Event", Some(seats), 0)).await.unwrap();
        let at = event(org_id(1));
        let known = async || {
            let nodes = memory.scan(Range::All(Collection::Nodes), None, 10).unwrap();
            nodes.len() == 2 && other.event(at.public_id()).is_ok() && other.is_live(org_id(1))
        };
        until("both are there and know the event", known).await;
        let_lead(&memory, at, "http://leader");
        Self { memory, wires, leader, store, other, at }
    }

    async fn register(&self, n: usize) -> Result<Confirmed, Denied> {
        let request = RequestId::Given(n.to_string());
        let people = [person(&self.other, self.at, n)];
        self.other.register(self.at.public_id(), &request, &people).await
    }

    /// Registers until that is handed over; the number of the last one.
    async fn hand_over(&self) -> usize {
        let mut last = 0;
        until("claims are handed over", async || {
            last += 1;
            let done = self.register(last).await;
            assert!(matches!(done, Ok(_) | Err(Denied::SoldOut { .. })), "{done:?}");
            self.wires.calls.load(Ordering::SeqCst) > 0
        })
        .await;
        last
    }
}

fn unknown(done: &Result<Confirmed, Denied>) -> bool {
    matches!(done, Err(Denied::OutcomeUnknown))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_leader_may_have_taken_is_not_said_to_be_refused_where_nobody_can_look() {
    let two = Two::start(1_000, Arc::new(Machine)).await;
    let sold = two.hand_over().await;
    two.wires.mute.store(true, Ordering::SeqCst);
    two.store.set_away(true);
    let lost = two.register(sold + 1).await;
    assert!(unknown(&lost), "{lost:?}");
    let again = two.register(sold + 1).await;
    assert!(unknown(&again), "a repeat is not told otherwise: {again:?}");
    two.store.set_away(false);
    two.register(sold + 1).await.unwrap();
    let left = two.leader.availability(two.at).await.unwrap().left;
    assert_eq!(left, Some(1_000 - u32::try_from(sold + 1).unwrap()), "it is there once");
}

/// The machine's clock; the one that nobody sets goes on as far as a test likes.
#[derive(Default)]
struct Later(AtomicI64);

impl World for Later {
    fn now(&self) -> Timestamp {
        Machine.now()
    }

    fn id(&self) -> u128 {
        Machine.id()
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), getrandom::Error> {
        Machine.random(bytes)
    }

    fn steady(&self) -> Instant {
        let millis = u64::try_from(self.0.load(Ordering::SeqCst)).unwrap();
        Machine.steady() + Duration::from_millis(millis)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_here_is_in_doubt_as_long_as_a_leader_that_was_not_heard_may_take_it() {
    let world = Arc::new(Later::default());
    let two = Two::start(0, Arc::<Later>::clone(&world)).await;
    let last = two.hand_over().await;
    two.wires.deaf.store(true, Ordering::SeqCst);
    let calls = two.wires.calls.load(Ordering::SeqCst);
    let refused = two.register(last + 1).await;
    assert!(unknown(&refused), "{refused:?}");
    let again = two.register(last + 1).await;
    assert!(unknown(&again), "{again:?}");
    let asked_since = two.register(last + 2).await;
    assert!(matches!(asked_since, Err(Denied::SoldOut { .. })), "{asked_since:?}");
    let calls = two.wires.calls.load(Ordering::SeqCst) - calls;
    assert_eq!(calls, 1, "nothing is handed to a node that did not answer a moment ago");
    world.0.store(13_000, Ordering::SeqCst);
    let later = two.register(last + 1).await;
    assert!(matches!(later, Err(Denied::SoldOut { .. })), "{later:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_decides_nothing_that_its_sender_has_given_up() {
    let two = Two::start(1_000, Arc::new(Machine)).await;
    let sold = two.hand_over().await;
    two.wires.deaf.store(true, Ordering::SeqCst);
    two.store.set_away(true);
    let lost = two.register(sold + 1).await;
    assert!(unknown(&lost), "{lost:?}");
    let call = two.wires.lost.lock().unwrap().clone();
    // It lay on the way for three seconds.
    let clock = Arc::new(Clock::default());
    clock.advance(3_000);
    let world = Arc::clone(&clock) as Arc<dyn World>;
    let late = start_on(Arc::new(two.memory.clone()), world, None);
    let before = 1_000 - u32::try_from(sold).unwrap();
    let left = async |node: &Engine| node.availability(two.at).await.unwrap().left;
    late.decide_for_peer(&call).await.unwrap();
    assert_eq!(left(&late).await, Some(before));
    clock.advance(-3_000);
    late.decide_for_peer(&call).await.unwrap();
    assert_eq!(left(&late).await, Some(before - 1));
    two.store.set_away(false);
    two.register(sold + 1).await.unwrap();
    assert_eq!(left(&two.other).await, Some(before - 1), "it is there once");
}
