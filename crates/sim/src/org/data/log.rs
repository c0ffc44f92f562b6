//! The append-only log in the data directory: one line of JSON per record state or entry, the last one counts.
//!
//! A commit is written in one piece and handed to the operating system before it is acknowledged, so a killed
//! process loses nothing. All lines of a commit but the last say that there is more: a commit that was cut off is
//! dropped as a whole when the log is read.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sloe_core::ids::SfId;

use super::compute::fill_in;
use super::{Database, Row, Value};
use crate::org::kept::Entry;
use crate::org::schema::{Computed, Field, Object, Slot};

/// The log may outgrow what its last rewriting left by so much, or by its size then, whichever is more.
const SLACK: u64 = 32 * 1024 * 1024;
/// How an entry's line begins; every other line is a record's.
const ENTRY: &[u8] = b"{\"entry\":";

/// A record's line.
#[derive(Serialize, Deserialize)]
struct Line {
    object: String,
    id: String,
    created: i64,
    modified: i64,
    stamp: i64,
    created_by: String,
    modified_by: String,
    owner: String,
    #[serde(default)]
    deleted: bool,
    values: serde_json::Map<String, serde_json::Value>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    more: bool,
}

/// An entry's line.
#[derive(Serialize, Deserialize)]
struct Noted<E> {
    entry: E,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    more: bool,
}

/// What one line says.
enum Said {
    Record(usize, Row),
    Entry(Entry),
    /// A record of an object that is no more.
    Gone,
}

/// An open log, locked against a second process.
pub(crate) struct Log {
    file: File,
    path: PathBuf,
    size: u64,
    /// Its size after it was last rewritten.
    rewritten: u64,
    _lock: File,
}

impl Log {
    /// Opens the directory's log and reads it into the database; gives the entries in their order.
    pub(super) fn open(
        directory: &Path,
        database: &mut Database,
    ) -> Result<(Self, Vec<Entry>), String> {
        let say =
            |what: &str, e: &dyn std::fmt::Display| format!("{}: {what}: {e}", directory.display());
        std::fs::create_dir_all(directory)
            .map_err(|e| say("the data directory can't be made", &e))?;
        let lock = File::create(directory.join("lock"))
            .map_err(|e| say("the data directory can't be written", &e))?;
        lock.try_lock().map_err(|_| {
            format!(
                "{}: another simulated org runs on this data directory; stop it first",
                directory.display()
            )
        })?;
        let path = directory.join("records.log");
        let mut options = OpenOptions::new();
        // It holds people and secrets.
        options.create(true).read(true).append(true).mode(0o600);
        let file = options.open(&path).map_err(|e| say("the log can't be opened", &e))?;
        let found = read(&file, &path, database)?;
        if !found.gone.is_empty() {
            // It may have been started with the wrong seed, and the log will be rewritten without them.
            let copy = path.with_extension("before");
            std::fs::copy(&path, &copy).map_err(|e| say("the log can't be copied", &e))?;
            for name in &found.gone {
                tracing::warn!(
                    %name, copy = %copy.display(),
                    "what was kept of this is let go: it fits the schema no more; the log as it was is copied"
                );
            }
        }
        file.set_len(found.whole).map_err(|e| say("the log can't be written", &e))?;
        let log = Self { file, path, size: found.whole, rewritten: found.rewritten, _lock: lock };
        Ok((log, found.entries))
    }

    /// The directory it is in.
    pub(super) fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// Whether it holds so much of the past that it should be rewritten.
    pub(super) fn has_outgrown(&self) -> bool {
        self.size - self.rewritten > self.rewritten.max(SLACK)
    }

    /// Writes what the open transaction touched and noted.
    pub(super) fn append(&mut self, database: &Database) -> Result<(), String> {
        let rows: Vec<(usize, &Row)> = database.touched().collect();
        let mut left = rows.len() + database.notes.len();
        let mut more = || {
            left -= 1;
            left > 0
        };
        let mut out = Vec::new();
        for (object, row) in rows {
            write_line(&mut out, database.object(object), row, more());
        }
        for entry in &database.notes {
            write_entry(&mut out, entry, more());
        }
        if let Err(error) = self.file.write_all(&out) {
            // What was written of it would spoil whatever is written next.
            let cut = self.file.set_len(self.size).err().map_or_else(String::new, |e| {
                format!("; nor could the log be cut back to what is whole: {e}")
            });
            return Err(format!("{}: {error}{cut}", self.path.display()));
        }
        self.size += out.len() as u64;
        Ok(())
    }

    /// Rewrites the log with one line a record, and these entries.
    pub(super) fn compact(&mut self, database: &Database, entries: &[Entry]) -> Result<(), String> {
        let next = self.path.with_extension("next");
        let write = || -> std::io::Result<(File, u64)> {
            match std::fs::remove_file(&next) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut options = OpenOptions::new();
            let file = options.create_new(true).append(true).mode(0o600).open(&next)?;
            let mut out = BufWriter::new(file);
            let mut line = Vec::new();
            for (number, object) in database.schema().objects().iter().enumerate() {
                for row in database.table(number).rows() {
                    line.clear();
                    write_line(&mut line, object, row, false);
                    out.write_all(&line)?;
                }
            }
            for entry in entries.iter().chain([&Entry::Rewritten]) {
                line.clear();
                write_entry(&mut line, entry, false);
                out.write_all(&line)?;
            }
            let file = out.into_inner()?;
            file.sync_all()?;
            let size = file.metadata()?.len();
            std::fs::rename(&next, &self.path)?;
            Ok((file, size))
        };
        (self.file, self.size) = write().map_err(|e| format!("{}: {e}", self.path.display()))?;
        self.rewritten = self.size;
        Ok(())
    }
}

fn write_entry(out: &mut Vec<u8>, entry: &Entry, more: bool) {
    // Writing to memory does not fail.
    drop(serde_json::to_writer(&mut *out, &Noted { entry, more }));
    out.push(b'\n');
}

fn is_formula(field: &Field) -> bool {
    matches!(field.computed, Some(Computed::Formula { .. }))
}

fn write_line(out: &mut Vec<u8>, object: &Object, row: &Row, more: bool) {
    let mut values = serde_json::Map::new();
    for field in &object.fields {
        let Slot::Stored(_) = field.slot else { continue };
        // What a formula gives is worked out anew: it may be another one by then.
        if is_formula(field) {
            continue;
        }
        let json = match row.get(field.slot).as_ref() {
            Value::Null => continue,
            Value::Bool(b) => (*b).into(),
            Value::Number(n) => (*n).into(),
            other => other.to_text().into_owned().into(),
        };
        values.insert(field.name.clone(), json);
    }
    let line = Line {
        object: object.name.clone(),
        id: row.id.to_string(),
        created: row.created,
        modified: row.modified,
        stamp: row.stamp,
        created_by: row.created_by.to_string(),
        modified_by: row.modified_by.to_string(),
        owner: row.owner.to_string(),
        deleted: row.deleted,
        values,
        more,
    };
    // Writing to memory does not fail.
    drop(serde_json::to_writer(&mut *out, &line));
    out.push(b'\n');
}

/// What a log holds beside its records.
#[derive(Default)]
struct Found {
    entries: Vec<Entry>,
    /// Objects and fields that it has something of and the schema has not.
    gone: BTreeSet<String>,
    /// Bytes of all whole commits.
    whole: u64,
    /// Bytes up to where it was last rewritten.
    rewritten: u64,
}

/// Reads all whole commits.
fn read(file: &File, path: &Path, database: &mut Database) -> Result<Found, String> {
    let mut reader = BufReader::new(file);
    // Bytes: a line that was cut off may end within a character.
    let mut line = Vec::new();
    let mut found = Found::default();
    let (mut commit, mut bytes, mut gone) = (Vec::new(), 0_u64, BTreeSet::new());
    for number in 1_u64.. {
        line.clear();
        let size =
            reader.read_until(b'\n', &mut line).map_err(|e| format!("{}: {e}", path.display()))?;
        if !line.ends_with(b"\n") {
            break;
        }
        let (said, more) = parse(database, &line, &mut gone).map_err(|e| {
            format!(
                "{}: line {number} isn't a record: {e}. Restore the file, or remove it to start anew",
                path.display()
            )
        })?;
        commit.push(said);
        bytes += size as u64;
        if more {
            continue;
        }
        found.whole += std::mem::take(&mut bytes);
        for said in commit.drain(..) {
            match said {
                Said::Record(object, row) => restore(database, object, row),
                Said::Entry(Entry::Rewritten) => found.rewritten = found.whole,
                Said::Entry(entry) => found.entries.push(entry),
                Said::Gone => {}
            }
        }
    }
    found.gone = gone;
    Ok(found)
}

/// What a line says, and whether its commit goes on. Objects and fields that it fits no more are added to `gone`.
fn parse(
    database: &Database,
    line: &[u8],
    gone: &mut BTreeSet<String>,
) -> Result<(Said, bool), String> {
    if line.starts_with(ENTRY) {
        let noted: Noted<Entry> = serde_json::from_slice(line).map_err(|e| e.to_string())?;
        return Ok((Said::Entry(noted.entry), noted.more));
    }
    let parsed: Line = serde_json::from_slice(line).map_err(|e| e.to_string())?;
    let said = match database.schema().find(&parsed.object) {
        Some(object) => Said::Record(object, to_row(database.object(object), &parsed, gone)?),
        None => {
            gone.insert(parsed.object);
            Said::Gone
        }
    };
    Ok((said, parsed.more))
}

fn restore(database: &mut Database, object: usize, mut row: Row) {
    database.note_id(object, row.id);
    let shape = database.object(object).clone();
    fill_in(&shape, &mut row);
    let number = shape.fields.iter().find_map(|field| match &field.kind {
        crate::org::schema::Kind::AutoNumber(prefix, _) => row
            .get(field.slot)
            .text()
            .and_then(|text| text.strip_prefix(prefix.as_str())?.parse::<u64>().ok()),
        _ => None,
    });
    let table = database.table_mut(object);
    table.numbered = table.numbered.max(number.unwrap_or(0));
    drop(table.put(row));
}

fn to_row(object: &Object, line: &Line, gone: &mut BTreeSet<String>) -> Result<Row, String> {
    let id = |text: &str| SfId::parse(text).map_err(|e| format!("{text}: {e}"));
    let mut row = Row {
        id: id(&line.id)?,
        created: line.created,
        modified: line.modified,
        stamp: line.stamp,
        created_by: id(&line.created_by)?,
        modified_by: id(&line.modified_by)?,
        owner: id(&line.owner)?,
        deleted: line.deleted,
        values: vec![Value::Null; object.stored].into(),
    };
    for (name, json) in &line.values {
        let field = object.field(name);
        // Logs from before formulas were left out hold what they gave.
        if field.is_some_and(is_formula) {
            continue;
        }
        match field.and_then(|field| Some((field.slot, Value::stored(&field.kind, json)?))) {
            Some((slot, value)) => row.set(slot, value),
            None => drop(gone.insert(format!("{}.{name}", object.name))),
        }
    }
    Ok(row)
}
