//! Bulk API 2.0 ingest: one file per job. The job's id is known before any
//! row travels, so that a caller can record it and, after a crash, adopt the
//! job instead of sending everything again.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use reqwest::Method;
use sloe_core::ids::SfId;

use super::table::{self, Line, Results};
use crate::client::{API_VERSION, Client, Request};
use crate::error::codes::facts;
use crate::error::{Advice, Error, Private, plain_code};
use crate::map::{Mapping, RowKind};
use crate::row::{Row, RowOutcome, Update, judge};
use crate::wire::{JobChange, JobInfo, NewJob};

/// Rows that one job may hold: at Sloe's longest row some 80 MB, below the
/// 100 MB that Salesforce takes.
pub const MAX_BULK_ROWS: usize = 40_000;
/// How many looks at a job may fail in a row before the caller hears of it.
const POLL_FAILURES: u32 = 5;

/// A job's id, `750…`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct JobId(SfId);

impl JobId {
    /// Reads a job id of 15 or 18 characters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        SfId::parse(text).ok().map(Self)
    }

    /// The 18 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a job finds the records of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// By external id, making those that aren't there.
    Upsert,
    /// By Salesforce id, making none.
    Update,
}

/// A job, as a caller records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id in the org.
    pub id: JobId,
    /// Which object it writes.
    pub kind: RowKind,
    /// How it finds records.
    pub operation: Operation,
}

/// The rows of a job.
#[derive(Clone, Copy)]
pub enum Rows<'a> {
    /// For [`Operation::Upsert`].
    Upsert(&'a [Row]),
    /// For [`Operation::Update`].
    Update(&'a [Update]),
}

impl<'a> Rows<'a> {
    fn lines(self) -> Vec<Line<'a>> {
        match self {
            Self::Upsert(rows) => rows.iter().map(|row| (None, row)).collect(),
            Self::Update(rows) => rows.iter().map(|u| (Some(u.id), &u.row)).collect(),
        }
    }

    fn operation(self) -> Operation {
        match self {
            Self::Upsert(_) => Operation::Upsert,
            Self::Update(_) => Operation::Update,
        }
    }
}

/// What became of a job that an earlier process started.
#[derive(Debug)]
pub enum Adopted {
    /// It ran: the outcomes of the rows, in their order. Rows it didn't get
    /// to are [`RowOutcome::Retry`].
    Ran(Vec<RowOutcome>),
    /// It wrote nothing, and never will: send the rows again.
    Void,
    /// Nobody knows what it wrote: somebody else aborted it, or the org doesn't
    /// know it any more (results are kept for seven days). Look for the rows
    /// before you send them again: an upsert would make anew what it made and
    /// what was deleted in the org since.
    Lost,
}

/// How a job ended.
enum Ended {
    /// The outcomes of its rows, in their order.
    With(Vec<RowOutcome>),
    /// By somebody's hand; nobody knows how far it came.
    Aborted,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Running,
    Complete,
    Failed,
    Aborted,
}

fn path(job: &JobId, rest: &str) -> String {
    format!("/services/data/{API_VERSION}/jobs/ingest/{}{rest}", job.as_str())
}

/// Makes a job for rows of `kind`. Nothing runs until [`run`].
pub(crate) async fn open(
    client: &Client,
    mapping: &Mapping,
    kind: RowKind,
    operation: Operation,
) -> Result<Job, Error> {
    const CALL: &str = "open bulk job";
    let names = mapping.rows(kind);
    let (verb, key) = match operation {
        Operation::Upsert => ("upsert", Some(names.key.as_str())),
        Operation::Update => ("update", None),
    };
    let body = NewJob {
        object: &names.object,
        operation: verb,
        external_id_field_name: key,
        content_type: "CSV",
        line_ending: "LF",
    };
    let path = format!("/services/data/{API_VERSION}/jobs/ingest");
    let request = Request::new(CALL, Method::POST, path).json(&body)?;
    let info: JobInfo = client.fetch(&request).await?;
    let id = JobId::parse(&info.id)
        .ok_or_else(|| Error::Malformed { call: CALL, what: "a job id that is none".into() })?;
    tracing::info!(job = id.as_str(), ?kind, ?operation, "bulk job opened");
    Ok(Job { id, kind, operation })
}

/// Uploads `rows` to `job`, waits until the org has worked through them and
/// gives their outcomes, in their order.
pub(crate) async fn run(
    client: &Client,
    mapping: &Mapping,
    job: &Job,
    rows: Rows<'_>,
) -> Result<Vec<RowOutcome>, Error> {
    check(job, rows)?;
    let lines = rows.lines();
    let file = table::write(&lines, mapping.rows(job.kind), mapping)?;
    let upload = Request::new("upload to bulk job", Method::PUT, path(&job.id, "/batches"));
    client.send(&upload.csv(file)).await?;
    set_state(client, &job.id, "UploadComplete").await?;
    Ok(match finish(client, mapping, job, &lines).await? {
        Ended::With(outcomes) => outcomes,
        Ended::Aborted => vec![RowOutcome::retry(RowOutcome::JOB_ABORTED); lines.len()],
    })
}

/// Takes over a job whose starter is gone. `rows` are those it was made for.
pub(crate) async fn adopt(
    client: &Client,
    mapping: &Mapping,
    job: &Job,
    rows: Rows<'_>,
) -> Result<Adopted, Error> {
    check(job, rows)?;
    let (state, _) = match look(client, &job.id).await {
        Ok(found) => found,
        Err(Error::Refused { status: 404, .. } | Error::Status { status: 404, .. }) => {
            return Ok(Adopted::Lost);
        }
        Err(error) => return Err(error),
    };
    match state {
        State::Open => {
            set_state(client, &job.id, "Aborted").await?;
            Ok(Adopted::Void)
        }
        State::Aborted => Ok(Adopted::Lost),
        _ => match finish(client, mapping, job, &rows.lines()).await {
            // It has ended for good: were it adopted for ever, nothing would go any more.
            Err(error) if is_job_refusal(&error) => Ok(Adopted::Void),
            Err(error) => Err(error),
            Ok(Ended::With(outcomes)) => Ok(Adopted::Ran(outcomes)),
            Ok(Ended::Aborted) => Ok(Adopted::Lost),
        },
    }
}

/// Stops a job that nobody wants any more. Rows it has written stay written.
pub(crate) async fn abort(client: &Client, job: &JobId) -> Result<(), Error> {
    set_state(client, job, "Aborted").await
}

fn check(job: &Job, rows: Rows<'_>) -> Result<(), Error> {
    let count = rows.lines().len();
    if count > MAX_BULK_ROWS {
        let what = format!("{count} rows for one bulk job, which takes {MAX_BULK_ROWS}");
        return Err(Error::Settings(what));
    }
    if rows.operation() != job.operation {
        return Err(Error::Settings("rows of another kind than the bulk job's".into()));
    }
    Ok(())
}

async fn set_state(client: &Client, job: &JobId, state: &'static str) -> Result<(), Error> {
    let request = Request::new("change bulk job", Method::PATCH, path(job, ""));
    client.send(&request.json(&JobChange { state })?).await.map(drop)
}

async fn look(client: &Client, job: &JobId) -> Result<(State, Option<String>), Error> {
    const CALL: &str = "look at bulk job";
    let info: JobInfo = client.fetch(&Request::get(CALL, path(job, ""))).await?;
    let state = match info.state.as_str() {
        "Open" => State::Open,
        "UploadComplete" | "InProgress" => State::Running,
        "JobComplete" => State::Complete,
        "Failed" => State::Failed,
        "Aborted" => State::Aborted,
        _ => {
            return Err(Error::Malformed { call: CALL, what: "a state that is none".into() });
        }
    };
    Ok((state, info.error_message))
}

/// Waits for the job's end, with growing pauses, and reads what became of its rows.
async fn finish(
    client: &Client,
    mapping: &Mapping,
    job: &Job,
    lines: &[Line<'_>],
) -> Result<Ended, Error> {
    let patience = client.options.job_patience;
    let waited = tokio::time::timeout(patience, wait(client, &job.id)).await;
    let (state, complaint) =
        waited.map_err(|_| Error::Deadline { call: "wait for bulk job", after: patience })??;
    tracing::info!(job = job.id.as_str(), ?state, rows = lines.len(), "bulk job ended");
    if state == State::Aborted {
        return Ok(Ended::Aborted);
    }
    let outcomes = read_outcomes(client, mapping, job, lines).await?;
    let written = outcomes.iter().any(|outcome| !matches!(outcome, RowOutcome::Retry { .. }));
    match complaint {
        // Nothing came of it and the org says why: the caller must know that
        // the same again would fare no better.
        Some(text) if state == State::Failed && !written => Err(job_refusal("bulk job", &text)),
        _ => Ok(Ended::With(outcomes)),
    }
}

async fn wait(client: &Client, job: &JobId) -> Result<(State, Option<String>), Error> {
    let mut pause = client.options.poll_first;
    let mut failures = 0;
    loop {
        match look(client, job).await {
            Ok((State::Open | State::Running, _)) => failures = 0,
            Ok(ended) => return Ok(ended),
            Err(error) if error.advice() == Advice::Retry && failures < POLL_FAILURES => {
                tracing::debug!(%error, "looking at a bulk job failed");
                failures += 1;
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).max(Duration::from_millis(1)).min(client.options.poll_longest);
    }
}

/// `InvalidBatch : Field name not found : X` and its like. What has no code at
/// its beginning is all message.
pub(super) fn job_refusal(call: &'static str, complaint: &str) -> Error {
    let code = match complaint.split_once(':') {
        Some((code, _)) => code.trim(),
        None => complaint.split_whitespace().next().filter(|c| facts(c).is_some()).unwrap_or(""),
    };
    let message = Private::new(complaint);
    Error::Refused { call, status: 0, code: plain_code(code), message }
}

/// Whether an error is what [`job_refusal`] makes: no call's own has such a status.
fn is_job_refusal(error: &Error) -> bool {
    matches!(error, Error::Refused { status: 0, .. })
}

async fn read_outcomes(
    client: &Client,
    mapping: &Mapping,
    job: &Job,
    lines: &[Line<'_>],
) -> Result<Vec<RowOutcome>, Error> {
    let names = mapping.rows(job.kind);
    let updating = job.operation == Operation::Update;
    let key_column = if updating { "Id" } else { names.key.as_str() };
    let at: HashMap<String, usize> = lines
        .iter()
        .enumerate()
        .map(|(at, (id, row))| (id.map_or_else(|| row.key.clone(), |id| id.to_string()), at))
        .collect();
    let mut outcomes = vec![RowOutcome::retry(RowOutcome::NOT_REPORTED); lines.len()];
    let mut put = |key: &str, outcome: RowOutcome| {
        if let Some(slot) = at.get(key).and_then(|at| outcomes.get_mut(*at)) {
            *slot = outcome;
        }
    };

    let mut results = read_results(client, job, "/successfulResults").await?;
    while let Some([key, id, created]) = results.next([key_column, "sf__Id", "sf__Created"]).await?
    {
        let outcome = match SfId::parse(&id) {
            Ok(id) => RowOutcome::Delivered { id, created: created.eq_ignore_ascii_case("true") },
            Err(_) => RowOutcome::retry(RowOutcome::NO_ID_GIVEN),
        };
        put(&key, outcome);
    }
    let mut results = read_results(client, job, "/failedResults").await?;
    while let Some([key, error]) = results.next([key_column, "sf__Error"]).await? {
        put(&key, judge(vec![table::parse_error(&error)], names, updating));
    }
    Ok(outcomes)
}

async fn read_results(client: &Client, job: &Job, which: &str) -> Result<Results, Error> {
    let request = Request::get("read bulk results", path(&job.id, which)).wants_csv();
    Results::open(client.stream(&request).await?).await
}
