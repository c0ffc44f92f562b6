//! sObject Collections: up to 200 rows a call, partial success.

use std::ops::Range;

use reqwest::Method;
use serde_json::{Map, Value};
use sloe_core::ids::SfId;

use crate::client::{API_VERSION, Client, Request};
use crate::error::Error;
use crate::map::{Mapping, RowKind, WriteNames};
use crate::row::{FigureRow, Row, RowOutcome, Update, judge};
use crate::wire::{Collection, Saved};

/// Rows that one call takes.
pub const COLLECTION_ROWS: usize = 200;

/// Calls in vain after which the org is taken to refuse all: as many as it
/// takes to get from 200 rows to the one that may be bad, and to its neighbor.
const IN_VAIN: u32 = 9;

/// What became of rows sent by collections.
#[derive(Debug)]
pub struct Sent {
    /// The outcomes of the rows that got an answer, in their order: all of
    /// them, unless `halted`.
    pub outcomes: Vec<RowOutcome>,
    /// Why the rest wasn't sent, or got no answer. Sending the rest again is
    /// safe, whatever the org has done with it.
    pub halted: Option<Error>,
}

/// Where a run of calls goes and how its answers are judged.
struct Target<'a> {
    call: &'static str,
    path: String,
    names: &'a WriteNames,
    updating: bool,
}

pub(crate) async fn upsert(
    client: &Client,
    mapping: &Mapping,
    kind: RowKind,
    rows: &[Row],
) -> Sent {
    let names = mapping.rows(kind);
    let path =
        format!("/services/data/{API_VERSION}/composite/sobjects/{}/{}", names.object, names.key);
    let target = Target { call: "upsert rows", path, names, updating: false };
    let records = rows.iter().map(|row| row.to_record(names, mapping, None));
    send(client, &target, records).await
}

pub(crate) async fn update(
    client: &Client,
    mapping: &Mapping,
    kind: RowKind,
    rows: &[Update],
) -> Sent {
    let names = mapping.rows(kind);
    let path = format!("/services/data/{API_VERSION}/composite/sobjects");
    let target = Target { call: "update rows", path, names, updating: true };
    let records = rows.iter().map(|update| update.row.to_record(names, mapping, Some(update.id)));
    send(client, &target, records).await
}

/// Figures of events, items and sessions together. Their outcomes come in the
/// order of `rows`, which this sorts: a call takes at most ten runs of a type.
pub(crate) async fn update_figures(
    client: &Client,
    mapping: &Mapping,
    rows: &mut [FigureRow],
) -> Sent {
    rows.sort_by_key(|row| (row.of, row.id));
    let path = format!("/services/data/{API_VERSION}/composite/sobjects");
    // Figures carry no version: the attendee's names only serve the judge, and never match.
    let target = Target { call: "update figures", path, names: &mapping.attendee, updating: true };
    let records = rows.iter().map(|row| figure_record(mapping, row));
    send(client, &target, records).await
}

fn figure_record(mapping: &Mapping, row: &FigureRow) -> Map<String, Value> {
    let names = mapping.read(row.of);
    let mut record = Map::new();
    record.insert("attributes".into(), serde_json::json!({ "type": names.object }));
    record.insert("id".into(), Value::String(row.id.to_string()));
    let figures = [
        (&names.figures.sold, row.sold.into()),
        (&names.figures.held, row.held.into()),
        (&names.figures.remaining, row.remaining.into()),
    ];
    record.extend(figures.into_iter().filter_map(|(name, value)| Some((name.clone()?, value))));
    record
}

async fn send(
    client: &Client,
    target: &Target<'_>,
    mut records: impl ExactSizeIterator<Item = Map<String, Value>> + Send,
) -> Sent {
    let mut outcomes = Vec::with_capacity(records.len());
    loop {
        let chunk: Vec<_> = records.by_ref().take(COLLECTION_ROWS).collect();
        if chunk.is_empty() {
            return Sent { outcomes, halted: None };
        }
        let sent = match send_chunk(client, target, &chunk).await {
            Ok(answered) => Sent { outcomes: answered, halted: None },
            Err(error) if error.may_be_one_row() && chunk.len() > 1 => {
                isolate(client, target, &chunk, error).await
            }
            Err(error) => Sent { outcomes: Vec::new(), halted: Some(error) },
        };
        outcomes.extend(sent.outcomes);
        if sent.halted.is_some() {
            return Sent { outcomes, halted: sent.halted };
        }
    }
}

/// Finds the rows for whose sake the org refuses a whole call, by halving: the
/// others go, and these get outcomes of their own. An org that refuses every
/// call at present is told from a bad row by no call going at all: then it is
/// no row's fault, and `why` stands. The halves go in the order of their rows,
/// so whatever ends this early, the outcomes are those of the first rows.
async fn isolate(
    client: &Client,
    target: &Target<'_>,
    records: &[Map<String, Value>],
    why: Error,
) -> Sent {
    let mut outcomes = vec![RowOutcome::retry(RowOutcome::NOT_REPORTED); records.len()];
    let halves = |range: Range<usize>| {
        let middle = range.start + range.len() / 2;
        [middle..range.end, range.start..middle]
    };
    let mut waiting = Vec::from(halves(0..records.len()));
    let (mut blamed, mut gone, mut in_vain, mut halted) = (Vec::new(), false, 1, None);
    while let Some(range) = waiting.pop() {
        let some = records.get(range.clone()).unwrap_or_default();
        match send_chunk(client, target, some).await {
            Ok(answered) => {
                gone = true;
                for (slot, outcome) in outcomes.iter_mut().skip(range.start).zip(answered) {
                    *slot = outcome;
                }
            }
            Err(error) if !error.may_be_one_row() => {
                outcomes.truncate(range.start);
                halted = Some(error);
                break;
            }
            Err(error) => {
                in_vain += 1;
                if !gone && in_vain > IN_VAIN {
                    break;
                }
                if range.len() > 1 {
                    waiting.extend(halves(range));
                } else {
                    blamed.push((range.start, error));
                }
            }
        }
    }
    if !gone {
        return Sent { outcomes: Vec::new(), halted: Some(halted.unwrap_or(why)) };
    }
    tracing::warn!(call = target.call, rows = blamed.len(), "rows that spoil whole calls");
    for (at, error) in blamed {
        if let Some(slot) = outcomes.get_mut(at) {
            *slot = error.of_one_row();
        }
    }
    Sent { outcomes, halted }
}

async fn send_chunk(
    client: &Client,
    target: &Target<'_>,
    records: &[Map<String, Value>],
) -> Result<Vec<RowOutcome>, Error> {
    let asked = records.len();
    let body = Collection { all_or_none: false, records };
    let request = Request::new(target.call, Method::PATCH, target.path.clone()).json(&body)?;
    let answers: Vec<Saved> = client.fetch(&request).await?;
    if answers.len() != asked {
        let what = format!("{} outcomes for {asked} rows", answers.len());
        return Err(Error::Malformed { call: target.call, what });
    }
    let judged = |saved| judge_saved(saved, target.names, target.updating);
    Ok(answers.into_iter().map(judged).collect())
}

pub(super) fn judge_saved(saved: Saved, names: &WriteNames, updating: bool) -> RowOutcome {
    if !saved.success {
        return judge(saved.errors, names, updating);
    }
    match saved.id.as_deref().map(SfId::parse) {
        Some(Ok(id)) => RowOutcome::Delivered { id, created: saved.created },
        // Said to be there, but not where: the same upsert again will tell.
        _ => RowOutcome::retry(RowOutcome::NO_ID_GIVEN),
    }
}
