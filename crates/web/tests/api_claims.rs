//! The way from an event to an order and back, as programs go it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod caller;
mod support;

use caller::{Caller, at, lines, person, placed};
use serde_json::{Value, json};
use sloe_core::inbound::{Field, Value as Raw};
use sloe_core::license::Status;
use support::{Draft, text};

fn conference() -> Draft {
    Draft { seats: Some(10), sessions: vec![4, 3], ..Draft::default() }
}

#[tokio::test]
async fn an_event_is_told_with_what_is_left() {
    let caller = Caller::new().await;
    let price = vec![(Field::Price, Raw::Number(12.5)), (Field::Currency, text("EUR"))];
    let event = caller.publish(&Draft { item_fields: price, ..conference() }).await;
    let told = caller.get(&format!("/api/v1/events/{}", event.id)).await.is(200);
    assert_eq!(told["id"], event.id.to_string());
    assert_eq!(told["slug"], "spring-meeting");
    assert_eq!(told["name"], "Spring Meeting");
    assert_eq!(told["status"], "scheduled");
    assert_eq!(told["starts_at"], event.starts_at.to_rfc3339());
    assert!(told["starts_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(told["time_zone"], "UTC");
    assert_eq!(told["left"], 10);
    assert_eq!(told["items"][0]["price"], json!({"amount": "12.50", "currency": "EUR"}));
    assert_eq!(told["items"][0]["left"], 10);
    assert_eq!(told["sessions"][1]["left"], 3);
    let unlimited = caller.publish(&Draft { n: 2, seats: None, ..Draft::default() }).await;
    let told = caller.get(&format!("/api/v1/events/{}", unlimited.id)).await.is(200);
    assert_eq!((&told["left"], &told["items"][0]["left"]), (&Value::Null, &Value::Null));
    assert_eq!(told["items"][0]["price"], Value::Null);
}

#[tokio::test]
async fn what_is_left_follows_every_hold_and_release() {
    let caller = Caller::new().await;
    let event = caller.publish(&conference()).await;
    let session = event.sessions[1].id.to_string();
    let body = json!({"lines": [
        {"item": event.items[0].id.to_string(), "quantity": 2, "sessions": [session]},
        {"item": event.items[0].id.to_string(), "quantity": 1},
    ]});
    let hold = caller.post(&at(&event, "holds"), &body).await.is(201);
    let places = hold["places"].as_array().unwrap();
    let told: Vec<_> =
        places.iter().map(|p| (&p["place"], p["sessions"].as_array().unwrap().len())).collect();
    assert_eq!(told, [(&json!(1), 1), (&json!(2), 1), (&json!(3), 0)]);
    assert!(hold["expires_at"].as_str().unwrap() > event.as_of.to_rfc3339().as_str());
    let left = caller.get(&at(&event, "availability")).await.is(200);
    assert_eq!((&left["left"], &left["items"][0]["left"]), (&json!(7), &json!(7)));
    assert_eq!(
        (&left["sessions"][0]["left"], &left["sessions"][1]["left"]),
        (&json!(4), &json!(1))
    );
    let hold = format!("/api/v1/holds/{}", hold["id"].as_str().unwrap());
    assert_eq!(caller.delete(&hold).await.is(204), Value::Null);
    assert_eq!(caller.delete(&hold).await.is(204), Value::Null, "again is no fault");
    let left = caller.get(&at(&event, "availability")).await.is(200);
    assert_eq!(left["left"], 10);
}

#[tokio::test]
async fn a_hold_becomes_an_order_that_can_be_read_and_cancelled() {
    let caller = Caller::new().await;
    let event = caller.publish(&conference()).await;
    let hold = caller.post(&at(&event, "holds"), &lines(&event, 2)).await.is(201);
    let confirm = format!("/api/v1/holds/{}/confirm", hold["id"].as_str().unwrap());
    // Attendees may come in any order: each names its place.
    let made = caller.post(&confirm, &json!({"attendees": [placed(2), placed(1)]})).await.is(201);
    let order = made["order"].as_str().unwrap();
    assert_eq!(made["url"], format!("https://tickets.example.org/order/{order}"));
    assert_eq!(made["reference"].as_str().unwrap().len(), 9);
    assert_eq!(made["tickets"][1]["id"], 2);
    let path = format!("/api/v1/orders/{order}");
    let told = caller.get(&path).await.is(200);
    assert_eq!((&told["order"], &told["event"]), (&made["order"], &json!(event.id.to_string())));
    assert_eq!(told["status"], "confirmed");
    assert_eq!(told["tickets"][1]["last_name"], "Lovelace 2");
    assert_eq!(told["tickets"][1]["email"], "ada2@example.org");
    assert_eq!(told["tickets"][1]["code"], made["tickets"][1]["code"]);
    let told = caller.delete(&format!("{path}/tickets/2")).await.is(200);
    assert_eq!(
        (&told["status"], &told["tickets"][1]["cancelled"]),
        (&json!("confirmed"), &json!(true))
    );
    let told = caller.delete(&path).await.is(200);
    assert_eq!(
        (&told["status"], &told["tickets"][0]["cancelled"]),
        (&json!("cancelled"), &json!(true))
    );
    assert_eq!(caller.delete(&path).await.is(200), told, "again is no fault");
    assert_eq!(caller.get(&at(&event, "availability")).await.is(200)["left"], 10);
    caller.delete(&format!("{path}/tickets/3")).await.refused(404, "not-found");
    caller.delete(&format!("{path}/tickets/x")).await.refused(404, "not-found");
}

#[tokio::test]
async fn a_registration_is_one_call() {
    let caller = Caller::new().await;
    let event = caller.publish(&conference()).await;
    let people = json!({"attendees": [person(&event, 1), person(&event, 2)]});
    let made = caller.post(&at(&event, "registrations"), &people).await.is(201);
    let told =
        caller.get(&format!("/api/v1/orders/{}", made["order"].as_str().unwrap())).await.is(200);
    assert_eq!(told["tickets"][0]["sessions"].as_array().unwrap().len(), 2);
    assert_eq!(told["tickets"][1]["last_name"], "Lovelace 2");
    assert_eq!(caller.get(&at(&event, "availability")).await.is(200)["left"], 8);
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_bytes_and_takes_nothing_more() {
    let caller = Caller::new().await;
    let event = caller.publish(&conference()).await;
    let key = Some("übung 7f3a");
    let first = caller.post_keyed(&at(&event, "holds"), key, &lines(&event, 2)).await;
    let hold = first.is(201)["id"].as_str().unwrap().to_owned();
    let journals = caller.journals();
    let again = caller.post_keyed(&at(&event, "holds"), key, &lines(&event, 2)).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_eq!(caller.journals(), journals);
    caller.post_keyed(&at(&event, "holds"), key, &lines(&event, 1)).await.refused(409, "id-reused");
    // The same key means another thing for another operation.
    let people = json!({"attendees": [person(&event, 1)]});
    let made = caller.post_keyed(&at(&event, "registrations"), key, &people).await;
    let repeated = caller.post_keyed(&at(&event, "registrations"), key, &people).await;
    assert_eq!((made.status, &repeated.body), (201, &made.body));
    let confirm = format!("/api/v1/holds/{hold}/confirm");
    let body = json!({"attendees": [placed(1), placed(2)]});
    let made = caller.post_keyed(&confirm, key, &body).await;
    let repeated = caller.post_keyed(&confirm, key, &body).await;
    assert_eq!((made.status, &repeated.body), (201, &made.body));
    let body = json!({"attendees": [placed(2), placed(1)]});
    let swapped = caller.post_keyed(&confirm, key, &body).await;
    assert_eq!(swapped.body, made.body, "the order of the list means nothing");
    let mut other = placed(1);
    other["first_name"] = json!("Grace");
    let body = json!({"attendees": [other, placed(2)]});
    caller.post_keyed(&confirm, key, &body).await.refused(409, "id-reused");
    caller.post(&confirm, &body).await.refused(409, "already-confirmed");
    assert_eq!(caller.get(&at(&event, "availability")).await.is(200)["left"], 7);
}

#[tokio::test]
async fn a_repeat_gets_the_same_bytes_whatever_has_changed_since() {
    let caller = Caller::new().await;
    let event = caller.publish(&conference()).await;
    let (holds, registrations) = (at(&event, "holds"), at(&event, "registrations"));
    let key = Some("7f3a");
    let seats = json!({"lines": [{
        "item": event.items[0].id.to_string(),
        "quantity": 1,
        "sessions": [event.sessions[0].id.to_string()],
    }]});
    let held = caller.post_keyed(&holds, key, &seats).await;
    let confirm = format!("/api/v1/holds/{}/confirm", held.is(201)["id"].as_str().unwrap());
    let person = json!({"attendees": [person(&event, 1)]});
    let requests =
        [(holds, seats), (confirm, json!({"attendees": [placed(1)]})), (registrations, person)];
    let mut first = Vec::new();
    for (path, body) in &requests {
        let made = caller.post_keyed(path, key, body).await;
        made.is(201);
        first.push(made.body);
    }
    let repeat = async || {
        for ((path, body), first) in requests.iter().zip(&first) {
            let journals = caller.journals();
            let again = caller.post_keyed(path, key, body).await;
            assert_eq!((again.status, &again.body), (201, first));
            let mut other = body.clone();
            let list = if path.ends_with("holds") { "lines" } else { "attendees" };
            let twice = other[list].as_array_mut().unwrap();
            twice.push(twice[0].clone());
            if path.ends_with("confirm") {
                twice[1]["place"] = json!(2);
            }
            caller.post_keyed(path, key, &other).await.refused(409, "id-reused");
            assert_eq!(caller.journals(), journals);
        }
    };
    repeat().await;
    caller.site.license(Status::Suspended);
    repeat().await;
    caller.site.license(Status::Active);
    caller.site.clock.advance(5);
    let item_fields = vec![(Field::Active, Raw::Bool(false))];
    caller.publish(&Draft { sessions: vec![], item_fields, ..conference() }).await;
    repeat().await;
    let (holds, seats) = &requests[0];
    let new = caller.post_keyed(holds, Some("new"), seats).await;
    new.has_faults(&[("/lines/0/item", "unknown"), ("/lines/0/sessions", "unknown")]);
}

#[tokio::test]
async fn a_list_is_paged_and_shows_upcoming_public_events_only() {
    let caller = Caller::new().await;
    for n in 1..=5 {
        caller.publish(&Draft { n, name: format!("Talk {n}"), ..Draft::default() }).await;
    }
    let hidden = vec![(Field::Published, Raw::Bool(false))];
    caller.publish(&Draft { n: 6, fields: hidden, ..Draft::default() }).await;
    let now = caller.site.engine.now();
    let ago = |hours: i64| text(now.plus_millis(-hours * 3_600_000).to_rfc3339());
    let past = vec![(Field::StartsAt, ago(5)), (Field::EndsAt, ago(1))];
    caller.publish(&Draft { n: 7, fields: past, ..Draft::default() }).await;
    let mut found = Vec::new();
    let mut path = "/api/v1/orgs/acme/events?limit=2".to_owned();
    loop {
        let page = caller.get(&path).await.is(200);
        let names = page["data"].as_array().unwrap().iter();
        found.push(
            names.map(|event| event["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>(),
        );
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/orgs/acme/events?limit=2&after={next}");
    }
    assert_eq!(found, [vec!["Talk 1", "Talk 2"], vec!["Talk 3", "Talk 4"], vec!["Talk 5"]]);
    let all = caller.get("/api/v1/orgs/acme/events").await.is(200);
    assert_eq!((all["data"].as_array().unwrap().len(), &all["next"]), (5, &Value::Null));
    assert_eq!(all["data"][0]["items"][0]["left"], 5);
    let refused = caller.get("/api/v1/orgs/acme/events?limit=0&after=x&page=2").await;
    refused.has_faults(&[("limit", "range"), ("after", "cursor"), ("page", "unknown-parameter")]);
    caller.get("/api/v1/orgs/nobody/events").await.refused(404, "not-found");
}
