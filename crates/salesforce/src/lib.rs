//! Sloe's side of the conversation with a customer's Salesforce org.
//!
//! [`Org`] is the handle: it logs in ([`auth`]), calls with a deadline and
//! follows the org's allowance ([`client`], [`limits`]), reads events
//! ([`fetch`]) and looks for changes ([`look`]), writes attendees in batches
//! ([`batch`]), tells what the org holds of them ([`compare`]) and compares it
//! with the mapping ([`check`]). [`license`] reads the vendor's licenses from
//! the vendor's own org. Built with the feature `pubsub`, it also follows an
//! org's change events (`events`). What the org calls its objects is data
//! ([`map`]); what went wrong, and what to do then, is [`error`].
//!
//! Nothing here decides anything about seats and nothing here stores: callers
//! record what they send before they send it, and every write is safe to
//! repeat, because rows are named by Sloe's own external id.

pub mod auth;
pub mod batch;
pub mod check;
pub mod client;
pub mod compare;
pub mod error;
#[cfg(feature = "pubsub")]
pub mod events;
pub mod fetch;
pub mod license;
pub mod limits;
pub mod look;
pub mod map;
mod org;
mod query;
pub mod row;
mod wire;

/// Where Salesforce's Pub/Sub API is, for every org.
pub const PUBSUB_URL: &str = "https://api.pubsub.salesforce.com:7443";

pub use auth::{Credentials, Flow};
pub use batch::bulk::{Adopted, Job, JobId, MAX_BULK_ROWS, Operation, Rows};
pub use batch::collections::{COLLECTION_ROWS, Sent};
pub use batch::together::{Together, fits_one_call};
pub use check::{FieldRule, Finding, FormRules, Severity};
pub use client::{API_VERSION, Options};
pub use compare::{COUNTED_EVENTS, Counted, Figures, OrgRow};
pub use error::{Advice, BUDGET_REMEDY, Error, Owner, Private};
pub use fetch::EventPages;
pub use license::{LicensePage, LicenseRow, LicenseSource, Package, Position};
pub use limits::{Allowance, Exhausted, Gate, Limits, Usage};
pub use look::{Changed, Looked, Mark, Watched};
pub use map::{Column, Mapping, MappingFault, RowKind};
pub use org::{Org, OrgIdentity};
pub use row::{
    AttendeeDetails, Cell, Figure, FigureRow, Rejection, Row, RowOutcome, Status, Update,
};
