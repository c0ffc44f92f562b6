//! An object's change event as Avro: its schema, and events written by it.

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::event::{Event, Kind, told};
use crate::org::data::Value;
use crate::org::schema::{Field, Kind as FieldKind, Object};

/// An object's schema, as its id and its JSON.
pub(super) struct Schema {
    pub(super) id: String,
    pub(super) json: String,
}

/// `Sloe_Event__c` → `Sloe_Event__ChangeEvent`, `Contact` → `ContactChangeEvent`.
pub(super) fn event_name(object: &str) -> String {
    object
        .strip_suffix("__c")
        .map_or_else(|| format!("{object}ChangeEvent"), |custom| format!("{custom}__ChangeEvent"))
}

pub(super) fn schema(object: &Object) -> Schema {
    let mut fields = vec![header()];
    fields.extend(object.fields.iter().filter(|field| told(field)).map(|field| {
        let kind = match of(field) {
            Shape::Bool => "boolean",
            Shape::Double => "double",
            Shape::Millis => "long",
            Shape::Text => "string",
        };
        json!({ "name": field.name, "type": ["null", kind], "doc": format!("Data:{kind}"), "default": null })
    }));
    let json = json!({
        "type": "record",
        "name": event_name(&object.name),
        "namespace": "com.sforce.eventbus",
        "fields": fields,
    });
    let json = json.to_string();
    let digest = Sha256::digest(json.as_bytes());
    let mut id = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, digest);
    id.truncate(22);
    Schema { id, json }
}

fn header() -> Json {
    let texts = || json!({ "type": "array", "items": "string" });
    let mut symbols: Vec<&str> = Kind::ALL.iter().map(|(_, name)| *name).collect();
    symbols.push("SNAPSHOT");
    let kinds = json!({ "type": "enum", "name": "ChangeType", "symbols": symbols });
    let fields = [
        ("entityName", json!("string")),
        ("recordIds", texts()),
        ("changeType", kinds),
        ("changeOrigin", json!("string")),
        ("transactionKey", json!("string")),
        ("sequenceNumber", json!("int")),
        ("commitTimestamp", json!("long")),
        ("commitNumber", json!("long")),
        ("commitUser", json!("string")),
        ("nulledFields", texts()),
        ("diffFields", texts()),
        ("changedFields", texts()),
    ];
    let fields: Vec<Json> =
        fields.into_iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect();
    let record = json!({ "type": "record", "name": "ChangeEventHeader", "fields": fields });
    json!({ "name": "ChangeEventHeader", "type": record })
}

/// How a field's values are written.
enum Shape {
    Bool,
    Double,
    Millis,
    Text,
}

fn of(field: &Field) -> Shape {
    match field.kind {
        FieldKind::Checkbox => Shape::Bool,
        FieldKind::Number(..) | FieldKind::Currency(..) => Shape::Double,
        FieldKind::Date | FieldKind::DateTime => Shape::Millis,
        _ => Shape::Text,
    }
}

/// An event's payload: the bare datum.
pub(super) fn payload(object: &Object, event: &Event) -> Vec<u8> {
    let fields: Vec<&Field> = object.fields.iter().filter(|field| told(field)).collect();
    let bits = |names: &[String]| {
        // The header is the record's first field.
        let places = names.iter().filter_map(|name| fields.iter().position(|f| f.name == *name));
        bitmap(places.map(|place| place + 1))
    };
    let mut out = Out(Vec::new());
    out.text(&event.entity);
    out.texts(event.records.iter().map(String::as_str));
    let kind = Kind::ALL.iter().position(|(kind, _)| *kind == event.kind).unwrap_or(0);
    out.long(i64::try_from(kind).unwrap_or(0));
    out.text(&event.origin);
    out.text(&transaction_key(event.transaction));
    out.long(event.sequence.into());
    out.long(event.at);
    out.long(i64::try_from(event.transaction).unwrap_or(i64::MAX));
    out.text(&event.user);
    out.texts(bits(&event.nulled).as_deref());
    out.texts(bits(&event.differ).as_deref());
    out.texts(bits(&event.changed).as_deref());
    for field in fields {
        match event.body.get(&field.name).map(|json| out.value(field, json)) {
            Some(Some(())) => {}
            _ => out.long(0),
        }
    }
    out.0
}

/// `0x1A`: the lowest bit is the first field; none without any.
fn bitmap(places: impl Iterator<Item = usize>) -> Option<String> {
    let mut digits: Vec<u8> = Vec::new();
    for place in places {
        let digit = place / 4;
        if digits.len() <= digit {
            digits.resize(digit + 1, 0);
        }
        if let Some(bits) = digits.get_mut(digit) {
            *bits |= 1 << (place % 4);
        }
    }
    if digits.is_empty() {
        return None;
    }
    let digits: String = digits.iter().rev().map(|bits| format!("{bits:X}")).collect();
    Some(format!("0x{digits}"))
}

fn transaction_key(transaction: u64) -> String {
    format!("{:08x}-0000-4000-8000-{:012x}", transaction >> 48, transaction & 0xffff_ffff_ffff)
}

/// Avro's binary encoding, as far as change events need it.
struct Out(Vec<u8>);

impl Out {
    /// Zigzag, then seven bits a byte, the lowest first.
    fn long(&mut self, n: i64) {
        let mut rest = n.cast_unsigned() << 1 ^ (n >> 63).cast_unsigned();
        while rest >= 0x80 {
            self.0.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push((rest & 0x7f) as u8);
    }

    fn text(&mut self, text: &str) {
        self.long(i64::try_from(text.len()).unwrap_or(i64::MAX));
        self.0.extend_from_slice(text.as_bytes());
    }

    fn texts<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) {
        let texts: Vec<&str> = texts.into_iter().collect();
        if !texts.is_empty() {
            self.long(i64::try_from(texts.len()).unwrap_or(0));
            texts.iter().for_each(|text| self.text(text));
        }
        self.long(0);
    }

    /// The second branch of the field's union; nothing if the value is not of its kind.
    fn value(&mut self, field: &Field, json: &Json) -> Option<()> {
        match of(field) {
            Shape::Bool => {
                let value = json.as_bool()?;
                self.long(1);
                self.0.push(value.into());
            }
            Shape::Double => {
                let value = json.as_f64()?;
                self.long(1);
                self.0.extend_from_slice(&value.to_le_bytes());
            }
            Shape::Millis => {
                let millis = match json.as_i64() {
                    Some(millis) => millis,
                    None => day(field, json.as_str()?)?,
                };
                self.long(1);
                self.long(millis);
            }
            Shape::Text => {
                let text = json.as_str()?;
                self.long(1);
                self.text(text);
            }
        }
        Some(())
    }
}

/// The first moment of a day, UTC.
fn day(field: &Field, text: &str) -> Option<i64> {
    match Value::from_text(field, text).ok()? {
        Value::Date(date) => {
            let start = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
            Some(start.timestamp().as_millisecond())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_begins_with_its_highest_field() {
        assert_eq!(bitmap([1, 3].into_iter()).as_deref(), Some("0xA"));
        assert_eq!(bitmap([0, 9].into_iter()).as_deref(), Some("0x201"));
        assert_eq!(bitmap([].into_iter()), None);
    }

    #[test]
    fn numbers_are_written_as_avro_says() {
        let long = |n| {
            let mut out = Out(Vec::new());
            out.long(n);
            out.0
        };
        assert_eq!(long(0), [0]);
        assert_eq!(long(-1), [1]);
        assert_eq!(long(1), [2]);
        assert_eq!(long(-64), [0x7f]);
        assert_eq!(long(64), [0x80, 1]);
        assert_eq!(long(i64::MIN), [255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
    }

    #[test]
    fn change_events_are_named_after_their_object() {
        assert_eq!(event_name("Contact"), "ContactChangeEvent");
        assert_eq!(event_name("ns__Thing__c"), "ns__Thing__ChangeEvent");
    }
}
