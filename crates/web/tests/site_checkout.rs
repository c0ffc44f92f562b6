//! The way of a registrant through the site, without JavaScript.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::type_complexity)]

mod support;

use axum::http::HeaderValue;
use sloe_core::ids::{PublicId, SfId};
use sloe_core::inbound::{Field, Value};
use sloe_core::license::Status;
use sloe_engine::invitation::Invitee;
use support::{Browser, Draft, Page, Site, text};

const EVENT: &str = "/acme/spring-meeting";

fn ada(place: usize) -> Vec<(String, String)> {
    vec![
        (format!("first-{place}"), "Ada".into()),
        (format!("last-{place}"), format!("Lovelace {place}")),
        (format!("email-{place}"), format!("ada{place}@example.org")),
    ]
}

fn borrowed(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect()
}

async fn hold(
    browser: &mut Browser,
    item: PublicId,
    quantity: &str,
    sessions: &[PublicId],
) -> Page {
    let name = format!("qty-{item}");
    let ids: Vec<String> = sessions.iter().map(ToString::to_string).collect();
    let mut fields = vec![(name.as_str(), quantity)];
    fields.extend(ids.iter().map(|id| ("session", id.as_str())));
    browser.post(&format!("{EVENT}/hold"), &fields).await
}

/// Confirms with everybody's details in order; answers the form's answer.
async fn confirm(
    browser: &mut Browser,
    checkout: &str,
    people: usize,
    more: &[(&str, &str)],
) -> Page {
    let page = browser.get(checkout).await;
    page.is(200);
    let key = page.hidden("key");
    let mut fields: Vec<(String, String)> = (1..=people).flat_map(ada).collect();
    fields.push(("key".into(), key));
    let mut fields = borrowed(&fields);
    fields.extend_from_slice(more);
    browser.post(checkout, &fields).await
}

async fn left(site: &Site, event: sloe_core::ids::EventRef) -> Option<u32> {
    site.engine.availability(event).await.unwrap().left
}

#[tokio::test]
async fn two_people_and_a_session_from_the_page_to_their_tickets() {
    let site = Site::new();
    let event = site.publish(&Draft { sessions: vec![10, 10], ..Draft::default() }).await;
    let mut browser = site.browser();
    browser.open_event(EVENT).await.is(200).says("Spring Meeting").says("Session 1");
    let held = hold(&mut browser, event.items[0].id, "2", &[event.sessions[1].id]).await;
    let checkout = held.is(303).location().to_owned();
    browser
        .get(&checkout)
        .await
        .is(200)
        .says("Person 2")
        .says("Your seats are held until")
        .says("Session 1");
    let done = confirm(&mut browser, &checkout, 2, &[("sessions", "same")]).await;
    let order = done.is(303).location().to_owned();
    let page = browser.get(&order).await;
    page.is(200)
        .says("You’re both registered")
        .says("Ada Lovelace 2")
        .says("Session 1")
        .says("Save this link");
    page.says(&format!("https://tickets.example.org{order}"));
    assert_eq!(page.headers["cache-control"], "no-store");
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    assert_eq!(left(&site, event.event).await, Some(3));
    browser
        .get(&format!("{order}/event.ics"))
        .await
        .is(200)
        .says("SUMMARY:Spring Meeting")
        .says("Session 1");
    // The checkout's address leads to the order from now on.
    assert_eq!(browser.get(&checkout).await.location(), order);
}

#[tokio::test]
async fn a_double_click_and_back_and_again_are_one_hold() {
    let site = Site::new();
    let event = site.publish(&Draft { seats: Some(2), ..Draft::default() }).await;
    let mut browser = site.browser();
    browser.open_event(EVENT).await;
    // Two clicks before the first answer's cookie arrived.
    let mut twin = browser.clone();
    let first = hold(&mut browser, event.items[0].id, "2", &[]).await.location().to_owned();
    let second = hold(&mut twin, event.items[0].id, "2", &[]).await.location().to_owned();
    assert_eq!(first, second);
    // Back, and the same form again: one's own seats are not "sold out".
    assert_eq!(hold(&mut browser, event.items[0].id, "2", &[]).await.location(), first);
    assert_eq!(left(&site, event.event).await, Some(0));
    let other = hold(&mut site.browser(), event.items[0].id, "1", &[]).await;
    other.is(409).says("sold out").says("There is one thing to put right");
}

#[tokio::test]
async fn another_selection_replaces_the_hold_and_a_refused_one_leaves_it() {
    let site = Site::new();
    let event = site.publish(&Draft { seats: Some(3), ..Draft::default() }).await;
    let mut browser = site.browser();
    browser.open_event(EVENT).await;
    let item = event.items[0].id;
    let checkout = hold(&mut browser, item, "2", &[]).await.location().to_owned();
    let change = browser.get(&format!("{checkout}/change")).await;
    change.is(200).says("value=\"2\"").says("name=\"hold\"");
    assert_eq!(change.headers["cache-control"], "no-store");
    let refused = hold(&mut browser, item, "4", &[]).await;
    refused.is(409).says("Only 3 seats are left; you asked for 4.").says("value=\"4\"");
    browser.get(&checkout).await.is(200).says("2 ×");
    let replaced = hold(&mut browser, item, "3", &[]).await.location().to_owned();
    assert_ne!(replaced, checkout);
    assert_eq!(left(&site, event.event).await, Some(0));
    browser.get(&checkout).await.is(409).says("no longer held");
}

#[tokio::test]
async fn a_browser_without_cookies_can_register_and_change() {
    let site = Site::new();
    let event = site.publish(&Draft { seats: Some(2), ..Draft::default() }).await;
    let item = event.items[0].id;
    let checkout = hold(&mut site.browser(), item, "2", &[]).await.location().to_owned();
    let token = site.browser().get(&format!("{checkout}/change")).await.hidden("hold");
    let fields = [(format!("qty-{item}"), "1".to_owned()), ("hold".to_owned(), token)];
    let changed = site.browser().post(&format!("{EVENT}/hold"), &borrowed(&fields)).await;
    let checkout = changed.is(303).location().to_owned();
    confirm(&mut site.browser(), &checkout, 1, &[]).await.is(303);
    assert_eq!(left(&site, event.event).await, Some(1));
}

#[tokio::test]
async fn faulty_details_come_back_with_every_fault_and_everything_typed() {
    let site = Site::new();
    let event = site.publish(&Draft::default()).await;
    let mut browser = site.browser();
    let checkout = hold(&mut browser, event.items[0].id, "2", &[]).await.location().to_owned();
    let fields = [
        ("key", "k"),
        ("first-1", "Łukasz <b>"),
        ("last-1", ""),
        ("email-1", "nonsense"),
        ("first-2", "美咲"),
        ("last-2", "林"),
        ("email-2", "misaki@example.org"),
    ];
    let page = browser.post(&checkout, &fields).await;
    page.is(422)
        .says("There are 2 things to put right")
        .says("href=\"#last-1\"")
        .says("href=\"#email-1\"");
    page.says("value=\"Łukasz &#60;b&#62;\"")
        .says("value=\"美咲\"")
        .says("aria-invalid=\"true\"")
        .says("role=\"alert\"");
    assert_eq!(left(&site, event.event).await, Some(3), "the seats stay held");
}

#[tokio::test]
async fn sessions_can_be_chosen_per_person() {
    let site = Site::new();
    let event = site.publish(&Draft { sessions: vec![10, 1], ..Draft::default() }).await;
    let (zero, one) = (event.sessions[0].id, event.sessions[1].id);
    let mut browser = site.browser();
    let checkout = hold(&mut browser, event.items[0].id, "2", &[zero]).await.location().to_owned();
    let (zero, one) = (zero.to_string(), one.to_string());
    let both = [("sessions", "each"), ("session-1", one.as_str()), ("session-2", one.as_str())];
    let refused = confirm(&mut browser, &checkout, 2, &both).await;
    refused.is(409).says("has only 1 seat left; you asked for 2").says("value=\"each\" checked");
    let differently =
        [("sessions", "each"), ("session-1", one.as_str()), ("session-2", zero.as_str())];
    let order =
        confirm(&mut browser, &checkout, 2, &differently).await.is(303).location().to_owned();
    browser.get(&order).await.says("Session 0").says("Session 1");
    let now = site.engine.availability(event.event).await.unwrap();
    assert_eq!(
        (now.session(event.sessions[0].id), now.session(event.sessions[1].id)),
        (Some(9), Some(0))
    );
}

#[tokio::test]
async fn an_expired_hold_is_taken_again_if_its_seats_are_free() {
    let site = Site::new();
    let event = site.publish(&Draft { seats: Some(2), ..Draft::default() }).await;
    let mut browser = site.browser();
    let checkout = hold(&mut browser, event.items[0].id, "2", &[]).await.location().to_owned();
    site.clock.advance(601);
    browser.get(&checkout).await.is(200).says("The time is over. Confirm anyway");
    confirm(&mut browser, &checkout, 2, &[]).await.is(303);
    assert_eq!(left(&site, event.event).await, Some(0));
}

#[tokio::test]
async fn an_expired_hold_whose_seats_are_gone_says_what_is_gone() {
    let site = Site::new();
    let event = site.publish(&Draft { seats: Some(2), ..Draft::default() }).await;
    let mut late = site.browser();
    let checkout = hold(&mut late, event.items[0].id, "2", &[]).await.location().to_owned();
    site.clock.advance(601);
    let mut quick = site.browser();
    let theirs = hold(&mut quick, event.items[0].id, "1", &[]).await.is(303).location().to_owned();
    confirm(&mut quick, &theirs, 1, &[]).await.is(303);
    let fields: Vec<_> = (1..=2).flat_map(ada).collect();
    let gone = late.post(&checkout, &borrowed(&fields)).await;
    gone.is(410)
        .says("Your seats are gone")
        .says("Only 1 seat is left; you asked for 2.")
        .says("Choose again");
    late.get(&checkout).await.is(410).says("Your seats are gone");
}

#[tokio::test]
async fn the_same_confirmation_again_is_the_same_order() {
    let site = Site::new();
    let event = site.publish(&Draft::default()).await;
    let mut browser = site.browser();
    let checkout = hold(&mut browser, event.items[0].id, "1", &[]).await.location().to_owned();
    let key = browser.get(&checkout).await.hidden("key");
    let mut fields = ada(1);
    fields.push(("key".into(), key));
    let first = browser.post(&checkout, &borrowed(&fields)).await.location().to_owned();
    assert_eq!(browser.post(&checkout, &borrowed(&fields)).await.location(), first);
    fields[0].1 = "Grace".into();
    assert_eq!(
        browser.post(&checkout, &borrowed(&fields)).await.location(),
        first,
        "what was confirmed stands"
    );
    browser.get(&first).await.says("Ada Lovelace 1");
    assert_eq!(left(&site, event.event).await, Some(4));
}

#[tokio::test]
async fn the_same_confirmation_is_the_same_order_after_its_sessions_were_withdrawn() {
    let site = Site::new();
    let draft = Draft { sessions: vec![5, 5], ..Draft::default() };
    let event = site.publish(&draft).await;
    let mut browser = site.browser();
    let checkout = hold(&mut browser, event.items[0].id, "1", &[]).await.location().to_owned();
    let key = browser.get(&checkout).await.hidden("key");
    let mut fields = ada(1);
    let session = event.sessions[1].id.to_string();
    fields.extend([
        ("key".into(), key),
        ("sessions".into(), "each".into()),
        ("session-1".into(), session),
    ]);
    let first = browser.post(&checkout, &borrowed(&fields)).await.location().to_owned();
    site.clock.advance(5);
    site.publish(&Draft { sessions: vec![], ..draft }).await;
    assert_eq!(browser.post(&checkout, &borrowed(&fields)).await.is(303).location(), first);
}

#[tokio::test]
async fn seats_can_be_given_back() {
    let site = Site::new();
    let event = site.publish(&Draft::default()).await;
    let mut browser = site.browser();
    let checkout = hold(&mut browser, event.items[0].id, "2", &[]).await.location().to_owned();
    browser
        .post(&format!("{checkout}/release"), &[])
        .await
        .is(200)
        .says("Your seats are given back");
    assert_eq!(left(&site, event.event).await, Some(5));
    assert!(browser.cookies.keys().all(|name| !name.starts_with("sloe_hold")));
    browser.get(&checkout).await.is(409).says("no longer held");
}

#[tokio::test]
async fn one_ticket_can_be_cancelled_then_all() {
    let site = Site::new();
    let event = site.publish(&Draft::default()).await;
    let mut browser = site.browser();
    let checkout = hold(&mut browser, event.items[0].id, "2", &[]).await.location().to_owned();
    let order = confirm(&mut browser, &checkout, 2, &[]).await.location().to_owned();
    let cancel = format!("{order}/cancel");
    let after = browser.post(&cancel, &[("place", "2")]).await.is(303).location().to_owned();
    browser.get(&after).await.is(200).says("The ticket is cancelled").says("You’re registered");
    assert_eq!(left(&site, event.event).await, Some(4));
    let after = browser.post(&cancel, &[]).await.location().to_owned();
    browser.get(&after).await.is(200).says("This order is cancelled");
    assert_eq!(left(&site, event.event).await, Some(5));
    browser.get(&format!("{order}/event.ics")).await.says("STATUS:CANCELLED");
    for bad in ["0", "x", "3", "99999"] {
        let status = browser.post(&cancel, &[("place", bad)]).await.status;
        assert!(status.is_client_error(), "{bad}: {status}");
    }
}

#[tokio::test]
async fn whoever_holds_the_last_seats_finds_the_way_back() {
    let site = Site::new();
    let event = site.publish(&Draft { seats: Some(1), ..Draft::default() }).await;
    let mut browser = site.browser();
    let checkout = hold(&mut browser, event.items[0].id, "1", &[]).await.location().to_owned();
    let page = browser.get(EVENT).await;
    page.is(200).says("This event is sold out").says("Already holding seats?");
    assert_eq!(browser.get(&format!("{EVENT}/resume")).await.location(), checkout);
    let mine = browser.get(&format!("{EVENT}/mine")).await;
    mine.is(200).says(&checkout).says("\"places\":1");
    // Their own seat counts as free for them.
    mine.says(&format!("{{\"id\":\"{}\",\"left\":1}}", event.items[0].id));
    browser.get(&format!("{checkout}/change")).await.is(200).says("Continue");
    let mut stranger = site.browser();
    stranger.get(&format!("{EVENT}/mine")).await.is(204);
    stranger.get(&format!("{EVENT}/resume")).await.is(200).says("You aren’t holding seats");
}

#[tokio::test]
async fn each_state_of_an_event_has_its_page_and_refuses_holds() {
    let cases: [(&str, Vec<(Field, Value)>, u16); 3] = [
        ("This event is cancelled", vec![(Field::Status, text("Cancelled"))], 409),
        (
            "Registration isn’t open yet",
            vec![
                (Field::OpensAt, text("2099-01-01T00:00:00Z")),
                (Field::StartsAt, text("2099-06-01T00:00:00Z")),
                (Field::EndsAt, text("2099-06-02T00:00:00Z")),
            ],
            409,
        ),
        ("Registration is closed", vec![(Field::ClosesAt, text("2020-01-01T00:00:00Z"))], 409),
    ];
    for (said, fields, status) in cases {
        let site = Site::new();
        let event = site.publish(&Draft { fields, ..Draft::default() }).await;
        let mut browser = site.browser();
        let page = browser.get(EVENT).await;
        page.is(200).says(said);
        assert!(!page.body.contains("<form"), "{said}: nothing to send");
        hold(&mut browser, event.items[0].id, "1", &[]).await.is(status).says(said);
        browser.get("/acme").await.is(200);
    }
}

#[tokio::test]
async fn an_org_without_a_live_license_shows_its_events_and_takes_no_holds() {
    let site = Site::new();
    let event = site.publish(&Draft::default()).await;
    let mut browser = site.browser();
    let checkout = hold(&mut browser, event.items[0].id, "1", &[]).await.location().to_owned();
    site.license(Status::Suspended);
    browser.get(EVENT).await.is(200).says("Registration is paused");
    browser.get("/acme").await.is(200).says("Registration is paused");
    hold(&mut site.browser(), event.items[0].id, "1", &[])
        .await
        .is(403)
        .says("Registration is paused");
    // The same form again is the same hold; another needs a license.
    assert_eq!(hold(&mut browser, event.items[0].id, "1", &[]).await.location(), checkout);
    hold(&mut browser, event.items[0].id, "2", &[]).await.is(403).says("Registration is paused");
    // What is held may be confirmed, and orders stay readable.
    let order = confirm(&mut browser, &checkout, 1, &[]).await.location().to_owned();
    browser.get(&order).await.is(200).says("You’re registered");
}

#[tokio::test]
async fn an_unpublished_event_is_gone_for_the_public_and_its_orders_stay() {
    let site = Site::new();
    let event = site.publish(&Draft::default()).await;
    let mut browser = site.browser();
    let checkout = hold(&mut browser, event.items[0].id, "1", &[]).await.location().to_owned();
    let order = confirm(&mut browser, &checkout, 1, &[]).await.location().to_owned();
    site.clock.advance(5);
    site.publish(&Draft {
        fields: vec![(Field::Published, Value::Bool(false))],
        ..Draft::default()
    })
    .await;
    browser.get(EVENT).await.is(404).says("We can’t find this event");
    assert!(!browser.get("/acme").await.body.contains("Spring Meeting"));
    browser.get(&order).await.is(200).says("hidden at the moment").says("Ada Lovelace 1");
}

#[tokio::test]
async fn what_costs_is_shown_and_waits_for_payment() {
    let site = Site::new();
    let price = vec![(Field::Price, Value::Number(12.5)), (Field::Currency, text("EUR"))];
    let event = site.publish(&Draft { item_fields: price, ..Draft::default() }).await;
    let mut browser = site.browser();
    browser.get(EVENT).await.is(200).says("€12.50").says("Payment isn’t open yet");
    hold(&mut browser, event.items[0].id, "1", &[]).await.is(422).says("payment is not open yet");
    assert_eq!(left(&site, event.event).await, Some(5));
}

#[tokio::test]
async fn an_invitation_is_remembered_once_it_proves_genuine_and_forgotten_once_used() {
    let site = Site::new();
    let event = site.publish(&Draft::default()).await;
    let contact = SfId::parse("003000000000001").unwrap();
    let link = site.engine.invite(event.id, Invitee::of(contact).unwrap()).unwrap();
    let mut browser = site.browser();
    let to = |page: &Page| page.headers.get_all("set-cookie").iter().any(is_invitation);

    let altered = link.replace("invitation=", "invitation=0");
    let page = browser.get(&altered).await;
    assert_eq!((page.is(303).location(), to(&page)), (EVENT, false));
    let page = browser.get(&link).await;
    assert_eq!((page.is(303).location(), to(&page)), (EVENT, true));
    assert_eq!(page.headers["cache-control"], "no-store");
    let clean = browser.open_event(EVENT).await.is(200).body.clone();
    assert!(!clean.contains("invitation"), "the page is the same for everybody");

    let held = hold(&mut browser, event.items[0].id, "2", &[]).await;
    let checkout = held.is(303).location().to_owned();
    let done = confirm(&mut browser, &checkout, 2, &[]).await;
    assert!(done.is(303).location().starts_with("/order/"));
    assert!(to(&done), "it was used, and is forgotten");
    let held = hold(&mut browser, event.items[0].id, "1", &[]).await;
    let checkout = held.is(303).location().to_owned();
    let done = confirm(&mut browser, &checkout, 1, &[]).await;
    assert!(!to(&done), "the next order is nobody's in particular");
}

fn is_invitation(cookie: &HeaderValue) -> bool {
    cookie.to_str().is_ok_and(|cookie| cookie.starts_with("sloe_invitation_"))
}
