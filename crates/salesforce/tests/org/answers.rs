//! Answers of every odd kind, and how each is met.

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use sloe_salesforce::{Advice, Error, Options, RowKind, Usage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fake::{Fake, Reply, id, quick};

async fn error_of(reply: Reply) -> Error {
    let fake = Fake::start(move |_| reply.clone()).await;
    fake.org().limits().await.unwrap_err()
}

#[tokio::test]
async fn answers_that_are_not_the_json_promised_are_retried_later() {
    for (kind, body) in [
        ("text/html", "<html><body>We are down for maintenance</body></html>"),
        ("application/json", ""),
        ("application/json", r#"{"DailyApiRequests":{"Max":15000,"Rem"#),
        ("application/json", "[1, 2]"),
        ("application/json", "\u{feff}{}"),
    ] {
        let error = error_of(Reply::new(200, kind, body)).await;
        assert!(matches!(error, Error::Malformed { .. }), "{body}: {error:?}");
        assert_eq!(error.advice(), Advice::Retry);
    }
}

#[tokio::test]
async fn what_stood_in_a_malformed_answer_stays_out_of_the_error() {
    let error = error_of(Reply::new(200, "application/json", r#""jane@example.com""#)).await;
    assert!(!format!("{error} {error:?}").contains("jane"), "{error}");
}

#[tokio::test]
async fn good_json_counts_whatever_its_content_type_says() {
    let fake = Fake::start(|_| {
        Reply::new(200, "text/plain", r#"{"DailyApiRequests":{"Max":5,"Remaining":4}}"#)
    })
    .await;
    assert_eq!(fake.org().limits().await.unwrap().daily_calls().unwrap().remaining, 4);
}

#[tokio::test]
async fn errors_without_a_body_of_salesforce_s_form_are_judged_by_status() {
    for (status, body, advice) in [
        (503, "<h1>Service Unavailable</h1>", Advice::Retry),
        (503, "", Advice::Retry),
        (502, "{}", Advice::Retry),
        (420, "", Advice::Retry),
        (429, "", Advice::Wait),
        (404, "not here", Advice::Stop),
        (302, "", Advice::Stop),
    ] {
        let error = error_of(Reply::new(status, "text/html", body)).await;
        assert!(matches!(error, Error::Status { .. }), "{error:?}");
        assert_eq!(error.advice(), advice, "{status}");
    }
}

#[tokio::test]
async fn a_used_up_allowance_is_told_apart_and_its_usage_is_seen() {
    let reply = Reply::error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        .with("sforce-limit-info", "api-usage=15003/15000");
    let fake = Fake::start(move |_| reply.clone()).await;
    let org = fake.org();
    assert_eq!(org.usage(), None);
    let error = org.limits().await.unwrap_err();
    assert_eq!(error.advice(), Advice::Wait);
    assert_eq!(error.message().unwrap().reveal(), "TotalRequests Limit exceeded.");
    assert_eq!(org.usage(), Some(Usage { used: 15003, max: 15000, app: None }));
}

#[tokio::test]
async fn usage_follows_every_answer_and_survives_a_header_that_makes_no_sense() {
    let headers = Mutex::new(vec!["nonsense", "api-usage=2/10", "api-usage=1/10"]);
    let fake = Fake::start(move |_| {
        let header = headers.lock().unwrap().pop().unwrap();
        Reply::json(&serde_json::json!({})).with("sforce-limit-info", header)
    })
    .await;
    let org = fake.org();
    for used in [1, 2, 2] {
        org.limits().await.unwrap();
        assert_eq!(org.usage().map(|usage| usage.used), Some(used));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_token_in_hand() {
    let reply = Reply::new(302, "text/html", "").with("location", "/elsewhere");
    let fake = Fake::start(move |_| reply.clone()).await;
    assert!(fake.org().limits().await.is_err());
    assert_eq!(fake.calls().len(), 1);
}

#[tokio::test]
async fn a_compressed_answer_is_asked_for_and_read() {
    // {"DailyApiRequests":{"Max":5,"Remaining":4}}
    const GZIPPED: &[u8] = include_bytes!("limits.json.gz");
    let fake = Fake::start(|_| {
        Reply::new(200, "application/json", GZIPPED).with("content-encoding", "gzip")
    })
    .await;
    assert_eq!(fake.org().limits().await.unwrap().daily_calls().unwrap().remaining, 4);
    let asked = fake.calls().remove(0);
    assert_eq!(asked.headers.get("accept-encoding").unwrap(), "gzip");
    assert_eq!(asked.headers.get("sforce-call-options").unwrap(), "client=sloe");
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_although_the_org_stays_silent() {
    // Two calls that wait for each other, of which only one ever comes.
    let fake = Fake::start_with(
        Some(2),
        |n, fake| fake.log_in(n),
        |_| Reply::json(&serde_json::json!({})),
    )
    .await;
    let after = Duration::from_millis(200);
    let error = fake.org_with(Options { deadline: after, ..quick() }).limits().await.unwrap_err();
    assert!(matches!(error, Error::Deadline { after: a, .. } if a == after), "{error:?}");
    assert_eq!(error.advice(), Advice::Retry);
}

#[tokio::test]
async fn a_call_that_had_no_turn_says_so_and_that_nothing_was_sent() {
    // The first call waits for another, which has no turn before the first has ended.
    let fake = Fake::start_with(
        Some(2),
        |n, fake| fake.log_in(n),
        |_| Reply::json(&serde_json::json!({})),
    )
    .await;
    let after = Duration::from_millis(200);
    let org = fake.org_with(Options { at_once: 1, deadline: after, ..quick() });
    let job = sloe_salesforce::Job {
        id: sloe_salesforce::JobId::parse("750000000000001AAA").unwrap(),
        kind: RowKind::Attendee,
        operation: sloe_salesforce::Operation::Upsert,
    };
    // An upload may take longer than other calls.
    let rows = [crate::rows::registered("k1")];
    let error = tokio::select! {
        biased;
        done = org.bulk_run(&job, sloe_salesforce::Rows::Upsert(&rows)) => panic!("{done:?}"),
        done = org.limits() => done.unwrap_err(),
    };
    assert!(matches!(error, Error::NoTurn { after: a, .. } if a == after), "{error:?}");
    assert_eq!((error.advice(), error.may_have_arrived()), (Advice::Retry, false));
}

#[tokio::test]
async fn no_more_calls_run_at_once_than_allowed() {
    let fake = Fake::start_with(
        Some(2),
        |n, fake| fake.log_in(n),
        |_| Reply::json(&serde_json::json!({})),
    )
    .await;
    let org = fake.org_with(Options { at_once: 2, ..quick() });
    let results = join_all((0..8).map(|_| org.limits())).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(fake.most_in_flight.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn nobody_listening_and_a_connection_cut_off_are_both_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let fake = Fake::start(|_| Reply::json(&serde_json::json!({}))).await;
    let credentials = sloe_salesforce::Credentials { login_url: silent, ..fake.credentials() };
    let org = sloe_salesforce::Org::new(credentials, sloe_salesforce::Mapping::default(), quick());
    let error = org.unwrap().limits().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(error.advice(), Advice::Retry);

    // Promises a hundred bytes, gives ten, hangs up.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cut = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 4096];
        let _ = socket.read(&mut buffer).await.unwrap();
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"Daily";
        socket.write_all(answer.as_bytes()).await.unwrap();
    });
    let fake = Fake::start_with(
        None,
        move |n, fake| {
            let body = fake.log_in(n);
            Reply::new(200, "application/json", body.text().replace(&fake.url, &cut))
        },
        |_| Reply::json(&serde_json::json!({})),
    )
    .await;
    let error = fake.org().limits().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_continuation_link_can_not_take_the_token_to_another_host() {
    for link in
        ["//evil.example/services/data", "https://evil.example/", "/other", "", "@evil.example"]
    {
        let fake = Fake::start(move |_| {
            Reply::json(&serde_json::json!({ "compositeResponse": [
                { "body": { "done": false, "records": [], "nextRecordsUrl": link },
                  "httpStatusCode": 200, "referenceId": "events", "httpHeaders": {} },
            ]}))
        })
        .await;
        let error = fake.org().fetch_event(id("a00000000000001AAA"), None).await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{link}: {error:?}");
        assert_eq!(fake.calls().len(), 1);
    }
}

#[tokio::test]
async fn rows_are_sent_compressed_and_small_bodies_are_not() {
    let fake = Fake::start(|seen| {
        let rows = seen.json()["records"].as_array().unwrap().len();
        Reply::json(&serde_json::json!(vec![
            serde_json::json!({ "success": true, "id": "a03000000000001AAA" });
            rows
        ]))
    })
    .await;
    let row = |n: usize| crate::rows::registered(&format!("k{n}"));
    let many: Vec<_> = (0..200).map(row).collect();
    assert_eq!(fake.org().upsert(RowKind::Attendee, &many).await.outcomes.len(), 200);
    assert_eq!(fake.org().upsert(RowKind::Attendee, &many[..1]).await.outcomes.len(), 1);
    let [large, small] = &fake.calls()[..] else { panic!() };
    assert_eq!(large.headers.get("content-encoding").unwrap(), "gzip");
    assert!(large.body.len() < 20_000, "{}", large.body.len());
    assert_eq!(small.headers.get("content-encoding"), None);
}
