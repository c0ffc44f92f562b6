//! The closed list of durable changes of an event's ledger, and the batch
//! that carries them. Facts are outcomes: rolling forward applies them and
//! never decides again.

use smallvec::SmallVec;

use crate::ids::{ClaimId, SfId};
use crate::time::Timestamp;

/// Index of a pool in its ledger: 0 is the event's; items and sessions follow
/// in the order in which terms first named them. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolIx(pub u16);

impl PoolIx {
    /// The event's own pool.
    pub const EVENT: Self = Self(0);
}

/// What one attendee takes: an item and sessions (sorted, no doubles), beside
/// the event itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Selection {
    /// The ticket type's pool.
    pub item: PoolIx,
    /// The sessions' pools.
    pub sessions: SmallVec<[PoolIx; 4]>,
}

/// A request's identity: an HMAC of operation and Idempotency-Key, and one of
/// the body, under a key of the event kept outside the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Of operation and key.
    pub key: u128,
    /// Of the body.
    pub body: u64,
}

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The person holding the order's address.
    Registrant,
    /// The organizer, in Salesforce.
    Org,
    /// Staff of the platform.
    Staff,
}

/// An item or session as the ledger needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolTerms {
    /// Its record in the org.
    pub record: SfId,
    /// Seats; `None` is unlimited, 0 sold out.
    pub limit: Option<u32>,
    /// Seats taken by attendees made in Salesforce itself.
    pub external: u32,
}

/// An item's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemTerms {
    /// Its pool.
    pub pool: PoolTerms,
    /// Items with a price can't be claimed: payment is not open yet.
    pub free: bool,
    /// From when it may be claimed.
    pub opens_at: Option<Timestamp>,
    /// Until when (exclusive).
    pub closes_at: Option<Timestamp>,
    /// Units in one order.
    pub max_per_order: u32,
}

/// A session's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionTerms {
    /// Its pool.
    pub pool: PoolTerms,
    /// When it ends; no claim after that.
    pub ends_at: Timestamp,
}

/// Whether an event takes claims at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does, within its window.
    Published,
    /// Not shown; nothing new is taken.
    Unpublished,
    /// Called off; nothing new is taken.
    Cancelled,
}

/// Everything of an event's records that decides claims, as one value:
/// replaced whole by every refresh that changes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// When Salesforce said so; older terms never replace newer ones.
    pub as_of: Timestamp,
    /// Whether claims are taken at all.
    pub standing: Standing,
    /// From when.
    pub opens_at: Option<Timestamp>,
    /// Until when (exclusive).
    pub closes_at: Option<Timestamp>,
    /// When the event ends: no claim after that.
    pub ends_at: Timestamp,
    /// How long a hold lasts, in milliseconds.
    pub hold_millis: i64,
    /// Attendees in one order.
    pub max_per_order: u32,
    /// Seats of the whole event; `None` is unlimited, 0 sold out.
    pub limit: Option<u32>,
    /// Attendees made in Salesforce itself.
    pub external: u32,
    /// Ticket types; one that is missing can't be claimed any more.
    pub items: Vec<ItemTerms>,
    /// Sessions; one that is missing can't be claimed any more.
    pub sessions: Vec<SessionTerms>,
}

/// One durable change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The organizer's limits, windows and external counts.
    TermsSet(Box<Terms>),
    /// Seats taken until `expires_at`.
    Held {
        /// The hold.
        claim: ClaimId,
        /// The request that asked.
        request: Request,
        /// When the seats fall back.
        expires_at: Timestamp,
        /// One per attendee; places count from 1.
        places: Vec<Selection>,
    },
    /// A hold became an order: `places` are what its attendees have in the
    /// end. Also an expired hold whose seats were taken again, and (claim
    /// unknown before) a registration in one step.
    Confirmed {
        /// The hold, now the order.
        claim: ClaimId,
        /// The request that asked.
        request: Request,
        /// One per attendee; places count from 1.
        places: Vec<Selection>,
    },
    /// A hold was given back.
    Released {
        /// The hold.
        claim: ClaimId,
    },
    /// A hold's time ran out.
    Expired {
        /// The hold.
        claim: ClaimId,
    },
    /// One attendee's ticket was cancelled and its seats freed.
    Cancelled {
        /// The order.
        claim: ClaimId,
        /// The attendee, from 1.
        place: u16,
        /// By whom.
        actor: Actor,
    },
    /// One attendee's personal data was destroyed.
    Erased {
        /// The order.
        claim: ClaimId,
        /// The attendee, from 1.
        place: u16,
    },
}

impl Fact {
    /// Whether the org (or a mailbox) must hear of it.
    #[must_use]
    pub fn is_outbound(&self) -> bool {
        match self {
            Self::Confirmed { .. } | Self::Cancelled { .. } | Self::TermsSet(_) => true,
            // Figures of held seats follow the next outbound fact or the worker's timer.
            Self::Held { .. }
            | Self::Released { .. }
            | Self::Expired { .. }
            | Self::Erased { .. } => false,
        }
    }

    /// The claim it is about.
    #[must_use]
    pub fn claim(&self) -> Option<ClaimId> {
        match self {
            Self::TermsSet(_) => None,
            Self::Held { claim, .. }
            | Self::Confirmed { claim, .. }
            | Self::Released { claim }
            | Self::Expired { claim }
            | Self::Cancelled { claim, .. }
            | Self::Erased { claim, .. } => Some(*claim),
        }
    }
}

/// One entry of an event's journal: one commit, many facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// 1 for the first, then without gaps.
    pub version: u64,
    /// When it was decided: never before the batch before it.
    pub at: Timestamp,
    /// Tells our own commit from another node's after an ambiguous answer.
    pub nonce: u128,
    /// What changed, in order.
    pub facts: Vec<Fact>,
}
