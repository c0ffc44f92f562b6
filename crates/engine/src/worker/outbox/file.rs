//! What the outbox writes down: what the org holds of a record, rows to be
//! sent again, rows that failed for good, and the send under way. JSON with a
//! format number; nothing here names a person in the clear.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sloe_core::ids::{ClaimId, EventRef, SfId};
use sloe_core::time::Timestamp;
use sloe_salesforce::{Job, JobId, Operation, RowKind};
use sloe_store::api::{Document, StoreError};

/// What the org holds of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Delivered {
    /// Its id there, once told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// It was deleted there, and never comes back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) gone: bool,
    /// Staff left it to the org: whatever it holds is right.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) theirs: bool,
    /// How often this same state was sent again since it went for the first
    /// time: two looks at the same version are of the same row only if this is
    /// the same, too.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) resent: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What the org was known to hold of a record when somebody looked: its
/// version, and how often that was sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) version: u64,
    pub(crate) resent: u32,
}

impl Seen {
    pub(crate) fn of(version: u64, delivered: &Delivered) -> Self {
        Self { version, resent: delivered.resent }
    }
}

impl Delivered {
    pub(crate) fn record(&self) -> Option<SfId> {
        self.id.as_deref().and_then(|id| SfId::parse(id).ok())
    }
}

/// Rows that the org was asked to make, until it is known what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// Their external ids.
    pub(crate) keys: BTreeSet<String>,
    /// Damaged events, all of whose rows may be among them, and up to which
    /// version of their journals.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) events: BTreeMap<String, u64>,
}

/// A row to be sent again: what it is about, not what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retry {
    pub(crate) event: String,
    pub(crate) claim: String,
    pub(crate) place: u16,
    /// The state that was to be sent; a later one takes its place.
    pub(crate) version: u64,
    pub(crate) confirmed_at: Option<i64>,
    pub(crate) attempts: u32,
    /// Milliseconds since 1970.
    pub(crate) not_before: i64,
    /// When it failed for the first time, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<i64>,
    /// Why it was not taken.
    pub(crate) code: String,
    /// It goes although the org is believed to have this state, or to have
    /// deleted the record: staff or a comparison asked for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) forced: bool,
}

impl Retry {
    pub(crate) fn event(&self) -> Option<EventRef> {
        EventRef::from_partition(&self.event)
    }

    pub(crate) fn claim(&self) -> Option<ClaimId> {
        ClaimId::parse(&self.claim)
    }

    pub(crate) fn due(&self, now: Timestamp) -> bool {
        self.not_before <= now.0
    }
}

/// A row that failed for good. What its code means is told when it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dead {
    pub(crate) event: String,
    pub(crate) claim: String,
    pub(crate) place: u16,
    /// When it was given up last, in milliseconds since 1970.
    pub(crate) at: i64,
    /// When it was given up first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<i64>,
    /// How often it was sent.
    #[serde(default)]
    pub(crate) tries: u32,
    pub(crate) code: String,
    pub(crate) fields: Vec<String>,
    /// The journal's version of the state that failed.
    #[serde(default)]
    pub(crate) state: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) confirmed_at: Option<i64>,
    /// The org deleted or changed the record, rather than refused it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) conflict: bool,
    /// The org has the record, in an earlier state.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) there: bool,
    /// Staff left the record to the org; the outbox has still to note that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) accepted: bool,
    /// It went although the org was believed to have it, or to have deleted it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) forced: bool,
    /// The org may have refused it for the Contact or Lead that it names: it goes without.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) unlinked: bool,
    /// The org's own words without what the row said of a person; they may
    /// quote more than that, so they are sealed, base32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sealed_message: Option<String>,
}

impl Dead {
    /// Reads a letter. The first ones named their state by the document's version only.
    pub(crate) fn read(document: &Document) -> Result<Self, StoreError> {
        let mut dead: Self = decode(&document.body)?;
        if dead.state == 0 {
            dead.state = document.version;
        }
        Ok(dead)
    }
}

/// A Bulk job under way and what it carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Send {
    pub(crate) job: String,
    pub(crate) sessions: bool,
    pub(crate) update: bool,
    /// Partition, cursor before, version reached; none for a send of retries.
    pub(crate) stretches: Vec<(String, u64, u64)>,
}

impl Send {
    pub(crate) fn new(job: &Job, stretches: Vec<(String, u64, u64)>) -> Self {
        Self {
            job: job.id.as_str().to_owned(),
            sessions: job.kind == RowKind::SessionAttendee,
            update: job.operation == Operation::Update,
            stretches,
        }
    }

    pub(crate) fn job(&self) -> Option<Job> {
        Some(Job {
            id: JobId::parse(&self.job)?,
            kind: if self.sessions { RowKind::SessionAttendee } else { RowKind::Attendee },
            operation: if self.update { Operation::Update } else { Operation::Upsert },
        })
    }
}

/// How far the figures of an event were told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Whether seats were told to be held.
    #[serde(default)]
    pub(crate) held: bool,
}

#[derive(Serialize, Deserialize)]
struct Form<T> {
    format: u8,
    #[serde(flatten)]
    content: T,
}

pub(crate) fn encode<T: Serialize>(content: &T) -> Vec<u8> {
    // Maps of texts and numbers always make JSON.
    serde_json::to_vec(&Form { format: 1, content }).unwrap_or_default()
}

pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, StoreError> {
    let form: Form<T> =
        serde_json::from_slice(body).map_err(|e| StoreError::Damaged(e.to_string()))?;
    match form.format {
        1 => Ok(form.content),
        other => Err(StoreError::Damaged(format!("format {other} is not known here"))),
    }
}
