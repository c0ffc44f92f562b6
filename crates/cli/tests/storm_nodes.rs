//! A mixed crowd against three processes of the real binary on one MongoDB, with no proxy
//! between: every step of every visitor meets another node, clicks arrive twice at the same
//! moment on two of them, and one is killed with -9 under them.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;

use indicatif::ProgressBar;
use sloe_sim::crowd::{self, Held, Mix, Options, Verdict};
use support::nodes::{Ground, Node};
use support::{PATIENCE, eventually};
use tokio::sync::Semaphore;

const VISITORS: u64 = 300;
/// Fixed, so that a failure can be held again.
const SEED: u64 = 20_261_127;

#[tokio::test(flavor = "multi_thread")]
async fn a_mixed_crowd_meets_another_node_at_every_step_and_one_of_them_dies() {
    let ground = Ground::begin(1_000).await;
    let mut nodes = [(); 3].map(|()| ground.start(&[]));
    for node in &mut nodes {
        node.ready().await;
    }
    ground.connect();
    for node in &nodes {
        ground.served(node).await;
    }
    let targets = nodes.each_ref().map(Node::url).join(",");
    let door = Arc::new(Semaphore::new(120));
    let mut options = Options::new(&targets, "acme/event", VISITORS).unwrap();
    options.mix = Mix::new([6, 6, 2, 4, 3, 1], [1, 1, 2]);
    options.seed = SEED;
    options.door = Some(Arc::clone(&door));
    options.connections = 12;
    options.party = 2;
    options.sessions = 1;
    (options.patience, options.persistence) = (PATIENCE, PATIENCE);
    options.expiry = std::time::Duration::ZERO;
    let bar = ProgressBar::hidden();
    let storm = tokio::spawn({
        let bar = bar.clone();
        async move { crowd::run(&options, &bar).await }
    });
    eventually(async || match bar.position() {
        gone if gone >= 60 => Ok(()),
        gone => Err(format!("only {gone} visitors have gone")),
    })
    .await;
    // Some of the 120 are under way.
    nodes[1].kill();
    door.add_permits(usize::try_from(VISITORS).unwrap());
    let report = storm.await.unwrap().unwrap();
    assert_eq!(report.verdict, Held::Held, "{report}");
    assert!(report.errors.is_empty() && report.unknown == 0, "{report}");
    let came: u64 = report.kinds.iter().map(|kind| kind.came).sum();
    assert_eq!((came, report.kinds.len(), report.visitors), (VISITORS, 6, VISITORS), "{report}");
    for begin in ["no pool", "every acknowledged registration", "clicking twice", "bots get"] {
        let of = |finding: &&crowd::Finding| finding.claim.starts_with(begin);
        let finding = report.findings.iter().find(of).unwrap();
        assert_eq!(finding.verdict, Verdict::Held, "{report}");
    }
    assert!(report.targets.iter().all(|target| target.answers > 0), "{report}");
    assert!(report.targets[1].unanswered > 0 && report.targets[1].skipped > 0, "{report}");
}
