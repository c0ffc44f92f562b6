//! Rows that the org can't take, and files that end too early: the others
//! lose nothing by them.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use sloe_salesforce::{Row, RowKind, RowOutcome, Status};

use crate::fake::{Fake, Reply, Seen};

fn rows(count: usize) -> Vec<Row> {
    (0..count).map(|n| Row::new(format!("k{n}"), 1).with_status(Status::Registered)).collect()
}

fn keys(seen: &Seen) -> Vec<String> {
    let records = seen.json()["records"].as_array().unwrap().clone();
    records.iter().map(|record| record["Sloe_Id__c"].as_str().unwrap().to_owned()).collect()
}

fn saved(keys: &[String]) -> Reply {
    let one = |_| json!({ "id": "a03000000000001AAA", "success": true, "created": true });
    Reply::json(&keys.iter().map(one).collect::<Value>())
}

#[tokio::test]
async fn rows_that_spoil_whole_calls_are_found_and_their_neighbors_go() {
    for (bad, status, code) in [
        (vec!["k0"], 500, "UNKNOWN_EXCEPTION"),
        (vec!["k77"], 400, "JSON_PARSER_ERROR"),
        (vec!["k3", "k250", "k251", "k399"], 400, "NEVER_HEARD_OF"),
    ] {
        let poison = bad.clone();
        let fake = Fake::start(move |seen| {
            let keys = keys(seen);
            if keys.iter().any(|key| poison.contains(&key.as_str())) {
                return Reply::error(status, code, "no");
            }
            saved(&keys)
        })
        .await;
        let sent = fake.org().upsert(RowKind::Attendee, &rows(400)).await;
        assert!(sent.halted.is_none(), "{:?}", sent.halted);
        assert_eq!(sent.outcomes.len(), 400);
        for (n, outcome) in sent.outcomes.iter().enumerate() {
            let is_bad = bad.contains(&format!("k{n}").as_str());
            match outcome {
                RowOutcome::Delivered { .. } => assert!(!is_bad, "k{n}"),
                RowOutcome::Retry { code: said } => assert!(is_bad && said == code, "k{n}: {said}"),
                RowOutcome::Rejected(why) => assert!(is_bad && status == 400 && why.code == code),
                other => panic!("k{n}: {other:?}"),
            }
        }
        // Halving finds one of 200 in eight steps, of which each costs two calls.
        assert!(fake.calls().len() <= 2 + 17 * bad.len(), "{} calls", fake.calls().len());
    }
}

/// What was answered while a bad row was looked for is known, whatever comes after.
#[tokio::test]
async fn an_org_that_goes_away_in_the_middle_of_the_search_has_answered_for_the_rows_before() {
    let calls = AtomicUsize::new(0);
    let fake = Fake::start(move |seen| {
        let keys = keys(seen);
        if calls.fetch_add(1, Ordering::SeqCst) > 8 {
            return Reply::error(503, "SERVER_UNAVAILABLE", "no");
        }
        if keys.iter().any(|key| key == "k3") {
            return Reply::error(500, "UNKNOWN_EXCEPTION", "no");
        }
        saved(&keys)
    })
    .await;
    let sent = fake.org().upsert(RowKind::Attendee, &rows(200)).await;
    assert!(sent.halted.is_some());
    // 200, 100, 50, 25, 12 and 6 rows are refused, three go, three and the bad one are refused.
    let told = sent.outcomes.iter().map(|outcome| match outcome {
        RowOutcome::Delivered { .. } => "there",
        RowOutcome::Retry { code } => code,
        other => panic!("{other:?}"),
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told, ["there", "there", "there", "UNKNOWN_EXCEPTION"]);
}

#[tokio::test]
async fn an_org_that_refuses_every_call_blames_no_row() {
    let calls = AtomicUsize::new(0);
    let fake = Fake::start(move |_| {
        calls.fetch_add(1, Ordering::SeqCst);
        Reply::error(500, "UNKNOWN_EXCEPTION", "no")
    })
    .await;
    let sent = fake.org().upsert(RowKind::Attendee, &rows(200)).await;
    assert!(sent.outcomes.is_empty() && sent.halted.is_some());
    assert!(fake.calls().len() <= 10, "{} calls", fake.calls().len());
    // What is known to be the org's is not even looked into.
    for (status, code) in [(503, "SERVER_UNAVAILABLE"), (400, "INVALID_FIELD"), (403, "FORBIDDEN")]
    {
        let fake = Fake::start(move |_| Reply::error(status, code, "no")).await;
        let sent = fake.org().upsert(RowKind::Attendee, &rows(200)).await;
        assert!(sent.halted.is_some());
        assert_eq!(fake.calls().len(), 1, "{code}");
    }
}
