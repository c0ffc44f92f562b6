//! What the public may see of an event: one immutable snapshot with all its
//! related data, at one version. A copy of Salesforce's records, not a fact:
//! it can be read again at any time.

use crate::ids::{EventRef, PublicId, SfId};
use crate::money::Price;
use crate::time::Timestamp;

/// Whether an event takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventStatus {
    /// It does.
    Scheduled,
    /// It was called off by the organizer.
    Cancelled,
}

/// Where an event takes place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The venue's name.
    pub venue: Option<String>,
    /// Its postal address, lines parted by line breaks.
    pub address: Option<String>,
    /// Where to join over the network; `https` only.
    pub online_url: Option<String>,
}

/// Who answers for an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Organizer {
    /// The name to show.
    pub name: Option<String>,
    /// Where registrants may write to.
    pub email: Option<String>,
    /// The privacy notice that the attendee form links; `https` only.
    pub privacy_url: Option<String>,
}

/// A ticket type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its record in the org.
    pub sf: SfId,
    /// Its public id.
    pub id: PublicId,
    /// Its name.
    pub name: String,
    /// What it comprises; plain text.
    pub description: String,
    /// `None` is free.
    pub price: Option<Price>,
    /// Seats; `None` is unlimited, 0 sold out.
    pub limit: Option<u32>,
    /// From when it may be claimed; `None` as soon as the event's window opens.
    pub opens_at: Option<Timestamp>,
    /// Until when (exclusive); `None` as long as the event's window is open.
    pub closes_at: Option<Timestamp>,
    /// Units of it in one order.
    pub max_per_order: u32,
}

/// A session of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its record in the org.
    pub sf: SfId,
    /// Its public id.
    pub id: PublicId,
    /// Its name.
    pub name: String,
    /// What it is about; plain text.
    pub description: String,
    /// The track it belongs to.
    pub track: Option<String>,
    /// Who speaks.
    pub speaker: Option<String>,
    /// Where in the venue.
    pub room: Option<String>,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// Seats; `None` is unlimited, 0 sold out.
    pub limit: Option<u32>,
}

/// What the org's describe says of one field of the attendee form, so that
/// the form refuses what the org would refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldRule {
    /// Longest value, in UTF-16 code units as Salesforce counts.
    pub max_length: u32,
    /// Whether it must be filled in.
    pub required: bool,
}

/// The attendee form's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttendeeForm {
    /// First name.
    pub first_name: FieldRule,
    /// Last name.
    pub last_name: FieldRule,
    /// E-mail address.
    pub email: FieldRule,
}

impl Default for AttendeeForm {
    /// Sloe's own package as shipped: `salesforce/**/Sloe_Attendee__c`.
    fn default() -> Self {
        let rule = |max_length| FieldRule { max_length, required: true };
        Self { first_name: rule(40), last_name: rule(80), email: rule(80) }
    }
}

/// One event as the public may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The event's record.
    pub event: EventRef,
    /// Its public id.
    pub id: PublicId,
    /// Counts the snapshots of this event, from 1.
    pub version: u64,
    /// The ledger version that holds this snapshot's limits and rules.
    pub ledger_version: u64,
    /// When Salesforce said so.
    pub as_of: Timestamp,
    /// The last part of its address; unique in the org.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// One or two sentences for lists.
    pub summary: String,
    /// The long text; plain, with paragraphs, `- ` lists and `## ` headings.
    pub description: String,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// IANA name of the zone its times are told in.
    pub time_zone: String,
    /// Where.
    pub place: Place,
    /// A picture; `https` only.
    pub image_url: Option<String>,
    /// Who answers for it.
    pub organizer: Organizer,
    /// Unpublished events are not shown; orders and tickets stay readable.
    pub published: bool,
    /// Whether it takes place.
    pub status: EventStatus,
    /// From when seats may be claimed.
    pub opens_at: Option<Timestamp>,
    /// Until when (exclusive); `None` until the event ends.
    pub closes_at: Option<Timestamp>,
    /// Seats of the whole event; `None` is unlimited, 0 sold out.
    pub limit: Option<u32>,
    /// Attendees in one order.
    pub max_per_order: u32,
    /// How long a hold lasts, in milliseconds.
    pub hold_millis: i64,
    /// Ticket types, in the organizer's order.
    pub items: Vec<Item>,
    /// Sessions, by time.
    pub sessions: Vec<Session>,
    /// The attendee form's rules.
    pub form: AttendeeForm,
}

impl Snapshot {
    /// The item with this public id.
    #[must_use]
    pub fn item(&self, id: PublicId) -> Option<&Item> {
        self.items.iter().find(|item| item.id == id)
    }

    /// The item with this record id.
    #[must_use]
    pub fn item_by_record(&self, sf: SfId) -> Option<&Item> {
        self.items.iter().find(|item| item.sf == sf)
    }

    /// The session with this public id.
    #[must_use]
    pub fn session(&self, id: PublicId) -> Option<&Session> {
        self.sessions.iter().find(|session| session.id == id)
    }

    /// The session with this record id.
    #[must_use]
    pub fn session_by_record(&self, sf: SfId) -> Option<&Session> {
        self.sessions.iter().find(|session| session.sf == sf)
    }

    /// Whether both snapshots show the public the same, whatever their
    /// versions: a refresh that changes nothing makes no new version.
    #[must_use]
    pub fn shows_the_same(&self, other: &Self) -> bool {
        let mut copy = other.clone();
        copy.version = self.version;
        copy.ledger_version = self.ledger_version;
        copy.as_of = self.as_of;
        *self == copy
    }
}
