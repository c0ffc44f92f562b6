//! From what a request says about a record to assignments of its fields.

use serde_json::{Map, Value as Json};

use super::reply::ApiError;
use crate::org::data::{Assign, Database, JsonFault, RowError, Value, key_of};
use crate::org::schema::{Field, Kind, Object};

/// Where a named column leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A field of the object.
    Field(usize),
    /// A reference, by a key of the record it refers to.
    Link { field: usize, object: usize, key_field: usize },
}

/// Why a record's text can't be turned into assignments.
pub(crate) enum Fault {
    /// The request as a whole is refused.
    Request(ApiError),
    /// This record is refused.
    Row(RowError),
}

/// The object of this name.
///
/// # Errors
/// 404 `NOT_FOUND`, as the sObject resources answer.
pub(crate) fn object_of(database: &Database, name: &str) -> Result<usize, ApiError> {
    database.schema().find(name).ok_or_else(ApiError::not_found)
}

/// The field an upsert may use as its key.
///
/// # Errors
/// 404: unknown, or not an external id.
pub(crate) fn key_field_of(object: &Object, name: &str) -> Result<usize, ApiError> {
    let found = object.find(name).filter(|index| {
        object.fields.get(*index).is_some_and(|field| field.external_id || field.kind == Kind::Id)
    });
    found.ok_or_else(|| {
        ApiError::new(
            404,
            "NOT_FOUND",
            format!("Provided external ID field does not exist or is not accessible: {name}"),
        )
    })
}

/// The same for all ways to write one key; one that can't be of its field is as it is written.
pub(crate) fn key_name(field: &Field, key: &str) -> String {
    let value = Value::from_text(field, key);
    value.map_or_else(|_| key.to_owned(), |value| key_of(Some(field), &value).into_owned())
}

fn link(database: &Database, object: &Object, relationship: &str, key: &str) -> Option<Target> {
    // `Contact:Who__r.Key__c` names the type of a polymorphic reference.
    let relationship = relationship.rsplit(':').next().unwrap_or(relationship);
    let field = object.find_parent(relationship)?;
    let to = database.schema().find(&object.fields.get(field)?.reference()?.to)?;
    let target = database.object(to);
    let key_field = target.find(key)?;
    let usable = target
        .fields
        .get(key_field)
        .is_some_and(|f| f.external_id || f.unique || f.kind == Kind::Id);
    usable.then_some(Target::Link { field, object: to, key_field })
}

/// Where a CSV column leads: `Field__c` or `Parent__r.Key__c`.
pub(crate) fn column(database: &Database, object: &Object, name: &str) -> Option<Target> {
    match name.split_once('.') {
        Some((relationship, key)) => link(database, object, relationship, key),
        None => object.find(name).map(Target::Field),
    }
}

/// One CSV cell.
///
/// # Errors
/// The cell's fault.
pub(crate) fn cell(
    object: &Object,
    target: &Target,
    text: &str,
) -> Result<Option<Assign>, RowError> {
    // An empty cell says nothing; `#N/A` empties the field.
    if text.is_empty() {
        return Ok(None);
    }
    Ok(match target {
        Target::Field(index) => {
            let Some(field) = object.fields.get(*index) else { return Ok(None) };
            let value = if text == "#N/A" { Value::Null } else { Value::from_text(field, text)? };
            Some(Assign::Set(*index, value))
        }
        Target::Link { field, .. } if text == "#N/A" => Some(Assign::Set(*field, Value::Null)),
        Target::Link { field, object, key_field } => Some(Assign::Link {
            field: *field,
            object: *object,
            key_field: *key_field,
            key: text.into(),
        }),
    })
}

/// One record of a JSON request; `skip` names fields that the resource itself takes (the id, the key).
///
/// # Errors
/// Unknown fields and unreadable values refuse the request, others the record.
pub(crate) fn assigns(
    database: &Database,
    object: &Object,
    record: &Map<String, Json>,
    skip: &[&str],
) -> Result<Vec<Assign>, Fault> {
    let mut out = Vec::with_capacity(record.len());
    for (name, json) in record {
        if name == "attributes" || skip.iter().any(|s| s.eq_ignore_ascii_case(name)) {
            continue;
        }
        if let Json::Object(parent) = json
            && object.find(name).is_none()
        {
            out.push(nested(database, object, name, parent)?);
            continue;
        }
        let Some(index) = object.find(name) else { return Err(no_column(object, name)) };
        let Some(field) = object.fields.get(index) else { continue };
        match Value::from_json(field, json) {
            Ok(value) => out.push(Assign::Set(index, value)),
            Err(JsonFault::Row(error)) => return Err(Fault::Row(error)),
            Err(JsonFault::Request(message)) => {
                return Err(Fault::Request(ApiError::new(400, "JSON_PARSER_ERROR", message)));
            }
        }
    }
    Ok(out)
}

/// `"Parent__r": {"Key__c": "…"}`.
fn nested(
    database: &Database,
    object: &Object,
    name: &str,
    parent: &Map<String, Json>,
) -> Result<Assign, Fault> {
    let mut keys = parent.iter().filter(|(key, _)| *key != "attributes");
    let (Some((key, value)), None) = (keys.next(), keys.next()) else {
        let message = format!("{name}: a parent is named by exactly one external id field");
        return Err(Fault::Request(ApiError::new(400, "JSON_PARSER_ERROR", message)));
    };
    let Some(Target::Link { field, object, key_field }) = link(database, object, name, key) else {
        return Err(no_column(object, name));
    };
    let text = match value {
        Json::String(text) => text.clone(),
        Json::Number(n) => n.to_string(),
        _ => {
            let message = format!("{name}.{key}: an external id is a text or a number");
            return Err(Fault::Request(ApiError::new(400, "JSON_PARSER_ERROR", message)));
        }
    };
    Ok(Assign::Link { field, object, key_field, key: text.into() })
}

fn no_column(object: &Object, name: &str) -> Fault {
    Fault::Request(ApiError::new(
        400,
        "INVALID_FIELD",
        format!("No such column '{name}' on sobject of type {}", object.name),
    ))
}
