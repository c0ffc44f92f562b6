//! Calls that hold several: rows of both kinds at once, rows by many keys, seats of many events.

use serde_json::{Value, json};
use sloe_salesforce::{Cell, Column, Error, Row, RowKind, RowOutcome, Status, fits_one_call};

use crate::fake::{Fake, Reply, Seen, id};
use crate::rows::registered;

const ATTENDEE: &str = "a03000000000001AAA";
const EVENT: &str = "a00000000000001AAA";

fn seated(key: &str) -> Row {
    Row::new(key.into(), 7)
        .with(Column::Attendee, Cell::Text("k1".into()))
        .with_status(Status::Registered)
}

fn attendees(count: usize) -> Vec<Row> {
    (0..count).map(|n| registered(&format!("k{n}"))).collect()
}

fn parts(seen: &Seen) -> Vec<Value> {
    seen.json()["compositeRequest"].as_array().unwrap().clone()
}

fn answered(parts: &[(u16, Value)]) -> Reply {
    let answers: Vec<Value> = parts
        .iter()
        .map(|(status, body)| json!({ "body": body, "httpStatusCode": status, "httpHeaders": {} }))
        .collect();
    Reply::json(&json!({ "compositeResponse": answers }))
}

/// An answer for each record of each part that says yes.
fn all_good(seen: &Seen) -> Reply {
    let good = json!({ "id": ATTENDEE, "success": true, "created": true, "errors": [] });
    let each = parts(seen).into_iter().map(|part| {
        let count = part["body"]["records"].as_array().unwrap().len();
        (200, Value::from(vec![good.clone(); count]))
    });
    answered(&each.collect::<Vec<_>>())
}

fn is_delivered(outcome: &Option<RowOutcome>) -> bool {
    matches!(outcome, Some(RowOutcome::Delivered { created: true, .. }))
}

#[tokio::test]
async fn attendees_go_before_their_sessions_in_parts_of_200_in_one_call() {
    let fake = Fake::start(all_good).await;
    let sent = fake.org().upsert_together(&attendees(201), &[seated("s1")]).await.unwrap();
    assert_eq!((sent.attendees.len(), sent.sessions.len()), (201, 1));
    assert!(sent.attendees.iter().chain(&sent.sessions).all(is_delivered), "{sent:?}");
    let calls = fake.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].path, "/services/data/v62.0/composite");
    let body = calls[0].json();
    assert_eq!((&body["allOrNone"], &body["collateSubrequests"]), (&json!(false), &json!(false)));
    let told: Vec<(String, usize)> = parts(&calls[0])
        .iter()
        .map(|part| {
            let object = part["url"].as_str().unwrap().rsplit('/').nth(1).unwrap().to_owned();
            (object, part["body"]["records"].as_array().unwrap().len())
        })
        .collect();
    let expected = [
        ("Sloe_Attendee__c".to_owned(), 200),
        ("Sloe_Attendee__c".to_owned(), 1),
        ("Sloe_Session_Attendee__c".to_owned(), 1),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_part_that_is_refused_leaves_its_rows_open_and_no_others() {
    let fake = Fake::start(|_: &Seen| {
        let refused = json!([{ "errorCode": "INVALID_FIELD", "message": "no" }]);
        let failed = json!({ "success": false, "errors": [
            { "statusCode": "UNABLE_TO_LOCK_ROW", "message": "locked", "fields": [] },
        ] });
        let good = json!({ "id": ATTENDEE, "success": true, "created": true, "errors": [] });
        answered(&[(200, json!([failed, good])), (400, refused)])
    })
    .await;
    let sent = fake.org().upsert_together(&attendees(2), &[seated("s1")]).await.unwrap();
    assert!(matches!(sent.attendees[0], Some(RowOutcome::Retry { .. })), "{sent:?}");
    assert!(is_delivered(&sent.attendees[1]), "{sent:?}");
    assert_eq!(sent.sessions, [None]);
}

#[tokio::test]
async fn a_call_that_one_row_may_have_spoiled_leaves_all_rows_open() {
    let fake = Fake::start(|_: &Seen| Reply::error(400, "JSON_PARSER_ERROR", "odd")).await;
    let sent = fake.org().upsert_together(&attendees(2), &[seated("s1")]).await.unwrap();
    assert_eq!((sent.attendees, sent.sessions), (vec![None, None], vec![None]));
    let fake = Fake::start(|_: &Seen| Reply::error(403, "REQUEST_LIMIT_EXCEEDED", "no")).await;
    let error = fake.org().upsert_together(&attendees(1), &[seated("s1")]).await.unwrap_err();
    assert!(matches!(&error, Error::Refused { code, .. } if code == "REQUEST_LIMIT_EXCEEDED"));
}

#[tokio::test]
async fn answers_that_do_not_fit_what_was_asked_are_no_outcomes() {
    let good = json!({ "id": ATTENDEE, "success": true, "created": true, "errors": [] });
    for answers in [
        vec![(200, json!([good]))],
        vec![(200, json!([good, good])), (200, json!([good]))],
        vec![(200, json!([])), (200, json!([good]))],
        vec![(200, json!({ "x": 1 })), (200, json!([good]))],
    ] {
        let told = answered(&answers).text();
        let fake = Fake::start(move |_: &Seen| answered(&answers)).await;
        let error = fake.org().upsert_together(&attendees(1), &[seated("s1")]).await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{told}: {error}");
    }
}

#[test]
fn five_parts_of_200_fit_one_call() {
    for (attendees, sessions, fits) in
        [(0, 0, true), (1, 800, true), (1, 801, false), (201, 600, true), (401, 401, false)]
    {
        assert_eq!(fits_one_call(attendees, sessions), fits, "{attendees} and {sessions}");
    }
}

#[tokio::test]
async fn rows_are_asked_for_by_their_keys_a_thousand_in_a_call_deleted_ones_too() {
    let fake = Fake::start(|seen: &Seen| {
        let each = parts(seen).into_iter().map(|part| {
            let url = part["url"].as_str().unwrap().to_owned();
            assert!(url.starts_with("/services/data/v62.0/queryAll?q="), "{url}");
            let record = json!({
                "Id": ATTENDEE, "Sloe_Id__c": "k0", "Sloe_Version__c": 3.0, "IsDeleted": true,
                "Registration_Status__c": "Cancelled", "Event__c": EVENT,
            });
            let found: &[Value] = if url.contains("%27k0%27") { &[record] } else { &[] };
            (200, json!({ "done": true, "totalSize": found.len(), "records": found }))
        });
        answered(&each.collect::<Vec<_>>())
    })
    .await;
    let keys: Vec<String> = (0..1_001).map(|n| format!("k{n}")).collect();
    let found = fake.org().rows_by_key(RowKind::Attendee, &keys).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].key.as_str(), found[0].version, found[0].deleted), ("k0", Some(3), true));
    assert_eq!(found[0].event, Some(id(EVENT)));
    let asked: Vec<usize> = fake.calls().iter().map(|call| parts(call).len()).collect();
    assert_eq!(asked, [5, 1]);
}

#[tokio::test]
async fn seats_taken_in_salesforce_are_summed_up_by_event_and_session_200_events_a_call() {
    let fake = Fake::start(|seen: &Seen| {
        assert_eq!(parts(seen).len(), 2, "who has given a seat back is not asked");
        let page = |records: Value| json!({ "done": true, "totalSize": 1, "records": records });
        let item =
            |item: &str, total: u32| json!({ "Event__c": EVENT, "Item__c": item, "total": total });
        let seats = json!([item("a01000000000001AAA", 4), item("a01000000000002AAA", 3)]);
        let sessions = json!([{ "Session__c": "a02000000000001AAA", "total": 2 }]);
        answered(&[(200, page(seats)), (200, page(sessions))])
    })
    .await;
    let events: Vec<_> = (0..201).map(|n| id(&format!("a00000000000{n:03}AAA"))).collect();
    let taken = fake.org().count_external(&events).await.unwrap();
    assert_eq!(taken.get(&id(EVENT)), Some(&7));
    assert_eq!(taken.get(&id("a02000000000001AAA")), Some(&2));
    assert_eq!(fake.calls().len(), 2);
}
