//! Folds the write-ahead log into the file, beside the commits. SQLite itself
//! would do it within a commit, which then waits for megabytes to reach the
//! disk; here a thread of its own moves most of it while commits go on, and
//! holds them up only for the short rest. Then the log starts anew.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::{WriterState, open};
use crate::api::StoreError;

/// Pages of the log (4 KiB each) that are worth folding.
const FOLD_AT: i64 = 4_000;
/// A rest this short may hold up commits: some milliseconds.
const SHORT_REST: i64 = 400;
/// Passes in which the rest should have become short, if commits are not
/// faster than folding.
const PASSES: usize = 4;
/// Between two looks at the log, while there are commits.
const PAUSE: Duration = Duration::from_millis(100);

/// The thread that folds; ends when dropped.
#[derive(Debug)]
pub(super) struct Folder {
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Bell {
    state: Mutex<Rung>,
    rung: Condvar,
}

#[derive(Debug, Default)]
struct Rung {
    commits: bool,
    stop: bool,
}

impl Folder {
    /// A folder of the log of `path`, which `writer` writes.
    pub(super) fn start(path: &Path, writer: Arc<Mutex<WriterState>>) -> Result<Self, StoreError> {
        let connection = open::folder(path)?;
        let bell = Arc::new(Bell::default());
        let heard = Arc::clone(&bell);
        let thread = std::thread::Builder::new()
            .name("sloe-fold".into())
            .spawn(move || run(&connection, &writer, &heard))
            .map_err(|error| StoreError::Unusable(format!("no thread for the store: {error}")))?;
        Ok(Self { bell, thread: Some(thread) })
    }

    /// Tells of a commit.
    pub(super) fn notice_commit(&self) {
        let mut state = self.bell.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.commits {
            state.commits = true;
            self.bell.rung.notify_one();
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.bell.state.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        self.bell.rung.notify_one();
        if let Some(thread) = self.thread.take() {
            // It ends with its present pass; a panic there was reported by itself.
            let _ = thread.join();
        }
    }
}

fn run(connection: &Connection, writer: &Mutex<WriterState>, bell: &Bell) {
    loop {
        let state = bell.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = bell
            .rung
            .wait_while(state, |state| !state.commits && !state.stop)
            .unwrap_or_else(PoisonError::into_inner);
        if state.stop {
            return;
        }
        state.commits = false;
        drop(state);
        if let Err(error) = fold(connection, writer) {
            // The writer folds by itself once the log is very long.
            tracing::warn!(%error, "the store's log could not be folded");
        }
        let state = bell.state.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = bell.rung.wait_timeout_while(state, PAUSE, |state| !state.stop);
        drop(wait.unwrap_or_else(PoisonError::into_inner));
    }
}

pub(super) fn fold(connection: &Connection, writer: &Mutex<WriterState>) -> rusqlite::Result<()> {
    let (mut pages, _) = checkpoint(connection, "NOOP")?;
    if pages < FOLD_AT {
        return Ok(());
    }
    let mut folded = 0;
    for _ in 0..PASSES {
        if pages - folded <= SHORT_REST {
            break;
        }
        (_, folded) = checkpoint(connection, "PASSIVE")?;
        (pages, _) = checkpoint(connection, "NOOP")?;
    }
    // With nobody writing the rest can be folded to its end, and only then
    // does the next commit start the log anew.
    let _turn = writer.lock().unwrap_or_else(PoisonError::into_inner);
    checkpoint(connection, "PASSIVE")?;
    Ok(())
}

/// Pages in the log and pages of it that are folded, after a checkpoint of that kind.
fn checkpoint(connection: &Connection, kind: &str) -> rusqlite::Result<(i64, i64)> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({kind})"), [], |row| {
        Ok((row.get(1)?, row.get(2)?))
    })
}
