//! Between a record and its form: what stands in the inputs, and what they become again.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sloe_core::ids::SfId;

use crate::org::data::{Assign, Database, RowError, Value};
use crate::org::schema::{Field, Kind, Slot};
use crate::org::seed::user_id;

/// What stands in the inputs, by field.
pub(super) type Values = BTreeMap<String, String>;

/// The zone the form shows times in: the organization's.
pub(super) fn zone(database: &Database) -> TimeZone {
    let name = || {
        let orgs = database.schema().find("Organization")?;
        let row = database.table(orgs).get(database.org())?;
        let field = database.object(orgs).field("TimeZoneSidKey")?;
        row.get(field.slot).text().map(str::to_owned)
    };
    name().and_then(|name| TimeZone::get(&name).ok()).unwrap_or(TimeZone::UTC)
}

/// Who edits through the page: the first user who isn't the integration, else that one.
pub(super) fn person(database: &Database) -> SfId {
    let user = |number| SfId::parse(&user_id(database, number)).ok();
    let users = database.schema().find("User");
    let second = user(2)
        .filter(|id| users.is_some_and(|users| database.table(users).get_live(*id).is_some()));
    second.or_else(|| user(1)).unwrap_or_else(|| database.org())
}

/// Whether a person fills this field in.
pub(super) fn editable(field: &Field) -> bool {
    field.writable && matches!(field.slot, Slot::Stored(_))
}

/// A value as its input shows it.
fn shown(value: &Value, zone: &TimeZone) -> String {
    match value {
        Value::Time(ms) => jiff::Timestamp::from_millisecond(*ms).map_or_else(
            |_| String::new(),
            |stamp| stamp.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M").to_string(),
        ),
        Value::Number(n) => n.to_string(),
        other => other.to_text().into_owned(),
    }
}

/// A stored record's inputs.
pub(super) fn stored(database: &Database, object: usize, id: SfId) -> Values {
    let zone = zone(database);
    let Some(row) = database.table(object).get_live(id) else { return Values::new() };
    let fields = database.object(object).fields.iter();
    fields.map(|field| (field.name.clone(), shown(&row.get(field.slot), &zone))).collect()
}

/// A new record's inputs.
pub(super) fn defaults(database: &Database, object: usize) -> Values {
    let fields = database.object(object).fields.iter();
    let each = fields.filter_map(|field| {
        let value = match &field.kind {
            Kind::Checkbox => field.default.to_string(),
            Kind::Picklist { values, .. } => values.iter().find(|(_, default)| *default)?.0.clone(),
            _ => return None,
        };
        Some((field.name.clone(), value))
    });
    each.collect()
}

/// What a person typed; what isn't a field of the object is dropped.
pub(super) fn typed(database: &Database, object: usize, body: &[u8]) -> Values {
    let shape = database.object(object);
    let mut values: Values = form_urlencoded::parse(body)
        .filter_map(|(key, value)| {
            let field = shape.field(&key).filter(|field| editable(field))?;
            // Browsers send line ends as CR LF.
            Some((field.name.clone(), value.replace("\r\n", "\n")))
        })
        .collect();
    for field in shape.fields.iter().filter(|field| editable(field) && field.kind == Kind::Checkbox)
    {
        values.entry(field.name.clone()).or_insert_with(|| "false".to_owned());
    }
    values
}

/// What typed values mean; of a stored record only what differs from it.
///
/// # Errors
/// Every input that isn't a value of its field.
pub(super) fn assigns(
    database: &Database,
    object: usize,
    id: Option<SfId>,
    typed: &Values,
) -> Result<Vec<Assign>, Vec<RowError>> {
    let zone = zone(database);
    let before = id.map(|id| stored(database, object, id)).unwrap_or_default();
    let mut out = Vec::new();
    let mut errors = Vec::new();
    for (index, field) in database.object(object).fields.iter().enumerate() {
        let Some(text) =
            typed.get(&field.name).filter(|text| before.get(&field.name) != Some(*text))
        else {
            continue;
        };
        match value(field, text, &zone) {
            Ok(value) => out.push(Assign::Set(index, value)),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(out) } else { Err(errors) }
}

fn value(field: &Field, text: &str, zone: &TimeZone) -> Result<Value, RowError> {
    if field.kind == Kind::DateTime && !text.is_empty() {
        let stamp = text.parse::<DateTime>().ok().and_then(|at| zone.to_zoned(at).ok());
        if let Some(zoned) = stamp {
            return Ok(Value::Time(zoned.timestamp().as_second() * 1000));
        }
    }
    Value::from_text(field, text)
}
