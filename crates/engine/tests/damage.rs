//! Documents that can't be read any more: what they are about waits or is found
//! out anew, and nothing else stands still.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::org::{Org, hasty, until};
use common::{Place, connect, org_id, person, place, start};
use serde_json::json;
use sloe_engine::claims::{Confirmed, RequestId};
use sloe_engine::engine::Engine;
use sloe_engine::sync::{LetterFilter, Which};
use sloe_engine::tenant::OrgError;
use sloe_salesforce::{Credentials, Flow};
use sloe_store::api::{Store, Write};
use sloe_store::key::{Collection, Key, Range};
use sloe_store::scope::OrgScope;

/// Overwrites a document, in its version, with what nobody can read.
fn spoil(place: &Place, key: &Key) {
    let version = place.store.get(key).unwrap().map_or(1, |found| found.version);
    let write = |version, body| Write { key: key.clone(), version, body };
    place.store.put(&[write(version + 1, None)]).unwrap();
    place.store.put(&[write(version, Some(b"{".to_vec()))]).unwrap();
}

fn scope(place: &Place, org: &Org) -> OrgScope {
    place.store.open_org(org.id()).unwrap().unwrap()
}

async fn register(engine: &Engine, org: &Org, numbers: std::ops::Range<usize>) {
    for n in numbers {
        let mut people = [person(engine, org.event(), n)];
        people[0].0.sessions.clear();
        let event = org.event().public_id();
        engine.register(event, &RequestId::Fresh, &people).await.unwrap();
    }
}

/// An org that has one attendee of ours, without sessions.
async fn one_in_the_org(place: &Place) -> (Org, Engine, Confirmed) {
    let org = Org::start().await;
    let engine = start(place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    let mut people = [person(&engine, org.event(), 1)];
    people[0].0.sessions.clear();
    let event = org.event().public_id();
    let order = engine.register(event, &RequestId::Fresh, &people).await.unwrap();
    org.drained(&engine).await;
    (org, engine, order)
}

#[test]
fn rows_of_which_the_notes_are_damaged_are_looked_for_and_none_is_revived_or_lost() {
    const ROWS: usize = 30;
    let outside = tokio::runtime::Runtime::new().unwrap();
    let org = outside.block_on(Org::start());
    let place = place();
    for note in ["bulk", "rows"] {
        let bulk_from = if note == "bulk" { 20 } else { usize::MAX };
        let before = outside.block_on(org.attendees()).len();
        let inside = tokio::runtime::Runtime::new().unwrap();
        inside.block_on(async {
            let engine = start(&place, Some(hasty(bulk_from)));
            if note == "bulk" {
                org.connect(&engine, &*place.store);
            }
            org.shown(&engine).await;
            org.drained(&engine).await;
            org.faults(json!({ "outage": true })).await;
            register(&engine, &org, before..before + ROWS).await;
            org.tried_in_vain(&engine).await;
            // They are made, and nobody says so.
            let silent = json!([
                { "stall": true, "path": "/services/data/*/jobs/ingest/*", "methods": ["GET"] },
                { "stall_within_rate": 1, "kinds": ["collections"] },
            ]);
            org.faults(silent).await;
            until("the org made them", async || org.attendees().await.len() == before + ROWS).await;
        });
        inside.shutdown_timeout(std::time::Duration::from_secs(5));
        outside.block_on(async {
            spoil(&place, &Key::send(scope(&place, &org), note));
            let rows = org.attendees().await;
            let newest = rows.iter().map(|row| row["Id"].as_str().unwrap()).max().unwrap();
            org.delete("Sloe_Attendee__c", newest).await;
            org.faults(json!({})).await;
            let engine = start(&place, Some(hasty(bulk_from)));
            org.shown(&engine).await;
            org.drained(&engine).await;
            assert_eq!(org.attendees().await.len(), before + ROWS - 1, "{note}: it was revived");
            engine.stop().await;
        });
    }
    let sends = place.store.scan(Range::All(Collection::Sends), None, 9).unwrap();
    assert!(sends.is_empty(), "{sends:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_of_which_nobody_can_read_what_the_org_has_goes_on_by_its_id() {
    let place = place();
    let (org, engine, order) = one_in_the_org(&place).await;
    engine.stop().await;
    drop(engine);
    let id = org.attendees().await[0]["Id"].clone();
    let key = org.attendees().await[0]["Sloe_Id__c"].as_str().unwrap().to_owned();
    spoil(&place, &Key::delivered(scope(&place, &org), &key));
    let engine = start(&place, Some(hasty(2_000)));
    engine.cancel(&order.token, None).await.unwrap();
    org.drained(&engine).await;
    let rows = org.attendees().await;
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0]["Id"], &rows[0]["Registration_Status__c"]), (&id, &json!("Cancelled")));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn details_that_can_t_be_opened_are_a_letter_and_not_sent_as_none() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    org.faults(json!({ "outage": true })).await;
    register(&engine, &org, 0..3).await;
    org.tried_in_vain(&engine).await;
    let file = rusqlite::Connection::open(place.directory.path().join("sloe.db")).unwrap();
    let spoiled = "UPDATE vault SET body = x'00112233445566778899aabbccddeeff0011223344556677' \
                   WHERE claim = (SELECT max(claim) FROM vault)";
    assert_eq!(file.execute(spoiled, []).unwrap(), 1);
    org.faults(json!({})).await;
    org.drained(&engine).await;
    assert_eq!(org.attendees().await.len(), 2);
    let page = engine.letters(org.id(), &LetterFilter::default(), None, 10).await.unwrap();
    let codes: Vec<_> = page.letters.iter().map(|letter| letter.code.as_str()).collect();
    assert_eq!(codes, ["details-unreadable"]);
    let fault = async || engine.sync_state(org.id()).await.unwrap().fault;
    until("nothing else stands still", async || fault().await.is_none()).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accepted_conflict_of_which_nobody_can_read_what_the_org_has_holds_up_no_other_row() {
    let place = place();
    let (org, engine, order) = one_in_the_org(&place).await;
    let row = org.attendees().await.remove(0);
    org.delete("Sloe_Attendee__c", row["Id"].as_str().unwrap()).await;
    engine.cancel(&order.token, None).await.unwrap();
    org.drained(&engine).await;
    let rule = json!({
        "row_errors": { "FIELD_CUSTOM_VALIDATION_EXCEPTION": 1.0 }, "objects": ["Sloe_Attendee__c"],
    });
    org.faults(rule).await;
    register(&engine, &org, 2..3).await;
    org.drained(&engine).await;
    org.faults(json!({})).await;
    let state = engine.sync_state(org.id()).await.unwrap();
    assert_eq!((state.conflicts, state.dead_letters), (1, 1), "{state:?}");
    let key = row["Sloe_Id__c"].as_str().unwrap().to_owned();
    spoil(&place, &Key::delivered(scope(&place, &org), &key));
    engine.accept_conflicts(org.id(), Which::Rows(vec![key])).await.unwrap();
    engine.replay(org.id(), Which::All(LetterFilter::default())).await.unwrap();
    until("the other one has arrived", async || org.attendees().await.len() == 1).await;
    engine.stop().await;
}

#[tokio::test]
async fn an_org_whose_document_is_damaged_keeps_no_other_from_being_served() {
    let place = place();
    let engine = start(&place, None);
    let (good, bad) = (org_id(1), org_id(2));
    connect(&engine, &*place.store, good, "acme", "http://127.0.0.1:9");
    connect(&engine, &*place.store, bad, "brass", "http://127.0.0.1:9");
    let profile = engine.registry().by_id(bad).unwrap().profile.clone();
    engine.stop().await;
    drop(engine);
    spoil(&place, &Key::org(bad));
    let engine = start(&place, None);
    assert!(engine.registry().by_id(good).is_some() && engine.registry().by_id(bad).is_none());
    let lines = format!("{:?}", engine.examine_platform().await);
    assert!(lines.contains("is not served") && lines.contains("backup"), "{lines}");
    // Connected anew it would have a new key, which opens nothing that is stored of it.
    let flow =
        Flow::ClientCredentials { client_id: "sloe".into(), client_secret: "x".to_owned().into() };
    let connection = Credentials { login_url: "http://127.0.0.1:9".into(), flow };
    let again = engine.registry().connect(&*place.store, bad, profile, connection);
    assert!(matches!(again, Err(OrgError::Damaged(_))));
    engine.stop().await;
}
