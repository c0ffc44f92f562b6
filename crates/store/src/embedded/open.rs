//! Opening a directory: the lock that makes it one process's, the settings of
//! connections, the steps of the schema. Every refusal is one sentence that
//! says what to do.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::schema::{APPLICATION_ID, STEPS};
use crate::api::StoreError;

/// The database's file in its directory.
pub(super) const FILE: &str = "sloe.db";
const LOCK: &str = "lock";

/// Pages of the log (4 KiB each) after which a commit folds it into the file
/// by itself, because the folder does not get there: ten times what that one takes.
const FOLD_IN_COMMIT_AT: i64 = 40_000;
/// The writer's page cache in KiB, as SQLite wants it: negative.
const WRITER_CACHE: i64 = -8_192;
/// A reader's.
const READER_CACHE: i64 = -1_024;
/// Files up to this many bytes are looked through at the start: a second's work at most. In larger
/// ones damage shows where it is read, and concerns that event only.
const CHECKED_BYTES: u64 = 256 * 1024 * 1024;
/// How long a statement waits for another program's lock, in milliseconds.
const BUSY_MILLIS: i64 = 5_000;
/// More than all statements there are, so that each is prepared once.
const STATEMENTS: usize = 64;

/// Makes the directory this process's own until the file is dropped.
pub(super) fn lock(directory: &Path) -> Result<File, StoreError> {
    let shown = directory.display();
    // Only its owner reads it: sealed data and keys lie side by side there.
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| {
        StoreError::Unusable(format!(
            "the data directory {shown} can't be made ({error}): choose another one"
        ))
    })?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(directory.join(LOCK))
        .map_err(|error| {
            StoreError::Unusable(format!(
                "the data directory {shown} can't be written ({error}): \
                 give this user the right to, or choose another one"
            ))
        })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Unusable(format!(
            "another Sloe is running on the data directory {shown}: \
             stop it first, or choose another directory"
        ))),
        Err(TryLockError::Error(error)) => Err(StoreError::Unusable(format!(
            "the data directory {shown} can't be locked ({error}): choose one on a local disk"
        ))),
    }
}

/// The connection that writes, on a file with the newest schema.
pub(super) fn writer(path: &Path) -> Result<Connection, StoreError> {
    let unusable = |error| unusable(path, &error);
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(unusable)?;
    // SQLite falls back to reading when it may not write.
    if connection.is_readonly("main").map_err(unusable)? {
        return Err(StoreError::Unusable(format!(
            "{} can't be written: give this user the right to, or choose another directory",
            path.display()
        )));
    }
    settle(&connection, BUSY_MILLIS, WRITER_CACHE).map_err(unusable)?;
    check_origin(&connection, path)?;
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(unusable)?;
    if mode != "wal" {
        return Err(StoreError::Unusable(format!(
            "{} can't keep a write-ahead log: choose a directory on a local disk",
            path.display()
        )));
    }
    // FULL: a commit is flushed before it is answered.
    connection.pragma_update(None, "synchronous", "FULL").map_err(unusable)?;
    connection.pragma_update(None, "wal_autocheckpoint", FOLD_IN_COMMIT_AT).map_err(unusable)?;
    // What is deleted is overwritten: erasing personal data must not leave it in free pages.
    connection.pragma_update(None, "secure_delete", "ON").map_err(unusable)?;
    migrate(&mut connection).map_err(unusable)?;
    if std::fs::metadata(path).is_ok_and(|file| file.len() <= CHECKED_BYTES) {
        check_pages(&connection, path)?;
    }
    Ok(connection)
}

/// Refuses a file whose pages don't hold together.
fn check_pages(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let found: String = connection
        .pragma_query_value(None, "quick_check", |row| row.get(0))
        .map_err(|error| unusable(path, &error))?;
    if found == "ok" {
        return Ok(());
    }
    // SQLite tells the page on lines of their own; one sentence is enough to act on.
    let first = found.lines().find(|line| !line.starts_with("***")).unwrap_or_default();
    Err(StoreError::Unusable(format!(
        "{} is damaged ({first}): restore a backup, or choose another directory",
        path.display()
    )))
}

/// The connection that folds the log: writes to the file, but makes no commits.
pub(super) fn folder(path: &Path) -> Result<Connection, StoreError> {
    let open = || -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        settle(&connection, BUSY_MILLIS, READER_CACHE)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(connection)
    };
    open().map_err(|error| unusable(path, &error))
}

/// A connection that reads.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    settle(&connection, BUSY_MILLIS, READER_CACHE)?;
    Ok(connection)
}

/// Whether a tool may read the file as it stands.
pub(super) fn check_readable(path: &Path) -> Result<(), StoreError> {
    if !path.is_file() {
        return Err(StoreError::Unusable(format!(
            "{} is missing: start Sloe once on this directory, or choose another one",
            path.display()
        )));
    }
    let connection = reader(path).map_err(|error| unusable(path, &error))?;
    let version = check_origin(&connection, path)?;
    if version < STEPS.len() {
        return Err(StoreError::Unusable(format!(
            "{} was written by an older Sloe: start this one on it first",
            path.display()
        )));
    }
    Ok(())
}

fn settle(connection: &Connection, busy_millis: i64, cache: i64) -> rusqlite::Result<()> {
    connection.pragma_update(None, "busy_timeout", busy_millis)?;
    connection.pragma_update(None, "cache_size", cache)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// Refuses a database of another program or of a newer Sloe; says how many
/// steps of the schema it has seen. Reads the first pages only: a damaged
/// header or a file cut short shows here, a damaged batch when it is read.
fn check_origin(connection: &Connection, path: &Path) -> Result<usize, StoreError> {
    let unusable = |error| unusable(path, &error);
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(unusable)?;
    let version = number("user_version").map_err(unusable)?;
    if tables > 0 && number("application_id").map_err(unusable)? != APPLICATION_ID {
        return Err(StoreError::Unusable(format!(
            "{} is a database of another program: choose another directory",
            path.display()
        )));
    }
    match usize::try_from(version) {
        Ok(version) if version <= STEPS.len() => Ok(version),
        _ => Err(StoreError::Unusable(format!(
            "{} was written by a newer Sloe (schema {version}, this one knows {}): \
             start that one again, or restore a backup",
            path.display(),
            STEPS.len()
        ))),
    }
}

/// Takes the steps that the file has not seen, each in a transaction.
fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let seen: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (step, number) in STEPS.iter().zip(1..).filter(|(_, number)| *number > seen) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

fn unusable(path: &Path, error: &rusqlite::Error) -> StoreError {
    let path = path.display();
    StoreError::Unusable(match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => format!(
            "{path} is damaged or no database at all ({error}): \
             restore a backup, or choose another directory"
        ),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => format!(
            "{path} can't be opened ({error}): \
             give this user the right to write there, or choose another directory"
        ),
        Some(ErrorCode::DiskFull) => {
            format!("the disk of {path} is full: free some space, then start again")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("another program keeps {path} locked: end it, then start again")
        }
        _ => {
            format!("{path} can't be used ({error}): restore a backup, or choose another directory")
        }
    })
}
