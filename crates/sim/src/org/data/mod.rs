//! The org's records: tables, transactions and the log that lets them survive a restart.

mod change;
mod compute;
mod error;
mod locks;
mod log;
mod remove;
mod table;
mod value;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use sloe_core::ids::SfId;

pub(crate) use change::{Assign, Found};
pub(crate) use error::RowError;
use locks::Locks;
pub(crate) use log::Log;
pub(crate) use table::{Row, Table, key_of};
pub(crate) use value::{JsonFault, Value, format_time, parse_time, soap_name};

use super::kept::Entry;
use super::schema::{Object, Schema};

/// All records of one org.
pub(crate) struct Database {
    schema: Arc<Schema>,
    tables: Vec<Table>,
    org: SfId,
    now: fn() -> Timestamp,
    began: Timestamp,
    log: Option<Log>,
    /// What the rows were before the open transaction touched them, oldest first.
    undo: Vec<(usize, SfId, Option<Row>)>,
    /// What the open transaction changes beside the rows.
    notes: Vec<Entry>,
    /// What makes the open transaction's changes, as change events say it.
    origin: String,
    /// When the open transaction wrote its first row.
    moment: Option<i64>,
    locks: Locks,
}

/// A place in the open transaction to go back to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    rows: usize,
    notes: usize,
}

impl Database {
    /// An empty database that keeps nothing beyond the process.
    pub(crate) fn new(schema: Arc<Schema>, org: SfId, now: fn() -> Timestamp) -> Self {
        let tables = schema.objects().iter().map(|object| Table::new(Arc::clone(object))).collect();
        let began = Timestamp::from_second(now().as_second()).unwrap_or_default();
        Self {
            schema,
            tables,
            org,
            now,
            began,
            log: None,
            undo: Vec::new(),
            notes: Vec::new(),
            origin: String::new(),
            moment: None,
            locks: Locks::default(),
        }
    }

    /// Reads what an earlier run left in the directory and keeps every later commit there.
    ///
    /// Answers whether there were records, and what else was kept, oldest first.
    ///
    /// # Errors
    /// A sentence saying what about the directory or its log prevents it.
    pub(crate) fn attach(&mut self, directory: &Path) -> Result<(bool, Vec<Entry>), String> {
        let (log, entries) = Log::open(directory, self)?;
        self.undo.clear();
        let found = self.tables.iter().any(|table| table.rows().next().is_some());
        self.log = Some(log);
        Ok((found, entries))
    }

    /// Where things are kept beyond the process, if they are.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.log.as_ref().map(Log::directory)
    }

    /// Keeps an entry as part of the open transaction; nothing without a data directory.
    pub(crate) fn note(&mut self, entry: Entry) {
        if self.log.is_some() {
            self.notes.push(entry);
        }
    }

    /// The objects and fields.
    pub(crate) fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The clock.
    pub(crate) fn clock(&self) -> fn() -> Timestamp {
        self.now
    }

    /// When this run began, in whole seconds: the schema's age.
    pub(crate) fn began(&self) -> Timestamp {
        self.began
    }

    /// The org's own id.
    pub(crate) fn org(&self) -> SfId {
        self.org
    }

    /// Now, in milliseconds, of whole seconds: Salesforce keeps no finer ones.
    pub(crate) fn now(&self) -> i64 {
        (self.now)().as_second().saturating_mul(1000)
    }

    /// The time of all that the open transaction writes, as [`Database::now`]: that of its first
    /// row. So equal changes of several rows stay equal, and are one event, across a second's end.
    fn moment(&mut self) -> i64 {
        let now = self.now();
        *self.moment.get_or_insert(now)
    }

    /// The table of an object; numbers come from the schema, which has one table each.
    pub(crate) fn table(&self, object: usize) -> &Table {
        &self.tables[object]
    }

    fn table_mut(&mut self, object: usize) -> &mut Table {
        &mut self.tables[object]
    }

    /// The object of this number.
    pub(crate) fn object(&self, object: usize) -> &Arc<Object> {
        &self.schema.objects()[object]
    }

    /// Begins a transaction; answers where it begins.
    pub(crate) fn begin(&mut self) -> Mark {
        // One that was let go without a word must not leave its time to this one.
        self.moment = None;
        self.mark()
    }

    /// Where the open transaction stands.
    pub(crate) fn mark(&self) -> Mark {
        Mark { rows: self.undo.len(), notes: self.notes.len() }
    }

    /// Undoes everything after the mark.
    pub(crate) fn roll_back(&mut self, mark: Mark) {
        self.notes.truncate(mark.notes);
        while self.undo.len() > mark.rows {
            let Some((object, id, before)) = self.undo.pop() else { return };
            let table = self.table_mut(object);
            match before {
                Some(row) => drop(table.put(row)),
                None => drop(table.take(id)),
            }
        }
        if self.undo.is_empty() {
            self.moment = None;
        }
    }

    /// Makes the open transaction last; answers how many record states it holds.
    ///
    /// # Errors
    /// A sentence saying why the log took it not; the changes are undone then.
    pub(crate) fn commit(&mut self) -> Result<usize, String> {
        if let Some(mut log) = self.log.take() {
            let written = log.append(self);
            self.log = Some(log);
            if let Err(error) = written {
                self.roll_back(Mark { rows: 0, notes: 0 });
                self.origin.clear();
                return Err(error);
            }
        }
        let rows = self.undo.len();
        self.undo.clear();
        self.notes.clear();
        self.origin.clear();
        self.moment = None;
        Ok(rows)
    }

    /// The rows the open transaction has touched, each once.
    fn touched(&self) -> impl Iterator<Item = (usize, &Row)> {
        self.changed().map(|(object, _, row)| (object, row))
    }

    /// The rows the open transaction has changed, each once, as it was before and as it is.
    pub(crate) fn changed(&self) -> impl Iterator<Item = (usize, Option<&Row>, &Row)> {
        let mut seen = std::collections::HashSet::new();
        self.undo.iter().filter_map(move |(object, id, before)| {
            let first = seen.insert((*object, *id));
            let after = if first { self.table(*object).get(*id) } else { None };
            after.map(|after| (*object, before.as_ref(), after))
        })
    }

    /// Says what makes the open transaction's changes.
    pub(crate) fn set_origin(&mut self, origin: String) {
        self.origin = origin;
    }

    /// What makes them; empty if no API does.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Stores a row as part of the open transaction.
    fn put(&mut self, object: usize, row: Row) {
        let id = row.id;
        let before = self.table_mut(object).put(row);
        self.undo.push((object, id, before));
        self.roll_up(object, id);
    }

    /// Whether the log is mostly about the past.
    pub(crate) fn has_outgrown_its_log(&self) -> bool {
        self.log.as_ref().is_some_and(Log::has_outgrown)
    }

    /// Rewrites the log so that it holds each record once, and these entries.
    ///
    /// # Errors
    /// A sentence saying why it couldn't; the old log still stands.
    pub(crate) fn compact(&mut self, entries: &[Entry]) -> Result<(), String> {
        let Some(mut log) = self.log.take() else { return Ok(()) };
        let done = log.compact(self, entries);
        self.log = Some(log);
        done
    }

    /// An id of this object that nobody has had.
    fn next_id(&mut self, object: usize) -> Result<SfId, RowError> {
        let prefix = self.object(object).prefix.clone();
        let instance = self.org.as_str().get(3..5).unwrap_or("00").to_owned();
        let table = self.table_mut(object);
        table.serial += 1;
        let text = format!("{prefix}{instance}0{}", base62(table.serial));
        SfId::parse(&text)
            .map_err(|e| RowError::new("UNKNOWN_EXCEPTION", format!("no id could be made: {e}")))
    }

    /// Reads the running part of an id the org itself gave, so that it isn't given again.
    fn note_id(&mut self, object: usize, id: SfId) {
        let own = self.org.as_str().get(3..5) == id.as_str().get(3..5);
        if let Some(serial) = id.as_str().get(6..15).and_then(unbase62).filter(|_| own) {
            let table = self.table_mut(object);
            table.serial = table.serial.max(serial);
        }
    }
}

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Nine digits; grows in the order ids sort in.
fn base62(mut n: u64) -> String {
    let mut digits = [b'0'; 9];
    for place in digits.iter_mut().rev() {
        *place = DIGITS[usize::try_from(n % 62).unwrap_or(0)];
        n /= 62;
    }
    digits.iter().map(|b| char::from(*b)).collect()
}

fn unbase62(text: &str) -> Option<u64> {
    text.bytes().try_fold(0_u64, |n, byte| {
        let digit = DIGITS.iter().position(|d| *d == byte)?;
        n.checked_mul(62)?.checked_add(u64::try_from(digit).ok()?)
    })
}
