//! What an org holds, counted for many events at once.

use std::time::Duration;

use serde_json::{Value as Json, json};
use sloe_core::ids::SfId;
use sloe_salesforce::{Error, Options};

use crate::fake::{Fake, Reply, Seen, id, quick};

const DATE: &str = "Mon, 23 Nov 2026 14:49:00 GMT";

fn events(count: usize) -> Vec<SfId> {
    (1..=count).map(|n| id(&format!("a00{n:012}"))).collect()
}

/// The events that a call counts.
fn asked(seen: &Seen) -> Vec<String> {
    let body = seen.json();
    let query = body["compositeRequest"][0]["url"].as_str().unwrap().to_owned();
    query.match_indices("a00").map(|(at, _)| query[at..at + 18].to_owned()).collect()
}

fn parts(bodies: impl Iterator<Item = (Json, u16)>) -> Reply {
    let parts: Vec<_> =
        bodies.map(|(body, status)| json!({ "body": body, "httpStatusCode": status })).collect();
    Reply::json(&json!({ "compositeResponse": parts })).with("date", DATE)
}

/// One attendee of each event asked for, and nothing else.
fn one_each(seen: &Seen) -> Reply {
    let row = |event: String| json!({ "event": event, "status": "Registered", "total": 1, "versions": 7.0 });
    let rows: Vec<_> = asked(seen).into_iter().map(row).collect();
    let page = |records: Vec<Json>| (json!({ "done": true, "records": records }), 200);
    parts(std::iter::once(page(rows)).chain((0..4).map(|_| page(Vec::new()))))
}

#[tokio::test]
async fn events_that_take_too_long_together_are_counted_half_at_a_time() {
    let timeout = || {
        let error = json!([{ "errorCode": "QUERY_TIMEOUT", "message": "too long" }]);
        parts((0..5).map(|_| (error.clone(), 400)))
    };
    for (count, most, late) in [(7, 3, timeout as fn() -> Reply), (2, 1, Reply::silence)] {
        let fake =
            Fake::start(move |seen| if asked(seen).len() > most { late() } else { one_each(seen) })
                .await;
        let org = fake.org_with(Options { deadline: Duration::from_secs(2), ..quick() });
        let counted = org.count_rows(&events(count)).await.unwrap();
        let found: Vec<_> = counted.attendees.keys().copied().collect();
        assert_eq!(found, events(count));
        assert!(counted.attendees.values().all(|tally| tally.registered.count == 1));
    }
}

#[tokio::test]
async fn one_event_that_takes_too_long_alone_is_told() {
    let fake = Fake::start(|_| Reply::silence()).await;
    let org = fake.org_with(Options { deadline: Duration::from_secs(1), ..quick() });
    let error = org.count_rows(&events(2)).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
    // On a slow machine the first may pass in the login.
    let last = fake.calls().pop().unwrap();
    assert_eq!(asked(&last).len(), 1);
}
