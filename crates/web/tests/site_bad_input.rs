//! What the site answers to forms, ids and headers that none of its pages
//! sends: a page that says what is wrong, and nothing is taken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::type_complexity)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Request, header};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sloe_core::catalog::Snapshot;
use sloe_core::ids::{EventRef, OrgId};
use sloe_engine::tenant::Profile;
use sloe_salesforce::{Credentials, Flow};
use sloe_store::api::Store;
use sloe_web::state::Settings;
use support::{Browser, Draft, Page, Site};
use tower::ServiceExt;

const EVENT: &str = "/acme/spring-meeting";
const FORM: &str = "application/x-www-form-urlencoded";

/// An event with two sessions, a hold of two places on it, and an order.
struct Doors {
    site: Site,
    event: Arc<Snapshot>,
    hold: String,
    order: String,
}

impl Doors {
    async fn new() -> Self {
        let site = Site::new();
        let draft = Draft { seats: Some(100), sessions: vec![40, 40], ..Draft::default() };
        let event = site.publish(&draft).await;
        let hold = take(&mut site.browser(), &event, "2").await;
        let other = take(&mut site.browser(), &event, "1").await;
        let fields = [("first-1", "Ada"), ("last-1", "Lovelace"), ("email-1", "ada@example.org")];
        let order = site.browser().post(&format!("/checkout/{other}"), &fields).await;
        let order = order.is(303).location().trim_start_matches("/order/").to_owned();
        Self { site, event, hold, order }
    }

    /// Every address that takes a form.
    fn paths(&self) -> [String; 4] {
        [
            format!("{EVENT}/hold"),
            format!("/checkout/{}", self.hold),
            format!("/checkout/{}/release", self.hold),
            format!("/order/{}/cancel", self.order),
        ]
    }

    fn journals(&self) -> Vec<(EventRef, u64)> {
        self.site.store.journals().unwrap()
    }
}

/// The token of a hold taken as a browser would.
async fn take(browser: &mut Browser, event: &Snapshot, quantity: &str) -> String {
    let name = format!("qty-{}", event.items[0].id);
    let held = browser.post(&format!("{EVENT}/hold"), &[(&name, quantity)]).await;
    held.is(303).location().trim_start_matches("/checkout/").to_owned()
}

fn own(path: &str) -> axum::http::request::Builder {
    Request::post(path).header("sec-fetch-site", "same-origin").header(header::CONTENT_TYPE, FORM)
}

/// Fails unless the answer is a refusal of the asker's doing, in words.
#[track_caller]
fn refused(page: &Page, what: &str) {
    assert!(page.status.is_client_error(), "{what}: {} {}", page.status, page.body);
    assert!(page.body.contains("<h1"), "{what}: {}", page.body);
}

#[tokio::test]
async fn tokens_open_only_what_they_were_made_for() {
    let doors = Doors::new().await;
    let before = doors.journals();
    let (hold, order, id) = (&doors.hold, &doors.order, doors.event.id.to_string());
    let last = if order.ends_with('0') { '1' } else { '0' };
    let forged = format!("{}{last}", &order[..63]);
    let long = "0".repeat(8_000);
    let mut browser = doors.site.browser();
    for token in [order.as_str(), &forged, &id, "%ff", "%00", "..", "%2e%2e%2fhold", "é", &long] {
        let token = token.replace('é', "%C3%A9");
        for path in ["", "/change"] {
            refused(&browser.get(&format!("/checkout/{token}{path}")).await, &token);
        }
        for path in ["", "/release"] {
            refused(&browser.post(&format!("/checkout/{token}{path}"), &[]).await, &token);
        }
    }
    for token in [hold.as_str(), &forged, &id, "%ff", "%00", "..", "%2e%2e%2fhold", &long] {
        refused(&browser.get(&format!("/order/{token}/event.ics")).await, token);
        refused(&browser.get(&format!("/order/{token}")).await, token);
        refused(&browser.post(&format!("/order/{token}/cancel"), &[]).await, token);
    }
    for path in ["/assets/%ff", "/assets/..%2fsite.css", "/assets/org/%ff.css", "/problems/%ff"] {
        refused(&browser.get(path).await, path);
    }
    assert_eq!(doors.journals(), before);
}

#[tokio::test]
async fn a_hold_of_another_event_or_org_is_none_here() {
    let mut doors = Doors::new().await;
    let site = &mut doors.site;
    let second = site.publish(&Draft { n: 2, name: "Other".into(), ..Draft::default() }).await;
    let theirs = OrgId::parse("00D000000000002").unwrap();
    let profile = Profile { slug: "other".into(), name: "Other".into(), ..Profile::default() };
    let flow = Flow::ClientCredentials {
        client_id: "sloe".into(),
        client_secret: "secret".to_owned().into(),
    };
    let credentials = Credentials { login_url: "http://127.0.0.1:9".into(), flow };
    site.engine.registry().connect(&*site.store, theirs, profile, credentials).unwrap();
    let ours = std::mem::replace(&mut site.org, theirs);
    let foreign = site.publish(&Draft { sessions: vec![5, 5], ..Draft::default() }).await;
    site.org = ours;
    let hold = format!("{EVENT}/hold");
    let before = doors.journals();
    let (qty, item) = ("qty-".to_owned(), doors.event.items[0].id.to_string());
    let (qty, their_qty) = (qty.clone() + &item, qty + &foreign.items[0].id.to_string());
    let session = foreign.sessions[0].id.to_string();
    let mut browser = doors.site.browser();
    let page = browser.post(&hold, &[(&qty, "1"), ("session", &session)]).await;
    page.is(422).says("A session you chose is not offered any more.");
    browser.post(&hold, &[(&their_qty, "1")]).await.is(422).says("not offered any more");
    // The other org's event in our address, and ours in theirs.
    refused(&browser.post("/other/nothing/hold", &[(&their_qty, "1")]).await, "unknown event");
    browser.post("/other/spring-meeting/hold", &[(&their_qty, "1")]).await.is(403);
    browser.post("/other/spring-meeting/hold", &[(&qty, "1")]).await.is(422);
    let confirm = [
        ("first-1", "Ada"),
        ("last-1", "Lovelace"),
        ("email-1", "ada@example.org"),
        ("first-2", "Grace"),
        ("last-2", "Hopper"),
        ("email-2", "grace@example.org"),
        ("sessions", "each"),
        ("session-2", &session),
    ];
    let page = browser.post(&format!("/checkout/{}", doors.hold), &confirm).await;
    page.is(422).says("This event has no session");
    assert_eq!(doors.journals(), before);
    // A hold of ours does not stand for one of another event: that one is new, and ours stays.
    let theirs = format!("qty-{}", second.items[0].id);
    let fields = [(theirs.as_str(), "1"), ("hold", doors.hold.as_str())];
    let held = browser.post("/acme/other/hold", &fields).await;
    assert_ne!(held.is(303).location(), format!("/checkout/{}", doors.hold));
    browser.get(&format!("/checkout/{}", doors.hold)).await.is(200).says("Person 2");
}

#[tokio::test]
async fn a_form_that_is_not_ours_is_refused_with_what_is_wrong() {
    let doors = Doors::new().await;
    let before = doors.journals();
    let (checkout, cancel) =
        (format!("/checkout/{}", doors.hold), format!("/order/{}/cancel", doors.order));
    let session = doors.event.sessions[0].id.to_string();
    let long = "k".repeat(256);
    let huge = "x".repeat(5_000);
    let good = [
        ("first-1", "Ada"),
        ("last-1", "Lovelace"),
        ("email-1", "ada@example.org"),
        ("first-2", "Grace"),
        ("last-2", "Hopper"),
        ("email-2", "grace@example.org"),
    ];
    let cases: [(&[(&str, &str)], u16, &str); 16] = [
        (&[("first-1", "Eve")], 400, "“first-1” is not a field"),
        (&[("first-3", "Eve")], 400, "“first-3” is not a field"),
        (&[("first-0", "Eve")], 400, "“first-0” is not a field"),
        (&[("first-01", "Eve")], 400, "“first-01” is not a field"),
        (&[("first-99999999999999999999", "Eve")], 400, "“first-9999"),
        (&[("first", "Eve")], 400, "“first” is not a field"),
        (&[("", "")], 400, "“” is not a field"),
        (&[("place", "1"), ("admin", "yes")], 400, "“admin” is not a field"),
        (&[("sessions", "some")], 400, "can’t be “some”"),
        (&[("sessions", "same"), ("sessions", "each")], 400, "“sessions” is not a field"),
        (&[("key", &long)], 400, "“key” is not a field"),
        (&[("key", "a"), ("key", "b")], 400, "“key” is not a field"),
        (&[("session-1", "none")], 400, "“session-1” is not a field"),
        (
            &[("sessions", "each"), ("session-1", &session), ("session-1", &session)],
            422,
            "is chosen twice",
        ),
        (&[("a", &huge), ("b", &huge)], 400, "“b” is not a field"),
        (&[("<script>", "<script>")], 400, "“&#60;script&#62;”"),
    ];
    let mut browser = doors.site.browser();
    for (more, status, said) in cases {
        let fields = [&good[..], more].concat();
        let page = browser.post(&checkout, &fields).await;
        page.is(status).says(&said.replace('’', "'").replace("can't", "can&#39;t"));
        assert!(page.body.len() < 64 * 1024);
    }
    // All that is wrong with details is said at once.
    let bad = [
        ("first-1", "A\u{0}da"),
        ("last-1", huge.as_str()),
        ("email-1", "ada@@example.org"),
        ("first-2", "  "),
        ("email-2", "grace@localhost"),
    ];
    let page = browser.post(&checkout, &bad).await;
    page.is(422).says("There are 6 things to put right");
    for fields in [&[("place", "")][..], &[("place", "1"), ("place", "2")], &[("all", "1")]] {
        browser.post(&cancel, fields).await.is(400).says("place");
    }
    assert_eq!(doors.journals(), before);
}

#[tokio::test]
async fn a_thousand_faults_make_a_bounded_page() {
    let doors = Doors::new().await;
    let before = doors.journals();
    let many = |field: &dyn Fn(usize) -> String| -> String {
        (0..1_500).map(field).collect::<Vec<_>>().join("&")
    };
    let id = doors.event.items[0].id;
    let unknown = |n: usize| format!("qty-{n:026}=1");
    let bodies = [
        many(&unknown),
        many(&|_| format!("qty-{id}=x")),
        many(&|n| format!("f{n}=1")),
        many(&|n| format!("session=x{n}")),
        "&".repeat(60_000),
        "=&".repeat(30_000),
    ];
    let mut browser = doors.site.browser();
    for body in bodies {
        for path in doors.paths().iter().take(2) {
            let page = browser.send(own(path), Body::from(body.clone())).await;
            refused(&page, &body[..30]);
            assert!(page.body.len() < 128 * 1024, "{} for {}", page.body.len(), &body[..30]);
        }
    }
    assert_eq!(doors.journals(), before);
}

#[tokio::test]
async fn a_form_that_is_late_or_breaks_off_is_the_sender_s_fault() {
    let settings =
        Settings { rate: None, deadline: Duration::from_millis(40), ..Settings::default() };
    let site = Site::with(settings);
    site.publish(&Draft::default()).await;
    let mut browser = site.browser();
    let never = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let page = browser.send(own(&format!("{EVENT}/hold")), Body::from_stream(never)).await;
    page.is(408).says("took too long").says("Nothing was booked");
    let broken = futures::stream::iter([
        Ok(b"qty-".to_vec()),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ]);
    let page = browser.send(own(&format!("{EVENT}/hold")), Body::from_stream(broken)).await;
    page.is(400).says("broke off");
}

#[tokio::test]
async fn headers_that_are_no_text_break_nothing() {
    let doors = Doors::new().await;
    let before = doors.journals();
    let odd = || HeaderValue::from_bytes(b"\xff\xfe=\x80; sloe_visitor=\xff").unwrap();
    let names = [
        "accept",
        "accept-encoding",
        "accept-language",
        "authorization",
        "content-length",
        "content-type",
        "cookie",
        "host",
        "idempotency-key",
        "if-none-match",
        "origin",
        "referer",
        "sec-fetch-site",
        "user-agent",
        "x-forwarded-for",
        "x-request-id",
        "x-sloe-secret",
    ];
    let pages = [
        "/".to_owned(),
        "/acme".to_owned(),
        EVENT.to_owned(),
        format!("{EVENT}/mine"),
        format!("{EVENT}/resume"),
        format!("/checkout/{}", doors.hold),
        format!("/order/{}", doors.order),
        format!("/order/{}/event.ics", doors.order),
        "/assets/visitor.css".to_owned(),
        "/openapi.json".to_owned(),
        "/api/v1/orgs/acme/events".to_owned(),
    ];
    let answer = async |request: axum::http::request::Builder, name: &str| {
        let mut request = request.body(Body::empty()).unwrap();
        for _ in 0..2 {
            request
                .headers_mut()
                .append(header::HeaderName::from_bytes(name.as_bytes()).unwrap(), odd());
        }
        let response = doors.site.app.clone().oneshot(request).await.unwrap();
        let status = response.status();
        to_bytes(response.into_body(), usize::MAX).await.unwrap();
        status
    };
    for name in names {
        for page in &pages {
            let status = answer(Request::get(page), name).await;
            assert!(status.is_success(), "{name} {page}: {status}");
        }
        for path in [format!("{EVENT}/hold"), format!("/api/v1/events/{}/holds", doors.event.id)] {
            let status = answer(own(&path), name).await;
            assert!(status.is_client_error(), "{name} {path}: {status}");
        }
    }
    assert_eq!(doors.journals(), before);
}

/// Fields as a careless or hostile sender may write them.
fn fields(doors: &Doors) -> impl Strategy<Value = Vec<(String, String)>> + use<> {
    let item = doors.event.items[0].id.to_string();
    let session = doors.event.sessions[0].id.to_string();
    let names = vec![
        format!("qty-{item}"),
        format!("qty-{session}"),
        "session".to_owned(),
        "hold".to_owned(),
        "key".to_owned(),
        "sessions".to_owned(),
        "first-1".to_owned(),
        "last-1".to_owned(),
        "email-1".to_owned(),
        "first-2".to_owned(),
        "last-2".to_owned(),
        "email-2".to_owned(),
        "session-1".to_owned(),
        "session-2".to_owned(),
        "place".to_owned(),
    ];
    let name = prop_oneof![9 => prop::sample::select(names), 1 => any::<String>()];
    let known = vec![
        item,
        session,
        doors.hold.clone(),
        doors.order.clone(),
        "each".to_owned(),
        "same".to_owned(),
        "Ada".to_owned(),
        "ada@example.org".to_owned(),
    ];
    let value = prop_oneof![
        4 => prop::sample::select(known),
        2 => (-2_i64..60).prop_map(|n| n.to_string()),
        2 => any::<String>(),
        1 => "[0-9]{0,30}",
    ];
    prop::collection::vec((name, value), 0..12)
}

#[test]
fn no_form_breaks_a_door_and_none_is_half_taken() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let doors = runtime.block_on(Doors::new());
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&(fields(&doors), 0..2_usize), |(fields, door)| {
        let before = doors.journals();
        let borrowed: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let mut browser = doors.site.browser();
        let page = runtime.block_on(browser.post(&doors.paths()[door], &borrowed));
        let taken = page.status.as_u16() == 303;
        prop_assert!(taken || page.status.is_client_error(), "{} for {fields:?}", page.status);
        prop_assert!(taken || page.body.contains("<h1"), "{}", page.body);
        prop_assert!(taken || doors.journals() == before, "{fields:?}");
        Ok(())
    });
    outcome.unwrap();
}
