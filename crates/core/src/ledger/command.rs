//! What may be asked of a ledger, and what it may answer.

use crate::fact::{Actor, Fact, Request, Terms};
use crate::ids::{ClaimId, SfId};
use crate::time::Timestamp;

/// What one attendee wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceRequest {
    /// The item's record.
    pub item: SfId,
    /// The sessions' records.
    pub sessions: Vec<SfId>,
}

/// One thing asked of a ledger. New ids come from the caller.
#[derive(Clone, Debug)]
pub enum Command {
    /// Take over the organizer's limits and rules.
    SetTerms(Box<Terms>),
    /// Take seats for a while.
    Hold {
        /// The new hold's id.
        claim: ClaimId,
        /// Who asks, for repeats.
        request: Request,
        /// One per attendee.
        places: Vec<PlaceRequest>,
        /// The same visitor's earlier hold, given back in the same commit; if
        /// the new one is refused the old one stays.
        replaces: Option<ClaimId>,
    },
    /// Make a hold an order.
    Confirm {
        /// The hold.
        claim: ClaimId,
        /// Who asks, for repeats.
        request: Request,
        /// Each attendee's sessions, if they differ from what is held.
        sessions: Option<Vec<Vec<SfId>>>,
    },
    /// Take seats and confirm them in one step.
    Register {
        /// The new order's id.
        claim: ClaimId,
        /// Who asks, for repeats.
        request: Request,
        /// One per attendee.
        places: Vec<PlaceRequest>,
    },
    /// Ask what a request came to; makes no facts.
    Recall {
        /// The request, if it was ever made.
        request: Request,
    },
    /// Give a hold back.
    Release {
        /// The hold.
        claim: ClaimId,
    },
    /// Cancel tickets of an order.
    Cancel {
        /// The order.
        claim: ClaimId,
        /// One attendee, from 1; `None` is all.
        place: Option<u16>,
        /// By whom.
        actor: Actor,
    },
    /// Record that an attendee's personal data was destroyed.
    Erase {
        /// The order.
        claim: ClaimId,
        /// The attendee, from 1; `None` is all.
        place: Option<u16>,
    },
}

impl Command {
    /// Who asks, for repeats, of what takes seats.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        match self {
            Self::Hold { request, .. }
            | Self::Confirm { request, .. }
            | Self::Register { request, .. }
            | Self::Recall { request } => Some(request),
            Self::SetTerms(_) | Self::Release { .. } | Self::Cancel { .. } | Self::Erase { .. } => {
                None
            }
        }
    }
}

/// Which pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PoolKey {
    /// The event's own.
    Event,
    /// An item's.
    Item(SfId),
    /// A session's.
    Session(SfId),
}

/// A pool that blocked a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Which.
    pub pool: PoolKey,
    /// Units asked for.
    pub asked: u32,
    /// Units left.
    pub left: u32,
}

/// What is wrong with a claim whatever is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestFault {
    /// No attendee at all.
    Empty,
    /// More attendees than one order may have.
    TooManyPlaces {
        /// The most.
        max: u32,
    },
    /// More of one item than one order may have.
    TooManyOfItem {
        /// Which.
        item: SfId,
        /// The most.
        max: u32,
    },
    /// The event has no such item (any more).
    UnknownItem(SfId),
    /// The event has no such session (any more).
    UnknownSession(SfId),
    /// One attendee has the same session twice.
    SessionTwice(SfId),
    /// One attendee has more sessions than a claim may span.
    TooManySessions {
        /// The most.
        max: u32,
    },
    /// The item costs something, and payment is not open yet.
    PaymentNotOpen(SfId),
    /// The item's own window has not opened.
    ItemNotYetOpen {
        /// Which.
        item: SfId,
        /// When it does.
        opens_at: Timestamp,
    },
    /// The item's own window has closed.
    ItemClosed(SfId),
    /// The session is over.
    SessionOver(SfId),
    /// The number of attendees differs from what is held.
    PlacesDiffer {
        /// How many are held.
        held: u32,
    },
}

/// Why a command is refused. The first that applies is answered, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The same request id came with another body. What differs is not said.
    IdReused,
    /// No such hold or order.
    UnknownClaim,
    /// No such attendee in it.
    UnknownPlace,
    /// Nothing is known of the event yet.
    UnknownEvent,
    /// The organizer called the event off.
    EventCancelled,
    /// The event is not public.
    EventUnpublished,
    /// The event has ended.
    EventOver,
    /// Registration opens later.
    NotYetOpen {
        /// When.
        opens_at: Timestamp,
    },
    /// Registration has closed.
    Closed,
    /// The request can't be met as it is; every fault.
    Invalid(Vec<RequestFault>),
    /// The hold was given back.
    HoldReleased,
    /// It is an order already.
    AlreadyConfirmed,
    /// Only an order can be cancelled or erased.
    NotConfirmed,
    /// Not enough seats: every pool that blocks.
    SoldOut(Vec<Blocked>),
    /// The hold's time ran out and its seats are gone: every pool that blocks.
    HoldExpired(Vec<Blocked>),
    /// Newer terms are in force.
    StaleTerms {
        /// As of when.
        as_of: Timestamp,
    },
}

/// Where a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimStatus {
    /// A live hold.
    Held,
    /// An order.
    Confirmed,
    /// A hold given back.
    Released,
    /// A hold whose time ran out.
    Expired,
}

/// One attendee's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceView {
    /// The item's record.
    pub item: SfId,
    /// The sessions' records.
    pub sessions: Vec<SfId>,
    /// Who cancelled it, if anybody.
    pub cancelled: Option<Actor>,
    /// Whether its personal data was destroyed.
    pub erased: bool,
}

/// A claim as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimView {
    /// Its id.
    pub claim: ClaimId,
    /// Where it stands.
    pub status: ClaimStatus,
    /// When the hold ends or ended; of a registration in one step, when it was made.
    pub expires_at: Timestamp,
    /// One per attendee.
    pub places: Vec<PlaceView>,
}

impl ClaimView {
    /// The attendees whose tickets stand, from 1.
    pub fn standing(&self) -> impl Iterator<Item = u16> {
        let numbered = (1_u16..).zip(&self.places);
        numbered.filter(|(_, place)| place.cancelled.is_none()).map(|(number, _)| number)
    }
}

/// A pool's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolCount {
    /// Which.
    pub pool: PoolKey,
    /// Seats; `None` is unlimited.
    pub limit: Option<u32>,
    /// On hold.
    pub held: u32,
    /// In orders.
    pub sold: u32,
    /// Taken in Salesforce itself.
    pub external: u32,
}

impl PoolCount {
    /// What may still be claimed; `None` is unlimited. 0 also when over-committed.
    #[must_use]
    pub fn left(&self) -> Option<u32> {
        self.limit.map(|limit| limit.saturating_sub(self.taken()))
    }

    /// What is taken, in whatever way.
    #[must_use]
    pub fn taken(&self) -> u32 {
        self.held.saturating_add(self.sold).saturating_add(self.external)
    }

    /// Seats beyond the limit: only a lowered limit or attendees made in
    /// Salesforce can cause that.
    #[must_use]
    pub fn over_committed(&self) -> u32 {
        self.limit.map_or(0, |limit| self.taken().saturating_sub(limit))
    }
}

/// The answer to a command that was not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Terms are in force; whether anything changed.
    Terms {
        /// Something did.
        changed: bool,
    },
    /// A hold.
    Held(ClaimView),
    /// An order.
    Confirmed(ClaimView),
    /// What a request came to, as it stands.
    Recalled(ClaimView),
    /// The hold is gone.
    Released,
    /// These attendees' tickets were cancelled now (none: they were before).
    Cancelled(ClaimView),
    /// The data's end is recorded.
    Erased(ClaimView),
}

/// What a command comes to: facts to make durable, none for a repeat.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// In order.
    pub facts: Vec<Fact>,
    /// Which claim the answer shows, for all but terms.
    pub claim: Option<ClaimId>,
}
