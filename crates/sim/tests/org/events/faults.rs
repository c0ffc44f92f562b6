//! What the fault rules do to calls of the Pub/Sub API.

use reqwest::Method;
use serde_json::{Value as Json, json};
use tonic::{Code, Status};

use super::subscriber::{self, Subscriber, Subscription, error_code, open, subscribe};
use super::{EVENTS, rename};
use crate::client::Org;

/// Puts a rule for calls of this API into force; it must be good.
async fn rule(org: &Org, knobs: Json) {
    let mut rule = knobs;
    rule["kinds"] = json!(["pubsub"]);
    let (status, body) = org.send(Method::PUT, "/__control/faults", rule).await;
    assert_eq!(status, 200, "{body}");
}

async fn hits(org: &Org) -> u64 {
    let (_, shown) = org.get("/__control/faults").await;
    shown["faults"][0]["hits"].as_u64().unwrap()
}

/// Looks until the rule has hit.
async fn until_hit(org: &Org) {
    for _ in 0..100_000 {
        if hits(org).await > 0 {
            return;
        }
    }
    panic!("the rule hits nobody");
}

async fn try_to_subscribe(org: &Org) -> Result<Subscription, Status> {
    let (url, tenant) = (org.running.url(), org.running.org_id());
    let who = [org.token.as_str(), url.as_str(), tenant.as_str()];
    subscriber::call(org, EVENTS, Subscriber::latest(100), who).await
}

#[tokio::test]
async fn errors_and_cuts_are_the_statuses_that_salesforce_sends() {
    let org = open().await;
    let failing = |code: &str| json!({ "error_rate": 1, "error_code": code });
    for (knobs, code, error) in [
        (failing("SERVER_UNAVAILABLE"), Code::Unavailable, Some("service.unavailable")),
        (failing("UNKNOWN_EXCEPTION"), Code::Unavailable, Some("service.unavailable")),
        (failing("INVALID_SESSION_ID"), Code::Unauthenticated, Some("service.auth.error")),
        (failing("REQUEST_LIMIT_EXCEEDED"), Code::ResourceExhausted, None),
        (failing("API_DISABLED_FOR_ORG"), Code::PermissionDenied, None),
        (json!({ "cut_before_rate": 1 }), Code::Unavailable, None),
        (json!({ "cut_after_rate": 1, "path": "*/Subscribe" }), Code::Unavailable, None),
    ] {
        rule(&org, knobs.clone()).await;
        let status = try_to_subscribe(&org).await.err().unwrap();
        assert_eq!((status.code(), error_code(&status)), (code, error), "{knobs}: {status:?}");
        assert_eq!(hits(&org).await, 1);
    }
    rule(&org, json!({ "latency_ms": 1 })).await;
    assert!(try_to_subscribe(&org).await.is_ok());
    assert_eq!(hits(&org).await, 1, "it came later");
    org.running.shutdown().await;
}

#[tokio::test]
async fn a_stall_keeps_calls_and_running_subscriptions_until_it_is_gone() {
    let org = open().await;
    let mut running = subscribe(&org, EVENTS, Subscriber::latest(100)).await;
    rule(&org, json!({ "stall": true })).await;
    rename(&org, "Late").await;
    until_hit(&org).await;
    // Long enough for any answer that doesn't stand still.
    let soon = std::time::Duration::from_millis(300);
    assert!(tokio::time::timeout(soon, running.answer()).await.is_err(), "its answer stands still");
    org.delete("/__control/faults").await;
    assert_eq!(running.events(1).await.len(), 1);

    rule(&org, json!({ "stall": true })).await;
    let mut begun = Box::pin(try_to_subscribe(&org));
    assert!(tokio::time::timeout(soon, &mut begun).await.is_err(), "the call stands still");
    org.delete("/__control/faults").await;
    let begun = begun.await;
    rename(&org, "Later").await;
    assert_eq!(begun.ok().unwrap().events(1).await.len(), 1);
    org.running.shutdown().await;
}

#[tokio::test]
async fn what_means_nothing_to_this_api_is_refused_in_a_rule_for_it_alone() {
    let org = open().await;
    let knobs = json!({
        "kinds": ["pubsub"], "error_form": "html", "cut_within_rate": 0.1, "stall_within_rate": 0.1,
        "late_rate": 0.1, "row_error_rate": 0.1, "chunk_ms": 1,
    });
    let (status, body) = org.send(Method::PUT, "/__control/faults", knobs.clone()).await;
    assert_eq!((status.as_u16(), body["faults"].as_array().unwrap().len()), (422, 6), "{body}");
    let mut both = knobs;
    both["kinds"] = json!(["pubsub", "query"]);
    assert_eq!(org.send(Method::PUT, "/__control/faults", both).await.0, 200);
    org.running.shutdown().await;
}
