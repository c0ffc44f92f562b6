//! Attendees and their sessions in one composite call. The parts run in their
//! order, so a session's row finds the attendee that went a part before it.

use reqwest::Method;
use serde::Serialize;
use serde_json::{Map, Value};

use super::collections::{COLLECTION_ROWS, judge_saved};
use crate::client::{API_VERSION, Client, Request};
use crate::error::Error;
use crate::map::{Mapping, RowKind, WriteNames};
use crate::row::{Row, RowOutcome};
use crate::wire::{Collection, CompositeAnswer, Saved, Subanswer};

const CALL: &str = "upsert rows of two kinds";

/// Names of the parts: Salesforce takes at most five collections in one call.
const PARTS: [&str; 5] = ["rows0", "rows1", "rows2", "rows3", "rows4"];

/// What became of rows that went in one call, in their order; `None` where the
/// org refused all of a part: then nothing of it was written, and its rows go
/// by themselves.
#[derive(Debug, Default, PartialEq)]
pub struct Together {
    /// The attendees'.
    pub attendees: Vec<Option<RowOutcome>>,
    /// The session attendees'.
    pub sessions: Vec<Option<RowOutcome>>,
}

/// Whether so many rows of each kind go in one call.
#[must_use]
pub fn fits_one_call(attendees: usize, sessions: usize) -> bool {
    let parts = |rows: usize| rows.div_ceil(COLLECTION_ROWS);
    parts(attendees) + parts(sessions) <= PARTS.len()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    all_or_none: bool,
    /// Parts that look alike would be put together, in whatever order.
    collate_subrequests: bool,
    composite_request: Vec<Part<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    method: &'static str,
    url: String,
    reference_id: &'static str,
    body: Collection<'a>,
}

/// Upserts rows of both kinds, which must fit one call.
///
/// # Errors
/// As any call; the rows may have been written or not.
pub(crate) async fn upsert(
    client: &Client,
    mapping: &Mapping,
    attendees: &[Row],
    sessions: &[Row],
) -> Result<Together, Error> {
    let records = |kind: RowKind, rows: &[Row]| -> Vec<Map<String, Value>> {
        let names = mapping.rows(kind);
        rows.iter().map(|row| row.to_record(names, mapping, None)).collect()
    };
    let of_both = [
        (mapping.rows(RowKind::Attendee), records(RowKind::Attendee, attendees)),
        (mapping.rows(RowKind::SessionAttendee), records(RowKind::SessionAttendee, sessions)),
    ];
    let mut parts = Vec::new();
    for (names, records) in &of_both {
        let url = format!(
            "/services/data/{API_VERSION}/composite/sobjects/{}/{}",
            names.object, names.key
        );
        for records in records.chunks(COLLECTION_ROWS) {
            let Some(reference_id) = PARTS.get(parts.len()).copied() else {
                return Err(Error::Settings("too many rows for one call".to_owned()));
            };
            let body = Collection { all_or_none: false, records };
            parts.push(Part { method: "PATCH", url: url.clone(), reference_id, body });
        }
    }
    let asked = parts.len();
    let body = Body { all_or_none: false, collate_subrequests: false, composite_request: parts };
    let path = format!("/services/data/{API_VERSION}/composite");
    let request = Request::new(CALL, Method::POST, path).json(&body)?;
    let answers = match client.fetch::<CompositeAnswer>(&request).await {
        Ok(answer) => answer.composite_response,
        // One of the rows spoils the call: kind by kind it is found.
        Err(error) if error.may_be_one_row() => {
            let none = |rows: &[Row]| rows.iter().map(|_| None).collect();
            return Ok(Together { attendees: none(attendees), sessions: none(sessions) });
        }
        Err(error) => return Err(error),
    };
    if answers.len() != asked {
        return Err(odd(format!("{} answers for {asked} parts", answers.len())));
    }
    let mut answers = answers.into_iter();
    let mut outcomes = |(names, records): &(&WriteNames, Vec<Map<String, Value>>)| {
        let mut outcomes = Vec::with_capacity(records.len());
        for records in records.chunks(COLLECTION_ROWS) {
            let answer =
                answers.next().ok_or_else(|| odd("a part's answer is missing".to_owned()))?;
            outcomes.extend(of_part(answer, names, records.len())?);
        }
        Ok::<_, Error>(outcomes)
    };
    let [attendees, sessions] = &of_both;
    Ok(Together { attendees: outcomes(attendees)?, sessions: outcomes(sessions)? })
}

fn of_part(
    answer: Subanswer,
    names: &WriteNames,
    asked: usize,
) -> Result<Vec<Option<RowOutcome>>, Error> {
    if !(200..300).contains(&answer.http_status_code) {
        return Ok((0..asked).map(|_| None).collect());
    }
    let saved: Vec<Saved> =
        serde_json::from_value(answer.body).map_err(|error| Error::malformed(CALL, &error))?;
    if saved.len() != asked {
        return Err(odd(format!("{} outcomes for {asked} rows", saved.len())));
    }
    Ok(saved.into_iter().map(|saved| Some(judge_saved(saved, names, false))).collect())
}

fn odd(what: String) -> Error {
    Error::Malformed { call: CALL, what }
}
