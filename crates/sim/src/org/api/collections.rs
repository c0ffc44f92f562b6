//! `/composite/sobjects`: up to 200 records in one call, each with its own result.

use std::collections::HashMap;

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use sloe_core::ids::SfId;

use super::input::{Fault, assigns, key_field_of, key_name};
use super::records::{must_be_writable, result_entry};
use super::reply::{ApiError, Call, Reply};
use super::retrieve;
use crate::org::data::{Assign, Database, RowError};

/// How many records one call may hold.
const MOST: usize = 200;
/// How often one call may go from one object to another, and one more.
const MOST_CHUNKS: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default)]
    all_or_none: bool,
    records: Vec<Map<String, Json>>,
}

type Outcome = Result<(SfId, Option<bool>), Vec<RowError>>;

/// What is asked of one record.
enum Work {
    Insert(usize, Vec<Assign>),
    Update(usize, SfId, Vec<Assign>),
    Upsert(usize, usize, String, Vec<Assign>),
    Delete(usize, SfId),
    /// Refused before it was tried.
    Refused(RowError),
}

impl Work {
    /// What it is done to, unless it was refused.
    fn object(&self) -> Option<usize> {
        match self {
            Work::Insert(object, _)
            | Work::Update(object, ..)
            | Work::Upsert(object, ..)
            | Work::Delete(object, _) => Some(*object),
            Work::Refused(_) => None,
        }
    }
}

/// Answers `/composite/sobjects` and what follows it; `hurt` may turn a record's success into a fault.
pub(crate) fn answer(
    database: &mut Database,
    call: &Call,
    rest: &[&str],
    hurt: &dyn Fn(&str) -> Option<RowError>,
) -> Result<Reply, ApiError> {
    if let ([], &Method::DELETE) = (rest, &call.method) {
        let ids: Vec<&str> =
            call.parameter("ids").map_or_else(Vec::new, |list| list.split(',').collect());
        must_fit(ids.len())?;
        let work = ids.into_iter().map(|id| removal(database, id)).collect();
        let all_or_none = call.parameter("allOrNone") == Some("true");
        return Ok(run(database, call, work, all_or_none, hurt));
    }
    if let ([name], &Method::GET | &Method::POST) = (rest, &call.method) {
        return retrieve::answer(database, call, name);
    }
    let request: Request = match call.method {
        Method::POST | Method::PATCH => call.json()?,
        _ => return Err(ApiError::method(&call.method, "DELETE, PATCH, POST")),
    };
    must_fit(request.records.len())?;
    let mut work = Vec::with_capacity(request.records.len());
    for record in &request.records {
        work.push(match (rest, &call.method) {
            ([], &Method::POST) => insertion(database, record)?,
            ([], _) => change(database, record)?,
            ([object, key], &Method::PATCH) => upsertion(database, record, object, key)?,
            _ => return Err(ApiError::not_found()),
        });
    }
    let objects: Vec<usize> = work.iter().filter_map(Work::object).collect();
    let chunks = objects.chunk_by(|a, b| a == b).count();
    if chunks > MOST_CHUNKS {
        let message = format!(
            "Cannot have more than {MOST_CHUNKS} chunks in a single operation. Please rearrange the data to reduce chunking."
        );
        return Err(ApiError::new(400, "LIMIT_EXCEEDED", message));
    }
    mark_repeated(database, &mut work);
    Ok(run(database, call, work, request.all_or_none, hurt))
}

fn must_fit(count: usize) -> Result<(), ApiError> {
    if count <= MOST {
        return Ok(());
    }
    let message =
        format!("record limit reached. cannot submit more than {MOST} records into this call");
    Err(ApiError::new(400, "EXCEEDED_MAX_SIZE_REQUEST", message))
}

fn type_of(database: &Database, record: &Map<String, Json>) -> Result<usize, ApiError> {
    let name =
        record.get("attributes").and_then(|a| a.get("type")).and_then(Json::as_str).ok_or_else(
            || {
                ApiError::new(
                    400,
                    "INVALID_INPUT",
                    "The entity type is required: attributes.type is missing",
                )
            },
        )?;
    let object = database.schema().find(name).ok_or_else(|| {
        ApiError::new(400, "INVALID_TYPE", format!("sObject type '{name}' is not supported."))
    })?;
    must_be_writable(database, object)?;
    Ok(object)
}

/// Sorts a fault: the request's, or this record's only.
fn own(fault: Fault) -> Result<Work, ApiError> {
    match fault {
        Fault::Row(error) => Ok(Work::Refused(error)),
        Fault::Request(error) => Err(error),
    }
}

fn insertion(database: &Database, record: &Map<String, Json>) -> Result<Work, ApiError> {
    let object = type_of(database, record)?;
    match assigns(database, database.object(object), record, &[]) {
        Ok(assigns) => Ok(Work::Insert(object, assigns)),
        Err(fault) => own(fault),
    }
}

fn id_of(record: &Map<String, Json>) -> Option<&str> {
    record
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("id"))
        .and_then(|(_, value)| value.as_str())
}

fn change(database: &Database, record: &Map<String, Json>) -> Result<Work, ApiError> {
    let object = type_of(database, record)?;
    let Some(id) = id_of(record) else {
        return Ok(Work::Refused(RowError::new(
            "MISSING_ARGUMENT",
            "Id not specified in an update call",
        )));
    };
    let Ok(id) = SfId::parse(id) else {
        return Ok(Work::Refused(RowError::at(
            "MALFORMED_ID",
            "Id",
            format!("Record ID: id value of incorrect type: {id}"),
        )));
    };
    match assigns(database, database.object(object), record, &["id"]) {
        Ok(assigns) => Ok(Work::Update(object, id, assigns)),
        Err(fault) => own(fault),
    }
}

fn upsertion(
    database: &Database,
    record: &Map<String, Json>,
    name: &str,
    key: &str,
) -> Result<Work, ApiError> {
    let object = type_of(database, record)?;
    let shape = database.object(object);
    if !shape.name.eq_ignore_ascii_case(name) {
        let message = format!("The record type {} doesn't match the request's {name}", shape.name);
        return Err(ApiError::new(400, "INVALID_TYPE", message));
    }
    let key_field = key_field_of(shape, key)?;
    let value =
        record.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value);
    let value = match value {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Number(n)) => n.to_string(),
        _ => String::new(),
    };
    match assigns(database, shape, record, &[key]) {
        Ok(assigns) => Ok(Work::Upsert(object, key_field, value, assigns)),
        Err(fault) => own(fault),
    }
}

fn removal(database: &Database, id: &str) -> Work {
    let parsed = SfId::parse(id.trim()).ok();
    match parsed.and_then(|id| Some((database.schema().find_by_prefix(id.as_str())?, id))) {
        Some((object, id)) if database.object(object).writable => Work::Delete(object, id),
        _ => Work::Refused(RowError::at("MALFORMED_ID", "Id", format!("malformed id {id}"))),
    }
}

/// One call must not name the same record twice.
fn mark_repeated(database: &Database, work: &mut [Work]) {
    let mut keys: HashMap<String, usize> = HashMap::new();
    let name = |work: &Work| match work {
        Work::Upsert(object, key_field, key, _) => {
            let field = database.object(*object).fields.get(*key_field)?;
            Some(key_name(field, key))
        }
        Work::Update(_, id, _) => Some(id.to_string()),
        _ => None,
    };
    for item in work.iter() {
        if let Some(key) = name(item) {
            *keys.entry(key).or_default() += 1;
        }
    }
    for item in work.iter_mut() {
        let Some(key) = name(item).filter(|key| keys.get(key).is_some_and(|count| *count > 1))
        else {
            continue;
        };
        *item = Work::Refused(match item {
            Work::Upsert(..) => {
                RowError::new("DUPLICATE_VALUE", format!("Duplicate external id specified: {key}"))
            }
            _ => RowError::new("INVALID_ID_FIELD", format!("duplicate id {key} in the request")),
        });
    }
}

fn run(
    database: &mut Database,
    call: &Call,
    work: Vec<Work>,
    all_or_none: bool,
    hurt: &dyn Fn(&str) -> Option<RowError>,
) -> Reply {
    // What is said around the collection overrides what it says itself.
    let all_or_none = all_or_none || call.all_or_none;
    let mark = database.mark();
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(work.len());
    for item in work {
        let hurt = item.object().and_then(|object| hurt(&database.object(object).name));
        let outcome = match (hurt, item) {
            (_, Work::Refused(error)) | (Some(error), _) => Err(vec![error]),
            (None, Work::Insert(object, assigns)) => {
                database.insert(object, &assigns, call.user).map(|saved| (saved.id, None))
            }
            (None, Work::Update(object, id, assigns)) => {
                database.update(object, id, &assigns, call.user).map(|saved| (saved.id, None))
            }
            (None, Work::Upsert(object, key_field, key, assigns)) => database
                .upsert(object, key_field, &key, &assigns, call.user)
                .map(|saved| (saved.id, Some(saved.created))),
            (None, Work::Delete(object, id)) => {
                database.delete(object, id, call.user).map(|()| (id, None))
            }
        };
        outcomes.push(outcome);
    }
    if all_or_none && outcomes.iter().any(Result::is_err) {
        database.roll_back(mark);
        for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_ok()) {
            let message = "Record rolled back because not all records were valid and the request was using AllOrNone header";
            *outcome = Err(vec![RowError::new("ALL_OR_NONE_OPERATION_ROLLED_BACK", message)]);
        }
    }
    let entries: Vec<Json> = outcomes.iter().map(result_entry).collect();
    Reply::json(200, &entries)
}
