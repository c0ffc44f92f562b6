//! Every refusal that the state of things can cause.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod caller;
mod support;

use axum::body::Body;
use axum::http::Method;
use caller::{Caller, at, lines, person, placed};
use serde_json::json;
use sloe_core::catalog::Snapshot;
use sloe_core::inbound::{Field, Value as Raw};
use sloe_core::license::Status;
use sloe_store::faulty::{Call, Fault, Plan};
use support::{Draft, Site, faulty, text};

/// Both ways to take seats are refused alike.
async fn refused(caller: &Caller, event: &Snapshot, status: u16, name: &str) -> serde_json::Value {
    let before = caller.journals();
    let one = caller.post(&at(event, "holds"), &lines(event, 1)).await.refused(status, name);
    let people = json!({"attendees": [person(event, 1)]});
    let other = caller.post(&at(event, "registrations"), &people).await.refused(status, name);
    assert_eq!(one["detail"], other["detail"]);
    assert_eq!(caller.journals(), before);
    one
}

fn in_hours(caller: &Caller, hours: i64) -> Raw {
    text(caller.site.engine.now().plus_millis(hours * 3_600_000).to_rfc3339())
}

#[tokio::test]
async fn what_is_sold_out_names_every_pool_with_what_is_left() {
    let caller = Caller::new().await;
    let event =
        caller.publish(&Draft { seats: Some(2), sessions: vec![1, 9], ..Draft::default() }).await;
    let people = json!({"attendees": [person(&event, 1), person(&event, 2), person(&event, 3)]});
    let problem = caller.post(&at(&event, "registrations"), &people).await.refused(409, "sold-out");
    let session = event.sessions[0].id.to_string();
    assert_eq!(
        problem["pools"],
        json!([
            {"pool": "event", "asked": 3, "left": 2},
            {"pool": "session", "id": session, "name": "Session 0", "asked": 3, "left": 1},
        ])
    );
}

#[tokio::test]
async fn an_event_that_takes_nobody_says_why() {
    let caller = Caller::new().await;
    let opens = in_hours(&caller, 24);
    let event =
        caller.publish(&Draft { fields: vec![(Field::OpensAt, opens)], ..Draft::default() }).await;
    let problem = refused(&caller, &event, 409, "not-yet-open").await;
    assert_eq!(problem["opens_at"], event.opens_at.unwrap().to_rfc3339());
    let closed = vec![(Field::ClosesAt, in_hours(&caller, -1))];
    let event = caller.publish(&Draft { n: 2, fields: closed, ..Draft::default() }).await;
    refused(&caller, &event, 409, "closed").await;
    let cancelled = vec![(Field::Status, text("Cancelled"))];
    let event = caller.publish(&Draft { n: 3, fields: cancelled, ..Draft::default() }).await;
    refused(&caller, &event, 409, "cancelled").await;
    let told = caller.get(&format!("/api/v1/events/{}", event.id)).await.is(200);
    assert_eq!(told["status"], "cancelled");
    let hidden = vec![(Field::Published, Raw::Bool(false))];
    let event = caller.publish(&Draft { n: 4, fields: hidden, ..Draft::default() }).await;
    refused(&caller, &event, 404, "unpublished").await;
    caller.get(&format!("/api/v1/events/{}", event.id)).await.refused(404, "unpublished");
    caller.get(&at(&event, "availability")).await.refused(404, "unpublished");
    let over =
        vec![(Field::StartsAt, in_hours(&caller, -2)), (Field::EndsAt, in_hours(&caller, -1))];
    let event = caller.publish(&Draft { n: 5, fields: over, ..Draft::default() }).await;
    refused(&caller, &event, 409, "over").await;
}

#[tokio::test]
async fn an_org_without_a_live_license_takes_nobody_but_keeps_its_word() {
    let caller = Caller::new().await;
    let event = caller.publish(&Draft::default()).await;
    let hold = caller.post(&at(&event, "holds"), &lines(&event, 1)).await.is(201);
    caller.site.license(Status::Suspended);
    refused(&caller, &event, 403, "license-inactive").await;
    let confirm = format!("/api/v1/holds/{}/confirm", hold["id"].as_str().unwrap());
    let made = caller.post(&confirm, &json!({"attendees": [placed(1)]})).await.is(201);
    let order = format!("/api/v1/orders/{}", made["order"].as_str().unwrap());
    caller.get(&order).await.is(200);
    caller.delete(&order).await.is(200);
}

#[tokio::test]
async fn an_expired_hold_is_taken_again_or_says_what_is_gone() {
    let caller = Caller::new().await;
    let event = caller.publish(&Draft { seats: Some(2), ..Draft::default() }).await;
    let hold = caller.post(&at(&event, "holds"), &lines(&event, 1)).await.is(201);
    let other = caller.post(&at(&event, "holds"), &lines(&event, 1)).await.is(201);
    caller.site.clock.advance(11 * 60);
    let confirm = |hold: &serde_json::Value| {
        format!("/api/v1/holds/{}/confirm", hold["id"].as_str().unwrap())
    };
    let body = json!({"attendees": [placed(1)]});
    caller.post(&confirm(&hold), &body).await.is(201);
    caller
        .post(&at(&event, "registrations"), &json!({"attendees": [person(&event, 1)]}))
        .await
        .is(201);
    let problem = caller.post(&confirm(&other), &body).await.refused(410, "hold-expired");
    assert_eq!(problem["pools"], json!([{"pool": "event", "asked": 1, "left": 0}]));
    let released = format!("/api/v1/holds/{}", other["id"].as_str().unwrap());
    caller.delete(&released).await.is(204);
}

#[tokio::test]
async fn a_hold_that_ended_otherwise_says_how() {
    let caller = Caller::new().await;
    let event = caller.publish(&Draft::default()).await;
    let hold = caller.post(&at(&event, "holds"), &lines(&event, 1)).await.is(201);
    let path = format!("/api/v1/holds/{}", hold["id"].as_str().unwrap());
    caller.delete(&path).await.is(204);
    let confirm = format!("{path}/confirm");
    let body = json!({"attendees": [placed(1)]});
    caller.post(&confirm, &body).await.refused(409, "hold-released");
    let hold = caller.post(&at(&event, "holds"), &lines(&event, 1)).await.is(201);
    let path = format!("/api/v1/holds/{}", hold["id"].as_str().unwrap());
    caller.post(&format!("{path}/confirm"), &body).await.is(201);
    caller.delete(&path).await.refused(409, "already-confirmed");
}

#[tokio::test]
async fn tokens_open_only_what_they_were_made_for() {
    let caller = Caller::new().await;
    let event = caller.publish(&Draft::default()).await;
    let hold = caller.post(&at(&event, "holds"), &lines(&event, 1)).await.is(201);
    let hold = hold["id"].as_str().unwrap();
    let body = json!({"attendees": [placed(1)]});
    let made = caller.post(&format!("/api/v1/holds/{hold}/confirm"), &body).await.is(201);
    let order = made["order"].as_str().unwrap();
    let code = made["tickets"][0]["code"].as_str().unwrap();
    let before = caller.journals();
    let forged = format!("{}{}", &order[..63], if order.ends_with('0') { '1' } else { '0' });
    let id = event.id.to_string();
    for token in [hold, code, &forged, &id, "%FF", "%00", "..", "x"] {
        caller.get(&format!("/api/v1/orders/{token}")).await.refused(404, "not-found");
        caller.delete(&format!("/api/v1/orders/{token}")).await.refused(404, "not-found");
        caller.delete(&format!("/api/v1/orders/{token}/tickets/1")).await.refused(404, "not-found");
    }
    for token in [order, code, &forged, &id, "%FF", "%00", "x"] {
        caller.delete(&format!("/api/v1/holds/{token}")).await.refused(404, "not-found");
        caller
            .post(&format!("/api/v1/holds/{token}/confirm"), &body)
            .await
            .refused(404, "not-found");
    }
    for token in [order, hold, "%FF", "x", &"z".repeat(26)] {
        caller.get(&format!("/api/v1/events/{token}")).await.refused(404, "not-found");
        caller.get(&format!("/api/v1/events/{token}/availability")).await.refused(404, "not-found");
        let holds = format!("/api/v1/events/{token}/holds");
        caller.post(&holds, &lines(&event, 1)).await.refused(404, "not-found");
        let registrations = format!("/api/v1/events/{token}/registrations");
        let people = json!({"attendees": [person(&event, 1)]});
        caller.post(&registrations, &people).await.refused(404, "not-found");
    }
    assert_eq!(caller.journals(), before);
    assert_eq!(caller.get(&format!("/api/v1/orders/{order}")).await.is(200)["status"], "confirmed");
}

#[tokio::test]
async fn what_an_address_cannot_do_is_told_with_what_it_can() {
    let caller = Caller::new().await;
    let answer = caller.send(Method::PUT, "/api/v1/orders/x", &[], Body::empty()).await;
    answer.refused(405, "method-not-allowed");
    let allowed = answer.headers["allow"].to_str().unwrap();
    assert!(allowed.contains("GET") && allowed.contains("DELETE"), "{allowed}");
    caller.get("/api/v1/events/x/holds").await.refused(405, "method-not-allowed");
    for path in
        ["/api/v1/nothing", "/api/v1/nothing/at/all", "/api", "/hooks/other", "/api/v2/events/x"]
    {
        let found = caller::send(&caller.site.app, Method::GET, path, &[], Body::empty()).await;
        assert_eq!(found.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_store_that_takes_nothing_is_told_as_not_accepted() {
    let (store, _engine, app, event, _directory) = faulty().await;
    store.set_plan(Plan::new().always(Call::Append, Fault::Refused));
    let body = || Body::from(json!({"attendees": [person(&event, 1)]}).to_string());
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    let path = at(&event, "registrations");
    let answer = caller::send(&app, Method::POST, &path, &headers, body()).await;
    let told = answer.refused(503, "not-accepted");
    assert!(told["detail"].as_str().unwrap().contains("does not answer"), "{told}");
    assert_eq!(answer.headers["retry-after"], "2");
    store.set_plan(Plan::new());
    caller::send(&app, Method::POST, &path, &headers, body()).await.is(201);
}

#[tokio::test]
async fn a_store_whose_answers_are_lost_makes_no_second_order() {
    let (store, _engine, app, event, _directory) = faulty().await;
    store.set_plan(Plan::new().always(Call::Append, Fault::AnswerLost));
    let body = || Body::from(json!({"attendees": [person(&event, 1)]}).to_string());
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    let path = at(&event, "registrations");
    let answer = caller::send(&app, Method::POST, &path, &headers, body()).await;
    if answer.status != 201 {
        answer.refused(503, "outcome-unknown");
        assert_eq!(answer.headers["retry-after"], "1");
    }
    store.set_plan(Plan::new());
    caller::send(&app, Method::POST, &path, &headers, body()).await.is(201);
    let left =
        caller::send(&app, Method::GET, &at(&event, "availability"), &[], Body::empty()).await;
    assert_eq!(left.is(200)["left"], 4);
}

#[tokio::test]
async fn the_site_alone_needs_a_form_of_its_own() {
    let site = Site::new();
    let event = site.publish(&Draft::default()).await;
    let path = format!("/acme/{}/hold", event.slug);
    let form = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("host", "tickets.example.org"),
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://evil.example"),
    ];
    let answer = caller::send(&site.app, Method::POST, &path, &form, Body::empty()).await;
    assert_eq!(answer.status, 403);
    assert!(String::from_utf8_lossy(&answer.body).contains("came from another site"));
    // A script of another site may use the API: it has no cookies to abuse.
    let caller = Caller::of(site).await;
    let headers = [("content-type", "application/json"), ("origin", "https://shop.example")];
    let body = Body::from(lines(&event, 1).to_string());
    let answer = caller.send(Method::POST, &at(&event, "holds"), &headers, body).await;
    answer.is(201);
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    assert!(!answer.headers.contains_key("access-control-allow-credentials"));
}
