//! Works on Bulk ingest jobs and writes their result files.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use csv::StringRecord;

use super::input::{Target, cell, column};
use super::jobs::{Job, Operation, Outcome, Phase};
use super::reply::origin;
use crate::org::data::{Assign, Database, RowError};
use crate::org::kept::Entry;
use crate::org::schema::Object;
use crate::org::state::{State, lock};

/// Rows of one transaction, as in a real org.
const CHUNK: usize = 200;

type Reader = csv::Reader<std::io::Cursor<bytes::Bytes>>;

fn reader(job: &Job) -> Reader {
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

/// Works on one job until it is complete, has failed or was aborted, or the org ends. Blocks.
pub(crate) fn work(state: &Arc<State>, job: &Arc<Mutex<Job>>) {
    let began = Instant::now();
    let Some(snapshot) = begin(state, job) else { return };
    let result = work_through(state, job, &snapshot);
    let mut database = lock(&state.database);
    {
        let mut job = lock(job);
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        job.millis = job.millis.saturating_add(millis);
        job.stamp = database.now();
        if job.phase == Phase::InProgress {
            match &result {
                Ok(Left::Nothing) => job.phase = Phase::JobComplete,
                Ok(Left::Rows) => {}
                Err(_) => job.phase = Phase::Failed,
            }
        }
        job.error = result.err();
        let entry = job.entry(&database);
        database.note(entry);
    }
    note_failure(state.commit(&mut database));
}

/// What is left of a job when the work on it ends.
enum Left {
    Nothing,
    /// It was aborted, or the org ends and will go on at its next start.
    Rows,
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

fn work_through(state: &State, job: &Mutex<Job>, facts: &Job) -> Result<Left, String> {
    let mut reader = reader(facts);
    check_line_ending(facts)?;
    let headers =
        reader.headers().map_err(|e| format!("InvalidBatch : Failed to parse CSV. {e}"))?.clone();
    let columns = resolve(state, facts, &headers)?;
    let mut chunk: Vec<StringRecord> = Vec::with_capacity(CHUNK);
    let mut records = reader.into_records();
    // What an earlier run has done is not done again.
    records.by_ref().take(facts.outcomes.len()).for_each(drop);
    loop {
        chunk.clear();
        for record in records.by_ref().take(CHUNK) {
            chunk.push(record.map_err(|e| format!("InvalidBatch : Failed to parse CSV. {e}"))?);
        }
        if chunk.is_empty() {
            return Ok(Left::Nothing);
        }
        let mut database = lock(&state.database);
        if state.stopping.load(Ordering::Relaxed) || lock(job).phase != Phase::InProgress {
            return Ok(Left::Rows);
        }
        database.set_origin(origin("bulkapi", &facts.version, facts.client.as_deref()));
        let rows = write_chunk(state, &mut database, facts, &columns, &chunk, headers.len());
        // In one commit with the rows, so that a killed org never does a row twice.
        database.note(Entry::Outcomes { job: facts.id.clone(), rows: rows.clone() });
        state.commit(&mut database).map_err(|e| format!("InternalServerError : {e}"))?;
        lock(job).add_outcomes(rows);
        state.trim(&mut database);
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
    state: &State,
    database: &mut Database,
    job: &Job,
    columns: &Columns,
    chunk: &[StringRecord],
    width: usize,
) -> Vec<Outcome> {
    let object = database.object(job.object).clone();
    let key_of = |record: &StringRecord| {
        columns.key.and_then(|key| record.get(key)).unwrap_or_default().to_owned()
    };
    let mut seen: HashMap<String, usize> = HashMap::new();
    if job.operation == Operation::Upsert {
        for record in chunk {
            *seen.entry(key_of(record)).or_default() += 1;
        }
    }
    let each = chunk.iter().map(|record| {
        let key = key_of(record);
        let result = if record.len() != width {
            let message = format!("the row has {} columns, its header {width}", record.len());
            Err(vec![RowError::new("INVALID_CSV_ROW", message)])
        } else if seen.get(&key).is_some_and(|count| *count > 1) && !key.is_empty() {
            Err(vec![RowError::new(
                "DUPLICATE_VALUE",
                format!("Duplicate external id specified: {key}"),
            )])
        } else if let Some(error) = state.row_fault() {
            Err(vec![error])
        } else {
            write_row(database, job, &object, columns, record, &key)
        };
        result.unwrap_or_else(|errors| {
            let text = errors.first().map_or_else(String::new, RowError::bulk);
            Outcome::Failed(text.into())
        })
    });
    each.collect()
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
        sloe_core::ids::SfId::parse(text.trim()).map_err(|_| {
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

/// Writes the rows an outcome is kept for, chunk by chunk from the last: as in a real org, not in the input's order.
fn write(
    job: &Job,
    lead: &[&str],
    mut keep: impl FnMut(Option<&Outcome>) -> Option<Vec<String>>,
) -> Vec<u8> {
    let terminator = if job.crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
    let mut reader = reader(job);
    let headers = reader.headers().cloned().unwrap_or_default();
    let records: Vec<StringRecord> = reader.into_records().map_while(Result::ok).collect();
    let mut out = csv::WriterBuilder::new()
        .delimiter(job.delimiter)
        .terminator(terminator)
        .flexible(true)
        .from_writer(Vec::new());
    // Writing to memory does not fail.
    drop(out.write_record(lead.iter().copied().chain(headers.iter())));
    for (number, chunk) in records.chunks(CHUNK).enumerate().rev() {
        for (place, record) in chunk.iter().enumerate() {
            if let Some(values) = keep(job.outcomes.get(number * CHUNK + place)) {
                drop(out.write_record(values.iter().map(String::as_str).chain(record.iter())));
            }
        }
    }
    out.into_inner().unwrap_or_default()
}

/// `successfulResults`.
pub(crate) fn successful(job: &Job) -> Vec<u8> {
    write(job, &["sf__Id", "sf__Created"], |outcome| match outcome {
        Some(Outcome::Done { id, created }) => Some(vec![id.to_string(), created.to_string()]),
        _ => None,
    })
}

/// `failedResults`.
pub(crate) fn failed(job: &Job) -> Vec<u8> {
    write(job, &["sf__Id", "sf__Error"], |outcome| match outcome {
        Some(Outcome::Failed(text)) => Some(vec![String::new(), text.to_string()]),
        _ => None,
    })
}

/// `unprocessedRecords`: what an aborted or failed job never came to.
pub(crate) fn unprocessed(job: &Job) -> Vec<u8> {
    let ended = matches!(job.phase, Phase::Aborted | Phase::Failed);
    write(job, &[], |outcome| match outcome {
        None if ended => Some(Vec::new()),
        _ => None,
    })
}
