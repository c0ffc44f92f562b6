//! Looking for what changed in an org and nobody told of: the fallback where
//! the org sends no change events, and the repair of what was lost of them.
//! One call a minute reads the rows that changed since the marks, with an
//! overlap; a record whose public fields are as they were read last (our own
//! figures are none) is no news. What is news waits for its refresh like any
//! other, so everything above a refresh works the same however it came about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sloe_core::budget::Purpose;
use sloe_core::ids::{EventRef, SfId};
use sloe_core::inbound;
use sloe_core::time::Timestamp;
use sloe_salesforce::{Changed, Error, Mapping, Mark, Org as Client, Watched};
use sloe_store::api::{StoreError, Write};
use sloe_store::key::Key;
use tokio::time::Instant;

use super::failed::{Failed, LONGEST, pause_after};
use super::orgs::{OrgWork, lock};
use super::outbox::file;
use super::refresh::OVERLAP_MILLIS;
use super::stored;
use crate::engine::Engine;
use crate::refresh::RefreshError;
use crate::tenant::Org;

/// What a look is to the budget.
pub(super) const LOOK: &str = "look for changes";
/// Changed events from which the whole org is read at once.
const MANY: usize = 100;
/// Calls of one look, where there is much to see; the next look goes on.
const PAGES: usize = 20;
/// A row's time has whole seconds: one of a second that is not over may change
/// again without another time, so it is looked at once more.
const SETTLED_MILLIS: i64 = 2_000;
/// Rows remembered of the overlap.
const SEEN: usize = 50_000;
/// How far apart looks begin that are made because something may have gone untold.
const APART: Duration = Duration::from_secs(10);
/// How often marks are written down that moved by time only.
const KEEP: Duration = Duration::from_secs(5 * 60);
/// Marks older than this are given up: the whole org is read instead, and at
/// least that often in any case. It mends what no query shows, such as rows
/// that are gone from the recycle bin.
const WHOLE_MILLIS: i64 = 24 * 60 * 60 * 1_000;

/// How an org's looks go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PollState {
    /// When the last one ended well.
    pub at: Option<Timestamp>,
    /// How many there were since the start.
    pub count: u64,
    /// How far apart they are at present; `None` before the first.
    pub every: Option<Duration>,
    /// Events that looks have found changed, since the start.
    pub found: u64,
    /// Why the last one came to nothing, for the org's staff.
    pub fault: Option<String>,
    /// Until when the org's budget lets none go.
    pub waits_until: Option<Timestamp>,
}

/// One org's marks, and what was seen of the overlap.
#[derive(Default)]
pub(super) struct Poll {
    /// Empty before the whole org was read for the first time.
    marks: BTreeMap<Watched, Mark>,
    /// Rows that were acted upon, and their times.
    seen: BTreeMap<SfId, Timestamp>,
    /// When to look next; `None` while there are no marks.
    next: Option<Instant>,
    /// When the last look began.
    begun: Option<Instant>,
    /// When the whole org was last read, by its clock.
    whole: Option<Timestamp>,
    failures: u32,
    kept: Option<(Instant, Stored)>,
    version: u64,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    /// Object, time, last row of that very time.
    marks: Vec<(String, i64, Option<String>)>,
    whole: i64,
    /// Events that wait for their refresh; empty text is the whole org.
    due: Vec<String>,
    /// The names that the org was read under.
    mapping: String,
}

/// What a look found.
#[derive(Default)]
struct Found {
    events: BTreeSet<SfId>,
    cancelled: BTreeMap<SfId, Vec<String>>,
    /// Whether an attendee made in the org may have been another event's before.
    moved: bool,
}

fn print_of(mapping: &Mapping) -> String {
    let hash = Sha256::digest(format!("{mapping:?}").as_bytes());
    sloe_core::ids::base32::encode(&hash[..10])
}

impl Poll {
    /// Goes on where an earlier process was: what waited for its refresh then,
    /// or `None` if the whole org is to be read.
    pub(super) async fn load(
        &mut self,
        engine: &Engine,
        org: &Arc<Org>,
        mapping: &Mapping,
    ) -> Result<Option<Vec<Option<SfId>>>, StoreError> {
        let key = Key::marks(org.scope);
        let Some(document) = stored(engine, move |store| store.get(&key)).await? else {
            return Ok(None);
        };
        self.version = document.version;
        let Ok(stored) = file::decode::<Stored>(&document.body) else { return Ok(None) };
        let age = engine.now().millis_since(Timestamp(stored.whole));
        if stored.mapping != print_of(mapping)
            || !(0..WHOLE_MILLIS).contains(&age)
            || engine.catalog().is_empty(org.id())
        {
            return Ok(None);
        }
        for of in Watched::ALL {
            let found = stored.marks.iter().find(|(name, ..)| name == of.name());
            let Some((_, stamp, after)) = found else { return Ok(None) };
            let after = after.as_deref().and_then(|id| SfId::parse(id).ok());
            self.marks.insert(of, Mark { stamp: Timestamp(*stamp), after });
        }
        self.whole = Some(Timestamp(stored.whole));
        self.next = Some(Instant::now());
        Ok(Some(stored.due.iter().map(|id| SfId::parse(id).ok()).collect()))
    }

    /// The whole org was read as of `as_of`: nothing older is news.
    pub(super) fn start_at(&mut self, as_of: Timestamp, every: Duration) {
        let from = as_of.plus_millis(-OVERLAP_MILLIS);
        for of in Watched::ALL {
            let mark = self.marks.entry(of).or_insert(Mark { stamp: from, after: None });
            if mark.stamp < from {
                *mark = Mark { stamp: from, after: None };
            }
        }
        self.whole = Some(as_of);
        self.next.get_or_insert(Instant::now() + every);
    }

    /// Returns once it is time to look.
    pub(super) async fn due(&self) {
        match self.next {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn again(&mut self, pause: Duration) {
        self.next = Some(Instant::now() + pause);
    }

    /// Something may have gone untold: the next look comes now, or soon after
    /// the last one. Where there are no marks, the whole org is about to be read.
    pub(super) fn hurry(&mut self) {
        let now = Instant::now();
        let soon = self.begun.map_or(now, |begun| now.max(begun + APART));
        self.next = self.next.map(|next| next.min(soon));
    }

    /// Whether the whole org is to be read again, because that is long ago.
    pub(super) fn is_stale(&self, now: Timestamp) -> bool {
        self.whole.is_some_and(|whole| now.millis_since(whole) >= WHOLE_MILLIS)
    }

    /// Looks once. Marks move only when everything that was found waits for its
    /// refresh; how many events do.
    pub(super) async fn look(
        &mut self,
        engine: &Engine,
        org: &Org,
        work: &OrgWork,
        client: &Client,
    ) -> Result<usize, Failed> {
        self.begun = Some(Instant::now());
        let client = client.for_purpose(Purpose::Poll);
        let (mut found, mut as_of) = (Found::default(), None);
        let (mut marks, mut acted) = (self.marks.clone(), Vec::new());
        for _ in 0..PAGES {
            let looked = client.look(&marks).await?;
            as_of = as_of.or(Some(looked.as_of));
            for change in &looked.changes {
                if self.seen.get(&change.record.id) != Some(&change.stamp)
                    && judge(work, change, &mut found)
                    && change.stamp.plus_millis(SETTLED_MILLIS) <= looked.as_of
                {
                    acted.push((change.record.id, change.stamp));
                }
            }
            marks = looked.more;
            if marks.is_empty() {
                break;
            }
        }
        if found.moved {
            recount(engine, org, work, &client, &mut found).await?;
        }
        for (event, keys) in &found.cancelled {
            let event = EventRef { org: org.id(), event: *event };
            if engine.catalog().listing(event).is_none() {
                continue;
            }
            match engine.cancel_by_org(event, keys).await {
                // That event waits for staff; the others go on.
                Ok(()) | Err(RefreshError::Quarantined(_)) => {}
                Err(error) => return Err(Failed::Here(error)),
            }
        }
        if found.events.len() > MANY {
            work.inbox.push(None, false);
        } else {
            found.events.iter().for_each(|event| work.inbox.push(Some(*event), false));
        }
        self.pass(as_of.unwrap_or_default().plus_millis(-OVERLAP_MILLIS), &marks, acted);
        Ok(found.events.len())
    }

    /// Notes how a look went; how long to wait for the next.
    pub(super) fn note(
        &mut self,
        engine: &Engine,
        work: &OrgWork,
        every: Duration,
        looked: Result<usize, Failed>,
    ) -> Duration {
        let mut state = lock(&work.poll);
        state.every = Some(every);
        let failed = match looked {
            Ok(found) => {
                self.failures = 0;
                *state = PollState {
                    at: Some(engine.now()),
                    count: state.count + 1,
                    found: state.found + found as u64,
                    fault: None,
                    waits_until: None,
                    ..state.clone()
                };
                metrics::counter!("sloe_polls_total").increment(1);
                // There is more to see.
                let more = self.marks.values().any(|mark| mark.after.is_some());
                return if more { Duration::ZERO } else { every };
            }
            Err(failed) => failed,
        };
        if let Failed::Org(Error::Budget { until, .. }) = failed {
            state.waits_until = Some(until);
            return work.budget.pause(until).clamp(Duration::from_secs(1), every.max(LONGEST));
        }
        let told = failed.tell(work.org, LOOK, None);
        state.fault = Some(format!("{} {}", told.means, told.remedy));
        let pause = pause_after(told.advice, self.failures);
        self.failures = self.failures.saturating_add(1);
        pause.max(every.min(LONGEST))
    }

    /// Moves the marks to where a look ended: `more` where it did not.
    fn pass(
        &mut self,
        from: Timestamp,
        more: &BTreeMap<Watched, Mark>,
        acted: Vec<(SfId, Timestamp)>,
    ) {
        for of in Watched::ALL {
            let end = Mark { stamp: from, after: None };
            self.marks.insert(of, more.get(&of).copied().unwrap_or(end));
        }
        self.seen.extend(acted);
        self.seen.retain(|_, stamp| *stamp >= from);
        if self.seen.len() > SEEN {
            // What is forgotten is one refresh for nothing.
            self.seen.clear();
        }
    }

    /// Writes down where to go on, with what waits for its refresh.
    pub(super) async fn save(
        &mut self,
        engine: &Engine,
        org: &Org,
        work: &OrgWork,
        mapping: &Mapping,
    ) -> Result<(), StoreError> {
        let Some(whole) = self.whole else { return Ok(()) };
        let text = |target: Option<SfId>| target.map(|id| id.to_string()).unwrap_or_default();
        let mark = |(of, mark): (&Watched, &Mark)| {
            (of.name().to_owned(), mark.stamp.0, mark.after.map(|id| id.to_string()))
        };
        let now = Stored {
            marks: self.marks.iter().map(mark).collect(),
            whole: whole.0,
            due: work.inbox.targets().into_iter().map(text).collect(),
            mapping: print_of(mapping),
        };
        if let Some((at, kept)) = &self.kept
            && at.elapsed() < KEEP
            && (kept.whole, &kept.due) == (now.whole, &now.due)
        {
            return Ok(());
        }
        self.version += 1;
        let write = Write {
            key: Key::marks(org.scope),
            version: self.version,
            body: Some(file::encode(&now)),
        };
        stored(engine, move |store| store.put(&[write])).await?;
        self.kept = Some((Instant::now(), now));
        Ok(())
    }
}

/// Whether a row is news, and whose.
fn judge(work: &OrgWork, change: &Changed, found: &mut Found) -> bool {
    let before = found.events.len();
    match change.of {
        Watched::Event | Watched::Item | Watched::Session => {
            let known = work.reads.known(change.record.id);
            let was = known.map(|(event, _)| event);
            let same = match known {
                None => change.deleted,
                Some((event, print)) => {
                    !change.deleted
                        && change.event == Some(event)
                        && print == inbound::print(&change.record)
                }
            };
            if same {
                return false;
            }
            // A record that moved is news of both events.
            found.events.extend(was.into_iter().chain(change.event));
        }
        Watched::Attendee | Watched::SessionAttendee => match (&change.key, change.event) {
            (Some(_), None) => {}
            (Some(key), Some(event)) => {
                found.cancelled.entry(event).or_default().push(key.clone());
                return true;
            }
            (None, event) => {
                let known = event.and_then(|event| work.reads.known(event));
                found.events.extend(known.map(|(event, _)| event));
                found.moved |= change.edited;
                return true;
            }
        },
    }
    found.events.len() > before || change.event.is_some()
}

/// An attendee that was moved to another event says nothing of the one it was
/// in: what is counted there is news of each event to come that counted any,
/// where it is something else than what was read last.
async fn recount(
    engine: &Engine,
    org: &Org,
    work: &OrgWork,
    client: &Client,
    found: &mut Found,
) -> Result<(), Failed> {
    let now = engine.now();
    let to_come = |event: SfId| {
        let listing = engine.catalog().listing(EventRef { org: org.id(), event });
        listing.is_some_and(|listing| listing.ends_at > now)
    };
    let mut counted = work.reads.external();
    counted.retain(|(event, _)| !found.events.contains(event) && to_come(*event));
    let events: Vec<_> = counted.iter().map(|(event, _)| *event).collect();
    let there = client.count_external(&events).await?;
    let other = |(record, count): &(SfId, u32)| there.get(record).copied().unwrap_or(0) != *count;
    let lost = counted.into_iter().filter(|(_, counts)| counts.iter().any(other));
    found.events.extend(lost.map(|(event, _)| event));
    Ok(())
}

/// Up to where an org's changes were read, as an earlier process noted.
pub(crate) struct Noted {
    /// Changes before are known.
    pub(crate) up_to: Timestamp,
    /// Refreshes that were asked for and not made then.
    pub(crate) due: usize,
}

/// What an earlier process noted, if it did.
pub(crate) async fn noted(engine: &Engine, org: &Org) -> Result<Option<Noted>, StoreError> {
    let key = Key::marks(org.scope);
    let Some(document) = stored(engine, move |store| store.get(&key)).await? else {
        return Ok(None);
    };
    let stored = file::decode::<Stored>(&document.body)?;
    let up_to = stored.marks.iter().map(|(_, stamp, _)| *stamp).min().unwrap_or(stored.whole);
    let up_to = Timestamp(up_to).plus_millis(OVERLAP_MILLIS);
    Ok(Some(Noted { up_to, due: stored.due.len() }))
}

impl Engine {
    /// How an org's looks for changes go; `None` where none run.
    #[must_use]
    pub fn poll_state(&self, org: sloe_core::ids::OrgId) -> Option<PollState> {
        match self.workers().known(org) {
            Some(work) => Some(lock(&work.poll).clone()),
            None => Some(self.workers().standings.of(org)?.poll.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
