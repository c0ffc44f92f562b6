//! The staff console in a real browser: signing in by the demo's link, seeing
//! an org in trouble without reloading, mending it and seeing the trouble go.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)]
#[path = "browser_accessibility/keyboard.rs"]
mod keyboard;
mod support;
#[allow(dead_code)]
#[path = "browser_accessibility/visit.rs"]
mod visit;

use serde_json::{Value, json};
use support::{Browser, Demo, Look, attendee, eventually};
use visit::{Told, Visit, breaches};

const SIGN_IN: &str = "form[action='/staff/sign-in'] button";
const ALL_AGAIN: &str = ".pile form button";
const BOX: &str = ".letters input[type=checkbox]";
const DELIVERED: &str = "Every row that was sent has been taken";

/// What the org refuses rows for in these tests.
fn refuses_rows() -> Value {
    json!({ "row_error_rate": 1.0, "row_error_code": "FIELD_CUSTOM_VALIDATION_EXCEPTION" })
}

/// Opens a link and presses its button.
async fn sign_in(browser: &Browser, link: &str) {
    browser.goto(link).await;
    browser.go(SIGN_IN).await;
    assert!(browser.url().await.ends_with("/staff"), "{}", browser.url().await);
}

/// Registers somebody for the event that needs no session.
async fn register(demo: &Demo, first: &str, last: &str) {
    let event = demo.org("meridian").event("keynote-live");
    let seat = demo.id_of(event, "Stream seat").await;
    let mut person = attendee(&seat, &[], (first, last));
    person["email"] = json!("someone@example.org");
    let (status, answer) = demo.register(event, &[person]).await;
    assert!(status.is_success(), "{answer}");
}

/// Marks the page that is open, to know it again.
async fn mark(browser: &Browser) {
    browser.evaluate("document.documentElement.dataset.same = 'yes'").await;
}

async fn is_marked(browser: &Browser) -> bool {
    browser.evaluate("return document.documentElement.dataset.same === 'yes'").await == true
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_see_trouble_by_themselves_mend_it_and_see_it_go() {
    let demo = Demo::start().await;
    let org = demo.org("meridian");
    nothing_is_told_outside(&demo).await;
    let desk = Browser::open(Look::DESKTOP).await;
    sign_in(&desk, &demo.staff).await;
    desk.shows("Meridian Systems Foundation").await;
    refused_twice(&demo).await;

    mark(&desk).await;
    org.misbehave(&refuses_rows()).await;
    register(&demo, "Ada", "Lovelace").await;
    desk.shows("Meridian Systems Foundation needs help").await;
    desk.shows("1 row could not be delivered").await;
    assert!(is_marked(&desk).await, "the page followed by itself");
    let told = desk.find("[data-announce]").await.prop("textContent").await.unwrap().unwrap();
    assert_eq!(told, "Meridian Systems Foundation needs help");

    desk.follow("Meridian Systems Foundation").await;
    desk.shows("A validation rule of the org refuses the record.").await;
    what_is_under_way_stays(&demo, &desk).await;

    // In vain while the reason is there; then the rows go, and with them the letters.
    org.behave().await;
    desk.go(ALL_AGAIN).await;
    desk.shows("3 rows will be sent again").await;
    desk.shows(DELIVERED).await;
    let there = "Sloe_Attendee__c WHERE Last_Name__c IN ('Lovelace', 'Hopper', 'Turing')";
    assert_eq!(org.count(there).await, 3);
    compared(&desk).await;

    demo.org("harbor").misbehave(&json!({ "outage": true })).await;
    desk.goto(&demo.url("/staff/orgs/harbor")).await;
    desk.go("#reads form button").await;
    desk.shows("Sloe reads it from Salesforce now.").await;
    desk.shows("Salesforce is too busy or under maintenance").await;
    assert_eq!(desk.complaints().await, Vec::<String>::new());
    desk.go(".top form button").await;
    desk.shows("You are signed out").await;
    desk.goto(&demo.url("/staff")).await;
    desk.shows("This is for staff").await;
}

async fn nothing_is_told_outside(demo: &Demo) {
    for path in ["/staff", "/staff/orgs/meridian", "/staff/orgs/nobody"] {
        let answer = demo.client().get(demo.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{path}");
        let page = answer.text().await.unwrap();
        assert!(!page.contains("Meridian") && page.contains("sloe staff link"), "{page}");
    }
}

async fn refused_twice(demo: &Demo) {
    let answer = demo.client().get(&demo.staff).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(answer.text().await.unwrap().contains("This link was used already"));
}

/// While the page follows, it leaves people what they do.
async fn what_is_under_way_stays(demo: &Demo, desk: &Browser) {
    register(demo, "Grace", "Hopper").await;
    desk.shows("Send all 2 again").await;
    desk.click(BOX).await;
    let script =
        "document.querySelector('.letters input[type=checkbox]').focus(); scrollTo(0, 300)";
    desk.evaluate(script).await;
    mark(desk).await;
    register(demo, "Alan", "Turing").await;
    desk.shows("Send all 3 again").await;
    let state = "const box = document.activeElement; return [box.name, box.checked, scrollY, document.querySelectorAll('.letters :checked').length]";
    assert_eq!(desk.evaluate(state).await, json!(["id", true, 300, 1]));
    assert!(is_marked(desk).await);
}

/// The org holds what it was sent, and only then it is in order.
async fn compared(desk: &Browser) {
    // Figures that it refused with the rows may differ at first; they are told again.
    eventually(async || {
        desk.go("#compare form button").await;
        let word = desk.text("#banner .lead b").await;
        if word == "In order." { Ok(()) } else { Err(word) }
    })
    .await;
    desk.shows("compared, none differs").await;
    desk.goto(&desk.url().await.replace("/orgs/meridian", "")).await;
}

/// Presses Refresh until the page says this.
async fn refreshed(phone: &Browser, text: &str) {
    eventually(async || {
        phone.go("[data-refresh]").await;
        let page = phone.page().await;
        if page.contains(text) { Ok(()) } else { Err(page) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_script_everything_can_be_seen_and_done_by_hand() {
    let demo = Demo::start_to_keep().await;
    let org = demo.org("meridian");
    let phone = Browser::open(Look::PHONE.without_script()).await;
    let link = demo.sloe(&["staff", "link"]);
    assert!(link.starts_with(&demo.url("/staff/sign-in/")), "{link}");
    sign_in(&phone, link.trim()).await;
    org.misbehave(&refuses_rows()).await;
    register(&demo, "Ada", "Lovelace").await;
    register(&demo, "Grace", "Hopper").await;
    refreshed(&phone, "2 rows could not be delivered").await;
    org.behave().await;
    phone.follow("Meridian Systems Foundation").await;
    phone.go(".letters > .actions button").await;
    phone.shows("No row was chosen").await;
    phone.click(BOX).await;
    phone.go(".letters > .actions button").await;
    phone.shows("1 row will be sent again").await;
    refreshed(&phone, "1 attendee\n").await;
    phone.go(".letters li button").await;
    phone.shows("1 row will be sent again").await;
    refreshed(&phone, DELIVERED).await;
    phone.follow("every 10 s").await;
    assert!(phone.has("meta[http-equiv=refresh][content='10']").await);
    assert_eq!(phone.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_is_for_everybody() {
    let demo = Demo::start().await;
    let (mut phone, mut desk) = tokio::join!(Visit::open(Look::PHONE), Visit::open(Look::DESKTOP));
    tokio::join!(calm(&demo, &mut phone), calm(&demo, &mut desk));
    demo.org("meridian").misbehave(&refuses_rows()).await;
    register(&demo, "Ada", "Lovelace").await;
    register(&demo, "محمد", "الفاسي").await;
    demo.org("harbor").misbehave(&json!({ "outage": true })).await;
    desk.browser.goto(&demo.url("/staff/orgs/harbor")).await;
    desk.browser.go("#reads form button").await;
    desk.browser.shows("Salesforce is too busy or under maintenance").await;
    desk.browser.goto(&demo.url("/staff/orgs/meridian")).await;
    desk.browser.shows("Send all 2 again").await;
    tokio::join!(troubled(&demo, &mut phone), troubled(&demo, &mut desk));
    let mut wrong = [phone.wrong, desk.wrong].concat();
    let looks = [Look::PHONE.sized(320, 640), Look::PHONE.large_text(), Look::DESKTOP];
    for look in looks {
        let browser = Browser::open(look).await;
        sign_in(&browser, &demo.staff_link().await).await;
        for path in ["/staff", "/staff/orgs/meridian", "/staff/orgs/meridian/accept?only=a-1"] {
            browser.goto(&demo.url(path)).await;
            let mut found = breaches(&browser, look.width(), &Value::Null).await;
            if look.width() == Look::DESKTOP.width() {
                found.extend(keyboard::walk(&browser).await);
            }
            let told = |what: String| format!("{path}, {} px: {what}", look.width());
            wrong.extend(found.into_iter().map(told));
        }
    }
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}

async fn calm(demo: &Demo, visit: &mut Visit) {
    let link = demo.staff_link().await;
    let told = |name, status, title, says| Told { name, status, title, says };
    visit
        .see(
            &demo.url("/staff"),
            &told("staff-outside", 401, "This is for staff", &["sloe staff link"]),
        )
        .await;
    let title = "Sign in to the console";
    visit.see(&link, &told("staff-door", 200, title, &["signs in once"])).await;
    visit.browser.go(SIGN_IN).await;
    visit.look(&told("staff-calm", 200, "Console · Sloe", &["Platform", "Workers"])).await;
    let title = "This link was used already";
    visit.see(&link, &told("staff-used", 401, title, &["sloe staff link"])).await;
}

async fn troubled(demo: &Demo, visit: &mut Visit) {
    let told = |name, status, title, says| Told { name, status, title, says };
    // One org, or both once the outage keeps rows of the other.
    let says = [" help", "could not be delivered", "under maintenance"];
    visit.see(&demo.url("/staff"), &told("staff-overview", 200, "Console · Sloe", &says)).await;
    let url = demo.url("/staff/orgs/meridian");
    let title = "Meridian Systems Foundation · Sloe";
    let says = ["Send all 2 again", "Correct the value or relax the rule", "API calls, 24 hours"];
    visit.see(&url, &told("staff-org", 200, title, &says)).await;
    let title = "No such org is connected";
    visit
        .see(&demo.url("/staff/orgs/none"), &told("staff-missing", 404, title, &["All orgs"]))
        .await;
}
