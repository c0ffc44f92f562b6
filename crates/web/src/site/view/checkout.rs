//! The checkout: who comes, to which sessions, while the seats are held.

use askama::Template;

use super::event::SessionChoice;
use super::{Fault, Notice, Org, Shell};
use crate::site::when::When;

/// `GET /checkout/{hold}`, and the answer to details that can't be accepted.
#[derive(Clone, Debug, Template)]
#[template(path = "checkout.html")]
pub struct CheckoutPage {
    /// The frame.
    pub shell: Shell,
    /// Whose event.
    pub org: Org,
    /// Which event.
    pub event: EventBrief,
    /// Until when the seats are held.
    pub held: Held,
    /// Said before the form, for instance that the seats were taken again.
    pub notice: Option<Notice>,
    /// What is held.
    pub lines: Vec<Line>,
    /// Names of the sessions held for everyone.
    pub sessions: Vec<String>,
    /// Where the form goes.
    pub action: String,
    /// Where giving the seats back goes.
    pub release: String,
    /// The event's page with this selection.
    pub change: String,
    /// Idempotency key of this form.
    pub key: String,
    /// One part per person.
    pub people: Vec<Person>,
    /// Whether sessions are chosen per person.
    pub per_person: bool,
    /// Whether there are sessions to choose from.
    pub has_sessions: bool,
    /// The organizer's privacy notice.
    pub privacy_url: Option<String>,
    /// What has to be put right.
    pub faults: Vec<Fault>,
}

/// An event in a few words.
#[derive(Clone, Debug, Default)]
pub struct EventBrief {
    /// Its page; `None` while it is unpublished.
    pub href: Option<String>,
    /// Its name.
    pub name: String,
    /// Its time.
    pub when: When,
    /// Its place in one line.
    pub place: String,
    /// Its drawing and color.
    pub tone: u8,
}

/// Until when seats are held.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// `14:32`.
    pub until: String,
    /// `Berlin time (UTC+1)`.
    pub zone: String,
    /// Seconds left as shown to the visitor: 15 fewer than the ledger grants.
    pub seconds: i64,
}

impl Held {
    /// `9:45`, for the page before the script counts down.
    #[must_use]
    pub fn clock(&self) -> String {
        let seconds = self.seconds.max(0);
        format!("{}:{:02}", seconds / 60, seconds % 60)
    }

    /// Whether the time is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.seconds <= 0
    }
}

/// One line of the selection.
#[derive(Clone, Debug)]
pub struct Line {
    /// The item's name.
    pub name: String,
    /// How many.
    pub quantity: u32,
    /// `Free`, `€25.00`: of all of them.
    pub price: String,
}

/// The form's part for one person.
#[derive(Clone, Debug)]
pub struct Person {
    /// The place, from 1.
    pub place: u16,
    /// The ticket's name.
    pub item: String,
    /// First name.
    pub first_name: Field,
    /// Last name.
    pub last_name: Field,
    /// E-mail address.
    pub email: Field,
    /// The sessions, with this person's choice.
    pub sessions: Vec<SessionChoice>,
}

/// One text field.
#[derive(Clone, Debug, Default)]
pub struct Field {
    /// What was typed.
    pub value: String,
    /// Longest value.
    pub max: u32,
    /// Whether it must be filled in.
    pub required: bool,
    /// What is wrong with it.
    pub fault: Option<String>,
}
