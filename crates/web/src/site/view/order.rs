//! The order's page: confirmation, tickets, calendar, cancelling.

use askama::Template;

use super::checkout::EventBrief;
use super::{Notice, Org, Shell};
use crate::site::markup::Markup;

/// `GET /order/{order}`.
#[derive(Clone, Debug, Template)]
#[template(path = "order.html")]
pub struct OrderPage {
    /// The frame.
    pub shell: Shell,
    /// Whose event.
    pub org: Org,
    /// Which event.
    pub event: EventBrief,
    /// Where to join over the network.
    pub online_url: Option<String>,
    /// Venue and address, line by line.
    pub address: Vec<String>,
    /// What people read out: `7K3M-9QXZ`.
    pub reference: String,
    /// Said on top: called off, cancelled just now, unpublished…
    pub notice: Option<Notice>,
    /// What it is worth now.
    pub standing: Standing,
    /// Whether cancelling is still possible.
    pub can_cancel: bool,
    /// How the registrant finds this page again.
    pub keep: Keep,
    /// The calendar file.
    pub calendar: String,
    /// Where cancelling goes.
    pub cancel: String,
    /// One per person.
    pub tickets: Vec<Ticket>,
    /// Where to ask.
    pub contact: Option<String>,
}

impl OrderPage {
    /// How many tickets are valid.
    #[must_use]
    pub fn valid(&self) -> usize {
        self.tickets.iter().filter(|ticket| ticket.is_valid()).count()
    }

    /// What the registrant most wants to know.
    #[must_use]
    pub fn heading(&self) -> String {
        match (self.standing, self.valid()) {
            (Standing::EventCancelled, _) => "This event is cancelled".to_owned(),
            (Standing::Cancelled, _) => "This order is cancelled".to_owned(),
            (Standing::Past, 1) => "You were registered".to_owned(),
            (Standing::Past, 2) => "You were both registered".to_owned(),
            (Standing::Past, valid) => format!("All {valid} of you were registered"),
            (Standing::Valid, 1) => "You’re registered".to_owned(),
            (Standing::Valid, 2) => "You’re both registered".to_owned(),
            (Standing::Valid, valid) => format!("All {valid} of you are registered"),
        }
    }
}

/// What an order is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its tickets let people in.
    Valid,
    /// Every ticket was cancelled.
    Cancelled,
    /// The organizer called the event off.
    EventCancelled,
    /// The event has ended.
    Past,
}

/// How the registrant finds the order's page again.
#[derive(Clone, Debug)]
pub enum Keep {
    /// A mail went (or goes) to these addresses, masked: `a…@example.org`.
    Mailed(String),
    /// No mail is sent here: save this address.
    SaveLink(String),
}

/// One person's ticket.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// The place, from 1.
    pub place: u16,
    /// The attendee's full name; `None` once erased.
    pub name: Option<String>,
    /// The item's name.
    pub item: String,
    /// Its opaque code, in groups.
    pub code: String,
    /// The code as a picture.
    pub qr: Markup,
    /// Sessions: time and name.
    pub sessions: Vec<TicketSession>,
    /// Whether it counts.
    pub state: TicketState,
}

impl Ticket {
    /// Whether it lets somebody in.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.state == TicketState::Valid
    }

    /// What to call it: the name, else `Ticket 2`.
    #[must_use]
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("Ticket {}", self.place))
    }
}

/// A session on a ticket.
#[derive(Clone, Debug)]
pub struct TicketSession {
    /// `Thu 10:00`.
    pub time: String,
    /// Its name.
    pub name: String,
    /// Where in the venue.
    pub room: Option<String>,
}

/// Whether a ticket counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketState {
    /// It does.
    Valid,
    /// The registrant cancelled it.
    Cancelled,
    /// The organizer did, in Salesforce.
    CancelledByOrganizer,
}

impl TicketState {
    /// In words.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Valid => "Valid",
            Self::Cancelled => "Cancelled",
            Self::CancelledByOrganizer => "Cancelled by the organizer",
        }
    }
}
