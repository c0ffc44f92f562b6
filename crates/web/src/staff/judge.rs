//! What is the matter with an org, the worst first, and what to do about it.
//! Nothing is in order here that Sloe has not seen to be.

use std::time::Duration;

use sloe_core::time::Timestamp;
use sloe_engine::refresh::{Outcome, Refresh};
use sloe_engine::sync::{LetterKind, Pile};
use sloe_engine::verify::Verified;
use sloe_engine::worker::Calls24h;

use super::ago::{self, Ago};
use super::compare;
use super::draw::counted;
use super::facts::{Facts, Stored};
use super::letters;

/// How long rows may wait before somebody should look, in milliseconds.
const PATIENCE_MILLIS: i64 = 15 * 60 * 1_000;
/// A pause between two calls that is longer than this is worth a word, in milliseconds.
const PAUSE_MILLIS: i64 = 60 * 1_000;
/// How long a task that broke down is told of, in milliseconds.
const STUMBLED_MILLIS: i64 = 24 * 60 * 60 * 1_000;
/// How old the last comparison may be before somebody should look, in milliseconds.
const NEGLECTED_MILLIS: i64 = 24 * 60 * 60 * 1_000;
/// Faulty events that are named one by one.
const NAMED: usize = 3;

/// How something stands, the best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// In order, and seen to be.
    #[default]
    Good,
    /// On its way, by itself.
    Busy,
    /// Somebody should look.
    Warn,
    /// Somebody must help.
    Bad,
}

impl Level {
    /// In words.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Good => "In order",
            Self::Busy => "Catching up",
            Self::Warn => "Needs a look",
            Self::Bad => "Needs help",
        }
    }

    /// Its class.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "is-good",
            Self::Busy => "is-busy",
            Self::Warn => "is-warn",
            Self::Bad => "is-bad",
        }
    }

    /// Its icon.
    pub(crate) fn icon(self) -> &'static str {
        match self {
            Self::Good => "check",
            Self::Busy => "hourglass",
            Self::Warn => "info",
            Self::Bad => "alert",
        }
    }
}

/// One thing that is the matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// How bad.
    pub(crate) level: Level,
    /// What happened.
    pub(crate) what: String,
    /// What to do, and who can.
    pub(crate) todo: String,
    /// Since when, where that is known.
    pub(crate) since: Option<Ago>,
    /// The part of the org's page that has more.
    pub(crate) part: &'static str,
}

impl Trouble {
    /// What the part of the page is called.
    pub(crate) fn part_name(&self) -> &'static str {
        match self.part {
            "letters" => "what could not be delivered",
            "reads" => "what was read",
            "calls" => "the API calls",
            "license" => "the license",
            "compare" => "the comparison",
            _ => "the way to Salesforce",
        }
    }
}

/// How an org stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// As a whole.
    pub(crate) level: Level,
    /// What is the matter, the worst first.
    pub(crate) troubles: Vec<Trouble>,
    /// What goes on by itself.
    pub(crate) busy: Vec<String>,
}

/// How the org stands that `facts` are of.
pub(super) fn judge(facts: &Facts) -> Verdict {
    let mut found = Found { now: facts.at, troubles: Vec::new(), busy: Vec::new() };
    match &facts.stored {
        Ok(stored) => found.writing(stored),
        Err(_) => found.add(
            Level::Bad,
            "How this org stands can’t be read from the store.".to_owned(),
            "Look at the log and at the disk.".to_owned(),
            None,
            "sync",
        ),
    }
    found.reading(facts);
    if let Some(trouble) = &facts.org.mapping.trouble {
        let level = if facts.org.mapping.is_in_force() { Level::Warn } else { Level::Bad };
        let todo = "Whoever runs Sloe can; sloe org check says what it must fit.";
        found.add(level, trouble.clone(), todo.to_owned(), None, "reads");
    }
    if !facts.license.live {
        found.add(
            Level::Warn,
            format!("It takes no new registrations. {}", facts.license.why),
            "Open holds may still be confirmed, and orders stay as they are. Renew or mend the license.".to_owned(),
            None,
            "license",
        );
    }
    if facts.license.grace {
        let todo = "Renew the license, and see on the overview why its source org is not read.";
        found.add(Level::Warn, facts.license.why.clone(), todo.to_owned(), None, "license");
    }
    for damage in &facts.damages {
        found.add(Level::Bad, damage.says(), damage.todo(), None, "reads");
    }
    for stumble in &facts.stumbles {
        if facts.at.millis_since(stumble.at) < STUMBLED_MILLIS {
            let times = if stumble.count == 1 { "once" } else { "more than once" };
            found.add(
                Level::Warn,
                format!("Its task “{}” broke down {times} and was started again.", stumble.worker),
                "This is a fault of Sloe’s: look for the panic in the log and report it."
                    .to_owned(),
                Some(stumble.at),
                "sync",
            );
        }
    }
    let Found { mut troubles, busy, .. } = found;
    troubles.sort_by_key(|trouble| std::cmp::Reverse(trouble.level));
    let least = if busy.is_empty() { Level::Good } else { Level::Busy };
    let level = troubles.first().map_or(least, |worst| worst.level.max(least));
    Verdict { level, troubles, busy }
}

struct Found {
    now: Timestamp,
    troubles: Vec<Trouble>,
    busy: Vec<String>,
}

impl Found {
    fn add(
        &mut self,
        level: Level,
        what: String,
        todo: String,
        since: Option<Timestamp>,
        part: &'static str,
    ) {
        let since = since.map(|at| Ago::new(at, self.now));
        self.troubles.push(Trouble { level, what, todo, since, part });
    }

    /// Whether something of that part of the page is the matter.
    fn tells(&self, part: &str) -> bool {
        self.troubles.iter().any(|trouble| trouble.part == part)
    }

    /// The way to Salesforce.
    fn writing(&mut self, stored: &Stored) {
        let Stored { calls, sync, piles, verified, compare_every, changes } = stored;
        let fault = sync.fault.as_ref().filter(|fault| !Calls24h::is_the_remedy(&fault.remedy));
        if let Some(fault) = fault {
            let (means, remedy) = (fault.means.clone(), fault.remedy.clone());
            self.add(Level::Bad, means, remedy, Some(fault.at), "sync");
        }
        for pile in piles {
            self.pile(pile);
        }
        let waits = calls.waits_until.filter(|until| until.millis_since(self.now) > PAUSE_MILLIS);
        if let Some(until) = waits {
            let until = ago::length(until.millis_since(self.now));
            let often = if calls.is_at_the_reserve() {
                "See which integration uses them if this happens often."
            } else {
                "Raise its share if this happens often."
            };
            let todo = "Nothing to do: Sloe looks again within";
            let todo = format!("{todo} {until}, and no registration is lost. {often}");
            self.add(Level::Warn, calls.means(), todo, None, "calls");
        }
        let waiting = sync.waiting_since.filter(|_| !sync.is_drained());
        let long = waiting.filter(|since| self.now.millis_since(*since) > PATIENCE_MILLIS);
        if let (Some(since), None, None) = (long, fault, waits) {
            self.add(
                Level::Warn,
                "Rows have been waiting for Salesforce for long.".to_owned(),
                "They are kept. See below what they wait for.".to_owned(),
                Some(since),
                "sync",
            );
        }
        if let Some(what) = changes.trouble() {
            let todo = "Until then Sloe looks for changes by itself, and the Update button works.";
            self.add(Level::Warn, what, todo.to_owned(), None, "reads");
        }
        match verified {
            Some(verified) => {
                self.compared(verified);
                self.aged(verified, *compare_every);
            }
            None => self.busy.push("it was not compared with Salesforce yet".to_owned()),
        }
        if !sync.is_drained() {
            self.busy.push("rows are on their way to Salesforce".to_owned());
        }
    }

    fn compared(&mut self, verified: &Verified) {
        let level = compare::level(verified);
        if let Some(fault) = &verified.fault {
            let what = format!("It could not be compared as a whole. {}", compare::means(fault));
            self.add(Level::Warn, what, fault.remedy.clone(), Some(fault.at), "compare");
        }
        if let Some(refusal) = &verified.refusal {
            let (what, todo) = (refusal.means.clone(), refusal.remedy.clone());
            self.add(Level::Bad, what, todo, Some(refusal.at), "compare");
        }
        if verified.open() > 0 {
            let what = format!(
                "Salesforce does not hold what it was sent. {}.",
                compare::sentence(verified)
            );
            let todo =
                "Some of it Sloe does not put right by itself: see below what needs a decision.";
            self.add(Level::Bad, what, todo.to_owned(), Some(verified.ended), "compare");
        } else if verified.found() > 0 && level != Level::Bad {
            self.busy.push("rows that differed are being put right".to_owned());
        } else if level == Level::Busy {
            self.busy.push("some of it could not be compared yet".to_owned());
        }
    }

    /// A comparison says nothing of what came long after it.
    fn aged(&mut self, verified: &Verified, every: Duration) {
        if !compare::is_old(verified, every, self.now) {
            return;
        }
        if self.now.millis_since(verified.ended) < NEGLECTED_MILLIS {
            self.busy.push("it was not compared with Salesforce for long".to_owned());
            return;
        }
        let what = "It was not compared with Salesforce for more than a day.";
        let todo = "Press Compare now. If that does not help, look for the reason in the log.";
        self.add(Level::Warn, what.to_owned(), todo.to_owned(), Some(verified.ended), "compare");
    }

    fn pile(&mut self, pile: &Pile) {
        let count = pile.count;
        let what = if pile.conflict {
            format!("{} a decision.", counted(count, "row needs", "rows need"))
        } else if pile.kind == LetterKind::Mail {
            let mails = counted(count, "confirmation mail", "confirmation mails");
            format!("{mails} could not be delivered.")
        } else {
            format!("{} could not be delivered.", counted(count, "row", "rows"))
        };
        let (level, what) = (weight(pile), format!("{what} {}", pile.means));
        let todo = match letters::who(pile.owner) {
            "" => pile.fix.clone(),
            owner => format!("{} Who can: the {owner}.", pile.fix),
        };
        self.add(level, what, todo, Some(pile.since), "letters");
    }

    /// The way from Salesforce.
    fn reading(&mut self, facts: &Facts) {
        match facts.whole() {
            None => self.busy.push("it is read for the first time".to_owned()),
            Some(whole) => {
                if let Outcome::Failed { means, remedy, again } = &whole.outcome
                    && !(Calls24h::is_the_remedy(remedy) && self.tells("calls"))
                {
                    let (means, remedy) = (means.clone(), remedy.clone());
                    let level = if *again { Level::Warn } else { Level::Bad };
                    self.add(level, means, remedy, Some(whole.at), "reads");
                }
            }
        }
        let troubled: Vec<&Refresh> = facts
            .refreshes
            .iter()
            .filter(|refresh| refresh.event.is_some() && refresh.trouble().is_some())
            .collect();
        let (faulty, rest) = troubled.split_at(troubled.len().min(NAMED));
        for refresh in faulty {
            let said = refresh.trouble().unwrap_or_default();
            let event = refresh.event.map(|event| facts.name_of(event)).unwrap_or_default();
            self.add(
                Level::Warn,
                format!("\u{2068}{event}\u{2069} is not as Salesforce has it. {said}"),
                "Mend its record in Salesforce and press Update there, or refresh it here."
                    .to_owned(),
                Some(refresh.at),
                "reads",
            );
        }
        if !rest.is_empty() {
            let what = format!("{} more events are not as Salesforce has them.", rest.len());
            self.add(Level::Warn, what, "See them all below.".to_owned(), None, "reads");
        }
        if let Some(fault) = facts.poll.as_ref().and_then(|poll| poll.fault.clone()) {
            let todo = "Until then only the Update button and whole reads bring changes.";
            self.add(Level::Warn, fault, todo.to_owned(), None, "reads");
        }
        if facts.progress.is_some() {
            self.busy.push("it is being read as a whole".to_owned());
        }
    }
}

/// How bad a pile of dead letters is: rows that Salesforce refused are, unless
/// somebody need only decide, or nobody can do anything about them by themselves.
pub(super) fn weight(pile: &Pile) -> Level {
    let mild = pile.conflict || pile.kind == LetterKind::Mail;
    if mild || letters::who(pile.owner).is_empty() { Level::Warn } else { Level::Bad }
}

#[cfg(test)]
mod tests;
