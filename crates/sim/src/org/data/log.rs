//! The append-only log in the data directory: one line of JSON per record state, the last one of a record counts.
//!
//! A commit is written in one piece and handed to the operating system before it is acknowledged, so a killed
//! process loses nothing; a line cut off by a power failure is dropped when the log is read.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sloe_core::ids::SfId;

use super::{Database, Row, Value};
use crate::org::schema::{Object, Slot};

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
}

/// An open log, locked against a second process.
pub(crate) struct Log {
    file: File,
    path: PathBuf,
    _lock: File,
}

impl Log {
    /// Opens the directory's log and reads it into the database.
    pub(super) fn open(directory: &Path, database: &mut Database) -> Result<Self, String> {
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
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(&path)
            .map_err(|e| say("the log can't be opened", &e))?;
        let whole = read(&file, &path, database)?;
        file.set_len(whole).map_err(|e| say("the log can't be written", &e))?;
        file.seek(SeekFrom::End(0)).map_err(|e| say("the log can't be read", &e))?;
        Ok(Self { file, path, _lock: lock })
    }

    /// Writes what the open transaction touched.
    pub(super) fn append(&mut self, database: &Database) -> Result<(), String> {
        let mut out = Vec::new();
        for (object, row) in database.touched() {
            write_line(&mut out, database.object(object), row);
        }
        self.file.write_all(&out).map_err(|e| format!("{}: {e}", self.path.display()))
    }

    /// Rewrites the log with one line a record.
    pub(super) fn compact(&mut self, database: &Database) -> Result<(), String> {
        let next = self.path.with_extension("next");
        let write = || -> std::io::Result<File> {
            let mut out = BufWriter::new(File::create(&next)?);
            let mut line = Vec::new();
            for (number, object) in database.schema().objects().iter().enumerate() {
                for row in database.table(number).rows() {
                    line.clear();
                    write_line(&mut line, object, row);
                    out.write_all(&line)?;
                }
            }
            let file = out.into_inner()?;
            file.sync_all()?;
            std::fs::rename(&next, &self.path)?;
            Ok(file)
        };
        self.file = write().map_err(|e| format!("{}: {e}", self.path.display()))?;
        Ok(())
    }
}

fn write_line(out: &mut Vec<u8>, object: &Object, row: &Row) {
    let mut values = serde_json::Map::new();
    for field in &object.fields {
        let Slot::Stored(_) = field.slot else { continue };
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
    };
    // Writing to memory does not fail.
    drop(serde_json::to_writer(&mut *out, &line));
    out.push(b'\n');
}

/// Reads all whole lines; answers how many bytes they take.
fn read(file: &File, path: &Path, database: &mut Database) -> Result<u64, String> {
    let mut reader = BufReader::new(file);
    let mut line = String::new();
    let mut whole = 0_u64;
    for number in 1_u64.. {
        line.clear();
        let size = reader.read_line(&mut line).map_err(|e| format!("{}: {e}", path.display()))?;
        if size == 0 || !line.ends_with('\n') {
            break;
        }
        let fault = |e: &dyn std::fmt::Display| {
            format!(
                "{}: line {number} isn't a record: {e}. Restore the file, or remove it to start anew",
                path.display()
            )
        };
        let parsed: Line = serde_json::from_str(&line).map_err(|e| fault(&e))?;
        let (object, row) = to_row(database, &parsed).map_err(|e| fault(&e))?;
        restore(database, object, row);
        whole += size as u64;
    }
    Ok(whole)
}

fn restore(database: &mut Database, object: usize, row: Row) {
    database.note_id(object, row.id);
    let shape = database.object(object).clone();
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

fn to_row(database: &Database, line: &Line) -> Result<(usize, Row), String> {
    let number = database
        .schema()
        .find(&line.object)
        .ok_or_else(|| format!("unknown object {}", line.object))?;
    let object = database.object(number);
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
        let field = object.field(name).ok_or_else(|| format!("unknown field {name}"))?;
        let value = match json {
            serde_json::Value::Bool(b) => Value::Bool(*b),
            serde_json::Value::Number(n) => Value::Number(n.as_f64().unwrap_or_default()),
            serde_json::Value::String(text) => {
                Value::from_text(field, text).map_err(|e| e.message)?
            }
            _ => return Err(format!("{name}: not a value")),
        };
        row.set(field.slot, value);
    }
    Ok((number, row))
}
