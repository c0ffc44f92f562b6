//! The tour of all pages in all states, as one visitor makes it. What a state
//! must tell stands beside it, so that this file reads as the list of them.

use sloe_web::error::Cause;

use super::support::eventually;
use super::town::{ARABIC, LONG, Town};
use super::visit::{Told, Visit};

const MERIDIAN: &str = "Meridian Systems Foundation";
const HARBOR: &str = "Harbor Lights Cultural Society";
const KEYNOTE: &str = "Meridian Keynote, Live";
const DAYS: &str = "Meridian Systems Days";

/// Everything that is there while both orgs have their license.
pub(crate) async fn of_what_is_open(town: &Town, visit: &mut Visit) {
    fronts(town, visit).await;
    events(town, visit).await;
    shut_events(town, visit).await;
    nowhere(town, visit).await;
    problems(town, visit).await;
    one_person(town, visit).await;
    several_people(town, visit).await;
    seats_given_back(town, visit).await;
    too_few_seats(town, visit).await;
    orders(town, visit).await;
    changed_orders(town, visit).await;
    mailbox(town, visit).await;
}

fn of(state: &str, org: &str) -> String {
    format!("{state} · {org}")
}

async fn see(visit: &mut Visit, url: &str, name: &str, status: u16, title: &str, says: &[&str]) {
    visit.see(url, &Told { name, status, title, says }).await;
}

async fn look(visit: &mut Visit, name: &str, status: u16, title: &str, says: &[&str]) {
    visit.look(&Told { name, status, title, says }).await;
}

async fn fronts(town: &Town, visit: &mut Visit) {
    let says = [MERIDIAN, HARBOR, "upcoming events", "demo mailbox"];
    see(visit, &town.demo.url("/"), "landing", 200, "Sloe", &says).await;
    let says =
        ["Upcoming events", DAYS, "Opens ", "Few left", "Past events", "events@meridian.example"];
    see(visit, &town.demo.url("/meridian"), "list-modern", 200, MERIDIAN, &says).await;
    let says =
        ["Sold out", "Registration closed", "Cancelled", "Payment not open yet", "Past events"];
    see(visit, &town.demo.url("/harbor"), "list-classic", 200, HARBOR, &says).await;
}

async fn events(town: &Town, visit: &mut Visit) {
    let at = |org: &str, slug: &str| town.page(org, slug);
    let says = [
        "Available",
        "12 sessions",
        "Pick what you want to attend",
        "held for 10 minutes",
        "days@meridian.example",
    ];
    see(visit, &at("meridian", "systems-days"), "event-sessions", 200, &of(DAYS, MERIDIAN), &says)
        .await;
    let says = ["Online", "New York time"];
    see(visit, &at("meridian", "keynote-live"), "event-online", 200, &of(KEYNOTE, MERIDIAN), &says)
        .await;
    let says = [ARABIC, "تذكرة المؤتمر", "قاعة المكتبة", "Cairo time"];
    see(
        visit,
        &at("meridian", "reliable-systems"),
        "event-right-to-left",
        200,
        &of(ARABIC, MERIDIAN),
        &says,
    )
    .await;
    let says = ["港の灯り", "一般席 (General)", "Tokyo time"];
    see(
        visit,
        &at("harbor", "tokyo-jazz"),
        "event-japanese",
        200,
        &of("港の灯り ジャズの夕べ", HARBOR),
        &says,
    )
    .await;
    see(visit, &at("harbor", "long-words"), "event-long-words", 200, &of(LONG, HARBOR), &[LONG])
        .await;
    let title = of("Async Rust from the Ground Up", MERIDIAN);
    see(
        visit,
        &at("meridian", "async-rust-workshop"),
        "event-few",
        200,
        &title,
        &["Few left", "3 left"],
    )
    .await;
    let says = [
        "Free, or from €65.00",
        "Payment isn’t open yet, so this ticket can’t be booked here for now.",
    ];
    see(
        visit,
        &at("harbor", "harbor-gala"),
        "event-partly-priced",
        200,
        &of("Harbor Gala Dinner", HARBOR),
        &says,
    )
    .await;
}

async fn shut_events(town: &Town, visit: &mut Visit) {
    let at = |org: &str, slug: &str| town.page(org, slug);
    let says = [
        "This event is sold out",
        "Every seat is taken.",
        "it’s worth looking again",
        "Already holding seats? Continue your registration",
        "hello@harborlights.example",
    ];
    let title = of("Candlelight Concert in the Customs House (Sold out)", HARBOR);
    see(visit, &at("harbor", "candlelight-concert"), "event-sold-out", 200, &title, &says).await;
    let says = [
        "Registration isn’t open yet",
        "It opens on ",
        " at 10:00, Zurich time (UTC+1). Come back then",
    ];
    let page = at("meridian", "winter-hack-week");
    visit.browser.goto(&page).await;
    let opens = visit.browser.text(".hero .status").await;
    let title = of(&format!("Winter Hack Week ({opens})"), MERIDIAN);
    see(visit, &page, "event-not-yet-open", 200, &title, &says).await;
    let says = [
        "Registration is closed",
        "If you already have a ticket, it stays valid. Ask the organizer",
    ];
    let title = of("Reading Sea Charts: a Lecture (Registration closed)", HARBOR);
    see(visit, &at("harbor", "reading-sea-charts"), "event-closed", 200, &title, &says).await;
    let says = ["This event is over", "Have a look at what’s coming up next."];
    let title = of("Systems Meetup: Tail Latency (Over)", MERIDIAN);
    see(visit, &at("meridian", "meetup-tail-latency"), "event-over", 200, &title, &says).await;
    let says =
        ["This event is cancelled", "If you’re registered, there is nothing you need to do."];
    let title = of("Open-Air Cinema on the Pier (Cancelled)", HARBOR);
    see(visit, &at("harbor", "open-air-cinema"), "event-cancelled", 200, &title, &says).await;
    let says =
        ["Payment isn’t open yet", "Ask the organizer how to register until then.", "€28.00"];
    let title = of("Wine by the Water (Payment not open yet)", HARBOR);
    see(visit, &at("harbor", "wine-by-the-water"), "event-priced", 200, &title, &says).await;
}

async fn nowhere(town: &Town, visit: &mut Visit) {
    let says = [
        "We can’t find this event",
        "taken the page offline",
        "your tickets still work",
        "See all events",
    ];
    let title = of("We can’t find this event", MERIDIAN);
    see(visit, &town.page("meridian", "speakers-evening"), "event-unpublished", 404, &title, &says)
        .await;
    see(visit, &town.page("meridian", "no-such-event"), "event-unknown", 404, &title, &says).await;
    let says =
        ["There is nothing at this address", "check it for typing errors", "Go to the front page"];
    let unknown = [
        ("org-unknown", "/nobody"),
        ("checkout-unknown", "/checkout/abc"),
        ("order-unknown", "/order/abc"),
        ("address-unknown", "/meridian/keynote-live/nothing"),
        ("problem-unknown", "/problems/nothing"),
        ("mail-unknown", "/demo/mailbox/4711"),
    ];
    for (name, path) in unknown {
        let url = town.demo.url(path);
        see(visit, &url, name, 404, "There is nothing at this address", &says).await;
    }
    let says = ["You aren’t holding seats for this event", "Back to the event"];
    let title = of(&format!("You aren’t holding seats for this event: {KEYNOTE}"), MERIDIAN);
    see(visit, &town.page("meridian", "keynote-live/resume"), "nothing-held", 200, &title, &says)
        .await;
    let says =
        ["This address can’t do that", "Start from the event’s page.", "Go to the front page"];
    let url = town.page("meridian", "keynote-live/hold");
    see(visit, &url, "wrong-method", 405, "This address can’t do that", &says).await;
    let form =
        format!("data:text/html,<form method=post action='{url}'><button>Go</button></form>");
    visit.browser.goto(&form).await;
    visit.browser.go("button").await;
    visit.browser.arrive("/hold").await;
    let says = [
        "This form came from another site",
        "Nothing was booked.",
        "Open the event’s page here and try again.",
        "Go to the front page",
    ];
    look(visit, "cross-site", 403, "This form came from another site", &says).await;
}

async fn problems(town: &Town, visit: &mut Visit) {
    for cause in Cause::ALL {
        let entry = cause.entry();
        let url = town.demo.url(&format!("/problems/{}", entry.name));
        let [meaning, remedy] = [entry.meaning, entry.remedy].map(|text| text.replace('`', ""));
        let says = [entry.title, meaning.as_str(), remedy.as_str()];
        see(visit, &url, &format!("problem-{}", entry.name), 200, entry.title, &says).await;
    }
}

async fn one_person(town: &Town, visit: &mut Visit) {
    visit.browser.goto(&town.page("meridian", "keynote-live")).await;
    visit.browser.go(".tickets button[type=submit]").await;
    visit.browser.arrive("/checkout/").await;
    let title = of(&format!("Your details: {KEYNOTE}"), MERIDIAN);
    let says = [
        "Who is coming?",
        "Your seats are held until",
        "New York time",
        "All fields are required",
        "Your details go to",
        "Give my seats back",
    ];
    look(visit, "checkout-one", 200, &title, &says).await;
    visit.browser.go(".finish button").await;
    visit.browser.shows("one thing to put right").await;
    let title = of(&format!("Please check your details: {KEYNOTE}"), MERIDIAN);
    let says = ["There is one thing to put right", "Enter the last name."];
    look(visit, "checkout-one-faults", 422, &title, &says).await;
    // Back with the seats held, the event's page offers the way on.
    visit.browser.goto(&town.page("meridian", "keynote-live")).await;
    visit.browser.shows("You are holding one seat until").await;
    let says = ["Continue your registration"];
    look(visit, "event-holding", 200, &of(KEYNOTE, MERIDIAN), &says).await;
}

/// Chooses two passes and two sessions; answers the checkout's address.
pub(crate) async fn choose_two(town: &Town, visit: &mut Visit) -> String {
    visit.browser.goto(&town.page("meridian", "systems-days")).await;
    visit.browser.fill("input[type=number]", "2").await;
    visit.browser.click(".session input").await;
    visit.browser.go(".tickets button[type=submit]").await;
    visit.browser.arrive("/checkout/").await
}

async fn several_people(town: &Town, visit: &mut Visit) {
    choose_two(town, visit).await;
    let title = of(&format!("Your details: {DAYS}"), MERIDIAN);
    let says = [
        "Person 1",
        "Person 2",
        "The same for everyone",
        "Choose per person",
        "2 × Conference pass",
    ];
    look(visit, "checkout-several", 200, &title, &says).await;
    visit.browser.click("label[for=sessions-each]").await;
    let says = ["Sessions of person 2"];
    look(visit, "checkout-several-sessions", 200, &title, &says).await;
    visit.browser.fill("#first-1", "Ada").await;
    visit.browser.fill("#email-2", "nonsense").await;
    visit.browser.go(".finish button").await;
    visit.browser.shows("things to put right").await;
    let title = of(&format!("Please check your details: {DAYS}"), MERIDIAN);
    let says = [
        "There are 3 things to put right",
        "Person 1: Enter the last name.",
        "Person 2: Enter an e-mail address like name@example.org.",
    ];
    look(visit, "checkout-several-faults", 422, &title, &says).await;
    visit.browser.go("a.quiet").await;
    visit.browser.arrive("/change").await;
    visit.browser.shows("You are holding 2 seats until").await;
    let says = ["Continue your registration", "Continue"];
    look(visit, "event-changing", 200, &of(DAYS, MERIDIAN), &says).await;
}

async fn seats_given_back(town: &Town, visit: &mut Visit) {
    let checkout = choose_two(town, visit).await;
    visit.browser.go(".aside-actions button").await;
    visit.browser.shows("Your seats are given back").await;
    let says = ["Nothing was booked", "Back to the event"];
    let title = of(&format!("Your seats are given back: {DAYS}"), MERIDIAN);
    look(visit, "seats-given-back", 200, &title, &says).await;
    let says = ["This selection is no longer held", "Nothing was booked.", "Choose again"];
    let title = of(&format!("This selection is no longer held: {DAYS}"), MERIDIAN);
    see(visit, &checkout, "hold-over", 409, &title, &says).await;
}

async fn too_few_seats(town: &Town, visit: &mut Visit) {
    let page = town.page("meridian", "few-seats");
    visit.browser.goto(&page).await;
    visit.browser.fill("input[type=number]", "0").await;
    visit.browser.go(".tickets button[type=submit]").await;
    visit.browser.shows("one thing to put right").await;
    let title = of("Few Seats", MERIDIAN);
    look(visit, "event-nothing-chosen", 422, &title, &["Choose at least one ticket."]).await;
    visit.browser.goto(&page).await;
    visit.browser.fill("input[type=number]", "9").await;
    visit.browser.go(".tickets button[type=submit]").await;
    visit.browser.shows("one thing to put right").await;
    let says = ["Only 8 ", "you asked for 9", "Choose fewer."];
    look(visit, "event-too-many-chosen", 409, &title, &says).await;
    // A form with what we never asked for.
    visit.browser.goto(&page).await;
    visit
        .browser
        .evaluate("document.querySelector('form.choose input').name = 'qty-nonsense'")
        .await;
    visit.browser.go(".tickets button[type=submit]").await;
    visit.browser.arrive("/hold").await;
    let says = [
        "We can’t read this request",
        "Nothing was booked. Go back, reload the page and try again.",
    ];
    look(visit, "bad-request", 400, &of("We can’t read this request: Few Seats", MERIDIAN), &says)
        .await;
}

async fn orders(town: &Town, visit: &mut Visit) {
    let says = [
        "You’re registered",
        "We’re sending your tickets to",
        "Join online",
        "Can’t come?",
        "Questions? Write to",
    ];
    let title = of(&format!("Your tickets: {KEYNOTE}"), MERIDIAN);
    see(visit, &town.orders["one"], "order-one", 200, &title, &says).await;
    let says =
        ["All 3 of you are registered", "Cancel this ticket", "Cancel the whole order", "美咲 林"];
    let title = of(&format!("Your tickets: {DAYS}"), MERIDIAN);
    see(visit, &town.orders["several"], "order-several", 200, &title, &says).await;
    let says = ["You’re both registered", "Grace Hopper", "Cancelled"];
    see(visit, &town.orders["one-cancelled"], "order-one-cancelled", 200, &title, &says).await;
    let says = ["You’re both registered", "Cancelled by the organizer"];
    let page = &town.orders["cancelled-by-the-organizer"];
    see(visit, page, "order-cancelled-by-organizer", 200, &title, &says).await;
    let page = format!("{}?cancelled", town.orders["one-cancelled"]);
    let says = ["The ticket is cancelled", "The other tickets of this order stay valid."];
    see(visit, &page, "order-cancelled-now", 200, &title, &says).await;
    let says = ["You’re registered"];
    let title = of(&format!("Your tickets: {LONG}"), HARBOR);
    see(visit, &town.orders["long-words"], "order-long-words", 200, &title, &says).await;
}

async fn changed_orders(town: &Town, visit: &mut Visit) {
    let says = ["This order is cancelled", "Its tickets aren’t valid any more", "register again"];
    let title = of(&format!("Cancelled order: {DAYS}"), MERIDIAN);
    see(visit, &town.orders["all-cancelled"], "order-all-cancelled", 200, &title, &says).await;
    let says = [
        "The organizer has cancelled this event",
        "please don’t travel",
        "there is nothing you need to do",
        "Ada Lovelace",
    ];
    let title = of("Cancelled event: Called Off", HARBOR);
    see(visit, &town.orders["called-off"], "order-event-cancelled", 200, &title, &says).await;
    let says = [
        "The event’s page is hidden at the moment",
        "Your tickets are still valid",
        "Ada Lovelace",
    ];
    let title = of("Your tickets: Taken Offline", HARBOR);
    see(visit, &town.orders["offline"], "order-event-hidden", 200, &title, &says).await;
    let says = ["This event is over", "Your order stays here for your records", "Ada Lovelace"];
    let title = of("Past event: Long Past", HARBOR);
    see(visit, &town.orders["past"], "order-event-over", 200, &title, &says).await;
}

async fn mailbox(town: &Town, visit: &mut Visit) {
    let says = ["Nothing left this machine.", &format!("You’re registered: {KEYNOTE}")];
    see(visit, &town.demo.mailbox, "mailbox", 200, "Demo mailbox", &says).await;
    visit.browser.go(".rows a").await;
    let mail = visit.browser.arrive("/demo/mailbox/").await;
    visit.browser.find("article").await;
    let title = visit.browser.driver().title().await.unwrap();
    assert!(title.ends_with("· Demo mailbox"), "{title}");
    look(visit, "mail", 200, &title, &["tickets@sloe.example", "event.ics", "Plain text"]).await;
    // Its own address lets no script run, not even a checker's: shown as a
    // mail program shows it, from memory.
    let html = town.demo.client().get(format!("{mail}/html")).send().await.unwrap();
    let html = html.text().await.unwrap();
    visit.browser.goto("about:blank").await;
    let write = "document.open(); document.write(arguments[0]); document.close()";
    visit.browser.evaluate_with(write, vec![html.into()]).await;
    let subject = title.trim_end_matches(" · Demo mailbox");
    let says = ["registered", "Show ", "Can’t come? Open the order and cancel there"];
    visit.look_at_mail(&Told { name: "mail-html", status: 0, title: subject, says: &says }).await;
}

/// A checkout whose event is called off under the visitor's hands; `off` does it.
pub(crate) async fn called_off_meanwhile(visit: &mut Visit, off: impl AsyncFn()) {
    visit.browser.go(".tickets button[type=submit]").await;
    visit.browser.arrive("/checkout/").await;
    for (field, text) in
        [("#first-1", "Ada"), ("#last-1", "Lovelace"), ("#email-1", "ada@example.org")]
    {
        visit.browser.fill(field, text).await;
    }
    off().await;
    visit.browser.go(".finish button").await;
    visit.browser.shows("This event is cancelled").await;
    let says = ["Nothing was booked.", "Back to the event"];
    let title = of("This event is cancelled: Called Off Meanwhile", MERIDIAN);
    look(visit, "checkout-called-off", 409, &title, &says).await;
}

/// What is left when the minute of a hold is over.
pub(crate) async fn of_what_ended(town: &Town, visit: &mut Visit) {
    eventually(async || {
        visit.browser.goto(&town.ending).await;
        let page = visit.browser.page().await;
        if page.contains("The time is over") { Ok(()) } else { Err(page) }
    })
    .await;
    let title = of("Your details: Held a Minute", HARBOR);
    let says = ["The time is over. Confirm anyway: you get your seats if nobody took them."];
    look(visit, "checkout-over", 200, &title, &says).await;
    let title = of("Your seats are gone: The Only Seat", HARBOR);
    let says =
        ["Your seats are gone", "Nothing was booked.", "The event is sold out.", "Choose again"];
    see(visit, &town.losing, "seats-gone", 410, &title, &says).await;
}

/// The pages of an org that has no license.
pub(crate) async fn of_an_org_without_license(town: &Town, visit: &mut Visit) {
    let says = [
        "Registration is paused",
        "Please try again later, or ask the organizer.",
        "Tickets you already have stay valid.",
        "hello@harborlights.example",
    ];
    see(visit, &town.demo.url("/harbor"), "list-paused", 200, HARBOR, &says).await;
    let title = of("Sailing Day for Everyone (Registration paused)", HARBOR);
    see(visit, &town.page("harbor", "sailing-day"), "event-paused", 200, &title, &says).await;
    let title = of("Your tickets: Taken Offline", HARBOR);
    see(visit, &town.orders["offline"], "order-paused", 200, &title, &["You’re registered"]).await;
}
