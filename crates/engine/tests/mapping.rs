//! An org with objects of its own is served by its mapping: read, written,
//! counted, checked, and changed while everything runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::org::{Org, hasty, until};
use common::{Place, license, place, start};
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};
use sloe_core::catalog::{EventStatus, Snapshot};
use sloe_core::ids::{EventRef, SfId};
use sloe_engine::claims::{Confirmed, RequestId};
use sloe_engine::engine::Engine;
use sloe_engine::error::Denied;
use sloe_engine::mapping::{MappingError, Severity};
use sloe_engine::refresh::Outcome;
use sloe_engine::sync::LetterFilter;
use sloe_engine::tenant::{Connect, ConnectError, Connected, Profile};
use sloe_engine::view::{AttendeeInput, Choice};
use sloe_salesforce::map::preset;
use sloe_store::api::{Store, Write};
use sloe_store::key::{Collection, Key, Range};

const SEED: &str = include_str!("seeds/blackthorn.toml");

/// The day in so many days.
fn day(days: i64) -> jiff::civil::Date {
    let today = jiff::Timestamp::now().to_zoned(TimeZone::UTC).date();
    today.checked_add(jiff::Span::new().days(days)).unwrap()
}

fn seed() -> String {
    SEED.replace("{start}", &day(30).to_string()).replace("{end}", &day(31).to_string())
}

/// The preset for Blackthorn Events, with what this org requires besides.
fn mapping() -> String {
    let text = preset("blackthorn").unwrap();
    let text = text.replace("[attendee.constants]", "[attendee.constants]\nSource__c = \"Sloe\"");
    text.replace("# Event_Role__c", "Event_Role__c")
}

async fn connect(
    engine: &Engine,
    org: &Org,
    place: &Place,
    mapping: Option<String>,
) -> Result<Connected, ConnectError> {
    let profile = Profile {
        slug: "thornfield".to_owned(),
        name: "Thornfield".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
        ..Profile::default()
    };
    let credentials = org.credentials();
    let connect =
        Connect { profile: profile.into(), credentials, expected: Some(org.id()), mapping };
    let connected = engine.connect_org(connect).await?;
    license(engine, &*place.store, org.id());
    Ok(connected)
}

fn gala(org: &Org) -> EventRef {
    EventRef { org: org.id(), event: SfId::parse("a055g0000000001").unwrap() }
}

async fn shown(engine: &Engine, event: EventRef) -> Arc<Snapshot> {
    until("the event is shown", async || engine.event(event.public_id()).is_ok()).await;
    engine.event(event.public_id()).unwrap().1
}

async fn register(engine: &Engine, event: EventRef, last_name: &str) -> Result<Confirmed, Denied> {
    let snapshot = shown(engine, event).await;
    let choice = Choice {
        item: snapshot.items[0].id,
        sessions: snapshot.sessions.iter().map(|session| session.id).collect(),
    };
    let person = AttendeeInput {
        first_name: "Jane".to_owned(),
        last_name: last_name.to_owned(),
        email: "jane@example.org".to_owned(),
        invitation: String::new(),
    };
    engine.register(event.public_id(), &RequestId::Fresh, &[(choice, person)]).await
}

/// Sloe's attendees in the org, without what Salesforce adds.
async fn attendees(org: &Org) -> Vec<Json> {
    org.records(
        "SELECT Id, conference360__First_Name2__c, conference360__Last_Name2__c, \
         conference360__Registration_Status__c, Source__c, Event_Role__c, \
         conference360__Event_Item__r.conference360__Item_Name__c \
         FROM conference360__Attendee__c WHERE Sloe_Id__c != null",
    )
    .await
}

/// The event page has what the package's fields say.
fn shows_the_gala(snapshot: &Snapshot) {
    let midnight = |days| {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        zone.to_timestamp(day(days).into()).unwrap().as_millisecond()
    };
    assert_eq!((snapshot.name.as_str(), snapshot.status), ("Winter Gala", EventStatus::Scheduled));
    assert_eq!(snapshot.summary, "Dinner and dance");
    assert_eq!(snapshot.place.venue.as_deref(), Some("Great Hall"));
    assert_eq!((snapshot.starts_at.0, snapshot.ends_at.0), (midnight(30), midnight(32)));
    assert_eq!((snapshot.limit, snapshot.time_zone.as_str()), (None, "Europe/Berlin"));
    let items: Vec<_> = snapshot.items.iter().map(|item| (&*item.name, item.limit)).collect();
    assert_eq!(items, [("Seat at the table", Some(3))], "donations are no tickets");
    assert_eq!(snapshot.sessions[0].limit, None);
}

/// One attendee, with the org's words and what the mapping adds.
fn holds_rochester(rows: &[Json]) {
    assert_eq!(rows.len(), 1, "{rows:?}");
    for (field, value) in [
        ("conference360__First_Name2__c", "Jane"),
        ("conference360__Last_Name2__c", "Rochester"),
        ("conference360__Registration_Status__c", "Registered"),
        ("Source__c", "Sloe"),
        ("Event_Role__c", "Attendee"),
    ] {
        assert_eq!(rows[0][field], value, "{rows:?}");
    }
    let item = &rows[0]["conference360__Event_Item__r"]["conference360__Item_Name__c"];
    assert_eq!(item, "Seat at the table");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_org_with_blackthorn_s_objects_is_read_written_and_counted() {
    let (org, place) = (Org::seeded(&seed()).await, place());
    let engine = start(&place, Some(hasty(2_000)));
    let connected = connect(&engine, &org, &place, Some(mapping())).await.unwrap();
    let codes: Vec<_> = connected.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["no-version", "no-version", "time-zone", "validation-rule"]);
    engine.request_refresh(org.id(), None);
    let event = gala(&org);
    let snapshot = shown(&engine, event).await;

    shows_the_gala(&snapshot);
    let left = async || {
        let availability = engine.availability(event).await.unwrap();
        availability.items.iter().map(|item| item.left).collect::<Vec<_>>()
    };
    assert_eq!(left().await, [Some(2)], "who is only invited takes no seat");

    let order = register(&engine, event, "Rochester").await.unwrap();
    org.drained(&engine).await;
    let rows = attendees(&org).await;
    holds_rochester(&rows);
    let dancers = "SELECT conference360__Registration_Status__c, conference360__Attendee__c \
                   FROM conference360__Session_Attendee__c WHERE Sloe_Id__c != null";
    let dancing = org.records(dancers).await;
    assert_eq!(dancing[0]["conference360__Attendee__c"], rows[0]["Id"]);

    // A comparison finds nothing to mend, though the org has no field for versions and figures.
    engine.request_verify(org.id()).unwrap();
    let verified = async || engine.last_verify(org.id()).await.unwrap();
    until("it is compared", async || verified().await.is_some_and(|v| v.rows == 2)).await;
    let verified = verified().await.unwrap();
    assert!(verified.is_clean() && verified.one_by_one == 0, "{verified:?}");

    // Staff change the role, which is theirs; then the registrant cancels.
    let id = rows[0]["Id"].as_str().unwrap();
    let object = "conference360__Attendee__c";
    org.change(object, id, json!({ "Event_Role__c": "Speaker", "Source__c": "typed" })).await;
    engine.cancel(&order.token, None).await.unwrap();
    org.drained(&engine).await;
    let rows = attendees(&org).await;
    assert_eq!(rows[0]["conference360__Registration_Status__c"], "Cancelled");
    assert_eq!(rows[0]["Event_Role__c"], "Speaker", "a default goes with the first row only");
    assert_eq!(rows[0]["Source__c"], "Sloe", "a constant goes with every row");
    let dancing = org.records(dancers).await;
    assert_eq!(dancing[0]["conference360__Registration_Status__c"], "Cancelled");

    // The org cancels another one, in its own word: the seat is free.
    let order = register(&engine, event, "Poole").await.unwrap();
    org.drained(&engine).await;
    assert_eq!(left().await, [Some(1)]);
    let rows = attendees(&org).await;
    let poole = rows.iter().find(|row| row["conference360__Last_Name2__c"] == "Poole").unwrap();
    let cancelled = json!({ "conference360__Registration_Status__c": "Cancelled" });
    org.change(object, poole["Id"].as_str().unwrap(), cancelled).await;
    engine.request_refresh(org.id(), Some(event.event));
    until("the seat is free", async || left().await == [Some(2)]).await;
    let order = engine.order_by_token(&order.token).await.unwrap();
    assert!(order.tickets.iter().all(|ticket| ticket.cancelled.is_some()));
    engine.stop().await;
}

/// So many that those behind the first pages come by Bulk query.
const MANY: usize = 450;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_by_bulk_query_is_read_by_the_mapping_too() {
    let (org, place) = (Org::seeded(&seed()).await, place());
    let (first, last) = (day(30).to_string(), day(31).to_string());
    let event = |n: usize| {
        json!({
            "Name": format!("Ball {n}"), "conference360__Visible__c": true,
            "conference360__Status__c": "Planned", "conference360__Attendee_Limit__c": 999_999,
            "conference360__Event_Start_Date__c": first, "conference360__Event_End_Date__c": last,
        })
    };
    let events: Vec<_> = (0..MANY).map(event).collect();
    let events = org.create_many("conference360__Event__c", &events).await;
    let item = |event: &String| {
        json!({
            "conference360__Event__c": event, "conference360__Item_Name__c": "Seat at the table",
            "conference360__Type__c": "Main event ticket", "conference360__Free__c": true,
            "conference360__Price__c": 0, "conference360__Quantity_Made_Available__c": 3,
        })
    };
    let items: Vec<_> = events.iter().map(item).collect();
    org.create_many("conference360__Event_Item__c", &items).await;
    let engine = start(&place, Some(hasty(2_000)));
    connect(&engine, &org, &place, Some(mapping())).await.unwrap();
    let whole = || engine.refreshes(org.id()).into_iter().find(|refresh| refresh.event.is_none());
    until("all is read", async || whole().is_some()).await;
    assert_eq!(whole().unwrap().outcome, Outcome::Read { good: MANY + 1, faulty: 0 });
    assert!(org.calls("bulk_query").await > 0, "nothing was read in bulk");
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let begins = zone.to_timestamp(day(30).into()).unwrap().as_millisecond();
    for id in &events {
        let event = EventRef { org: org.id(), event: SfId::parse(id).unwrap() };
        let snapshot = engine.event(event.public_id()).unwrap().1;
        assert_eq!((snapshot.limit, snapshot.starts_at.0), (None, begins), "{}", snapshot.name);
        assert_eq!(snapshot.status, EventStatus::Scheduled);
        assert_eq!(snapshot.items.len(), 1);
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_org_that_lacks_what_the_mapping_names_is_refused_with_all_of_it() {
    let broken = seed()
        .replace("length = 64\nexternal_id = true", "length = 20")
        .replace(
            "children = \"conference360__Sessions__r\"",
            "children = \"conference360__Talks__r\"",
        )
        .replace("\"Registered\", \"Cancelled\"]", "\"Registered\", \"Canceled\"]")
        .replace("\"Attendee\", \"Speaker\"", "\"Guest\", \"Speaker\"")
        .replace("Event_Role__c = \"Attendee\"", "Event_Role__c = \"Guest\"")
        .replace("conference360__Venue_Name__c", "Venue_Name__c");
    let (org, place) = (Org::seeded(&broken).await, place());
    let engine = start(&place, None);
    let refused = connect(&engine, &org, &place, Some(mapping())).await;
    let Err(ConnectError::NotReady(found)) = refused else { panic!("{refused:?}") };
    let text = found.iter().map(|f| format!("{}: {}\n{}\n", f.code, f.what, f.fix));
    let text = text.collect::<String>();
    for part in [
        "not-external-id: conference360__Attendee__c.Sloe_Id__c",
        "too-short: conference360__Session_Attendee__c.Sloe_Id__c takes 20 characters",
        "has no child relationship conference360__Sessions__r",
        "The org calls it conference360__Talks__r",
        "lacks the value Cancelled",
        "picklist-value: The picklist conference360__Attendee__c.Event_Role__c lacks the value Attendee",
        "field-missing: The field conference360__Event__c.conference360__Venue_Name__c",
        "The org has Venue_Name__c",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    let blockers = found.iter().take_while(|f| f.severity == Severity::Blocker).count();
    assert_eq!(blockers, 9, "{text}");
    assert!(engine.registry().by_id(org.id()).is_none(), "nothing was written");
    let bad = mapping().replace("format = 1", "formt = 1");
    let refused = connect(&engine, &org, &place, Some(bad)).await;
    let Err(ConnectError::Mapping(faults)) = refused else { panic!("{refused:?}") };
    assert!(faults[0].to_string().contains("did you mean format?"), "{faults:?}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_org_would_refuse_the_form_refuses_and_the_rest_is_a_clear_letter() {
    let (org, place) = (Org::seeded(&seed()).await, place());
    let engine = start(&place, Some(hasty(2_000)));
    connect(&engine, &org, &place, Some(mapping())).await.unwrap();
    engine.request_refresh(org.id(), None);
    let event = gala(&org);
    // The org takes 12 characters of a last name.
    let denied = register(&engine, event, "Ingram-Rochester").await;
    let Err(Denied::Invalid(faults)) = denied else { panic!("{denied:?}") };
    assert_eq!(faults.len(), 1, "{faults:?}");
    // A word that its picklist lacks is refused when it comes by the front door...
    let text = mapping().replace("Event_Role__c = \"Attendee\"", "Event_Role__c = \"Robot\"");
    let refused = engine.set_mapping(org.id(), text.clone()).await;
    let Err(MappingError::NotReady(found)) = refused else { panic!("{refused:?}") };
    assert!(found[0].what.contains("Event_Role__c lacks the value Robot"), "{found:?}");
    // ...and what no check foresaw costs no row.
    store_mapping(&place, &text);
    let known = || engine.registry().by_id(org.id()).unwrap();
    until("it is taken up", async || known().mapping.text() == text).await;
    register(&engine, event, "Ingram").await.unwrap();
    org.drained(&engine).await;
    let page = engine.letters(org.id(), &LetterFilter::default(), None, 10).await.unwrap();
    let letter = page.letters.iter().find(|l| !l.fields.is_empty()).unwrap();
    assert_eq!(letter.code, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST");
    assert_eq!(letter.fields, ["Event_Role__c"]);
    assert!(letter.means.contains("picklist"), "{letter:?}");
    let found = engine.check_org(org.id()).await.unwrap();
    assert!(found[0].what.contains("Event_Role__c lacks the value Robot"), "{found:?}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mapping_changes_while_everything_runs_and_goes_back_at_once() {
    let (org, place) = (Org::seeded(&seed()).await, place());
    let engine = start(&place, Some(hasty(2_000)));
    connect(&engine, &org, &place, Some(mapping())).await.unwrap();
    let event = gala(&org);
    assert_eq!(shown(&engine, event).await.summary, "Dinner and dance");

    let summary = async |wanted: &str| {
        until("the page follows", async || shown(&engine, event).await.summary == wanted).await;
    };
    let other = mapping().replace(
        "summary = \"conference360__Short_Description__c\"",
        "summary = \"conference360__Venue_Name__c\"",
    );
    engine.set_mapping(org.id(), other.clone()).await.unwrap();
    summary("Great Hall").await;
    let refused = engine.set_mapping(org.id(), "format = 1".to_owned()).await;
    assert!(matches!(refused, Err(MappingError::Faulty(faults)) if faults.len() == 5));
    let missing = mapping().replace("__Venue_Name__c", "__Hall__c");
    let refused = engine.set_mapping(org.id(), missing).await;
    assert!(matches!(refused, Err(MappingError::NotReady(_))), "{refused:?}");
    assert_eq!(engine.registry().by_id(org.id()).unwrap().mapping.text(), other);

    engine.set_mapping_back(org.id()).await.unwrap();
    summary("Dinner and dance").await;
    engine.set_mapping_back(org.id()).await.unwrap();
    summary("Great Hall").await;

    // Another object leads away from nothing as long as Sloe keeps only notes of its own there, as
    // it does of events that are over soon. But the org must have it.
    let scope = place.store.open_org(org.id()).unwrap().unwrap();
    let note = Key::delivered(scope, &format!("ending {}", event.event));
    place.store.put(&[Write { key: note, version: 1, body: Some(Vec::new()) }]).unwrap();
    let moved =
        || mapping().replace("external_id = \"Sloe_Id__c\"", "external_id = \"Other_Id__c\"");
    let refused = engine.set_mapping(org.id(), moved()).await;
    assert!(matches!(refused, Err(MappingError::NotReady(_))), "{refused:?}");
    // It would lead away from what the org holds.
    register(&engine, event, "Fairfax").await.unwrap();
    org.drained(&engine).await;
    let moved = moved();
    let refused = engine.set_mapping(org.id(), moved).await;
    assert!(matches!(refused, Err(MappingError::Moved(_))), "{refused:?}");
    engine.stop().await;
    drop(engine);

    let engine = start(&place, None);
    let kept = engine.registry().by_id(org.id()).unwrap();
    assert_eq!(kept.mapping.text(), other, "a restart changes nothing");
    engine.stop().await;
}

/// Overwrites what is stored of the org's mapping, as another version of Sloe might.
fn store_mapping(place: &Place, text: &str) {
    let all = place.store.scan(Range::All(Collection::Mappings), None, 10).unwrap();
    let (key, document) = all.into_iter().next().unwrap();
    let mut stored: Json = serde_json::from_slice(&document.body).unwrap();
    stored["before"] = stored["current"].take();
    stored["current"] = json!({ "text": text, "since": 0 });
    let body = Some(serde_json::to_vec(&stored).unwrap());
    place.store.put(&[Write { key, version: document.version + 1, body }]).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_changes_at_once_the_second_is_refused_and_the_first_stands() {
    let (org, place) = (Org::seeded(&seed()).await, place());
    // It looks at nothing that others store meanwhile.
    let engine = start(&place, None);
    connect(&engine, &org, &place, Some(mapping())).await.unwrap();
    let first = mapping().replace("__Short_Description__c", "__Venue_Name__c");
    store_mapping(&place, &first);
    let second = mapping().replace("[attendee.constants]", "[attendee.constants]\n# mine");
    let refused = engine.set_mapping(org.id(), second).await;
    let Err(MappingError::Store(why)) = refused else { panic!("{refused:?}") };
    assert!(why.to_string().contains("changed elsewhere at the same moment"), "{why}");
    let known = || engine.registry().by_id(org.id()).unwrap();
    assert_eq!(known().mapping.text(), mapping());
    engine.stop().await;
    drop(engine);
    let engine = start(&place, None);
    assert_eq!(engine.registry().by_id(org.id()).unwrap().mapping.text(), first);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_mapping_that_cannot_be_read_leaves_the_last_good_one_in_force_and_says_so() {
    let (org, place) = (Org::seeded(&seed()).await, place());
    let engine = start(&place, Some(hasty(2_000)));
    connect(&engine, &org, &place, Some(mapping())).await.unwrap();
    shown(&engine, gala(&org)).await;
    store_mapping(&place, &mapping().replace("format = 1", "format = 7"));
    let known = || engine.registry().by_id(org.id()).unwrap();
    until("it is noticed", async || known().mapping.trouble.is_some()).await;
    assert_eq!(known().mapping.text(), mapping());
    let trouble = known().mapping.trouble.clone().unwrap();
    assert!(trouble.contains("format is 7") && trouble.contains("last good one"), "{trouble}");
    // It is served as before.
    register(&engine, gala(&org), "Adele").await.unwrap();
    org.drained(&engine).await;
    assert_eq!(attendees(&org).await.len(), 1);
    engine.stop().await;
    drop(engine);

    // After a start, without memory, the one before it is the last good one, and
    // going back is what puts it right.
    let engine = start(&place, Some(hasty(2_000)));
    let known = || engine.registry().by_id(org.id()).unwrap();
    assert_eq!(known().mapping.text(), mapping());
    assert!(known().mapping.trouble.is_some());
    engine.set_mapping_back(org.id()).await.unwrap();
    assert_eq!((known().mapping.text(), &known().mapping.trouble), (&*mapping(), &None));
    // Another node mends it.
    let mended = mapping().replace("__Short_Description__c", "__Venue_Name__c");
    store_mapping(&place, &mended);
    until("it is taken up", async || known().mapping.text() == mended).await;
    assert_eq!(known().mapping.trouble, None);
    until("the page follows", async || shown(&engine, gala(&org)).await.summary == "Great Hall")
        .await;
    engine.stop().await;
}
