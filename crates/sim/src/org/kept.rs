//! What an org keeps beside its records: sessions, calls and Bulk jobs used, limits, the hook, jobs and open query results.
//!
//! Every change of them is an [`Entry`] of the log, written in the commit that it belongs to: the rows of a Bulk job
//! and what became of them are kept together or not at all. Statistics and faults are not kept: they belong to an
//! experiment, not to the org.

use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use super::api::jobs::{self, Outcome};
use super::api::{cursors, query_job};
use super::data::Database;
use super::events::{Event, Knobs};
use super::limits::Allowance;
use super::state::{Hook, State, lock};

/// How long jobs and their results stay, in milliseconds, as in a real org.
pub(crate) const JOB_LIFE_MS: i64 = 7 * 24 * 3600 * 1000;

/// One change of what is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    /// The log was rewritten; what follows came later.
    Rewritten,
    /// A token, by its digest, is good until then; `by` is the digest of the refresh token it came of, if of one.
    Session {
        key: String,
        user: String,
        until: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// A token was used and is good for longer.
    SessionUsed { key: String, until: i64 },
    /// A token is revoked.
    SessionEnded { key: String },
    /// All tokens are.
    SessionsEnded,
    /// A refresh token, by its digest, is revoked, and with it every token that came of it.
    RefreshEnded { key: String },
    /// All calls that count, by hour.
    Used(Vec<(i64, u64)>),
    /// So many of this hour.
    Calls(i64, u64),
    /// So many batches of Bulk jobs were begun in this hour.
    BulkBatches(i64, u64),
    /// So many Bulk query jobs were made in this hour.
    BulkQueries(i64, u64),
    /// The allowance was set at run time.
    Limits(Limits),
    /// Where the Update button reports to.
    Hook(Option<Hook>),
    /// The last numbers given to jobs and query results.
    Serials { jobs: u64, results: u64 },
    /// An ingest job, without its data and outcomes.
    Ingest(jobs::Stored),
    /// The outcomes of an ingest job's rows from this one on; from the last known one on where it isn't told, as in
    /// logs from when batches were worked on one after the other.
    Outcomes {
        job: String,
        #[serde(default)]
        first: Option<usize>,
        rows: Vec<Outcome>,
    },
    /// An ingest job is deleted.
    IngestGone { job: String },
    /// A query job.
    Query(query_job::Stored),
    /// A query job is deleted.
    QueryGone { job: String },
    /// A change event.
    Change(Event),
    /// How change events are made, kept and told.
    ChangeKnobs(Knobs),
    /// How far change events are: the last, the last that is not kept any more, the last transaction.
    ChangeMarks { last: u64, floor: u64, transaction: u64 },
    /// A query result that can be paged through.
    Results(cursors::Stored),
}

/// An allowance set at run time; it holds as long as the org is started with the same options.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    pub(crate) set: Allowance,
    pub(crate) given: Allowance,
}

/// What was used of the allowance for Bulk jobs, by hour.
fn bulk_entries(batches: Vec<(i64, u64)>, queries: Vec<(i64, u64)>) -> impl Iterator<Item = Entry> {
    let batches = batches.into_iter().map(|(hour, n)| Entry::BulkBatches(hour, n));
    batches.chain(queries.into_iter().map(|(hour, n)| Entry::BulkQueries(hour, n)))
}

impl State {
    /// Makes the open transaction last and counts its rows.
    ///
    /// # Errors
    /// A sentence saying why the log took it not.
    pub(crate) fn commit(&self, database: &mut Database) -> Result<(), String> {
        {
            let mut meter = lock(&self.meter);
            let calls = meter.calls.news().into_iter().map(|(hour, n)| Entry::Calls(hour, n));
            calls.for_each(|entry| database.note(entry));
            bulk_entries(meter.batches.news(), meter.queries.news())
                .for_each(|entry| database.note(entry));
        }
        for entry in std::mem::take(&mut *lock(&self.later)) {
            database.note(entry);
        }
        let events = self.events.gather(database);
        let rows = database.commit()?;
        self.events.publish(events);
        lock(&self.stats).rows_written += rows as u64;
        Ok(())
    }

    /// Rewrites the log if it is mostly about the past; not within a transaction.
    pub(crate) fn trim(&self, database: &mut Database) {
        if database.has_outgrown_its_log()
            && let Err(error) = database.compact(&self.entries(database))
        {
            tracing::error!(%error, "the org's log couldn't be rewritten; it grows on");
        }
    }

    /// Keeps entries that belong to no other change.
    ///
    /// # Errors
    /// As [`State::commit`].
    pub(crate) fn keep(&self, entries: impl IntoIterator<Item = Entry>) -> Result<(), String> {
        let mut database = lock(&self.database);
        entries.into_iter().for_each(|entry| database.note(entry));
        self.commit(&mut database)
    }

    /// Rewrites the log so that it holds everything once.
    ///
    /// # Errors
    /// A sentence saying why it couldn't; the old log still stands.
    pub(crate) fn save(&self) -> Result<(), String> {
        let mut database = lock(&self.database);
        let entries = self.entries(&database);
        database.compact(&entries)
    }

    /// The allowance and the calls used, as they are now.
    pub(crate) fn limit_entries(&self) -> [Entry; 2] {
        let meter = lock(&self.meter);
        let limits = Limits { set: meter.allowance, given: self.given };
        [Entry::Limits(limits), Entry::Used(meter.calls.all())]
    }

    /// Everything that is kept, as it is now.
    fn entries(&self, database: &Database) -> Vec<Entry> {
        let mut out = vec![Entry::Serials {
            jobs: self.last_job.load(Ordering::Relaxed),
            results: self.cursors.last(),
        }];
        out.extend(self.limit_entries());
        {
            let meter = lock(&self.meter);
            out.extend(bulk_entries(meter.batches.all(), meter.queries.all()));
        }
        out.push(Entry::Hook(lock(&self.hook).clone()));
        out.extend(self.session_entries());
        self.events.entries(&mut out);
        self.jobs.entries(database, &mut out);
        self.query_jobs.entries(database, &mut out);
        self.cursors.entries(&mut out);
        out
    }

    /// Takes up what an earlier run kept; answers the ingest jobs it left to be worked on.
    ///
    /// # Errors
    /// A sentence saying which file can't be read.
    pub(crate) fn restore(&self, entries: Vec<Entry>) -> Result<Vec<String>, String> {
        let database = lock(&self.database);
        for entry in entries {
            match entry {
                Entry::Rewritten => {}
                Entry::Session { .. }
                | Entry::SessionUsed { .. }
                | Entry::SessionEnded { .. }
                | Entry::SessionsEnded
                | Entry::RefreshEnded { .. } => self.restore_session(entry),
                Entry::Used(hours) => lock(&self.meter).calls.restore(hours),
                Entry::Calls(hour, n) => lock(&self.meter).calls.restore_hour(hour, n),
                Entry::BulkBatches(hour, n) => lock(&self.meter).batches.restore_hour(hour, n),
                Entry::BulkQueries(hour, n) => lock(&self.meter).queries.restore_hour(hour, n),
                Entry::Limits(limits) if limits.given == self.given => {
                    lock(&self.meter).allowance = limits.set;
                }
                Entry::Limits(_) => {}
                Entry::Hook(hook) => *lock(&self.hook) = hook,
                Entry::Change(event) => self.events.restore(event),
                Entry::ChangeKnobs(knobs) => self.events.set_knobs(knobs),
                Entry::ChangeMarks { last, floor, transaction } => {
                    self.events.restore_marks(last, floor, transaction);
                }
                Entry::Serials { jobs, results } => {
                    self.last_job.fetch_max(jobs, Ordering::Relaxed);
                    self.cursors.restore_last(results);
                }
                Entry::Ingest(stored) => {
                    self.note_job(&stored.id);
                    self.jobs.restore(&database, stored);
                }
                Entry::Outcomes { job, first, rows } => {
                    self.jobs.restore_outcomes(&job, first, rows);
                }
                Entry::IngestGone { job } => self.jobs.forget(&job),
                Entry::Query(stored) => {
                    self.note_job(&stored.id);
                    self.query_jobs.restore(&database, stored);
                }
                Entry::QueryGone { job } => self.query_jobs.forget(&job),
                Entry::Results(stored) => self.cursors.restore(&database, stored),
            }
        }
        if let Some(directory) = database.directory() {
            self.jobs.restore_data(directory)?;
        }
        Ok(self.jobs.unfinished())
    }

    /// An id for a job that no job has had.
    pub(crate) fn next_job(&self) -> String {
        let number = self.last_job.fetch_add(1, Ordering::Relaxed) + 1;
        sloe_core::ids::SfId::parse(&format!("750{number:012}"))
            .map(|id| id.to_string())
            .unwrap_or_default()
    }

    fn note_job(&self, id: &str) {
        let number = id.get(3..15).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        self.last_job.fetch_max(number, Ordering::Relaxed);
    }
}
