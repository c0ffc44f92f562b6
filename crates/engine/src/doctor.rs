//! How everything is, in words: what `sloe doctor` prints. Every line comes
//! from what Sloe knows already, so asking costs no call to an org. A new line
//! is a function here and its place in `org_lines` or `platform::lines`.

mod platform;
mod rest;

use sloe_core::ids::OrgId;
use sloe_core::time::Timestamp;
use sloe_core::words::counted;
use sloe_store::api::Destination;

use crate::changes::{Changes, SUPPORTED, UNSUPPORTED};
use crate::engine::Engine;
use crate::refresh::{Outcome, Refresh};
use crate::tenant::Org;
use crate::worker::PollState;

/// Pending journals whose age is looked at.
const LOOKED_AT: usize = 200;
/// From when on rows that wait are a matter for a person, in milliseconds.
const OLD_MILLIS: i64 = 15 * 60 * 1_000;
/// Faulty events named in one line.
const NAMED: usize = 3;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// As it should be.
    Good,
    /// Worth knowing; nobody has to do anything.
    Note,
    /// A person has to do something.
    Attention,
}

impl Health {
    /// Its stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Attention => "attention",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What.
    pub subject: &'static str,
    /// How it is.
    pub health: Health,
    /// The same in words.
    pub says: String,
    /// What to do, if anything.
    pub todo: Option<String>,
}

impl Line {
    fn good(subject: &'static str, says: impl Into<String>) -> Self {
        Self { subject, health: Health::Good, says: says.into(), todo: None }
    }

    fn note(subject: &'static str, says: impl Into<String>) -> Self {
        Self { health: Health::Note, ..Self::good(subject, says) }
    }

    fn attention(subject: &'static str, says: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { health: Health::Attention, todo: Some(todo.into()), ..Self::good(subject, says) }
    }
}

/// Everything about one org.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// Which.
    pub org: OrgId,
    /// Its slug.
    pub slug: String,
    /// What was looked at.
    pub lines: Vec<Line>,
}

impl Engine {
    /// How every org is, by slug.
    pub async fn examine_orgs(&self) -> Vec<Examined> {
        if self.workers().at_rest() {
            self.try_journals().await;
        }
        let mut all = Vec::new();
        for org in self.registry().all() {
            let mut lines = org_lines(self, &org).await;
            lines.extend(damages(self, &org));
            all.push(Examined { org: org.id(), slug: org.profile.slug.clone(), lines });
        }
        all
    }

    /// How the platform itself is.
    pub async fn examine_platform(&self) -> Vec<Line> {
        platform::lines(self).await
    }
}

async fn org_lines(engine: &Engine, org: &Org) -> Vec<Line> {
    if engine.workers().at_rest() {
        return rest::org_lines(engine, org).await;
    }
    engine.recall_standing(org.id()).await;
    let poll = engine.poll_state(org.id()).unwrap_or_default();
    let refreshes = engine.refreshes(org.id());
    vec![
        connection(engine, org, &poll, &refreshes).await,
        inbound(engine, org, &poll).await,
        refresh(engine, org, &refreshes),
        looks(engine, &poll),
        budget(engine, org).await,
        outbox(engine, org).await,
        letters(engine, org).await,
        license(engine, org),
        comparison(engine, org).await,
        panics(engine, org),
    ]
}

/// Events of which something can't be read, a line for each.
fn damages(engine: &Engine, org: &Org) -> Vec<Line> {
    let all = engine.damages(org.id()).into_iter();
    all.map(|damage| Line::attention("damaged event", damage.says(), damage.todo())).collect()
}

/// How long ago `at` is, for people.
fn ago(engine: &Engine, at: Timestamp) -> String {
    let seconds = engine.now().millis_since(at).max(0) / 1_000;
    match seconds {
        0..=1 => "just now".to_owned(),
        2..=119 => format!("{seconds} s ago"),
        120..=7_199 => format!("{} min ago", seconds / 60),
        7_200..=172_799 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

async fn connection(engine: &Engine, org: &Org, poll: &PollState, refreshes: &[Refresh]) -> Line {
    let subject = "connection";
    let state = engine.sync_state(org.id()).await.unwrap_or_default();
    let whole = refreshes.iter().find(|refresh| refresh.event.is_none());
    let refused = whole.and_then(|refresh| match &refresh.outcome {
        Outcome::Failed { means, remedy, .. } => Some((refresh.at, means, remedy)),
        _ => None,
    });
    let good = refreshes.iter().filter(|r| !matches!(r.outcome, Outcome::Failed { .. }));
    let heard = good.map(|refresh| refresh.at).chain(poll.at).chain(state.last_drain).max();
    let fault = state.fault.as_ref().map(|fault| (fault.at, &fault.means, &fault.remedy));
    match [fault, refused].into_iter().flatten().max_by_key(|(at, ..)| *at) {
        Some((at, means, remedy)) if heard.is_none_or(|heard| heard < at) => {
            Line::attention(subject, format!("{} ({})", means, ago(engine, at)), remedy)
        }
        _ => match heard {
            Some(at) => {
                let at = ago(engine, at);
                Line::good(subject, format!("{} answered {at}.", org.login_url()))
            }
            None => Line::note(subject, format!("{} was not asked yet.", org.login_url())),
        },
    }
}

async fn inbound(engine: &Engine, org: &Org, poll: &PollState) -> Line {
    let subject = "changes";
    let changes = engine.changes(org.id()).await.unwrap_or_default();
    if changes.source.is_some() {
        return told(engine, subject, &changes, poll);
    }
    match poll.every {
        Some(every) => {
            let seconds = every.as_secs_f64();
            Line::good(
                subject,
                format!(
                    "By the Update button, and by a look every {seconds} s: the org sends no change events."
                ),
            )
        }
        None => Line::note(subject, "No look for changes was made yet."),
    }
}

/// How the change events go that an org was asked to send.
fn told(engine: &Engine, subject: &'static str, changes: &Changes, poll: &PollState) -> Line {
    if !SUPPORTED {
        return Line::attention(subject, UNSUPPORTED, "Or switch them off: sloe org changes.");
    }
    let looks = poll.every.map_or(String::new(), |every| {
        format!(", by the Update button, and by a look every {} s", every.as_secs_f64())
    });
    let last = changes.last.map_or("none was told yet".to_owned(), |at| {
        format!("the last was told {}", ago(engine, at))
    });
    match changes.down() {
        Some((means, remedy, true)) => Line::note(subject, format!("{means} {remedy}")),
        Some((means, remedy, false)) => Line::attention(subject, means, remedy),
        None if changes.healthy() => {
            Line::good(subject, format!("By change events{looks}; {last}."))
        }
        None => Line::note(subject, "Change events are being subscribed to."),
    }
}

fn refresh(engine: &Engine, org: &Org, refreshes: &[Refresh]) -> Line {
    let subject = "refresh";
    if let Some(progress) = engine.progress(org.id()) {
        let (read, known) = (progress.read, progress.known.max(progress.read));
        let since = ago(engine, progress.since);
        return Line::note(
            subject,
            format!("The whole org is being read: {read} of {known} events, begun {since}."),
        );
    }
    let troubled: Vec<_> =
        refreshes.iter().filter_map(|r| Some((r.event?, r.trouble()?))).collect();
    if let Some((first, said)) = troubled.first() {
        let named: Vec<_> =
            troubled.iter().take(NAMED).map(|(event, _)| event.to_string()).collect();
        let more = troubled.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        return Line::attention(
            subject,
            format!(
                "Not as Salesforce says: {}, {}{more}. {first}: {said}",
                counted(troubled.len(), "event"),
                named.join(", ")
            ),
            "Mend the records named in Salesforce and press Update.",
        );
    }
    match refreshes.iter().map(|refresh| refresh.at).max() {
        Some(at) => {
            let events = refreshes.iter().filter(|refresh| refresh.event.is_some()).count();
            Line::good(
                subject,
                format!(
                    "{} as Salesforce says; the last was read {}.",
                    counted(events, "event"),
                    ago(engine, at)
                ),
            )
        }
        None => Line::note(subject, "Nothing of the org was read yet."),
    }
}

fn looks(engine: &Engine, poll: &PollState) -> Line {
    let subject = "last look";
    let at = poll.at.map(|at| ago(engine, at));
    match (&poll.fault, poll.waits_until, at) {
        (Some(fault), ..) => Line::attention(
            subject,
            fault,
            "Sloe tries again by itself; see the line on the connection.",
        ),
        (None, Some(until), _) => {
            let until = until.to_words();
            Line::note(subject, format!("The budget lets none go until {until}."))
        }
        (None, None, Some(at)) => Line::good(
            subject,
            format!(
                "{at}; {} since the start found {}.",
                poll.count,
                counted(poll.found, "changed event")
            ),
        ),
        (None, None, None) => {
            Line::note(subject, "None yet: it follows the first reading of the whole org.")
        }
    }
}

async fn budget(engine: &Engine, org: &Org) -> Line {
    let subject = "API budget";
    match engine.calls(org.id()).await {
        Err(error) => {
            Line::attention(subject, format!("It can't be read: {error}"), "Look at Sloe's log.")
        }
        Ok(calls) => {
            let used =
                calls.told.map_or("The org has not told its allowance yet".to_owned(), |told| {
                    format!("{} of {} calls of 24 hours are used", told.used, told.max)
                });
            let says =
                format!("{used}; {} by Sloe, which may make {} more.", calls.ours, calls.left);
            match calls.trouble() {
                Some(trouble) => Line::attention(
                    subject,
                    format!("{says} {trouble}"),
                    "Find out in Salesforce's Setup, Company Information, who uses the calls up; or let Sloe have more: sloe org budget.",
                ),
                None => Line::good(subject, says),
            }
        }
    }
}

async fn outbox(engine: &Engine, org: &Org) -> Line {
    let subject = "outbox";
    let Ok(state) = engine.sync_state(org.id()).await else {
        return Line::attention(subject, "It can't be read.", "Look at Sloe's log.");
    };
    if state.is_drained() {
        return Line::good(subject, "Salesforce has everything.");
    }
    let oldest = oldest_pending(engine, org.id()).await;
    let age = oldest.map_or(String::new(), |at| format!(", the oldest from {}", ago(engine, at)));
    let says = format!(
        "{} with news for Salesforce{age}; {} to be tried again.",
        counted(state.pending_events, "event"),
        counted(state.retrying, "row")
    );
    let old = oldest.is_some_and(|at| engine.now().millis_since(at) > OLD_MILLIS);
    match state.fault {
        Some(fault) => Line::attention(subject, format!("{says} {}", fault.means), fault.remedy),
        None if old => Line::attention(
            subject,
            says,
            "See sloe sync status; if nothing moves, look at Sloe's log.",
        ),
        None => Line::good(subject, says),
    }
}

/// When the oldest commit was that the org has not.
async fn oldest_pending(engine: &Engine, org: OrgId) -> Option<Timestamp> {
    let oldest = engine.blocking(move |store| {
        let mut oldest: Option<Timestamp> = None;
        let pending = store.pending(Destination::Org)?;
        for of in pending.iter().filter(|of| of.event.org == org).take(LOOKED_AT) {
            let first = store.read(of.event, of.cursor, 1)?;
            oldest = first.first().map(|batch| batch.at).into_iter().chain(oldest).min();
        }
        Ok(oldest)
    });
    oldest.await.ok().flatten()
}

async fn letters(engine: &Engine, org: &Org) -> Line {
    let subject = "dead letters";
    let slug = &org.profile.slug;
    match engine.sync_state(org.id()).await {
        Err(_) => Line::attention(subject, "They can't be read.", "Look at Sloe's log."),
        Ok(state) if state.dead_letters + state.conflicts == 0 => Line::good(subject, "None."),
        Ok(state) => Line::attention(
            subject,
            format!(
                "{} refused by Salesforce for good, {}.",
                counted(state.dead_letters, "row"),
                counted(state.conflicts, "conflict")
            ),
            format!("See what each needs with sloe sync letters {slug}, then replay or accept it."),
        ),
    }
}

fn license(engine: &Engine, org: &Org) -> Line {
    let subject = "license";
    let licensed = engine.licensed_org(org.id());
    let says = licensed.why();
    match (licensed.answer.is_live(), licensed.answer.grace_until()) {
        (true, None) => Line::good(subject, says),
        (true, Some(_)) => Line::note(subject, says),
        (false, _) => Line::attention(
            subject,
            format!("No new registrations are taken. {says}"),
            "Renew it in the source org of licenses, or record it: sloe license --help.",
        ),
    }
}

async fn comparison(engine: &Engine, org: &Org) -> Line {
    let subject = "comparison";
    let last = match engine.last_verify(org.id()).await {
        Ok(last) => last,
        Err(error) => {
            return Line::attention(subject, error.to_string(), "Look at Sloe's log.");
        }
    };
    let Some(last) = last else {
        return Line::note(subject, "Salesforce was not compared with what it was sent yet.");
    };
    let at = ago(engine, last.ended);
    if let Some(fault) = &last.fault {
        return Line::attention(
            subject,
            format!("It ended early {at}: {}", fault.means),
            &fault.remedy,
        );
    }
    let found = last.found();
    let open = (last.open() > 0).then(|| {
        let rows = counted(found, "row");
        let what = format!("{rows} differed {at}, and Sloe can't put {} right.", last.open());
        (what, format!("See sloe sync verify {}.", org.profile.slug))
    });
    let refused = last.refusal.as_ref().map(|refusal| {
        (format!("Figures differed {at}: {}", refusal.means), refusal.remedy.clone())
    });
    let troubles: Vec<_> = open.into_iter().chain(refused).collect();
    if !troubles.is_empty() {
        let (what, todo): (Vec<_>, Vec<_>) = troubles.into_iter().unzip();
        return Line::attention(subject, what.join(" "), todo.join(" "));
    }
    if last.is_clean() && last.unsure > 0 {
        let held = counted(last.rows - last.unsure.min(last.rows), "row");
        return Line::note(
            subject,
            format!("Salesforce held {held} as sent {at}; {} still on the way.", last.unsure),
        );
    }
    if last.is_clean() {
        return Line::good(
            subject,
            format!("Salesforce held {} as sent {at}.", counted(last.rows, "row")),
        );
    }
    Line::note(
        subject,
        format!(
            "{} differed {at}; Sloe has put right what did. {} left for the next comparison.",
            counted(found, "row"),
            counted(last.left_out, "event")
        ),
    )
}

fn panics(engine: &Engine, org: &Org) -> Line {
    let subject = "tasks";
    let all = engine.stumbles(org.id());
    match all.iter().max_by_key(|stumbles| stumbles.at) {
        None => Line::good(subject, "All run."),
        Some(last) => Line::attention(
            subject,
            format!(
                "The {} task ended by a panic {}, the last {}, and was begun again.",
                last.worker,
                counted(last.count, "time"),
                ago(engine, last.at)
            ),
            "Report it with the log of that time: it is a fault of Sloe.",
        ),
    }
}
