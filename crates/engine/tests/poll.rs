//! What changes in an org shows although nobody tells Sloe, by its own looks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::org::{Org, hasty, status, until};
use common::{person, place, start};
use serde_json::json;
use sloe_core::ids::{EventRef, SfId};
use sloe_engine::claims::RequestId;
use sloe_engine::engine::Engine;
use sloe_engine::refresh::{Outcome, Refresh};
use sloe_engine::view::Found;
use sloe_engine::worker;

const EVENT: &str = "a005g0000000001";

/// Workers that look all the time.
fn watchful() -> worker::Settings {
    worker::Settings { poll_every: Duration::from_millis(50), ..hasty(2_000) }
}

/// Workers that look when they begin, and then hardly ever.
fn drowsy() -> worker::Settings {
    worker::Settings { poll_every: Duration::from_secs(3_600), ..hasty(2_000) }
}

/// Waits until Sloe has looked twice more: once may have been under way.
async fn looked(engine: &Engine, org: &Org) {
    let count = || engine.poll_state(org.id()).unwrap().count;
    let before = count();
    until("two more looks", async || count() >= before + 2).await;
}

/// How often each event was refreshed, by when last; the whole org left out.
fn refreshes(engine: &Engine, org: &Org) -> Vec<Refresh> {
    engine.refreshes(org.id()).into_iter().filter(|refresh| refresh.event.is_some()).collect()
}

async fn register(engine: &Engine, event: EventRef, numbers: std::ops::Range<usize>) {
    for n in numbers {
        let people = [person(engine, event, n)];
        engine.register(event.public_id(), &RequestId::Fresh, &people).await.unwrap();
    }
}

fn shown(engine: &Engine, event: EventRef) -> bool {
    engine.catalog().listing(event).is_some_and(|listing| listing.published)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_an_event_an_item_or_a_session_shows_and_so_do_a_new_one_and_a_lost_one() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(watchful()));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    let event = || engine.event(org.event().public_id()).unwrap().1;

    org.change("Sloe_Event__c", EVENT, json!({ "Name": "Renamed", "Capacity__c": 7 })).await;
    until("the event's change shows", async || event().name == "Renamed").await;
    assert_eq!(event().limit, Some(7));

    let item = event().items[0].sf;
    org.change("Sloe_Item__c", item.as_str(), json!({ "Quantity__c": 3 })).await;
    until("the item's change shows", async || event().items[0].limit == Some(3)).await;

    let session = event().sessions[0].sf;
    org.change("Sloe_Session__c", session.as_str(), json!({ "Room__c": "Hall 9" })).await;
    let room = || event().sessions.iter().any(|s| s.room.as_deref() == Some("Hall 9"));
    until("the session's change shows", async || room()).await;

    let fields = json!({ "Event__c": EVENT, "Name": "Late pass", "Active__c": true });
    let late = org.create("Sloe_Item__c", fields).await;
    until("the new item shows", async || event().items.len() == 2).await;
    org.delete("Sloe_Item__c", &late).await;
    until("the deleted item is gone", async || event().items.len() == 1).await;
    engine.stop().await;
}

/// Rows tell when they changed by the second: a look in the middle of one must
/// not take its next change for the one that was seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_follow_each_other_within_a_second_all_show() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(watchful()));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    looked(&engine, &org).await;
    let event = || engine.event(org.event().public_id()).unwrap().1;
    let session = event().sessions[0].sf;
    let shows = async |room: &str| {
        until("the change shows", async || {
            event().sessions.iter().any(|session| session.room.as_deref() == Some(room))
        })
        .await;
    };
    for round in 0..3 {
        // Whatever the time, it must show; early in a second, so must both.
        until("a second begins", async || engine.now().0 % 1_000 < 200).await;
        for room in [format!("Hall {round}"), format!("Room {round}")] {
            org.change("Sloe_Session__c", session.as_str(), json!({ "Room__c": room })).await;
            shows(&room).await;
        }
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_comes_moves_to_another_address_goes_and_comes_back_without_an_update() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(watchful()));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    let fields = json!({
        "Name": "Second Event", "Published__c": true, "Time_Zone__c": "UTC",
        "Starts_At__c": "2031-05-01T09:00:00.000+0000", "Ends_At__c": "2031-05-01T17:00:00.000+0000",
    });
    let second = SfId::parse(&org.create("Sloe_Event__c", fields).await).unwrap();
    let event = EventRef { org: org.id(), event: second };
    until("the new event is shown", async || shown(&engine, event)).await;
    let slug = || engine.catalog().listing(event).unwrap().slug.clone();
    assert_eq!(slug(), "second-event");

    org.change("Sloe_Event__c", second.as_str(), json!({ "Slug__c": "gala" })).await;
    until("it has its new address", async || slug() == "gala").await;
    let known = engine.registry().by_id(org.id()).unwrap();
    let old = engine.find_event(&known, "second-event").unwrap();
    assert!(matches!(&old, Found::Moved(to) if to == "gala"), "the old address leads to the new");

    org.change("Sloe_Event__c", second.as_str(), json!({ "Published__c": false })).await;
    until("it is not shown any more", async || !shown(&engine, event)).await;
    org.change("Sloe_Event__c", second.as_str(), json!({ "Published__c": true })).await;
    until("it is shown again", async || shown(&engine, event)).await;

    org.delete("Sloe_Event__c", second.as_str()).await;
    until("it is gone", async || !shown(&engine, event)).await;
    let gone = || refreshes(&engine, &org).into_iter().find(|r| r.event == Some(second));
    until("that is on record", async || gone().is_some_and(|r| r.outcome == Outcome::Gone)).await;
    // A deleted row is seen again and again within the overlap: it is no news then.
    let at = gone().unwrap().at;
    looked(&engine, &org).await;
    assert_eq!(gone().unwrap().at, at);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attendees_made_changed_and_deleted_in_salesforce_take_and_free_seats_by_themselves() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(watchful()));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    let event = org.event();
    let (_, snapshot) = engine.event(event.public_id()).unwrap();
    let (item, session) = (snapshot.items[0].sf, snapshot.sessions[0].sf);
    let left = async || engine.availability(event).await.unwrap().left;
    let session_id = snapshot.sessions[0].id;
    let session_left = async || {
        let availability = engine.availability(event).await.unwrap();
        availability.sessions.iter().find(|of| of.id == session_id).map(|of| of.left)
    };
    let unlimited = session_left().await;
    assert_eq!(unlimited, Some(None), "the test changes the session's limit below");
    org.change("Sloe_Session__c", session.as_str(), json!({ "Capacity__c": 10 })).await;
    until("the session's limit shows", async || session_left().await == Some(Some(10))).await;

    let guest = json!({
        "Event__c": EVENT, "Item__c": item.as_str(), "First_Name__c": "By", "Last_Name__c": "Hand",
        "Email__c": "by@hand.example", "Registration_Status__c": "Registered",
    });
    let guest = org.create("Sloe_Attendee__c", guest).await;
    until("the guest's seat is taken", async || left().await == Some(999)).await;
    let place_in = json!({
        "Attendee__c": guest, "Session__c": session.as_str(), "Registration_Status__c": "Registered",
    });
    org.create("Sloe_Session_Attendee__c", place_in).await;
    until("so is the one in the session", async || session_left().await == Some(Some(9))).await;
    org.change("Sloe_Attendee__c", &guest, status("Cancelled")).await;
    until("a cancelled guest's seat is free", async || left().await == Some(1_000)).await;
    org.change("Sloe_Attendee__c", &guest, status("Registered")).await;
    until("it is taken again", async || left().await == Some(999)).await;
    org.delete("Sloe_Attendee__c", &guest).await;
    until("a deleted guest's seat is free", async || left().await == Some(1_000)).await;

    // The same for those of Sloe's own.
    register(&engine, event, 0..2).await;
    org.drained(&engine).await;
    assert_eq!(left().await, Some(998));
    let ids: Vec<String> =
        org.attendees().await.iter().map(|a| a["Id"].as_str().unwrap().to_owned()).collect();
    org.change("Sloe_Attendee__c", &ids[0], status("Cancelled")).await;
    until("the first seat is free", async || left().await == Some(999)).await;
    org.delete("Sloe_Attendee__c", &ids[1]).await;
    until("the second seat is free", async || left().await == Some(1_000)).await;
    org.drained(&engine).await;
    looked(&engine, &org).await;
    assert_eq!(org.attendees().await.len(), 1, "nothing deleted comes back");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attendee_that_is_moved_to_another_event_leaves_its_seats_in_the_one_it_was_in() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(watchful()));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    let at = ["2031-05-01T09:00:00.000+0000", "2031-05-01T17:00:00.000+0000"];
    let fields = json!({
        "Name": "Second Event", "Published__c": true, "Time_Zone__c": "UTC", "Capacity__c": 10,
        "Starts_At__c": at[0], "Ends_At__c": at[1],
    });
    let second = org.create("Sloe_Event__c", fields).await;
    let fields = json!({
        "Event__c": second, "Name": "Other talk", "Capacity__c": 5, "Active__c": true,
        "Starts_At__c": at[0], "Ends_At__c": at[1],
    });
    let other_talk = org.create("Sloe_Session__c", fields).await;
    let talk = engine.event(org.event().public_id()).unwrap().1.sessions[0].sf;
    org.change("Sloe_Session__c", talk.as_str(), json!({ "Capacity__c": 5 })).await;
    let first = org.event();
    let second = EventRef { org: org.id(), event: SfId::parse(&second).unwrap() };
    // What is left of an event, and of its first session.
    let left = async |event: EventRef| {
        let left = engine.availability(event).await.ok()?;
        Some((left.left?, left.sessions.first()?.left?))
    };
    until("both events have their limits", async || {
        left(first).await == Some((1_000, 5)) && left(second).await == Some((10, 5))
    })
    .await;

    let guest = json!({
        "Event__c": EVENT, "First_Name__c": "By", "Last_Name__c": "Hand",
        "Email__c": "by@hand.example", "Registration_Status__c": "Registered",
    });
    let guest = org.create("Sloe_Attendee__c", guest).await;
    let in_talk = json!({
        "Attendee__c": guest, "Session__c": talk.as_str(), "Registration_Status__c": "Registered",
    });
    let in_talk = org.create("Sloe_Session_Attendee__c", in_talk).await;
    until("the guest has both seats", async || left(first).await == Some((999, 4))).await;

    let event = |id: &SfId| json!({ "Event__c": id.as_str() });
    org.change("Sloe_Attendee__c", &guest, event(&second.event)).await;
    until("the guest is in the other event", async || left(second).await == Some((9, 5))).await;
    until("and not in the first any more", async || left(first).await == Some((1_000, 4))).await;
    org.change("Sloe_Session_Attendee__c", &in_talk, json!({ "Session__c": other_talk })).await;
    until("so is the place in the session", async || left(second).await == Some((9, 4))).await;
    until("and that one is free", async || left(first).await == Some((1_000, 5))).await;
    // An attendee of no event at all takes no seat either.
    org.change("Sloe_Attendee__c", &guest, json!({ "Event__c": null })).await;
    until("the guest's seat is free", async || left(second).await == Some((10, 4))).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_registrations_cause_no_refresh_and_no_new_version() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(watchful()));
    org.connect(&engine, &*place.store);
    org.change("Sloe_Event__c", EVENT, json!({ "Capacity__c": 20_000 })).await;
    let event = || engine.event(org.event().public_id()).unwrap().1;
    org.shown(&engine).await;
    until("the limit is read", async || event().limit == Some(20_000)).await;
    looked(&engine, &org).await;
    let (version, before) = (event().version, refreshes(&engine, &org));
    let found = engine.poll_state(org.id()).unwrap().found;

    let mut running = tokio::task::JoinSet::new();
    for n in 0..20 {
        let (engine, event) = (engine.clone(), org.event());
        running.spawn(async move { register(&engine, event, n * 500..(n + 1) * 500).await });
    }
    running.join_all().await;
    until("the org has them, and the figures", async || {
        let sold = org.records("SELECT Sold__c FROM Sloe_Event__c").await;
        sold[0]["Sold__c"] == 10_000.0 && engine.sync_state(org.id()).await.unwrap().is_drained()
    })
    .await;
    looked(&engine, &org).await;
    assert_eq!(refreshes(&engine, &org), before);
    assert_eq!(engine.poll_state(org.id()).unwrap().found, found);
    assert_eq!(event().version, version);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_at_the_marks_and_takes_its_own_figures_for_no_news() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(watchful()));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    looked(&engine, &org).await;
    register(&engine, org.event(), 0..1).await;
    org.drained(&engine).await;
    let bad = json!({ "Slug__c": "kept", "Image_URL__c": "javascript:alert(1)" });
    org.change("Sloe_Event__c", EVENT, bad).await;
    let trouble = |engine: &Engine| {
        let of_event = refreshes(engine, &org).into_iter().next();
        of_event.and_then(|refresh| refresh.trouble())
    };
    until("the fault is told", async || trouble(&engine).is_some()).await;
    let (told, before) = (trouble(&engine), engine.refreshes(org.id()));
    looked(&engine, &org).await;
    assert_eq!(engine.refreshes(org.id()), before, "a fault is told once");
    engine.stop().await;

    // The next process knows what was wrong, and does not read everything again.
    let engine = start(&place, Some(drowsy()));
    until("it has looked", async || engine.poll_state(org.id()).is_some_and(|poll| poll.count > 0))
        .await;
    assert_eq!(trouble(&engine), told);
    assert_eq!(engine.refreshes(org.id()), before);
    engine.stop().await;

    // What changes while nobody runs is seen by the first look.
    let good = json!({ "Name": "While away", "Image_URL__c": null });
    org.change("Sloe_Event__c", EVENT, good).await;
    let engine = start(&place, Some(drowsy()));
    let name = || engine.event(org.event().public_id()).unwrap().1.name.clone();
    until("the change shows", async || name() == "While away").await;
    until("the fault is gone", async || trouble(&engine).is_none()).await;
    let whole = |all: &[Refresh]| all.iter().find(|r| r.event.is_none()).cloned();
    assert_eq!(whole(&engine.refreshes(org.id())), whole(&before));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_events_that_change_at_once_are_one_refresh_of_the_whole_org() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(watchful()));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    looked(&engine, &org).await;
    engine.stop().await;
    let at = "2031-05-01T09:00:00.000+0000";
    for n in 0..130 {
        let fields = json!({
            "Name": format!("Many {n}"), "Published__c": true, "Time_Zone__c": "UTC",
            "Starts_At__c": at, "Ends_At__c": "2031-05-01T17:00:00.000+0000",
        });
        org.create("Sloe_Event__c", fields).await;
    }
    let engine = start(&place, Some(drowsy()));
    until("all are shown", async || engine.catalog().events(org.id()).len() == 131).await;
    let whole = || engine.refreshes(org.id()).into_iter().find(|r| r.event.is_none()).unwrap();
    until("it was the whole org", async || {
        whole().outcome == Outcome::Read { good: 131, faulty: 0 }
    })
    .await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looks_stop_where_the_budget_ends_and_go_on_once_there_is_more() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(watchful()));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    looked(&engine, &org).await;
    org.limits(json!({ "daily": 1_000, "used": 780 })).await;
    let state = || engine.poll_state(org.id()).unwrap();
    until("the looks wait", async || state().waits_until.is_some()).await;
    let used = org.limits(json!({})).await["used"].as_u64().unwrap();
    assert!(used < 800, "{used}");
    assert_eq!(state().fault, None, "waiting is no fault");
    engine.stop().await;
}
