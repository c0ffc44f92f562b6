//! An org's records, as read, against what a snapshot may be: validation with
//! every fault named, and the snapshot and terms that follow. Nothing faulty
//! gets through; the last good snapshot stays.

use std::collections::BTreeMap;

use crate::ids::SfId;
use crate::time::Timestamp;

mod build;
mod print;
mod read;
mod rich;
#[cfg(test)]
mod tests;

pub use build::{Accepted, build, withdraw};
pub use print::{Print, print, prints};
pub use rich::plain;

/// The fields that a mapping names, whatever the org calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(
    missing_docs,
    reason = "each is named after what it holds; catalog::Snapshot says the rest"
)]
pub enum Field {
    Name,
    Slug,
    Published,
    Status,
    Summary,
    Description,
    StartsAt,
    EndsAt,
    TimeZone,
    VenueName,
    VenueAddress,
    OnlineUrl,
    ImageUrl,
    Limit,
    OpensAt,
    ClosesAt,
    HoldMinutes,
    MaxPerOrder,
    PrivacyUrl,
    OrganizerName,
    OrganizerEmail,
    Price,
    Currency,
    Position,
    Active,
    Track,
    Speaker,
    Room,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, dates and times included.
    Text,
    /// A number.
    Number,
    /// A checkbox.
    Flag,
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 28] = [
        Self::Name,
        Self::Slug,
        Self::Published,
        Self::Status,
        Self::Summary,
        Self::Description,
        Self::StartsAt,
        Self::EndsAt,
        Self::TimeZone,
        Self::VenueName,
        Self::VenueAddress,
        Self::OnlineUrl,
        Self::ImageUrl,
        Self::Limit,
        Self::OpensAt,
        Self::ClosesAt,
        Self::HoldMinutes,
        Self::MaxPerOrder,
        Self::PrivacyUrl,
        Self::OrganizerName,
        Self::OrganizerEmail,
        Self::Price,
        Self::Currency,
        Self::Position,
        Self::Active,
        Self::Track,
        Self::Speaker,
        Self::Room,
    ];

    /// What it holds, for answers that are all text.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Published | Self::Active => Kind::Flag,
            Self::Limit | Self::HoldMinutes | Self::MaxPerOrder | Self::Price | Self::Position => {
                Kind::Number
            }
            _ => Kind::Text,
        }
    }

    /// The field in words an organizer knows.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Name => "Name",
            Self::Slug => "Slug",
            Self::Published => "Published",
            Self::Status => "Status",
            Self::Summary => "Summary",
            Self::Description => "Description",
            Self::StartsAt => "Starts At",
            Self::EndsAt => "Ends At",
            Self::TimeZone => "Time Zone",
            Self::VenueName => "Venue Name",
            Self::VenueAddress => "Venue Address",
            Self::OnlineUrl => "Online URL",
            Self::ImageUrl => "Image URL",
            Self::Limit => "Capacity",
            Self::OpensAt => "Registration Opens At",
            Self::ClosesAt => "Registration Closes At",
            Self::HoldMinutes => "Hold Minutes",
            Self::MaxPerOrder => "Max Per Order",
            Self::PrivacyUrl => "Privacy URL",
            Self::OrganizerName => "Organizer Name",
            Self::OrganizerEmail => "Organizer Email",
            Self::Price => "Price",
            Self::Currency => "Currency",
            Self::Position => "Position",
            Self::Active => "Active",
            Self::Track => "Track",
            Self::Speaker => "Speaker",
            Self::Room => "Room",
        }
    }
}

/// A field's value as the org answered it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Empty.
    Null,
    /// Text, dates included.
    Text(String),
    /// A number.
    Number(f64),
    /// A checkbox.
    Bool(bool),
}

/// One record as read.
#[derive(Clone, Debug, PartialEq)]
pub struct RawRecord {
    /// Its id.
    pub id: SfId,
    /// Its mapped fields; one that the mapping lacks is absent.
    pub fields: BTreeMap<Field, Value>,
}

/// An event with everything that belongs to it, as read.
#[derive(Clone, Debug, PartialEq)]
pub struct RawEvent {
    /// The event.
    pub event: RawRecord,
    /// Its items.
    pub items: Vec<RawRecord>,
    /// Its sessions.
    pub sessions: Vec<RawRecord>,
    /// Registered attendees that Sloe did not make.
    pub external_total: u32,
    /// The same by item.
    pub external_by_item: Vec<(SfId, u32)>,
    /// The same by session.
    pub external_by_session: Vec<(SfId, u32)>,
    /// External ids of Sloe's attendees that are cancelled or deleted in the org.
    pub cancelled: Vec<String>,
    /// When the org said so, by its own clock.
    pub as_of: Timestamp,
}

/// One thing wrong with a record, in words the organizer can act on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{record} {field}: {message}")]
pub struct Fault {
    /// Which record.
    pub record: SfId,
    /// Which field.
    pub field: &'static str,
    /// What is wrong with it, and what it should be.
    pub message: String,
}
