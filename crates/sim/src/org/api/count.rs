//! `/limits/recordCount`: how many records there are.

use axum::http::Method;
use serde_json::{Value as Json, json};

use super::reply::{ApiError, Call, Reply};
use crate::org::data::Database;

/// Answers `/limits/recordCount?sObjects=`: about how many records there are, those in the bin left out.
pub(crate) fn answer(database: &Database, call: &Call) -> Result<Reply, ApiError> {
    if call.method != Method::GET {
        return Err(ApiError::method(&call.method, "GET, HEAD"));
    }
    let wanted: Option<Vec<&str>> =
        call.parameter("sObjects").map(|names| names.split(',').map(str::trim).collect());
    let objects = database.schema().objects().iter().enumerate();
    let wanted = objects.filter(|(_, object)| match &wanted {
        Some(names) => names.iter().any(|name| name.eq_ignore_ascii_case(&object.name)),
        None => true,
    });
    let counts = wanted.filter_map(|(number, object)| {
        let count = database.table(number).rows().filter(|row| !row.deleted).count();
        (count > 0).then(|| json!({ "count": count, "name": object.name }))
    });
    let counts: Vec<Json> = counts.collect();
    Ok(Reply::json(200, &json!({ "sObjects": counts })))
}
