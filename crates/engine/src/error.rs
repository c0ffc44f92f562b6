//! Why the engine could not do what was asked: values with public ids and
//! names, ready for a page or a problem document. HTTP statuses are not its
//! business.

use std::fmt;
use std::time::Duration;

use sloe_core::ids::PublicId;
use sloe_core::time::Timestamp;
use sloe_core::words::counted;

/// A pool as the public knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolRef {
    /// The event as a whole.
    Event,
    /// A ticket type.
    Item {
        /// Its public id.
        id: PublicId,
        /// Its name; empty if its record is gone.
        name: String,
    },
    /// A session.
    Session {
        /// Its public id.
        id: PublicId,
        /// Its name; empty if its record is gone.
        name: String,
    },
}

/// A pool that has too little left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Which.
    pub pool: PoolRef,
    /// Units asked for.
    pub asked: u32,
    /// Units left.
    pub left: u32,
}

/// Which part of a request a fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The selection as a whole.
    Selection,
    /// An attendee's item.
    Item,
    /// An attendee's sessions.
    Sessions,
    /// An attendee's first name.
    FirstName,
    /// An attendee's last name.
    LastName,
    /// An attendee's e-mail address.
    Email,
    /// An attendee's invitation.
    Invitation,
    /// The list of attendees.
    Attendees,
}

/// One thing wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The attendee it is about, from 1; `None` is all of them.
    pub place: Option<u16>,
    /// Which part.
    pub part: Part,
    /// A stable code, `required` for instance.
    pub code: &'static str,
    /// What is wrong and what it should be, for the person who typed it.
    pub message: String,
}

/// Why something can't be taken now that may be another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// Too many others wait.
    Crowd,
    /// The store does not answer, or this node may not decide at present.
    Fault,
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Crowd => "too many requests are waiting",
            Self::Fault => "the store does not answer, or this node may not decide at present",
        })
    }
}

/// When to try again what was not taken.
const SOON: Duration = Duration::from_secs(2);

/// Why a claim, or anything else a visitor may ask, was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No such event, hold, order or ticket; a forged id looks the same.
    #[error("there is no such thing here")]
    NotFound,
    /// The same request id came with another body.
    #[error("this request id was used for something else")]
    IdReused,
    /// The org has no live license: no new holds.
    #[error("registration is paused for this organizer")]
    LicenseInactive,
    /// The event was called off.
    #[error("the event was cancelled")]
    EventCancelled,
    /// The event is not public.
    #[error("the event is not published")]
    EventUnpublished,
    /// The event has ended.
    #[error("the event is over")]
    EventOver,
    /// Registration opens later.
    #[error("registration opens at {opens_at}")]
    NotYetOpen {
        /// When.
        opens_at: Timestamp,
    },
    /// Registration has closed.
    #[error("registration has closed")]
    Closed,
    /// Every fault of the request.
    #[error("the request has {}", counted(.0.len(), "fault"))]
    Invalid(Vec<Fault>),
    /// Not enough left: every pool that blocks.
    #[error("not enough is left")]
    SoldOut(Vec<Shortage>),
    /// The hold ran out and its seats are gone: every pool that blocks.
    #[error("the hold has expired and its seats are gone")]
    HoldExpired(Vec<Shortage>),
    /// The hold was given back.
    #[error("the hold was given back")]
    HoldReleased,
    /// The hold is an order already.
    #[error("this is an order already")]
    AlreadyConfirmed,
    /// Only an order can be cancelled.
    #[error("this is not an order yet")]
    NotConfirmed,
    /// It can't be taken now; nothing was.
    #[error("{why}; nothing was taken")]
    NotAccepted {
        /// Why not.
        why: Hindrance,
        /// When to try again.
        retry_after: Duration,
    },
    /// It may have been done: repeat with the same request id to learn.
    #[error("the outcome is not known yet")]
    OutcomeUnknown,
    /// The event's stored data is damaged; staff are told.
    #[error("the event is out of order")]
    Quarantined,
}

impl Denied {
    /// Too many others wait; nothing was taken.
    pub(crate) fn crowded() -> Self {
        Self::NotAccepted { why: Hindrance::Crowd, retry_after: SOON }
    }

    /// Nothing can be taken at present, whoever asks; nothing was.
    pub(crate) fn not_now() -> Self {
        Self::NotAccepted { why: Hindrance::Fault, retry_after: SOON }
    }
}
