//! The same request, the same answer, whatever has changed since it was made.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;

use common::{Place, connect, event, license, org_id, person, place, raw, record, start};
use sloe_core::catalog::{AttendeeForm, FieldRule, Snapshot};
use sloe_core::ids::PublicId;
use sloe_core::inbound::{Field, RawEvent, RawRecord, Value};
use sloe_core::license::{License, Status};
use sloe_engine::claims::{Confirmed, RequestId};
use sloe_engine::engine::Engine;
use sloe_engine::error::Denied;
use sloe_engine::view::{AttendeeInput, Choice};
use sloe_store::api::Store;
use sloe_store::key::{Collection, Range};

fn given(id: &str) -> RequestId {
    RequestId::Given(id.to_owned())
}

/// What was asked of an event when everything was in order, and what came of it.
struct Asked {
    event: PublicId,
    choice: Choice,
    people: Vec<(Choice, AttendeeInput)>,
    sessions: Vec<Vec<PublicId>>,
    /// A hold that is held.
    hold: String,
    /// A hold that was confirmed, and its order.
    confirmed: (String, Confirmed),
    registered: Confirmed,
}

impl Asked {
    async fn all(engine: &Engine) -> Self {
        let at = event(org_id(1));
        let (event, people) = (at.public_id(), vec![person(engine, at, 1)]);
        let choice = people[0].0.clone();
        let sessions = vec![vec![choice.sessions[1]]];
        let choices = [choice.clone()];
        let hold = engine.hold(event, &given("hold"), &choices).await.unwrap().token;
        let other = engine.hold(event, &RequestId::Fresh, &choices).await.unwrap().token;
        let inputs = [people[0].1.clone()];
        let order = engine.confirm(&other, &given("confirm"), &inputs, Some(&sessions)).await;
        let registered = engine.register(event, &given("register"), &people).await.unwrap();
        let confirmed = (other, order.unwrap());
        Self { event, choice, people, sessions, hold, confirmed, registered }
    }

    /// The same again is answered alike, and something else under the same id is refused.
    async fn again(&self, engine: &Engine) {
        let choices = [self.choice.clone()];
        let hold = engine.hold(self.event, &given("hold"), &choices).await.unwrap();
        assert_eq!((&hold.token, hold.places[0].item), (&self.hold, self.choice.item));
        let two = [self.choice.clone(), self.choice.clone()];
        let other = engine.hold(self.event, &given("hold"), &two).await;
        assert_eq!(other.unwrap_err(), Denied::IdReused);

        let (token, order) = &self.confirmed;
        let inputs = [self.people[0].1.clone()];
        let again = engine.confirm(token, &given("confirm"), &inputs, Some(&self.sessions)).await;
        assert_eq!(again.as_ref(), Ok(order));
        let other = engine.confirm(token, &given("confirm"), &[somebody_else()], None).await;
        assert_eq!(other, Err(Denied::IdReused));

        let again = engine.register(self.event, &given("register"), &self.people).await;
        assert_eq!(again.as_ref(), Ok(&self.registered));
        let people = [(self.choice.clone(), somebody_else())];
        let other = engine.register(self.event, &given("register"), &people).await;
        assert_eq!(other, Err(Denied::IdReused));
    }

    /// The same as new requests, with an id and without.
    async fn anew(&self, engine: &Engine) -> Vec<Denied> {
        let mut denied = Vec::new();
        for id in [given("new"), RequestId::Fresh] {
            let choices = [self.choice.clone()];
            denied.push(engine.hold(self.event, &id, &choices).await.unwrap_err());
            denied.push(engine.register(self.event, &id, &self.people).await.unwrap_err());
        }
        denied
    }
}

fn somebody_else() -> AttendeeInput {
    AttendeeInput {
        first_name: "Grace".to_owned(),
        last_name: "Hopper".to_owned(),
        email: "grace@example.org".to_owned(),
        invitation: String::new(),
    }
}

async fn begin(place: &Place) -> Engine {
    let engine = start(place, None);
    connect(&engine, &*place.store, org_id(1), "acme", "http://127.0.0.1:9");
    engine.apply_refresh(org_id(1), raw(1, "Event", Some(50), 2)).await.unwrap();
    engine
}

fn lapse(engine: &Engine, place: &Place) {
    let lapsed = License { number: "L-1".into(), status: Status::Suspended, expires_at: None };
    engine.registry().licenses.replace(&*place.store, org_id(1), &[lapsed]).unwrap();
}

/// The event with other tickets, and with none of its sessions.
fn without_what_was_taken() -> RawEvent {
    let name = BTreeMap::from([(Field::Name, Value::Text("New ticket".to_owned()))]);
    let items = vec![RawRecord { id: record("a01", 1_999), fields: name }];
    RawEvent { items, ..raw(1, "Event", Some(50), 0) }
}

fn stricter(engine: &Engine, store: &dyn Store) {
    let (org, snapshot) = engine.event(event(org_id(1)).public_id()).unwrap();
    let rule = FieldRule { max_length: 1, required: true };
    let form = AttendeeForm { first_name: rule, last_name: rule, email: rule };
    engine.catalog().publish(store, &org, Snapshot { form, ..Snapshot::clone(&snapshot) }).unwrap();
}

#[tokio::test]
async fn a_repeat_is_answered_as_before_after_the_license_lapsed() {
    let place = place();
    let engine = begin(&place).await;
    let asked = Asked::all(&engine).await;
    let journals = place.store.journals().unwrap();
    lapse(&engine, &place);
    asked.again(&engine).await;
    assert_eq!(asked.anew(&engine).await, vec![Denied::LicenseInactive; 4]);
    assert_eq!(place.store.journals().unwrap(), journals);
    license(&engine, &*place.store, org_id(1));
    asked.again(&engine).await;
    engine.stop().await;
}

#[tokio::test]
async fn a_repeat_is_answered_as_before_after_its_tickets_and_sessions_were_withdrawn() {
    let place = place();
    let engine = begin(&place).await;
    let asked = Asked::all(&engine).await;
    engine.apply_refresh(org_id(1), without_what_was_taken()).await.unwrap();
    let journals = place.store.journals().unwrap();
    asked.again(&engine).await;
    for denied in asked.anew(&engine).await {
        assert!(matches!(denied, Denied::Invalid(_)), "{denied:?}");
    }
    assert_eq!(place.store.journals().unwrap(), journals);
    engine.stop().await;
    // A node that has seen none of it answers the same.
    let engine = start(&place, None);
    asked.again(&engine).await;
    engine.stop().await;
}

#[tokio::test]
async fn a_repeat_is_answered_as_before_after_the_form_became_stricter() {
    let place = place();
    let engine = begin(&place).await;
    let asked = Asked::all(&engine).await;
    stricter(&engine, &*place.store);
    let inputs = [asked.people[0].1.clone()];
    let new = engine.confirm(&asked.hold, &given("confirm"), &inputs, None).await;
    assert!(matches!(new, Err(Denied::Invalid(_))), "{new:?}");
    asked.again(&engine).await;
    engine.stop().await;
}

#[tokio::test]
async fn what_is_denied_anyway_makes_no_key() {
    let place = place();
    let engine = begin(&place).await;
    lapse(&engine, &place);
    let (choice, _) = person(&engine, event(org_id(1)), 1);
    let denied = engine.hold(event(org_id(1)).public_id(), &given("hold"), &[choice]).await;
    assert_eq!(denied.unwrap_err(), Denied::LicenseInactive);
    let keys = place.store.scan(Range::All(Collection::EventKeys), None, 9).unwrap();
    assert_eq!(keys, []);
    engine.stop().await;
}
