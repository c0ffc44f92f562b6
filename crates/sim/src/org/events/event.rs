//! One change event: what a transaction did to records of one object.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use sloe_core::ids::SfId;

use super::difference::difference;
use crate::org::data::{Database, Row, Value};
use crate::org::schema::{Computed, Field, Kind as FieldKind, Object, Slot};

/// A body larger than this makes a gap event: the message would exceed its 1 MB.
const LARGEST_BODY: usize = 1_000_000;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Kind {
    Create,
    Update,
    Delete,
    Undelete,
    GapCreate,
    GapUpdate,
    GapDelete,
    GapUndelete,
    GapOverflow,
}

impl Kind {
    /// All of them, in the order of the schema's symbols.
    pub(crate) const ALL: [(Self, &'static str); 9] = [
        (Self::Create, "CREATE"),
        (Self::Update, "UPDATE"),
        (Self::Delete, "DELETE"),
        (Self::Undelete, "UNDELETE"),
        (Self::GapCreate, "GAP_CREATE"),
        (Self::GapUpdate, "GAP_UPDATE"),
        (Self::GapDelete, "GAP_DELETE"),
        (Self::GapUndelete, "GAP_UNDELETE"),
        (Self::GapOverflow, "GAP_OVERFLOW"),
    ];

    /// Its name in the schema.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    fn gap(self) -> Self {
        match self {
            Self::Create => Self::GapCreate,
            Self::Update => Self::GapUpdate,
            Self::Delete => Self::GapDelete,
            Self::Undelete => Self::GapUndelete,
            gap => gap,
        }
    }
}

/// A change event as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) replay: u64,
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    /// The object's name.
    pub(crate) entity: String,
    pub(crate) records: Vec<String>,
    pub(crate) kind: Kind,
    /// What made the change; empty if no API did.
    pub(crate) origin: String,
    pub(crate) transaction: u64,
    pub(crate) sequence: u32,
    pub(crate) user: String,
    /// Names of the fields that an update changed; those it emptied too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) changed: Vec<String>,
    /// Names of the fields that it emptied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) nulled: Vec<String>,
    /// Names of the fields of which only the difference is told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) differ: Vec<String>,
    /// Values by field, as the log writes them; differences of long texts.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) body: Map<String, Json>,
}

impl Event {
    fn new(entity: &str, kind: Kind) -> Self {
        Self {
            replay: 0,
            at: 0,
            entity: entity.to_owned(),
            records: Vec::new(),
            kind,
            origin: String::new(),
            transaction: 0,
            sequence: 0,
            user: String::new(),
            changed: Vec::new(),
            nulled: Vec::new(),
            differ: Vec::new(),
            body: Map::new(),
        }
    }

    /// News of the whole object were lost.
    pub(super) fn overflow(object: &Object, at: i64) -> Self {
        let all = format!("{}*", object.prefix);
        Self { at, records: vec![all], ..Self::new(&object.name, Kind::GapOverflow) }
    }

    /// Keeps the header only.
    pub(super) fn become_gap(&mut self) {
        self.kind = self.kind.gap();
        self.changed.clear();
        self.nulled.clear();
        self.differ.clear();
        self.body.clear();
    }

    /// Whether both tell the same of different records.
    fn says_the_same(&self, other: &Self) -> bool {
        self.kind != Kind::Create
            && (self.kind, &self.entity, &self.user) == (other.kind, &other.entity, &other.user)
            && (&self.changed, &self.nulled, &self.differ, &self.body)
                == (&other.changed, &other.nulled, &other.differ, &other.body)
    }
}

/// Whether change events tell of this field.
pub(super) fn told(field: &Field) -> bool {
    !matches!(field.slot, Slot::Id | Slot::IsDeleted | Slot::SystemModstamp)
        && !matches!(field.computed, Some(Computed::Formula { .. }))
}

/// What the open transaction has changed of the objects that `captured` names, without numbers and times.
/// The same change of several records is one event.
pub(super) fn changes(database: &Database, captured: impl Fn(&str) -> bool) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for (number, before, after) in database.changed() {
        let object = database.object(number);
        if !captured(&object.name) {
            continue;
        }
        let Some(mut event) = change(object, before, after) else { continue };
        event.origin = database.origin().to_owned();
        event.user = after.modified_by.to_string();
        if event.body.values().map(|value| value.as_str().map_or(8, str::len)).sum::<usize>()
            > LARGEST_BODY
        {
            event.become_gap();
        }
        match events.iter_mut().find(|other| other.says_the_same(&event)) {
            Some(other) => other.records.push(after.id.to_string()),
            None => {
                event.records.push(after.id.to_string());
                events.push(event);
            }
        }
    }
    events
}

/// What became of one row; none if nothing that is told of.
fn change(object: &Object, before: Option<&Row>, after: &Row) -> Option<Event> {
    let kind = match before {
        None if after.deleted => return None,
        None => Kind::Create,
        Some(before) => match (before.deleted, after.deleted) {
            (false, false) => Kind::Update,
            (false, true) => Kind::Delete,
            (true, false) => Kind::Undelete,
            (true, true) => return None,
        },
    };
    let mut event = Event::new(&object.name, kind);
    if kind == Kind::Delete {
        return Some(event);
    }
    for field in object.fields.iter().filter(|field| told(field)) {
        let value = after.get(field.slot);
        if let (Kind::Update, Some(before)) = (kind, before) {
            let old = before.get(field.slot);
            if old == value {
                continue;
            }
            event.changed.push(field.name.clone());
            if value.is_null() {
                event.nulled.push(field.name.clone());
            }
            let texts = old.text().zip(value.text());
            if let (FieldKind::LongText(_), Some((old, new))) = (&field.kind, texts)
                && let Some(told) = difference(old, new)
            {
                event.differ.push(field.name.clone());
                event.body.insert(field.name.clone(), told.into());
                continue;
            }
        }
        if !value.is_null() {
            event.body.insert(field.name.clone(), json(&value));
        }
    }
    (kind != Kind::Update || !event.changed.is_empty()).then_some(event)
}

fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(b) => (*b).into(),
        Value::Number(n) => (*n).into(),
        Value::Time(ms) => (*ms).into(),
        Value::Id(id) => SfId::to_string(id).into(),
        other => other.to_text().into_owned().into(),
    }
}
