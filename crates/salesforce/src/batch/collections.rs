//! sObject Collections: up to 200 rows a call, partial success.

use std::ops::Range;

use reqwest::Method;
use serde_json::{Map, Value, json};
use sloe_core::ids::SfId;

use crate::client::{API_VERSION, Client, Request};
use crate::error::Error;
use crate::map::{Mapping, RowKind, WriteNames};
use crate::row::{FigureRow, Row, RowOutcome, Update, judge};
use crate::wire::{Collection, Saved};

/// Rows that one call takes.
pub const COLLECTION_ROWS: usize = 200;

/// Calls in vain after which it is asked whether the org refuses all: as many as
/// it takes to get from 200 rows to the one that may be bad, and to its neighbor.
const IN_VAIN: u32 = 9;
/// Calls in vain after which the search goes no further now: what was found is
/// settled, and the next drain goes on with the others.
const MOST_IN_VAIN: u32 = 100;

/// No record of any org has this id.
const NO_RECORD: &str = "000000000000000AAA";

/// What became of rows sent by collections.
#[derive(Debug)]
pub struct Sent {
    /// The outcomes of the rows that got an answer, in their order: all of
    /// them, unless `halted`. Then [`RowOutcome::NOT_REPORTED`] may stand
    /// before a row that did.
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
    record.insert("attributes".into(), json!({ "type": names.object }));
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
            Err(error) if error.may_be_one_row() => {
                Search::new(client, target, &chunk).isolate(error).await
            }
            Err(error) => Sent { outcomes: Vec::new(), halted: Some(error) },
        };
        outcomes.extend(sent.outcomes);
        if sent.halted.is_some() {
            return Sent { outcomes, halted: sent.halted };
        }
    }
}

/// The search for the rows for whose sake the org refuses a whole call, by
/// halving: the others go, and these get outcomes of their own. An org that
/// refuses every call at present is told from bad rows by no call going at all:
/// then it is no row's fault.
struct Search<'a> {
    client: &'a Client,
    target: &'a Target<'a>,
    records: &'a [Map<String, Value>],
    outcomes: Vec<RowOutcome>,
    /// What is still to be sent, the first rows last. Their halves go in the
    /// order of the rows, so all rows before these have been answered for.
    waiting: Vec<Range<usize>>,
    /// Rows that were refused alone, in their order.
    blamed: Vec<(usize, Error)>,
    /// The end of the last rows that went; 0 as long as the org refuses all.
    gone: usize,
    in_vain: u32,
}

impl<'a> Search<'a> {
    fn new(client: &'a Client, target: &'a Target<'a>, records: &'a [Map<String, Value>]) -> Self {
        let outcomes = vec![RowOutcome::retry(RowOutcome::NOT_REPORTED); records.len()];
        let (waiting, blamed) = (Vec::new(), Vec::new());
        Self { client, target, records, outcomes, waiting, blamed, gone: 0, in_vain: 1 }
    }

    /// Searches `records`, all of which the org has just refused because of `why`.
    async fn isolate(mut self, why: Error) -> Sent {
        self.refused(0..self.records.len(), why.clone());
        let halted = match self.run().await {
            Ok(()) => why,
            Err(error) => error,
        };
        // Few rows, and each was refused by itself: they are bad if anything else would go.
        // Not where the org may have made them all the same: those are looked for.
        let told = self.blamed.iter().all(|(_, error)| !error.may_have_arrived());
        let all_bad = self.gone == 0 && self.waiting.is_empty() && told && self.takes_calls().await;
        if self.gone == 0 && !all_bad {
            return Sent { outcomes: Vec::new(), halted: Some(halted) };
        }
        self.end(halted)
    }

    async fn run(&mut self) -> Result<(), Error> {
        while self.in_vain <= MOST_IN_VAIN {
            if self.gone == 0 && self.in_vain > IN_VAIN && !self.any_goes().await? {
                return Ok(());
            }
            let Some(range) = self.waiting.last().cloned() else { return Ok(()) };
            let refused = self.send(&range).await?;
            self.waiting.pop();
            if let Some(error) = refused {
                self.refused(range, error);
            }
        }
        Ok(())
    }

    /// Whether the org takes any of what is waiting; what it took is not waiting
    /// any more. Bad rows at the head look like an org that refuses every call,
    /// and would be the head again next time.
    async fn any_goes(&mut self) -> Result<bool, Error> {
        // The very last row goes alone: however many are bad at the head, it may be good.
        if let Some(last) = self.waiting.first_mut().filter(|last| last.len() > 1) {
            last.end -= 1;
            let row = last.end..last.end + 1;
            self.waiting.insert(0, row);
        }
        for at in 0..self.waiting.len() {
            let Some(range) = self.waiting.get(at).cloned() else { break };
            if self.send(&range).await?.is_none() {
                self.waiting.remove(at);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Sends some rows; why the org refuses them, if that may be for a row's sake.
    async fn send(&mut self, range: &Range<usize>) -> Result<Option<Error>, Error> {
        let some = self.records.get(range.clone()).unwrap_or_default();
        match send_chunk(self.client, self.target, some).await {
            Ok(answered) => {
                self.gone = self.gone.max(range.end);
                for (slot, outcome) in self.outcomes.iter_mut().skip(range.start).zip(answered) {
                    *slot = outcome;
                }
                Ok(None)
            }
            Err(error) if error.may_be_one_row() => {
                self.in_vain += 1;
                Ok(Some(error))
            }
            Err(error) => Err(error),
        }
    }

    fn refused(&mut self, range: Range<usize>, error: Error) {
        if range.len() > 1 {
            let middle = range.start + range.len() / 2;
            self.waiting.extend([middle..range.end, range.start..middle]);
        } else {
            self.blamed.push((range.start, error));
        }
    }

    /// Whether the org takes calls at present, asked by one that changes nothing:
    /// it updates a record that can't be.
    async fn takes_calls(&self) -> bool {
        let mut record = Map::new();
        record.insert("attributes".into(), json!({ "type": self.target.names.object }));
        record.insert("id".into(), NO_RECORD.into());
        let path = format!("/services/data/{API_VERSION}/composite/sobjects");
        let nothing = Target { call: "update nothing", path, updating: true, ..*self.target };
        match send_chunk(self.client, &nothing, &[record]).await {
            Ok(_) => true,
            Err(error) => {
                tracing::debug!(%error, "the org takes no row at all");
                false
            }
        }
    }

    /// The outcomes of the rows that were answered or blamed, and `halted` if
    /// there are others.
    fn end(mut self, halted: Error) -> Sent {
        if !self.blamed.is_empty() {
            let (call, rows) = (self.target.call, self.blamed.len());
            tracing::warn!(call, rows, "rows that spoil whole calls");
        }
        let others = self.gone > 0;
        for (at, error) in self.blamed {
            if let Some(slot) = self.outcomes.get_mut(at) {
                *slot = error.of_one_row(others);
            }
        }
        let Some(next) = self.waiting.last() else {
            return Sent { outcomes: self.outcomes, halted: None };
        };
        // What went beyond is there: whoever takes it for not made might make it anew.
        self.outcomes.truncate(next.start.max(self.gone));
        Sent { outcomes: self.outcomes, halted: Some(halted) }
    }
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
