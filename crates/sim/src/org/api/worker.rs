//! Works on Bulk ingest jobs: batches of 10,000 rows in parallel, each in chunks of 200, a transaction each.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use csv::{ByteRecord, Position, StringRecord};
use sloe_core::ids::SfId;
use tokio::task::{JoinSet, spawn_blocking};

use super::input::{Target, cell, column, key_name};
use super::jobs::{Job, Operation, Outcome, Phase};
use super::reply::origin;
use crate::org::data::{Assign, Database, Found, RowError};
use crate::org::kept::Entry;
use crate::org::schema::Object;
use crate::org::state::{State, lock};

/// Rows of one transaction, as in a real org.
pub(crate) const CHUNK: usize = 200;
/// Rows of one batch, as in a real org.
pub(crate) const BATCH: usize = 10_000;
/// What these rows are to the fault knobs.
const KIND: &str = "bulk_ingest";

pub(super) type Reader = csv::Reader<std::io::Cursor<bytes::Bytes>>;

pub(super) fn reader(job: &Job) -> Reader {
    csv::ReaderBuilder::new()
        .delimiter(job.delimiter)
        .flexible(true)
        .from_reader(std::io::Cursor::new(job.data.clone()))
}

/// How a job's columns are meant.
struct Columns {
    targets: Vec<Target>,
    key: Option<usize>,
    id: Option<usize>,
}

/// What all batches of a job share.
struct Plan {
    facts: Job,
    columns: Columns,
    /// How many columns a row has.
    width: usize,
    /// Why the job fails, once it does.
    failure: Mutex<Option<String>>,
}

/// Where a batch begins.
struct Batch {
    first: usize,
    at: Position,
}

/// Works on one job until it is complete, has failed or was aborted, or the org ends.
pub(crate) async fn work(state: Arc<State>, job: Arc<Mutex<Job>>) {
    let began = Instant::now();
    let prepared = {
        let (state, job) = (Arc::clone(&state), Arc::clone(&job));
        spawn_blocking(move || Some(plan(&state, begin(&state, &job)?))).await
    };
    let result = match prepared {
        Ok(None) => return,
        Ok(Some(Ok((plan, batches)))) => run(&state, &job, plan, batches).await,
        Ok(Some(Err(error))) => Err(error),
        Err(error) => Err(format!("InternalServerError : {error}")),
    };
    let ended = spawn_blocking(move || end(&state, &job, result, began)).await;
    if let Err(error) = ended {
        tracing::error!(%error, "a bulk job ended badly");
    }
}

/// Runs the batches, as many at once as the org has room for.
async fn run(
    state: &Arc<State>,
    job: &Arc<Mutex<Job>>,
    plan: Plan,
    batches: Vec<Batch>,
) -> Result<(), String> {
    let plan = Arc::new(plan);
    let mut running = JoinSet::new();
    for batch in batches {
        // Nobody closes it.
        let room = Arc::clone(&state.batches).acquire_owned().await;
        let (state, job, plan) = (Arc::clone(state), Arc::clone(job), Arc::clone(&plan));
        running.spawn_blocking(move || {
            let _room = room;
            if let Err(error) = work_through(&state, &job, &plan, &batch) {
                lock(&plan.failure).get_or_insert(error);
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done.map_err(|error| format!("InternalServerError : {error}"))?;
    }
    let failure = lock(&plan.failure).take();
    failure.map_or(Ok(()), Err)
}

fn end(state: &State, job: &Mutex<Job>, result: Result<(), String>, began: Instant) {
    let mut database = lock(&state.database);
    {
        let mut job = lock(job);
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        job.millis = job.millis.saturating_add(millis);
        job.stamp = database.now();
        if job.phase == Phase::InProgress {
            match &result {
                // The org ends and will go on with the job at its next start.
                Ok(()) if state.stopping.load(Ordering::Relaxed) => {}
                Ok(()) => job.phase = Phase::JobComplete,
                Err(_) => job.phase = Phase::Failed,
            }
        }
        job.error = result.err();
        let entry = job.entry(&database);
        database.note(entry);
    }
    note_failure(state.commit(&mut database));
}

fn note_failure(result: Result<(), String>) {
    if let Err(error) = result {
        tracing::error!(%error, "the org's log can't be written");
    }
}

/// Makes the job one that is worked on, again perhaps; none if it isn't to be.
fn begin(state: &State, job: &Mutex<Job>) -> Option<Job> {
    let mut database = lock(&state.database);
    let snapshot = {
        let mut job = lock(job);
        if !job.is_busy() {
            return None;
        }
        job.phase = Phase::InProgress;
        let entry = job.entry(&database);
        database.note(entry);
        job.clone()
    };
    note_failure(state.commit(&mut database));
    Some(snapshot)
}

/// Reads the header and finds where each batch begins.
fn plan(state: &State, facts: Job) -> Result<(Plan, Vec<Batch>), String> {
    check_line_ending(&facts)?;
    if ends_in_quotes(&facts.data, facts.delimiter) {
        return Err(unparsed("the data ends before an opened quote is closed"));
    }
    let mut reader = reader(&facts);
    let headers = reader.headers().map_err(|e| unreadable(&e))?.clone();
    let columns = resolve(state, &facts, &headers)?;
    let (mut batches, mut record) = (Vec::new(), ByteRecord::new());
    let mut rows = 0;
    loop {
        let at = reader.position().clone();
        if !reader.read_byte_record(&mut record).map_err(|e| unreadable(&e))? {
            break;
        }
        if rows % BATCH == 0 {
            batches.push(Batch { first: rows, at });
        }
        rows += 1;
    }
    let plan = Plan { facts, columns, width: headers.len(), failure: Mutex::default() };
    Ok((plan, batches))
}

fn unparsed(what: &str) -> String {
    format!("InvalidBatch : Failed to parse CSV: {what}")
}

fn unreadable(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { pos: Some(pos), .. } => {
            unparsed(&format!("line {} isn't UTF-8", pos.line()))
        }
        _ => unparsed(&error.to_string()),
    }
}

/// Whether the data ends within a quoted cell, as data does that was cut off.
fn ends_in_quotes(data: &[u8], delimiter: u8) -> bool {
    let mut bytes = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data).iter().copied().peekable();
    let (mut quoted, mut begins) = (false, true);
    while let Some(byte) = bytes.next() {
        if !quoted {
            quoted = begins && byte == b'"';
            begins = byte == delimiter || matches!(byte, b'\r' | b'\n');
        } else if byte == b'"' && bytes.next_if_eq(&b'"').is_none() {
            (quoted, begins) = (false, false);
        }
    }
    quoted
}

/// What a job is told that would go beyond the day's batches.
pub(super) const OVER_QUOTA: &str = "ExceededQuota : ApiBatchItems Limit exceeded";

fn work_through(state: &State, job: &Mutex<Job>, plan: &Plan, batch: &Batch) -> Result<(), String> {
    let mut reader = reader(&plan.facts);
    reader.seek(batch.at.clone()).map_err(|e| unreadable(&e))?;
    let mut records = reader.records().take(BATCH);
    for first in (batch.first..).step_by(CHUNK) {
        let chunk: Result<Vec<StringRecord>, csv::Error> = records.by_ref().take(CHUNK).collect();
        let chunk = chunk.map_err(|e| unreadable(&e))?;
        if chunk.is_empty() {
            break;
        }
        // What an earlier run has done is not done again.
        if plan.facts.outcomes.contains_key(&first) {
            continue;
        }
        let begins = first == batch.first;
        if begins && !lock(&state.meter).take_batch(state.clock()) {
            return Err(OVER_QUOTA.to_owned());
        }
        if !commit_chunk(state, job, plan, (first, &chunk))? {
            if begins {
                lock(&state.meter).batches.take_back(state.clock());
            }
            break;
        }
    }
    Ok(())
}

/// How one try at a chunk ended.
enum Step {
    Done(Vec<Outcome>),
    /// A maintenance window came in between.
    Halted,
    /// The job is not to go on.
    Over,
}

/// Writes a chunk in one transaction; answers whether there is to be another.
fn commit_chunk(
    state: &State,
    job: &Mutex<Job>,
    plan: &Plan,
    (first, chunk): (usize, &[StringRecord]),
) -> Result<bool, String> {
    let facts = &plan.facts;
    let object = lock(&state.database).object(facts.object).clone();
    let hurt: Vec<Option<RowError>> =
        chunk.iter().map(|_| state.row_fault(KIND, &object.name)).collect();
    let over = || {
        state.stopping.load(Ordering::Relaxed)
            || lock(job).phase != Phase::InProgress
            || lock(&plan.failure).is_some()
    };
    let retries = Cell::new(0);
    loop {
        state.sit_out_maintenance();
        let mut locked = false;
        let work = |database: &mut Database| {
            retries.set(retries.get() + u64::from(std::mem::take(&mut locked)));
            if over() {
                return Step::Over;
            }
            if state.window_on().is_some() {
                return Step::Halted;
            }
            database.set_origin(origin("bulkapi", &facts.version, facts.client.as_deref()));
            let rows = write_chunk(database, plan, &object, chunk, &hurt);
            locked = database.locks().refused();
            // In one commit with the rows, so that a killed org never does a row twice.
            let (job, rows_kept) = (facts.id.clone(), rows.clone());
            database.note(Entry::Outcomes { job, first: Some(first), rows: rows_kept });
            Step::Done(rows)
        };
        let ended = state.transact(KIND, work, |database, step| match step {
            Step::Done(rows) => {
                lock(job).add_outcomes(first, rows, retries.get());
                state.trim(database);
                Some(true)
            }
            Step::Over => Some(false),
            Step::Halted => None,
        });
        if let Some(more) = ended.map_err(|e| format!("InternalServerError : {e}"))? {
            return Ok(more);
        }
        // What the chunk had begun is undone.
        retries.set(retries.get() + 1);
    }
}

fn check_line_ending(job: &Job) -> Result<(), String> {
    let Some(end) = job.data.iter().position(|b| *b == b'\n') else { return Ok(()) };
    let crlf = end > 0 && job.data.get(end - 1) == Some(&b'\r');
    if crlf == job.crlf {
        return Ok(());
    }
    let setting = if job.crlf { "CRLF" } else { "LF" };
    Err(format!(
        "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is {setting}"
    ))
}

fn resolve(state: &State, job: &Job, headers: &StringRecord) -> Result<Columns, String> {
    let database = lock(&state.database);
    let object = database.object(job.object);
    let mut targets = Vec::with_capacity(headers.len());
    for name in headers {
        let name = name.trim().trim_start_matches('\u{feff}');
        let target = column(&database, object, name);
        targets
            .push(target.ok_or_else(|| format!("InvalidBatch : Field name not found : {name}"))?);
    }
    let id_field = object.find("Id").unwrap_or(0);
    let place = |field: usize| targets.iter().position(|t| *t == Target::Field(field));
    let key = job.key_field.and_then(place);
    let id = place(id_field);
    let wanted = match job.operation {
        Operation::Upsert => job.key_field.filter(|_| key.is_none()),
        Operation::Update | Operation::Delete => Some(id_field).filter(|_| id.is_none()),
        Operation::Insert => None,
    };
    match wanted.and_then(|field| object.fields.get(field)) {
        Some(field) => Err(format!("InvalidBatch : Field name not found : {}", field.name)),
        None => Ok(Columns { targets, key, id }),
    }
}

fn write_chunk(
    database: &mut Database,
    plan: &Plan,
    object: &Object,
    chunk: &[StringRecord],
    hurt: &[Option<RowError>],
) -> Vec<Outcome> {
    let (job, columns) = (&plan.facts, &plan.columns);
    let key_of = |record: &StringRecord| {
        columns.key.and_then(|key| record.get(key)).unwrap_or_default().to_owned()
    };
    let key_field = job.key_field.and_then(|key| object.fields.get(key));
    let name_of = |key: &str| key_field.map_or_else(String::new, |field| key_name(field, key));
    let mut seen: HashMap<String, usize> = HashMap::new();
    if job.operation == Operation::Upsert {
        for record in chunk {
            *seen.entry(name_of(&key_of(record))).or_default() += 1;
        }
    }
    let each = chunk.iter().zip(hurt).map(|(record, hurt)| {
        let key = key_of(record);
        let result = if record.len() != plan.width {
            let message =
                format!("the row has {} columns, its header {}", record.len(), plan.width);
            Err(vec![RowError::new("INVALID_CSV_ROW", message)])
        } else if !key.is_empty() && seen.get(&name_of(&key)).is_some_and(|count| *count > 1) {
            Err(vec![RowError::new(
                "DUPLICATE_VALUE",
                format!("Duplicate external id specified: {key}"),
            )])
        } else if let Some(error) = hurt {
            Err(vec![error.clone()])
        } else {
            write_row(database, job, object, columns, record, &key)
        };
        result.unwrap_or_else(|errors| {
            let text = errors.first().map_or_else(String::new, RowError::bulk);
            let id = subject(database, job, columns, record, &key);
            Outcome::Failed { id, error: text.into() }
        })
    });
    each.collect()
}

/// The record that a row names by its id, or finds by its key.
fn subject(
    database: &Database,
    job: &Job,
    columns: &Columns,
    record: &StringRecord,
    key: &str,
) -> Option<SfId> {
    match job.operation {
        Operation::Insert => None,
        Operation::Update | Operation::Delete => SfId::parse(record.get(columns.id?)?.trim()).ok(),
        Operation::Upsert => match database.find(job.object, job.key_field?, key) {
            Found::One(id) => Some(id),
            Found::None | Found::Many(_) => None,
        },
    }
}

fn write_row(
    database: &mut Database,
    job: &Job,
    object: &Object,
    columns: &Columns,
    record: &StringRecord,
    key: &str,
) -> Result<Outcome, Vec<RowError>> {
    let mut assigns: Vec<Assign> = Vec::with_capacity(record.len());
    for (place, (target, text)) in columns.targets.iter().zip(record).enumerate() {
        if Some(place) == columns.key || Some(place) == columns.id {
            continue;
        }
        assigns.extend(cell(object, target, text).map_err(|e| vec![e])?);
    }
    let id = || {
        let text = columns.id.and_then(|place| record.get(place)).unwrap_or_default();
        SfId::parse(text.trim()).map_err(|_| {
            let message = format!("Record ID: id value of incorrect type: {text}");
            vec![RowError::at("MALFORMED_ID", "Id", message)]
        })
    };
    let saved = match job.operation {
        Operation::Insert => database.insert(job.object, &assigns, job.user)?,
        Operation::Update => database.update(job.object, id()?, &assigns, job.user)?,
        Operation::Upsert => {
            database.upsert(job.object, job.key_field.unwrap_or(0), key, &assigns, job.user)?
        }
        Operation::Delete => {
            let id = id()?;
            database.delete(job.object, id, job.user)?;
            return Ok(Outcome::Done { id, created: false });
        }
    };
    Ok(Outcome::Done { id: saved.id, created: saved.created })
}
