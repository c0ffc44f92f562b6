//! The tables of the embedded store, as the steps that made them. A step that
//! was released is never changed: a later one changes what it made.

/// Marks the file as Sloe's (`PRAGMA application_id`): "SLOE".
pub(super) const APPLICATION_ID: i32 = i32::from_be_bytes(*b"SLOE");

/// `PRAGMA user_version` counts the steps that a file has seen.
pub(super) const STEPS: &[&str] = &[STEP_1];

// A commit that touches many events must not touch as many pages: rows of the
// journal lie in the order of commits, and claims and the vault by claim, whose
// ids are ordered by time. So all events write at the same ends.
const STEP_1: &str = "
-- Journals by number: `event:<org>:<event>`.
CREATE TABLE partitions (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- The truth. One row is what one commit did to one event.
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    nonce BLOB NOT NULL,
    facts BLOB NOT NULL,
    UNIQUE (partition, version)
) STRICT;
CREATE TRIGGER journal_keeps_every_row BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal keeps every batch'); END;
CREATE TRIGGER journal_keeps_rows_as_they_are BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal keeps every batch as it is'); END;

-- Where a claim first appeared: a look-up, and a net below the version check.
CREATE TABLE claims (
    claim BLOB NOT NULL,
    partition INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (claim, partition)
) STRICT, WITHOUT ROWID;

-- Sealed personal data; NULL is what was destroyed.
CREATE TABLE vault (
    claim BLOB NOT NULL,
    partition INTEGER NOT NULL,
    body BLOB,
    PRIMARY KEY (claim, partition)
) STRICT, WITHOUT ROWID;

-- How far the news of each journal went, and how far it must go.
CREATE TABLE outbox (
    destination TEXT NOT NULL,
    partition INTEGER NOT NULL,
    latest INTEGER NOT NULL,
    cursor INTEGER NOT NULL,
    PRIMARY KEY (destination, partition)
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_pending ON outbox (destination, partition) WHERE latest > cursor;

CREATE TABLE documents (
    collection TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (collection, id)
) STRICT, WITHOUT ROWID;

-- The manifest is written after all chunks of its generation.
CREATE TABLE checkpoints (
    partition INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    nonce BLOB NOT NULL,
    generation INTEGER NOT NULL,
    chunks INTEGER NOT NULL
) STRICT;
CREATE TABLE checkpoint_chunks (
    partition INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    position INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (partition, generation, position)
) STRICT;
";
