//! `/sobjects/{type}/{id}/{relationship}`: from a record to its parent, or to its children.

use axum::http::Method;
use sloe_core::ids::SfId;

use super::cursors::Cursors;
use super::query;
use super::records::{by_id, present};
use super::reply::{ApiError, Call, Reply};
use crate::org::data::Database;

/// The record that an address begins with, if it is one of the object: (object, id).
pub(crate) fn start(database: &Database, name: &str, id: &str) -> Option<(usize, SfId)> {
    let object = database.schema().find(name)?;
    let shape = database.object(object);
    // Where a field is called so, it is that field's value that follows.
    let is_id = id.starts_with(&shape.prefix) && shape.find(id).is_none();
    let id = SfId::parse(id).ok().filter(|_| is_id)?;
    Some((object, id))
}

/// Answers for the parent itself, or lists the children, a page at a time.
pub(crate) fn answer(
    cursors: &Cursors,
    database: &mut Database,
    call: &Call,
    (object, id): (usize, SfId),
    relationship: &str,
) -> Result<Reply, ApiError> {
    let row = present(database, object, id)?;
    let shape = database.object(object);
    if let Some(field) = shape.find_parent(relationship).and_then(|index| shape.fields.get(index)) {
        let to = field.reference().and_then(|r| database.schema().find(&r.to));
        let (to, parent) = to.zip(row.get(field.slot).id()).ok_or_else(ApiError::not_found)?;
        return by_id(database, call, to, parent);
    }
    let (child, field) =
        database.schema().child(&shape.name, relationship).ok_or_else(ApiError::not_found)?;
    if call.method != Method::GET {
        return Err(ApiError::method(&call.method, "GET, HEAD"));
    }
    let child = database.object(child);
    let lookup = child.fields.get(field).map_or("", |field| field.name.as_str());
    let fields = match call.parameter("fields") {
        Some(fields) => fields.to_owned(),
        None => child.fields.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(", "),
    };
    let soql = format!("SELECT {fields} FROM {} WHERE {lookup} = '{id}'", child.name);
    let call = Call { parameters: vec![("q".to_owned(), soql)], ..call.clone() };
    query::answer(cursors, database, &call, &[], false)
}
