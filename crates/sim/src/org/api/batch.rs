//! `/composite/batch`: up to 25 calls in one that know nothing of each other.

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::composite::{Inner, run_inner};
use super::reply::{ApiError, Call, Reply};
use crate::org::data::Database;
use crate::org::state::State;

const MOST: usize = 25;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default)]
    halt_on_error: bool,
    batch_requests: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    method: String,
    /// `v62.0/sobjects/…`, or the whole path.
    url: String,
    #[serde(default)]
    rich_input: Option<Json>,
}

/// Answers `/composite/batch`: each call's status and body, in the order they were asked in.
pub(crate) fn answer(
    state: &State,
    database: &mut Database,
    call: &Call,
) -> Result<Reply, ApiError> {
    if call.method != Method::POST {
        return Err(ApiError::method(&call.method, "POST"));
    }
    let request: Request = call.json()?;
    let count = request.batch_requests.len();
    if count == 0 || count > MOST {
        let message = format!("a batch takes 1 to {MOST} subrequests, not {count}");
        return Err(ApiError::new(400, "INVALID_INPUT", message));
    }
    let mut failed = false;
    let mut results = Vec::with_capacity(count);
    for part in request.batch_requests {
        let reply = if failed && request.halt_on_error {
            let message = "Batch processing halted per request";
            ApiError::new(412, "BATCH_PROCESSING_HALTED", message).reply()
        } else {
            run(state, database, call, part).unwrap_or_else(|error| error.reply())
        };
        failed |= reply.status >= 400;
        let body: Json = serde_json::from_slice(&reply.body).unwrap_or(Json::Null);
        results.push(json!({ "statusCode": reply.status, "result": body }));
    }
    Ok(Reply::json(200, &json!({ "hasErrors": failed, "results": results })))
}

fn run(state: &State, database: &mut Database, call: &Call, part: Part) -> Result<Reply, ApiError> {
    let path = part.url.trim_start_matches('/');
    let inner = Inner {
        method: part.method,
        url: format!("/services/data/{}", path.strip_prefix("services/data/").unwrap_or(path)),
        body: part
            .rich_input
            .map_or_else(Vec::new, |body| serde_json::to_vec(&body).unwrap_or_default()),
        ..Inner::default()
    };
    run_inner(state, database, call, inner)
}
