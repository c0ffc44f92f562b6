//! Records in, snapshot or every fault out.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::catalog::AttendeeForm;
use crate::fact::Standing;
use crate::ids::OrgId;
use proptest::prelude::*;

fn record(id: &str, fields: &[(Field, &str)]) -> RawRecord {
    let fields = fields.iter().map(|(f, v)| (*f, Value::Text((*v).into()))).collect();
    RawRecord { id: SfId::parse(id).unwrap(), fields }
}

fn event() -> RawEvent {
    RawEvent {
        event: record(
            "a00000000000001",
            &[
                (Field::Name, "Ostsee Summit"),
                (Field::StartsAt, "2027-03-01T09:00:00.000+0000"),
                (Field::EndsAt, "2027-03-01T17:00:00.000+0000"),
                (Field::Published, "true"),
            ],
        ),
        items: vec![record("a01000000000001", &[(Field::Name, "Visitor"), (Field::Limit, "10")])],
        sessions: vec![],
        external_total: 3,
        external_by_item: vec![(SfId::parse("a01000000000001").unwrap(), 3)],
        external_by_session: vec![],
        cancelled: vec![],
        as_of: Timestamp(1),
    }
}

fn read(raw: &RawEvent) -> Result<Accepted, Vec<Fault>> {
    let org = OrgId::parse("00D000000000001").unwrap();
    build(org, raw, "Europe/Berlin", AttendeeForm::default())
}

#[test]
fn a_plain_event_becomes_a_snapshot_and_terms() {
    let accepted = read(&event()).unwrap();
    assert_eq!(accepted.snapshot.slug, "ostsee-summit");
    assert_eq!(accepted.snapshot.time_zone, "Europe/Berlin");
    assert_eq!(accepted.terms.standing, Standing::Published);
    assert_eq!(accepted.terms.items[0].pool.limit, Some(10));
    assert_eq!(accepted.terms.items[0].pool.external, 3);
    assert_eq!(accepted.terms.external, 3);
}

#[test]
fn every_fault_is_named_at_once() {
    let mut raw = event();
    raw.event = record(
        "a00000000000001",
        &[
            (Field::StartsAt, "2027-03-01T09:00:00Z"),
            (Field::EndsAt, "2027-03-01T08:00:00Z"),
            (Field::TimeZone, "Mars/Olympus"),
            (Field::Limit, "-1"),
            (Field::PrivacyUrl, "javascript:alert(1)"),
        ],
    );
    raw.items[0].fields.insert(Field::Price, Value::Number(-3.0));
    let faults = read(&raw).unwrap_err();
    let fields: Vec<_> = faults.iter().map(|f| f.field).collect();
    assert_eq!(fields, ["Name", "Ends At", "Time Zone", "Privacy URL", "Capacity", "Price"]);
}

/// Every fault, as its reader sees it.
fn told(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{} {}\n", fault.field, fault.message)).collect()
}

#[test]
fn a_price_without_a_currency_is_a_fault_and_what_is_free_needs_none() {
    let price = |amount: f64, code: &str| {
        let mut raw = event();
        raw.items[0].fields.insert(Field::Price, Value::Number(amount));
        raw.items[0].fields.insert(Field::Currency, Value::Text(code.into()));
        let price = |accepted: Accepted| accepted.snapshot.items[0].price.map(|p| p.to_string());
        read(&raw).map(price).map_err(|faults| told(&faults))
    };
    assert_eq!(price(20.0, "EUR"), Ok(Some("20.00 EUR".to_owned())));
    assert_eq!(price(0.0, ""), Ok(None));
    let told = price(20.0, "").unwrap_err();
    assert!(told.contains("Currency is empty and there is a price"), "{told}");
    assert!(price(-20.0, "").unwrap_err().contains("negative"));
}

#[test]
fn rich_text_is_read_as_plain_text_and_its_markup_counts_for_no_length() {
    let mut raw = event();
    let html = format!("<p><span style=\"color: {}\">Tea</span></p>", "x".repeat(40_000));
    raw.event.fields.insert(Field::Description, Value::Text(html));
    raw.event.fields.insert(Field::Summary, Value::Text("Q&amp;A <b>now</b>".into()));
    raw.event.fields.insert(Field::Name, Value::Text("<b>is a tag</b>".into()));
    let talk = record(
        "a02000000000001",
        &[
            (Field::Name, "Talk"),
            (Field::StartsAt, "2027-03-01T09:00:00Z"),
            (Field::EndsAt, "2027-03-01T10:00:00Z"),
            (Field::Description, "<ul><li>one</li><li>two</li></ul>"),
        ],
    );
    raw.sessions.push(talk);
    raw.items[0].fields.insert(Field::Description, Value::Text("a<br>b".into()));
    let snapshot = read(&raw).unwrap().snapshot;
    assert_eq!((&*snapshot.description, &*snapshot.summary), ("Tea", "Q&A now"));
    assert_eq!(snapshot.sessions[0].description, "- one\n- two");
    assert_eq!(snapshot.items[0].description, "a\nb");
    assert_eq!(snapshot.name, "<b>is a tag</b>", "names are no rich text");
}

#[test]
fn a_text_is_as_long_as_salesforce_counts_it_in_any_script() {
    let described = |text: String| {
        let mut raw = event();
        raw.event.fields.insert(Field::Description, Value::Text(text));
        read(&raw).map(|accepted| accepted.snapshot.description).map_err(|faults| told(&faults))
    };
    for text in ["\u{5e9}".repeat(32_768), "\u{65e5}".repeat(32_768), "\u{1f41f}".repeat(16_384)] {
        assert_eq!(described(text.clone()), Ok(text));
    }
    for text in ["\u{5e9}".repeat(32_769), "\u{1f41f}".repeat(16_385)] {
        let told = described(text).unwrap_err();
        assert!(told.contains("characters; at most 32768 can be shown"), "{told}");
    }
}

#[test]
fn texts_that_no_document_could_hold_together_are_refused_with_the_event() {
    let talk = |n: usize| {
        let moments =
            [(Field::StartsAt, "2027-03-01T09:00:00Z"), (Field::EndsAt, "2027-03-01T10:00:00Z")];
        let mut talk = record(&format!("a02{n:012}"), &moments);
        talk.fields.insert(Field::Name, Value::Text("Talk".into()));
        talk.fields.insert(Field::Description, Value::Text("\u{65e5}".repeat(32_768)));
        talk
    };
    let mut raw = event();
    raw.sessions = (0..63).map(talk).collect();
    assert!(read(&raw).is_ok());
    raw.sessions = (0..65).map(talk).collect();
    let told = told(&read(&raw).unwrap_err());
    assert!(told.contains("KB together; at most 6144 KB"), "{told}");
}

#[test]
fn inactive_items_are_left_out() {
    let mut raw = event();
    raw.items[0].fields.insert(Field::Active, Value::Bool(false));
    assert!(read(&raw).unwrap().snapshot.items.is_empty());
}

#[test]
fn a_name_in_any_script_has_a_slug() {
    let mut raw = event();
    raw.event.fields.insert(Field::Name, Value::Text("東京サミット".into()));
    assert!(!read(&raw).unwrap().snapshot.slug.is_empty());
    raw.event.fields.insert(Field::Name, Value::Text("!!!".into()));
    assert_eq!(read(&raw).unwrap().snapshot.slug.len(), 26);
}

proptest! {
    #[test]
    fn no_value_makes_the_reader_panic(text: String, number: f64, flag: bool, pick in 0usize..4) {
        let value = match pick {
            0 => Value::Null,
            1 => Value::Text(text),
            2 => Value::Number(number),
            _ => Value::Bool(flag),
        };
        let mut raw = event();
        for field in [Field::Name, Field::StartsAt, Field::Limit, Field::HoldMinutes,
            Field::Published, Field::OrganizerEmail, Field::Price, Field::Position] {
            raw.event.fields.insert(field, value.clone());
            raw.items[0].fields.insert(field, value.clone());
        }
        let _ = read(&raw);
    }
}
