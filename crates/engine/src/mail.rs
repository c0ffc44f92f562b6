//! What a mail to a registrant needs from outside the engine: where to send
//! it, and what it says.

use std::sync::Arc;

use secrecy::SecretString;

use crate::view::OrderView;

/// Addresses that a mail names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// The order's page; whoever has it may act on the order.
    pub order: String,
    /// The event's public page.
    pub event: String,
}

/// What a mail says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailBody {
    /// Its subject.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

/// Writes the mail that confirms an order.
pub type Render = Arc<dyn Fn(&OrderView, &Links) -> MailBody + Send + Sync>;

/// How mail is sent.
#[derive(Clone)]
pub struct MailSettings {
    /// `smtp://host:port` or `smtps://user:password@host`.
    pub smtp_url: SecretString,
    /// Who it is from: `Sloe <tickets@example.org>`.
    pub from: String,
    /// How registrants reach the site, without a slash at the end.
    pub public_url: String,
    /// What a confirmation says.
    pub render: Render,
}

impl std::fmt::Debug for MailSettings {
    /// The URL may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MailSettings").field("from", &self.from).finish_non_exhaustive()
    }
}
