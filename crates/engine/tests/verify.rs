//! What changes in an org behind Sloe's back is found, put right or shown, and
//! written down.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::compare::{
    EXPECTED, begin, begin_with, clean, found, id, key, letters, record, settled, verify,
};
use common::org::{Org, hasty, status, until};
use common::{Place, person, place, start};
use serde_json::json;
use sloe_core::ids::{EventRef, SfId};
use sloe_engine::claims::RequestId;
use sloe_engine::sync::{LetterFilter, Which};
use sloe_engine::verify::Verified;
use sloe_engine::worker;
use sloe_salesforce::RowKind;
use sloe_store::api::{Store, Write};
use sloe_store::key::Key;

/// Changes what Sloe has noted of a record, as a disk or a backup might.
fn tamper(place: &Place, org: &Org, key: &str, change: impl Fn(Option<u64>) -> Option<u64>) {
    let scope = place.store.open_org(org.id()).unwrap().unwrap();
    let key = Key::delivered(scope, key);
    let found = place.store.get(&key).unwrap().unwrap();
    let away = Write { key: key.clone(), version: u64::MAX >> 1, body: None };
    let again = change(Some(found.version));
    let again = again.map(|version| Write { key, version, body: Some(found.body) });
    place.store.put(&[Some(away), again].into_iter().flatten().collect::<Vec<_>>()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_org_that_holds_what_it_was_sent_costs_one_call_and_is_clean() {
    let place = place();
    let (org, engine, _) = begin(&place, 20).await;
    assert_eq!(engine.last_verify(org.id()).await.unwrap(), None);
    let before = org.limits(json!({})).await["used"].as_u64().unwrap();
    let verified = verify(&org, &engine).await;
    assert!(verified.is_clean(), "{verified:?}");
    assert_eq!((verified.events, verified.rows, verified.one_by_one), (1, 60, 0));
    assert_eq!(org.limits(json!({})).await["used"].as_u64().unwrap(), before + 1);
    engine.stop().await;
    // It is remembered.
    let engine = start(&place, None);
    assert_eq!(engine.last_verify(org.id()).await.unwrap(), Some(verified));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attendees_cancelled_or_deleted_behind_sloe_s_back_free_their_seats() {
    let place = place();
    let (org, engine, orders) = begin(&place, 4).await;
    let cancelled = record(&org, &key(&engine, &orders[0]).await).await;
    org.change("Sloe_Attendee__c", id(&cancelled), status("Cancelled")).await;
    let deleted = record(&org, &key(&engine, &orders[1]).await).await;
    org.delete("Sloe_Attendee__c", id(&deleted)).await;
    let verified = verify(&org, &engine).await;
    let wanted = BTreeMap::from([("cancelled", (1, 1)), ("deleted", (1, 1))]);
    assert_eq!(found(&verified), wanted, "{verified:?}");
    assert!(!verified.is_clean());
    assert_eq!(engine.availability(org.event()).await.unwrap().left, Some(998));
    clean(&org, &engine).await;
    assert_eq!(org.attendees().await.len(), 3, "nothing comes back");
    // Counts are as they were when all was well: no row is looked at again.
    assert_eq!(clean(&org, &engine).await.one_by_one, 0);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_attendee_deleted_in_the_org_is_left_out_without_a_word() {
    let place = place();
    let (org, engine, orders) = begin(&place, 2).await;
    engine.cancel(&orders[0].token, None).await.unwrap();
    settled(&org, &engine).await;
    let gone = record(&org, &key(&engine, &orders[0]).await).await;
    org.delete("Sloe_Attendee__c", id(&gone)).await;
    let verified = verify(&org, &engine).await;
    let found = found(&verified);
    assert_eq!(
        found.get("deleted").map(|(found, mended)| found == mended),
        Some(true),
        "{found:?}"
    );
    until("it is not found again", async || verify(&org, &engine).await.is_clean()).await;
    assert_eq!(letters(&engine, &org).await.len(), 0);
    assert_eq!(engine.availability(org.event()).await.unwrap().left, Some(999));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_more_rows_than_memory_takes_is_compared_in_parts() {
    let place = place();
    // Orders are looked at 250 at a time.
    let settings = worker::Settings { compared_at_once: Some(1), ..hasty(2_000) };
    let (org, engine, orders) = begin_with(&place, settings, 260).await;
    let cancelled = record(&org, &key(&engine, &orders[0]).await).await;
    org.change("Sloe_Attendee__c", id(&cancelled), status("Cancelled")).await;
    let changed = record(&org, &key(&engine, &orders[259]).await).await;
    let newer = json!({ "Sloe_Version__c": 100_000 });
    org.change("Sloe_Attendee__c", id(&changed), newer).await;
    let lost = key(&engine, &orders[130]).await;
    let renamed = record(&org, &lost).await;
    org.change("Sloe_Attendee__c", id(&renamed), json!({ "Sloe_Id__c": "somebody-else-s" })).await;
    tamper(&place, &org, &lost, |_| None);
    let verified = verify(&org, &engine).await;
    let wanted = BTreeMap::from([
        ("cancelled", (1, 1)),
        ("changed", (1, 0)),
        ("missing", (1, 1)),
        ("surplus", (1, 0)),
    ]);
    assert_eq!(found(&verified), wanted, "{verified:?}");
    assert_eq!((verified.one_by_one, verified.surplus), (260, vec!["somebody-else-s".to_owned()]));
    org.change("Sloe_Attendee__c", id(&renamed), json!({ "Sloe_Id__c": null })).await;
    until("a letter says so", async || letters(&engine, &org).await.len() == 1).await;
    let all = Which::All(LetterFilter::default());
    engine.accept_conflicts(org.id(), all).await.unwrap();
    until("it is accepted", async || verify(&org, &engine).await.is_clean()).await;
    assert_eq!(verify(&org, &engine).await.one_by_one, 0, "all parts were noted");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_differs_in_an_event_long_over_or_without_orders_is_not_forgotten() {
    let place = place();
    let every = Duration::from_millis(100);
    let settings = worker::Settings { verify_every: every, ..hasty(2_000) };
    let (org, engine, _) = begin_with(&place, settings, 1).await;
    let over = json!({
        "Starts_At__c": "2020-05-01T09:00:00.000+0000", "Ends_At__c": "2020-05-01T17:00:00.000+0000",
    });
    org.change("Sloe_Event__c", org.event().event.as_str(), over.clone()).await;
    let mut fields = over;
    fields["Name"] = "Without Orders".into();
    fields["Published__c"] = true.into();
    fields["Time_Zone__c"] = "UTC".into();
    let other = org.create("Sloe_Event__c", fields).await;
    engine.request_refresh(org.id(), None);
    let events = [org.event(), EventRef { event: SfId::parse(&other).unwrap(), ..org.event() }];
    until("both are over", async || {
        let over = |event: &EventRef| {
            let shown = engine.event(event.public_id()).ok();
            shown.is_some_and(|(_, snapshot)| snapshot.ends_at < engine.now())
        };
        events.iter().all(over)
    })
    .await;
    for event in events {
        let fields = json!({
            "Event__c": event.event.as_str(), "Sloe_Id__c": format!("made-up-{}", event.event),
            "First_Name__c": "A", "Last_Name__c": "B", "Email__c": "a@example.org",
            "Registration_Status__c": "Registered", "Sloe_Version__c": 1,
        });
        org.create("Sloe_Attendee__c", fields).await;
    }
    verify(&org, &engine).await;
    let began = engine.last_verify(org.id()).await.unwrap().expect(EXPECTED).began;
    // Nobody asks for these.
    until("it is compared three times more", async || {
        let all = engine.verifies(org.id(), 100).await.unwrap();
        all.iter().filter(|verified| verified.began > began).count() >= 3
    })
    .await;
    let all = engine.verifies(org.id(), 100).await.unwrap();
    for verified in all.iter().filter(|verified| verified.began >= began) {
        assert_eq!(found(verified), BTreeMap::from([("surplus", (2, 0))]), "{verified:?}");
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_lost_or_older_than_sent_go_again() {
    let place = place();
    let (org, engine, orders) = begin(&place, 4).await;
    // Sloe has sent a later state than the org holds.
    let stale = key(&engine, &orders[0]).await;
    tamper(&place, &org, &stale, |version| version.map(|version| version + 100));
    // Sloe doesn't know whether it arrived, and it didn't.
    let lost = key(&engine, &orders[1]).await;
    let renamed = record(&org, &lost).await;
    org.change("Sloe_Attendee__c", id(&renamed), json!({ "Sloe_Id__c": "somebody-else-s" })).await;
    tamper(&place, &org, &lost, |_| None);
    let verified = verify(&org, &engine).await;
    let wanted = BTreeMap::from([("missing", (1, 1)), ("stale", (1, 1)), ("surplus", (1, 0))]);
    assert_eq!(found(&verified), wanted, "{verified:?}");
    assert_eq!(verified.surplus, ["somebody-else-s"]);
    until("both are there", async || {
        let all = org.attendees().await;
        let of = |key: &str| all.iter().find(|record| record["Sloe_Id__c"] == key);
        let version = of(&stale).and_then(|record| record["Sloe_Version__c"].as_f64());
        of(&lost).is_some() && version > Some(100.0)
    })
    .await;
    let no_more = json!({ "Sloe_Id__c": null });
    org.change("Sloe_Attendee__c", id(&renamed), no_more).await;
    clean(&org, &engine).await;
    assert_eq!(org.attendees().await.len(), 5);
    let remembered = engine.verifies(org.id(), 10).await.unwrap();
    assert_eq!(remembered.iter().map(Verified::found).collect::<Vec<_>>(), [0, 3]);
    // It went again and is older all the same: once more would be for ever.
    tamper(&place, &org, &stale, |version| version.map(|version| version + 100));
    let verified = verify(&org, &engine).await;
    assert_eq!(found(&verified), BTreeMap::from([("stale", (1, 0))]), "{verified:?}");
    until("a letter says so", async || letters(&engine, &org).await.len() == 1).await;
    engine.replay(org.id(), Which::Rows(vec![stale])).await.unwrap();
    until("no letter is left", async || letters(&engine, &org).await.is_empty()).await;
    clean(&org, &engine).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_org_changed_is_shown_until_staff_say_who_is_right() {
    let place = place();
    let (org, engine, orders) = begin(&place, 3).await;
    engine.cancel(&orders[0].token, None).await.unwrap();
    settled(&org, &engine).await;
    // Somebody lets a cancelled attendee in again.
    let back = key(&engine, &orders[0]).await;
    org.change("Sloe_Attendee__c", id(&record(&org, &back).await), status("Registered")).await;
    // A flow takes another's version away from Sloe.
    let ahead = key(&engine, &orders[1]).await;
    let newer = json!({ "Sloe_Version__c": 100_000 });
    org.change("Sloe_Attendee__c", id(&record(&org, &ahead).await), newer).await;
    for _ in 0..2 {
        let verified = verify(&org, &engine).await;
        assert_eq!(found(&verified), BTreeMap::from([("changed", (2, 0))]), "{verified:?}");
        until("letters say so", async || letters(&engine, &org).await.len() == 2).await;
    }
    let all = letters(&engine, &org).await;
    assert!(all.iter().all(|letter| letter.conflict && letter.code == "changed-in-org"), "{all:?}");
    let state = engine.sync_state(org.id()).await.unwrap();
    assert_eq!((state.dead_letters, state.conflicts), (0, 2));
    // Sloe is right about the first, the org about the second: it would refuse a lower version.
    engine.replay(org.id(), Which::Rows(vec![back.clone(), ahead.clone()])).await.unwrap();
    until("one letter is left", async || letters(&engine, &org).await.len() == 1).await;
    org.drained(&engine).await;
    assert_eq!(letters(&engine, &org).await[0].key, ahead, "the org did not take it");
    engine.accept_conflicts(org.id(), Which::Rows(vec![ahead])).await.unwrap();
    until("no letter is left", async || letters(&engine, &org).await.is_empty()).await;
    assert_eq!(record(&org, &back).await["Registration_Status__c"], "Cancelled");
    clean(&org, &engine).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_difference_that_goes_away_takes_its_letter_along() {
    let place = place();
    let (org, engine, orders) = begin(&place, 2).await;
    engine.cancel(&orders[0].token, None).await.unwrap();
    settled(&org, &engine).await;
    let back = record(&org, &key(&engine, &orders[0]).await).await;
    org.change("Sloe_Attendee__c", id(&back), status("Registered")).await;
    verify(&org, &engine).await;
    until("a letter says so", async || letters(&engine, &org).await.len() == 1).await;
    org.change("Sloe_Attendee__c", id(&back), status("Cancelled")).await;
    clean(&org, &engine).await;
    until("no letter is left", async || letters(&engine, &org).await.is_empty()).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_in_a_session_deleted_in_the_org_is_a_conflict_and_figures_are_told_again() {
    let place = place();
    let (org, engine, _) = begin(&place, 2).await;
    let places = org.records("SELECT Id FROM Sloe_Session_Attendee__c").await;
    org.delete("Sloe_Session_Attendee__c", id(&places[0])).await;
    let verified = verify(&org, &engine).await;
    assert_eq!(found(&verified), BTreeMap::from([("deleted", (1, 0))]), "{verified:?}");
    // Until it is noted, every comparison finds it.
    until("a letter says so", async || letters(&engine, &org).await.len() == 1).await;
    let wrong = json!({ "Sold__c": 77, "Remaining__c": 1 });
    org.change("Sloe_Event__c", org.event().event.as_str(), wrong).await;
    // Figures are compared once Sloe has noted that it told the newest.
    until("the figures are found", async || {
        let verified = verify(&org, &engine).await;
        found(&verified) == BTreeMap::from([("figures", (1, 1))])
    })
    .await;
    assert_eq!(letters(&engine, &org).await[0].code, "deleted-in-org");
    clean(&org, &engine).await;
    assert_eq!(org.records("SELECT Id FROM Sloe_Session_Attendee__c").await.len(), 3);
    let told = &org.records("SELECT Sold__c FROM Sloe_Event__c").await[0];
    assert_eq!(told["Sold__c"], 2.0);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_org_that_is_away_is_no_difference_but_no_clean_comparison_either() {
    let place = place();
    let (org, engine, _) = begin(&place, 1).await;
    org.faults(json!({ "outage": true })).await;
    let verified = verify(&org, &engine).await;
    assert!(!verified.is_clean() && verified.differences.is_empty(), "{verified:?}");
    org.faults(json!({})).await;
    clean(&org, &engine).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_and_bulk_queries_tell_the_same_of_an_event() {
    let place = place();
    let (org, engine, orders) = begin(&place, 9).await;
    engine.cancel(&orders[0].token, None).await.unwrap();
    settled(&org, &engine).await;
    let gone = record(&org, &key(&engine, &orders[1]).await).await;
    org.delete("Sloe_Attendee__c", id(&gone)).await;
    let client = org.client();
    // The places of a deleted attendee have no event any more.
    for (kind, count, deleted) in [(RowKind::Attendee, 9, 1), (RowKind::SessionAttendee, 16, 0)] {
        let (mut paged, mut bulk) = (Vec::new(), Vec::new());
        client.rows_of(kind, org.event().event, 0, |row| paged.push(row)).await.unwrap();
        client.rows_of(kind, org.event().event, 1 << 20, |row| bulk.push(row)).await.unwrap();
        paged.sort_by_key(|row| row.id);
        bulk.sort_by_key(|row| row.id);
        assert_eq!(paged, bulk);
        assert_eq!(paged.len(), count);
        assert!(paged.iter().all(|row| row.event == Some(org.event().event)), "{paged:?}");
        assert_eq!(paged.iter().filter(|row| row.deleted).count(), deleted);
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_its_way_is_no_difference_however_busy_the_org_is() {
    let place = place();
    let (org, engine, mut orders) = begin(&place, 5).await;
    // Slow enough that every comparison falls into the middle of sending.
    let slow = json!({ "latency_ms": 5, "jitter_ms": 20, "kinds": ["collections", "queryAll"] });
    org.faults(slow).await;
    let (mut compared, mut n) = (Vec::new(), 5);
    while compared.len() < 12 {
        let comparing = verify(&org, &engine);
        tokio::pin!(comparing);
        let verified = loop {
            tokio::select! {
                verified = &mut comparing => break verified,
                () = tokio::time::sleep(Duration::from_millis(2)) => {
                    let people = [person(&engine, org.event(), n)];
                    let event = org.event().public_id();
                    orders.push(engine.register(event, &RequestId::Fresh, &people).await.unwrap());
                    if n % 3 == 0 {
                        engine.cancel(&orders[n / 2].token, None).await.unwrap();
                    }
                    n += 1;
                }
            }
        };
        assert_eq!(found(&verified), BTreeMap::new(), "{verified:?}");
        compared.push(verified);
    }
    let moving = compared.iter().any(|verified| verified.unsure > 0);
    assert!(moving, "nothing was on its way: {compared:?}");
    org.faults(json!({})).await;
    let verified = clean(&org, &engine).await;
    assert_eq!((verified.rows, verified.unsure), (n as u64 * 3, 0));
    assert_eq!(letters(&engine, &org).await.len(), 0);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_says_of_figures_that_are_still_to_be_told_that_the_org_shows_them() {
    let place = place();
    let settings = worker::Settings { figures_every: Duration::from_secs(3_600), ..hasty(2_000) };
    let (org, engine, orders) = begin_with(&place, settings, 2).await;
    // Told at first; what comes after waits for its turn.
    engine.cancel(&orders[0].token, None).await.unwrap();
    org.drained(&engine).await;
    org.change("Sloe_Event__c", org.event().event.as_str(), json!({ "Sold__c": 9_999 })).await;
    let verified = verify(&org, &engine).await;
    assert!(verified.unsure > 0, "{verified:?}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attendees_whose_event_the_org_deleted_or_changed_are_no_difference() {
    let place = place();
    let (org, engine, orders) = begin(&place, 3).await;
    let fields = json!({
        "Name": "Elsewhere", "Published__c": false, "Time_Zone__c": "UTC",
        "Starts_At__c": "2099-05-01T09:00:00.000+0000", "Ends_At__c": "2099-05-01T17:00:00.000+0000",
    });
    let elsewhere = org.create("Sloe_Event__c", fields).await;
    let moved = record(&org, &key(&engine, &orders[0]).await).await;
    org.change("Sloe_Attendee__c", id(&moved), json!({ "Event__c": elsewhere })).await;
    let verified = verify(&org, &engine).await;
    assert!(verified.is_clean() && verified.one_by_one > 0, "{verified:?}");
    // Their event's lookup is empty then.
    org.delete_event(org.event().event).await;
    let verified = verify(&org, &engine).await;
    assert!(verified.is_clean(), "{verified:?}");
    assert_eq!(verify(&org, &engine).await.one_by_one, 0, "it is known by now");
    assert_eq!(letters(&engine, &org).await.len(), 0);
    engine.stop().await;
}
