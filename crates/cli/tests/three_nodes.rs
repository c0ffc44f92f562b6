//! Three processes of the real binary on one MongoDB, behind a plain
//! round-robin balancer: every step of a checkout meets another node, any of
//! them may be killed with -9, and nothing is oversold, lost or doubled.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;

use indicatif::ProgressBar;
use sloe_sim::crowd::{self, Crowd, Mix, Mode, Options, OrgAccess, Report, Verdict};
use support::nodes::{Balancer, Ground, Node, shown};
use support::{PATIENCE, eventually};
use tokio::sync::Semaphore;

/// Fixed, so that a failure can be held again.
const SEED: u64 = 20_261_126;

/// Three nodes that serve the event, and the balancer before them.
async fn three(ground: &Ground) -> ([Node; 3], Balancer) {
    let mut nodes = [(); 3].map(|()| ground.start(&[]));
    for node in &mut nodes {
        node.ready().await;
    }
    ground.connect();
    for node in &nodes {
        shown(&format!("{}/acme/event", node.url())).await;
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
