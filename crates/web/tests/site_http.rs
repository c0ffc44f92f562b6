//! What the site answers to requests that no page of ours makes, and what it
//! lets caches keep.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::type_complexity)]

mod support;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, header};
use sloe_core::inbound::Field;
use sloe_web::mailbox::{Mailbox, ReceivedMail};
use support::{Draft, Site, text};

const EVENT: &str = "/acme/spring-meeting";

#[tokio::test]
async fn an_event_page_is_the_same_for_everybody_and_can_be_cached() {
    let site = Site::new();
    site.publish(&Draft::default()).await;
    let mut browser = site.browser();
    let page = browser.get(EVENT).await;
    assert!(page.headers.get(header::SET_COOKIE).is_none());
    assert_eq!(
        page.headers[header::CACHE_CONTROL],
        "public, max-age=5, stale-while-revalidate=30, stale-if-error=86400"
    );
    assert!(page.headers["surrogate-key"].to_str().unwrap().starts_with("org-acme event-"));
    let etag = page.headers[header::ETAG].clone();
    let again =
        browser.send(Request::get(EVENT).header(header::IF_NONE_MATCH, &etag), Body::empty()).await;
    again.is(304);
    assert!(again.body.is_empty());
    let zipped = browser
        .send(Request::get(EVENT).header(header::ACCEPT_ENCODING, "gzip"), Body::empty())
        .await;
    assert_eq!(zipped.headers[header::CONTENT_ENCODING], "gzip");
    // Somebody who is known gets the very same.
    browser.open_event(EVENT).await;
    assert_eq!(browser.get(EVENT).await.headers[header::ETAG], etag);
}

#[tokio::test]
async fn the_page_changes_with_what_is_left_and_with_the_event() {
    let site = Site::new();
    let event = site.publish(&Draft { seats: Some(1), ..Draft::default() }).await;
    let mut browser = site.browser();
    let before = browser.get(EVENT).await.headers[header::ETAG].clone();
    let name = format!("qty-{}", event.items[0].id);
    browser.post(&format!("{EVENT}/hold"), &[(&name, "1")]).await.is(303);
    let sold_out = browser.get(EVENT).await;
    sold_out.says("This event is sold out");
    assert_ne!(sold_out.headers[header::ETAG], before);
    site.clock.advance(5);
    site.publish(&Draft {
        seats: Some(9),
        fields: vec![(Field::Summary, text("Now with cake"))],
        ..Draft::default()
    })
    .await;
    browser.get(EVENT).await.is(200).says("Now with cake").says("Continue");
}

#[tokio::test]
async fn an_old_address_leads_to_the_new_one() {
    let site = Site::new();
    site.publish(&Draft::default()).await;
    site.clock.advance(5);
    site.publish(&Draft {
        fields: vec![(Field::Slug, text("summer-meeting"))],
        ..Draft::default()
    })
    .await;
    let mut browser = site.browser();
    assert_eq!(browser.get(EVENT).await.is(308).location(), "/acme/summer-meeting");
    browser.get("/acme/summer-meeting").await.is(200);
}

#[tokio::test]
async fn a_browser_is_named_once_and_the_name_is_kept_from_scripts() {
    let site = Site::new();
    let mut browser = site.browser();
    let first = browser.get("/assets/visitor.css").await;
    let cookie = first.is(200).headers[header::SET_COOKIE].to_str().unwrap().to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Secure"),
        "{cookie}"
    );
    assert_eq!(first.headers[header::CACHE_CONTROL], "no-store");
    assert!(browser.get("/assets/visitor.css").await.headers.get(header::SET_COOKIE).is_none());
}

#[tokio::test]
async fn an_org_has_its_own_stylesheet() {
    let site = Site::new();
    let mut browser = site.browser();
    let list = browser.get("/acme").await;
    let href = list
        .body
        .split("href=\"")
        .find(|part| part.starts_with("/assets/org/acme.css?v="))
        .unwrap();
    let css = browser.get(href.split('"').next().unwrap()).await;
    css.is(200).says("--accent:");
    assert!(css.headers[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
    assert_eq!(
        browser.get("/assets/org/acme.css").await.headers[header::CACHE_CONTROL],
        "no-cache"
    );
    browser.get("/assets/org/nobody.css").await.is(404);
}

#[tokio::test]
async fn addresses_that_lead_nowhere_have_a_page() {
    let site = Site::new();
    site.publish(&Draft::default()).await;
    let forged = "0".repeat(64);
    let mut browser = site.browser();
    for path in [
        "/nobody",
        "/acme/nothing",
        "/nobody/nothing",
        "/a/b/c/d",
        "/acme/%ff",
        "/%ff",
        "/checkout/x",
        "/order/x",
    ] {
        browser.get(path).await.is(404).says("<h1");
    }
    for path in [
        format!("/checkout/{forged}"),
        format!("/order/{forged}"),
        format!("/order/{forged}/event.ics"),
        format!("/checkout/{forged}/change"),
    ] {
        browser.get(&path).await.is(404).says("There is nothing at this address");
    }
    for path in [
        format!("/checkout/{forged}"),
        format!("/checkout/{forged}/release"),
        format!("/order/{forged}/cancel"),
    ] {
        browser.post(&path, &[]).await.is(404);
    }
    browser.send(Request::delete(EVENT), Body::empty()).await.is(405).says("<h1");
}

#[tokio::test]
async fn bad_forms_are_refused_with_every_fault_and_nothing_is_taken() {
    let site = Site::new();
    let event = site.publish(&Draft { sessions: vec![5], ..Draft::default() }).await;
    let mut browser = site.browser();
    let qty = format!("qty-{}", event.items[0].id);
    let foreign = format!("qty-{}", event.sessions[0].id);
    let hold = format!("{EVENT}/hold");
    let cases: [(&[(&str, &str)], u16, &str); 10] = [
        (&[], 422, "Choose at least one ticket."),
        (&[(&qty, "0")], 422, "Choose at least one ticket."),
        (&[(&qty, "x")], 422, "enter a whole number"),
        (&[(&qty, "-1")], 422, "enter a whole number"),
        (&[(&qty, "4294967295")], 422, "in one order"),
        (&[(&qty, "99999999999999999999")], 422, "enter a whole number"),
        (&[(&foreign, "1")], 422, "not offered any more"),
        (&[(&qty, "1"), ("session", "zzz")], 400, "names no session"),
        (&[(&qty, "1"), ("admin", "1")], 400, "is not a field of this form"),
        (&[(&qty, "1"), (&qty, "1")], 400, "stands twice"),
    ];
    for (fields, status, said) in cases {
        browser.post(&hold, fields).await.is(status).says(said);
    }
    assert_eq!(site.engine.availability(event.event).await.unwrap().left, Some(5));
}

#[tokio::test]
async fn bodies_that_are_no_form_of_ours_are_refused() {
    let site = Site::new();
    site.publish(&Draft::default()).await;
    let mut browser = site.browser();
    let hold = format!("{EVENT}/hold");
    let form = |path: &str| {
        Request::post(path.to_owned())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
    };
    browser
        .send(
            Request::post(&hold).header(header::CONTENT_TYPE, "application/json"),
            Body::from("{}"),
        )
        .await
        .is(415)
        .says("<h1");
    browser.send(Request::post(&hold), Body::from("a=b")).await.is(415);
    browser.send(form(&hold), Body::from("a=%ff")).await.is(400).says("UTF-8");
    browser.send(form(&hold), Body::from(vec![0xff, 0xfe])).await.is(400);
    browser.send(form(&hold), Body::from("a".repeat(70_000))).await.is(413).says("<h1");
    browser
        .send(form(&hold).header("sec-fetch-site", "cross-site"), Body::from("a=b"))
        .await
        .is(403)
        .says("another site");
    browser
        .send(form(&hold).header(header::ORIGIN, "https://evil.example"), Body::from("a=b"))
        .await
        .is(403);
}

#[tokio::test]
async fn the_front_page_names_customers_only_in_the_demo() {
    let site = Site::new();
    let page = site.browser().get("/").await;
    page.is(200).says("Sloe");
    assert!(!page.body.contains("Acme"));
    let demo = Site::with(sloe_web::state::Settings { demo: true, ..Default::default() });
    demo.browser().get("/").await.is(200).says("Acme Events").says("0 upcoming events");
}

#[tokio::test]
async fn the_demo_s_mailbox_shows_foreign_html_only_in_a_cage() {
    let mail = ReceivedMail {
        number: 7,
        from: "acme@example.org".into(),
        to: "ada@example.org".into(),
        subject: "Hello <script>".into(),
        date: "2026-11-23T14:32:00Z".into(),
        text: "plain".into(),
        html: Some("<script>alert(1)</script>".into()),
        attachments: vec![("event.ics".into(), b"BEGIN:VCALENDAR".to_vec())],
    };
    let mailbox = Mailbox(Arc::new(move || vec![mail.clone()]));
    let settings = sloe_web::state::Settings { mailbox: Some(mailbox), ..Default::default() };
    let site = Site::with(settings);
    let mut browser = site.browser();
    browser.get("/demo/mailbox").await.is(200).says("Hello &#60;script&#62;");
    let open = browser.get("/demo/mailbox/7").await;
    open.is(200).says("sandbox").says("/demo/mailbox/7/html").says("plain");
    let html = browser.get("/demo/mailbox/7/html").await;
    let policy = html.is(200).headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("sandbox") && policy.starts_with("default-src 'none'"), "{policy}");
    browser.get("/demo/mailbox/7/files/0").await.is(200).says("BEGIN:VCALENDAR");
    for path in
        ["/demo/mailbox/8", "/demo/mailbox/x", "/demo/mailbox/7/files/1", "/demo/mailbox/8/html"]
    {
        browser.get(path).await.is(404);
    }
    Site::new().browser().get("/demo/mailbox").await.is(404);
}

#[tokio::test]
async fn a_list_begins_with_an_event_that_one_can_register_for() {
    let site = Site::new();
    let off = vec![(Field::Status, text("Cancelled"))];
    site.publish(&Draft { name: "Aborted".into(), fields: off, ..Draft::default() }).await;
    site.publish(&Draft { n: 2, name: "Zest".into(), ..Draft::default() }).await;
    let list = site.browser().get("/acme").await.body;
    let first = list.split("<li class=\"card featured\">").nth(1).unwrap();
    assert!(first.find("Zest") < first.find("Aborted"), "{list}");
}
