//! Checkout, order pages and the mail.

use askama::Template;
use sloe_web::site::qr;
use sloe_web::site::view::checkout::{CheckoutPage, EventBrief, Field, Held, Line, Person};
use sloe_web::site::view::event::SessionChoice;
use sloe_web::site::view::mail::{MailTicket, OrderMail, OrderMailHtml, OrderMailText};
use sloe_web::site::view::order::{Keep, OrderPage, Ticket, TicketSession, TicketState};
use sloe_web::site::view::{Fault, Shell};
use sloe_web::site::words;

use crate::events::{program, when};
use crate::orgs::{looks, north};

fn brief() -> EventBrief {
    EventBrief {
        href: Some("/northlight/resilience-2026".into()),
        name: "Resilience 2026".into(),
        when: when("2026-12-03T08:00:00Z", "2026-12-03T17:00:00Z", "Europe/Berlin"),
        place: "Kulturbrauerei, Berlin".into(),
        tone: 3,
    }
}

fn field(value: &str, max: u32, fault: Option<&str>) -> Field {
    Field { value: value.into(), max, required: true, fault: fault.map(Into::into) }
}

fn person(place: u16, item: &str, (first, last, email): (&str, &str, &str)) -> Person {
    let sessions: Vec<SessionChoice> = program()
        .into_iter()
        .flat_map(|day| day.slots)
        .flat_map(|slot| {
            slot.sessions
                .into_iter()
                .map(move |s| SessionChoice { time: Some(slot.label.clone()), ..s })
        })
        .enumerate()
        .map(|(n, s)| SessionChoice { chosen: n % 3 == 1 && n < 8, ..s })
        .collect();
    Person {
        place,
        item: item.into(),
        first_name: field(first, 40, None),
        last_name: field(last, 80, None),
        email: field(email, 80, None),
        sessions,
    }
}

fn checkout() -> CheckoutPage {
    CheckoutPage {
        shell: Shell::private(Some(&north()), "Your details: Resilience 2026"),
        org: north(),
        event: brief(),
        held: Held { until: "14:32".into(), zone: "Berlin time (UTC+1)".into(), seconds: 585 },
        notice: None,
        lines: vec![
            Line { name: "Conference ticket".into(), quantity: 1, price: "Free".into() },
            Line { name: "Student ticket".into(), quantity: 1, price: "Free".into() },
        ],
        sessions: vec![
            "09:30 Queues Are Not a Strategy".into(),
            "10:45 One Fsync to Rule Them All".into(),
            "13:00 Idempotency, the Hard Way".into(),
        ],
        action: "/checkout/h".into(),
        release: "/checkout/h/release".into(),
        change: "/northlight/resilience-2026?qty-i1=1".into(),
        key: "0193-key".into(),
        people: vec![
            person(1, "Conference ticket", ("", "", "")),
            person(2, "Student ticket", ("", "", "")),
        ],
        per_person: false,
        has_sessions: true,
        privacy_url: Some("https://example.org/privacy".into()),
        faults: Vec::new(),
    }
}

pub(crate) fn faulty() -> CheckoutPage {
    let mut page = checkout();
    page.people = vec![
        person(1, "Conference ticket", ("美咲", "林", "misaki@example")),
        person(2, "Student ticket", ("Zoë", "", "")),
    ];
    page.people[0].email.fault = Some("Enter an email address like name@example.org.".into());
    page.people[1].last_name.fault = Some("Enter the last name.".into());
    page.people[1].email.fault = Some("Enter an email address; the ticket is sent there.".into());
    page.faults = vec![
        Fault {
            field: "email-1".into(),
            message: "Person 1: enter an email address like name@example.org.".into(),
        },
        Fault { field: "last-2".into(), message: "Person 2: enter the last name.".into() },
        Fault {
            field: "email-2".into(),
            message: "Person 2: enter an email address; the ticket is sent there.".into(),
        },
    ];
    page.per_person = true;
    page
}

fn ticket(place: u16, name: &str, item: &str, state: TicketState) -> Ticket {
    let code = format!("8m2k v0xr 4q7t c9wd 1h6n z3bj {place}e");
    Ticket {
        place,
        name: Some(name.into()),
        item: item.into(),
        qr: qr::svg(&code).unwrap(),
        code,
        sessions: [
            ("Thu 09:30", "Queues Are Not a Strategy", "Palais"),
            ("Thu 10:45", "One Fsync to Rule Them All", "Palais"),
        ]
        .map(|(time, name, room)| TicketSession {
            time: time.into(),
            name: name.into(),
            room: Some(room.into()),
        })
        .into(),
        state,
    }
}

pub(crate) fn order() -> OrderPage {
    OrderPage {
        shell: Shell::private(Some(&north()), "Your tickets: Resilience 2026"),
        org: north(),
        event: brief(),
        online_url: None,
        address: vec![
            "Kulturbrauerei".into(),
            "Schönhauser Allee 36".into(),
            "10435 Berlin".into(),
        ],
        reference: "7K3M-9QXZ".into(),
        notice: None,
        cancelled: false,
        can_cancel: true,
        keep: Keep::SaveLink(
            "https://tickets.example.org/order/0e5q8f0e2m5k7x9r1t3w6y8b0c2".into(),
        ),
        calendar: "/order/o/calendar.ics".into(),
        cancel: "/order/o/cancel".into(),
        tickets: vec![
            ticket(1, "林 美咲", "Conference ticket", TicketState::Valid),
            ticket(2, "Zoë van den Berg-Østergård", "Student ticket", TicketState::Valid),
        ],
        contact: Some("hello@northlight.example".into()),
    }
}

pub(crate) fn mail() -> OrderMail {
    let page = order();
    OrderMail {
        org: page.org.name.clone(),
        accent: looks()[0].1.mail_accent(),
        greeting: Some("美咲".into()),
        event: page.event.name.clone(),
        when: page.event.when.clone(),
        place: page.address.clone(),
        online_url: None,
        reference: page.reference.clone(),
        url: "https://tickets.example.org/order/0e5q8f0e2m5k7x9r1t3w6y8b0c2".into(),
        tickets: page
            .tickets
            .iter()
            .map(|t| MailTicket {
                name: t.label(),
                item: t.item.clone(),
                sessions: t.sessions.clone(),
            })
            .collect(),
        contact: page.contact.clone(),
        privacy_url: Some("https://example.org/privacy".into()),
    }
}

pub(crate) fn pages() -> Vec<(String, String)> {
    let html = |page: OrderPage| page.render().unwrap();
    let mut one = order();
    one.tickets.truncate(1);
    one.keep = Keep::Mailed("m…@example.org".into());
    let mut partly = order();
    partly.tickets[1].state = TicketState::CancelledByOrganizer;
    partly.notice = Some(words::cancelled_now(false));
    let mut cancelled = order();
    cancelled.cancelled = true;
    cancelled.can_cancel = false;
    cancelled.tickets.iter_mut().for_each(|t| t.state = TicketState::Cancelled);
    cancelled.notice = Some(words::cancelled_now(true));
    let off =
        OrderPage { notice: Some(words::order_of_cancelled_event()), can_cancel: false, ..order() };
    let mut hidden = OrderPage { notice: Some(words::order_of_hidden_event()), ..order() };
    hidden.event.href = None;
    let mut single = checkout();
    single.people.truncate(1);
    single.has_sessions = false;
    single.lines.truncate(1);
    single.notice = Some(words::held_again());
    let mut over = checkout();
    over.held.seconds = 0;
    vec![
        ("checkout.html".into(), checkout().render().unwrap()),
        ("checkout-single.html".into(), single.render().unwrap()),
        ("checkout-faults.html".into(), faulty().render().unwrap()),
        ("checkout-over.html".into(), over.render().unwrap()),
        ("order.html".into(), html(order())),
        ("order-single.html".into(), html(one)),
        ("order-partly.html".into(), html(partly)),
        ("order-cancelled.html".into(), html(cancelled)),
        ("order-event-off.html".into(), html(off)),
        ("order-hidden.html".into(), html(hidden)),
        ("mail.html".into(), OrderMailHtml { mail: &mail() }.render().unwrap()),
        ("mail.txt".into(), OrderMailText { mail: &mail() }.render().unwrap()),
    ]
}
