//! What is made from the journal, and what is destroyed beside it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::org::{hasty, until};
use common::{Clock, connect, event, now, org_id, person, place, raw, start, start_on};
use sloe_core::ids::ClaimId;
use sloe_core::inbound::{Field, Value};
use sloe_engine::claims::RequestId;
use sloe_engine::engine::Engine;
use sloe_engine::{replay, worker};
use sloe_store::api::{Document, Store};
use sloe_store::key::{Collection, Key, Range};

async fn register(engine: &Engine, emails: &[&str]) -> String {
    let people: Vec<_> = (0..)
        .zip(emails)
        .map(|(n, email)| {
            let mut person = person(engine, event(org_id(1)), n);
            person.1.email = (*email).to_owned();
            person
        })
        .collect();
    let id = event(org_id(1)).public_id();
    engine.register(id, &RequestId::Fresh, &people).await.unwrap().token
}

async fn begin(place: &common::Place, workers: Option<worker::Settings>) -> Engine {
    let engine = start(place, workers);
    connect(&engine, &*place.store, org_id(1), "acme", "http://127.0.0.1:9");
    engine.apply_refresh(org_id(1), raw(1, "Event", Some(50), 2)).await.unwrap();
    engine
}

fn orders(store: &dyn Store) -> Vec<(Key, Document)> {
    let all = |collection| store.scan(Range::All(collection), None, usize::MAX).unwrap();
    [all(Collection::Orders), all(Collection::Projections)].concat()
}

#[tokio::test]
async fn orders_made_anew_from_the_journal_are_the_same_to_the_byte() {
    let place = place();
    let engine = begin(&place, Some(hasty(2_000))).await;
    let mut tokens = Vec::new();
    for n in 0..20 {
        tokens.push(register(&engine, &[&format!("a{n}@b.co"), &format!("c{n}@b.co")]).await);
    }
    // A session more, and one gone: numbers of records shift.
    let mut changed = raw(1, "Event", Some(60), 3);
    changed.sessions.remove(0);
    engine.apply_refresh(org_id(1), changed).await.unwrap();
    for (n, token) in (0_u16..).zip(&tokens).take(8) {
        engine.cancel(token, (n % 2 == 0).then_some(1)).await.unwrap();
    }
    tokens.push(register(&engine, &["z@b.co"]).await);
    engine.erase_person(org_id(1), "a9@b.co").await.unwrap();
    let latest = place.store.journals().unwrap()[0].1;
    until("orders are projected", async || {
        let documents = orders(&*place.store);
        documents.iter().any(|(key, document)| {
            key.collection() == Collection::Projections && document.version == latest
        })
    })
    .await;
    engine.stop().await;
    let before = orders(&*place.store);
    assert_eq!(before.len(), 22);
    worker::rebuild(&*place.store).unwrap();
    assert_eq!(orders(&*place.store), before);
}

#[tokio::test]
async fn a_person_is_erased_from_every_order_and_nobody_else_is() {
    let place = place();
    let engine = begin(&place, None).await;
    let both = register(&engine, &["Ada@Example.org", "grace@example.org"]).await;
    let alone = register(&engine, &["ada@example.org"]).await;
    let receipt = engine.erase_person(org_id(1), " ADA@example.ORG ").await.unwrap();
    assert_eq!((receipt.orders, receipt.attendees, receipt.references.len()), (2, 2, 2));
    assert!(!format!("{receipt:?}").to_lowercase().contains("ada"));
    let order = engine.order_by_token(&both).await.unwrap();
    assert_eq!(order.tickets[0].attendee, None);
    assert_eq!(order.tickets[1].attendee.as_ref().unwrap().email, "grace@example.org");
    assert!(order.tickets.iter().all(|ticket| ticket.cancelled.is_none()));
    let order = engine.order_by_token(&alone).await.unwrap();
    assert_eq!(place.store.sealed(event(org_id(1)), order.claim).unwrap(), None);
    let again = engine.erase_person(org_id(1), "ada@example.org").await.unwrap();
    assert_eq!((again.orders, again.attendees), (0, 0));
    engine.stop().await;
}

/// One order of an event, and looks at what is past its retention, days apart.
struct Kept {
    place: common::Place,
    clock: Arc<Clock>,
    claim: ClaimId,
}

impl Kept {
    async fn new() -> Self {
        let (place, clock) = (place(), Arc::new(Clock::default()));
        let engine = begin(&place, None).await;
        let token = register(&engine, &["ada@example.org"]).await;
        let claim = engine.order_by_token(&token).await.unwrap().claim;
        engine.stop().await;
        Self { place, clock, claim }
    }

    /// Whether the next look, so many days on, leaves the order's data there.
    async fn after(&self, days: i64) -> bool {
        self.clock.advance_days(days);
        let store = Arc::clone(&self.place.store) as Arc<dyn Store>;
        let engine = start_on(store, Arc::clone(&self.clock) as _, Some(hasty(2_000)));
        until("retention was looked at", async || engine.runs().contains_key("retention")).await;
        let runs = engine.runs();
        assert_eq!(runs["retention"].fault, None);
        engine.stop().await;
        let keys = self.place.store.scan(Range::All(Collection::EventKeys), None, 9).unwrap();
        let sealed = self.place.store.sealed(event(org_id(1)), self.claim).unwrap();
        assert_eq!(keys.len(), usize::from(sealed.is_some()), "both go together");
        sealed.is_some()
    }

    /// Lets the event end so many days from the machine's now.
    async fn move_to(&self, days: i64) {
        let engine = start(&self.place, None);
        let mut moved = raw(1, "Event", Some(50), 2);
        let at = |days: i64| Value::Text(now().plus_millis(days * 86_400_000).to_rfc3339());
        moved.event.fields.insert(Field::StartsAt, at(days - 1));
        moved.event.fields.insert(Field::EndsAt, at(days));
        engine.apply_refresh(org_id(1), moved).await.unwrap();
        engine.stop().await;
    }
}

#[tokio::test]
async fn personal_data_ends_with_its_retention() {
    let kept = Kept::new().await;
    // The event ends in 31 days; its data is kept for 90 more.
    assert!(kept.after(31 + 81).await);
    for day in 82..90 {
        assert!(kept.after(1).await, "day {day}");
    }
    assert!(!kept.after(1).await, "the first look after 90 days");
    let engine = start(&kept.place, None);
    let (_, snapshot) = engine.event(event(org_id(1)).public_id()).unwrap();
    assert_eq!(snapshot.name, "Event");
    engine.stop().await;
}

#[tokio::test]
async fn a_date_that_was_typed_wrong_can_be_put_right_for_a_week() {
    let kept = Kept::new().await;
    assert!(kept.after(0).await);
    kept.move_to(-400).await;
    assert!(kept.after(0).await);
    assert!(kept.after(6).await);
    kept.move_to(31).await;
    assert!(kept.after(2).await);
    // Wrong again, then wrong in another way: the week begins anew.
    kept.move_to(-400).await;
    assert!(kept.after(0).await);
    assert!(kept.after(5).await);
    kept.move_to(-300).await;
    assert!(kept.after(5).await);
    assert!(kept.after(6).await);
    assert!(!kept.after(1).await);
}

#[tokio::test]
async fn an_event_s_history_tells_everything_but_who() {
    let place = place();
    let engine = begin(&place, None).await;
    let token = register(&engine, &["ada@example.org", "grace@example.org"]).await;
    engine.cancel(&token, Some(2)).await.unwrap();
    engine.stop().await;
    let mut out = Vec::new();
    let name = event(org_id(1)).public_id().to_string();
    replay::print(&*place.store, &name, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[1].contains("terms: published") && lines[1].contains("left 50"), "{text}");
    assert!(lines[2].contains("confirmed: 2 × item") && lines[2].contains("sold 2, left 48"));
    assert!(lines[3].contains("place 2 cancelled by its holder") && lines[3].contains("left 49"));
    for secret in ["ada", "grace", "First", "Last"] {
        assert!(!text.contains(secret), "{secret} is in\n{text}");
    }
    assert!(replay::print(&*place.store, "a00000000000009", &mut Vec::new()).is_err());
}
