//! The storm against a small stand-in for Sloe and its org that can be told
//! to cheat: every kind of cheating must be found out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use sloe_sim::crowd::{self, Arrival, Mix, Mode, Options, OrgAccess, Report, Verdict};

/// How the stand-in deceives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cheat {
    Nothing,
    /// Sells more than there is.
    Oversells,
    /// Acknowledges some orders and forgets them.
    Forgets,
    /// Acknowledges without counting the seats.
    DoesNotCount,
    /// Sends some attendees twice.
    SendsTwice,
    /// Never sends some attendees.
    DoesNotSend,
    /// Takes the registration, then says that it doesn't know.
    Stammers,
}

const SEATS: u64 = 100;

#[derive(Default)]
struct Ledger {
    sold: u64,
    /// By request id: the answer and how often it was asked for.
    answers: HashMap<String, (Value, u32)>,
    orders: HashMap<String, Value>,
    /// E-mail and reference of what the org has.
    arrived: Vec<(String, String)>,
}

#[derive(Clone)]
struct Stand {
    cheat: Cheat,
    ledger: Arc<Mutex<Ledger>>,
    address: Arc<str>,
}

async fn start(cheat: Cheat) -> Stand {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap()).into();
    let stand = Stand { cheat, ledger: Arc::default(), address };
    let router = Router::new()
        .route("/api/v1/orgs/{org}/events", get(events))
        .route("/api/v1/events/{event}", get(event))
        .route("/api/v1/events/{event}/registrations", post(register))
        .route("/api/v1/orders/{order}", get(order))
        .route("/services/oauth2/token", post(token))
        .route("/services/data/v62.0/query", get(query))
        .with_state(stand.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    stand
}

async fn events() -> Response {
    axum::Json(json!({"data": [{"id": "e1", "slug": "party"}], "next": null})).into_response()
}

async fn event(State(stand): State<Stand>) -> Response {
    let sold = stand.ledger.lock().unwrap().sold;
    let left = SEATS.saturating_sub(sold);
    axum::Json(json!({
        "id": "e1", "slug": "party", "name": "Party", "left": left,
        "items": [
            {"id": "i1", "name": "Free", "price": null, "left": null},
            {"id": "i2", "name": "Dear", "price": {"amount": "9.00", "currency": "EUR"}, "left": 5},
        ],
        "sessions": [],
    }))
    .into_response()
}

async fn register(
    State(stand): State<Stand>,
    headers: HeaderMap,
    axum::Json(body): axum::Json<Value>,
) -> Response {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    let mut ledger = stand.ledger.lock().unwrap();
    if let Some((answer, asked)) = ledger.answers.get_mut(&key) {
        *asked += 1;
        return (StatusCode::CREATED, axum::Json(answer.clone())).into_response();
    }
    let people = body["attendees"].as_array().unwrap().clone();
    assert!(people.iter().all(|person| person["item"] == "i1"), "only what is free is asked for");
    let number = ledger.orders.len();
    if ledger.sold + people.len() as u64 > SEATS && stand.cheat != Cheat::Oversells {
        let problem = json!({"type": "/problems/sold-out", "status": 409});
        return (StatusCode::CONFLICT, axum::Json(problem)).into_response();
    }
    if stand.cheat != Cheat::DoesNotCount {
        ledger.sold += people.len() as u64;
    }
    let number = ledger.answers.len().max(number);
    let (order, reference) = (format!("o{number}"), format!("R-{number}"));
    let ticket = |place| json!({"id": place, "code": format!("{number}-{place}")});
    let tickets: Vec<Value> = (1..=people.len()).map(ticket).collect();
    let answer = json!({"order": order, "reference": reference, "url": "/", "tickets": tickets});
    let odd = number % 10 == 3;
    if !(odd && stand.cheat == Cheat::Forgets) {
        ledger.orders.insert(order, answer.clone());
    }
    for person in &people {
        let times = match stand.cheat {
            Cheat::SendsTwice if odd => 2,
            Cheat::DoesNotSend if odd => 0,
            _ => 1,
        };
        let email = person["email"].as_str().unwrap().to_owned();
        for _ in 0..times {
            ledger.arrived.push((email.clone(), reference.clone()));
        }
    }
    ledger.answers.insert(key, (answer.clone(), 1));
    if odd && stand.cheat == Cheat::Stammers {
        let problem = json!({"type": "/problems/outcome-unknown", "status": 503});
        return (StatusCode::SERVICE_UNAVAILABLE, axum::Json(problem)).into_response();
    }
    (StatusCode::CREATED, axum::Json(answer)).into_response()
}

async fn order(State(stand): State<Stand>, Path(order): Path<String>) -> Response {
    match stand.ledger.lock().unwrap().orders.get(&order) {
        Some(order) => axum::Json(order.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn token(State(stand): State<Stand>) -> Response {
    axum::Json(json!({"access_token": "t", "instance_url": &*stand.address})).into_response()
}

async fn query(State(stand): State<Stand>, Query(q): Query<HashMap<String, String>>) -> Response {
    let soql = &q["q"];
    let ledger = stand.ledger.lock().unwrap();
    let records: Vec<Value> = if soql.contains("COUNT()") {
        Vec::new()
    } else if soql.contains("Email__c LIKE 'storm-") {
        let row = |(email, reference): &(String, String)| json!({"Email__c": email, "Order_Reference__c": reference, "Event__c": "a00"});
        ledger.arrived.iter().map(row).collect()
    } else if soql.contains("FROM Sloe_Event__c") {
        vec![json!({"Id": "a00", "Capacity__c": SEATS})]
    } else if soql.contains("GROUP BY Event__c") {
        vec![json!({"Event__c": "a00", "total": ledger.arrived.len()})]
    } else {
        Vec::new()
    };
    let size = ledger.arrived.len();
    axum::Json(json!({"totalSize": size, "done": true, "records": records})).into_response()
}

/// A storm of 150 visitors on 100 seats; the outbox has no time to lose.
async fn storm(stand: &Stand) -> Report {
    let mut options = Options::new(&stand.address, "org/party", 150).unwrap();
    options.seed = 42;
    options.connections = 8;
    options.party = 2;
    options.org = Some(OrgAccess {
        url: stand.address.to_string(),
        client_id: "id".into(),
        client_secret: "secret".into(),
        patience: Duration::ZERO,
    });
    crowd::run(&options, &ProgressBar::hidden()).await.unwrap()
}

fn verdicts(report: &Report) -> Vec<Verdict> {
    report.findings.iter().map(|finding| finding.verdict).collect()
}

const POOLS: usize = 0;
const ORDERS: usize = 1;
const ARRIVED: usize = 2;
const CAPACITY: usize = 3;

#[tokio::test]
async fn an_honest_server_is_proven_right() {
    let stand = start(Cheat::Nothing).await;
    let report = storm(&stand).await;
    assert_eq!(verdicts(&report), [Verdict::Held; 4], "{report}");
    assert!(!report.is_broken());
    assert_eq!(report.visitors, 150);
    assert!((SEATS - 1..=SEATS).contains(&report.attendees), "{report}");
    let refused = report.refused["409 sold-out"];
    assert_eq!(report.registrations + refused, 150);
    assert_eq!(report.requests, 150);
    assert!(report.errors.is_empty() && report.retries.is_empty() && report.unknown == 0);
    let text = report.to_string();
    assert!(text.contains("409 sold-out") && text.contains("holds"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colors where nobody asked for them");
}

#[tokio::test]
async fn every_way_to_cheat_is_found_out() {
    for (cheat, broken) in [
        (Cheat::Oversells, vec![POOLS, CAPACITY]),
        (Cheat::DoesNotCount, vec![POOLS, CAPACITY]),
        (Cheat::Forgets, vec![ORDERS]),
        (Cheat::SendsTwice, vec![ARRIVED, CAPACITY]),
        (Cheat::DoesNotSend, vec![ARRIVED]),
    ] {
        let stand = start(cheat).await;
        let report = storm(&stand).await;
        assert!(report.is_broken());
        let found: Vec<usize> = verdicts(&report)
            .iter()
            .enumerate()
            .filter_map(|(at, verdict)| (*verdict == Verdict::Broken).then_some(at))
            .collect();
        assert_eq!(found, broken, "{report}");
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_asked_again_under_the_same_id() {
    let stand = start(Cheat::Stammers).await;
    let report = storm(&stand).await;
    assert_eq!(verdicts(&report), [Verdict::Held; 4], "{report}");
    let asked_twice =
        stand.ledger.lock().unwrap().answers.values().filter(|(_, asked)| *asked == 2).count();
    assert_eq!(report.retries["503 outcome-unknown"], asked_twice as u64);
    assert!(asked_twice > 0 && report.errors.is_empty());
}

#[tokio::test]
async fn what_can_not_be_done_is_said_by_name() {
    let stand = start(Cheat::Nothing).await;
    let options = Options::new(&stand.address, "org/no-such", 1).unwrap();
    let error = crowd::run(&options, &ProgressBar::hidden()).await.unwrap_err();
    assert!(error.to_string().contains("no event of org has the slug no-such"), "{error}");
    let mut options = Options::new("https://sloe.example", "e1", 1).unwrap();
    let error = crowd::run(&options, &ProgressBar::hidden()).await.unwrap_err();
    assert!(error.to_string().contains("TLS"), "{error}");
    // The stand-in knows no holds.
    options.targets = vec![stand.address.to_string()];
    options.mix = Mix::registrants(Mode::Hold);
    options.arrival = Arrival::Rate(1000.0);
    let report = crowd::run(&options, &ProgressBar::hidden()).await.unwrap();
    assert_eq!(report.errors["404"], 1);
    assert_eq!(report.registrations, 0);
}
