//! The result files of Bulk ingest jobs.

use csv::{ByteRecord, Position};

use super::jobs::{Job, Outcome, Phase};
use super::worker::{CHUNK, Reader, reader};

/// Since this version a failed row says which record it was about.
const FAILED_IDS: f64 = 53.0;

/// Writes the rows an outcome is kept for, chunk by chunk from the last: as in a real org, not in the input's order.
fn write(
    job: &Job,
    lead: &[&str],
    mut keep: impl FnMut(Option<&Outcome>) -> Option<Vec<String>>,
) -> Vec<u8> {
    let terminator = if job.crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
    let mut reader = reader(job);
    let headers = reader.byte_headers().cloned().unwrap_or_default();
    let chunks = chunks(&mut reader);
    let mut out = csv::WriterBuilder::new()
        .delimiter(job.delimiter)
        .terminator(terminator)
        .flexible(true)
        .from_writer(Vec::new());
    // Writing to memory does not fail.
    if !lead.is_empty() || !headers.is_empty() {
        drop(out.write_record(lead.iter().map(|name| name.as_bytes()).chain(headers.iter())));
    }
    // Bytes, because what isn't UTF-8 failed the job and is to be shown all the same.
    let mut record = ByteRecord::new();
    for (number, at) in chunks.into_iter().enumerate().rev() {
        if reader.seek(at).is_err() {
            break;
        }
        for row in (number * CHUNK..).take(CHUNK) {
            if !reader.read_byte_record(&mut record).unwrap_or(false) {
                break;
            }
            if let Some(values) = keep(job.outcome(row)) {
                drop(out.write_record(values.iter().map(String::as_bytes).chain(record.iter())));
            }
        }
    }
    out.into_inner().unwrap_or_default()
}

/// Where each chunk begins: a job may have more rows than it is well to hold as such.
fn chunks(reader: &mut Reader) -> Vec<Position> {
    let (mut chunks, mut record, mut rows) = (Vec::new(), ByteRecord::new(), 0_usize);
    loop {
        let at = reader.position().clone();
        if !reader.read_byte_record(&mut record).unwrap_or(false) {
            return chunks;
        }
        if rows.is_multiple_of(CHUNK) {
            chunks.push(at);
        }
        rows += 1;
    }
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
    let version = job.version.trim_start_matches('v').parse::<f64>().unwrap_or_default();
    write(job, &["sf__Id", "sf__Error"], |outcome| match outcome {
        Some(Outcome::Failed { id, error }) => {
            let id = id.filter(|_| version >= FAILED_IDS);
            let id = id.map_or_else(String::new, |id| id.to_string());
            Some(vec![id, error.to_string()])
        }
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
