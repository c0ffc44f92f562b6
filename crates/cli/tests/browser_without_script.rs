//! The checkout in a real browser whose JavaScript is off, and what must hold
//! however a visitor clicks: twice, back, and with another choice.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use jiff::Zoned;
use support::{Browser, Demo, Look, Org, attendee, eventually};

const CONTINUE: &str = ".choose [type=submit]";
const CONFIRM: &str = ".form-side form [type=submit]";
/// How long seats are held as a visitor is told: ten minutes, less what the
/// form needs to arrive in time.
const HELD: Duration = Duration::from_secs(10 * 60 - 15);

/// Opens an event's page and chooses: `(item, how many)` and sessions.
async fn choose(visitor: &Browser, page: &str, item: (&str, u32), sessions: &[&str]) {
    visitor.goto(page).await;
    visitor.fill(&format!("#qty-{}", item.0), &item.1.to_string()).await;
    for session in sessions {
        visitor.click(&format!("label[for='session-{session}']")).await;
    }
}

/// Chooses and continues; answers the checkout's address.
async fn hold(visitor: &Browser, page: &str, item: (&str, u32), sessions: &[&str]) -> String {
    choose(visitor, page, item, sessions).await;
    go_on(visitor).await
}

/// Continues; answers the checkout's address.
async fn go_on(visitor: &Browser) -> String {
    visitor.go(CONTINUE).await;
    visitor.find(CONFIRM).await;
    visitor.url().await
}

async fn type_details(visitor: &Browser, place: u32, (first, last, email): (&str, &str, &str)) {
    visitor.fill(&format!("#first-{place}"), first).await;
    visitor.fill(&format!("#last-{place}"), last).await;
    visitor.fill(&format!("#email-{place}"), email).await;
}

/// The times a visitor in `zone` may be told: the clock may strike meanwhile.
fn held_until(asked: &Zoned, zone: &str) -> [String; 2] {
    let told = |at: &Zoned| {
        let until = at.checked_add(HELD).unwrap().in_tz(zone).unwrap();
        until.strftime("%H:%M").to_string()
    };
    [told(asked), told(&Zoned::now())]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_checkout_works_without_script() {
    let demo = Demo::start().await;
    let org = demo.org("meridian");
    let item = demo.id_of(org.event("keynote-live"), "Stream seat").await;
    let phone = Browser::open(Look::PHONE.without_script()).await;
    let asked = Zoned::now();
    hold(&phone, &demo.url("/meridian/keynote-live"), (&item, 2), &[]).await;
    assert!(!phone.has("[data-clock]:not([hidden])").await, "no script runs");
    let held = phone.text("[data-held]").await;
    let until = held_until(&asked, "America/New_York");
    let right = until.map(|at| format!("Your seats are held until {at}, New York time"));
    assert!(right.iter().any(|right| held.starts_with(right)), "{held}, not {right:?}");

    type_details(&phone, 1, ("Åsa", "", "asa@example")).await;
    type_details(&phone, 2, ("Noor", "Haddad", "noor@example.org")).await;
    phone.go(CONFIRM).await;
    faults_are_told(&phone).await;
    type_details(&phone, 1, ("Åsa", "Lindqvist", "asa@example.org")).await;
    phone.go(CONFIRM).await;
    let order = phone.arrive("/order/").await;
    assert_eq!(phone.text("h1").await, "You’re both registered");
    assert_eq!(phone.texts(".ticket h3").await, ["Åsa Lindqvist", "Noor Haddad"]);
    assert_eq!(phone.find_all(".ticket-code svg").await.len(), 2);
    phone.shoot("without-script-order").await;

    // Giving tickets back needs no script either.
    phone.click(".cancel summary").await;
    phone.go(".cancel [type=submit]").await;
    phone.arrive("?cancelled").await;
    assert_eq!(phone.text("h1").await, "This order is cancelled");
    phone.goto(&order).await;
    assert_eq!(phone.text("h1").await, "This order is cancelled");
    assert_eq!(phone.complaints().await, Vec::<String>::new());
}

/// What is wrong is said first, has the focus, and leads to its fields; what
/// was typed is still there.
async fn faults_are_told(phone: &Browser) {
    assert_eq!(phone.text("#faults h2").await, "There are 2 things to put right");
    phone.shoot("without-script-faults").await;
    assert_eq!(
        phone.texts("#faults li").await,
        [
            "Person 1: Enter the last name.",
            "Person 1: Enter an e-mail address like name@example.org."
        ]
    );
    let focus = phone.driver().active_element().await.unwrap();
    assert_eq!(focus.id().await.unwrap().as_deref(), Some("faults"));
    assert_eq!(phone.value("#first-1").await, "Åsa");
    assert_eq!(phone.value("#email-1").await, "asa@example");
    assert_eq!(phone.value("#last-2").await, "Haddad");
    phone.click("#faults a[href='#last-1']").await;
    assert!(phone.url().await.ends_with("#last-1"));
    assert!(phone.has("#last-1:target[aria-invalid=true]").await);
    assert_eq!(phone.text("#last-1-fault").await, "Enter the last name.");
}

/// Presses a button twice, as quickly as a hand does.
async fn double_click(visitor: &Browser, css: &str) {
    let button = visitor.find(css).await;
    button.scroll_into_view().await.unwrap();
    visitor.driver().action_chain().double_click_element(&button).perform().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_sent_twice_counts_once() {
    let demo = Demo::start().await;
    let org = demo.org("meridian");
    let event = org.event("keynote-live");
    let item = demo.id_of(event, "Stream seat").await;
    let page = demo.url("/meridian/keynote-live");
    let seats = demo.left(event).await.event.unwrap();
    let phone = Browser::open(Look::PHONE.without_script()).await;

    choose(&phone, &page, (&item, 2), &[]).await;
    double_click(&phone, CONTINUE).await;
    let checkout = phone.arrive("/checkout/").await;
    assert_eq!(demo.left(event).await.event, Some(seats - 2));
    phone.back().await;
    phone.arrive("/meridian/keynote-live").await;
    assert_eq!(phone.value(&format!("#qty-{item}")).await, "2", "the choice is still there");
    assert_eq!(go_on(&phone).await, checkout);
    assert_eq!(demo.left(event).await.event, Some(seats - 2));

    type_details(&phone, 1, ("Ada", "Lovelace", "ada@example.org")).await;
    type_details(&phone, 2, ("Alan", "Turing", "alan@example.org")).await;
    let key = phone.value("[name=key]").await;
    double_click(&phone, CONFIRM).await;
    let order = phone.arrive("/order/").await;
    // The same once more, as a browser does that lost the answer.
    let again = [
        ("key", key.as_str()),
        ("first-1", "Ada"),
        ("last-1", "Lovelace"),
        ("email-1", "ada@example.org"),
        ("first-2", "Alan"),
        ("last-2", "Turing"),
        ("email-2", "alan@example.org"),
    ];
    let answer = demo.client().post(&checkout).form(&again).send().await.unwrap();
    assert_eq!(answer.status(), 303);
    assert_eq!(demo.url(answer.headers()["location"].to_str().unwrap()), order);
    // Back shows the form from memory, or leads here at once.
    phone.back().await;
    if phone.has(CONFIRM).await {
        phone.go(CONFIRM).await;
    }
    assert_eq!(phone.arrive("/order/").await, order);

    assert_eq!(demo.left(event).await.event, Some(seats - 2));
    let ours = "Sloe_Attendee__c WHERE Sloe_Id__c != null";
    eventually(async || match org.count(ours).await {
        2 => Ok(()),
        count => Err(format!("{count} attendees are in the org")),
    })
    .await;
    assert_eq!(org.count("Sloe_Attendee__c WHERE Email__c = 'ada@example.org'").await, 1);
}

/// Leaves `left` seats of the workshop.
async fn nearly_sell_out(demo: &Demo, org: &Org, left: u64) -> String {
    let event = org.event("async-rust-workshop");
    let seat = demo.id_of(event, "Seat").await;
    for number in left..demo.left(event).await.event.unwrap() {
        let name = format!("Guest{number}");
        let (status, answer) =
            demo.register(event, &[attendee(&seat, &[], (&name, "Early"))]).await;
        assert_eq!(status, 201, "{answer}");
    }
    seat
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_the_last_seats_is_not_told_that_they_are_gone() {
    let demo = Demo::start().await;
    let org = demo.org("meridian");
    let page = demo.url("/meridian/async-rust-workshop");
    let seat = nearly_sell_out(&demo, org, 2).await;
    for look in [Look::PHONE.without_script(), Look::PHONE] {
        let phone = Browser::open(look).await;
        let checkout = hold(&phone, &page, (&seat, 2), &[]).await;
        assert_eq!(demo.left(org.event("async-rust-workshop")).await.event, Some(0));

        phone.back().await;
        phone.arrive("/async-rust-workshop").await;
        let script = phone.has("[data-stepper] button").await;
        let held = if script { "You are holding 2 seats until" } else { "Continue" };
        never_sold_out(&phone, held).await;
        assert_eq!(go_on(&phone).await, checkout);
        phone.follow("Change selection").await;
        never_sold_out(&phone, if script { held } else { "Your seats stay held" }).await;

        // The page anew is the same for everybody, and still leads back.
        phone.goto(&page).await;
        eventually(async || {
            phone.driver().refresh().await.unwrap();
            let anew = phone.text(".status").await;
            if anew == "Sold out" { Ok(()) } else { Err(format!("the page says “{anew}”")) }
        })
        .await;
        if script {
            phone.shows(held).await;
            let everybodys = phone.find("[data-unless-held]").await;
            assert!(!everybodys.is_displayed().await.unwrap(), "one thing is said, not both");
        }
        phone.shoot("own-last-seats").await;
        phone.go(if script { "[data-own] a" } else { ".resume a" }).await;
        phone.find(CONFIRM).await;
        assert_eq!(phone.url().await, checkout);
        phone.go("form[action$='/release'] [type=submit]").await;
        phone.shows("Your seats are given back").await;
        assert_eq!(demo.left(org.event("async-rust-workshop")).await.event, Some(2));
        assert_eq!(phone.complaints().await, Vec::<String>::new());
    }
}

/// The page has settled, which `words` show, and does not say that one's own
/// seats are gone.
async fn never_sold_out(phone: &Browser, words: &str) {
    phone.shows(words).await;
    if phone.has("[data-stepper] button").await {
        // The script has looked, and says so in numbers.
        phone.shows("2 left").await;
    }
    let shown = phone.page().await;
    assert!(!shown.to_lowercase().contains("sold out"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_choice_replaces_the_seats_held_and_a_refused_one_keeps_them() {
    let demo = Demo::start().await;
    let event = demo.org("meridian").event("systems-days");
    let (small, other) = ("Saying no to a dashboard", "On call with a newborn");
    let pass = demo.id_of(event, "Conference pass").await;
    let [few, wide] = [demo.id_of(event, small).await, demo.id_of(event, other).await];
    let before = demo.left(event).await;
    let desk = Browser::open(Look::DESKTOP.dark().without_script()).await;

    let first = hold(&desk, &demo.url("/meridian/systems-days"), (&pass, 3), &[&few]).await;
    assert_eq!(demo.left(event).await.sessions[small], Some(1));
    desk.follow("Change selection").await;
    assert_eq!(desk.value(&format!("#qty-{pass}")).await, "3");
    assert!(desk.is_ticked(&format!("#session-{few}")).await);
    desk.shoot("change").await;
    desk.fill(&format!("#qty-{pass}"), "2").await;
    desk.click(&format!("label[for='session-{few}']")).await;
    desk.click(&format!("label[for='session-{wide}']")).await;
    let second = go_on(&desk).await;
    assert_ne!(first, second);
    let now = demo.left(event).await;
    assert_eq!(now.event, before.event.map(|seats| seats - 2), "three are free, two are held");
    assert_eq!(now.sessions[small], before.sessions[small]);
    assert_eq!(now.sessions[other], before.sessions[other].map(|seats| seats - 2));
    desk.goto(&first).await;
    assert_eq!(desk.text("h1").await, "This selection is no longer held");

    // Somebody else takes three of the four chairs while the page is open.
    desk.goto(&format!("{second}/change")).await;
    let people = ["Ama", "Ben", "Cai"].map(|name| attendee(&pass, &[&few], (name, "Quick")));
    assert_eq!(demo.register(event, &people).await.0, 201);
    let taken = demo.left(event).await;
    desk.click(&format!("label[for='session-{few}']")).await;
    desk.go(CONTINUE).await;
    desk.arrive("/hold").await;
    desk.shoot("change-refused").await;
    let fault = format!(
        "The session “{small}” has only 1 seat left; you asked for 2. Untick it, or choose \
         fewer people."
    );
    assert_eq!(desk.texts("#faults li").await, [fault]);
    assert!(desk.is_ticked(&format!("#session-{few}")).await, "the choice is still there");
    assert_eq!(demo.left(event).await, taken, "a refusal changes nothing");
    desk.follow("Keep them as they are").await;
    desk.find(CONFIRM).await;
    assert_eq!(desk.url().await, second);
    assert_eq!(desk.text(".lines").await, "2 × Conference pass\nFree");
    assert!(desk.text(".chosen").await.contains(other));
}

/// A page of another site, with a form that goes to ours.
async fn foreign_page(action: &str, item: &str) -> std::net::SocketAddr {
    let form = format!(
        "<!doctype html><title>Elsewhere</title><main><form method=post action='{action}'>\
         <input type=hidden name='qty-{item}' value=1><button>Win</button></form></main>"
    );
    let page = axum::Router::new().fallback(async || axum::response::Html(form));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, page).into_future());
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_on_another_site_takes_no_seats() {
    let demo = Demo::start().await;
    let event = demo.org("meridian").event("keynote-live");
    let item = demo.id_of(event, "Stream seat").await;
    let before = demo.left(event).await;
    let foreign = foreign_page(&demo.url("/meridian/keynote-live/hold"), &item).await;
    let desk = Browser::open(Look::DESKTOP.without_script()).await;
    // Another site, and another origin of this one.
    for host in ["localhost", "127.0.0.1"] {
        desk.goto(&format!("http://{host}:{}/", foreign.port())).await;
        desk.go("button").await;
        assert_eq!(desk.text("h1").await, "This form came from another site", "{host}");
        desk.shoot("cross-site").await;
    }
    assert_eq!(demo.left(event).await, before);
}
