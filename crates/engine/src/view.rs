//! What the engine answers, in public ids: inputs and outputs of its handle.

use std::sync::Arc;

use sloe_core::catalog::Snapshot;
use sloe_core::fact::Actor;
use sloe_core::ids::{ClaimId, EventRef, PublicId};
use sloe_core::ledger::ClaimStatus;
use sloe_core::time::Timestamp;

use crate::tenant::Org;

/// An event as lists show it; always in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The event.
    pub event: EventRef,
    /// Its public id.
    pub id: PublicId,
    /// Of its snapshot.
    pub version: u64,
    /// Its address within the org.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// One or two sentences.
    pub summary: String,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// IANA zone.
    pub time_zone: String,
    /// Venue name, if it has one.
    pub venue: Option<String>,
    /// Whether it may be joined over the network.
    pub online: bool,
    /// Shown to the public at all.
    pub published: bool,
    /// Called off.
    pub cancelled: bool,
    /// Registration's window.
    pub opens_at: Option<Timestamp>,
    /// Its end (exclusive).
    pub closes_at: Option<Timestamp>,
    /// Whether anything can be had for nothing: what costs waits for payment.
    pub has_free_items: bool,
}

/// What is left of one pool; `None` is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The item's or session's public id.
    pub id: PublicId,
    /// Units left; `None` is unlimited.
    pub left: Option<u32>,
    /// Its limit; `None` is unlimited.
    pub limit: Option<u32>,
}

/// What is left of an event, at most a second old.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Availability {
    /// The ledger's version it was read at.
    pub version: u64,
    /// Of the event as a whole; `None` is unlimited.
    pub left: Option<u32>,
    /// The event's limit; `None` is unlimited.
    pub limit: Option<u32>,
    /// Of each item.
    pub items: Vec<Left>,
    /// Of each session.
    pub sessions: Vec<Left>,
    /// Seats on hold, of the event as a whole.
    pub held: u32,
    /// Seats in orders.
    pub sold: u32,
}

impl Availability {
    /// What can be claimed of an item: no more than the event has.
    #[must_use]
    pub fn item(&self, id: PublicId) -> Option<u32> {
        let own = self.items.iter().find(|i| i.id == id).and_then(|i| i.left);
        match (own, self.left) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// What is left of a session.
    #[must_use]
    pub fn session(&self, id: PublicId) -> Option<u32> {
        self.sessions.iter().find(|s| s.id == id).and_then(|s| s.left)
    }
}

/// What one attendee wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The item's public id.
    pub item: PublicId,
    /// The sessions' public ids.
    pub sessions: Vec<PublicId>,
}

/// One attendee's details, as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttendeeInput {
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// E-mail address.
    pub email: String,
    /// The token of the invitation that led here; empty without one.
    pub invitation: String,
}

/// One attendee's details, as sealed in the vault.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Attendee {
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// E-mail address.
    pub email: String,
    /// The invited Contact or Lead, 18 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitee: Option<String>,
}

impl std::fmt::Debug for Attendee {
    /// Personal data stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attendee(sealed)")
    }
}

/// One place of a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldPlace {
    /// From 1.
    pub place: u16,
    /// Its item.
    pub item: PublicId,
    /// Its sessions.
    pub sessions: Vec<PublicId>,
}

/// A hold as its visitor sees it.
#[derive(Clone, Debug)]
pub struct HoldView {
    /// Its opaque id: whoever has it may act on the hold.
    pub token: String,
    /// The claim inside.
    pub claim: ClaimId,
    /// Held, confirmed, released or expired.
    pub status: ClaimStatus,
    /// When the ledger takes the seats back.
    pub expires_at: Timestamp,
    /// One per attendee.
    pub places: Vec<HeldPlace>,
    /// The order's opaque id, once confirmed.
    pub order: Option<String>,
    /// The event.
    pub snapshot: Arc<Snapshot>,
    /// Its organizer.
    pub org: Arc<Org>,
}

/// One attendee's ticket.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// From 1; its id within the order.
    pub place: u16,
    /// The opaque code of its QR.
    pub code: String,
    /// Its item.
    pub item: PublicId,
    /// Its sessions.
    pub sessions: Vec<PublicId>,
    /// Who cancelled it, if anybody.
    pub cancelled: Option<Actor>,
    /// Whose it is; `None` once erased.
    pub attendee: Option<Attendee>,
}

/// An order as its holder sees it.
#[derive(Clone, Debug)]
pub struct OrderView {
    /// Its opaque id: whoever has it may act on the order.
    pub token: String,
    /// The claim inside.
    pub claim: ClaimId,
    /// What people read out: `7K3M-9QXZ`.
    pub reference: String,
    /// One per attendee.
    pub tickets: Vec<Ticket>,
    /// The event; unpublished ones too.
    pub snapshot: Arc<Snapshot>,
    /// Its organizer.
    pub org: Arc<Org>,
}

/// Where a slug leads.
#[derive(Clone, Debug)]
pub enum Found {
    /// To this event.
    Here(Arc<Snapshot>),
    /// To an event that has another slug now.
    Moved(String),
    /// Nowhere.
    Nowhere,
}
