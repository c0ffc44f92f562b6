//! `/sobjects`: describe, and one record at a time.

use std::collections::BTreeSet;

use axum::http::Method;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
use serde_json::{Map, Value as Json, json};
use sloe_core::ids::SfId;

use super::input::{Fault, assigns, key_field_of, object_of};
use super::reply::{ApiError, Call, Reply, refuse};
use super::{recent, replication};
use crate::org::data::{Database, Row, RowError};
use crate::org::schema::{Object, describe};

/// Answers everything under `/sobjects`; `path` is what follows it.
pub(crate) fn answer(
    database: &mut Database,
    call: &Call,
    path: &[&str],
) -> Result<Reply, ApiError> {
    let method = &call.method;
    match path {
        [] if *method == Method::GET => {
            Ok(described(database, call, || describe::global(database.schema(), &call.version)))
        }
        [] => Err(ApiError::method(method, "GET, HEAD")),
        [name] => {
            let object = object_of(database, name)?;
            match *method {
                Method::GET => Ok(basic(database, call, object)),
                Method::POST => create(database, call, object),
                _ => Err(ApiError::method(method, "GET, HEAD, POST")),
            }
        }
        [name, "describe"] if *method == Method::GET => {
            let object = database.object(object_of(database, name)?);
            let full = || describe::full(database.schema(), object, &call.version);
            Ok(described(database, call, full))
        }
        [_, "describe"] => Err(ApiError::method(method, "GET, HEAD")),
        [_, "describe", ..] => Err(ApiError::unsupported("layouts")),
        [_, "quickActions" | "listviews", ..] => {
            Err(ApiError::unsupported("quick actions and list views"))
        }
        [name, "updated"] => replication::updated(database, call, object_of(database, name)?),
        [name, "deleted"] => replication::deleted(database, call, object_of(database, name)?),
        [name, "Id"] if *method == Method::POST => {
            let object = object_of(database, name)?;
            create(database, call, object)
        }
        [name, id] => {
            let object = object_of(database, name)?;
            let id = SfId::parse(id).map_err(|_| {
                ApiError::new(
                    404,
                    "NOT_FOUND",
                    format!("Provided external ID field does not exist or is not accessible: {id}"),
                )
            })?;
            by_id(database, call, object, id)
        }
        [name, key, value] => {
            let object = object_of(database, name)?;
            by_key(database, call, object, key, value)
        }
        _ => Err(ApiError::not_found()),
    }
}

/// A describe, or 304 where the client has it already: the schema is as old as the org's start.
///
/// A date that can't be read is no condition, as HTTP wants it.
fn described(database: &Database, call: &Call, make: impl FnOnce() -> Json) -> Reply {
    let since = call.if_modified_since.as_deref();
    let since = since.and_then(|text| DateTimeParser::new().parse_timestamp(text.trim()).ok());
    let reply = match since {
        Some(since) if since >= database.began() => Reply::raw(304, Vec::new()),
        _ => Reply::json(200, &make()),
    };
    match DateTimePrinter::new().timestamp_to_rfc9110_string(&database.began()) {
        Ok(date) => reply.with("last-modified", date),
        // A clock before the year 0 has no such date.
        Err(_) => reply,
    }
}

fn basic(database: &Database, call: &Call, object: usize) -> Reply {
    let shape = database.object(object);
    let body = json!({
        "objectDescribe": describe::summary(shape, &call.version),
        "recentItems": recent::of(database, call, object),
    });
    Reply::json(200, &body)
}

/// Refuses to change what the API may not change.
///
/// # Errors
/// `CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY`.
pub(crate) fn must_be_writable(database: &Database, object: usize) -> Result<(), ApiError> {
    let shape = database.object(object);
    if shape.writable {
        return Ok(());
    }
    let message = format!(
        "entity type {} cannot be inserted, updated or deleted through the API",
        shape.name
    );
    Err(ApiError::new(400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", message))
}

fn create(database: &mut Database, call: &Call, object: usize) -> Result<Reply, ApiError> {
    must_be_writable(database, object)?;
    let record: Map<String, Json> = call.json()?;
    let shape = database.object(object).clone();
    must_not_name(&record, "Id")?;
    let result = match assigns(database, &shape, &record, &[]) {
        Ok(assigns) => database.insert(object, &assigns, call.user),
        Err(Fault::Row(error)) => Err(vec![error]),
        Err(Fault::Request(error)) => return Err(error),
    };
    Ok(match result {
        Ok(saved) => saved_reply(call, &shape.name, 201, saved.id, None),
        Err(errors) => refuse(&errors),
    })
}

/// Refuses a field that says which record is meant: the address does.
fn must_not_name(record: &Map<String, Json>, field: &str) -> Result<(), ApiError> {
    let Some(name) = record.keys().find(|name| name.eq_ignore_ascii_case(field)) else {
        return Ok(());
    };
    let message = format!("The {name} field should not be specified in the sobject data.");
    let refused = ApiError::new(400, "INVALID_FIELD", message);
    Err(ApiError { fields: Some(vec![name.clone()]), ..refused })
}

fn saved_reply(call: &Call, object: &str, status: u16, id: SfId, created: Option<bool>) -> Reply {
    let mut body = json!({ "id": id.as_str(), "success": true, "errors": [] });
    if let (Some(created), Some(map)) = (created, body.as_object_mut()) {
        map.insert("created".to_owned(), created.into());
    }
    let reply = Reply::json(status, &body);
    if status == 201 {
        return reply
            .with("location", format!("/services/data/{}/sobjects/{object}/{id}", call.version));
    }
    reply
}

pub(crate) fn by_id(
    database: &mut Database,
    call: &Call,
    object: usize,
    id: SfId,
) -> Result<Reply, ApiError> {
    match call.method {
        Method::GET => {
            let row = present(database, object, id)?;
            read(database, call, object, row)
        }
        Method::PATCH => {
            must_be_writable(database, object)?;
            present(database, object, id)?;
            let shape = database.object(object).clone();
            let record: Map<String, Json> = call.json()?;
            must_not_name(&record, "Id")?;
            let result = match assigns(database, &shape, &record, &[]) {
                Ok(assigns) => database.update(object, id, &assigns, call.user),
                Err(Fault::Row(error)) => Err(vec![error]),
                Err(Fault::Request(error)) => return Err(error),
            };
            Ok(result.map_or_else(|errors| refuse(&errors), |_| Reply::nothing()))
        }
        Method::DELETE => {
            must_be_writable(database, object)?;
            present(database, object, id)?;
            let result = database.delete(object, id, call.user);
            Ok(result.map_or_else(|errors| refuse(&errors), |()| Reply::nothing()))
        }
        _ => Err(ApiError::method(&call.method, "DELETE, GET, HEAD, PATCH")),
    }
}

pub(crate) fn present(database: &Database, object: usize, id: SfId) -> Result<&Row, ApiError> {
    database.live(object, id).map_err(|error| match error.code {
        "ENTITY_IS_DELETED" => {
            ApiError { fields: Some(Vec::new()), ..ApiError::new(404, error.code, error.message) }
        }
        _ => ApiError::not_found(),
    })
}

/// The record's fields, all of them or those of `?fields=`.
fn read(database: &Database, call: &Call, object: usize, row: &Row) -> Result<Reply, ApiError> {
    let shape = database.object(object);
    let wanted = match call.parameter("fields") {
        Some(list) => selected(shape, list.split(',').map(str::trim))?,
        None => (0..shape.fields.len()).collect(),
    };
    let mut out = Vec::with_capacity(1024);
    write(&mut out, &call.version, shape, row, &wanted);
    Ok(Reply::raw(200, out))
}

/// The fields of these names, in the object's order; the id comes in any case.
///
/// # Errors
/// `INVALID_FIELD`: the object has no such field.
pub(crate) fn selected<'a>(
    shape: &Object,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeSet<usize>, ApiError> {
    let mut out: BTreeSet<usize> = shape.find("Id").into_iter().collect();
    for name in names {
        out.insert(shape.find(name).ok_or_else(|| {
            let message = format!("No such column '{name}' on sobject of type {}", shape.name);
            ApiError::new(400, "INVALID_FIELD", message)
        })?);
    }
    Ok(out)
}

/// Writes these fields of a record.
pub(crate) fn write(
    out: &mut Vec<u8>,
    version: &str,
    shape: &Object,
    row: &Row,
    fields: &BTreeSet<usize>,
) {
    let url = format!("/services/data/{version}/sobjects/{}/{}", shape.name, row.id);
    let head = format!("{{\"attributes\":{{\"type\":\"{}\",\"url\":\"{url}\"}}", shape.name);
    out.extend_from_slice(head.as_bytes());
    for field in fields.iter().filter_map(|index| shape.fields.get(*index)) {
        out.extend_from_slice(format!(",\"{}\":", field.name).as_bytes());
        row.get(field.slot).write_json(out);
    }
    out.push(b'}');
}

fn by_key(
    database: &mut Database,
    call: &Call,
    object: usize,
    key: &str,
    value: &str,
) -> Result<Reply, ApiError> {
    use crate::org::data::Found;
    let shape = database.object(object).clone();
    let key_field = key_field_of(&shape, key)?;
    let found = database.find(object, key_field, value);
    if let Found::Many(ids) = &found {
        let urls: Vec<String> = ids
            .iter()
            .map(|id| format!("/services/data/{}/sobjects/{}/{id}", call.version, shape.name))
            .collect();
        return Ok(Reply::json(300, &urls));
    }
    let id = match &found {
        Found::One(id) => Some(*id),
        _ => None,
    };
    match call.method {
        Method::PATCH => {
            must_be_writable(database, object)?;
            if id.is_none() && call.parameter("updateOnly") == Some("true") {
                return Err(ApiError::not_found());
            }
            upsert(database, call, object, key_field, value)
        }
        Method::GET | Method::DELETE => {
            let id = id.ok_or_else(ApiError::not_found)?;
            by_id(database, call, object, id)
        }
        _ => Err(ApiError::method(&call.method, "DELETE, GET, HEAD, PATCH")),
    }
}

fn upsert(
    database: &mut Database,
    call: &Call,
    object: usize,
    key_field: usize,
    value: &str,
) -> Result<Reply, ApiError> {
    let shape = database.object(object).clone();
    let record: Map<String, Json> = call.json()?;
    let key_name = shape.fields.get(key_field).map_or("", |f| f.name.as_str());
    must_not_name(&record, "Id")?;
    must_not_name(&record, key_name)?;
    let result = match assigns(database, &shape, &record, &[]) {
        Ok(assigns) => database.upsert(object, key_field, value, &assigns, call.user),
        Err(Fault::Row(error)) => Err(vec![error]),
        Err(Fault::Request(error)) => return Err(error),
    };
    Ok(match result {
        Ok(saved) if saved.created => saved_reply(call, &shape.name, 201, saved.id, Some(true)),
        Ok(_) if call.version_number() < 46 => Reply::nothing(),
        Ok(saved) => saved_reply(call, &shape.name, 200, saved.id, Some(false)),
        Err(errors) => refuse(&errors),
    })
}

/// A record's result in collections.
pub(crate) fn result_entry(result: &Result<(SfId, Option<bool>), Vec<RowError>>) -> Json {
    match result {
        Ok((id, Some(created))) => {
            json!({ "id": id.as_str(), "success": true, "errors": [], "created": created })
        }
        Ok((id, None)) => json!({ "id": id.as_str(), "success": true, "errors": [] }),
        Err(errors) => json!({ "success": false, "errors": errors }),
    }
}
