//! A page that says one thing: what happened, what it means, what to do. The
//! words themselves are in `words`.

use askama::Template;
use sloe_engine::error::Denied;

use super::{Org, Shell};
use crate::site::markup::{Markup, icon};

/// Any page without a form of its own.
#[derive(Clone, Debug, Template)]
#[template(path = "message.html")]
pub struct MessagePage {
    /// The frame.
    pub shell: Shell,
    /// Whose page, where that is known.
    pub org: Option<Org>,
    /// Which event it is about, where it is about one.
    pub event: Option<String>,
    /// Icon of the sprite.
    pub icon: &'static str,
    /// What happened.
    pub heading: String,
    /// What it means and what to do.
    pub text: Vec<String>,
    /// Faults, or what is gone.
    pub list: Vec<String>,
    /// Where to go, the likeliest first.
    pub links: Vec<Link>,
    /// A form to send again.
    pub again: Option<Again>,
    /// Names this request in the logs.
    pub request_id: Option<String>,
}

impl MessagePage {
    /// A message with nothing but its words.
    #[must_use]
    pub fn new(org: Option<&Org>, icon: &'static str, heading: &str, text: &[&str]) -> Self {
        Self {
            shell: Shell::private(org, heading),
            org: org.cloned(),
            event: None,
            icon,
            heading: heading.to_owned(),
            text: text.iter().map(|line| (*line).to_owned()).collect(),
            list: Vec::new(),
            links: Vec::new(),
            again: None,
            request_id: None,
        }
    }

    /// About an event, which the page and its title then name.
    #[must_use]
    pub fn about(mut self, event: &str) -> Self {
        self.shell.title = format!("{}: {event}", self.heading);
        self.event = Some(event.to_owned());
        self
    }

    /// With one more place to go to.
    #[must_use]
    pub fn link(mut self, label: &str, href: &str) -> Self {
        self.links.push(Link { label: label.to_owned(), href: href.to_owned() });
        self
    }

    /// The large icon.
    #[must_use]
    pub fn picture(&self) -> Markup {
        icon(self.icon)
    }
}

/// A place to go to.
#[derive(Clone, Debug)]
pub struct Link {
    /// What it is called.
    pub label: String,
    /// Where it is.
    pub href: String,
}

/// A form to send again with the same contents, by hand or by itself.
#[derive(Clone, Debug)]
pub struct Again {
    /// Where it goes.
    pub action: String,
    /// What was sent.
    pub fields: Vec<(String, String)>,
    /// What the button says.
    pub label: String,
    /// After how many seconds the script sends it; `None` never.
    pub after: Option<u32>,
}

impl Again {
    /// The form to send again after `denied`, if that can help: by itself if
    /// it may have been done, by hand if it was not.
    #[must_use]
    pub fn after(denied: &Denied, action: String, fields: Vec<(String, String)>) -> Option<Self> {
        let (label, after) = match denied {
            Denied::OutcomeUnknown => ("Check again", Some(2)),
            Denied::NotAccepted { .. } => ("Try again", None),
            _ => return None,
        };
        Some(Self { action, fields, label: label.to_owned(), after })
    }
}
