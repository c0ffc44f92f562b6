//! Rows that an org does not take: told in plain words, sent again when asked,
//! and never at their neighbors' cost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::org::{Org, hasty, until};
use common::{person, place, start};
use serde_json::json;
use sloe_engine::claims::{Confirmed, RequestId};
use sloe_engine::engine::Engine;
use sloe_engine::sync::{Letter, LetterFilter, LetterKind, Pile, Which};
use sloe_store::api::Store;
use sloe_store::key::{Collection, Range};

/// Registers people in one order; those numbered in `poison` are refused by a rule of the org.
async fn register(engine: &Engine, org: &Org, count: usize, poison: &[usize]) -> Confirmed {
    let mut people: Vec<_> = (0..count).map(|n| person(engine, org.event(), n)).collect();
    for n in poison {
        people[*n].1.last_name = "Poison".to_owned();
    }
    engine.register(org.event().public_id(), &RequestId::Fresh, &people).await.unwrap()
}

async fn letters(engine: &Engine, org: &Org, filter: LetterFilter) -> Vec<Letter> {
    engine.letters(org.id(), &filter, None, 500).await.unwrap().letters
}

fn only(kind: LetterKind) -> impl Fn(&&Letter) -> bool {
    move |letter| letter.kind == kind
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_row_goes_once_its_reason_is_gone_and_only_then_its_letter_does() {
    let (org, place) = (Org::lasting().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    let order = register(&engine, &org, 3, &[1]).await;
    org.drained(&engine).await;
    assert_eq!(org.attendees().await.len(), 2, "its neighbors pass");
    let all = letters(&engine, &org, LetterFilter::default()).await;
    let letter = all.iter().find(only(LetterKind::Attendee)).unwrap();
    assert_eq!(
        (letter.code.as_str(), letter.place, letter.tries, letter.conflict),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", 2, 1, false)
    );
    assert_eq!(
        (letter.fields.as_slice(), letter.event),
        (["Last_Name__c".to_owned()].as_slice(), org.event())
    );
    assert_eq!(
        letter.means,
        "A validation rule of the org refuses the record. The field is Last_Name__c."
    );
    assert_eq!(letter.owner, "admin");
    // Its sessions were not even tried: they can't be there without it.
    let sessions: Vec<_> = all.iter().filter(only(LetterKind::SessionAttendee)).collect();
    assert_eq!(sessions.len(), 2);
    assert!(sessions.iter().all(|letter| letter.code == "parent-refused"), "{sessions:?}");

    // What the org said is kept without the person's name, and not in the clear.
    assert_eq!(letter.message.as_deref(), Some("Nobody is called …: …"));
    for (_, document) in place.store.scan(Range::All(Collection::DeadLetters), None, 9).unwrap() {
        let stored = String::from_utf8(document.body).unwrap();
        assert!(!stored.contains("Poison") && !stored.contains("Nobody"), "{stored}");
    }

    // In vain: the rule is still there.
    let which = || Which::Rows(vec![letter.key.clone(), "unheard-of".to_owned()]);
    let replayed = engine.replay(org.id(), which()).await.unwrap();
    assert_eq!(
        (replayed.rows, replayed.unknown.as_slice()),
        (3, ["unheard-of".to_owned()].as_slice())
    );
    org.drained(&engine).await;
    let again = letters(&engine, &org, LetterFilter::default()).await;
    assert_eq!(again.len(), 3);
    let tried = again.iter().find(|again| again.key == letter.key).unwrap();
    assert_eq!((tried.tries, tried.since), (2, letter.since));

    let org = org.changed(|seed| seed.replace("= \"Poison\"", "= \"Cyanide\"")).await;
    engine.replay(org.id(), which()).await.unwrap();
    engine.replay(org.id(), which()).await.unwrap();
    until("the letters are gone", async || {
        letters(&engine, &org, LetterFilter::default()).await.is_empty()
    })
    .await;
    org.drained(&engine).await;
    let attendees = org.attendees().await;
    assert_eq!(attendees.len(), 3);
    assert_eq!(org.records("SELECT Id FROM Sloe_Session_Attendee__c").await.len(), 6);
    let key = engine.order_by_token(&order.token).await.unwrap().claim.attendee_key(2);
    let late = attendees.iter().find(|record| record["Sloe_Id__c"] == key.as_str()).unwrap();
    assert_eq!(late["Last_Name__c"], "Poison");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replayed_row_goes_in_its_newest_state() {
    let (org, place) = (Org::lasting().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    let order = register(&engine, &org, 1, &[0]).await;
    org.drained(&engine).await;
    engine.cancel(&order.token, None).await.unwrap();
    org.drained(&engine).await;
    assert_eq!(org.attendees().await.len(), 0);
    let org = org.changed(|seed| seed.replace("= \"Poison\"", "= \"Cyanide\"")).await;
    let replayed = engine.replay(org.id(), Which::All(LetterFilter::default())).await.unwrap();
    assert_eq!(replayed.rows, 3);
    until("the letters are gone", async || {
        letters(&engine, &org, LetterFilter::default()).await.is_empty()
    })
    .await;
    let attendees = org.attendees().await;
    assert_eq!(attendees.len(), 1);
    assert_eq!(attendees[0]["Registration_Status__c"], "Cancelled");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_run_into_locks_wait_longer_each_time_until_a_person_must_look() {
    let (org, place) = (Org::start().await, place());
    let (engine, clock) = org.served(&place).await;
    org.faults(json!({ "row_error_rate": 1.0, "kinds": ["collections"] })).await;
    register(&engine, &org, 4, &[]).await;
    let waiting = async || engine.waiting_rows(org.id(), None, 500).await.unwrap().rows;
    until("the rows wait", async || waiting().await.len() == 12).await;
    let mut tries = 1;
    let mut before = 0;
    while !waiting().await.is_empty() {
        let rows = waiting().await;
        assert!(rows.iter().all(|row| row.code == "UNABLE_TO_LOCK_ROW"), "{rows:?}");
        let pauses: Vec<_> =
            rows.iter().map(|row| row.next_try.millis_since(engine.now())).collect();
        let longest = pauses.iter().copied().max().unwrap();
        assert!(longest <= 15 * 60_000 && longest >= before.min(450_000) - 60_000, "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause != pauses[0]), "all at the same moment");
        before = longest;
        clock.advance(longest + 1);
        until("they were tried again", async || {
            waiting().await.iter().all(|row| row.tries > tries)
        })
        .await;
        tries += 1;
        assert!(tries <= 12, "it never ends");
    }
    let piles = engine.piles(org.id(), &LetterFilter::default()).await.unwrap();
    let counted: Vec<_> = piles.iter().map(|pile| (pile.code.as_str(), pile.count)).collect();
    assert!(counted.contains(&("UNABLE_TO_LOCK_ROW", 4)), "{counted:?}");
    assert_eq!(piles.iter().map(|pile| pile.count).sum::<usize>(), 12);
    assert_eq!(org.attendees().await.len(), 0);
    org.faults(json!({})).await;
    let code = Some("UNABLE_TO_LOCK_ROW".to_owned());
    let of_kind = LetterFilter { code, ..LetterFilter::default() };
    engine.replay(org.id(), Which::All(of_kind)).await.unwrap();
    until("all have arrived", async || {
        engine.sync_state(org.id()).await.unwrap().dead_letters == 0
    })
    .await;
    assert_eq!(org.attendees().await.len(), 4);
    assert_eq!(org.records("SELECT Id FROM Sloe_Session_Attendee__c").await.len(), 8);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_in_sessions_wait_for_their_attendee_and_go_when_it_does() {
    let (org, place) = (Org::start().await, place());
    let (engine, clock) = org.served(&place).await;
    org.faults(json!({ "row_error_rate": 1.0, "objects": ["Sloe_Attendee__c"] })).await;
    register(&engine, &org, 1, &[]).await;
    let waiting = async || engine.waiting_rows(org.id(), None, 500).await.unwrap().rows;
    until("the rows wait", async || waiting().await.len() == 3).await;
    let mut left = waiting().await;
    while !left.is_empty() {
        let words = |kind| {
            if kind == LetterKind::Attendee { "UNABLE_TO_LOCK_ROW" } else { "parent-refused" }
        };
        assert!(left.iter().all(|row| row.code == words(row.kind)), "{left:?}");
        clock.advance(20 * 60_000);
        let tries = left[0].tries;
        until("they were tried again", async || {
            left = waiting().await;
            left.iter().all(|row| row.tries > tries)
        })
        .await;
    }
    let all = letters(&engine, &org, LetterFilter::default()).await;
    let codes: Vec<_> = all.iter().map(|letter| letter.code.as_str()).collect();
    assert_eq!(codes, ["UNABLE_TO_LOCK_ROW", "parent-refused", "parent-refused"]);
    org.faults(json!({})).await;
    let attendee = all.iter().find(only(LetterKind::Attendee)).unwrap();
    engine.replay(org.id(), Which::Rows(vec![attendee.key.clone()])).await.unwrap();
    until("the letters are gone", async || {
        letters(&engine, &org, LetterFilter::default()).await.is_empty()
    })
    .await;
    assert_eq!(org.records("SELECT Id FROM Sloe_Session_Attendee__c").await.len(), 2);
    engine.stop().await;
}

#[tokio::test]
async fn all_of_a_pile_are_its_own_and_no_others() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    let refused = |object: &str| json!({ "row_errors": { "FIELD_CUSTOM_VALIDATION_EXCEPTION": 1.0 }, "objects": [object] });
    // The same code for attendees, and for places of others.
    org.faults(refused("Sloe_Attendee__c")).await;
    register(&engine, &org, 2, &[]).await;
    org.drained(&engine).await;
    org.faults(refused("Sloe_Session_Attendee__c")).await;
    register(&engine, &org, 1, &[]).await;
    org.drained(&engine).await;
    let piles = engine.piles(org.id(), &LetterFilter::default()).await.unwrap();
    let counted = piles.iter().map(|pile| (pile.code.as_str(), pile.kind, pile.count));
    let mut counted: Vec<_> = counted.collect();
    counted.sort();
    let code = "FIELD_CUSTOM_VALIDATION_EXCEPTION";
    assert_eq!(
        counted,
        [
            (code, LetterKind::Attendee, 2),
            (code, LetterKind::SessionAttendee, 2),
            ("parent-refused", LetterKind::SessionAttendee, 4),
        ]
    );
    for pile in &piles {
        let found = letters(&engine, &org, pile.filter()).await;
        assert_eq!(found.len(), pile.count, "{pile:?}");
        assert!(found.iter().all(|letter| letter.kind == pile.kind), "{pile:?}");
    }
    // The places of the third go, and nothing with them.
    org.faults(json!({})).await;
    let places = |pile: &&Pile| pile.code == code && pile.kind == LetterKind::SessionAttendee;
    let which = Which::All(piles.iter().find(places).unwrap().filter());
    assert_eq!(engine.replay(org.id(), which).await.unwrap().rows, 2);
    until("they are there", async || {
        org.records("SELECT Id FROM Sloe_Session_Attendee__c").await.len() == 2
    })
    .await;
    org.drained(&engine).await;
    assert_eq!(letters(&engine, &org, LetterFilter::default()).await.len(), 6);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_deleted_in_the_org_is_a_conflict_that_no_replay_revives() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    let order = register(&engine, &org, 1, &[]).await;
    org.drained(&engine).await;
    let record = &org.attendees().await[0];
    org.delete("Sloe_Attendee__c", record["Id"].as_str().unwrap()).await;
    engine.cancel(&order.token, None).await.unwrap();
    org.drained(&engine).await;
    let conflicts = || LetterFilter { conflict: Some(true), ..LetterFilter::default() };
    let found = letters(&engine, &org, conflicts()).await;
    let attendee = found.iter().find(only(LetterKind::Attendee)).unwrap();
    assert_eq!((attendee.code.as_str(), attendee.owner), ("deleted-in-org", "organizer"));
    let state = engine.sync_state(org.id()).await.unwrap();
    assert_eq!((state.dead_letters, state.conflicts), (0, found.len()));
    engine.replay(org.id(), Which::All(conflicts())).await.unwrap();
    until("it was tried again", async || {
        letters(&engine, &org, conflicts()).await.iter().all(|letter| letter.tries > 1)
    })
    .await;
    org.drained(&engine).await;
    assert_eq!(org.attendees().await.len(), 0);
    assert_eq!(letters(&engine, &org, conflicts()).await.len(), found.len());
    let accepted = engine.accept_conflicts(org.id(), Which::All(LetterFilter::default())).await;
    assert_eq!(accepted.unwrap().rows, found.len());
    assert_eq!(letters(&engine, &org, LetterFilter::default()).await.len(), 0);
    engine.stop().await;
}

#[tokio::test]
async fn letters_come_in_pages_and_by_event_code_and_field() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    register(&engine, &org, 5, &[0, 1, 2, 3]).await;
    org.drained(&engine).await;
    let filter =
        |code: &str| LetterFilter { code: Some(code.to_owned()), ..LetterFilter::default() };
    assert_eq!(letters(&engine, &org, filter("parent-refused")).await.len(), 8);
    let rule = LetterFilter {
        event: Some(org.event().event),
        field: Some("Last_Name__c".to_owned()),
        ..filter("FIELD_CUSTOM_VALIDATION_EXCEPTION")
    };
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = engine.letters(org.id(), &rule, after, 3).await.unwrap();
        seen.push(page.letters.len());
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, [3, 1]);
    let elsewhere = LetterFilter { event: Some(common::record("a00", 9)), ..rule };
    assert_eq!(letters(&engine, &org, elsewhere).await.len(), 0);
    engine.stop().await;
}

#[tokio::test]
async fn what_the_org_said_of_a_person_is_forgotten_with_the_person() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    register(&engine, &org, 3, &[0, 2]).await;
    org.drained(&engine).await;
    let rule = LetterFilter {
        code: Some("FIELD_CUSTOM_VALIDATION_EXCEPTION".to_owned()),
        ..LetterFilter::default()
    };
    let said = letters(&engine, &org, rule.clone()).await;
    assert!(said.len() == 2 && said.iter().all(|letter| letter.message.is_some()), "{said:?}");
    let receipt = engine.erase_person(org.id(), "person0@example.org").await.unwrap();
    assert_eq!(receipt.attendees, 1);
    let left = letters(&engine, &org, rule).await;
    let says: Vec<_> = left.iter().map(|letter| (letter.place, letter.message.is_some())).collect();
    assert_eq!(says, [(1, false), (3, true)]);
    engine.stop().await;
}
