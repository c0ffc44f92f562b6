//! The main job from end to end, in a real browser: what an organizer edits in
//! the org is what a visitor sees, and whom a visitor registers is in the org.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::{Browser, Demo, Left, Look, Org, attendee, eventually};

/// What an order's page shows of each ticket.
const TICKET: &str = ".ticket-list > .ticket";

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_is_ready_with_every_event_of_both_orgs() {
    let demo = Demo::start().await;
    let phone = Browser::open(Look::PHONE).await;
    for slug in ["meridian", "harbor"] {
        let org = demo.org(slug);
        let public = "SELECT Slug__c FROM Sloe_Event__c WHERE Published__c = true";
        for event in org.query(public).await {
            let event = event["Slug__c"].as_str().unwrap();
            let known = demo.event(org.event(event)).await;
            phone.goto(&demo.url(&format!("/{slug}/{event}"))).await;
            assert_eq!(phone.text("h1").await, known["name"].as_str().unwrap());
        }
    }
    assert_eq!(phone.complaints().await, Vec::<String>::new());
}

/// The event that the first test is about, as the organizer will have it.
const NAME: &str = "Meridian Systems Days, Again";
const PASS: &str = "Conference pass";
const STUDENT: &str = "Student pass";
const SESSION: &str = "Saying no to a dashboard";
const PAGE: &str = "/meridian/systems-days";
const OTHER: &str = "/meridian/keynote-live";
/// Seats as the organizer will have them: of the event, of [`PASS`], of [`SESSION`].
const SEATS: u64 = 12;
const PASSES: u64 = 8;
const CHAIRS: u64 = 3;

/// Who comes; names as people have them.
const GUESTS: [(&str, &str, &str); 2] = [
    ("Zoë", "Łukasiewicz-Ōno", "zoe@example.org"),
    ("Seán", "O’Neill & Sons", "sean.oneill+days@example.org"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_an_organizer_edits_is_sold_and_every_count_agrees() {
    let demo = Demo::start_to_keep().await;
    let phone = Browser::open(Look::PHONE).await;
    let desk = Browser::open(Look::DESKTOP).await;

    edit_in_the_org(&demo, &desk).await;
    let order = register_two_on_the_phone(&demo, &phone).await;
    two_tickets_are_shown(&phone).await;
    both_are_in_the_org(demo.org("meridian"), 2).await;
    the_mail_is_there(&demo, &desk, &order).await;
    phone.goto(&order).await;
    the_calendar_file_is_right(&phone.download("a[download]").await);

    // Somebody still has the page of before, with a ticket chosen.
    desk.goto(&demo.url(PAGE)).await;
    desk.click(&format!("[aria-label='One more: {STUDENT}']")).await;
    sell_the_rest(&demo).await;
    the_page_says_sold_out(&demo, &phone).await;
    a_late_form_is_refused(&demo, &desk).await;
    assert_eq!(phone.complaints().await, Vec::<String>::new());

    // Figures go at most once a minute, and at a start what is not told yet.
    let demo = demo.restart().await;
    every_count_agrees(&demo, &desk).await;
    both_are_in_the_org(demo.org("meridian"), SEATS).await;
}

/// Changes a name and three capacities on the org's own pages, presses Update,
/// and waits until the public page follows.
async fn edit_in_the_org(demo: &Demo, desk: &Browser) {
    let before = page_of(demo, OTHER).await;
    desk.goto(&demo.org("meridian").url).await;
    desk.follow("Meridian Systems Days").await;
    let page = desk.url().await;
    desk.shoot("org-event").await;
    let fields = [("Name", NAME.to_owned()), ("Capacity__c", SEATS.to_string())];
    save_in_the_org(desk, &fields).await;
    desk.follow(PASS).await;
    save_in_the_org(desk, &[("Quantity__c", PASSES.to_string())]).await;
    desk.goto(&page).await;
    desk.follow(SESSION).await;
    save_in_the_org(desk, &[("Capacity__c", CHAIRS.to_string())]).await;
    desk.goto(&page).await;
    desk.click("#update").await;
    assert_eq!(desk.text("#notice").await, "Update accepted: Sloe is reading the change.");
    assert_eq!(desk.complaints().await, Vec::<String>::new());

    let event = demo.org("meridian").event("systems-days");
    eventually(async || {
        let left = demo.left(event).await;
        let edited = (Some(SEATS), Some(PASSES), Some(CHAIRS));
        let now = (left.event, left.items[PASS], left.sessions[SESSION]);
        if now == edited { Ok(()) } else { Err(format!("left is {left:?}")) }
    })
    .await;
    // Counts change a moment before the page does.
    eventually(async || match page_of(demo, PAGE).await.1.contains(NAME) {
        true => Ok(()),
        false => Err("the page has the name of before".to_owned()),
    })
    .await;
    assert_eq!(page_of(demo, OTHER).await, before, "another event's page is untouched");
}

async fn save_in_the_org(desk: &Browser, fields: &[(&str, String)]) {
    for (field, value) in fields {
        desk.fill(&format!("#field-{field}"), value).await;
    }
    desk.click("#save").await;
    assert_eq!(desk.text("#notice").await, "Saved.");
}

/// A page of the site with its validator, as a cache gets it.
async fn page_of(demo: &Demo, path: &str) -> (String, String) {
    let answer = demo.client().get(demo.url(path)).send().await.unwrap();
    let validator = answer.headers()["etag"].to_str().unwrap().to_owned();
    (validator, answer.text().await.unwrap())
}

/// Two passes and a session, from the event's page to the order's; answers the
/// order's address.
async fn register_two_on_the_phone(demo: &Demo, phone: &Browser) -> String {
    let event = demo.org("meridian").event("systems-days");
    let session = demo.id_of(event, SESSION).await;
    phone.goto(&demo.url(PAGE)).await;
    assert_eq!(phone.text("h1").await, NAME);
    phone.shows(&format!("{CHAIRS} left")).await;
    phone.shoot("event").await;
    phone.click(&format!("label[for='session-{session}']")).await;
    for _ in 0..2 {
        phone.click(&format!("[aria-label='One more: {PASS}']")).await;
    }
    phone.go(".choose [type=submit]").await;
    phone.arrive("/checkout/").await;

    assert_eq!(phone.text(".lines").await, format!("2 × {PASS}\nFree"));
    assert!(phone.is_ticked("#sessions-same").await, "the same for everyone");
    let chosen = phone.text(".chosen").await;
    let (day, time) = chosen.split_once(' ').unwrap();
    assert!(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(&day), "{chosen}");
    assert_eq!(time, format!("14:00 {SESSION}"));
    let held = demo.left(event).await;
    let (event_left, pass, chairs) = (held.event, held.items[PASS], held.sessions[SESSION]);
    assert_eq!((event_left, pass, chairs), (Some(SEATS - 2), Some(PASSES - 2), Some(CHAIRS - 2)));
    for (place, (first, last, email)) in (1..).zip(GUESTS) {
        phone.fill(&format!("#first-{place}"), first).await;
        phone.fill(&format!("#last-{place}"), last).await;
        phone.fill(&format!("#email-{place}"), email).await;
    }
    phone.shoot("checkout").await;
    phone.go(".form-side form [type=submit]").await;
    let order = phone.arrive("/order/").await;
    assert_eq!(demo.left(event).await, held, "what was held is sold, and nothing else");
    order
}

async fn two_tickets_are_shown(phone: &Browser) {
    assert_eq!(phone.text("h1").await, "You’re both registered");
    phone.shoot("order").await;
    let names = phone.texts(&format!("{TICKET} h3")).await;
    assert_eq!(names, GUESTS.map(|(first, last, _)| format!("{first} {last}")));
    let agendas = phone.texts(&format!("{TICKET} .agenda")).await;
    assert_eq!(agendas.len(), 2);
    assert!(agendas.iter().all(|agenda| agenda.contains(SESSION)), "{agendas:?}");
    assert_eq!(phone.find_all(&format!("{TICKET} .ticket-code svg")).await.len(), 2);
    let codes = phone.texts(&format!("{TICKET} .ticket-code code")).await;
    assert!(codes.len() == 2 && codes[0] != codes[1], "{codes:?}");
}

/// Both guests, once each, among `all` attendees that Sloe made.
async fn both_are_in_the_org(org: &Org, all: u64) {
    let event = org.record("Sloe_Event__c WHERE Slug__c = 'systems-days'").await;
    let ours = format!("Sloe_Attendee__c WHERE Event__c = '{event}' AND Sloe_Id__c != null");
    eventually(async || match org.count(&ours).await {
        count if count == all => Ok(()),
        count => Err(format!("{count} attendees are in the org, not {all}")),
    })
    .await;
    for (first, last, email) in GUESTS {
        let row = org
            .one(&format!(
                "SELECT First_Name__c, Last_Name__c, Item__r.Name, Registration_Status__c \
                 FROM Sloe_Attendee__c WHERE Event__c = '{event}' AND Email__c = '{email}'"
            ))
            .await;
        let told = ["First_Name__c", "Last_Name__c", "Registration_Status__c"].map(|f| &row[f]);
        assert_eq!(told, [first, last, "Registered"], "{row}");
        assert_eq!(row["Item__r"]["Name"], PASS);
    }
    let chosen = eventually(async || {
        let chosen = org
            .query(
                "SELECT Attendee__r.Email__c, Session__r.Name, Registration_Status__c \
                 FROM Sloe_Session_Attendee__c ORDER BY Attendee__r.Email__c DESC",
            )
            .await;
        if chosen.len() == 2 { Ok(chosen) } else { Err(format!("sessions: {chosen:?}")) }
    })
    .await;
    for (row, (_, _, email)) in chosen.iter().zip(GUESTS) {
        assert_eq!(row["Attendee__r"]["Email__c"], email);
        assert_eq!(row["Session__r"]["Name"], SESSION);
        assert_eq!(row["Registration_Status__c"], "Registered");
    }
}

/// One mail for the order, with the way back to it.
async fn the_mail_is_there(demo: &Demo, desk: &Browser, order: &str) {
    eventually(async || {
        desk.goto(&demo.mailbox).await;
        let mails = desk.find_all(".rows a").await.len();
        if mails > 0 { Ok(()) } else { Err("no mail came".to_owned()) }
    })
    .await;
    desk.go(".rows a").await;
    assert!(desk.text("article .hint").await.contains(GUESTS[0].2));
    desk.click("article summary").await;
    let mail = desk.text("article pre").await;
    desk.shoot("mailbox").await;
    for (first, last, _) in GUESTS {
        assert!(mail.contains(&format!("* {first} {last}, {PASS}")), "{mail}");
    }
    assert!(mail.lines().any(|line| line == order), "{order} is not in: {mail}");
    assert_eq!(desk.text("article p a").await, "event.ics");
    assert_eq!(desk.find_all(".rows a").await.len(), 1, "one order, one mail");
    assert_eq!(desk.complaints().await, Vec::<String>::new());
}

/// Reads the file as RFC 5545 has it: lines of at most 75 bytes, folded by a
/// space, each with a name and a value.
fn the_calendar_file_is_right(file: &str) {
    assert!(file.ends_with("\r\n") && file.split("\r\n").all(|line| line.len() <= 75), "{file}");
    let unfolded = file.replace("\r\n ", "");
    let lines: Vec<(&str, &str)> =
        unfolded.trim_end().split("\r\n").map(|line| line.split_once(':').unwrap()).collect();
    let named = |name: &str| {
        let values: Vec<&str> =
            lines.iter().filter(|(n, _)| *n == name).map(|(_, value)| *value).collect();
        assert_eq!(values.len(), 1, "{name} in {file}");
        values[0].replace("\\n", "\n").replace("\\,", ",").replace("\\;", ";")
    };
    assert_eq!(lines[..1], [("BEGIN", "VCALENDAR")]);
    let event = lines.iter().position(|line| *line == ("BEGIN", "VEVENT")).unwrap();
    assert_eq!(lines[lines.len() - 2..], [("END", "VEVENT"), ("END", "VCALENDAR")]);
    assert!(lines[event..].iter().filter(|(name, _)| *name == "BEGIN").count() == 1, "{file}");
    assert_eq!(named("SUMMARY"), NAME);
    assert_eq!(named("STATUS"), "CONFIRMED");
    assert_eq!(named("LOCATION"), "Old Tram Depot, Depotgasse 4, 10999 Berlin, Germany");
    assert!(named("DTSTART") < named("DTEND") && named("DTSTART").ends_with('Z'), "{file}");
    let description = named("DESCRIPTION");
    assert!(description.contains(&format!("2 × {PASS}\n{SESSION}")), "{description}");
    assert!(!file.contains(GUESTS[0].0), "calendars are shared, so they name nobody");
}

async fn sell_the_rest(demo: &Demo) {
    let event = demo.org("meridian").event("systems-days");
    let (pass, student) = (demo.id_of(event, PASS).await, demo.id_of(event, STUDENT).await);
    let others = ["Ama", "Ben", "Cai", "Dee", "Eva", "Fay", "Gus", "Hal", "Ida", "Jon"];
    let (six, rest) = others.split_at(6);
    let passes: Vec<Value> = six.iter().map(|name| attendee(&pass, &[], (name, "Rest"))).collect();
    let (status, answer) = demo.register(event, &passes).await;
    assert_eq!(status, 201, "{answer}");
    for pair in rest.chunks(2) {
        let pair: Vec<Value> =
            pair.iter().map(|name| attendee(&student, &[], (name, "Rest"))).collect();
        let (status, answer) = demo.register(event, &pair).await;
        assert_eq!(status, 201, "{answer}");
    }
    let (status, answer) = demo.register(event, &[attendee(&student, &[], ("Kim", "Late"))]).await;
    assert_eq!((status.as_u16(), &answer["type"]), (409, &json!("/problems/sold-out")), "{answer}");
}

async fn the_page_says_sold_out(demo: &Demo, phone: &Browser) {
    eventually(async || {
        phone.goto(&demo.url(PAGE)).await;
        let status = phone.text(".status").await;
        if status == "Sold out" { Ok(()) } else { Err(format!("the page says “{status}”")) }
    })
    .await;
    phone.shoot("sold-out").await;
    assert_eq!(phone.text(".notice h2").await, "This event is sold out");
    assert_eq!(
        phone.text(".notice p").await,
        "Every seat is taken. Seats that are given back appear here at once, so it’s worth \
         looking again."
    );
    assert!(!phone.has(".choose [type=submit]").await, "there is nothing to send");
}

/// A page loaded before, and a form that some program sends.
async fn a_late_form_is_refused(demo: &Demo, desk: &Browser) {
    desk.go(".choose [type=submit]").await;
    desk.arrive("/hold").await;
    desk.shoot("refused").await;
    assert_eq!(desk.text("#faults li").await, "The event is sold out.");
    assert_eq!(desk.text(".notice h2").await, "This event is sold out");

    let event = demo.org("meridian").event("systems-days");
    let field = format!("qty-{}", demo.id_of(event, STUDENT).await);
    let form = demo.client().post(demo.url(&format!("{PAGE}/hold"))).form(&[(field, "1")]);
    let answer = form.send().await.unwrap();
    assert_eq!(answer.status(), 409);
    let page = answer.text().await.unwrap();
    assert!(page.contains("The event is sold out."), "{page}");
}

/// The API, the page and the org say the same.
async fn every_count_agrees(demo: &Demo, desk: &Browser) {
    let org = demo.org("meridian");
    let left = demo.left(org.event("systems-days")).await;
    let Left { event, items, sessions } = &left;
    // Of an item no more can be had than of the event.
    assert_eq!((*event, items[PASS], items[STUDENT]), (Some(0), Some(0), Some(0)), "{left:?}");
    assert_eq!(sessions[SESSION], Some(CHAIRS - 2));
    desk.goto(&demo.url(PAGE)).await;
    assert_eq!(desk.text(".status").await, "Sold out");
    assert_eq!(desk.texts(".item .left").await, ["Sold out", "Sold out"]);

    let event = org.record("Sloe_Event__c WHERE Slug__c = 'systems-days'").await;
    let of = |object: &str, name: &str| {
        format!("{object} WHERE Event__c = '{event}' AND Name = '{name}'")
    };
    let item = async |name| org.record(&of("Sloe_Item__c", name)).await;
    let session = org.record(&of("Sloe_Session__c", SESSION)).await;
    let (pass, student) = (item(PASS).await, item(STUDENT).await);
    for (object, record, sold, remaining) in [
        ("Sloe_Event__c", &event, SEATS, 0),
        ("Sloe_Item__c", &pass, PASSES, 0),
        ("Sloe_Item__c", &student, SEATS - PASSES, 40 - (SEATS - PASSES)),
        ("Sloe_Session__c", &session, 2, CHAIRS - 2),
    ] {
        let right = [0, remaining, sold];
        let figures = format!("Held__c, Remaining__c, Sold__c FROM {object} WHERE Id = '{record}'");
        eventually(async || {
            let row = org.one(&format!("SELECT {figures}")).await;
            let told = ["Held__c", "Remaining__c", "Sold__c"].map(|figure| row[figure].as_f64());
            let told = told.map(|figure| figure.map(|figure| figure.to_string()));
            if told == right.map(|figure| Some(figure.to_string())) {
                return Ok(());
            }
            Err(format!("{object}: {row}, not {right:?}"))
        })
        .await;
        desk.goto(&org.page(record)).await;
        let shown = desk.texts(".facts dd").await;
        assert_eq!(shown, right.map(|figure: u64| figure.to_string()), "{object}");
    }
    desk.shoot("org-figures").await;
}

/// Cancels what `css` offers, which asks once more.
async fn cancel(phone: &Browser, css: &str) {
    phone.click(&format!("{css} summary")).await;
    phone.go(&format!("{css} [type=submit]")).await;
    phone.arrive("?cancelled").await;
}

/// Two people in one session, registered by the API and known to the org;
/// answers the order's address.
async fn register_two(demo: &Demo, org: &Org, event: &str, item: &str, session: &str) -> String {
    let (item, session) = (demo.id_of(event, item).await, demo.id_of(event, session).await);
    let people = [("Ada", "Lovelace"), ("Alan", "Turing")];
    let people = people.map(|name| attendee(&item, &[&session], name));
    let (status, answer) = demo.register(event, &people).await;
    assert_eq!(status, 201, "{answer}");
    in_the_org(org, [("ada.lovelace", "Registered"), ("alan.turing", "Registered")]).await;
    answer["url"].as_str().unwrap().to_owned()
}

/// Waits until these people, and their sessions, are in the org, once each and
/// with this status.
async fn in_the_org(org: &Org, people: [(&str, &str); 2]) {
    let right: Vec<_> = people.map(|(who, status)| (format!("{who}@example.org"), status)).into();
    let rows = async |soql: &str, email: fn(&Value) -> &Value| {
        let rows = org.query(soql).await;
        let told = |row: &Value| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(email(row)), text(&row["Registration_Status__c"]))
        };
        rows.iter().map(told).collect::<Vec<_>>()
    };
    eventually(async || {
        let attendees = "SELECT Email__c, Registration_Status__c FROM Sloe_Attendee__c \
                         WHERE Sloe_Id__c != null ORDER BY Email__c";
        let attendees = rows(attendees, |row| &row["Email__c"]).await;
        let sessions = "SELECT Attendee__r.Email__c, Registration_Status__c \
                        FROM Sloe_Session_Attendee__c ORDER BY Attendee__r.Email__c";
        let sessions = rows(sessions, |row| &row["Attendee__r"]["Email__c"]).await;
        let is_right = |rows: &[(String, String)]| {
            rows.iter().map(|(who, status)| (who.clone(), status.as_str())).eq(right.clone())
        };
        if is_right(&attendees) && is_right(&sessions) {
            return Ok(());
        }
        Err(format!("{attendees:?} and {sessions:?}, not {right:?}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_tickets_give_their_seats_back_and_the_org_knows() {
    let session = "On call with a newborn";
    let demo = Demo::start().await;
    let org = demo.org("meridian");
    let event = org.event("systems-days");
    let before = demo.left(event).await;
    let order = register_two(&demo, org, event, PASS, session).await;
    let phone = Browser::open(Look::PHONE).await;
    phone.goto(&order).await;

    cancel(&phone, &format!("{TICKET}:nth-child(2) .undo")).await;
    phone.shoot("order-one-cancelled").await;
    assert_eq!(phone.text(".notice h2").await, "The ticket is cancelled");
    assert_eq!(phone.text("h1").await, "You’re registered");
    assert_eq!(phone.texts(&format!("{TICKET}.is-void h3")).await, ["Alan Turing"]);
    assert_eq!(phone.text(&format!("{TICKET}.is-void .status")).await, "Cancelled");
    assert_eq!(phone.find_all(".ticket-code svg").await.len(), 1, "a void ticket has no code");
    let left = demo.left(event).await;
    assert_eq!(left.event.zip(before.event).map(|(now, then)| then - now), Some(1));
    assert_eq!(left.sessions[session], before.sessions[session].map(|seats| seats - 1));
    in_the_org(org, [("ada.lovelace", "Registered"), ("alan.turing", "Cancelled")]).await;

    cancel(&phone, ".cancel .undo").await;
    phone.shoot("order-cancelled").await;
    assert_eq!(phone.text("h1").await, "This order is cancelled");
    assert_eq!(phone.text(".notice h2").await, "Your registration is cancelled");
    assert!(!phone.has(".ticket-code svg").await);
    assert_eq!(demo.left(event).await, before, "all seats are back");
    in_the_org(org, [("ada.lovelace", "Cancelled"), ("alan.turing", "Cancelled")]).await;
    assert_eq!(phone.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attendee_cancelled_in_salesforce_has_no_ticket_and_frees_a_seat() {
    let session = "Morning sail";
    let demo = Demo::start().await;
    let org = demo.org("harbor");
    let event = org.event("sailing-day");
    let before = demo.left(event).await;
    let order = register_two(&demo, org, event, "Guest aboard", session).await;
    let phone = Browser::open(Look::PHONE).await;
    phone.goto(&order).await;
    assert_eq!(phone.text("h1").await, "You’re both registered");

    let row = org.record("Sloe_Attendee__c WHERE Email__c = 'ada.lovelace@example.org'").await;
    org.patch("Sloe_Attendee__c", &row, &json!({ "Registration_Status__c": "Cancelled" })).await;
    let desk = Browser::open(Look::DESKTOP).await;
    desk.goto(&org.url).await;
    desk.follow("Sailing Day for Everyone").await;
    desk.click("#update").await;
    assert_eq!(desk.text("#notice").await, "Update accepted: Sloe is reading the change.");

    eventually(async || {
        phone.goto(&order).await;
        let void = phone.texts(&format!("{TICKET}.is-void h3")).await;
        if void == ["Ada Lovelace"] { Ok(()) } else { Err(format!("void is {void:?}")) }
    })
    .await;
    phone.shoot("order-cancelled-by-organizer").await;
    let status = phone.text(&format!("{TICKET}.is-void .status")).await;
    assert_eq!(status, "Cancelled by the organizer");
    assert_eq!(phone.text("h1").await, "You’re registered");
    let seats = demo.left(event).await.sessions[session];
    assert_eq!(seats, before.sessions[session].map(|seats| seats - 1), "one seat is free again");
    // What the org decided stands, and nobody else is touched.
    let status = "SELECT Registration_Status__c FROM Sloe_Attendee__c ORDER BY Email__c";
    let ours = "WHERE Sloe_Id__c != null ORDER BY";
    let rows = org.query(&status.replace("ORDER BY", ours)).await;
    let told: Vec<_> = rows.iter().map(|row| &row["Registration_Status__c"]).collect();
    assert_eq!(told, ["Cancelled", "Registered"]);
}
