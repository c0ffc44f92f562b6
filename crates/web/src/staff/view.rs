//! What each page of the console shows: plain values over their templates.

use askama::Template;

use super::ago::Ago;
use super::draw::Drawing;
use super::judge::{Level, Trouble};
use crate::site::assets;
use crate::site::markup::{Markup, icon};

/// Seconds after which a page without script may load itself anew.
pub(super) const EVERY: [u32; 3] = [10, 60, 300];

/// The frame around every page inside.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame {
    /// The document's title.
    pub(super) title: String,
    /// When its facts were asked: `14:03:22 UTC`.
    pub(super) as_of: String,
    /// What was just done.
    pub(super) said: Option<Notice>,
    /// Where the page is.
    pub(super) path: String,
    /// The same with all that was asked.
    pub(super) here: String,
    /// After how many seconds it loads anew where no script runs.
    pub(super) every: Option<u32>,
}

impl Frame {
    pub(super) fn href(&self, asset: &str) -> &'static str {
        assets::href(asset)
    }

    pub(super) fn icon(&self, name: &'static str) -> Markup {
        icon(name)
    }

    pub(super) fn is_every(&self, every: &u32) -> bool {
        self.every.as_ref() == Some(every)
    }

    pub(super) fn choices(&self) -> [(u32, &'static str); 3] {
        let [a, b, c] = EVERY;
        [(a, "10 s"), (b, "1 min"), (c, "5 min")]
    }
}

/// What is said once.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) kind: NoticeKind,
    pub(super) text: String,
}

/// Kinds of notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoticeKind {
    /// It was done.
    Good,
    /// Good to know.
    Info,
}

impl Notice {
    pub(super) fn class(&self) -> &'static str {
        match self.kind {
            NoticeKind::Good => "is-good",
            NoticeKind::Info => "is-info",
        }
    }

    pub(super) fn icon(&self) -> Markup {
        icon(match self.kind {
            NoticeKind::Good => "check",
            NoticeKind::Info => "info",
        })
    }
}

/// `GET /staff/sign-in/{token}`: the button that signs in.
#[derive(Template)]
#[template(path = "staff/door.html")]
pub(super) struct DoorPage {
    shell: crate::site::view::Shell,
    token: String,
}

impl DoorPage {
    pub(super) fn new(token: String) -> Self {
        Self { shell: crate::site::view::Shell::private(None, "Sign in to the console"), token }
    }
}

/// `GET /staff`.
#[derive(Template)]
#[template(path = "staff/overview.html")]
pub(super) struct OverviewPage {
    pub(super) frame: Frame,
    pub(super) level: Level,
    /// Of whom the heading speaks, if of one org.
    pub(super) who: Option<String>,
    pub(super) heading: String,
    pub(super) lead: String,
    pub(super) tiles: Vec<Tile>,
    pub(super) orgs: Vec<OrgCard>,
    /// How many orgs are connected.
    pub(super) total: usize,
    /// What is looked for among them.
    pub(super) query: String,
    /// Whether only those are shown that somebody should look at.
    pub(super) only: bool,
    pub(super) platform: Platform,
}

/// A figure of all orgs together.
#[derive(Clone, Debug)]
pub(super) struct Tile {
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) note: String,
    pub(super) level: Level,
}

/// One org in the overview.
#[derive(Clone, Debug)]
pub(super) struct OrgCard {
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) level: Level,
    pub(super) live: bool,
    pub(super) troubles: Vec<Trouble>,
    /// Troubles beyond those shown.
    pub(super) more: usize,
    pub(super) calls: Calls,
    pub(super) cells: Vec<Cell>,
}

/// One kind of thing that is known of an org.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    pub(super) label: &'static str,
    pub(super) lines: Vec<Line>,
}

/// A line of words, with a moment at its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) at: Option<Ago>,
    pub(super) level: Level,
}

impl Line {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub(super) fn at(mut self, at: Option<Ago>) -> Self {
        self.at = at;
        self
    }

    pub(super) fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }
}

/// An org's API calls of 24 hours.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls {
    /// `1,204 of 15,000 used`.
    pub(super) told: String,
    /// `41 by Sloe, 2,209 left for it`.
    pub(super) ours: String,
    pub(super) meter: Option<Drawing>,
    /// Until when Sloe waits, if it does.
    pub(super) waits: Option<Ago>,
}

/// What belongs to no org.
#[derive(Clone, Debug, Default)]
pub(super) struct Platform {
    pub(super) facts: Vec<(&'static str, String)>,
    /// Where licenses come from.
    pub(super) licenses: Line,
    pub(super) troubles: Vec<Trouble>,
    pub(super) workers: Vec<Worker>,
}

impl Platform {
    /// The worst that is the matter with it.
    pub(super) fn level(&self) -> Level {
        self.troubles.iter().map(|trouble| trouble.level).max().unwrap_or_default()
    }
}

/// A worker of the platform.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) name: &'static str,
    pub(super) does: &'static str,
    pub(super) at: Ago,
    pub(super) fault: Option<String>,
}

/// `GET /staff/orgs/{org}`.
#[derive(Template)]
#[template(path = "staff/org.html")]
pub(super) struct OrgPage {
    pub(super) frame: Frame,
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) id: String,
    /// Its address in Salesforce.
    pub(super) salesforce: String,
    pub(super) level: Level,
    pub(super) lead: String,
    pub(super) troubles: Vec<Trouble>,
    pub(super) live: bool,
    pub(super) why: String,
    pub(super) licenses: Vec<String>,
    /// As of when that is known.
    pub(super) license_known: Line,
    pub(super) calls: Calls,
    pub(super) rules: String,
    pub(super) hours: Option<Hours>,
    pub(super) way: Vec<Line>,
    pub(super) waiting: Vec<WaitingRow>,
    pub(super) waiting_more: bool,
    pub(super) letters: Letters,
    pub(super) compared: Vec<Line>,
    pub(super) passes: Vec<Pass>,
    pub(super) reads: Vec<Line>,
    pub(super) events: Vec<EventRow>,
    /// Events that are as Salesforce has them and not listed.
    pub(super) quiet: usize,
}

impl OrgPage {
    /// Whether the list of comparisons says more than the last one's line.
    fn tells_passes(&self) -> bool {
        self.passes.len() > 1 || self.passes.iter().any(|pass| !pass.note.is_empty())
    }
}

/// Sloe's calls of the last 24 hours, by the hour.
#[derive(Clone, Debug)]
pub(super) struct Hours {
    pub(super) drawing: Drawing,
    /// The same in words.
    pub(super) words: String,
}

/// How a comparison went.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    pub(super) at: Ago,
    pub(super) level: Level,
    pub(super) said: String,
    pub(super) note: String,
}

/// A row that waits to be sent again.
#[derive(Clone, Debug)]
pub(super) struct WaitingRow {
    pub(super) what: String,
    pub(super) code: String,
    pub(super) tries: u32,
    pub(super) next: Ago,
}

/// The dead letters of an org.
#[derive(Clone, Debug, Default)]
pub(super) struct Letters {
    pub(super) total: usize,
    pub(super) piles: Vec<PileRow>,
    /// Which pile is shown alone, if one is.
    pub(super) chosen: Option<String>,
    /// Where the first ones are, if these are not.
    pub(super) first: Option<String>,
    /// Where the next ones are.
    pub(super) next: Option<String>,
}

/// Dead letters of one kind.
#[derive(Clone, Debug)]
pub(super) struct PileRow {
    pub(super) count: usize,
    /// The same, with what they are.
    pub(super) rows: String,
    /// Names it among the page's elements, whatever pile comes before.
    pub(super) id: String,
    pub(super) level: Level,
    /// What they are, for the form.
    pub(super) kind: &'static str,
    /// Mails are not sent again, but put aside.
    pub(super) is_mail: bool,
    pub(super) code: String,
    /// The fields it blames, for people; empty if it blames none.
    pub(super) blamed: String,
    /// The same as a form's field.
    pub(super) fields: String,
    pub(super) conflict: bool,
    pub(super) means: String,
    pub(super) fix: String,
    pub(super) owner: &'static str,
    pub(super) since: Ago,
    /// What Salesforce said of the first that is shown.
    pub(super) message: Option<String>,
    /// Those that are shown.
    pub(super) letters: Vec<LetterRow>,
    /// The page that shows it alone.
    pub(super) href: String,
    /// The page that asks whether to leave it to the org, if it is one of conflicts.
    pub(super) accept: String,
}

/// One dead letter.
#[derive(Clone, Debug)]
pub(super) struct LetterRow {
    pub(super) key: String,
    pub(super) box_id: String,
    pub(super) order: String,
    pub(super) event: String,
    /// What Salesforce said, where it is not what the pile tells.
    pub(super) message: Option<String>,
    pub(super) tries: u32,
    pub(super) since: Ago,
    pub(super) replaying: bool,
}

/// How the last refresh of an event went.
#[derive(Clone, Debug)]
pub(super) struct EventRow {
    pub(super) id: String,
    pub(super) name: String,
    /// Its public page, while it has one.
    pub(super) page: Option<String>,
    pub(super) level: Level,
    pub(super) said: String,
    pub(super) faults: Vec<String>,
    pub(super) at: Option<Ago>,
}

/// A page that asks before something that can't be undone.
#[derive(Template)]
#[template(path = "staff/confirm.html")]
pub(super) struct ConfirmPage {
    pub(super) frame: Frame,
    pub(super) name: String,
    pub(super) heading: String,
    pub(super) text: Vec<String>,
    pub(super) action: String,
    pub(super) fields: Vec<(String, String)>,
    pub(super) label: String,
    pub(super) back: String,
}
