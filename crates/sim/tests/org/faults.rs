//! The fault knobs: each changes what a client meets, and stops doing so when it is cleared.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value as Json, json};
use sloe_sim::org::Options;

use crate::client::{Org, options};

async fn put(org: &Org, faults: Json) {
    let (status, body) = org.send(Method::PUT, "/__control/faults", faults).await;
    assert_eq!(status, 200, "{body}");
}

/// Status, content type and body of a call.
async fn limits(org: &Org) -> (u16, String, String) {
    let response = org.request(Method::GET, "/limits").send().await.unwrap();
    let kind = response.headers().get("content-type").map(|v| v.to_str().unwrap().to_owned());
    (response.status().as_u16(), kind.unwrap_or_default(), response.text().await.unwrap())
}

#[tokio::test]
async fn an_error_has_its_codes_true_status_and_any_form_a_client_may_meet() {
    let org = Org::start().await;
    for (code, status) in [
        ("REQUEST_LIMIT_EXCEEDED", 403),
        ("INVALID_SESSION_ID", 401),
        ("UNABLE_TO_LOCK_ROW", 400),
        ("QUERY_TIMEOUT", 400),
        ("UNKNOWN_EXCEPTION", 500),
        ("SERVER_UNAVAILABLE", 503),
    ] {
        put(&org, json!({ "errors": { code: 1 } })).await;
        let (got, body) = org.get("/limits").await;
        assert_eq!((got.as_u16(), body[0]["errorCode"].as_str()), (status, Some(code)));
        assert!(!body[0]["message"].as_str().unwrap().is_empty());
    }
    let of = |form: &str| json!({ "error_rate": 1, "error_form": form });
    put(&org, of("html")).await;
    let (status, kind, body) = limits(&org).await;
    assert_eq!((status, kind.as_str()), (503, "text/html; charset=UTF-8"));
    assert!(body.starts_with("<!DOCTYPE html>"), "{body}");
    put(&org, of("empty")).await;
    assert_eq!(limits(&org).await, (503, String::new(), String::new()));
    put(&org, of("wrong_type")).await;
    let (_, kind, body) = limits(&org).await;
    assert!(kind.starts_with("text/html") && body.starts_with("[{"), "{kind} {body}");
    put(&org, json!({ "error_rate": 1, "error_form": "html", "error_status": 200 })).await;
    let (status, _, body) = limits(&org).await;
    assert!(status == 200 && body.contains("<html>"));
    put(&org, json!({ "errors": { "inactive_org": 1 }, "kinds": ["token"] })).await;
    let url = format!("{}/services/oauth2/token", org.running.url());
    let refused = org.http.post(url).form(&[("grant_type", "client_credentials")]).send().await;
    let refused: Json = refused.unwrap().json().await.unwrap();
    assert_eq!(refused["error"], "inactive_org");
    org.delete("/__control/faults").await;
    assert_eq!(limits(&org).await.0, 200);
}

#[tokio::test]
async fn a_cut_connection_loses_the_answer_and_either_leaves_the_work_behind_or_nothing() {
    let org = Org::start().await;
    let lead = json!({ "LastName": "Doe", "Company": "Doe & Co" });
    for (knob, left) in [("cut_before_rate", 0), ("cut_after_rate", 1)] {
        put(&org, json!({ knob: 1, "methods": ["POST"], "path": "*/sobjects/Lead" })).await;
        let sent = org.request(Method::POST, "/sobjects/Lead").json(&lead).send().await;
        let error = sent.expect_err("the connection is cut");
        assert!(error.is_request() && !error.is_connect(), "{error:?}");
        assert_eq!(org.records("SELECT Id FROM Lead").await.len(), left, "{knob}");
        let (_, shown) = org.get("/__control/faults").await;
        assert_eq!(shown["faults"][0]["hits"], 1);
    }
}

#[tokio::test]
async fn a_truncated_answer_tells_its_whole_length_and_ends_before_it() {
    let org = Org::start().await;
    put(&org, json!({ "cut_within_rate": 1, "kinds": ["limits"] })).await;
    let mut response = org.request(Method::GET, "/limits").send().await.unwrap();
    let length = response.content_length().unwrap();
    assert_eq!(response.headers()["content-type"], "application/json;charset=UTF-8");
    let (mut got, error) = (
        0,
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => assert!(!chunk.is_empty()),
                Ok(None) => panic!("the answer is whole"),
                Err(error) => break error,
            }
        },
    );
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    let mut response = org.request(Method::GET, "/limits").send().await.unwrap();
    while let Ok(Some(chunk)) = response.chunk().await {
        got += chunk.len() as u64;
    }
    assert!(got > 0 && got < length, "{got} of {length} bytes");
}

#[tokio::test]
async fn a_stalled_answer_stops_in_the_middle_until_the_fault_is_gone() {
    let org = Org::start().await;
    put(&org, json!({ "stall_within_rate": 1, "kinds": ["limits"] })).await;
    let mut response = org.request(Method::GET, "/limits").send().await.unwrap();
    let length = response.content_length().unwrap();
    let first = response.chunk().await.unwrap().unwrap();
    assert!((first.len() as u64) < length);
    let rest = tokio::spawn(async move { response.chunk().await });
    org.get("/__control/faults").await;
    assert!(!rest.is_finished());
    org.delete("/__control/faults").await;
    assert!(rest.await.unwrap().is_err(), "the rest never comes");
    assert_eq!(org.get("/limits").await.0, 200);
}

#[tokio::test]
async fn a_late_answer_tells_what_was_so_when_the_call_was_carried_out() {
    let org = Org::start().await;
    let late = json!({ "late_rate": 1, "times": 1, "kinds": ["query"] });
    put(&org, late).await;
    let count = |org: &Org| org.request(Method::GET, "/query?q=SELECT+COUNT()+FROM+Account");
    let request = count(&org);
    let asking = tokio::spawn(async move {
        request.send().await.unwrap().json::<serde_json::Value>().await.unwrap()
    });
    while org.get("/__control/stats").await.1["stats"]["faulted"] != 1 {}
    org.post("/sobjects/Account", json!({ "Name": "Later" })).await;
    assert!(!asking.is_finished());
    put(&org, json!({})).await;
    let then = asking.await.unwrap();
    let now = count(&org).send().await.unwrap().json::<serde_json::Value>().await.unwrap();
    let total = |answer: &serde_json::Value| answer["totalSize"].as_u64().unwrap();
    assert_eq!(total(&then) + 1, total(&now), "{then} {now}");
}

#[tokio::test]
async fn a_stalled_call_goes_on_when_the_fault_is_replaced_by_another_one() {
    let org = Org::start().await;
    put(&org, json!({ "stall_rate": 1, "kinds": ["limits"] })).await;
    let request = org.request(Method::GET, "/limits");
    let stalled = tokio::spawn(async move { request.send().await.unwrap().status() });
    while org.get("/__control/stats").await.1["stats"]["faulted"] != 1 {}
    put(&org, json!({ "stall": true, "kinds": ["limits"] })).await;
    assert!(!stalled.is_finished(), "it is a stall still");
    put(&org, json!({ "latency_ms": 1 })).await;
    assert_eq!(stalled.await.unwrap(), 200);
}

#[tokio::test]
async fn calls_take_as_long_as_the_distribution_says_and_only_those_meant() {
    let org = Org::start().await;
    for latency in [
        json!({ "fixed_ms": 150 }),
        json!({ "from_ms": 150, "to_ms": 160 }),
        json!({ "p50_ms": 400, "p99_ms": 500 }),
    ] {
        put(&org, json!({ "latency": latency, "kinds": ["limits"], "times": 1 })).await;
        let began = Instant::now();
        assert_eq!(org.get("/sobjects/Lead").await.0, 200);
        let others = began.elapsed();
        let began = Instant::now();
        assert_eq!(org.get("/limits").await.0, 200);
        let hit = began.elapsed();
        assert!(hit >= Duration::from_millis(150), "{latency}: {hit:?} ({others:?} without)");
        assert_eq!(org.get("/__control/faults").await.1["faults"][0]["hits"], 1);
    }
}

#[tokio::test]
async fn a_rule_hits_the_path_the_method_and_the_number_of_times_it_names() {
    let org = Org::start().await;
    let rule = json!({ "error_rate": 1, "path": "/services/data/*/limits", "methods": ["GET"], "skip": 1, "times": 2 });
    let other = json!({ "errors": { "QUERY_TIMEOUT": 1 }, "kinds": ["query"], "times": 1 });
    put(&org, json!([rule, other])).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(org.get("/limits").await.0.as_u16());
        assert_eq!(org.get("/sobjects/Lead").await.0, 200);
    }
    assert_eq!(statuses, [200, 503, 503, 200, 200]);
    assert_eq!(org.query("SELECT Id FROM Lead").await.0, 400);
    assert_eq!(org.query("SELECT Id FROM Lead").await.0, 200);
    let (_, shown) = org.get("/__control/faults").await;
    assert_eq!((&shown["faults"][0]["hits"], &shown["faults"][1]["hits"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn a_seeded_run_is_repeatable_on_another_org() {
    let org = Org::start().await;
    let twin = Org::start().await;
    let run = async |org: &Org, seed: u64| {
        put(org, json!({ "seed": seed, "error_rate": 0.4, "cut_before_rate": 0.2 })).await;
        let mut ends = Vec::new();
        for _ in 0..40 {
            let sent = org.request(Method::GET, "/limits").send().await;
            ends.push(sent.map_or(0, |response| response.status().as_u16()));
        }
        ends
    };
    let first = run(&org, 7).await;
    assert!([0, 200, 503].iter().all(|end| first.contains(end)), "{first:?}");
    assert_eq!(first, run(&twin, 7).await);
    assert_ne!(first, run(&org, 8).await);
}

#[tokio::test]
async fn written_rows_fail_by_object_and_with_the_wanted_code() {
    let org = Org::start().await;
    let rule = json!({ "row_errors": { "DUPLICATES_DETECTED": 1 }, "objects": ["Lead"] });
    put(&org, rule).await;
    let record = |object: &str| json!({ "attributes": { "type": object }, "LastName": "Doe", "Company": "X" });
    let records = json!({ "records": [record("Lead")] });
    let (status, body) = org.post("/composite/sobjects", records).await;
    assert_eq!(status, 200);
    assert_eq!(body[0]["errors"][0]["statusCode"], "DUPLICATES_DETECTED");
    let contact = json!({ "attributes": { "type": "Contact" }, "LastName": "Doe" });
    let (_, body) = org.post("/composite/sobjects", json!({ "records": [contact] })).await;
    assert_eq!(body[0]["success"], true, "{body}");
}

#[tokio::test]
async fn a_row_that_is_to_fail_once_fails_also_where_rows_are_slow() {
    let org = Org::start().await;
    put(&org, json!({ "row_error_rate": 1, "times": 1, "record_ms": 1 })).await;
    let lead = json!({ "attributes": { "type": "Lead" }, "LastName": "Doe", "Company": "X" });
    let (_, body) = org.post("/composite/sobjects", json!({ "records": [lead, lead] })).await;
    assert_eq!((&body[0]["success"], &body[1]["success"]), (&json!(false), &json!(true)), "{body}");
    assert_eq!(org.get("/__control/faults").await.1["faults"][0]["hits"], 1);
}

#[tokio::test]
async fn every_fault_of_a_rule_is_named_and_nothing_changes() {
    let org = Org::start().await;
    put(&org, json!({ "error_rate": 1, "kinds": ["limits"] })).await;
    let bad = json!([
        { "error_rate": 1.5, "methods": ["FETCH"], "colour": "red" },
        { "error_code": "MADE_UP", "latency": { "p50_ms": 10 } },
    ]);
    let (status, body) = org.send(Method::PUT, "/__control/faults", bad).await;
    assert_eq!(status, 422);
    let faults: Vec<&str> =
        body["faults"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    for words in [
        "[0].error_rate is a share from 0 to 1, not 1.5",
        "[0].methods knows no FETCH",
        "[0].colour is unknown",
        "[1].error_code MADE_UP has no known HTTP status",
        "[1].latency has fixed_ms",
    ] {
        assert!(faults.iter().any(|fault| fault.starts_with(words)), "{words}: {faults:?}");
    }
    assert_eq!(faults.len(), 5, "{faults:?}");
    assert_eq!(org.get("/limits").await.0, 503, "the rule before is still in force");
    for (path, bad, count) in [
        ("limits", json!({ "daily": -1, "used": "x", "other": 1 }), 3),
        ("locks", json!({ "wait_ms": "long" }), 1),
        ("maintenance", json!({ "until": "never", "form": 1 }), 2),
        ("hook", json!({ "url": "localhost", "secret": "two\nlines", "key": "x" }), 3),
        ("hook", json!({ "url": 7 }), 2),
        ("events", json!({ "selected": ["Nobody__c"], "idle_ms": 0, "gap_rate": 2, "x": 1 }), 4),
    ] {
        let (status, body) = org.send(Method::PUT, &format!("/__control/{path}"), bad).await;
        assert_eq!((status.as_u16(), body["faults"].as_array().unwrap().len()), (422, count));
    }
}

static EATEN: AtomicI64 = AtomicI64::new(0);

/// Some minutes after a moment of its own.
fn eaten() -> Timestamp {
    let start: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
    start + jiff::SignedDuration::from_mins(EATEN.load(Ordering::Relaxed))
}

#[tokio::test]
async fn another_integration_eats_the_allowance_until_nothing_is_left_or_it_is_stopped() {
    let org = Org::with(Options { daily_limit: Some(1_000), now: eaten, ..options() }).await;
    let used = async || org.get("/__control/limits").await.1["used"].as_u64().unwrap();
    org.send(Method::PUT, "/__control/limits", json!({ "others_per_minute": 90 })).await;
    assert_eq!(used().await, 0);
    EATEN.store(10, Ordering::Relaxed);
    assert_eq!(used().await, 900);
    let response = org.request(Method::GET, "/limits").send().await.unwrap();
    assert_eq!(response.headers()["sforce-limit-info"], "api-usage=901/1000");
    EATEN.store(12, Ordering::Relaxed);
    let (status, body) = org.get("/limits").await;
    assert_eq!(
        (status.as_u16(), body[0]["message"].as_str()),
        (403, Some("TotalRequests Limit exceeded."))
    );
    let (_, limits) = org.delete("/__control/limits").await;
    assert_eq!((&limits["others_per_minute"], &limits["daily"]), (&json!(0), &json!(1_000)));
    EATEN.store(12 + 24 * 60, Ordering::Relaxed);
    assert_eq!(used().await, 0, "a day later nobody has called");
}

#[tokio::test]
async fn long_calls_of_others_leave_no_room_for_new_ones() {
    let org = Org::with(Options { concurrent_limit: Some(5), ..options() }).await;
    org.send(Method::PUT, "/__control/limits", json!({ "others_long_running": 4 })).await;
    assert_eq!(org.get("/limits").await.0, 200);
    org.send(Method::PUT, "/__control/limits", json!({ "others_long_running": 5 })).await;
    let (status, body) = org.get("/limits").await;
    assert_eq!(status, 403);
    assert_eq!(body[0]["message"], "ConcurrentRequests (Concurrent API Requests) Limit exceeded.");
    org.delete("/__control/limits").await;
    assert_eq!(org.get("/limits").await.0, 200);
}

static MAINTAINED: AtomicI64 = AtomicI64::new(0);

fn maintained() -> Timestamp {
    let start: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
    start + jiff::SignedDuration::from_mins(MAINTAINED.load(Ordering::Relaxed))
}

#[tokio::test]
async fn in_a_maintenance_window_everything_answers_503_and_the_page_says_until_when() {
    let org = Org::with(Options { now: maintained, ..options() }).await;
    let window = json!({ "from": "2026-11-26T12:10:00Z", "minutes": 20 });
    let (status, shown) = org.send(Method::PUT, "/__control/maintenance", window).await;
    assert_eq!((status.as_u16(), &shown["on"]), (200, &json!(false)), "{shown}");
    assert_eq!(org.get("/limits").await.0, 200);
    MAINTAINED.store(10, Ordering::Relaxed);
    assert_eq!(org.get("/__control/maintenance").await.1["on"], true);
    for path in ["/limits", "/services/data", "/services/oauth2/userinfo"] {
        let (status, body) = org.get(path).await;
        assert_eq!(
            (status.as_u16(), body[0]["errorCode"].as_str()),
            (503, Some("SERVER_UNAVAILABLE"))
        );
    }
    let url = format!("{}/services/oauth2/token", org.running.url());
    assert_eq!(org.http.post(url).send().await.unwrap().status(), 503);
    let page = org.http.get(org.running.url()).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Maintenance until 26 Nov 2026, 12:30"), "{page}");
    let html =
        json!({ "from": "2026-11-26T12:10:00Z", "until": "2026-11-26T12:30:00Z", "form": "html" });
    org.send(Method::PUT, "/__control/maintenance", html).await;
    let (status, kind, body) = limits(&org).await;
    assert!(status == 503 && kind.starts_with("text/html") && body.contains("maintenance"));
    MAINTAINED.store(30, Ordering::Relaxed);
    assert_eq!(org.get("/limits").await.0, 200);
    assert_eq!(org.get("/__control/maintenance").await.1, json!(null));
    org.send(Method::PUT, "/__control/maintenance", json!({})).await;
    assert_eq!(org.get("/limits").await.0, 503, "from now on");
    org.delete("/__control/maintenance").await;
    assert_eq!(org.get("/limits").await.0, 200);
}
