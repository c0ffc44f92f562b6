//! What is sold and left, told to the org: rarely, and never forgotten.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::org::{Org, hasty, until};
use common::{place, start};
use serde_json::json;
use sloe_engine::worker::Settings;

/// What the org was told is left of its event.
async fn remaining(org: &Org) -> Option<f64> {
    org.records("SELECT Remaining__c FROM Sloe_Event__c").await[0]["Remaining__c"].as_f64()
}

/// Regression: a failed call was taken for the round, so that the figures came a round later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_that_did_not_get_through_go_again_soon_and_not_a_round_later() {
    let (org, place) = (Org::start().await, place());
    org.faults(json!({ "outage": true, "kinds": ["collections"], "times": 1 })).await;
    let round = Settings { figures_every: Duration::from_secs(6_000), ..hasty(2_000) };
    let engine = start(&place, Some(round));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    until("the figures are told", async || remaining(&org).await.is_some()).await;
    assert_eq!(org.hits().await, 1, "the first call failed");
    engine.stop().await;
}
