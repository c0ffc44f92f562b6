//! Personal links: whoever registers by one is linked to the invited Contact or
//! Lead in the org, and to nobody otherwise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::org::{Org, hasty};
use common::{person, place, start};
use serde_json::{Value, json};
use sloe_core::ids::SfId;
use sloe_engine::claims::RequestId;
use sloe_engine::engine::Engine;
use sloe_engine::error::{Denied, Part};
use sloe_engine::invitation::Invitee;
use sloe_engine::sync::{LetterFilter, Which};

fn token(engine: &Engine, org: &Org, record: &str) -> String {
    let who = Invitee::of(SfId::parse(record).unwrap()).unwrap();
    let link = engine.invite(org.event().public_id(), who).unwrap();
    link.split_once("?invitation=").unwrap().1.to_owned()
}

async fn register(engine: &Engine, org: &Org, n: usize, token: &str) -> Result<(), Denied> {
    let mut people = [person(engine, org.event(), n)];
    token.clone_into(&mut people[0].1.invitation);
    engine.register(org.event().public_id(), &RequestId::Fresh, &people).await.map(drop)
}

/// Contact and Lead of each attendee, by last name.
async fn links(org: &Org) -> Vec<[Value; 2]> {
    let soql = "SELECT Contact__c, Lead__c FROM Sloe_Attendee__c ORDER BY Last_Name__c";
    let rows = org.records(soql).await;
    rows.iter().map(|row| [row["Contact__c"].clone(), row["Lead__c"].clone()]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registrations_carry_the_invited_contact_or_lead_and_others_none() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    let contact = org.create("Contact", json!({ "LastName": "Lovelace" })).await;
    let lead = org.create("Lead", json!({ "LastName": "Turing", "Company": "Bletchley" })).await;
    register(&engine, &org, 1, &token(&engine, &org, &contact)).await.unwrap();
    register(&engine, &org, 2, &token(&engine, &org, &lead)).await.unwrap();
    register(&engine, &org, 3, "").await.unwrap();
    org.drained(&engine).await;
    let none = Value::Null;
    let right = [[json!(contact), none.clone()], [none.clone(), json!(lead)], [none.clone(), none]];
    assert_eq!(links(&org).await, right);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_that_is_gone_keeps_nobody_out_for_long() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    let contact = org.create("Contact", json!({ "LastName": "Lovelace" })).await;
    let invited = token(&engine, &org, &contact);
    org.delete("Contact", &contact).await;
    register(&engine, &org, 1, &invited).await.unwrap();
    org.drained(&engine).await;
    let state = engine.sync_state(org.id()).await.unwrap();
    assert_eq!(state.dead_letters, 3, "the attendee and its two sessions: {state:?}");
    let page = engine.letters(org.id(), &LetterFilter::default(), None, 10).await.unwrap();
    let letter = page.letters.iter().find(|letter| letter.fields == ["Contact__c"]).unwrap();
    assert!(letter.means.contains("Contact or Lead is gone"), "{letter:?}");
    assert!(letter.fix.contains("goes without the Contact or Lead"), "{letter:?}");
    // Sent again, it goes without the link.
    let all = Which::All(LetterFilter::default());
    engine.replay(org.id(), all).await.unwrap();
    org.drained(&engine).await;
    assert_eq!(links(&org).await, [[Value::Null, Value::Null]]);
    assert_eq!(engine.sync_state(org.id()).await.unwrap().dead_letters, 0);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_refused_for_something_else_keeps_the_link_when_sent_again() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    let contact = org.create("Contact", json!({ "LastName": "Lovelace" })).await;
    let rule = json!({
        "row_errors": { "FIELD_CUSTOM_VALIDATION_EXCEPTION": 1.0 }, "objects": ["Sloe_Attendee__c"],
    });
    org.faults(rule).await;
    register(&engine, &org, 1, &token(&engine, &org, &contact)).await.unwrap();
    org.drained(&engine).await;
    assert_eq!(links(&org).await, Vec::<[Value; 2]>::new());
    org.faults(json!({})).await;
    let all = Which::All(LetterFilter::default());
    engine.replay(org.id(), all).await.unwrap();
    org.drained(&engine).await;
    assert_eq!(links(&org).await, [[json!(contact), Value::Null]]);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_altered_invitation_is_named_and_takes_no_seat() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, Some(hasty(2_000)));
    org.connect(&engine, &*place.store);
    org.shown(&engine).await;
    let mut people = [person(&engine, org.event(), 1)];
    people[0].1.invitation = "altered".to_owned();
    people[0].1.email = "nobody".to_owned();
    let event = org.event().public_id();
    let denied = engine.register(event, &RequestId::Fresh, &people).await;
    let Err(Denied::Invalid(faults)) = denied else { panic!("{denied:?}") };
    let named: Vec<_> = faults.iter().map(|fault| (fault.place, fault.part)).collect();
    assert_eq!(named, [(Some(1), Part::Email), (Some(1), Part::Invitation)]);
    let event = SfId::parse("a00000000000001").unwrap();
    assert_eq!(Invitee::of(event), None, "only people are invited");
    engine.stop().await;
}
