//! Whether a record's public fields are still what they were when it was last
//! read: a hash of them. What Sloe itself writes to a record is not a public
//! field, so it changes no print.

use sha2::{Digest, Sha256};

use super::{RawEvent, RawRecord, Value};
use crate::ids::SfId;
use crate::time::Timestamp;

/// A record's public fields in eight bytes. Stable: it is stored.
pub type Print = u64;

/// The print of one record.
#[must_use]
pub fn print(record: &RawRecord) -> Print {
    let mut hash = Sha256::new();
    let mut put = |tag: u8, bytes: &[u8]| {
        hash.update([tag]);
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    for (field, value) in &record.fields {
        if *value == Value::Null {
            // A field that is empty and one that the mapping lacks are the same to the public.
            continue;
        }
        put(0, field.label().as_bytes());
        match value {
            Value::Null => {}
            Value::Bool(yes) => put(1, &[u8::from(*yes)]),
            Value::Number(number) => put(2, &number.to_bits().to_be_bytes()),
            // The same moment has two spellings, and a line's end too.
            Value::Text(text) => match Timestamp::parse(text) {
                Some(at) => put(3, &at.0.to_be_bytes()),
                None if text.contains('\r') => put(4, text.replace("\r\n", "\n").as_bytes()),
                None => put(4, text.as_bytes()),
            },
        }
    }
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = hash.finalize().into();
    Print::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The prints of an event and of all that belongs to it.
#[must_use]
pub fn prints(raw: &RawEvent) -> Vec<(SfId, Print)> {
    let children = raw.items.iter().chain(&raw.sessions);
    std::iter::once(&raw.event).chain(children).map(|record| (record.id, print(record))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;
    use crate::inbound::Field;

    fn record(fields: &[(Field, Value)]) -> RawRecord {
        let id = SfId::parse("a00000000000001").unwrap();
        RawRecord { id, fields: fields.iter().cloned().collect::<BTreeMap<_, _>>() }
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn a_print_changes_with_every_public_field_and_with_nothing_else() {
        let one = record(&[(Field::Name, text("A")), (Field::Limit, Value::Number(5.0))]);
        let same = record(&[
            (Field::Name, text("A")),
            (Field::Limit, Value::Number(5.0)),
            (Field::Slug, Value::Null),
        ]);
        assert_eq!(print(&one), print(&same));
        for other in [
            record(&[(Field::Name, text("B")), (Field::Limit, Value::Number(5.0))]),
            record(&[(Field::Name, text("A")), (Field::Limit, Value::Number(6.0))]),
            record(&[(Field::Name, text("A"))]),
            record(&[(Field::Slug, text("A")), (Field::Limit, Value::Number(5.0))]),
        ] {
            assert_ne!(print(&one), print(&other), "{other:?}");
        }
    }

    #[test]
    fn the_same_moment_and_the_same_lines_have_one_print_however_they_are_spelled() {
        let at = |text_: &str| record(&[(Field::StartsAt, text(text_))]);
        let rest = at("2026-11-26T10:00:00.000+0000");
        assert_eq!(print(&rest), print(&at("2026-11-26T10:00:00.000Z")));
        let lines = |text_: &str| record(&[(Field::Description, text(text_))]);
        assert_eq!(print(&lines("a\r\nb")), print(&lines("a\nb")));
        assert_ne!(print(&lines("a\nb")), print(&lines("ab")));
    }
}
