//! Every bound of the core, in one place, with what they owe each other.

/// Attendees in one order.
pub const MAX_PLACES: usize = 50;
/// Sessions one attendee may choose: with the event and the item a claim of
/// one place spans at most 18 pools.
pub const MAX_SESSIONS_PER_PLACE: usize = 16;
/// Items and sessions of one event, together with the event itself.
pub const MAX_POOLS: usize = 4_096;
/// Claims decided in one batch of the journal.
pub const MAX_CLAIMS_PER_BATCH: usize = 1_000;
/// Expiries recorded in one batch of the journal.
pub const MAX_EXPIRIES_PER_BATCH: usize = 10_000;
/// Bytes of one encoded batch, sealed details included.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;
/// The largest limit of a pool: what Salesforce's own unlimited marker stays below.
pub const MAX_LIMIT: u32 = 100_000_000;
/// Characters of one text that is shown, counted as Salesforce counts them: UTF-16 units. Its long
/// text area may hold four times as many.
pub const MAX_TEXT_CHARS: usize = 32_768;
/// Bytes of all texts of one event, its items and sessions together: they lie in one document, of
/// which MongoDB takes 16 MiB, and JSON writes a line break or a quotation mark in two bytes.
pub const MAX_EVENT_TEXT_BYTES: usize = 6 * 1024 * 1024;
/// How long a hold lasts unless the event says otherwise, in milliseconds.
pub const DEFAULT_HOLD_MILLIS: i64 = 10 * 60 * 1_000;
/// The shortest and longest hold an event may ask for, in minutes.
pub const HOLD_MINUTES: std::ops::RangeInclusive<i64> = 1..=120;
/// How long before the ledger's expiry a visitor's countdown ends, in milliseconds.
pub const COUNTDOWN_MARGIN_MILLIS: i64 = 15 * 1_000;
/// How long personal data is kept after the event's end unless the org says otherwise, in days.
pub const DEFAULT_RETENTION_DAYS: i64 = 90;
/// Pools count with `u16` indexes and seats with `u32`.
const _: () = assert!(MAX_POOLS <= u16::MAX as usize);
const _: () = assert!(MAX_PLACES * (MAX_SESSIONS_PER_PLACE + 2) <= u16::MAX as usize);
