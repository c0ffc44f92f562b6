//! `/sobjects/{type}/updated` and `/deleted`: what changed within a span of time, for those who keep a copy.

use axum::http::Method;
use serde_json::{Value as Json, json};

use super::reply::{ApiError, Call, Reply};
use crate::org::data::{Database, Row, format_time, parse_time};

const MINUTE_MS: i64 = 60 * 1000;
/// How far back one may ask.
const REACH_MS: i64 = 30 * 24 * 60 * MINUTE_MS;
/// How many ids one answer holds at most.
const MOST: usize = 600_000;

/// The ids of live records created or changed in the span.
pub(crate) fn updated(database: &Database, call: &Call, object: usize) -> Result<Reply, ApiError> {
    let span = Span::asked(database, call)?;
    let rows = span.rows(database, object, false)?;
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    Ok(Reply::json(200, &json!({ "ids": ids, "latestDateCovered": time(span.covered) })))
}

/// The records deleted in the span.
pub(crate) fn deleted(database: &Database, call: &Call, object: usize) -> Result<Reply, ApiError> {
    let span = Span::asked(database, call)?;
    let rows = span.rows(database, object, true)?;
    let records: Vec<Json> = rows
        .iter()
        .map(|row| json!({ "id": row.id.as_str(), "deletedDate": time(row.stamp) }))
        .collect();
    let body = json!({
        "deletedRecords": records,
        "earliestDateAvailable": time(span.earliest),
        "latestDateCovered": time(span.covered),
    });
    Ok(Reply::json(200, &body))
}

fn time(ms: i64) -> String {
    format_time(ms, ".000+0000")
}

/// What is asked for, in whole minutes: the seconds don't count.
struct Span {
    start: i64,
    end: i64,
    /// The earliest moment one may ask for.
    earliest: i64,
    /// Where the next span has to begin so that nothing is missed.
    covered: i64,
}

impl Span {
    fn asked(database: &Database, call: &Call) -> Result<Self, ApiError> {
        if call.method != Method::GET {
            return Err(ApiError::method(&call.method, "GET, HEAD"));
        }
        let minute = |ms: i64| ms - ms.rem_euclid(MINUTE_MS);
        let moment = |name: &str| {
            let text = call.parameter(name).ok_or_else(|| {
                ApiError::new(400, "MISSING_ARGUMENT", format!("{name} not specified"))
            })?;
            parse_time(text)
                .map(minute)
                .ok_or_else(|| wrong(&format!("{name} isn't a date: {text}")))
        };
        let (start, end) = (moment("start")?, moment("end")?);
        if end <= start {
            return Err(wrong("endDate must be at least one minute after startDate"));
        }
        let now = minute(database.now());
        let earliest = now - REACH_MS;
        if start < earliest {
            return Err(wrong("startDate before org replication enabled date"));
        }
        Ok(Self { start, end, earliest, covered: end.min(now).max(start) })
    }

    fn rows<'a>(
        &self,
        database: &'a Database,
        object: usize,
        deleted: bool,
    ) -> Result<Vec<&'a Row>, ApiError> {
        let table = database.table(object);
        let rows: Vec<&Row> = table
            .changed(self.start..=self.end - 1)
            .filter_map(|id| table.get(id))
            .filter(|row| row.deleted == deleted)
            .take(MOST + 1)
            .collect();
        if rows.len() > MOST {
            let message =
                format!("the time span holds more than {MOST} ids; ask for a shorter one");
            return Err(ApiError::new(400, "EXCEEDED_ID_LIMIT", message));
        }
        Ok(rows)
    }
}

fn wrong(message: &str) -> ApiError {
    ApiError::new(400, "INVALID_REPLICATION_DATE", message)
}
