//! Sloe's own front page, and the demo's mailbox.

use askama::Template;

use super::{Org, Shell};
use crate::site::markup::Markup;

/// `GET /`.
#[derive(Clone, Debug, Template)]
#[template(path = "landing.html")]
pub struct LandingPage {
    /// The frame.
    pub shell: Shell,
    /// The demo's orgs; empty elsewhere, where nobody is told who the
    /// customers are.
    pub orgs: Vec<LandingOrg>,
    /// The demo's mailbox.
    pub mailbox: Option<String>,
}

/// An org on the demo's front page.
#[derive(Clone, Debug)]
pub struct LandingOrg {
    /// The org.
    pub org: Org,
    /// Its colors.
    pub swatch: Markup,
    /// How many events are coming.
    pub events: usize,
    /// The page of its simulated Salesforce.
    pub salesforce: Option<String>,
}

/// `GET /demo/mailbox`: what would have been sent.
#[derive(Clone, Debug, Template)]
#[template(path = "mailbox.html")]
pub struct MailboxPage {
    /// The frame.
    pub shell: Shell,
    /// Newest first.
    pub mails: Vec<MailBrief>,
    /// The one that is open.
    pub open: Option<MailOpen>,
}

/// One mail in the list.
#[derive(Clone, Debug)]
pub struct MailBrief {
    /// Its page.
    pub href: String,
    /// To whom.
    pub to: String,
    /// About what.
    pub subject: String,
    /// `Nov 26, 08:14 UTC`.
    pub time: String,
}

/// The open mail.
#[derive(Clone, Debug)]
pub struct MailOpen {
    /// The same as in the list.
    pub brief: MailBrief,
    /// From whom.
    pub from: String,
    /// The text part.
    pub text: String,
    /// Where the HTML part is served by itself, under a policy of its own.
    pub html: Option<String>,
    /// Name and address of each attachment.
    pub attachments: Vec<(String, String)>,
}
