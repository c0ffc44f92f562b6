//! Rows by collections: what is sent, and what each answer comes to.

use serde_json::{Value, json};
use sloe_core::time::Timestamp;
use sloe_salesforce::{
    Advice, AttendeeDetails, Cell, Column, Figure, FigureRow, Row, RowKind, RowOutcome, Status,
    Update,
};

use crate::fake::{Fake, Reply, Seen, id};

const EVENT: &str = "a00000000000001AAA";
const ITEM: &str = "a01000000000001AAA";
const ATTENDEE: &str = "a03000000000001AAA";

pub(crate) fn registered(key: &str) -> Row {
    Row::new(key.into(), 7)
        .with(Column::Event, Cell::Id(id(EVENT)))
        .with(Column::Item, Cell::Id(id(ITEM)))
        .with_details(AttendeeDetails {
            first_name: "Żaneta".into(),
            last_name: "O'Neil".into(),
            email: "zaneta@example.com".into(),
        })
        .with_status(Status::Registered)
        .with(Column::OrderReference, Cell::Text("7K3M-9QXZ".into()))
        .with(Column::RegisteredAt, Cell::Time(Timestamp(1_700_000_000_000)))
}

fn delivered(n: usize) -> Value {
    json!({ "id": ATTENDEE, "success": true, "created": n.is_multiple_of(2), "errors": [] })
}

fn failed(code: &str, message: &str, fields: &[&str]) -> Value {
    let error = json!({ "statusCode": code, "message": message, "fields": fields });
    json!({ "success": false, "created": false, "errors": [error] })
}

fn answer_all(seen: &Seen) -> Reply {
    let rows = seen.json()["records"].as_array().unwrap().len();
    Reply::json(&(0..rows).map(delivered).collect())
}

/// What one row answered so comes to, when made and when updated.
async fn outcomes_of(answer: Value) -> [RowOutcome; 2] {
    let fake = Fake::start(move |_| Reply::json(&json!([answer]))).await;
    let org = fake.org();
    let update = Update { id: id(ATTENDEE), row: Row::new("k1".into(), 8) };
    let mut made = org.upsert(RowKind::Attendee, &[registered("k1")]).await;
    let mut changed = org.update(RowKind::Attendee, &[update]).await;
    assert!(made.halted.is_none() && changed.halted.is_none());
    [made.outcomes.remove(0), changed.outcomes.remove(0)]
}

#[tokio::test]
async fn an_attendee_goes_out_by_external_id_with_its_version() {
    let fake = Fake::start(answer_all).await;
    let sent = fake.org().upsert(RowKind::Attendee, &[registered("k1")]).await;
    let expected = RowOutcome::Delivered { id: id(ATTENDEE), created: true };
    assert_eq!(sent.outcomes, [expected]);
    let call = fake.calls().remove(0);
    assert_eq!(call.method, "PATCH");
    assert_eq!(call.path, "/services/data/v62.0/composite/sobjects/Sloe_Attendee__c/Sloe_Id__c");
    assert_eq!(
        call.json(),
        json!({ "allOrNone": false, "records": [{
            "attributes": { "type": "Sloe_Attendee__c" },
            "Sloe_Id__c": "k1",
            "Sloe_Version__c": 7,
            "Event__c": EVENT,
            "Item__c": ITEM,
            "First_Name__c": "Żaneta",
            "Last_Name__c": "O'Neil",
            "Email__c": "zaneta@example.com",
            "Registration_Status__c": "Registered",
            "Order_Reference__c": "7K3M-9QXZ",
            "Registered_At__c": "2023-11-14T22:13:20Z",
        }]})
    );
}

#[tokio::test]
async fn a_session_row_names_its_attendee_by_external_id() {
    let fake = Fake::start(answer_all).await;
    let row = Row::new("k1-s".into(), 7)
        .with(Column::Attendee, Cell::Text("k1".into()))
        .with(Column::Session, Cell::Id(id("a02000000000001AAA")));
    fake.org().upsert(RowKind::SessionAttendee, &[row]).await;
    let record = fake.calls().remove(0).json()["records"][0].clone();
    assert_eq!(record["Attendee__r"], json!({ "Sloe_Id__c": "k1" }));
    assert_eq!(record["Session__c"], "a02000000000001AAA");
    assert!(record.get("Attendee__c").is_none());
}

#[tokio::test]
async fn an_update_goes_by_id_and_says_only_what_changed() {
    let fake = Fake::start(answer_all).await;
    let row = Row::new("k1".into(), 9).with_status(Status::Cancelled);
    let sent = fake.org().update(RowKind::Attendee, &[Update { id: id(ATTENDEE), row }]).await;
    assert_eq!(sent.outcomes.len(), 1);
    let call = fake.calls().remove(0);
    assert_eq!(call.path, "/services/data/v62.0/composite/sobjects");
    assert_eq!(
        call.json()["records"],
        json!([{
            "attributes": { "type": "Sloe_Attendee__c" },
            "id": ATTENDEE,
            "Sloe_Version__c": 9,
            "Registration_Status__c": "Cancelled",
        }])
    );
}

#[tokio::test]
async fn four_hundred_and_one_rows_take_three_calls_in_their_order() {
    let fake = Fake::start(answer_all).await;
    let rows: Vec<Row> = (0..401).map(|n| registered(&format!("k{n}"))).collect();
    let sent = fake.org().upsert(RowKind::Attendee, &rows).await;
    assert_eq!(sent.outcomes.len(), 401);
    let calls = fake.calls();
    let sizes: Vec<usize> =
        calls.iter().map(|call| call.json()["records"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [200, 200, 1]);
    assert_eq!(calls[2].json()["records"][0]["Sloe_Id__c"], "k400");
}

#[tokio::test]
async fn rows_answered_before_a_refusal_keep_their_outcomes() {
    let fake = Fake::start(|seen| {
        if seen.json()["records"][0]["Sloe_Id__c"] == "k0" {
            return answer_all(seen);
        }
        let text = "ConcurrentRequests (Concurrent API Requests) Limit exceeded.";
        Reply::error(403, "REQUEST_LIMIT_EXCEEDED", text)
    })
    .await;
    let rows: Vec<Row> = (0..500).map(|n| registered(&format!("k{n}"))).collect();
    let sent = fake.org().upsert(RowKind::Attendee, &rows).await;
    assert_eq!(sent.outcomes.len(), 200);
    assert_eq!(sent.halted.map(|error| error.advice()), Some(Advice::Retry));
    assert_eq!(fake.calls().len(), 2);
}

#[tokio::test]
async fn some_rows_of_a_call_may_fail_alone() {
    let fake = Fake::start(|_| {
        Reply::json(&json!([
            delivered(1),
            failed("STRING_TOO_LONG", "First Name: data value too large: jane", &["First_Name__c"]),
            failed("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access", &[]),
        ]))
    })
    .await;
    let rows = ["k1", "k2", "k3"].map(registered);
    let sent = fake.org().upsert(RowKind::Attendee, &rows).await;
    let expected = RowOutcome::Delivered { id: id(ATTENDEE), created: false };
    assert_eq!(sent.outcomes[0], expected);
    let RowOutcome::Rejected(why) = &sent.outcomes[1] else { panic!("{:?}", sent.outcomes) };
    assert_eq!(
        (why.code.as_str(), why.fields.as_slice()),
        ("STRING_TOO_LONG", &["First_Name__c".to_owned()][..])
    );
    assert!(!format!("{why:?}").contains("jane"));
    assert_eq!(sent.outcomes[2], RowOutcome::Retry { code: "UNABLE_TO_LOCK_ROW".into() });
}

#[tokio::test]
async fn a_newer_version_in_the_org_counts_as_delivered_but_other_rules_reject() {
    let code = "FIELD_CUSTOM_VALIDATION_EXCEPTION";
    let stale = outcomes_of(failed(code, "This record is newer.", &["Sloe_Version__c"])).await;
    assert_eq!(stale, [RowOutcome::Stale, RowOutcome::Stale]);
    for outcome in outcomes_of(failed(code, "Company e-mails only.", &["Email__c"])).await {
        assert!(matches!(outcome, RowOutcome::Rejected(why) if why.code == code));
    }
}

#[tokio::test]
async fn a_record_deleted_in_the_org_is_told_apart_from_a_lookup_that_is_gone() {
    let [made, changed] = outcomes_of(failed("ENTITY_IS_DELETED", "entity is deleted", &[])).await;
    assert!(matches!(made, RowOutcome::Rejected(_)), "{made:?}");
    assert_eq!(changed, RowOutcome::Deleted);
    let code = "INVALID_CROSS_REFERENCE_KEY";
    let [_, changed] = outcomes_of(failed(code, "invalid cross reference id", &[])).await;
    assert_eq!(changed, RowOutcome::Deleted);
    let [_, changed] = outcomes_of(failed(code, "invalid cross reference id", &["Item__c"])).await;
    assert!(matches!(changed, RowOutcome::Rejected(_)), "{changed:?}");
}

#[tokio::test]
async fn what_only_needs_time_is_retried() {
    for (code, message) in [
        (
            "INVALID_FIELD",
            "Foreign key external ID: k1 not found for field Sloe_Id__c in entity Sloe_Attendee__c",
        ),
        (
            "DUPLICATE_VALUE",
            "duplicate value found: Sloe_Id__c duplicates value on record with id: a03",
        ),
        (
            "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
            "T: execution of AfterUpdate caused by: UNABLE_TO_LOCK_ROW",
        ),
        ("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded"),
    ] {
        for outcome in outcomes_of(failed(code, message, &[])).await {
            assert_eq!(outcome, RowOutcome::Retry { code: code.into() });
        }
    }
    for (code, message) in [
        ("INVALID_FIELD", "No such column 'X' on entity 'Sloe_Attendee__c'."),
        (
            "DUPLICATE_VALUE",
            "duplicate value found: Badge__c duplicates value on record with id: a03",
        ),
        ("SOMETHING_NEW", "never heard of"),
    ] {
        for outcome in outcomes_of(failed(code, message, &[])).await {
            assert!(matches!(outcome, RowOutcome::Rejected(why) if why.code == code));
        }
    }
}

#[tokio::test]
async fn what_is_no_code_is_not_repeated_as_one() {
    for outcome in outcomes_of(failed("Żaneta O'Neil is taken", "see above", &[])).await {
        let RowOutcome::Rejected(why) = outcome else { panic!("{outcome:?}") };
        assert_eq!(why.code, "unreadable");
    }
    let fake = Fake::start(|_| Reply::error(400, "Żaneta O'Neil is taken", "")).await;
    let error = fake.org().limits().await.unwrap_err();
    assert_eq!(error.code(), Some("unreadable"));
}

#[tokio::test]
async fn a_refusal_without_reason_and_a_success_without_id_are_asked_again() {
    for answer in [
        json!({ "success": false }),
        json!({ "success": true }),
        json!({ "success": true, "id": "?" }),
    ] {
        for outcome in outcomes_of(answer.clone()).await {
            assert!(matches!(outcome, RowOutcome::Retry { .. }), "{answer}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_with_too_few_outcomes_is_not_guessed_at() {
    let fake = Fake::start(|_| Reply::json(&json!([delivered(0)]))).await;
    let sent = fake.org().upsert(RowKind::Attendee, &["k1", "k2"].map(registered)).await;
    assert!(sent.outcomes.is_empty());
    assert_eq!(sent.halted.map(|error| error.advice()), Some(Advice::Retry));
}

#[tokio::test]
async fn figures_of_all_kinds_go_in_one_call_type_by_type() {
    let fake = Fake::start(answer_all).await;
    let figure =
        |of, text: &str, remaining| FigureRow { of, id: id(text), sold: 3, held: 1, remaining };
    let mut rows = [
        figure(Figure::Session, "a02000000000001AAA", Some(0)),
        figure(Figure::Event, EVENT, None),
        figure(Figure::Session, "a02000000000002AAA", Some(5)),
        figure(Figure::Item, ITEM, Some(9)),
    ];
    let sent = fake.org().update_figures(&mut rows).await;
    assert_eq!(sent.outcomes.len(), 4);
    let calls = fake.calls();
    assert_eq!(calls.len(), 1);
    let records = calls[0].json()["records"].clone();
    let types: Vec<_> =
        records.as_array().unwrap().iter().map(|r| r["attributes"]["type"].clone()).collect();
    let session = "Sloe_Session__c";
    assert_eq!(types, ["Sloe_Event__c", "Sloe_Item__c", session, session]);
    assert_eq!(
        records[0],
        json!({
            "attributes": { "type": "Sloe_Event__c" }, "id": EVENT,
            "Sold__c": 3, "Held__c": 1, "Remaining__c": null,
        })
    );
    assert_eq!(rows[0].of, Figure::Event);
}

#[tokio::test]
async fn no_rows_make_no_call() {
    let fake = Fake::start(answer_all).await;
    let sent = fake.org().upsert(RowKind::Attendee, &[]).await;
    assert!(sent.outcomes.is_empty() && sent.halted.is_none());
    assert!(fake.calls().is_empty());
}
