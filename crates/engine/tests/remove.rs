//! An org is disconnected for good: nobody sees it any more, nothing personal
//! of it can be read, and should it come back, no seat is sold twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::faults::Faults;
use common::org::{Org, hasty, until};
use common::{Place, license, person, place, start};
use serde_json::json;
use sloe_core::ids::OrgId;
use sloe_engine::claims::{Confirmed, RequestId};
use sloe_engine::engine::Engine;
use sloe_engine::remove::RemoveError;
use sloe_engine::tenant::{Connect, ConnectError, Profile};
use sloe_store::api::{Destination, Store};
use sloe_store::faulty::{Call, Fault, Plan};
use sloe_store::key::{Collection, Key, Range};

async fn connect(engine: &Engine, org: &Org, place: &Place) -> Result<(), ConnectError> {
    let credentials = org.credentials();
    let profile = Profile { slug: "test".into(), name: "Test".into(), ..Profile::default() };
    let connect =
        Connect { profile: profile.into(), credentials, expected: Some(org.id()), mapping: None };
    engine.connect_org(connect).await?;
    license(engine, &*place.store, org.id());
    engine.request_first_refresh(org.id());
    Ok(())
}

async fn register(engine: &Engine, org: &Org, n: usize) -> Confirmed {
    let people = [person(engine, org.event(), n)];
    engine.register(org.event().public_id(), &RequestId::Fresh, &people).await.unwrap()
}

/// Everything stored of an org but its journals, by collection.
fn documents(place: &Place, org: OrgId) -> Vec<String> {
    let of_org = |collection: Collection| {
        let all = place.store.scan(Range::All(collection), None, usize::MAX).unwrap();
        let of_org = all.into_iter().filter(move |(key, _)| key.id().starts_with(org.as_str()));
        of_org.map(move |(key, _)| format!("{} {}", collection.name(), key.local_id()))
    };
    Collection::ALL.into_iter().flat_map(of_org).collect()
}

/// How many vault entries there are of an org's orders.
fn vault(place: &Place, org: &Org) -> usize {
    let batches = place.store.read(org.event(), 0, usize::MAX).unwrap();
    let claims = batches.iter().flat_map(|batch| &batch.facts).filter_map(|fact| match fact {
        sloe_core::fact::Fact::Confirmed { claim, .. } => Some(*claim),
        _ => None,
    });
    claims.filter(|claim| place.store.sealed(org.event(), *claim).unwrap().is_some()).count()
}

async fn gone(engine: &Engine, place: &Place, org: &Org) {
    until("nothing is left but the license", async || {
        // As the worker does, without its pauses.
        engine.finish_removals().await.unwrap();
        documents(place, org.id()) == [format!("licenses {}", org.id())]
    })
    .await;
    assert_eq!(vault(place, org), 0);
    let read = Key::platform(&format!("read {}", org.id()));
    assert_eq!(place.store.get(&read).unwrap(), None);
}

async fn left(engine: &Engine, org: &Org) -> Option<u32> {
    engine.availability(org.event()).await.unwrap().left
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_org_is_seen_by_nobody_and_its_seats_stay_sold_should_it_come_back() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    connect(&engine, &org, &place).await.unwrap();
    org.shown(&engine).await;
    let order = register(&engine, &org, 1).await;
    org.drained(&engine).await;
    assert_eq!((vault(&place, &org), left(&engine, &org).await), (1, Some(999)));

    let with = engine.remove_org(org.id(), false).await.unwrap();
    assert_eq!((with.events, with.all_sent()), (1, true));
    // At once, whatever is still stored.
    assert!(engine.registry().by_id(org.id()).is_none());
    assert!(engine.registry().by_slug("test").is_none());
    assert!(engine.event(org.event().public_id()).is_err());
    assert!(engine.order_by_token(&order.token).await.is_err());
    assert!(matches!(engine.remove_org(org.id(), true).await, Err(RemoveError::NotFound)));
    gone(&engine, &place, &org).await;
    assert_eq!(org.attendees().await.len(), 1, "what the org has is the org's");

    // It comes back: under the same name, with the seats that were sold.
    connect(&engine, &org, &place).await.unwrap();
    org.shown(&engine).await;
    assert_eq!(left(&engine, &org).await, Some(999));
    until("the old order is known", async || engine.order_by_token(&order.token).await.is_ok())
        .await;
    let known = engine.order_by_token(&order.token).await.unwrap();
    assert!(known.tickets.iter().all(|ticket| ticket.attendee.is_none()), "it names nobody");
    register(&engine, &org, 2).await;
    // Whoever had the old order may still give the seat back.
    engine.cancel(&order.token, None).await.unwrap();
    org.drained(&engine).await;
    let mut rows: Vec<_> = org.attendees().await;
    rows.sort_by_key(|row| row["Last_Name__c"].as_str().unwrap().to_owned());
    let rows: Vec<_> =
        rows.iter().map(|row| (&row["Last_Name__c"], &row["Registration_Status__c"])).collect();
    assert_eq!(
        rows,
        [(&json!("Last1"), &json!("Cancelled")), (&json!("Last2"), &json!("Registered"))]
    );
    assert_eq!(left(&engine, &org).await, Some(999));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_org_that_has_not_got_everything_stays_unless_it_must_go() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    connect(&engine, &org, &place).await.unwrap();
    org.shown(&engine).await;
    org.faults(json!({ "outage": true })).await;
    register(&engine, &org, 1).await;
    let refused = engine.remove_org(org.id(), false).await;
    let Err(RemoveError::Unsent(with)) = refused else { panic!("{refused:?}") };
    assert_eq!((with.events, with.unsent_events), (1, 1));
    assert!(engine.event(org.event().public_id()).is_ok(), "it is served as before");

    engine.remove_org(org.id(), true).await.unwrap();
    let again = connect(&engine, &org, &place).await;
    assert!(again.is_err(), "the org is dark");
    org.faults(json!({})).await;
    gone(&engine, &place, &org).await;
    for destination in [Destination::Org, Destination::Mail] {
        assert_eq!(place.store.pending(destination).unwrap(), []);
    }
    connect(&engine, &org, &place).await.unwrap();
    org.shown(&engine).await;
    register(&engine, &org, 2).await;
    org.drained(&engine).await;
    let names: Vec<_> = org.attendees().await.iter().map(|r| r["Last_Name__c"].clone()).collect();
    assert_eq!(names, ["Last2"], "what was given up is not sent without its details");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_a_crash_interrupts_goes_on_at_the_next_start() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    connect(&engine, &org, &place).await.unwrap();
    org.shown(&engine).await;
    register(&engine, &org, 1).await;
    org.drained(&engine).await;
    until("no mail waits", async || place.store.pending(Destination::Mail).unwrap().is_empty())
        .await;
    engine.stop().await;
    drop(engine);

    // Nothing runs that would delete: as if the process ended with the first commit.
    let engine = start(&place, None);
    engine.remove_org(org.id(), false).await.unwrap();
    engine.stop().await;
    drop(engine);
    let stored = documents(&place, org.id());
    assert!(stored.iter().any(|name| name.starts_with("snapshots ")), "{stored:?}");
    let document = place.store.get(&Key::org(org.id())).unwrap().unwrap();
    let body = String::from_utf8(document.body).unwrap();
    assert!(!body.contains("key") && !body.contains("test"), "{body}");

    let engine = start(&place, None);
    assert!(engine.registry().by_id(org.id()).is_none());
    assert!(engine.event(org.event().public_id()).is_err());
    assert!(engine.finish_removals().await.unwrap(), "a second look must find nothing");
    assert!(!engine.finish_removals().await.unwrap());
    gone(&engine, &place, &org).await;

    // Whoever connects it again at once does not wait for anybody.
    connect(&engine, &org, &place).await.unwrap();
    engine.remove_org(org.id(), false).await.unwrap();
    connect(&engine, &org, &place).await.unwrap();
    assert!(engine.registry().by_id(org.id()).is_some());
    engine.stop().await;
}

/// The org's people clean up once it has left: what they deleted stays deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_an_org_deleted_while_it_was_away_are_not_made_anew_without_their_names() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    connect(&engine, &org, &place).await.unwrap();
    org.shown(&engine).await;
    register(&engine, &org, 1).await;
    org.drained(&engine).await;
    engine.remove_org(org.id(), false).await.unwrap();
    gone(&engine, &place, &org).await;
    // As if they were gone from the recycle bin, too: nothing there has Sloe's ids or takes a seat.
    let kept = async |object: &str| {
        org.records(&format!("SELECT Id FROM {object} WHERE Sloe_Id__c != null")).await
    };
    let objects = ["Sloe_Attendee__c", "Sloe_Session_Attendee__c"];
    for object in objects {
        for row in kept(object).await {
            let gone = json!({ "Sloe_Id__c": null, "Registration_Status__c": "Cancelled" });
            org.change(object, row["Id"].as_str().unwrap(), gone).await;
        }
    }
    connect(&engine, &org, &place).await.unwrap();
    org.shown(&engine).await;
    let compared = async || {
        let asked = engine.now();
        engine.request_verify(org.id()).unwrap();
        until("it is compared", async || {
            let last = engine.last_verify(org.id()).await.unwrap();
            last.is_some_and(|last| last.began >= asked) && !engine.is_verifying(org.id())
        })
        .await;
        engine.last_verify(org.id()).await.unwrap().unwrap()
    };
    let first = compared().await;
    assert_eq!((first.rows, first.found()), (3, 3), "{first:?}");
    until("nothing differs any more", async || compared().await.is_clean()).await;
    org.drained(&engine).await;
    for object in objects {
        assert_eq!(kept(object).await.len(), 0, "{object}");
    }
    let state = engine.sync_state(org.id()).await.unwrap();
    assert_eq!((state.dead_letters, state.conflicts), (0, 0), "{state:?}");
    assert_eq!(left(&engine, &org).await, Some(999), "the seat stays sold");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_registration_is_acknowledged_and_lost_while_its_org_is_being_removed() {
    let (org, place) = (Org::start().await, Faults::new());
    let engine = place.engine(Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    org.drained(&engine).await;
    let begin = |n: usize| {
        let (engine, event) = (engine.clone(), org.event());
        let people = [person(&engine, event, n)];
        tokio::spawn(
            async move { engine.register(event.public_id(), &RequestId::Fresh, &people).await },
        )
    };
    // The org lacks nothing, and a registration is being written down.
    place.store.set_plan(Plan::new().at(Call::Append, 1, Fault::Delayed));
    let under_way = begin(1);
    let store = Arc::clone(&place.store);
    tokio::task::spawn_blocking(move || store.wait_until_delayed(1)).await.unwrap();
    let (of, id) = (engine.clone(), org.id());
    let mut removing = tokio::spawn(async move { of.remove_org(id, false).await });
    let early = tokio::time::timeout(std::time::Duration::from_millis(500), &mut removing).await;
    assert!(early.is_err(), "it is gone before the registration is: {early:?}");
    let too_late = begin(2);
    place.store.release();
    assert!(under_way.await.unwrap().is_ok());
    match removing.await.unwrap() {
        // On a busy machine it looks only when the registration is there already.
        Err(RemoveError::Unsent(_)) => {
            org.drained(&engine).await;
            engine.remove_org(org.id(), false).await.unwrap();
        }
        removed => drop(removed.unwrap()),
    }
    // It came before or after the org was closed, and was told so.
    let acknowledged = 1 + usize::from(too_late.await.unwrap().is_ok());
    assert_eq!(org.attendees().await.len(), acknowledged);
    let gone = engine.event(org.event().public_id());
    assert!(gone.is_err(), "nobody may register with an org that is gone");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_org_that_can_t_be_removed_takes_registrations_as_before() {
    let (org, place) = (Org::start().await, Faults::new());
    let engine = place.engine(Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    org.drained(&engine).await;
    // What comes in while it is being removed can't reach it.
    org.faults(json!({ "outage": true })).await;
    place.store.set_plan(Plan::new().at(Call::Append, 1, Fault::Delayed));
    let (of, event, people) = (engine.clone(), org.event(), [person(&engine, org.event(), 1)]);
    let under_way =
        tokio::spawn(
            async move { of.register(event.public_id(), &RequestId::Fresh, &people).await },
        );
    let store = Arc::clone(&place.store);
    tokio::task::spawn_blocking(move || store.wait_until_delayed(1)).await.unwrap();
    let (of, id) = (engine.clone(), org.id());
    let mut removing = tokio::spawn(async move { of.remove_org(id, false).await });
    let early = tokio::time::timeout(std::time::Duration::from_millis(500), &mut removing).await;
    assert!(early.is_err(), "it did not wait for the registration: {early:?}");
    place.store.release();
    assert!(under_way.await.unwrap().is_ok());
    assert!(matches!(removing.await.unwrap(), Err(RemoveError::Unsent(_))));
    register(&engine, &org, 2).await;
    org.faults(json!({})).await;
    org.drained(&engine).await;
    assert_eq!(org.attendees().await.len(), 2);
    engine.stop().await;
}
