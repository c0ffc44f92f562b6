//! The embedded store keeps the common promises, and those of its own:
//! one process, clear sentences on a bad directory, damage that is named.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::PathBuf;

use sloe_core::ids::{EventRef, OrgId, SfId};
use sloe_core::time::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::api::Sealed;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> Box<dyn Store> {
        Box::new(Embedded::open(self.0.path()).unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join(open::FILE)
    }

    /// As an operator with the `sqlite3` shell, Sloe being stopped.
    fn shell(&self, sql: &str) -> rusqlite::Result<()> {
        Connection::open(self.file()).unwrap().execute_batch(sql)
    }

    /// The sentence with which it is refused.
    fn refusal(&self) -> String {
        match Embedded::open(self.0.path()) {
            Err(StoreError::Unusable(sentence)) => {
                assert!(sentence.len() < 400 && !sentence.contains('\n'), "{sentence}");
                sentence
            }
            other => panic!("{other:?}"),
        }
    }
}

mod conformance {
    use super::Place;
    crate::conformance_tests!(Place::new());
}

fn event() -> EventRef {
    EventRef {
        org: OrgId::parse("00D000000000001").unwrap(),
        event: SfId::parse("a00000000000001").unwrap(),
    }
}

fn append(version: u64) -> Append {
    let batch = Batch { version, at: Timestamp(0), nonce: u128::from(version), facts: vec![] };
    Append { event: event(), batch, sealed: vec![], destinations: vec![] }
}

#[test]
fn a_second_process_gets_one_clear_sentence() {
    let place = Place::new();
    let first = place.open();
    assert!(place.refusal().starts_with("another Sloe is running on the data directory "));
    drop(first);
    place.open();
}

#[test]
fn a_directory_that_cannot_be_used_is_named_with_the_way_out() {
    let place = Place::new();
    let file = place.0.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = Embedded::open(&file.join("below")).unwrap_err().to_string();
    assert!(error.contains("can't be made") && error.contains("choose another one"), "{error}");
    fs::create_dir(place.0.path().join("lock")).unwrap();
    assert!(place.refusal().contains("can't be written"));
    fs::remove_dir(place.0.path().join("lock")).unwrap();
    fs::create_dir(place.file()).unwrap();
    assert!(place.refusal().contains("can't be opened"));
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let place = Place::new();
    fs::write(place.file(), "Dear diary, ".repeat(1_000)).unwrap();
    assert!(place.refusal().contains("is damaged or no database at all"));
    assert!(fs::read_to_string(place.file()).unwrap().starts_with("Dear diary"));
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let place = Place::new();
    place.shell("CREATE TABLE recipes (name TEXT)").unwrap();
    assert!(place.refusal().contains("is a database of another program"));
    place.shell("INSERT INTO recipes VALUES ('sloe gin')").unwrap();
}

#[test]
fn a_database_of_a_newer_sloe_is_refused() {
    let place = Place::new();
    drop(place.open());
    place.shell("PRAGMA user_version = 99").unwrap();
    assert!(place.refusal().contains("written by a newer Sloe (schema 99"));
}

#[test]
fn a_database_cut_short_is_refused() {
    let place = Place::new();
    drop(place.open());
    let file = File::options().write(true).open(place.file()).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    assert!(place.refusal().contains("is damaged"));
}

#[test]
fn a_page_overwritten_in_the_middle_is_found_at_the_start() {
    let place = Place::new();
    let store = place.open();
    for version in 1..=400 {
        store.append(&[append(version)]).unwrap();
    }
    drop(store);
    let mut bytes = fs::read(place.file()).unwrap();
    let page = 4096;
    // The first page, which names the file's kind, stays as it is.
    let last = bytes.len() / page - 1;
    bytes[last * page..].fill(0xA5);
    fs::write(place.file(), bytes).unwrap();
    assert!(place.refusal().contains("restore a backup"));
}

#[test]
fn a_damaged_batch_is_named_and_the_rest_can_be_read() {
    let place = Place::new();
    let store = place.open();
    for version in 1..=3 {
        store.append(&[append(version)]).unwrap();
    }
    drop(store);
    place
        .shell(
            "DROP TRIGGER journal_keeps_rows_as_they_are;
             UPDATE journal SET facts = x'0100ffffffff' WHERE version = 2",
        )
        .unwrap();
    let store = place.open();
    let error = store.read(event(), 0, 10).unwrap_err();
    assert_eq!(
        error.to_string(),
        "stored data is damaged: batch 2 of \
         event:00D000000000001EAA:a00000000000001AAA: its checksum does not fit (at byte 2)"
    );
    assert_eq!(store.read(event(), 2, 10).unwrap().len(), 1);
}

#[test]
fn a_checkpoint_that_is_not_whole_is_none() {
    let place = Place::new();
    let store = place.open();
    let checkpoint = |version| Checkpoint { version, nonce: 1, chunks: vec![vec![1], vec![2]] };
    store.put_checkpoint(event(), &checkpoint(1)).unwrap();
    drop(store);
    // As after a crash between the chunks of the next one and its manifest …
    place.shell("INSERT INTO checkpoint_chunks VALUES (1, 2, 0, x'03')").unwrap();
    let store = place.open();
    assert_eq!(store.checkpoint(event()).unwrap(), Some(checkpoint(1)));
    // … whose remains are no part of a later one.
    store.put_checkpoint(event(), &checkpoint(2)).unwrap();
    assert_eq!(store.checkpoint(event()).unwrap(), Some(checkpoint(2)));
    drop(store);
    place.shell("DELETE FROM checkpoint_chunks WHERE position = 1").unwrap();
    assert_eq!(place.open().checkpoint(event()).unwrap(), None);
}

#[test]
fn not_even_an_operator_deletes_a_batch_by_accident() {
    let place = Place::new();
    let store = place.open();
    store.append(&[append(1)]).unwrap();
    drop(store);
    for sql in ["DELETE FROM journal", "UPDATE journal SET version = 7"] {
        let error = place.shell(sql).unwrap_err().to_string();
        assert!(error.contains("the journal keeps every batch"), "{error}");
    }
}

#[test]
fn destroyed_details_leave_no_bytes_behind() {
    let place = Place::new();
    let store = place.open();
    let claim = ClaimId(9);
    // One that lies within its page and one that spills into pages of its own.
    for (version, length) in [(1, 300), (3, 30_000)] {
        let mut written = append(version);
        let body = b"SEALED-".repeat(length / 7);
        written.sealed = vec![Sealed { claim, body: Some(body) }];
        let mut destroyed = append(version + 1);
        destroyed.sealed = vec![Sealed { claim, body: None }];
        store.append(&[written]).unwrap();
        store.append(&[destroyed]).unwrap();
    }
    drop(store);
    let bytes = fs::read(place.file()).unwrap();
    assert!(!bytes.windows(14).any(|window| window == b"SEALED-SEALED-"));
    assert!(!place.0.path().join("sloe.db-wal").exists());
}

#[test]
fn a_tool_reads_beside_a_running_sloe_and_writes_nothing() {
    let place = Place::new();
    let error = Embedded::open_read_only(place.0.path()).unwrap_err().to_string();
    assert!(error.contains("is missing"), "{error}");
    let store = place.open();
    store.append(&[append(1)]).unwrap();
    let tool = Embedded::open_read_only(place.0.path()).unwrap();
    assert_eq!(tool.journals().unwrap(), [(event(), 1)]);
    assert!(matches!(tool.append(&[append(2)]), Err(StoreError::Unusable(_))));
    store.append(&[append(2)]).unwrap();
    assert_eq!(tool.journals().unwrap(), [(event(), 2)]);
}

#[test]
fn more_readers_than_connections_take_turns() {
    let place = Place::new();
    let store = place.open();
    store.append(&[append(1)]).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(store.journals().unwrap().len(), 1);
                }
            });
        }
    });
}

/// Writes 24 MB: more than the folder lets pass, and less than a commit folds
/// by itself.
fn write_large_documents(put: impl Fn(Write)) {
    for version in 1..=6_u8 {
        // Other bytes each time: pages that stay the same are not written.
        let body = Some(vec![version; 4_000_000]);
        put(Write { key: Key::platform("large"), version: u64::from(version), body });
    }
}

/// Pages in the log, and how many of them are folded.
fn pages(shell: &Connection) -> (i64, i64) {
    shell
        .query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| Ok((row.get(1)?, row.get(2)?)))
        .unwrap()
}

#[test]
fn a_folded_log_starts_anew_with_the_next_commit() {
    let place = Place::new();
    let connection = open::writer(&place.file()).unwrap();
    let writer = Mutex::new(WriterState { connection, broken: false });
    let put = |document: Write| {
        let mut state = writer.lock().unwrap();
        let transaction = state.connection.transaction().unwrap();
        write::documents(&transaction, &[document]).unwrap();
        transaction.commit().unwrap();
    };
    write_large_documents(put);
    let shell = open::folder(&place.file()).unwrap();
    let (log, folded) = pages(&shell);
    assert!(log > 5_000 && folded == 0, "{log} {folded}");
    fold::fold(&shell, &writer).unwrap();
    assert_eq!(pages(&shell), (log, log));
    put(Write { key: Key::platform("small"), version: 1, body: Some(vec![]) });
    assert!(pages(&shell).0 < 10);
}

#[test]
fn the_log_is_folded_beside_the_commits() {
    let place = Place::new();
    let store = place.open();
    write_large_documents(|document| store.put(&[document]).unwrap());
    let shell = open::folder(&place.file()).unwrap();
    // Something is folded, or was and the log began anew since.
    while matches!(pages(&shell), (5_000.., 0)) {
        std::thread::yield_now();
    }
}

#[test]
fn a_full_disk_is_told_and_nothing_of_the_batch_is_there() {
    let place = Place::new();
    let store = Embedded::open(place.0.path()).unwrap();
    store.append(&[append(1)]).unwrap();
    let limit = |pages: i64| {
        let state = store.writer().unwrap().state.lock().unwrap();
        state.connection.pragma_update(None, "max_page_count", pages).unwrap();
    };
    // SQLite holds it at the pages that are in use.
    limit(1);
    let mut large = append(2);
    large.sealed = vec![Sealed { claim: ClaimId(1), body: Some(vec![7; 100_000]) }];
    let error = store.append(&[large.clone()]).unwrap_err();
    assert!(matches!(&error, StoreError::Unavailable(why) if why.contains("disk is full")));
    assert_eq!(store.read(event(), 0, 10).unwrap().len(), 1);
    limit(1_000_000);
    assert_eq!(store.append(&[large]).unwrap(), [Appended::Committed]);
}

#[test]
fn after_a_commit_that_failed_half_way_nothing_is_promised_any_more() {
    let place = Place::new();
    let store = Embedded::open(place.0.path()).unwrap();
    store.append(&[append(1)]).unwrap();
    // A constraint that is checked at the commit stands for a flush that fails.
    let state = &store.writer().unwrap().state;
    state
        .lock()
        .unwrap()
        .connection
        .execute_batch(
            "PRAGMA foreign_keys = ON;
             CREATE TABLE parent (id INTEGER PRIMARY KEY);
             CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED);",
        )
        .unwrap();
    let broken: Result<usize, StoreError> = store.write(|transaction| {
        transaction.execute("INSERT INTO child VALUES (1)", []).map_err(explain)
    });
    assert!(matches!(broken, Err(StoreError::OutcomeUnknown(_))), "{broken:?}");
    let error = store.append(&[append(2)]).unwrap_err();
    assert!(matches!(&error, StoreError::Unavailable(why) if why.contains("restart Sloe")));
    assert_eq!(store.read(event(), 0, 10).unwrap().len(), 1);
}

/// A list of a million orders is read page by page; a page that looks at all
/// before it, or at all orgs behind it, makes that a matter of hours.
#[test]
fn a_page_of_documents_looks_at_nothing_before_or_after_it() {
    let place = Place::new();
    drop(place.open());
    let connection = Connection::open(place.file()).unwrap();
    for statement in [read::SCAN, read::VERSIONS] {
        let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let mut rows = explained.raw_query();
        let plan: String = rows.next().unwrap().unwrap().get("detail").unwrap();
        assert!(plan.contains("collection=? AND id>? AND id<?"), "{plan}");
    }
}
