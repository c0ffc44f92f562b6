//! An org's events: what is coming, then what was.

use askama::Template;

use super::{Notice, Org, Shell};
use crate::site::when::When;

/// `GET /{org}`.
#[derive(Clone, Debug, Template)]
#[template(path = "event_list.html")]
pub struct EventListPage {
    /// The frame.
    pub shell: Shell,
    /// Whose events.
    pub org: Org,
    /// Said on top, when registration is paused for the whole org.
    pub notice: Option<Notice>,
    /// Upcoming and running events, soonest first; but the first of all is the
    /// soonest that one can register for, if there is one.
    pub upcoming: Vec<EventCard>,
    /// Events that are over, latest first.
    pub past: Vec<EventCard>,
}

/// One event in the list.
#[derive(Clone, Debug)]
pub struct EventCard {
    /// Its page.
    pub href: String,
    /// Its name.
    pub name: String,
    /// One or two sentences.
    pub summary: String,
    /// Its time.
    pub when: When,
    /// Its place in one line.
    pub place: String,
    /// `Free`, `From €12.50`.
    pub price: String,
    /// How things stand.
    pub status: Status,
    /// Its drawing and color.
    pub tone: u8,
}

/// How things stand with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Seats can be taken.
    Open(super::Band),
    /// Registration has not begun; when it does: `Dec 1, 10:00`.
    Soon(String),
    /// Registration has ended.
    Closed,
    /// The event has ended.
    Over,
    /// The organizer called it off.
    Cancelled,
    /// The org may not take registrations at the moment.
    Paused,
    /// Everything has a price, and payment isn't open.
    Payment,
}

impl Status {
    /// Whether one can register now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open(band) if *band != super::Band::SoldOut)
    }

    /// In words.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Open(band) => band.label().to_owned(),
            Self::Soon(when) => format!("Opens {when}"),
            Self::Closed => "Registration closed".to_owned(),
            Self::Over => "Over".to_owned(),
            Self::Cancelled => "Cancelled".to_owned(),
            Self::Paused => "Registration paused".to_owned(),
            Self::Payment => "Payment not open yet".to_owned(),
        }
    }

    /// Its class.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Open(band) => band.class(),
            Self::Soon(_) => "is-soon",
            Self::Cancelled => "is-off",
            Self::Closed | Self::Over | Self::Paused | Self::Payment => "is-idle",
        }
    }
}
