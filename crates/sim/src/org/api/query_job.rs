//! `/jobs/query`: Bulk API 2.0 queries, their states and their result pages.

use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::http::Method;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sloe_core::ids::SfId;

use super::ingest::{delimiter, delimiter_name};
use super::reply::{ApiError, Call, Reply};
use crate::org::codes;
use crate::org::data::{Database, format_time};
use crate::org::kept::{Entry, JOB_LIFE_MS};
use crate::org::soql::{self, Answer, Plan};
use crate::org::state::{State, lock};

/// Rows of a page unless the client asks for fewer.
const PAGE: usize = 100_000;

/// A query of this size is complete as soon as it is made.
const DONE: &str = "JobComplete";

struct Job {
    id: String,
    all: bool,
    text: String,
    plan: Plan,
    ids: Vec<SfId>,
    delimiter: u8,
    crlf: bool,
    user: SfId,
    created: i64,
    version: String,
}

/// All query jobs of the org, by id.
#[derive(Default)]
pub(crate) struct QueryJobs {
    inner: Mutex<BTreeMap<String, Job>>,
}

/// A job as the log holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) id: String,
    all: bool,
    text: String,
    ids: Vec<String>,
    delimiter: u8,
    crlf: bool,
    user: String,
    created: i64,
    version: String,
}

impl Job {
    fn entry(&self) -> Entry {
        Entry::Query(Stored {
            id: self.id.clone(),
            all: self.all,
            text: self.text.clone(),
            ids: self.ids.iter().map(SfId::to_string).collect(),
            delimiter: self.delimiter,
            crlf: self.crlf,
            user: self.user.to_string(),
            created: self.created,
            version: self.version.clone(),
        })
    }

    /// The job that the log holds; none if its query no longer fits the schema.
    fn restored(database: &Database, stored: Stored) -> Option<Self> {
        let query = soql::parse(&stored.text).ok()?;
        Some(Self {
            plan: soql::bind(database, &stored.text, &query).ok()?,
            id: stored.id,
            all: stored.all,
            text: stored.text,
            ids: stored.ids.iter().filter_map(|id| SfId::parse(id).ok()).collect(),
            delimiter: stored.delimiter,
            crlf: stored.crlf,
            user: SfId::parse(&stored.user).ok()?,
            created: stored.created,
            version: stored.version,
        })
    }
}

impl QueryJobs {
    /// Everything that the log has to hold of them.
    pub(crate) fn entries(&self, database: &Database, out: &mut Vec<Entry>) {
        let mut jobs = lock(&self.inner);
        let_go(&mut jobs, database);
        out.extend(jobs.values().map(Job::entry));
    }

    /// Takes up a job.
    pub(crate) fn restore(&self, database: &Database, stored: Stored) {
        let id = stored.id.clone();
        match Job::restored(database, stored) {
            Some(job) => drop(lock(&self.inner).insert(id, job)),
            None => tracing::warn!(job = %id, "a query job is let go: it fits the schema no more"),
        }
    }

    /// Forgets a job.
    pub(crate) fn forget(&self, id: &str) {
        lock(&self.inner).remove(id);
    }
}

/// Lets the oldest jobs go whose time is over.
fn let_go(jobs: &mut BTreeMap<String, Job>, database: &Database) {
    let until = database.now() - JOB_LIFE_MS;
    while let Some(oldest) = jobs.first_entry().filter(|oldest| oldest.get().created < until) {
        oldest.remove();
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    operation: String,
    query: String,
    #[serde(default)]
    line_ending: Option<String>,
    #[serde(default)]
    column_delimiter: Option<String>,
}

/// Answers everything under `/jobs/query`.
pub(crate) fn answer(
    state: &State,
    database: &mut Database,
    call: &Call,
    rest: &[&str],
) -> Result<Reply, ApiError> {
    let mut jobs = lock(&state.query_jobs.inner);
    let_go(&mut jobs, database);
    let known =
        |id: &str| SfId::parse(id).map(|id| id.to_string()).map_err(|_| ApiError::not_found());
    match (rest, &call.method) {
        ([], &Method::POST) => {
            must_be_allowed(state)?;
            let job = create(state.next_job(), database, call)?;
            lock(&state.meter).queries.add(state.clock(), 1);
            let reply = Reply::json(200, &describe(database, &job, "UploadComplete"));
            database.note(job.entry());
            jobs.insert(job.id.clone(), job);
            Ok(reply)
        }
        ([], &Method::GET) => {
            let records: Vec<Json> =
                jobs.values().map(|job| describe(database, job, DONE)).collect();
            Ok(Reply::json(
                200,
                &json!({ "done": true, "nextRecordsUrl": null, "records": records }),
            ))
        }
        ([id], &Method::GET) => {
            let job = jobs.get(&known(id)?).ok_or_else(ApiError::not_found)?;
            Ok(Reply::json(200, &describe(database, job, DONE)))
        }
        ([id], &Method::PATCH) => {
            jobs.get(&known(id)?).ok_or_else(ApiError::not_found)?;
            let message = format!("Aborting is not allowed when a job is in state {DONE}");
            Err(ApiError::new(400, "INVALIDJOBSTATE", message))
        }
        ([id], &Method::DELETE) => {
            let id = known(id)?;
            jobs.remove(&id).ok_or_else(ApiError::not_found)?;
            database.note(Entry::QueryGone { job: id });
            Ok(Reply::nothing())
        }
        ([id, "results"], &Method::GET) => {
            let job = jobs.get(&known(id)?).ok_or_else(ApiError::not_found)?;
            results(database, call, job)
        }
        ([], method) => Err(ApiError::method(method, "GET, HEAD, POST")),
        ([_], method) => Err(ApiError::method(method, "DELETE, GET, HEAD, PATCH")),
        ([_, "results"], method) => Err(ApiError::method(method, "GET, HEAD")),
        _ => Err(ApiError::not_found()),
    }
}

/// Refuses a job beyond those of the day.
fn must_be_allowed(state: &State) -> Result<(), ApiError> {
    let most = lock(&state.meter).allowance.bulk_queries;
    let (_, made) = state.bulk_used();
    if made < most {
        return Ok(());
    }
    let message = format!("Max bulk v2 query jobs ({most}) per 24 hrs has been reached ({made})");
    Err(ApiError::new(400, "LIMIT_EXCEEDED", message))
}

fn create(id: String, database: &Database, call: &Call) -> Result<Job, ApiError> {
    let request: Request = call.json()?;
    let refuse = |message: &str| ApiError::new(400, "API_ERROR", message);
    let all = match request.operation.as_str() {
        "query" => false,
        "queryAll" => true,
        other => return Err(refuse(&format!("unknown operation {other}"))),
    };
    let crlf = match request.line_ending.as_deref() {
        None | Some("LF") => false,
        Some("CRLF") => true,
        Some(other) => return Err(refuse(&format!("unknown lineEnding {other}"))),
    };
    let delimiter = delimiter(request.column_delimiter.as_deref()).map_err(|e| refuse(&e))?;
    let mut query = soql::parse(&request.query)?;
    query.owned_by(call.user);
    let plan = soql::bind(database, &request.query, &query)?;
    if plan.count_rows || plan.aggregate || plan.has_children() || plan.offset > 0 {
        return Err(refuse(
            "GROUP BY, OFFSET, aggregate functions and child subqueries are not supported in Bulk Query",
        ));
    }
    let Answer::Records(ids) = soql::run(database, &plan, all) else {
        return Err(refuse("this query gives no records"));
    };
    Ok(Job {
        id,
        all,
        text: request.query,
        plan,
        ids,
        delimiter,
        crlf,
        user: call.user,
        created: database.now(),
        version: call.version.clone(),
    })
}

fn describe(database: &Database, job: &Job, phase: &str) -> Json {
    json!({
        "id": job.id,
        "operation": if job.all { "queryAll" } else { "query" },
        "object": database.object(job.plan.object).name,
        "query": job.text,
        "createdById": job.user.as_str(),
        "createdDate": format_time(job.created, ".000+0000"),
        "systemModstamp": format_time(job.created, ".000+0000"),
        "state": phase,
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": job.version.trim_start_matches('v').parse::<f64>().unwrap_or_default(),
        "jobType": "V2Query",
        "lineEnding": if job.crlf { "CRLF" } else { "LF" },
        "columnDelimiter": delimiter_name(job.delimiter),
        "numberRecordsProcessed": job.ids.len(),
        "retries": 0,
        "totalProcessingTime": 0,
        "isPkChunkingSupported": true,
    })
}

fn results(database: &Database, call: &Call, job: &Job) -> Result<Reply, ApiError> {
    if call.version != job.version {
        let message = format!("the job was made with API version {}", job.version);
        return Err(ApiError::new(409, "API_ERROR", message));
    }
    let bad = || ApiError::known(&codes::LOCATOR);
    let from = match call.parameter("locator") {
        None | Some("" | "null") => 0,
        Some(locator) => {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(locator).map_err(|_| bad())?;
            let text = std::str::from_utf8(&bytes).map_err(|_| bad())?;
            text.parse::<usize>().ok().filter(|from| *from <= job.ids.len()).ok_or_else(bad)?
        }
    };
    let size = match call.parameter("maxRecords") {
        None => PAGE,
        Some(text) => text.parse::<usize>().ok().filter(|n| *n > 0).ok_or_else(|| {
            ApiError::new(400, "API_ERROR", format!("maxRecords is a positive number, not {text}"))
        })?,
    };
    let to = job.ids.len().min(from.saturating_add(size));
    let terminator = if job.crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
    let mut out = csv::WriterBuilder::new()
        .delimiter(job.delimiter)
        .terminator(terminator)
        .quote_style(csv::QuoteStyle::Always)
        .from_writer(Vec::new());
    // Writing to memory does not fail.
    drop(out.write_record(soql::csv_columns(&job.plan)));
    let table = database.table(job.plan.object);
    let mut count = 0;
    for row in job.ids.get(from..to).unwrap_or_default().iter().filter_map(|id| table.get(*id)) {
        drop(out.write_record(soql::csv_values(database, &job.plan, row)));
        count += 1;
    }
    let locator = if to == job.ids.len() {
        "null".to_owned()
    } else {
        BASE64_URL_SAFE_NO_PAD.encode(to.to_string())
    };
    Ok(Reply::csv(out.into_inner().unwrap_or_default())
        .with("sforce-locator", locator)
        .with("sforce-numberofrecords", count.to_string()))
}
