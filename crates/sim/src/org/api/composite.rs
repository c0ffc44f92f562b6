//! `/composite`: up to 25 calls in one, later ones using the answers of earlier ones.

use std::collections::HashMap;
use std::rc::Rc;

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::reply::{ApiError, Call, Reply};
use super::route;
use crate::org::data::Database;
use crate::org::state::State;

/// How many calls in one, and how many of them queries or collections.
const MOST: (usize, usize) = (25, 5);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default)]
    all_or_none: bool,
    composite_request: Vec<Part>,
}

/// One call of several.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) reference_id: String,
    #[serde(default)]
    pub(super) body: Option<Json>,
    #[serde(default)]
    http_headers: Map<String, Json>,
}

/// Answers `/composite`.
pub(crate) fn answer(
    state: &State,
    database: &mut Database,
    call: &Call,
) -> Result<Reply, ApiError> {
    if call.method != Method::POST {
        return Err(ApiError::method(&call.method, "POST"));
    }
    let request: Request = call.json()?;
    check(&request)?;
    let parts = &request.composite_request;
    if parts.iter().any(|part| part.method != Method::GET.as_str()) {
        // Besides being a composite call.
        state.note_call("composite_write");
    }
    let (answers, _) = run_all(state, database, call, parts, request.all_or_none);
    let mut out = Vec::new();
    write(&mut out, &answers);
    Ok(Reply::raw(200, out))
}

/// Answers by the calls' references.
pub(super) type Answers = Vec<(Reply, String)>;

/// Runs the calls one after the other; answers also whether any failed.
pub(super) fn run_all(
    state: &State,
    database: &mut Database,
    call: &Call,
    parts: &[Part],
    all_or_none: bool,
) -> (Answers, bool) {
    let mark = database.mark();
    let mut answers: Answers = Vec::new();
    let mut known: HashMap<String, Json> = HashMap::new();
    let mut good = Vec::with_capacity(parts.len());
    for part in parts {
        let reply = if all_or_none && good.contains(&false) {
            halted(ROLLED_BACK).reply()
        } else {
            let done = run(state, database, call, part, &known, all_or_none);
            done.unwrap_or_else(|error| error.reply())
        };
        let body = serde_json::from_slice(&reply.body).unwrap_or(Json::Null);
        good.push(reply.status < 400 && !(all_or_none && has_failed_rows(&body)));
        if reply.status < 400 {
            known.insert(part.reference_id.clone(), body);
        }
        answers.push((reply, part.reference_id.clone()));
    }
    let failed = good.contains(&false);
    if failed && all_or_none {
        database.roll_back(mark);
        for ((reply, _), _) in answers.iter_mut().zip(good).filter(|(_, good)| *good) {
            *reply = halted(ROLLED_BACK).reply();
        }
    }
    (answers, failed)
}

/// Whether this is a collection's answer in which a row failed: its status is good all the same.
fn has_failed_rows(body: &Json) -> bool {
    body.as_array().is_some_and(|rows| rows.iter().any(|row| row["success"] == false))
}

const ROLLED_BACK: &str =
    "The transaction was rolled back since another operation in the same transaction failed.";

/// A call that isn't run because of another one.
pub(super) fn halted(message: &str) -> ApiError {
    ApiError::new(400, "PROCESSING_HALTED", message)
}

fn check(request: &Request) -> Result<(), ApiError> {
    let refuse = |message: String| Err(ApiError::new(400, "INVALID_INPUT", message));
    let parts = &request.composite_request;
    if parts.is_empty() || parts.len() > MOST.0 {
        return refuse(format!(
            "a composite request takes 1 to {} subrequests, not {}",
            MOST.0,
            parts.len()
        ));
    }
    let heavy = parts
        .iter()
        .filter(|part| part.url.contains("/query") || part.url.contains("/composite/sobjects"));
    let heavy = heavy.count();
    if heavy > MOST.1 {
        return refuse(format!(
            "at most {} subrequests may be queries or collections, not {heavy}",
            MOST.1
        ));
    }
    check_references(parts)
}

/// Refuses references that are no names or stand twice.
pub(super) fn check_references(parts: &[Part]) -> Result<(), ApiError> {
    let refuse = |message: String| Err(ApiError::new(400, "INVALID_INPUT", message));
    for (i, part) in parts.iter().enumerate() {
        let name = &part.reference_id;
        let good = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !good {
            return refuse(format!(
                "Provided referenceId ('{name}') must start with a letter or a number"
            ));
        }
        if parts.iter().take(i).any(|earlier| earlier.reference_id == *name) {
            return refuse(format!("Duplicate referenceId provided: {name}"));
        }
    }
    Ok(())
}

fn run(
    state: &State,
    database: &mut Database,
    call: &Call,
    part: &Part,
    known: &HashMap<String, Json>,
    all_or_none: bool,
) -> Result<Reply, ApiError> {
    let url = fill(&part.url, known)?;
    let body = match &part.body {
        Some(body) => {
            let mut body = body.clone();
            fill_json(&mut body, known)?;
            serde_json::to_vec(&body).unwrap_or_default()
        }
        None => Vec::new(),
    };
    let header = |wanted: &str| {
        let hit = part.http_headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
        hit.1.as_str().map(str::to_owned)
    };
    let inner = Inner {
        method: part.method.clone(),
        url,
        body,
        query_options: header("sforce-query-options"),
        if_modified_since: header("if-modified-since"),
        all_or_none,
    };
    run_inner(state, database, call, inner)
}

/// A call within a call.
#[derive(Default)]
pub(super) struct Inner {
    pub(super) method: String,
    /// The whole path and query.
    pub(super) url: String,
    pub(super) body: Vec<u8>,
    pub(super) query_options: Option<String>,
    pub(super) if_modified_since: Option<String>,
    pub(super) all_or_none: bool,
}

/// Answers a call within another.
///
/// # Errors
/// It can't be one.
pub(super) fn run_inner(
    state: &State,
    database: &mut Database,
    call: &Call,
    inner: Inner,
) -> Result<Reply, ApiError> {
    let method = Method::from_bytes(inner.method.to_ascii_uppercase().as_bytes())
        .map_err(|_| ApiError::new(405, "METHOD_NOT_ALLOWED", "unknown HTTP method"))?;
    let (path, query) = inner.url.split_once('?').unwrap_or((&inner.url, ""));
    let Some((version, path)) = route::split(path) else { return Err(ApiError::not_found()) };
    if matches!(path.first().map(String::as_str), Some("jobs" | "composite"))
        && path.get(1).map(String::as_str) != Some("sobjects")
    {
        return Err(ApiError::new(
            400,
            "INVALID_INPUT",
            "this resource can't be called within a composite request",
        ));
    }
    let inner = Call {
        method,
        version,
        path,
        parameters: route::parameters(query),
        query_options: inner.query_options,
        if_modified_since: inner.if_modified_since,
        content_type: Some("application/json".to_owned()),
        body: inner.body.into(),
        client: call.client.clone(),
        user: call.user,
        all_or_none: inner.all_or_none,
        fates: Rc::clone(&call.fates),
    };
    Ok(route::answer(state, database, &inner))
}

/// Replaces every `@{reference.path}` of a text.
fn fill(text: &str, known: &HashMap<String, Json>) -> Result<String, ApiError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("@{") {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            out.push_str("@{");
            rest = after;
            continue;
        };
        match resolve(name, known)? {
            Json::String(text) => out.push_str(&text),
            other => out.push_str(&other.to_string()),
        }
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

fn fill_json(json: &mut Json, known: &HashMap<String, Json>) -> Result<(), ApiError> {
    match json {
        Json::String(text) if text.contains("@{") => {
            let whole = text
                .strip_prefix("@{")
                .and_then(|t| t.strip_suffix('}'))
                .filter(|name| !name.contains('}'));
            *json = match whole {
                Some(name) => resolve(name, known)?,
                None => Json::String(fill(text, known)?),
            };
            Ok(())
        }
        Json::Array(items) => items.iter_mut().try_for_each(|item| fill_json(item, known)),
        Json::Object(map) => map.values_mut().try_for_each(|item| fill_json(item, known)),
        _ => Ok(()),
    }
}

/// `name.records[0].Id`.
fn resolve(name: &str, known: &HashMap<String, Json>) -> Result<Json, ApiError> {
    let missing = || halted(&format!("Invalid reference specified. No value for {name} found."));
    let mut parts = name.split('.');
    let (first, mut index) = indexes(parts.next().unwrap_or_default());
    let mut at = known.get(first).ok_or_else(missing)?;
    loop {
        for i in index {
            at = at.get(i).ok_or_else(missing)?;
        }
        let Some(part) = parts.next() else { return Ok(at.clone()) };
        let (field, next) = indexes(part);
        at = at.get(field).ok_or_else(missing)?;
        index = next;
    }
}

/// `records[0][1]` → `records`, 0, 1.
fn indexes(part: &str) -> (&str, Vec<usize>) {
    match part.split_once('[') {
        Some((name, rest)) => {
            let each = rest.trim_end_matches(']').split("][");
            // An index that isn't a number finds nothing.
            (name, each.map(|i| i.parse().unwrap_or(usize::MAX)).collect())
        }
        None => (part, Vec::new()),
    }
}

/// Writes `{"compositeResponse":[…]}`.
pub(super) fn write(out: &mut Vec<u8>, answers: &[(Reply, String)]) {
    out.extend_from_slice(b"{\"compositeResponse\":[");
    for (i, (reply, reference)) in answers.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"body\":");
        if reply.body.is_empty() {
            out.extend_from_slice(b"null");
        } else {
            out.extend_from_slice(&reply.body);
        }
        let location = reply.headers.iter().find(|(name, _)| *name == "location");
        let headers = location.map_or_else(|| json!({}), |(_, url)| json!({ "Location": url }));
        let rest = format!(
            ",\"httpHeaders\":{headers},\"httpStatusCode\":{},\"referenceId\":\"{reference}\"}}",
            reply.status
        );
        out.extend_from_slice(rest.as_bytes());
    }
    out.extend_from_slice(b"]}");
}
