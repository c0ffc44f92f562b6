//! One change event, read: whose, what kind, by whom, and whether it is news to the public.

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use sloe_core::ids::SfId;
use sloe_core::time::Timestamp;

use super::{Entity, ReplayId};
use crate::map::Mapping;

/// How `changeOrigin` names who wrote with Sloe's header.
const OURS: &str = "client=sloe";

/// What happened to the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// They were made.
    Create,
    /// Some fields were changed.
    Update,
    /// They were deleted.
    Delete,
    /// They came back from the recycle bin.
    Undelete,
    /// Something happened that the org can't tell: read them again.
    Gap,
    /// Too much happened to be told, or the event can't be read: read all again.
    Overflow,
}

/// A change of one or more records of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub entity: Entity,
    /// What.
    pub kind: ChangeKind,
    /// Which records; empty where none can be named.
    pub records: Vec<SfId>,
    /// The event that they belong to from now on, where that was set.
    pub event: Option<SfId>,
    /// Whether Sloe itself made it.
    pub own: bool,
    /// The names of the changed fields; empty unless it is an update.
    pub fields: Vec<String>,
    /// Whether it can concern what the public sees: a field that Sloe reads, or a whole record.
    pub public: bool,
    /// When.
    pub at: Timestamp,
    /// Its place in the topic.
    pub replay: ReplayId,
}

impl Change {
    /// A change that can't be read: whatever it was, all must be read again.
    pub(super) fn unreadable(entity: Entity, replay: ReplayId) -> Self {
        Self {
            entity,
            kind: ChangeKind::Overflow,
            records: Vec::new(),
            event: None,
            own: false,
            fields: Vec::new(),
            public: true,
            at: Timestamp(0),
            replay,
        }
    }

    /// Reads a payload; `None` if it is not a change event of this schema.
    pub(super) fn read(
        entity: Entity,
        mapping: &Mapping,
        schema: &Schema,
        mut payload: &[u8],
        replay: ReplayId,
    ) -> Option<Self> {
        let reader = GenericDatumReader::builder(schema).build().ok()?;
        let Value::Record(fields) = reader.read_value(&mut payload).ok()? else { return None };
        let (_, Value::Record(header)) = fields.first()? else { return None };
        let part = |name: &str| header.iter().find(|(n, _)| n == name).map(|(_, value)| value);
        let kind = match part("changeType")? {
            Value::Enum(_, name) => kind_of(name)?,
            _ => return None,
        };
        let (Value::String(origin), Value::Array(ids)) =
            (part("changeOrigin")?, part("recordIds")?)
        else {
            return None;
        };
        let mut records = Vec::with_capacity(ids.len());
        let mut kind = kind;
        for id in ids {
            match text(id).and_then(|id| SfId::parse(id).ok()) {
                Some(id) => records.push(id),
                // `001*` is all of them.
                None => kind = ChangeKind::Overflow,
            }
        }
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        let changed = part("changedFields").map(|value| changed(value, &names)).unwrap_or_default();
        let read = entity.names(mapping);
        let lookup = read.event.as_ref();
        let event = lookup
            .and_then(|lookup| fields.iter().find(|(name, _)| name == lookup))
            .and_then(|(_, value)| text(value))
            .and_then(|id| SfId::parse(id).ok());
        let known = |field: &String| {
            read.fields.values().any(|name| name == field) || Some(field) == lookup
        };
        Some(Self {
            entity,
            kind,
            records,
            event,
            own: origin.split(';').any(|part| part.trim() == OURS),
            public: kind != ChangeKind::Update || changed.iter().any(known),
            fields: changed,
            at: Timestamp(number(part("commitTimestamp")?)?),
            replay,
        })
    }
}

fn kind_of(name: &str) -> Option<ChangeKind> {
    Some(match name {
        "CREATE" => ChangeKind::Create,
        "UPDATE" => ChangeKind::Update,
        "DELETE" => ChangeKind::Delete,
        "UNDELETE" => ChangeKind::Undelete,
        "GAP_OVERFLOW" => ChangeKind::Overflow,
        gap if gap.starts_with("GAP_") => ChangeKind::Gap,
        _ => return None,
    })
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Union(_, inner) => text(inner),
        _ => None,
    }
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Long(n) => Some(*n),
        Value::Int(n) => Some(i64::from(*n)),
        Value::Union(_, inner) => number(inner),
        _ => None,
    }
}

/// The names behind bitmaps: `0x…` counts the record's fields from its lowest
/// bit; `5-0x…` are parts of field 5, which then has changed.
fn changed(bitmaps: &Value, names: &[&str]) -> Vec<String> {
    let Value::Array(bitmaps) = bitmaps else { return Vec::new() };
    let mut out = Vec::new();
    for bitmap in bitmaps.iter().filter_map(text) {
        match bitmap.split_once('-') {
            Some((place, _)) => {
                let name = place.parse().ok().and_then(|place: usize| names.get(place));
                out.extend(name.map(|name| (*name).to_owned()));
            }
            None => {
                let hex = bitmap.strip_prefix("0x").unwrap_or(bitmap);
                for (digit, bits) in hex.chars().rev().map(|c| c.to_digit(16)).enumerate() {
                    let set = (0..4).filter(|bit| bits.unwrap_or(0) >> bit & 1 == 1);
                    let set = set.filter_map(|bit| names.get(digit * 4 + bit));
                    out.extend(set.map(|name| (*name).to_owned()));
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitmaps_name_the_fields_of_the_record_and_of_its_parts() {
        let names = ["ChangeEventHeader", "Name", "A__c", "B__c", "C__c", "D__c"];
        let bitmaps = ["0x22", "4-0x3", "7-0x1", "0x"].map(|text| Value::String(text.to_owned()));
        assert_eq!(changed(&Value::Array(bitmaps.to_vec()), &names), ["Name", "D__c", "C__c"]);
    }
}
