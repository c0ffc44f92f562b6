//! A snapshot reads back, and documents written by format 1 stay readable.

#![allow(clippy::unwrap_used)]

use proptest::option;
use proptest::prelude::*;
use sloe_core::ids::{EventRef, OrgId, PublicId, SfId};
use sloe_core::time::Timestamp;

use super::*;

/// What stores in the world hold. A change that this doesn't fit takes the
/// next format and keeps a decoder for this one.
const FORMAT_1: &str = include_str!("format_1.json");

fn record(text: &str) -> SfId {
    SfId::parse(text).unwrap()
}

fn full() -> Snapshot {
    let event = EventRef {
        org: OrgId::parse("00D000000000001").unwrap(),
        event: record("a00000000000001"),
    };
    let at = Timestamp(1_800_000_000_000);
    let public = |sf| PublicId::derive(&event.org, &sf);
    let price = Price { minor: 1_250, currency: Currency::parse("EUR").unwrap() };
    Snapshot {
        event,
        id: event.public_id(),
        version: 3,
        ledger_version: 2,
        as_of: at.plus_millis(1),
        slug: "jahrestagung".into(),
        name: "Jahrestagung für Öffentlichkeit · 年次大会".into(),
        summary: "Two days.".into(),
        description: "## Why\n\n- \"because\"".into(),
        starts_at: at,
        ends_at: at.plus_millis(86_400_000),
        time_zone: "Europe/Berlin".into(),
        place: Place {
            venue: Some("Hall".into()),
            address: Some("Street 1\n10115 Berlin".into()),
            online_url: None,
        },
        image_url: Some("https://images.example/1.jpg".into()),
        organizer: Organizer {
            name: Some("Org".into()),
            email: None,
            privacy_url: Some("https://example.org/privacy".into()),
        },
        published: true,
        status: EventStatus::Scheduled,
        opens_at: Some(at.plus_millis(-86_400_000)),
        closes_at: None,
        limit: Some(500),
        max_per_order: 10,
        hold_millis: 600_000,
        items: vec![Item {
            sf: record("a01000000000001"),
            id: public(record("a01000000000001")),
            name: "Day ticket".into(),
            description: String::new(),
            price: Some(price),
            limit: None,
            opens_at: None,
            closes_at: Some(at),
            max_per_order: 4,
        }],
        sessions: vec![Session {
            sf: record("a02000000000001"),
            id: public(record("a02000000000001")),
            name: "Opening".into(),
            description: "Welcome".into(),
            track: Some("Main".into()),
            speaker: None,
            room: Some("1".into()),
            starts_at: at,
            ends_at: at.plus_millis(3_600_000),
            limit: Some(0),
        }],
        form: AttendeeForm::default(),
    }
}

#[test]
fn format_1_stays_as_it_is() {
    let json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
    assert_eq!(json(&encode(&full())), json(FORMAT_1.as_bytes()));
    assert_eq!(decode(FORMAT_1.as_bytes()), Ok(full()));
}

#[test]
fn a_format_of_the_future_is_named() {
    let newer = FORMAT_1.replacen("\"format\": 1", "\"format\": 7", 1);
    assert_eq!(decode(newer.as_bytes()), Err(DocumentError::Format(7)));
}

proptest! {
    #[test]
    fn any_text_and_any_moment_reads_back(
        texts: [String; 5],
        optional: [Option<String>; 5],
        moments in proptest::array::uniform4(-62_135_596_800_000..253_402_207_200_000_i64),
        opens_at in option::of(0..253_402_207_200_000_i64),
        limit: Option<u32>,
        published: bool,
    ) {
        let mut snapshot = full();
        let [name, summary, description, slug, session] = texts;
        let [venue, image_url, contact, track, speaker] = optional;
        let [starts_at, ends_at, as_of, closes_at] = moments.map(Timestamp);
        snapshot = Snapshot {
            name, summary, description, slug, image_url, starts_at, ends_at, as_of, limit,
            published, opens_at: opens_at.map(Timestamp), closes_at: Some(closes_at),
            ..snapshot
        };
        snapshot.place.venue = venue;
        snapshot.organizer.email = contact;
        snapshot.items[0].price = None;
        snapshot.sessions[0].name = session;
        snapshot.sessions[0].track = track;
        snapshot.sessions[0].speaker = speaker;
        snapshot.status = if published { EventStatus::Cancelled } else { EventStatus::Scheduled };
        prop_assert_eq!(decode(&encode(&snapshot)), Ok(snapshot));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>, text: String) {
        let _ = (decode(&bytes), decode(text.as_bytes()));
    }
}
