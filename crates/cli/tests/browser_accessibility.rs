//! The site is for everybody. Every page in every state passes axe, in both
//! color schemes, on a phone and on a desk, and tells what is the matter and
//! what to do next; all of it works by keyboard, without script, without
//! motion, in large text and in a narrow window.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "browser_accessibility/comfort.rs"]
mod comfort;
#[path = "browser_accessibility/journey.rs"]
mod journey;
#[path = "browser_accessibility/keyboard.rs"]
mod keyboard;
#[path = "browser_accessibility/org.rs"]
mod org;
#[path = "browser_accessibility/paint.rs"]
mod paint;
mod support;
#[path = "browser_accessibility/tour.rs"]
mod tour;
#[path = "browser_accessibility/town.rs"]
mod town;
#[path = "browser_accessibility/visit.rs"]
mod visit;

use serde_json::{Value, json};
use support::{Browser, Demo, Look};
use town::Town;
use visit::{Visit, breaches, until};

#[tokio::test(flavor = "multi_thread")]
async fn every_page_in_every_state_is_accessible_and_says_what_is_the_matter() {
    let town = Town::build().await;
    let (mut phone, mut desk) = tokio::join!(Visit::open(Look::PHONE), Visit::open(Look::DESKTOP));
    tokio::join!(tour::of_what_is_open(&town, &mut phone), tour::of_what_is_open(&town, &mut desk));
    call_off_under(&town, &mut phone, &mut desk).await;
    town.take_the_only_seat().await;
    tokio::join!(tour::of_what_ended(&town, &mut phone), tour::of_what_ended(&town, &mut desk));
    town.demo.license("harbor", "Suspended").await;
    until(town.demo.client(), &town.demo.url("/harbor"), "Registration is paused").await;
    tokio::join!(
        tour::of_an_org_without_license(&town, &mut phone),
        tour::of_an_org_without_license(&town, &mut desk)
    );
    assert_eq!(phone.seen, desk.seen);
    assert_none(&[phone.wrong, desk.wrong].concat());
}

/// Calls an event off once both are in its checkout.
async fn call_off_under(town: &Town, phone: &mut Visit, desk: &mut Visit) {
    let page = town.page("meridian", "closing");
    let both = tokio::sync::Barrier::new(2);
    let off = async || {
        if both.wait().await.is_leader() {
            let off = json!({ "Status__c": "Cancelled" });
            town.change("meridian", "closing", &off, "is cancelled").await;
        }
        both.wait().await;
    };
    phone.browser.goto(&page).await;
    desk.browser.goto(&page).await;
    tokio::join!(tour::called_off_meanwhile(phone, &off), tour::called_off_meanwhile(desk, &off));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulated_org_is_accessible_too() {
    let demo = Demo::start().await;
    let (mut phone, mut desk) = tokio::join!(Visit::open(Look::PHONE), Visit::open(Look::DESKTOP));
    tokio::join!(org::of_the_org(&demo, &mut phone), org::of_the_org(&demo, &mut desk));
    tokio::join!(org::of_the_source(&demo, &mut phone), org::of_the_source(&demo, &mut desk));
    assert_none(&[phone.wrong, desk.wrong].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_lead_through_every_page_in_sight_and_in_order() {
    let town = Town::build().await;
    let pages = [
        town.demo.url("/"),
        town.demo.url("/harbor"),
        town.page("meridian", "systems-days"),
        town.page("harbor", "candlelight-concert"),
        checkout_of_two(&town.demo).await,
        town.orders["several"].clone(),
        town.demo.url("/nobody"),
        town.demo.mailbox.clone(),
    ];
    let walk = async |look: Look| {
        let browser = Browser::open(look).await;
        let mut wrong = Vec::new();
        for page in &pages {
            browser.goto(page).await;
            let told = |what: String| format!("{page}, {} px: {what}", look.width());
            wrong.extend(keyboard::walk(&browser).await.into_iter().map(told));
        }
        wrong
    };
    let (phone, desk) = tokio::join!(walk(Look::PHONE), walk(Look::DESKTOP));
    assert_none(&[phone, desk].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_are_registered_and_one_cancelled_by_nothing_but_keys() {
    let demo = Demo::start().await;
    for (look, script) in
        [(Look::DESKTOP, true), (Look::PHONE, true), (Look::DESKTOP.without_script(), false)]
    {
        journey::register_two(&demo, &Browser::open(look).await, script).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_countdown_is_spoken_at_five_two_and_one_minutes_only() {
    let demo = Demo::start().await;
    let browser = Browser::open(Look::PHONE).await;
    let said = comfort::said_in_ten_minutes(&demo, &browser).await;
    let texts: Vec<_> = said.iter().map(|(_, text)| text.as_str()).collect();
    let expected = [
        "Your seats are held for 5 more minutes.",
        "Your seats are held for 2 more minutes.",
        "Your seats are held for one more minute.",
    ];
    assert_eq!(texts, expected);
    let at: Vec<_> = said.iter().map(|(left, _)| left.div_ceil(60)).collect();
    assert_eq!(at, [5, 2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_script_a_checkout_tells_its_end_in_the_event_s_zone() {
    let demo = Demo::start().await;
    let browser = Browser::open(Look::PHONE.without_script()).await;
    let (told, expected) = comfort::held_until(&demo, &browser).await;
    assert_eq!(told, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_for_who_wants_no_motion() {
    let demo = Demo::start().await;
    let browser = Browser::open(Look::DESKTOP).await;
    let checkout = checkout_of_two(&demo).await;
    let pages = ["/", "/harbor", "/meridian/systems-days"].map(|path| demo.url(path));
    let pages = [pages.as_slice(), &[checkout]].concat();
    browser.goto(&pages[1]).await;
    assert!(comfort::longest_motion(&browser).await > 0.0, "the cards do move for others");
    comfort::wish_no_motion(&browser).await;
    for page in pages {
        browser.goto(&page).await;
        assert_eq!(comfort::longest_motion(&browser).await, 0.0, "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_fit_a_narrow_window_and_text_of_twice_the_size() {
    let town = Town::build().await;
    let pages = [
        town.demo.url("/"),
        town.demo.url("/harbor"),
        town.page("meridian", "systems-days"),
        town.page("meridian", "reliable-systems"),
        town.page("harbor", "long-words"),
        town.page("harbor", "candlelight-concert"),
        checkout_of_two(&town.demo).await,
        town.orders["several"].clone(),
        town.orders["long-words"].clone(),
        town.demo.url("/nobody"),
        town.demo.mailbox.clone(),
    ];
    let fit = async |look: Look| {
        let browser = Browser::open(look).await;
        let mut wrong = Vec::new();
        for page in &pages {
            browser.goto(page).await;
            let size = "return getComputedStyle(document.documentElement).fontSize";
            assert_eq!(browser.evaluate(size).await, format!("{}px", look.text()));
            if browser.has("#sessions-each").await {
                browser.click("label[for=sessions-each]").await;
            }
            let told = |what: String| format!("{page}, {} px: {what}", look.width());
            let found = breaches(&browser, look.width(), &Value::Null).await;
            wrong.extend(found.into_iter().map(told));
        }
        wrong
    };
    let (narrow, large) =
        tokio::join!(fit(Look::PHONE.sized(320, 640)), fit(Look::PHONE.large_text()));
    assert_none(&[narrow, large].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn text_reads_well_on_every_painted_header() {
    let demo = Demo::start().await;
    let read = async |look: Look| {
        let mut browser = Browser::open(look).await;
        let mut wrong = Vec::new();
        for look in [look, look.dark()] {
            browser.turn(look).await;
            for page in painted(&demo, &browser).await {
                browser.goto(&page).await;
                let (faint, lines) = paint::faint(&browser).await;
                assert!(lines > 0, "nothing is painted at {page}");
                let at = format!("{page}, {}, {} px", look.scheme(), look.width());
                wrong.extend(faint.into_iter().map(|what| format!("{at}: {what}")));
            }
        }
        wrong
    };
    let (phone, desk) = tokio::join!(read(Look::PHONE), read(Look::DESKTOP));
    assert_none(&[phone, desk].concat());
}

/// Pages with every look there is: both orgs', and one event of each of their tones.
async fn painted(demo: &Demo, browser: &Browser) -> Vec<String> {
    let mut pages = vec![demo.url("/")];
    for org in ["meridian", "harbor"] {
        pages.push(demo.url(&format!("/{org}")));
        browser.goto(pages.last().unwrap()).await;
        let first = "return [0, 1, 2, 3].map((tone) => document.querySelector(`.card:has(.tone-${tone}) a`)?.href)";
        let events: Vec<Option<String>> =
            serde_json::from_value(browser.evaluate(first).await).unwrap();
        pages.extend(events.into_iter().flatten());
    }
    pages
}

/// A checkout for two with a session, held by the API.
async fn checkout_of_two(demo: &Demo) -> String {
    let event = demo.org("meridian").event("systems-days");
    let pass = demo.id_of(event, "Conference pass").await;
    let talk = demo.id_of(event, "A queue is a promise").await;
    let lines = json!([{ "item": pass, "quantity": 2, "sessions": [talk] }]);
    let held = demo.hold(event, &lines).await;
    demo.url(&format!("/checkout/{}", held["id"].as_str().unwrap()))
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}
