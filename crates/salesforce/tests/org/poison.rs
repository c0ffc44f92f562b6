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
        // Many calls in vain at the head, and no row behind that goes alone by then.
        (vec!["k0", "k1"], 500, "UNKNOWN_EXCEPTION"),
        (vec!["k0", "k1", "k2", "k150"], 500, "UNKNOWN_EXCEPTION"),
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

/// Answers like an org in which rows of these numbers break every call.
fn poisoned(
    bad: std::ops::Range<usize>,
    status: u16,
    code: &'static str,
) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    move |seen| {
        let keys = keys(seen);
        let is_bad = |key: &String| bad.contains(&key[1..].parse::<usize>().unwrap());
        if keys.iter().any(is_bad) { Reply::error(status, code, "no") } else { saved(&keys) }
    }
}

#[tokio::test]
async fn bad_rows_at_the_head_of_a_call_do_not_pass_for_an_org_that_refuses_all() {
    for (bad, all) in [(2, 200), (3, 100), (40, 200), (40, 60)] {
        let fake = Fake::start(poisoned(0..bad, 500, "UNKNOWN_EXCEPTION")).await;
        let sent = fake.org().upsert(RowKind::Attendee, &rows(all)).await;
        assert!(sent.halted.is_none(), "{bad} of {all}: {:?}", sent.halted);
        assert_eq!(sent.outcomes.len(), all);
        for (n, outcome) in sent.outcomes.iter().enumerate() {
            let went = matches!(outcome, RowOutcome::Delivered { .. });
            assert_eq!(went, n >= bad, "k{n}: {outcome:?}");
        }
    }
}

/// However many are bad, a look makes so many calls and no more, and each gets
/// some rows further as long as some are good.
#[tokio::test]
async fn a_call_full_of_bad_rows_is_searched_a_part_at_a_time() {
    let fake = Fake::start(poisoned(0..90, 500, "UNKNOWN_EXCEPTION")).await;
    let mut waiting = rows(200);
    let (mut gone, mut blamed) = (0, 0);
    for fresh in 200.. {
        let before = fake.calls().len();
        let sent = fake.org().upsert(RowKind::Attendee, &waiting).await;
        let calls = fake.calls().len() - before;
        assert!(calls <= 120, "{calls} calls");
        let mut left = waiting.split_off(sent.outcomes.len());
        let halted = sent.halted.is_some();
        let settled = gone + blamed;
        for (row, outcome) in waiting.into_iter().zip(sent.outcomes) {
            let is_bad = row.key[1..].parse::<usize>().unwrap() < 90;
            match outcome {
                // It is looked for before it goes again.
                unsaid if unsaid.may_be_there() => left.push(row),
                RowOutcome::Delivered { .. } if !is_bad => gone += 1,
                RowOutcome::Retry { .. } if is_bad => blamed += 1,
                other => panic!("{}: {other:?}", row.key),
            }
        }
        assert!(gone + blamed > settled, "stuck with {} rows", left.len());
        assert_eq!(halted, !left.is_empty());
        if left.is_empty() {
            assert_eq!((gone + blamed, blamed), (fresh, 90));
            break;
        }
        // Somebody registers.
        left.push(Row::new(format!("k{fresh}"), 1));
        waiting = left;
    }
}

/// A row that went out of turn is told, so that nobody takes it for not made.
#[tokio::test]
async fn rows_that_went_while_the_search_was_elsewhere_are_told_although_it_ends_early() {
    let bad = poisoned(0..2, 500, "UNKNOWN_EXCEPTION");
    let fake = Fake::start(move |seen| {
        // The last row goes while it is asked whether any does; then the org is away.
        if keys(seen) == ["k2"] {
            return Reply::error(503, "SERVER_UNAVAILABLE", "no");
        }
        bad(seen)
    })
    .await;
    let sent = fake.org().upsert(RowKind::Attendee, &rows(200)).await;
    assert_eq!(sent.halted.as_ref().and_then(|error| error.code()), Some("SERVER_UNAVAILABLE"));
    for (n, outcome) in sent.outcomes.iter().enumerate() {
        match outcome {
            RowOutcome::Delivered { .. } => assert_eq!(n, 199),
            unsaid if unsaid.may_be_there() => assert!((2..199).contains(&n), "k{n}"),
            other => assert!(n < 2, "k{n}: {other:?}"),
        }
    }
    assert_eq!(sent.outcomes.len(), 200);
}

#[tokio::test]
async fn rows_that_are_each_refused_alone_are_blamed_if_the_org_takes_other_calls() {
    for (all, status, code) in [
        (1, 500, "UNKNOWN_EXCEPTION"),
        (2, 400, "JSON_PARSER_ERROR"),
        (2, 500, "UNKNOWN_EXCEPTION"),
        (5, 400, "NEVER_HEARD_OF"),
    ] {
        let bad = poisoned(0..all, status, code);
        let fake = Fake::start(move |seen| {
            if seen.json()["records"][0]["id"] == "000000000000000AAA" {
                let error = json!({ "statusCode": "MALFORMED_ID", "message": "", "fields": [] });
                return Reply::json(&json!([{ "success": false, "errors": [error] }]));
            }
            bad(seen)
        })
        .await;
        let sent = fake.org().upsert(RowKind::Attendee, &rows(all)).await;
        assert!(sent.halted.is_none(), "{all}: {:?}", sent.halted);
        assert_eq!(sent.outcomes.len(), all);
        for outcome in sent.outcomes {
            match outcome {
                // It may pass, and no other row has shown that the org takes any.
                RowOutcome::Retry { code } if status == 500 => assert_eq!(code, RowOutcome::ALONE),
                RowOutcome::Rejected(why) if status == 400 => assert_eq!(why.code, code),
                other => panic!("{other:?}"),
            }
        }
        // One that takes nothing has no bad rows.
        let fake = Fake::start(move |_| Reply::error(status, code, "no")).await;
        let sent = fake.org().upsert(RowKind::Attendee, &rows(all)).await;
        assert!(sent.outcomes.is_empty() && sent.halted.is_some());
        assert_eq!(fake.calls().len(), 2 * all, "each call once, and one for nothing");
    }
}

#[tokio::test]
async fn a_row_that_something_between_refused_may_be_there_all_the_same() {
    let bare = || Reply::new(500, "text/html", "<html>no</html>");
    let fake = Fake::start(move |seen| {
        let keys = keys(seen);
        if keys.contains(&"k1".to_owned()) { bare() } else { saved(&keys) }
    })
    .await;
    let sent = fake.org().upsert(RowKind::Attendee, &rows(3)).await;
    assert!(sent.halted.is_none() && sent.outcomes[1].may_be_there(), "{sent:?}");
    // Alone, nobody knows whether it is the row.
    let sent = fake.org().upsert(RowKind::Attendee, &rows(2)[1..]).await;
    assert!(sent.outcomes.is_empty());
    assert!(sent.halted.is_some_and(|error| error.may_have_arrived()));
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
    assert!(fake.calls().len() <= 19, "{} calls", fake.calls().len());
    // What is known to be the org's is not even looked into.
    for (status, code) in [(503, "SERVER_UNAVAILABLE"), (400, "INVALID_FIELD"), (403, "FORBIDDEN")]
    {
        let fake = Fake::start(move |_| Reply::error(status, code, "no")).await;
        let sent = fake.org().upsert(RowKind::Attendee, &rows(200)).await;
        assert!(sent.halted.is_some());
        assert_eq!(fake.calls().len(), 1, "{code}");
    }
}
