//! A small stand-in for Sloe that can be served by several nodes and told to
//! break its promises.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

/// Seats of the one event.
pub(crate) const SEATS: u64 = 150;

/// What a registration takes where it takes its time.
pub(crate) const DAWDLE: Duration = Duration::from_millis(50);

/// How the stand-in breaks its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cheat {
    Nothing,
    /// Acknowledges more seats than there are.
    Oversells,
    /// Does a repeated request again instead of answering alike.
    Doubles,
    /// Never gives seats of expired holds back.
    KeepsAbandonedSeats,
    /// Shows an order to whoever makes an id up.
    LetsBotsIn,
    /// Breaks on an id that is made up.
    Trips,
    /// Gives one order to two visitors.
    GivesOrdersTwice,
    /// Takes its time for every registration.
    Dawdles,
    /// Acknowledges some orders with a ticket too few.
    ForgetsTickets,
    /// Gives some tickets to somebody else.
    MixesPeopleUp,
    /// Refuses what it has done when it is asked for again.
    RefusesRepeats,
    /// Shows all seats, whatever was sold.
    DoesNotCount,
    /// Can't say what became of any order.
    TooBusyToRead,
    /// Sends a page again that has not changed.
    IgnoresTags,
    /// Breaks a bot's connection instead of answering.
    HangsUpOnBots,
}

struct Claim {
    people: u64,
    until: Instant,
    confirmed: bool,
}

#[derive(Default)]
struct Ledger {
    sold: u64,
    holds: HashMap<String, Claim>,
    answers: HashMap<String, Value>,
    orders: HashMap<String, Value>,
    held: u64,
    /// Requests of the one address that is told.
    forwarded: u64,
    ordered: u64,
}

/// What all nodes share.
#[derive(Clone)]
pub(crate) struct Stand {
    cheat: Cheat,
    lasts: Duration,
    ledger: Arc<Mutex<Ledger>>,
}

/// One node, on threads of its own, so that it can die with all its connections.
pub(crate) struct Node {
    pub(crate) origin: String,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Node {
    /// Ends it, and comes back when no connection of it is left.
    pub(crate) fn die(mut self) {
        let runtime = self.runtime.take().unwrap();
        // Waiting is not allowed on a thread that serves others.
        let ending = std::thread::spawn(|| runtime.shutdown_timeout(Duration::from_secs(60)));
        ending.join().unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Stand {
    pub(crate) fn new(cheat: Cheat) -> Self {
        Self::holding_for(cheat, Duration::from_secs(1))
    }

    pub(crate) fn holding_for(cheat: Cheat, lasts: Duration) -> Self {
        Self { cheat, lasts, ledger: Arc::default() }
    }

    /// The same for a node that breaks its word in another way.
    pub(crate) fn but(&self, cheat: Cheat) -> Self {
        Self { cheat, ..self.clone() }
    }

    /// One more node.
    pub(crate) fn serve(&self) -> Node {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let router = self.router();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
        Node { origin, runtime: Some(runtime) }
    }

    fn router(&self) -> Router {
        Router::new()
            .route("/org/party", get(page))
            .route("/api/v1/orgs/{org}/events", get(events))
            .route("/api/v1/events/{event}", get(event))
            .route("/api/v1/events/{event}/availability", get(event))
            .route("/api/v1/events/{event}/registrations", post(register))
            .route("/api/v1/events/{event}/holds", post(hold))
            .route("/api/v1/holds/{hold}/confirm", post(confirm))
            .route("/api/v1/orders/{order}", get(order))
            .layer(from_fn_with_state(self.clone(), guard))
            .with_state(self.clone())
    }

    /// The ledger, without what has expired.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        let mut ledger = self.ledger.lock().unwrap();
        if self.cheat != Cheat::KeepsAbandonedSeats {
            let now = Instant::now();
            ledger.holds.retain(|_, claim| claim.confirmed || claim.until > now);
        }
        ledger
    }
}

impl Ledger {
    fn left(&self) -> u64 {
        let held = self.holds.values().filter(|claim| !claim.confirmed);
        SEATS.saturating_sub(self.sold + held.map(|claim| claim.people).sum::<u64>())
    }

    fn order(&mut self, stand: &Stand, people: &[Value]) -> Value {
        self.sold += people.len() as u64;
        self.ordered += 1;
        let odd = |cheat| stand.cheat == cheat && self.ordered.is_multiple_of(10);
        let number = self.ordered - u64::from(odd(Cheat::GivesOrdersTwice));
        let email = |person: &Value| match odd(Cheat::MixesPeopleUp) {
            true => json!("somebody@example.org"),
            false => person["email"].clone(),
        };
        let skip = usize::from(odd(Cheat::ForgetsTickets));
        let ticket = |(at, person): (usize, &Value)| {
            let code = format!("{number}-{at}");
            json!({"code": code, "item": "i1", "sessions": [], "email": email(person)})
        };
        let tickets: Vec<Value> = people.iter().enumerate().skip(skip).map(ticket).collect();
        let (order, reference) = (format!("o{number}"), format!("R-{number}"));
        let answer = json!({"order": order, "reference": reference, "tickets": tickets});
        self.orders.insert(order, answer.clone());
        answer
    }
}

/// Requests that one address may make.
const PATIENT: u64 = 100;

/// Refuses what is announced to be too large, and an address that asks too often.
async fn guard(State(stand): State<Stand>, request: Request, next: Next) -> Response {
    if request.headers().contains_key("x-forwarded-for") {
        if stand.cheat == Cheat::HangsUpOnBots {
            // Ends the task that serves the connection, and so the connection, without a word.
            std::panic::resume_unwind(Box::new(()));
        }
        let mut ledger = stand.ledger();
        ledger.forwarded += 1;
        if ledger.forwarded > PATIENT && stand.cheat == Cheat::Nothing {
            let wait = [(header::RETRY_AFTER, "3600")];
            return (StatusCode::TOO_MANY_REQUESTS, wait).into_response();
        }
    }
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > 65_536) {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    next.run(request).await
}

async fn page(State(stand): State<Stand>, headers: HeaderMap) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag == "\"1\"");
    if known && stand.cheat != Cheat::IgnoresTags {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    ([(header::ETAG, "\"1\"")], "<h1>Party</h1>").into_response()
}

async fn events() -> Response {
    axum::Json(json!({"data": [{"id": "e1", "slug": "party"}], "next": null})).into_response()
}

async fn event(State(stand): State<Stand>, Path(event): Path<String>) -> Response {
    if event != "e1" {
        return StatusCode::NOT_FOUND.into_response();
    }
    let left = match stand.cheat {
        Cheat::DoesNotCount => SEATS,
        _ => stand.ledger().left(),
    };
    axum::Json(json!({
        "id": "e1", "slug": "party", "name": "Party <b>&\"'", "left": left,
        "items": [{"id": "i1", "name": "Free", "price": null, "left": null}],
        "sessions": [],
    }))
    .into_response()
}

fn sold_out() -> Response {
    let problem = json!({"type": "/problems/sold-out", "status": 409});
    (StatusCode::CONFLICT, axum::Json(problem)).into_response()
}

/// Does what was not done yet under this key, and answers alike otherwise.
fn once(
    stand: &Stand,
    headers: &HeaderMap,
    make: impl FnOnce(&mut Ledger) -> Option<Value>,
) -> Response {
    let Some(key) = headers.get("idempotency-key").and_then(|key| key.to_str().ok()) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let mut ledger = stand.ledger();
    let known = ledger.answers.get(key).filter(|_| stand.cheat != Cheat::Doubles).cloned();
    if known.is_some() && stand.cheat == Cheat::RefusesRepeats {
        return sold_out();
    }
    let Some(answer) = known.or_else(|| make(&mut ledger)) else { return sold_out() };
    ledger.answers.insert(key.to_owned(), answer.clone());
    (StatusCode::CREATED, axum::Json(answer)).into_response()
}

async fn register(
    State(stand): State<Stand>,
    Path(event): Path<String>,
    headers: HeaderMap,
    axum::Json(body): axum::Json<Value>,
) -> Response {
    let good = |person: &Value| person["item"] == "i1" && person["email"].is_string();
    let people = body["attendees"].as_array().filter(|people| people.iter().all(good));
    let people = people.filter(|people| (1..=16).contains(&people.len()));
    let (Some(people), "e1") = (people, event.as_str()) else {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    };
    if stand.cheat == Cheat::Dawdles {
        tokio::time::sleep(DAWDLE).await;
    }
    once(&stand, &headers, |ledger| {
        let fits = ledger.left() >= people.len() as u64 || stand.cheat == Cheat::Oversells;
        fits.then(|| ledger.order(&stand, people))
    })
}

async fn hold(
    State(stand): State<Stand>,
    headers: HeaderMap,
    axum::Json(body): axum::Json<Value>,
) -> Response {
    let Some(people) = body["lines"][0]["quantity"].as_u64() else {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    };
    once(&stand, &headers, |ledger| {
        if ledger.left() < people && stand.cheat != Cheat::Oversells {
            return None;
        }
        ledger.held += 1;
        let id = format!("h{}", ledger.held);
        let until = Instant::now() + stand.lasts;
        ledger.holds.insert(id.clone(), Claim { people, until, confirmed: false });
        let expires = jiff::Timestamp::now() + stand.lasts;
        Some(json!({"id": id, "expires_at": expires.to_string()}))
    })
}

async fn confirm(
    State(stand): State<Stand>,
    Path(hold): Path<String>,
    headers: HeaderMap,
    axum::Json(body): axum::Json<Value>,
) -> Response {
    let (true, Some(people)) =
        (headers.contains_key("idempotency-key"), body["attendees"].as_array())
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    once(&stand, &headers, |ledger| {
        let claim = ledger.holds.get_mut(&hold)?;
        claim.confirmed = true;
        Some(ledger.order(&stand, people))
    })
}

async fn order(State(stand): State<Stand>, Path(order): Path<String>) -> Response {
    match (stand.ledger().orders.get(&order), stand.cheat) {
        (Some(_), Cheat::TooBusyToRead) => StatusCode::TOO_MANY_REQUESTS.into_response(),
        (Some(order), _) => axum::Json(order.clone()).into_response(),
        (None, Cheat::LetsBotsIn) => axum::Json(json!({"tickets": []})).into_response(),
        (None, Cheat::Trips) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        (None, _) => StatusCode::NOT_FOUND.into_response(),
    }
}
