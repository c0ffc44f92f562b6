//! Event lists and event pages.
#![allow(clippy::too_many_arguments, reason = "a table of examples")]

use askama::Template;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sloe_web::site::prose;
use sloe_web::site::view::event::{Day, EventPage, ItemChoice, ItemState, SessionChoice, Slot};
use sloe_web::site::view::event_list::{EventCard, EventListPage, Status};
use sloe_web::site::view::{Band, Fault, Org, Place, Shell, tone};
use sloe_web::site::when::{Moment, When};
use sloe_web::site::words;

use crate::orgs::{garden, north};

pub(crate) fn when(start: &str, end: &str, zone: &str) -> When {
    When::new(start.parse().unwrap(), end.parse().unwrap(), &TimeZone::get(zone).unwrap())
}

fn card(
    org: &Org,
    name: &str,
    summary: &str,
    when: When,
    place: &str,
    price: &str,
    status: Status,
) -> EventCard {
    EventCard {
        href: format!("/{}/{}", org.slug, name.to_lowercase().replace(' ', "-")),
        name: name.into(),
        summary: summary.into(),
        when,
        place: place.into(),
        price: price.into(),
        status,
        tone: tone(name),
    }
}

fn list_north() -> EventListPage {
    let org = north();
    EventListPage {
        shell: Shell::public(&org, &org.name, org.tagline.as_deref().unwrap_or_default()),
        notice: None,
        upcoming: vec![
            card(
                &org,
                "Resilience 2026",
                "A free one-day conference about systems that stay up: twelve sessions, three tracks, and the stories nobody puts on slides.",
                when("2026-12-03T08:00:00Z", "2026-12-03T17:00:00Z", "Europe/Berlin"),
                "Kulturbrauerei, Berlin",
                "Free",
                Status::Open(Band::Available),
            ),
            card(
                &org,
                "Incident Review Workshop",
                "Bring a real incident and leave with a review your team will actually read.",
                when("2026-12-08T14:00:00Z", "2026-12-08T18:00:00Z", "America/New_York"),
                "Industry City, New York",
                "Free",
                Status::Open(Band::Few),
            ),
            card(
                &org,
                "The Long Night of Latency",
                "A live stream for fifty thousand: eight hours, eight time zones, one graph.",
                when("2026-12-11T20:00:00Z", "2026-12-12T04:00:00Z", "UTC"),
                "Online",
                "Free",
                Status::Open(Band::Available),
            ),
            card(
                &org,
                "運用エンジニアの夕べ",
                "東京で開く小さな勉強会。発表三本と、そのあとの長いおしゃべり。",
                when("2026-12-15T09:30:00Z", "2026-12-15T12:00:00Z", "Asia/Tokyo"),
                "渋谷キャスト, 東京",
                "Free",
                Status::Open(Band::SoldOut),
            ),
            card(
                &org,
                "Capacity Planning Masterclass",
                "Two days, twenty people, one spreadsheet you will keep.",
                when("2027-01-20T09:00:00Z", "2027-01-21T16:00:00Z", "Europe/London"),
                "Somerset House, London",
                "From £240.00",
                Status::Soon("Dec 1, 10:00".into()),
            ),
            card(
                &org,
                "Observability Breakfast",
                "Coffee, croissants and dashboards.",
                when("2026-12-09T07:00:00Z", "2026-12-09T08:30:00Z", "Europe/Paris"),
                "Paris",
                "Free",
                Status::Cancelled,
            ),
        ],
        past: vec![
            card(
                &org,
                "Resilience 2025",
                "",
                when("2025-12-04T08:00:00Z", "2025-12-04T17:00:00Z", "Europe/Berlin"),
                "Kulturbrauerei, Berlin",
                "Free",
                Status::Over,
            ),
            card(
                &org,
                "Queues, Explained",
                "",
                when("2026-06-11T16:00:00Z", "2026-06-11T18:00:00Z", "Europe/Berlin"),
                "Online",
                "Free",
                Status::Over,
            ),
        ],
        org,
    }
}

fn list_garden(paused: bool) -> EventListPage {
    let org = garden();
    let status = |open: Band| if paused { Status::Paused } else { Status::Open(open) };
    EventListPage {
        shell: Shell::public(&org, &org.name, ""),
        notice: paused.then(words::paused),
        upcoming: vec![
            card(
                &org,
                "Winterreise bei Kerzenlicht",
                "Schubert’s song cycle in the old palm house, by the light of three hundred candles.",
                when("2026-12-12T18:30:00Z", "2026-12-12T20:30:00Z", "Europe/Vienna"),
                "Palmenhaus, Wien",
                "Free",
                status(Band::Few),
            ),
            card(
                &org,
                "Sunday Walk: Trees in Winter",
                "How to tell an ash from an elm when there is nothing but bark.",
                when("2026-12-13T09:00:00Z", "2026-12-13T11:00:00Z", "Europe/Vienna"),
                "Hofgarten, main gate",
                "Free",
                status(Band::Available),
            ),
            card(
                &org,
                "أمسية شعرية",
                "قراءات شعرية بالعربية والألمانية مع موسيقى العود.",
                when("2026-12-18T18:00:00Z", "2026-12-18T20:00:00Z", "Europe/Vienna"),
                "Orangerie, Wien",
                "Free",
                status(Band::Available),
            ),
        ],
        past: Vec::new(),
        org,
    }
}

const ABOUT: &str = "Outages are a team sport. Once a year we put the people who carry the pager in one room with the people who write the postmortems, and let them talk.

## What to expect
- Twelve sessions in three tracks, none of them a product pitch
- Lunch, coffee and a very long break, because the corridor is the fourth track
- Captions on every stage, and a quiet room with the lights down

## Who it is for
Anybody who has ever watched a graph go the wrong way. You don’t need to be an engineer: last year’s best talk was given by a nurse.

Registration is free, thanks to the members of the association. If you can’t come after all, please give your seat back: there has been a queue every year so far.

## Getting there
The Kulturbrauerei is two minutes from Eberswalder Straße (U2, M1, M10, 12). The entrance at Sredzkistraße is step-free.
How it was last year: https://example.org/resilience/2025.";

fn session(
    day: &str,
    slot: (&str, &str),
    track: (&str, u8),
    name: &str,
    speaker: &str,
    room: &str,
    band: Band,
) -> SessionChoice {
    let second = |time: &str| format!("{day}T{time}:00Z").parse::<Timestamp>().unwrap().as_second();
    SessionChoice {
        id: format!("s{:x}", name.bytes().map(u32::from).sum::<u32>()),
        name: name.into(),
        description: String::new(),
        track: Some((track.0.into(), track.1)),
        speaker: Some(speaker.into()),
        room: Some(room.into()),
        time: None,
        span: (second(slot.0), second(slot.1)),
        band,
        over: false,
        chosen: false,
    }
}

pub(crate) fn program() -> Vec<Day> {
    const D: &str = "2026-12-03";
    let slots = [
        (
            ("08:30", "09:15"),
            "09:30 – 10:15",
            [
                ("Five Nines and Other Fairy Tales", "Ama Boateng"),
                ("Queues Are Not a Strategy", "Łukasz Żółć"),
                ("The Database Is the Product", "林 美咲"),
            ],
        ),
        (
            ("09:45", "10:30"),
            "10:45 – 11:30",
            [
                ("Backpressure for Humans", "Ines Carvalho"),
                ("One Fsync to Rule Them All", "Tomáš Novák"),
                ("Sleeping Through a Migration", "Priya Raman"),
            ],
        ),
        (
            ("12:00", "12:45"),
            "13:00 – 13:45",
            [
                ("On Call in a Hospital", "Miriam Okafor"),
                ("Idempotency, the Hard Way", "أمل حداد"),
                ("What the Load Balancer Saw", "Jonas Weiß"),
            ],
        ),
        (
            ("14:00", "14:45"),
            "15:00 – 15:45",
            [
                ("Postmortems People Read", "Siobhán Ní Dhuibhir"),
                ("Time, Clocks and Train Tables", "Reto Ammann"),
                ("Closing: The Year We Didn’t Page", "Everyone"),
            ],
        ),
    ];
    let tracks = [("People", 2), ("Systems", 0), ("Data", 1)];
    let rooms = ["Kesselhaus", "Palais", "Maschinenhaus"];
    let slots = slots
        .into_iter()
        .enumerate()
        .map(|(row, (span, label, names))| Slot {
            label: label.into(),
            start: Moment::new(
                format!("{D}T{}:00Z", span.0).parse().unwrap(),
                &TimeZone::get("Europe/Berlin").unwrap(),
            ),
            sessions: names
                .into_iter()
                .enumerate()
                .map(|(column, (name, speaker))| {
                    let band = match (row, column) {
                        (1, 1) => Band::Few,
                        (2, 0) => Band::SoldOut,
                        _ => Band::Available,
                    };
                    session(D, span, tracks[column], name, speaker, rooms[column], band)
                })
                .collect(),
        })
        .collect();
    vec![Day { label: "Thursday, December 3".into(), slots }]
}

fn item(
    id: &str,
    name: &str,
    description: &str,
    price: &str,
    state: ItemState,
    chosen: u32,
) -> ItemChoice {
    ItemChoice {
        id: id.into(),
        name: name.into(),
        description: description.into(),
        price: price.into(),
        state,
        max: 10,
        chosen,
    }
}

pub(crate) fn conference() -> EventPage {
    let org = north();
    EventPage {
        shell: Shell::public(&org, "Resilience 2026", "A free one-day conference about systems that stay up."),
        id: "4zq8f0e2m5k7x9r1t3w6y8b0c2".into(),
        slug: "resilience-2026".into(),
        name: "Resilience 2026".into(),
        summary: "A free one-day conference about systems that stay up: twelve sessions, three tracks, and the stories nobody puts on slides.".into(),
        about: prose::to_markup(ABOUT),
        image: None,
        tone: tone("Resilience 2026"),
        when: when("2026-12-03T08:00:00Z", "2026-12-03T17:00:00Z", "Europe/Berlin"),
        place: Place { venue: Some("Kulturbrauerei".into()), address: vec!["Schönhauser Allee 36".into(), "10435 Berlin".into()], ..Place::default() },
        price: "Free".into(),
        organizer: Some("Verein für robuste Systeme e. V.".into()),
        contact: Some("resilience@northlight.example".into()),
        status: Status::Open(Band::Available),
        notice: None,
        items: vec![
            item("i1", "Conference ticket", "All sessions, lunch and coffee.", "Free", ItemState::Open(Band::Available), 0),
            item("i2", "Student ticket", "Please bring your student card.", "Free", ItemState::Open(Band::Few), 0),
            item("i3", "Supporter ticket", "Same seat, and you pay for a student’s lunch.", "€60.00", ItemState::Payment, 0),
        ],
        days: program(),
        action: Some("/northlight/resilience-2026/hold".into()),
        faults: Vec::new(),
        max_per_order: 10,
        hold_minutes: 10,
        hold: None,
        org,
    }
}

fn shut(status: Status, opens: Option<&str>) -> EventPage {
    let mut page = conference();
    page.notice = words::about_status(&status, opens);
    page.status = status;
    page.action = None;
    for item in &mut page.items {
        if item.state.is_open() {
            item.state = if page.status == Status::Open(Band::SoldOut) {
                ItemState::Open(Band::SoldOut)
            } else {
                ItemState::Shown
            };
        }
    }
    page
}

fn faulty() -> EventPage {
    let mut page = conference();
    page.faults = vec![
        Fault {
            field: "qty-i2".into(),
            message: "Only 3 student tickets are left; you asked for 4.".into(),
        },
        Fault {
            field: "session-s".to_owned()
                + page.days[0].slots[2].sessions[0].id.trim_start_matches('s'),
            message: "“On Call in a Hospital” is sold out. Untick it, or choose fewer people."
                .into(),
        },
    ];
    page.items[1].chosen = 4;
    page.days[0].slots[2].sessions[0].chosen = true;
    page.days[0].slots[0].sessions[1].chosen = true;
    page.hold = Some("h".into());
    page.shell.index = false;
    page
}

fn concert() -> EventPage {
    let org = garden();
    EventPage {
        shell: Shell::public(&org, "Winterreise bei Kerzenlicht", ""),
        id: "7kq8f0e2m5k7x9r1t3w6y8b0c2".into(),
        slug: "winterreise".into(),
        name: "Winterreise bei Kerzenlicht".into(),
        summary:
            "Schubert’s song cycle in the old palm house, by the light of three hundred candles."
                .into(),
        about: prose::to_markup(
            "Twenty-four songs, one winter, two people and a piano from 1842.\n\nThe palm house is heated, but not by much: please dress warmly. Doors open at 18:45, and latecomers are let in after the twelfth song.\n\n## On stage\n- Anneliese Brandstätter, mezzo-soprano\n- Καλλιόπη Παπαδάκη, fortepiano",
        ),
        tone: tone("Winterreise bei Kerzenlicht"),
        when: when("2026-12-12T18:30:00Z", "2026-12-12T20:30:00Z", "Europe/Vienna"),
        place: Place {
            venue: Some("Palmenhaus im Hofgarten".into()),
            address: vec!["Burggarten 1".into(), "1010 Wien".into()],
            online: true,
            online_url: None,
        },
        price: "Free".into(),
        organizer: None,
        contact: None,
        status: Status::Open(Band::Few),
        items: vec![item(
            "i9",
            "Seat",
            "Unnumbered; first come, first seated.",
            "Free",
            ItemState::Open(Band::Few),
            1,
        )],
        days: Vec::new(),
        action: Some("/hofgarten/winterreise/hold".into()),
        max_per_order: 4,
        org,
        ..conference()
    }
}

pub(crate) fn pages() -> Vec<(String, String)> {
    let html = |page: EventPage| page.render().unwrap();
    vec![
        ("list-north.html".into(), list_north().render().unwrap()),
        ("list-garden.html".into(), list_garden(false).render().unwrap()),
        ("list-paused.html".into(), list_garden(true).render().unwrap()),
        (
            "list-empty.html".into(),
            EventListPage { upcoming: Vec::new(), past: Vec::new(), ..list_garden(false) }
                .render()
                .unwrap(),
        ),
        ("event-conference.html".into(), html(conference())),
        ("event-concert.html".into(), html(concert())),
        ("event-faults.html".into(), html(faulty())),
        ("event-soldout.html".into(), html(shut(Status::Open(Band::SoldOut), None))),
        (
            "event-soon.html".into(),
            html(shut(
                Status::Soon("Dec 1, 10:00".into()),
                Some("Tuesday, December 1, 2026 at 10:00, Berlin time (UTC+1)"),
            )),
        ),
        ("event-closed.html".into(), html(shut(Status::Closed, None))),
        ("event-over.html".into(), html(shut(Status::Over, None))),
        ("event-cancelled.html".into(), html(shut(Status::Cancelled, None))),
        ("event-paused.html".into(), html(shut(Status::Paused, None))),
        ("event-payment.html".into(), {
            let mut page = conference();
            page.items.drain(..2);
            page.action = None;
            page.status = Status::Payment;
            page.notice = Some(words::payment());
            page.price = "€60.00".into();
            html(page)
        }),
    ]
}
