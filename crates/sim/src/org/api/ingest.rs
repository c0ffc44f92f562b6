//! `/jobs/ingest`: Bulk API 2.0 jobs that write, and their states and results.

use std::sync::Mutex;

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::input::key_field_of;
use super::jobs::{Job, Operation, Phase, drop_data, keep_data};
use super::records::must_be_writable;
use super::reply::{ApiError, Call, Reply};
use super::results;
use super::worker::OVER_QUOTA;
use crate::org::data::{Database, format_time};
use crate::org::kept::Entry;
use crate::org::state::{State, lock};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    object: String,
    operation: String,
    #[serde(default)]
    external_id_field_name: Option<String>,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    line_ending: Option<String>,
    #[serde(default)]
    column_delimiter: Option<String>,
}

/// Answers everything under `/jobs/ingest`.
pub(crate) fn answer(
    state: &State,
    database: &mut Database,
    call: &Call,
    rest: &[&str],
) -> Result<Reply, ApiError> {
    state.jobs.let_go(database);
    let job_of = |id: &str| state.jobs.get(id).ok_or_else(ApiError::not_found);
    match (rest, &call.method) {
        ([], &Method::POST) => create(state, database, call),
        ([], &Method::GET) => Ok(list(state, database)),
        ([], method) => Err(ApiError::method(method, "GET, HEAD, POST")),
        ([id], &Method::GET) => Ok(Reply::json(200, &describe(database, &lock(&*job_of(id)?)))),
        ([id], &Method::PATCH) => change(state, database, call, &*job_of(id)?),
        ([id], &Method::DELETE) => remove(state, database, &*job_of(id)?),
        ([_], method) => Err(ApiError::method(method, "DELETE, GET, HEAD, PATCH")),
        ([id, "batches"], &Method::PUT) => upload(database, call, &*job_of(id)?),
        ([_, "batches"], method) => Err(ApiError::method(method, "PUT")),
        // Made by `results`, once the transaction is over.
        ([id, which], &Method::GET) if results_of(which).is_some() => {
            job_of(id).map(|_| Reply::csv(Vec::new()))
        }
        _ => Err(ApiError::not_found()),
    }
}

/// What makes the results of this name.
fn results_of(which: &str) -> Option<fn(&Job) -> Vec<u8>> {
    match which.to_ascii_lowercase().as_str() {
        "successfulresults" => Some(results::successful),
        "failedresults" => Some(results::failed),
        "unprocessedrecords" => Some(results::unprocessed),
        _ => None,
    }
}

/// A job's results, if a call that was answered well is about them. They may be large, and are made of the job alone, so
/// that nobody waits for them.
pub(crate) fn results(state: &State, call: &Call) -> Option<Reply> {
    let [jobs, ingest, id, which] = call.path.as_slice() else { return None };
    if (jobs.as_str(), ingest.as_str(), &call.method) != ("jobs", "ingest", &Method::GET) {
        return None;
    }
    let make = results_of(which)?;
    // A copy: who works on the job isn't kept waiting either. It may have been deleted just now.
    let job = state.jobs.get(id).map(|job| lock(&job).clone());
    Some(job.map_or_else(|| ApiError::not_found().reply(), |job| Reply::csv(make(&job))))
}

fn create(state: &State, database: &mut Database, call: &Call) -> Result<Reply, ApiError> {
    if call.content_type.as_deref().is_some_and(|t| t.starts_with("multipart/")) {
        return Err(ApiError::new(
            415,
            "UNSUPPORTED_MEDIA_TYPE",
            "the simulated org takes a job and its data separately",
        ));
    }
    must_be_allowed(state)?;
    let request: Request = call.json()?;
    let object = database.schema().find(&request.object).ok_or_else(|| {
        ApiError::new(400, "INVALIDENTITY", format!("Unsupported object: {}", request.object))
    })?;
    must_be_writable(database, object)?;
    let operation = operation(&request.operation)?;
    let key_field = match (operation, &request.external_id_field_name) {
        (Operation::Upsert, Some(name)) => {
            Some(key_field_of(database.object(object), name).map_err(|_| {
                invalid(format!(
                    "External ID field {name} is not an external id of {}",
                    request.object
                ))
            })?)
        }
        (Operation::Upsert, None) => {
            return Err(invalid("External ID was blank for upsert"));
        }
        (_, Some(_)) => return Err(invalid("External ID is only for upsert")),
        (_, None) => None,
    };
    if request.content_type.as_deref().is_some_and(|t| t != "CSV") {
        return Err(invalid("contentType must be CSV"));
    }
    let delimiter = delimiter(request.column_delimiter.as_deref()).map_err(invalid)?;
    let crlf = match request.line_ending.as_deref() {
        None | Some("LF") => false,
        Some("CRLF") => true,
        Some(other) => return Err(invalid(format!("unknown lineEnding {other}"))),
    };
    let now = database.now();
    let job = Job {
        id: state.next_job(),
        object,
        operation,
        key_field,
        delimiter,
        crlf,
        phase: Phase::Open,
        user: call.user,
        client: call.client.clone(),
        created: now,
        stamp: now,
        data: bytes::Bytes::new(),
        outcomes: std::collections::BTreeMap::new(),
        processed: 0,
        failed: 0,
        retries: 0,
        millis: 0,
        error: None,
        version: call.version.clone(),
        uploaded: false,
    };
    let reply = Reply::json(200, &describe(database, &job));
    database.note(job.entry(database));
    state.jobs.add(job);
    Ok(reply)
}

/// Refuses a job once the day's batches are used up.
fn must_be_allowed(state: &State) -> Result<(), ApiError> {
    let most = lock(&state.meter).allowance.bulk_batches;
    let (begun, _) = state.bulk_used();
    if begun < most {
        return Ok(());
    }
    Err(ApiError::new(400, "EXCEEDEDQUOTA", OVER_QUOTA))
}

fn operation(name: &str) -> Result<Operation, ApiError> {
    match name {
        "insert" => Ok(Operation::Insert),
        "update" => Ok(Operation::Update),
        "upsert" => Ok(Operation::Upsert),
        "delete" => Ok(Operation::Delete),
        "hardDelete" => {
            let message = "hardDelete operation requires special user profile permission";
            Err(ApiError::new(400, "FEATURENOTENABLED", message))
        }
        other => Err(invalid(format!("unknown operation {other}"))),
    }
}

fn invalid(message: impl std::fmt::Display) -> ApiError {
    ApiError::new(400, "INVALIDJOB", format!("InvalidJob : {message}"))
}

const DELIMITERS: [(&str, u8); 6] = [
    ("COMMA", b','),
    ("SEMICOLON", b';'),
    ("TAB", b'\t'),
    ("PIPE", b'|'),
    ("CARET", b'^'),
    ("BACKQUOTE", b'`'),
];

pub(crate) fn delimiter(name: Option<&str>) -> Result<u8, String> {
    let name = name.unwrap_or("COMMA");
    let found = DELIMITERS.iter().find(|(known, _)| *known == name);
    found.map(|(_, byte)| *byte).ok_or_else(|| format!("unknown columnDelimiter {name}"))
}

pub(crate) fn delimiter_name(byte: u8) -> &'static str {
    DELIMITERS.iter().find(|(_, known)| *known == byte).map_or("COMMA", |(name, _)| name)
}

fn describe(database: &Database, job: &Job) -> Json {
    let shape = database.object(job.object);
    let operation = match job.operation {
        Operation::Insert => "insert",
        Operation::Update => "update",
        Operation::Upsert => "upsert",
        Operation::Delete => "delete",
    };
    let key = job.key_field.and_then(|key| shape.fields.get(key)).map(|field| field.name.as_str());
    let mut out = json!({
        "id": job.id,
        "operation": operation,
        "object": shape.name,
        "createdById": job.user.as_str(),
        "createdDate": format_time(job.created, ".000+0000"),
        "systemModstamp": format_time(job.stamp, ".000+0000"),
        "state": job.phase.name(),
        "externalIdFieldName": key,
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": job.version.trim_start_matches('v').parse::<f64>().unwrap_or_default(),
        "contentUrl": format!("services/data/{}/jobs/ingest/{}/batches", job.version, job.id),
        "jobType": "V2Ingest",
        "lineEnding": if job.crlf { "CRLF" } else { "LF" },
        "columnDelimiter": delimiter_name(job.delimiter),
        "numberRecordsProcessed": job.processed,
        "numberRecordsFailed": job.failed,
        "retries": job.retries,
        "totalProcessingTime": job.millis,
        "apiActiveProcessingTime": job.millis,
        "apexProcessingTime": 0,
    });
    if let (Some(error), Some(map)) = (&job.error, out.as_object_mut()) {
        map.insert("errorMessage".to_owned(), error.clone().into());
    }
    out
}

fn list(state: &State, database: &Database) -> Reply {
    let jobs = state.jobs.all();
    let records: Vec<Json> = jobs.iter().map(|job| describe(database, &lock(job))).collect();
    Reply::json(200, &json!({ "done": true, "nextRecordsUrl": null, "records": records }))
}

fn wrong_phase(job: &Job, doing: &str) -> ApiError {
    let message = format!("{doing} is not allowed when a job is in state {}", job.phase.name());
    ApiError::new(400, "INVALIDJOBSTATE", message)
}

fn upload(database: &mut Database, call: &Call, job: &Mutex<Job>) -> Result<Reply, ApiError> {
    let mut job = lock(job);
    if job.phase != Phase::Open || job.uploaded {
        return Err(wrong_phase(&job, "uploading data a second time"));
    }
    keep_data(database, &job.id, &call.body).map_err(|error| {
        tracing::error!(%error, "a bulk job's data can't be written");
        ApiError::new(500, "UNKNOWN_EXCEPTION", "The simulated org couldn't keep this data.")
    })?;
    job.data = call.body.clone();
    job.uploaded = true;
    database.note(job.entry(database));
    Ok(Reply::raw(201, Vec::new()))
}

#[derive(Deserialize)]
struct Change {
    state: String,
}

fn change(
    state: &State,
    database: &mut Database,
    call: &Call,
    job: &Mutex<Job>,
) -> Result<Reply, ApiError> {
    let change: Change = call.json()?;
    let mut job = lock(job);
    match change.state.as_str() {
        "UploadComplete" if job.phase == Phase::Open => {
            job.phase = Phase::UploadComplete;
            // The receiver lives as long as the org does.
            let _ = state.uploaded.send(job.id.clone());
        }
        "Aborted" if !job.phase.ended() => job.phase = Phase::Aborted,
        "UploadComplete" | "Aborted" => return Err(wrong_phase(&job, &change.state)),
        other => {
            let message = format!("{other} is not a state a client may set");
            return Err(ApiError::new(400, "INVALIDJOBSTATE", message));
        }
    }
    job.stamp = database.now();
    database.note(job.entry(database));
    Ok(Reply::json(200, &describe(database, &job)))
}

fn remove(state: &State, database: &mut Database, job: &Mutex<Job>) -> Result<Reply, ApiError> {
    let id = {
        let job = lock(job);
        if !job.phase.ended() {
            return Err(wrong_phase(&job, "deleting"));
        }
        job.id.clone()
    };
    state.jobs.forget(&id);
    drop_data(database, &id);
    database.note(Entry::IngestGone { job: id });
    Ok(Reply::nothing())
}
