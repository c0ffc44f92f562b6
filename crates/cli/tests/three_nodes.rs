//! Three processes of the real binary on one MongoDB, behind a plain
//! round-robin balancer: every step of a checkout meets another node, any of
//! them may be killed with -9 or restarted, and nothing is oversold, lost,
//! doubled or failed.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde_json::json;
use sloe_sim::crowd::{self, Crowd, Mix, Mode, Options, OrgAccess, Report, Verdict};
use support::nodes::{Balancer, Ground, Node, holder};
use support::{PATIENCE, eventually};
use tokio::sync::Semaphore;

/// Fixed, so that a failure can be held again.
const SEED: u64 = 20_261_126;

/// Three nodes that serve the event, and the balancer before them.
async fn three(ground: &Ground) -> ([Node; 3], Balancer) {
    three_told(ground, &[]).await
}

/// The same, as nodes that are told more.
async fn three_told(ground: &Ground, wishes: &[&str]) -> ([Node; 3], Balancer) {
    let mut nodes = [(); 3].map(|()| ground.start(wishes));
    for node in &mut nodes {
        node.ready().await;
    }
    ground.connect();
    for node in &nodes {
        ground.served(node).await;
    }
    let balancer = Balancer::start(&nodes.each_ref()).await;
    (nodes, balancer)
}

fn storm(ground: &Ground, balancer: &Balancer, visitors: u64, mode: Mode) -> Options {
    let mut options = Options::new(&balancer.url, "acme/event", visitors).unwrap();
    options.seed = SEED;
    options.mix = Mix::registrants(mode);
    options.connections = 12;
    options.sessions = 1;
    options.patience = PATIENCE;
    options.persistence = PATIENCE;
    options.org = Some(OrgAccess {
        url: ground.org.url(),
        client_id: ground.org.client_id().to_owned(),
        client_secret: ground.org.client_secret().to_owned(),
        patience: PATIENCE,
    });
    options
}

fn assert_all_held(report: &Report, seats: u64) {
    for finding in &report.findings {
        assert_eq!(finding.verdict, Verdict::Held, "{report}");
    }
    assert_eq!(report.findings.len(), 4, "{report}");
    assert!(report.errors.is_empty() && report.unknown == 0, "{report}");
    assert_eq!(report.registrations, seats, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn checkouts_that_change_node_at_every_step_complete_and_nothing_is_oversold() {
    let ground = Ground::begin(80).await;
    let (_nodes, balancer) = three(&ground).await;
    let options = storm(&ground, &balancer, 60, Mode::Html);
    let report = crowd::run(&options, &ProgressBar::hidden()).await.unwrap();
    assert_all_held(&report, 60);
    // Then more than there are seats, all at once, whichever node they meet.
    let mut rest = storm(&ground, &balancer, 100, Mode::Api);
    (rest.seed, rest.org) = (SEED + 1, None);
    let report = crowd::run(&rest, &ProgressBar::hidden()).await.unwrap();
    assert_eq!(report.registrations, 20, "{report}");
    assert_eq!(report.refused["409 sold-out"], 80, "{report}");
    let answers = balancer.answers();
    for node in 0..3 {
        let of_node: u64 =
            answers.iter().filter(|((at, _), _)| *at == node).map(|(_, count)| count).sum();
        assert!(of_node >= 80, "a node was hardly asked: {answers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_are_killed_with_9_lose_nothing_that_was_acknowledged() {
    let (seats, visitors) = (900, 1_000);
    let ground = Ground::begin(seats).await;
    let (mut nodes, balancer) = three(&ground).await;
    let (bar, door) = (ProgressBar::hidden(), Arc::new(Semaphore::new(0)));
    let mut options = storm(&ground, &balancer, visitors, Mode::Hold);
    options.door = Some(Arc::clone(&door));
    let storm = tokio::spawn({
        let bar = bar.clone();
        async move { crowd::run(&options, &bar).await }
    });
    let mut dice = Crowd::new(SEED).dice(0, 7);
    let deaths = 6;
    let share = visitors / (deaths + 2);
    door.add_permits(usize::try_from(share).unwrap());
    for death in 0..deaths {
        // As many stand behind those who must have gone, so that the death hurts somebody.
        door.add_permits(usize::try_from(share).unwrap());
        let until = death * share + 1 + dice.below(share);
        eventually(async || match bar.position() {
            gone if gone >= until => Ok(()),
            gone => Err(format!("only {gone} of {until} visitors have gone")),
        })
        .await;
        let node = &mut nodes[usize::try_from(death % 3).unwrap()];
        node.kill();
        node.start(&ground);
        node.ready().await;
    }
    door.add_permits(usize::try_from(visitors).unwrap());
    let report = storm.await.unwrap().unwrap();
    assert_all_held(&report, seats);
}

/// Claims that a node handed to the one that leads their event.
const HANDED: &str = "sloe_claims_forwarded_total";

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_reach_each_other_hand_a_hot_event_to_one_of_them_until_it_dies() {
    let ground = Ground::begin(100_000).await;
    let (mut nodes, balancer) = three_told(&ground, &["--peer-listen", "127.0.0.1:0"]).await;
    let mut sold = 0;
    let sell = async |sold: &mut u64| {
        let mut options = storm(&ground, &balancer, 60, Mode::Api);
        (options.seed, options.org) = (SEED + *sold, None);
        let report = crowd::run(&options, &ProgressBar::hidden()).await.unwrap();
        assert!(report.errors.is_empty() && report.unknown == 0, "{report}");
        assert_eq!(report.registrations, 60, "{report}");
        *sold += 60;
    };
    let handed = async |nodes: &[Node; 3]| {
        let [one, two, three] = nodes;
        [one.counted(HANDED).await, two.counted(HANDED).await, three.counted(HANDED).await]
    };
    // They get into each other's way first, and then agree on one.
    let began = Instant::now();
    while handed(&nodes).await.iter().sum::<u64>() == 0 {
        assert!(began.elapsed() < PATIENCE, "nothing is handed over");
        sell(&mut sold).await;
    }
    // Whoever leads hands over least.
    let before = handed(&nodes).await;
    sell(&mut sold).await;
    let after = handed(&nodes).await;
    let leader = (0..3).min_by_key(|at| after[*at] - before[*at]).unwrap();
    nodes[leader].kill();
    sell(&mut sold).await;
    let event = event_id(&balancer).await;
    let url = format!("{}/api/v1/events/{event}/availability", balancer.url);
    eventually(async || {
        let read = reqwest::get(&url).await.unwrap().text().await.unwrap();
        let left: serde_json::Value = serde_json::from_str(&read).map_err(|_| read.clone())?;
        if left["left"] == 100_000 - sold { Ok(()) } else { Err(read) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orgs_work_moves_to_another_node_when_its_node_is_killed() {
    let ground = Ground::begin(1_000).await;
    let (mut nodes, balancer) = three(&ground).await;
    let work = format!("org/{}", ground.org.org_id());
    let mut left: Vec<usize> = vec![0, 1, 2];
    let mut seen = Vec::new();
    for visitors in [5, 7] {
        let before = eventually(async || {
            holder(&ground, &work).await.ok_or("nobody does the org's work".to_owned())
        })
        .await;
        assert!(!seen.contains(&before), "a dead node is said to do it");
        // Which process it is, is told by its own log only.
        let at =
            left.iter().position(|at| nodes[*at].told().contains(&format!("node=\"{before}\"")));
        let at = left.remove(at.expect("one of the nodes is called so"));
        nodes[at].kill();
        seen.push(before);
        let mut options = storm(&ground, &balancer, visitors, Mode::Api);
        options.seed = SEED + visitors;
        let report = crowd::run(&options, &ProgressBar::hidden()).await.unwrap();
        // Whoever took it over has sent every row to the org, once.
        assert_all_held(&report, visitors);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_under_load_fails_no_request() {
    let ground = Ground::begin(100_000).await;
    let (mut nodes, balancer) = three(&ground).await;
    let stop = Arc::new(AtomicBool::new(false));
    let event = event_id(&balancer).await;
    let visitors: Vec<_> = (0..4)
        .map(|n| tokio::spawn(visit(balancer.url.clone(), event.clone(), n, Arc::clone(&stop))))
        .collect();
    for node in &mut nodes {
        node.end().await;
        node.start(&ground);
        node.ready().await;
        ground.served(node).await;
    }
    stop.store(true, Ordering::SeqCst);
    let mut registered = 0;
    for visitor in visitors {
        registered += visitor.await.unwrap();
    }
    assert!(registered > 0);
    let answers = balancer.answers();
    assert!(answers.keys().all(|(_, status)| *status < 500), "{answers:?}");
}

async fn event_id(balancer: &Balancer) -> String {
    let events = format!("{}/api/v1/orgs/acme/events", balancer.url);
    let answer: serde_json::Value = reqwest::get(events).await.unwrap().json().await.unwrap();
    answer["data"][0]["id"].as_str().unwrap().to_owned()
}

/// Looks at the page and registers, one after the other, until told to stop.
/// Every answer must be what it should be; how many registrations there were.
async fn visit(url: String, event: String, visitor: usize, stop: Arc<AtomicBool>) -> usize {
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let page: serde_json::Value = client
        .get(format!("{url}/api/v1/events/{event}"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let item = page["items"][0]["id"].clone();
    let mut count = 0;
    while !stop.load(Ordering::SeqCst) {
        let shown = client.get(format!("{url}/acme/event")).send().await.unwrap();
        assert_eq!(shown.status(), 200);
        let attendee = json!({
            "item": item, "sessions": [], "first_name": "Ada", "last_name": "Lovelace",
            "email": format!("ada{visitor}-{count}@example.org"), "answers": {},
        });
        let call = client.post(format!("{url}/api/v1/events/{event}/registrations"));
        let call = call.header("Idempotency-Key", format!("visitor {visitor}, time {count}"));
        let answer = call.json(&json!({ "attendees": [attendee] })).send().await.unwrap();
        let status = answer.status();
        assert_eq!(status, 201, "{}", answer.text().await.unwrap());
        count += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    count
}
