//! What each page shows, and nothing else: plain values, formatted where
//! formatting is presentation. Each page is an askama template over its view,
//! so `page.render()` is the page.

pub mod checkout;
pub mod demo;
pub mod event;
pub mod event_list;
pub mod mail;
pub mod message;
pub mod order;

use super::assets;
use super::markup::{Markup, icon};

/// The frame around every page.
#[derive(Clone, Debug, Default)]
pub struct Shell {
    /// The document's title; the org's name is added behind it.
    pub title: String,
    /// For search results and shared links.
    pub description: Option<String>,
    /// Whose page it is; `None` for Sloe's own.
    pub org: Option<Org>,
    /// Whether search engines may list it.
    pub index: bool,
}

impl Shell {
    /// A page that search engines may list.
    #[must_use]
    pub fn public(org: &Org, title: &str, description: &str) -> Self {
        Self {
            title: title.to_owned(),
            description: Some(description.to_owned()).filter(|d| !d.is_empty()),
            org: Some(org.clone()),
            index: true,
        }
    }

    /// A page that they may not.
    #[must_use]
    pub fn private(org: Option<&Org>, title: &str) -> Self {
        Self { title: title.to_owned(), description: None, org: org.cloned(), index: false }
    }

    /// Address of the one stylesheet.
    #[must_use]
    pub fn css(&self) -> &'static str {
        assets::href("site.css")
    }

    /// Address of the one script.
    #[must_use]
    pub fn js(&self) -> &'static str {
        assets::href("site.js")
    }

    /// Address of the page's icon.
    #[must_use]
    pub fn favicon(&self) -> &'static str {
        assets::href("sloe.svg")
    }

    /// An icon of the sprite.
    #[must_use]
    pub fn icon(&self, name: &'static str) -> Markup {
        icon(name)
    }
}

/// An org as its visitors see it.
#[derive(Clone, Debug, Default)]
pub struct Org {
    /// First part of its addresses.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// One line under the name.
    pub tagline: Option<String>,
    /// Where registrants may write to.
    pub contact: Option<String>,
    /// One or two letters that stand for a logo.
    pub mark: String,
    /// Address of its stylesheet.
    pub css: String,
}

impl Org {
    /// One or two letters for an org's mark: the first of its first and its
    /// last word.
    #[must_use]
    pub fn mark_of(name: &str) -> String {
        let mut words =
            name.split_whitespace().filter_map(|word| word.chars().find(|c| c.is_alphanumeric()));
        let first = words.next();
        let last = words.next_back();
        first.into_iter().chain(last).flat_map(char::to_uppercase).collect()
    }
}

/// How much is left, told coarsely so that a cached page stays true for long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Band {
    /// Enough, or without limit.
    #[default]
    Available,
    /// At most a tenth, or ten.
    Few,
    /// Nothing.
    SoldOut,
}

impl Band {
    /// The band of `left` out of `limit`, both `None` when unlimited.
    #[must_use]
    pub fn of(left: Option<u32>, limit: Option<u32>) -> Self {
        match left {
            None => Self::Available,
            Some(0) => Self::SoldOut,
            Some(left)
                if left <= 10.max(limit.unwrap_or(0) / 10)
                    && limit.is_none_or(|limit| left < limit) =>
            {
                Self::Few
            }
            Some(_) => Self::Available,
        }
    }

    /// In words.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::Few => "Few left",
            Self::SoldOut => "Sold out",
        }
    }

    /// Its class.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::Available => "is-ok",
            Self::Few => "is-few",
            Self::SoldOut => "is-out",
        }
    }
}

/// Where an event takes place.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The venue's name.
    pub venue: Option<String>,
    /// Its address, line by line.
    pub address: Vec<String>,
    /// Whether one can join over the network.
    pub online: bool,
    /// Where; shown on order pages and in mail only.
    pub online_url: Option<String>,
}

impl Place {
    /// In one line: `Kulturbrauerei, Berlin`, `Online`.
    #[must_use]
    pub fn line(&self) -> String {
        let at =
            self.venue.iter().chain(self.address.last()).cloned().collect::<Vec<_>>().join(", ");
        match (at.is_empty(), self.online) {
            (true, true) => "Online".to_owned(),
            (true, false) => "Place to be announced".to_owned(),
            (false, true) => format!("{at} and online"),
            (false, false) => at,
        }
    }
}

/// Which of the four drawings and colors of the org's look an event has: the
/// same on every page that shows it.
#[must_use]
pub fn tone(event_id: &str) -> u8 {
    event_id.bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)) % 4
}

/// One fault of a form, linked to its field.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The `id` of the field to go to.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// What a page says before everything else.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What kind.
    pub kind: NoticeKind,
    /// What happened.
    pub heading: String,
    /// What it means and what to do.
    pub text: String,
}

/// Kinds of notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// Good to know.
    Info,
    /// Something the visitor hoped for can't be.
    Warn,
    /// It worked.
    Good,
}

impl Notice {
    /// Its class.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self.kind {
            NoticeKind::Info => "is-info",
            NoticeKind::Warn => "is-warn",
            NoticeKind::Good => "is-good",
        }
    }

    /// Its icon.
    #[must_use]
    pub fn icon(&self) -> Markup {
        icon(match self.kind {
            NoticeKind::Info => "info",
            NoticeKind::Warn => "alert",
            NoticeKind::Good => "check",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Band, Org, Place};

    #[test]
    fn bands_follow_what_is_left() {
        assert_eq!(Band::of(None, None), Band::Available);
        assert_eq!(Band::of(Some(0), Some(0)), Band::SoldOut);
        assert_eq!(Band::of(Some(11), Some(100)), Band::Available);
        assert_eq!(Band::of(Some(10), Some(100)), Band::Few);
        assert_eq!(Band::of(Some(5_000), Some(50_000)), Band::Few);
        assert_eq!(Band::of(Some(5_001), Some(50_000)), Band::Available);
        assert_eq!(
            Band::of(Some(8), Some(8)),
            Band::Available,
            "a small room that nobody booked is not running out"
        );
    }

    #[test]
    fn a_mark_has_one_or_two_letters_of_the_name() {
        assert_eq!(Org::mark_of("Northlight Conferences"), "NC");
        assert_eq!(Org::mark_of("Sloe"), "S");
        assert_eq!(Org::mark_of("Ärzte ohne Grenzen"), "ÄG");
        assert_eq!(Org::mark_of("東京 大会"), "東大");
        assert_eq!(Org::mark_of(" - "), "");
    }

    #[test]
    fn a_place_is_told_in_one_line() {
        let at = Place {
            venue: Some("Hall".into()),
            address: vec!["Street 1".into(), "Berlin".into()],
            ..Place::default()
        };
        assert_eq!(at.line(), "Hall, Berlin");
        assert_eq!(Place { online: true, ..at }.line(), "Hall, Berlin and online");
        assert_eq!(Place { online: true, ..Place::default() }.line(), "Online");
        assert_eq!(Place::default().line(), "Place to be announced");
    }
}
