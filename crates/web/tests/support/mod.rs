//! What the site's tests share: a real engine on a store in a temporary
//! directory, an organizer with an event, a clock that tests turn, and a
//! browser that keeps cookies but runs no script.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use sloe_core::catalog::Snapshot;
use sloe_core::ids::{EventRef, OrgId, SfId};
use sloe_core::inbound::{Field, RawEvent, RawRecord, Value};
use sloe_core::license::{License, Status};
use sloe_core::time::Timestamp;
use sloe_engine::clock::{Machine, World};
use sloe_engine::engine::{Engine, LEDGER_BYTES, Options};
use sloe_engine::seal::Key;
use sloe_engine::tenant::Profile;
use sloe_salesforce::{Credentials, Flow};
use sloe_store::api::Store;
use sloe_store::embedded::Embedded;
use sloe_store::faulty::{Faulty, Plan};
use sloe_web::state::{AppState, Settings};
use tower::ServiceExt;

/// The machine's clock, turned by as much as a test likes.
#[derive(Default)]
pub struct Clock(AtomicI64);

impl Clock {
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }
}

struct Turned(Arc<Clock>);

impl World for Turned {
    fn now(&self) -> Timestamp {
        Machine.now().plus_millis(self.0.0.load(Ordering::SeqCst))
    }

    fn id(&self) -> u128 {
        Machine.id()
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), getrandom::Error> {
        Machine.random(bytes)
    }
}

/// A whole site with one organizer.
pub struct Site {
    pub engine: Engine,
    pub app: Router,
    pub clock: Arc<Clock>,
    pub store: Arc<Embedded>,
    pub org: OrgId,
    _directory: tempfile::TempDir,
}

pub fn org_id() -> OrgId {
    OrgId::parse("00D000000000001").unwrap()
}

pub fn record(kind: &str, n: u32) -> SfId {
    SfId::parse(&format!("{kind}{n:012}")).unwrap()
}

impl Site {
    /// With an organizer `acme` who has no event yet.
    pub fn new() -> Self {
        Self::with(Settings {
            public_url: Some("https://tickets.example.org".into()),
            rate: None,
            ..Settings::default()
        })
    }

    /// The same site after its process has ended and begun again.
    pub async fn restarted(self) -> Self {
        self.engine.stop().await;
        let engine = start(&self.store, &self.clock);
        let app = sloe_web::app(AppState::new(engine.clone(), Settings::default(), None));
        Self { engine, app, ..self }
    }

    pub fn with(settings: Settings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(Embedded::open(directory.path()).unwrap());
        let clock = Arc::new(Clock::default());
        let engine = start(&store, &clock);
        let profile =
            Profile { slug: "acme".into(), name: "Acme Events".into(), ..Profile::default() };
        let flow = Flow::ClientCredentials {
            client_id: "sloe".into(),
            client_secret: "secret".to_owned().into(),
        };
        let credentials = Credentials { login_url: "http://127.0.0.1:9".into(), flow };
        engine.registry().connect(&*store, org_id(), profile, credentials).unwrap();
        let app = sloe_web::app(AppState::new(engine.clone(), settings, None));
        let site = Self { engine, app, clock, store, org: org_id(), _directory: directory };
        site.license(Status::Active);
        site
    }

    pub fn license(&self, status: Status) {
        let license = License { number: "L-1".into(), status, expires_at: None };
        self.engine.registry().licenses.replace(&*self.store, self.org, &[license]).unwrap();
    }

    /// Publishes what an org would answer for event `n`.
    pub async fn publish(&self, event: &Draft) -> Arc<Snapshot> {
        let raw = event.raw(self.engine.now());
        self.engine.apply_refresh(self.org, raw).await.unwrap();
        let at = EventRef { org: self.org, event: record("a00", event.n) };
        self.engine.event(at.public_id()).unwrap().1
    }

    pub fn browser(&self) -> Browser {
        Browser::of(&self.app)
    }
}

fn start(store: &Arc<Embedded>, clock: &Arc<Clock>) -> Engine {
    Engine::start(Options {
        store: Arc::clone(store) as Arc<dyn Store>,
        master_key: Key::new([7; 32]),
        world: Arc::new(Turned(Arc::clone(clock))),
        ledger_bytes: LEDGER_BYTES,
        workers: None,
    })
    .unwrap()
}

/// What its store is, an engine on it, everything the public can reach, and an event.
pub type Failing = (Arc<Faulty<Embedded>>, Engine, Router, Arc<Snapshot>, tempfile::TempDir);

/// A site whose store fails as planned.
pub async fn faulty() -> Failing {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Faulty::new(Embedded::open(directory.path()).unwrap(), Plan::new()));
    let engine = Engine::start(Options {
        store: Arc::clone(&store) as Arc<dyn Store>,
        master_key: Key::new([7; 32]),
        world: Arc::new(Machine),
        ledger_bytes: LEDGER_BYTES,
        workers: None,
    })
    .unwrap();
    let profile = Profile { slug: "acme".into(), name: "Acme".into(), ..Profile::default() };
    let flow =
        Flow::ClientCredentials { client_id: "x".into(), client_secret: "y".to_owned().into() };
    let credentials = Credentials { login_url: "http://127.0.0.1:9".into(), flow };
    let org = org_id();
    engine.registry().connect(&*store, org, profile, credentials).unwrap();
    let license = License { number: "L".into(), status: Status::Active, expires_at: None };
    engine.registry().licenses.replace(&*store, org, &[license]).unwrap();
    let draft = Draft::default();
    engine.apply_refresh(org, draft.raw(engine.now())).await.unwrap();
    let at = EventRef { org, event: record("a00", draft.n) };
    let event = engine.event(at.public_id()).unwrap().1;
    let settings = Settings { rate: None, ..Settings::default() };
    let app = sloe_web::app(AppState::new(engine.clone(), settings, None));
    (store, engine, app, event, directory)
}

/// An event as its organizer wrote it: one free item, and sessions an hour
/// long one after the other.
#[derive(Clone)]
pub struct Draft {
    pub n: u32,
    pub name: String,
    pub seats: Option<u32>,
    pub sessions: Vec<u32>,
    pub fields: Vec<(Field, Value)>,
    pub item_fields: Vec<(Field, Value)>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            n: 1,
            name: "Spring Meeting".into(),
            seats: Some(5),
            sessions: vec![],
            fields: vec![],
            item_fields: vec![],
        }
    }
}

pub fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

impl Draft {
    pub fn raw(&self, now: Timestamp) -> RawEvent {
        let at = |hours: i64| text(now.plus_millis(hours * 3_600_000).to_rfc3339());
        let mut fields = BTreeMap::from([
            (Field::Name, text(&self.name)),
            (Field::StartsAt, at(720)),
            (Field::EndsAt, at(744)),
            (Field::Published, Value::Bool(true)),
        ]);
        fields.extend(self.seats.map(|seats| (Field::Limit, Value::Number(seats.into()))));
        fields.extend(self.fields.clone());
        let mut item = BTreeMap::from([(Field::Name, text("Free ticket"))]);
        item.extend(self.item_fields.clone());
        let session = |(i, seats): (u32, &u32)| RawRecord {
            id: record("a02", self.n * 100 + i),
            fields: BTreeMap::from([
                (Field::Name, text(format!("Session {i}"))),
                (Field::StartsAt, at(720 + i64::from(i))),
                (Field::EndsAt, at(721 + i64::from(i))),
                (Field::Limit, Value::Number((*seats).into())),
            ]),
        };
        RawEvent {
            event: RawRecord { id: record("a00", self.n), fields },
            items: vec![RawRecord { id: record("a01", self.n * 100), fields: item }],
            sessions: (0..).zip(&self.sessions).map(session).collect(),
            external_total: 0,
            external_by_item: Vec::new(),
            external_by_session: Vec::new(),
            cancelled: Vec::new(),
            as_of: now,
        }
    }
}

/// What came back.
pub struct Page {
    pub status: StatusCode,
    pub headers: axum::http::HeaderMap,
    pub body: String,
}

impl Page {
    /// Where a redirect leads.
    pub fn location(&self) -> &str {
        assert!(self.status.is_redirection(), "{} {}", self.status, self.body);
        self.headers[header::LOCATION].to_str().unwrap()
    }

    /// A hidden field's value.
    pub fn hidden(&self, name: &str) -> String {
        let mark = format!("name=\"{name}\" value=\"");
        let at = self.body.find(&mark).unwrap_or_else(|| panic!("no {name} in {}", self.body))
            + mark.len();
        self.body[at..].split('"').next().unwrap().to_owned()
    }

    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(self.body.contains(text), "{:?} is not in\n{}", text, self.body);
        self
    }

    #[track_caller]
    pub fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self
    }
}

/// Keeps cookies, follows nothing by itself.
#[derive(Clone)]
pub struct Browser {
    app: Router,
    pub cookies: BTreeMap<String, String>,
}

impl Browser {
    pub fn of(app: &Router) -> Self {
        Self { app: app.clone(), cookies: BTreeMap::new() }
    }

    pub async fn get(&mut self, path: &str) -> Page {
        self.send(Request::get(path), Body::empty()).await
    }

    /// Sends a form as our own page would.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin");
        self.send(request, Body::from(body.finish())).await
    }

    pub async fn send(&mut self, request: axum::http::request::Builder, body: Body) -> Page {
        let cookies: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = request.header(header::HOST, "tickets.example.org").body(body).unwrap();
        if !cookies.is_empty() {
            request.headers_mut().insert(header::COOKIE, cookies.join("; ").parse().unwrap());
        }
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            let (name, rest) = text.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if text.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Page {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// As a real browser: opens the event's page, and what it links.
    pub async fn open_event(&mut self, path: &str) -> Page {
        let page = self.get(path).await;
        if page.body.contains("/assets/visitor.css") {
            self.get("/assets/visitor.css").await;
        }
        page
    }
}
