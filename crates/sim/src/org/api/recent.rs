//! `/recent` and the recent items of an object.
//!
//! A real org lists what the user has looked at in its pages. Here that is what the user last created or changed,
//! because the simulated org's pages have no users. It is read from the records, so a restart changes nothing.

use std::cmp::Reverse;

use axum::http::Method;
use serde_json::{Value as Json, json};
use sloe_core::ids::SfId;

use super::reply::{ApiError, Call, Reply};
use crate::org::data::{Database, Row};

/// How many are told at most.
const MOST: usize = 200;

/// Answers `/recent?limit=`.
pub(crate) fn answer(database: &Database, call: &Call) -> Result<Reply, ApiError> {
    if call.method != Method::GET {
        return Err(ApiError::method(&call.method, "GET, HEAD"));
    }
    let limit = match call.parameter("limit") {
        None => MOST,
        Some(text) => text.parse().ok().filter(|limit| *limit > 0).ok_or_else(|| {
            ApiError::new(400, "INVALID_INPUT", format!("limit isn't a positive number: {text}"))
        })?,
    };
    let all = 0..database.schema().objects().len();
    let mut items: Vec<(usize, &Row)> = all
        .flat_map(|object| rows(database, object, call.user).map(move |row| (object, row)))
        .collect();
    items.sort_by_key(|(_, row)| Reverse((row.modified, row.id)));
    let items = items.into_iter().take(limit.min(MOST));
    let items: Vec<Json> = items.map(|(object, row)| item(database, call, object, row)).collect();
    Ok(Reply::json(200, &items))
}

/// The recent items of one object.
pub(crate) fn of(database: &Database, call: &Call, object: usize) -> Vec<Json> {
    rows(database, object, call.user).map(|row| item(database, call, object, row)).collect()
}

/// What this user last wrote of an object, the newest first; nothing of objects that the API may not write.
fn rows(database: &Database, object: usize, user: SfId) -> impl Iterator<Item = &Row> {
    let listed = database.object(object).writable;
    let own = move |row: &&Row| listed && !row.deleted && row.modified_by == user;
    database.table(object).newest().filter(own).take(MOST)
}

fn item(database: &Database, call: &Call, object: usize, row: &Row) -> Json {
    let shape = database.object(object);
    let name = shape.field("Name").map(|field| row.get(field.slot).to_text().into_owned());
    let url = format!("/services/data/{}/sobjects/{}/{}", call.version, shape.name, row.id);
    json!({
        "attributes": { "type": shape.name, "url": url },
        "Id": row.id.as_str(),
        "Name": name,
    })
}
