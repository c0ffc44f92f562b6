//! Rows on their way into the org, and what became of them.

use serde_json::{Map, Value};
use sloe_core::ids::SfId;
use sloe_core::time::Timestamp;

use crate::error::codes::facts;
use crate::error::{Advice, Private, plain_code};
use crate::map::{Column, Mapping, WriteNames};
use crate::wire::SaveError;

/// What empties a field in a Bulk job's file; an empty cell leaves it alone.
pub(crate) const CSV_NULL: &str = "#N/A";

/// A value on its way into a field.
#[derive(Clone, PartialEq, Eq)]
pub enum Cell {
    /// Empties the field.
    Null,
    /// Text; empty text is the same as [`Cell::Null`] to Salesforce.
    Text(String),
    /// A record, by its id.
    Id(SfId),
    /// A moment.
    Time(Timestamp),
    /// Whether somebody comes, in the org's own word.
    Status(Status),
}

impl Cell {
    /// As the text that both JSON and CSV carry; `None` empties the field.
    pub(crate) fn text(&self, names: &WriteNames) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Self::Id(id) => Some(id.to_string()),
            Self::Time(time) => Some(time.to_rfc3339()),
            Self::Status(Status::Registered) => Some(names.statuses.registered.clone()),
            Self::Status(Status::Cancelled) => Some(names.statuses.cancelled.clone()),
        }
    }
}

/// Whether somebody comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Has a ticket.
    Registered,
    /// Had one.
    Cancelled,
}

/// What only the attendee's first row carries: afterwards it is Salesforce's.
#[derive(Clone, PartialEq, Eq)]
pub struct AttendeeDetails {
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// E-mail address.
    pub email: String,
}

/// One record's state, named by Sloe's external id. Fields it doesn't mention
/// are left alone. It holds personal data and therefore never prints itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// The external id, ASCII, at most 64 characters.
    pub key: String,
    /// Which state of the record this is; the org refuses an older one.
    pub version: u64,
    /// The fields.
    pub cells: Vec<(Column, Cell)>,
}

impl Row {
    /// A row with `key`, `version` and nothing else yet.
    #[must_use]
    pub fn new(key: String, version: u64) -> Self {
        Self { key, version, cells: Vec::new() }
    }

    /// The row with one more field.
    #[must_use]
    pub fn with(mut self, column: Column, cell: Cell) -> Self {
        self.cells.push((column, cell));
        self
    }

    /// The row with a status.
    #[must_use]
    pub fn with_status(self, status: Status) -> Self {
        self.with(Column::Status, Cell::Status(status))
    }

    /// The row with who it is.
    #[must_use]
    pub fn with_details(self, details: AttendeeDetails) -> Self {
        self.with(Column::FirstName, Cell::Text(details.first_name))
            .with(Column::LastName, Cell::Text(details.last_name))
            .with(Column::Email, Cell::Text(details.email))
    }

    /// Whether a file of a Bulk job can say this: there, one text empties the
    /// field instead.
    #[must_use]
    pub fn fits_a_file(&self) -> bool {
        let is_null = |cell: &Cell| matches!(cell, Cell::Text(text) if text == CSV_NULL);
        !self.cells.iter().any(|(_, cell)| is_null(cell))
    }

    /// The record for a collections call: by external id, or by `id` when given.
    pub(crate) fn to_record(
        &self,
        names: &WriteNames,
        mapping: &Mapping,
        id: Option<SfId>,
    ) -> Map<String, Value> {
        let mut record = Map::new();
        record.insert("attributes".into(), serde_json::json!({ "type": names.object }));
        match id {
            Some(id) => record.insert("id".into(), Value::String(id.to_string())),
            None => record.insert(names.key.clone(), Value::String(self.key.clone())),
        };
        if let Some(version) = &names.version {
            record.insert(version.clone(), Value::from(self.version));
        }
        record.extend(names.own(id.is_none()).map(|(name, value)| (name.clone(), value.clone())));
        for (column, cell) in &self.cells {
            let value = cell.text(names).map_or(Value::Null, Value::String);
            if let (Column::Attendee, Some(parent)) = (column, &names.parent) {
                let by_key = serde_json::json!({ mapping.attendee.key.as_str(): value });
                record.insert(parent.clone(), by_key);
            } else if let Some(name) = names.columns.get(column) {
                record.insert(name.clone(), value);
            }
        }
        record
    }
}

/// A later state of a record that the org is known to hold.
#[derive(Clone, PartialEq, Eq)]
pub struct Update {
    /// Its id in the org.
    pub id: SfId,
    /// Its new state.
    pub row: Row,
}

/// Which object a figure belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Figure {
    /// An event.
    Event,
    /// An item.
    Item,
    /// A session.
    Session,
}

/// What is sold, held and left of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FigureRow {
    /// What kind of record.
    pub of: Figure,
    /// The record.
    pub id: SfId,
    /// Seats sold, external registrations included.
    pub sold: u32,
    /// Seats held.
    pub held: u32,
    /// Seats left; `None` when unlimited.
    pub remaining: Option<u32>,
}

/// Why the org won't take a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Salesforce's code.
    pub code: String,
    /// The fields it blames.
    pub fields: Vec<String>,
    /// Its own words, for the org's staff.
    pub message: Private,
}

/// What became of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowOutcome {
    /// It is in the org.
    Delivered {
        /// Its id there.
        id: SfId,
        /// Whether this call made it.
        created: bool,
    },
    /// The org already holds a newer version: as good as delivered.
    Stale,
    /// The record to be updated was deleted in the org.
    Deleted,
    /// Not this time: send it again later. Callers bound how often.
    Retry {
        /// Salesforce's code, or a word of Sloe's own in lower case.
        code: String,
    },
    /// Never as it is.
    Rejected(Rejection),
}

impl RowOutcome {
    /// The code of a row that an answer says nothing about.
    pub const NOT_REPORTED: &str = "not-reported";
    /// The code of a row that is there, as the answer has it, without its id.
    pub(crate) const NO_ID_GIVEN: &str = "no-id-given";
    /// The code of a row that was refused for what may pass by itself while no other row went: the
    /// row may be bad, or the org in trouble.
    pub const ALONE: &str = "refused-while-no-other-went";
    /// The code of the rows of a Bulk job that somebody aborted midway.
    pub(crate) const JOB_ABORTED: &str = "job-aborted";

    pub(crate) fn retry(code: &str) -> Self {
        Self::Retry { code: code.to_owned() }
    }

    /// Whether it may have been written although nobody said so: before it is
    /// made by another upsert, look whether it is there, or was deleted since.
    #[must_use]
    pub fn may_be_there(&self) -> bool {
        let unsaid = [Self::NOT_REPORTED, Self::NO_ID_GIVEN, Self::JOB_ABORTED];
        matches!(self, Self::Retry { code } if unsaid.contains(&code.as_str()))
    }
}

/// What the errors of one row mean together: a newer version in the org wins
/// over everything, a final refusal over a passing one.
pub(crate) fn judge(errors: Vec<SaveError>, names: &WriteNames, updating: bool) -> RowOutcome {
    let mut retry = None;
    let mut rejected = None;
    for error in errors {
        match judge_one(error, names, updating) {
            stale @ RowOutcome::Stale => return stale,
            outcome @ RowOutcome::Retry { .. } => retry = retry.or(Some(outcome)),
            outcome => rejected = rejected.or(Some(outcome)),
        }
    }
    rejected.or(retry).unwrap_or_else(|| RowOutcome::retry("no-reason-given"))
}

fn judge_one(error: SaveError, names: &WriteNames, updating: bool) -> RowOutcome {
    let SaveError { status_code, message, fields } = error;
    let code = plain_code(&status_code);
    let blames = |name: &str| fields.iter().any(|field| field.eq_ignore_ascii_case(name));
    // The package's validation rule puts its error on the version field.
    let versioned = names.version.as_deref().is_some_and(blames);
    if code == "FIELD_CUSTOM_VALIDATION_EXCEPTION" && versioned {
        return RowOutcome::Stale;
    }
    if updating && fields.is_empty() && is_gone(&code) {
        return RowOutcome::Deleted;
    }
    if passes(&code, &message, names) {
        return RowOutcome::Retry { code };
    }
    RowOutcome::Rejected(Rejection { code, fields, message: Private::new(&message) })
}

fn is_gone(code: &str) -> bool {
    matches!(code, "ENTITY_IS_DELETED" | "INVALID_CROSS_REFERENCE_KEY" | "NOT_FOUND")
}

/// Whether the same row may be taken later.
fn passes(code: &str, message: &str, names: &WriteNames) -> bool {
    match code {
        // The parent named by external id isn't there yet: its own row is still under way.
        "INVALID_FIELD" => message.starts_with("Foreign key external ID"),
        // Two calls made the same record at once: next time it is an update.
        "DUPLICATE_VALUE" => message.contains(names.key.as_str()),
        // A trigger of the org ran into a lock and wrapped the reason.
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY" => message.contains("UNABLE_TO_LOCK_ROW"),
        _ => facts(code).is_some_and(|facts| facts.row == Advice::Retry),
    }
}
