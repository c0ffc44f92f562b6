//! The event's page. The same for everybody, so that it can be cached: what
//! one visitor chose stands in it only when it answers that visitor's form.

use askama::Template;

use super::event_list::Status;
use super::{Band, Fault, Notice, Org, Place, Shell};
use crate::site::markup::Markup;
use crate::site::when::{Moment, When};

/// `GET /{org}/{event}`, and the answer to a selection that can't be held.
#[derive(Clone, Debug, Template)]
#[template(path = "event.html")]
pub struct EventPage {
    /// The frame.
    pub shell: Shell,
    /// Whose event.
    pub org: Org,
    /// Its public id.
    pub id: String,
    /// The last part of its address.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// One or two sentences.
    pub summary: String,
    /// The long text.
    pub about: Markup,
    /// A picture, `https` only.
    pub image: Option<String>,
    /// Its drawing and color.
    pub tone: u8,
    /// Its time.
    pub when: When,
    /// Its place.
    pub place: Place,
    /// `Free`, `From €12.50`.
    pub price: String,
    /// Who organizes it, if not just the org.
    pub organizer: Option<String>,
    /// Where to ask about it.
    pub contact: Option<String>,
    /// How things stand.
    pub status: Status,
    /// Said before the choice: sold out, not yet open, called off…
    pub notice: Option<Notice>,
    /// Ticket types.
    pub items: Vec<ItemChoice>,
    /// Sessions, day by day.
    pub days: Vec<Day>,
    /// Where the form goes; `None` when nothing can be claimed now.
    pub action: Option<String>,
    /// What was wrong with the visitor's selection.
    pub faults: Vec<Fault>,
    /// Attendees in one order.
    pub max_per_order: u32,
    /// How long a hold lasts, in minutes.
    pub hold_minutes: i64,
    /// The visitor's own hold, only in a page made for one visitor.
    pub hold: Option<String>,
}

impl EventPage {
    /// Whether there is nothing left.
    #[must_use]
    pub fn is_sold_out(&self) -> bool {
        self.status == Status::Open(Band::SoldOut)
    }

    /// Where somebody who already holds seats goes on.
    #[must_use]
    pub fn resume(&self) -> String {
        format!("/{}/{}/resume", self.org.slug, self.slug)
    }

    /// Where the script learns of the visitor's own hold.
    #[must_use]
    pub fn mine(&self) -> String {
        format!("/{}/{}/mine", self.org.slug, self.slug)
    }

    /// Where the script reads exact numbers.
    #[must_use]
    pub fn availability(&self) -> String {
        format!("/api/v1/events/{}/availability", self.id)
    }

    /// Whether there is a program to choose from.
    #[must_use]
    pub fn has_sessions(&self) -> bool {
        !self.days.is_empty()
    }

    /// How many sessions there are.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.days.iter().flat_map(|day| &day.slots).map(|slot| slot.sessions.len()).sum()
    }
}

/// One ticket type in the form.
#[derive(Clone, Debug)]
pub struct ItemChoice {
    /// Its public id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it comprises.
    pub description: String,
    /// `Free`, `€12.50`.
    pub price: String,
    /// Whether it can be chosen, else why not.
    pub state: ItemState,
    /// Units in one order.
    pub max: u32,
    /// Units chosen.
    pub chosen: u32,
}

/// Whether an item can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemState {
    /// It can.
    Open(Band),
    /// From a time on: `Tuesday, December 1, 2026 at 10:00, Berlin time (UTC+1)`.
    Soon(String),
    /// Not any more.
    Closed,
    /// Payment isn't open yet.
    Payment,
    /// The event as a whole takes no registrations now.
    Shown,
}

impl ItemState {
    /// What is left, where that matters.
    #[must_use]
    pub fn band(&self) -> Option<Band> {
        match self {
            Self::Open(band) => Some(*band),
            _ => None,
        }
    }

    /// Whether a quantity can be entered.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open(band) if *band != Band::SoldOut)
    }

    /// Why it can't be chosen.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Open(_) | Self::Shown => None,
            Self::Soon(when) => Some(format!("On offer from {when}.")),
            Self::Closed => Some("No longer on offer.".to_owned()),
            Self::Payment => Some(
                "Payment isn’t open yet, so this ticket can’t be booked here for now.".to_owned(),
            ),
        }
    }
}

/// The sessions of one day.
#[derive(Clone, Debug)]
pub struct Day {
    /// `Thursday, December 3`.
    pub label: String,
    /// By time.
    pub slots: Vec<Slot>,
}

/// The sessions that begin together.
#[derive(Clone, Debug)]
pub struct Slot {
    /// `10:00 – 10:45`, or `From 10:00` if they don't end together.
    pub label: String,
    /// When they begin.
    pub start: Moment,
    /// By track.
    pub sessions: Vec<SessionChoice>,
}

impl Slot {
    /// Whether one has to choose.
    #[must_use]
    pub fn is_parallel(&self) -> bool {
        self.sessions.len() > 1
    }
}

/// One session in a form.
#[derive(Clone, Debug)]
pub struct SessionChoice {
    /// Its public id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Its track and the track's color, 0 to 5.
    pub track: Option<(String, u8)>,
    /// Who speaks.
    pub speaker: Option<String>,
    /// Where in the venue.
    pub room: Option<String>,
    /// Its own time, if it is not the slot's.
    pub time: Option<String>,
    /// Beginning and end in Unix seconds, for the hint about overlaps.
    pub span: (i64, i64),
    /// What is left.
    pub band: Band,
    /// Whether it has ended.
    pub over: bool,
    /// Whether it is chosen.
    pub chosen: bool,
}

impl SessionChoice {
    /// What is left, in words.
    #[must_use]
    pub fn label(&self) -> &'static str {
        if self.over { "Over" } else { self.band.label() }
    }

    /// The class of that.
    #[must_use]
    pub fn class(&self) -> &'static str {
        if self.over { Band::SoldOut.class() } else { self.band.class() }
    }

    /// Whether it can be chosen, as long as the event takes registrations.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.over && self.band != Band::SoldOut
    }
}
