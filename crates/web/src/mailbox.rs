//! What the demo's mail server received, as the mailbox page shows it.

use std::fmt;
use std::sync::Arc;

/// One mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedMail {
    /// Counts the mails of this run, from 1.
    pub number: u64,
    /// Its sender.
    pub from: String,
    /// Its first recipient.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// When it was written, RFC 3339; may be empty.
    pub date: String,
    /// The text part.
    pub text: String,
    /// The HTML part.
    pub html: Option<String>,
    /// Name and content of each attachment.
    pub attachments: Vec<(String, Vec<u8>)>,
}

/// Reads all mails, newest first, anew at each look.
#[derive(Clone)]
pub struct Mailbox(pub Arc<dyn Fn() -> Vec<ReceivedMail> + Send + Sync>);

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailbox")
    }
}
