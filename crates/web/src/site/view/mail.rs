//! The mail that confirms an order: one text, once as HTML, once plain.

use askama::Template;

use super::order::TicketSession;
use crate::site::when::When;

/// What the mail says.
#[derive(Clone, Debug)]
pub struct OrderMail {
    /// The org's name.
    pub org: String,
    /// The org's color, dark enough for white text.
    pub accent: String,
    /// To whom it speaks: a first name.
    pub greeting: Option<String>,
    /// The event's name.
    pub event: String,
    /// The event's time.
    pub when: When,
    /// The event's place, line by line.
    pub place: Vec<String>,
    /// Where to join over the network.
    pub online_url: Option<String>,
    /// The order's reference.
    pub reference: String,
    /// The order's page: tickets, calendar, cancelling.
    pub url: String,
    /// Who is registered.
    pub tickets: Vec<MailTicket>,
    /// Where to ask.
    pub contact: Option<String>,
    /// The organizer's privacy notice.
    pub privacy_url: Option<String>,
}

/// One person in the mail.
#[derive(Clone, Debug)]
pub struct MailTicket {
    /// The attendee's full name.
    pub name: String,
    /// The item's name.
    pub item: String,
    /// The sessions.
    pub sessions: Vec<TicketSession>,
}

impl OrderMail {
    /// The subject line.
    #[must_use]
    pub fn subject(&self) -> String {
        let subject = format!("You’re registered: {}", self.event);
        // A line break here would be another header.
        subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }
}

/// The HTML part.
#[derive(Clone, Debug, Template)]
#[template(path = "mail_order.html")]
pub struct OrderMailHtml<'a> {
    /// What it says.
    pub mail: &'a OrderMail,
}

/// The text part.
#[derive(Clone, Debug, Template)]
#[template(path = "mail_order.txt", escape = "none", whitespace = "preserve")]
pub struct OrderMailText<'a> {
    /// What it says.
    pub mail: &'a OrderMail,
}
