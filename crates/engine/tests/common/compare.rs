//! An org with a few orders, and comparisons of it with what it was sent.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use sloe_engine::claims::{Confirmed, RequestId};
use sloe_engine::engine::Engine;
use sloe_engine::sync::{Letter, LetterFilter};
use sloe_engine::verify::Verified;
use sloe_engine::worker;

use super::org::{Org, hasty, until};
use super::{Place, person, start};

pub const EXPECTED: &str = "an org with a few orders, all sent";

pub async fn begin(place: &Place, orders: usize) -> (Org, Engine, Vec<Confirmed>) {
    begin_with(place, hasty(2_000), orders).await
}

pub async fn begin_with(
    place: &Place,
    settings: worker::Settings,
    orders: usize,
) -> (Org, Engine, Vec<Confirmed>) {
    let org = Org::start().await;
    let engine = start(place, Some(settings));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    let mut all = Vec::new();
    for n in 0..orders {
        let people = [person(&engine, org.event(), n)];
        let event = org.event().public_id();
        all.push(engine.register(event, &RequestId::Fresh, &people).await.unwrap());
    }
    settled(&org, &engine).await;
    (org, engine, all)
}

/// Waits until the org has all rows and figures.
pub async fn settled(org: &Org, engine: &Engine) {
    org.drained(engine).await;
    until("the figures are told", async || {
        let sold = engine.availability(org.event()).await.unwrap().left;
        let found = org.records("SELECT Remaining__c FROM Sloe_Event__c").await;
        found[0]["Remaining__c"].as_f64() == sold.map(f64::from)
    })
    .await;
}

pub async fn verify(org: &Org, engine: &Engine) -> Verified {
    let asked = engine.now();
    engine.request_verify(org.id()).unwrap();
    let mut last = None;
    until("it is compared", async || {
        last = engine.last_verify(org.id()).await.unwrap().filter(|last| last.began >= asked);
        last.is_some() && !engine.is_verifying(org.id())
    })
    .await;
    last.expect(EXPECTED)
}

pub fn found(verified: &Verified) -> BTreeMap<&'static str, (u64, u64)> {
    let all = verified.differences.iter();
    all.map(|(difference, found)| (difference.name(), (found.found, found.mended))).collect()
}

pub async fn clean(org: &Org, engine: &Engine) -> Verified {
    settled(org, engine).await;
    let verified = verify(org, engine).await;
    assert!(verified.is_clean(), "{verified:?}");
    verified
}

pub async fn key(engine: &Engine, order: &Confirmed) -> String {
    engine.order_by_token(&order.token).await.unwrap().claim.attendee_key(1)
}

pub async fn record(org: &Org, key: &str) -> Json {
    let all = org.attendees().await;
    all.into_iter().find(|record| record["Sloe_Id__c"] == key).expect(EXPECTED)
}

pub fn id(record: &Json) -> &str {
    record["Id"].as_str().unwrap()
}

pub async fn letters(engine: &Engine, org: &Org) -> Vec<Letter> {
    engine.letters(org.id(), &LetterFilter::default(), None, 500).await.unwrap().letters
}
