//! Who may see the staff console, and what it says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, header};
use sloe_core::ids::{ClaimId, EventRef, OrgId, SfId};
use sloe_core::license::Status;
use sloe_engine::clock::Machine;
use sloe_engine::engine::{Engine, LEDGER_BYTES, Options};
use sloe_engine::seal::Key;
use sloe_engine::staff::{IDLE_MILLIS, LINK_MILLIS};
use sloe_engine::sync::LetterFilter;
use sloe_engine::tenant::Profile;
use sloe_salesforce::{Credentials, Flow};
use sloe_store::api::{Store, Write};
use sloe_store::embedded::Embedded;
use sloe_store::faulty::{Faulty, Plan};
use sloe_web::state::{AppState, Settings};
use support::{Browser, Draft, Page, Site};
use tower::ServiceExt;

const MINUTE: i64 = 60;

async fn link(site: &Site) -> String {
    sloe_web::staff::sign_in_path(&site.engine.make_staff_link(LINK_MILLIS).await.unwrap())
}

async fn use_link(browser: &mut Browser, link: &str) -> Page {
    let token = link.rsplit('/').next().unwrap();
    browser.post("/staff/sign-in", &[("token", token)]).await
}

/// A browser that is signed in.
async fn inside(site: &Site) -> Browser {
    let mut browser = site.browser();
    assert_eq!(use_link(&mut browser, &link(site).await).await.location(), "/staff");
    browser
}

fn connect(site: &Site, n: u32, slug: &str, name: &str) {
    let id = OrgId::parse(&format!("00D{n:012}")).unwrap();
    let profile = Profile { slug: slug.into(), name: name.into(), ..Profile::default() };
    let client_secret = "y".to_owned().into();
    let flow = Flow::ClientCredentials { client_id: "x".into(), client_secret };
    let credentials = Credentials { login_url: "http://127.0.0.1:9".into(), flow };
    site.engine.registry().connect(&*site.store, id, profile, credentials).unwrap();
}

/// How many orgs the overview shows.
fn orgs(page: &Page) -> usize {
    page.body.matches("<li class=\"org ").count()
}

#[tokio::test]
async fn nothing_is_told_to_whoever_is_not_signed_in() {
    let site = Site::new();
    let wrong = "0".repeat(52);
    for session in [None, Some(wrong.as_str()), Some("x")] {
        let browser = || {
            let mut browser = site.browser();
            let session = session.map(|session| ("sloe_staff".to_owned(), session.to_owned()));
            browser.cookies.extend(session);
            browser
        };
        let mut pages = Vec::new();
        for path in ["/staff", "/staff/", "/staff/orgs/acme", "/staff/orgs/nobody", "/staff/x/y"] {
            pages.push(browser().get(path).await);
        }
        for action in ["refresh", "replay", "accept", "aside", "compare"] {
            let path = format!("/staff/orgs/acme/{action}");
            pages.push(browser().post(&path, &[("all", "yes")]).await);
        }
        for page in pages {
            page.is(401).says("sloe staff link");
            assert!(!page.body.to_lowercase().contains("acme"), "{}", page.body);
            assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");
            assert_eq!(page.headers[header::REFERRER_POLICY], "no-referrer");
            assert_eq!(page.headers["x-robots-tag"], "noindex");
        }
    }
}

#[tokio::test]
async fn a_link_is_used_by_its_button_and_only_once() {
    let site = Site::new();
    let mut browser = site.browser();
    let path = link(&site).await;
    for _ in 0..3 {
        let door = browser.get(&path).await;
        door.is(200).says("Sign in").says("method=\"post\"");
        assert_eq!(door.headers[header::CACHE_CONTROL], "no-store");
        assert!(door.headers.get(header::SET_COOKIE).is_none(), "looking signs nobody in");
    }
    let signed = use_link(&mut browser, &path).await;
    assert_eq!(signed.location(), "/staff");
    let cookie = signed.headers[header::SET_COOKIE].to_str().unwrap();
    for part in ["sloe_staff=", "; Path=/staff", "; SameSite=Lax", "; HttpOnly", "; Secure"] {
        assert!(cookie.contains(part), "{part} is not in {cookie}");
    }
    browser.get("/staff").await.is(200).says("Acme Events");

    let mut thief = site.browser();
    use_link(&mut thief, &path).await.is(401).says("used already");
    thief.get(&path).await.is(401).says("used already").says("sloe staff link");
    thief.get("/staff").await.is(401);
    assert!(thief.cookies.is_empty());
}

#[tokio::test]
async fn of_those_who_press_at_once_one_is_signed_in() {
    let site = Site::new();
    let path = link(&site).await;
    let token = path.rsplit('/').next().unwrap();
    let press = || site.engine.sign_staff_in(token);
    let (a, b, c) = tokio::join!(press(), press(), press());
    let signed = [a, b, c].into_iter().filter(|signed| signed.as_ref().unwrap().is_ok()).count();
    assert_eq!(signed, 1);
}

#[tokio::test]
async fn links_and_sessions_end_with_their_time() {
    let site = Site::new();
    let path = link(&site).await;
    site.clock.advance(15 * MINUTE);
    let mut late = site.browser();
    late.get(&path).await.is(401).says("time is over");
    use_link(&mut late, &path).await.is(401).says("time is over");

    let mut browser = inside(&site).await;
    let idle = IDLE_MILLIS / 1_000;
    for _ in 0..3 {
        site.clock.advance(idle - MINUTE);
        browser.get("/staff").await.is(200);
    }
    site.clock.advance(idle);
    browser.get("/staff").await.is(401).says("You are signed out");
    assert!(browser.cookies.is_empty(), "a session that is over is forgotten");

    // However busy, nobody stays for longer than a week.
    let mut busy = inside(&site).await;
    for _ in 0..16 {
        site.clock.advance(10 * 60 * MINUTE);
        busy.get("/staff").await.is(200);
    }
    site.clock.advance(10 * 60 * MINUTE);
    busy.get("/staff").await.is(401);
}

#[tokio::test]
async fn signing_out_ends_the_session_wherever_its_cookie_is() {
    let site = Site::new();
    let mut browser = inside(&site).await;
    let mut copy = browser.clone();
    let cookies = copy.cookies.clone();
    browser.post("/staff/sign-out", &[]).await.is(200).says("You are signed out");
    assert!(browser.cookies.is_empty());
    for _ in 0..2 {
        copy.cookies.clone_from(&cookies);
        copy.get("/staff").await.is(401);
        site.clock.advance(10 * MINUTE);
    }
}

#[tokio::test]
async fn forms_of_other_sites_do_nothing() {
    let site = Site::new();
    let mut browser = inside(&site).await;
    for path in ["/staff/sign-out", "/staff/orgs/acme/replay", "/staff/orgs/acme/accept"] {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "cross-site")
            .header(header::ORIGIN, "https://evil.example");
        browser.send(request, Body::from("all=yes")).await.is(403);
    }
    browser.get("/staff").await.is(200);
}

#[tokio::test]
async fn guesses_of_one_address_are_not_looked_at_for_long() {
    let settings = Settings { behind_proxy: true, rate: None, ..Settings::default() };
    let site = Site::with(settings);
    let path = link(&site).await;
    let ask = async |from: &str, path: &str| {
        let request = Request::get(path).header("x-forwarded-for", from);
        site.browser().send(request, Body::empty()).await
    };
    let guess = format!("/staff/sign-in/{}", "1".repeat(52));
    for _ in 0..20 {
        ask("192.0.2.7", &guess).await.is(401);
    }
    ask("192.0.2.7", &path).await.is(429).says("Too many wrong links");
    // What somebody does is not for others to pay.
    ask("192.0.2.8", &path).await.is(200);
}

#[tokio::test]
async fn the_overview_says_what_is_the_matter_and_is_never_green_for_nothing() {
    let site = Site::new();
    let mut browser = inside(&site).await;
    // Nothing was compared, so nothing is in order yet.
    let page = browser.get("/staff").await;
    page.is(200).says("<h1>Catching up</h1>").says("Not compared yet");
    assert!(!page.body.contains("Everything is in order") && !page.body.contains("org is-good"));
    site.license(Status::Suspended);
    site.clock.advance(3);
    let page = browser.get("/staff").await;
    page.says("<bdi>Acme Events</bdi> needs a look")
        .says("takes no new registrations")
        .says("not live");
    browser.get("/staff/orgs/acme").await.is(200).says("Suspended");
    browser.get("/staff/orgs/nobody").await.is(404).says("No such org");
    browser.get("/staff/nothing/here").await.is(404).says("no such page");
}

#[tokio::test]
async fn a_platform_without_orgs_says_how_to_begin_and_one_without_its_store_that_it_can_t_say() {
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(directory.path()).unwrap();
    let store = Arc::new(Faulty::new(store, Plan::new()));
    let engine = Engine::start(Options {
        store: Arc::clone(&store) as Arc<dyn Store>,
        master_key: Key::new([7; 32]),
        world: Arc::new(Machine),
        ledger_bytes: LEDGER_BYTES,
        workers: None,
    })
    .unwrap();
    let link = engine.make_staff_link(LINK_MILLIS).await.unwrap();
    let secret = engine.sign_staff_in(&link.text).await.unwrap().unwrap();
    let app = sloe_web::app(AppState::new(engine, Settings::default(), None));
    let get = async || {
        let cookie = format!("sloe_staff={}", secret.text);
        let request = Request::get("/staff").header(header::COOKIE, cookie).body(Body::empty());
        let response = app.clone().oneshot(request.unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Page { status: parts.status, headers: parts.headers, body }
    };
    get().await.is(200).says("No org is connected yet").says("sloe org add");
    store.set_away(true);
    let away = get().await;
    away.is(503).says("Sloe can’t say now");
    assert!(away.headers.get(header::SET_COOKIE).is_none(), "nobody is signed out by that");
    store.set_away(false);
    get().await.is(200);
}

#[tokio::test]
async fn two_hundred_orgs_are_shown_whatever_they_are_called() {
    let site = Site::new();
    site.publish(&Draft::default()).await;
    connect(&site, 900, "hostile", "<script>alert(1)</script> & “Söhne”");
    connect(&site, 901, "arabic", "جمعية الفعاليات الثقافية 🎭");
    connect(&site, 902, "long", &"Donaudampfschifffahrtsgesellschaft".repeat(6));
    for n in 0..196 {
        connect(&site, 1_000 + n, &format!("org-{n}"), &format!("Organizer {n}"));
    }
    let mut browser = inside(&site).await;
    let page = browser.get("/staff").await;
    page.is(200).says("199 orgs need a look").says("1 of 200").says("جمعية الفعاليات الثقافية 🎭");
    page.says("&#60;script&#62;alert(1)&#60;/script&#62; &#38; “Söhne”");
    assert_eq!(orgs(&page), 200);
    assert!(!page.body.contains("<script>alert"));
    let trouble = page.body.find("Organizer 0").unwrap();
    assert!(trouble < page.body.find("Acme Events").unwrap(), "what is in trouble comes first");

    assert_eq!(orgs(&browser.get("/staff?q=ACME").await), 1);
    browser.get("/staff?q=acme&only=trouble").await.says("No org fits.").says("Show all 200");
    let odd = browser.get("/staff?q=%3Cb%3E%22&every=1&only=").await;
    odd.is(200).says("value=\"&#60;b&#62;&#34;\"");
    browser.get("/staff/orgs/hostile").await.is(200).says("&#60;script&#62;");
}

#[tokio::test]
async fn a_page_that_has_not_changed_is_not_sent_again() {
    let site = Site::new();
    let mut browser = inside(&site).await;
    for path in ["/staff", "/staff/orgs/acme"] {
        let etag = browser.get(path).await.headers[header::ETAG].clone();
        let again = async |browser: &mut Browser| {
            site.clock.advance(5);
            let request = Request::get(path).header(header::IF_NONE_MATCH, &etag);
            browser.send(request.header("x-sloe-again", "1"), Body::empty()).await
        };
        let page = again(&mut browser).await;
        page.is(304);
        assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");
        site.license(Status::Suspended);
        again(&mut browser).await.is(200);
        site.license(Status::Active);
        site.clock.advance(5);
    }
}

#[tokio::test]
async fn what_was_done_is_said_once() {
    const NONE: &str = "None of these rows is a dead letter any more.";
    let site = Site::new();
    let mut browser = inside(&site).await;
    let done = browser.post("/staff/orgs/acme/replay", &[("all", "yes")]).await;
    assert_eq!(done.location(), "/staff/orgs/acme#letters");
    // The script that looks on does not take it from the person.
    let request = Request::get("/staff/orgs/acme").header("x-sloe-again", "1");
    assert!(!browser.send(request, Body::empty()).await.body.contains(NONE));
    browser.get("/staff/orgs/acme").await.says(NONE);
    assert!(!browser.get("/staff/orgs/acme").await.body.contains(NONE));
    browser.post("/staff/orgs/acme/replay", &[]).await.is(303);
    browser.get("/staff/orgs/acme").await.says("No row was chosen");
    let confirm = browser.get("/staff/orgs/acme/accept?only=a-1").await;
    confirm.is(200).says("can’t be undone").says("Leave 1 row as Salesforce has it?");
    browser.get("/staff/orgs/acme/accept").await.is(303);
    browser.post("/staff/orgs/acme/aside", &[("all", "yes")]).await.is(303);
    browser.get("/staff/orgs/acme").await.says(NONE);
    let bad = browser.post("/staff/orgs/acme/refresh", &[("event", "<b>")]).await;
    bad.is(422).says("Nothing was done.");
    // No worker runs here, and nothing is promised that nobody does.
    for action in ["refresh", "compare"] {
        let refused = browser.post(&format!("/staff/orgs/acme/{action}"), &[]).await;
        refused.is(503).says("No worker runs for this org here");
    }
}

/// Files a dead letter.
fn file_letter(site: &Site, n: u128, code: &str, conflict: bool) {
    let scope = site.store.open_org(site.org).unwrap().unwrap();
    let event = EventRef { org: site.org, event: SfId::parse("a00000000000001").unwrap() };
    let claim = ClaimId(n);
    let letter = serde_json::json!({
        "format": 1, "event": event.partition(), "claim": claim.text(), "place": 1, "at": 1,
        "code": code, "fields": [], "state": 1, "conflict": conflict,
    });
    let key = sloe_store::key::Key::dead_letter(scope, &claim.attendee_key(1));
    let body = Some(letter.to_string().into_bytes());
    site.store.put(&[Write { key, version: 1, body }]).unwrap();
}

/// How many letters a page shows one by one.
fn letters_of(page: &Page) -> usize {
    page.body.matches("name=\"only\"").count()
}

#[tokio::test]
async fn of_many_letters_the_first_of_each_kind_are_shown_and_the_others_by_pages() {
    let site = Site::new();
    for n in 0..60 {
        file_letter(&site, n, "STRING_TOO_LONG", false);
    }
    // Behind all of those.
    for n in 60..64 {
        file_letter(&site, n, "DUPLICATES_DETECTED", false);
    }
    file_letter(&site, 64, "INVALID_EMAIL_ADDRESS", false);
    let mut browser = inside(&site).await;
    let page = browser.get("/staff/orgs/acme").await;
    assert_eq!(letters_of(&page), 3 + 3 + 1);
    page.says("60 attendees").says("Show all 60").says("Show all 4").says(">1 attendee<");
    let ticks = page.body.matches("type=\"checkbox\"").count();
    assert_eq!(ticks, 3 + 3, "of a single letter there is nothing to choose");

    let href = page.body.split("href=\"").find(|part| part.contains("STRING_TOO_LONG&#38;"));
    let mut path = href.unwrap().split('"').next().unwrap().replace("&#38;", "&");
    let mut shown = Vec::new();
    loop {
        let page = browser.get(path.split('#').next().unwrap()).await;
        page.says("Only <code>STRING_TOO_LONG</code> is shown").says("Send all 60 again");
        assert!(!page.body.contains("DUPLICATES_DETECTED</code>"));
        shown.push(letters_of(&page));
        let next = page.body.split("href=\"").find(|part| part.contains(">The next ones<"));
        let Some(next) = next else { break };
        path = next.split('"').next().unwrap().replace("&#38;", "&");
        assert!(path.contains("kind=attendee") && path.contains("conflict=no"), "{path}");
    }
    assert_eq!(shown, [25, 25, 10]);
    let none = browser.get("/staff/orgs/acme?code=NO_SUCH_CODE").await;
    none.says("None with <code>NO_SUCH_CODE</code> is left.").says("Show all kinds");
}

#[tokio::test]
async fn conflicts_of_one_kind_are_left_to_the_org_without_those_of_another() {
    let site = Site::new();
    for (n, code) in [(1, "changed-in-org"), (2, "deleted-in-org"), (3, "changed-in-org")] {
        file_letter(&site, n, code, true);
    }
    let mut browser = inside(&site).await;
    let page = browser.get("/staff/orgs/acme").await;
    let kind = "code=changed-in-org&kind=attendee&conflict=yes";
    let address = format!("/staff/orgs/acme/accept?{kind}");
    page.says("2 rows need a decision").says(&address.replace('&', "&#38;"));
    let asked = browser.get(&address).await;
    asked.says("Leave 2 rows as Salesforce has them?").says("value=\"changed-in-org\"");
    let form = [("all", "yes"), ("code", "changed-in-org"), ("kind", "attendee")];
    browser.post("/staff/orgs/acme/accept", &form).await.is(303);
    let left = site.engine.letters(site.org, &LetterFilter::default(), None, 9).await.unwrap();
    let codes: Vec<_> = left.letters.iter().map(|letter| letter.code.as_str()).collect();
    assert_eq!(codes, ["deleted-in-org"]);
}
