//! `/composite/sobjects/{type}`: many records of one object by their ids, in one call.

use axum::http::Method;
use serde::Deserialize;
use sloe_core::ids::SfId;

use super::input::object_of;
use super::records::{selected, write};
use super::reply::{ApiError, Call, Reply};
use crate::org::data::Database;

/// How many records one call may name; an address holds far fewer.
const MOST: usize = 2000;

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    ids: Vec<String>,
    #[serde(default)]
    fields: Vec<String>,
}

/// Answers a list in the order of the ids, with null for each that names no live record of the object.
pub(crate) fn answer(database: &Database, call: &Call, name: &str) -> Result<Reply, ApiError> {
    let object = object_of(database, name)?;
    let request: Request = match call.method {
        Method::POST => call.json()?,
        _ => Request { ids: list(call, "ids"), fields: list(call, "fields") },
    };
    for (missing, what) in [(request.ids.is_empty(), "ids"), (request.fields.is_empty(), "fields")]
    {
        if missing {
            return Err(ApiError::new(400, "MISSING_ARGUMENT", format!("{what} not specified")));
        }
    }
    if request.ids.len() > MOST {
        let message =
            format!("record limit reached. cannot submit more than {MOST} records into this call");
        return Err(ApiError::new(400, "EXCEEDED_MAX_SIZE_REQUEST", message));
    }
    let shape = database.object(object);
    let fields = selected(shape, request.fields.iter().map(String::as_str))?;
    let mut out = b"[".to_vec();
    for (i, id) in request.ids.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        let row = SfId::parse(id.trim()).ok().and_then(|id| database.table(object).get_live(id));
        match row {
            Some(row) => write(&mut out, &call.version, shape, row, &fields),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b']');
    Ok(Reply::raw(200, out))
}

fn list(call: &Call, name: &str) -> Vec<String> {
    let all = call.parameter(name).unwrap_or_default().split(',').map(str::trim);
    all.filter(|one| !one.is_empty()).map(str::to_owned).collect()
}
