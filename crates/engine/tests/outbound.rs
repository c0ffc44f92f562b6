//! Rows on their way to an org over connections that break, among rows that
//! don't fit, and beside orgs that are slow: each arrives once, as it was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::org::{Org, hasty, until};
use common::{person, place, start};
use serde_json::{Value as Json, json};
use sloe_engine::claims::RequestId;
use sloe_engine::engine::Engine;
use sloe_engine::worker::Settings;
use sloe_salesforce::{
    Adopted, AttendeeDetails, Cell, Column, Operation, Row, RowKind, RowOutcome, Rows, Status,
};
use sloe_store::api::Store;
use sloe_store::key::{Collection, Range};

async fn register(engine: &Engine, org: &Org, numbers: std::ops::Range<usize>) {
    let mut running = tokio::task::JoinSet::new();
    for n in numbers {
        let people = [person(engine, org.event(), n)];
        let (engine, event) = (engine.clone(), org.event().public_id());
        running.spawn(async move {
            engine.register(event, &RequestId::Fresh, &people).await.unwrap();
        });
    }
    running.join_all().await;
}

/// Everybody is there once, with two places in sessions each.
async fn all_there(org: &Org, count: usize) {
    let attendees = org.attendees().await;
    let keys: BTreeSet<_> = attendees.iter().map(|a| a["Sloe_Id__c"].to_string()).collect();
    assert_eq!((attendees.len(), keys.len()), (count, count));
    let places = org.records("SELECT Sloe_Id__c FROM Sloe_Session_Attendee__c").await;
    let keys: BTreeSet<_> = places.iter().map(|a| a["Sloe_Id__c"].to_string()).collect();
    assert_eq!((places.len(), keys.len()), (count * 2, count * 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_whose_answers_are_lost_or_cut_or_never_come_double_nothing() {
    let (org, place) = (Org::start().await, place());
    let mut settings = hasty(usize::MAX);
    settings.salesforce.deadline = Duration::from_millis(400);
    let engine = start(&place, Some(settings));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    for (n, fault) in [
        json!({ "cut_after_rate": 1, "times": 2 }),
        json!({ "cut_within_rate": 1, "times": 2 }),
        json!({ "cut_before_rate": 1, "times": 2 }),
        json!({ "stall": true, "times": 1 }),
        json!({ "error_rate": 1, "error_status": 503, "times": 2 }),
    ]
    .into_iter()
    .enumerate()
    {
        let mut fault: Json = fault;
        // Attendees and their sessions go in one composite call, figures by collections.
        fault["kinds"] = json!(["collections", "composite"]);
        org.faults(fault).await;
        register(&engine, &org, n * 20..(n + 1) * 20).await;
        org.drained(&engine).await;
        org.faults(json!({})).await;
        all_there(&org, (n + 1) * 20).await;
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_job_whose_every_step_is_lost_once_doubles_nothing() {
    let (org, place) = (Org::start().await, place());
    let mut settings = hasty(10);
    settings.salesforce.deadline = Duration::from_secs(2);
    let engine = start(&place, Some(settings));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    let jobs = "/services/data/*/jobs/ingest";
    let steps = [
        // Made, and Sloe doesn't know its id.
        (json!({ "methods": ["POST"], "path": jobs }), "cut_after_rate"),
        // Uploaded, and Sloe doesn't know.
        (json!({ "methods": ["PUT"], "path": format!("{jobs}/*/batches") }), "cut_after_rate"),
        // Begun, and Sloe doesn't know.
        (json!({ "methods": ["PATCH"], "path": format!("{jobs}/*") }), "cut_after_rate"),
        (
            json!({ "methods": ["GET"], "path": format!("{jobs}/*/successfulResults") }),
            "cut_within_rate",
        ),
        (
            json!({ "methods": ["GET"], "path": format!("{jobs}/*/failedResults") }),
            "cut_after_rate",
        ),
    ];
    for (n, (step, end)) in steps.into_iter().enumerate() {
        let mut fault: Json = step;
        fault[end] = json!(1);
        fault["times"] = json!(1);
        org.faults(fault).await;
        register(&engine, &org, n * 20..(n + 1) * 20).await;
        org.drained(&engine).await;
        all_there(&org, (n + 1) * 20).await;
    }
    assert!(place.store.scan(Range::All(Collection::Sends), None, 9).unwrap().is_empty());
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cheapest_way_is_taken_and_nothing_is_looked_up() {
    let (org, place) = (Org::start().await, place());
    let settings = Settings { figures_every: Duration::from_secs(600), ..hasty(500) };
    let engine = start(&place, Some(settings));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    register(&engine, &org, 0..1).await;
    org.drained(&engine).await;
    until("the figures are told", async || org.calls("collections").await > 0).await;
    let queries = org.calls("query").await;
    let before = (org.calls("collections").await, org.composites().await);
    // What gathers while the org is away goes in as few calls as it can, in its newest state.
    org.faults(json!({ "outage": true })).await;
    register(&engine, &org, 1..201).await;
    let people = [person(&engine, org.event(), 201)];
    let event = org.event().public_id();
    let order = engine.register(event, &RequestId::Fresh, &people).await.unwrap();
    engine.cancel(&order.token, None).await.unwrap();
    org.tried_in_vain(&engine).await;
    org.faults(json!({})).await;
    org.drained(&engine).await;
    assert_eq!(org.calls("query").await, queries, "an id was looked up");
    // 201 attendees are two collections of 200 at most, their 402 places three: all in one call.
    // The bulk way is for more.
    let spent = (org.calls("collections").await - before.0, org.composites().await - before.1);
    assert_eq!(spent, (0, 1));
    assert_eq!(org.calls("bulk_ingest").await, 0);
    all_there(&org, 202).await;
    let attendees = org.attendees().await;
    let cancelled = attendees.iter().filter(|a| a["Registration_Status__c"] == "Cancelled").count();
    assert_eq!(cancelled, 1);
    org.faults(json!({ "outage": true })).await;
    register(&engine, &org, 202..752).await;
    org.tried_in_vain(&engine).await;
    org.faults(json!({})).await;
    let before = org.calls("collections").await;
    org.drained(&engine).await;
    all_there(&org, 752).await;
    let jobs = org.jobs().await.len();
    assert_eq!((jobs, org.calls("collections").await - before), (2, 0), "one job per object");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_org_that_does_not_answer_delays_no_other() {
    let place = place();
    let (slow, other) = (Org::start().await, Org::other().await);
    let engine = start(&place, Some(hasty(2_000)));
    slow.connect(&engine, &*place.store);
    other.connect_as(&engine, &*place.store, "other");
    slow.shown(&engine).await;
    other.shown(&engine).await;
    slow.faults(json!({ "stall": true, "kinds": ["collections", "composite"] })).await;
    register(&engine, &slow, 0..10).await;
    // Figures may be on their way, too: rows wait for them.
    until("a call to the slow org stalls", async || slow.hits().await > 0).await;
    for n in 0..5 {
        register(&engine, &other, n * 10..(n + 1) * 10).await;
        other.drained(&engine).await;
    }
    all_there(&other, 50).await;
    assert!(!engine.sync_state(slow.id()).await.unwrap().is_drained());
    slow.faults(json!({})).await;
    slow.drained(&engine).await;
    all_there(&slow, 10).await;
    engine.stop().await;
}

/// Texts that JSON, CSV or a spreadsheet might stumble over.
const ODD: [&str; 10] = [
    "O\"Neil, \"\"Ann\"\"",
    "two\nlines, \"quoted\"\r\nand three",
    "שלום, עולם",
    "👩‍👩‍👧‍👦 🎉 é",
    "#N/A",
    "=HYPERLINK(\"x\")",
    "a\u{202e}b",
    "semi;colon\tand tab",
    "'single' \\ back\\\\slash",
    "--",
];

fn odd_rows(org: &Org, prefix: &str) -> Vec<Row> {
    let row = |(n, text): (usize, &&str)| {
        Row::new(format!("{prefix}{n}"), 1)
            .with(Column::Event, Cell::Id(org.event().event))
            .with_details(AttendeeDetails {
                first_name: (*text).to_owned(),
                last_name: format!("x{text}x"),
                email: "odd@example.org".to_owned(),
            })
            .with(Column::OrderReference, Cell::Text("7K3M".to_owned()))
            .with_status(Status::Registered)
    };
    ODD.iter().enumerate().map(row).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_texts_arrive_as_they_were_by_either_way() {
    let org = Org::start().await;
    let client = org.client();
    let sent = client.upsert(RowKind::Attendee, &odd_rows(&org, "c")).await;
    assert!(sent.halted.is_none(), "{:?}", sent.halted);
    let fit: Vec<_> = odd_rows(&org, "b").into_iter().filter(Row::fits_a_file).collect();
    assert_eq!(fit.len(), ODD.len() - 1, "only one text means something else in a file");
    let job = client.bulk_open(RowKind::Attendee, Operation::Upsert).await.unwrap();
    let outcomes = client.bulk_run(&job, Rows::Upsert(&fit)).await.unwrap();
    for outcome in sent.outcomes.iter().chain(&outcomes) {
        assert!(matches!(outcome, RowOutcome::Delivered { created: true, .. }), "{outcome:?}");
    }
    let soql = "SELECT Sloe_Id__c, First_Name__c, Last_Name__c FROM Sloe_Attendee__c";
    let found = org.records(soql).await;
    assert_eq!(found.len(), ODD.len() * 2 - 1);
    for record in found {
        let n: usize = record["Sloe_Id__c"].as_str().unwrap()[1..].parse().unwrap();
        let texts = (record["First_Name__c"].as_str(), record["Last_Name__c"].as_str());
        let last = format!("x{}x", ODD[n]);
        assert_eq!(texts, (Some(ODD[n]), Some(last.as_str())));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_too_long_or_an_unknown_choice_is_refused_by_name_and_its_neighbors_pass() {
    let org = Org::start().await;
    let client = org.client();
    let rows = |prefix: &str| {
        let mut rows = odd_rows(&org, prefix);
        let long = AttendeeDetails {
            first_name: "Ann".to_owned(),
            last_name: "🎉".repeat(200),
            email: "ann@example.org".to_owned(),
        };
        rows.push(Row::new(format!("{prefix}-long"), 1).with_details(long));
        let odd = Cell::Text("Perhaps".to_owned());
        rows.push(Row::new(format!("{prefix}-odd"), 1).with(Column::Status, odd));
        rows.retain(Row::fits_a_file);
        rows
    };
    let by_collections = client.upsert(RowKind::Attendee, &rows("c")).await.outcomes;
    let job = client.bulk_open(RowKind::Attendee, Operation::Upsert).await.unwrap();
    let by_bulk = client.bulk_run(&job, Rows::Upsert(&rows("b"))).await.unwrap();
    for outcomes in [by_collections, by_bulk] {
        let (bad, good) = (&outcomes[outcomes.len() - 2..], &outcomes[..outcomes.len() - 2]);
        assert!(good.iter().all(|o| matches!(o, RowOutcome::Delivered { .. })), "{good:?}");
        let [RowOutcome::Rejected(long), RowOutcome::Rejected(odd)] = bad else {
            panic!("{bad:?}")
        };
        assert_eq!(
            (long.code.as_str(), long.fields.as_slice()),
            ("STRING_TOO_LONG", ["Last_Name__c".to_owned()].as_slice())
        );
        assert_eq!(odd.code, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST");
        assert_eq!(odd.fields, ["Registration_Status__c"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_failed_as_a_whole_is_not_adopted_for_ever() {
    let org = Org::start().await;
    let client = org.client();
    let mut mapping = client.mapping().clone();
    mapping.attendee.constants.insert("Misspelled__c".to_owned(), json!("x"));
    let misled = client.with_mapping(mapping).unwrap();
    let mut rows = odd_rows(&org, "b");
    rows.retain(Row::fits_a_file);
    let job = misled.bulk_open(RowKind::Attendee, Operation::Upsert).await.unwrap();
    let failed = misled.bulk_run(&job, Rows::Upsert(&rows)).await.unwrap_err();
    assert_eq!(failed.code(), Some("InvalidBatch"), "{failed}");
    let adopted = client.bulk_adopt(&job, Rows::Upsert(&rows)).await.unwrap();
    assert!(matches!(adopted, Adopted::Void), "{adopted:?}");
    let job = client.bulk_open(RowKind::Attendee, Operation::Upsert).await.unwrap();
    let outcomes = client.bulk_run(&job, Rows::Upsert(&rows)).await.unwrap();
    let delivered = |outcome: &RowOutcome| matches!(outcome, RowOutcome::Delivered { .. });
    assert!(outcomes.iter().all(delivered), "{outcomes:?}");
}
