//! Reading events from an org: one task per org, one call at a time, so that
//! what is read later is newer. Public pages never wait for it.
//!
//! Nothing else puts readings in force, and each is in force before the next
//! is begun. The ledger relies on it: terms that are the same again make no
//! fact, so its journal does not say how new they are, and it would take a
//! reading that is older than such a one. Where several nodes run workers, one
//! of them reads an org at a time, for longer than any call of it may take.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sloe_core::budget::Purpose;
use sloe_core::ids::{EventRef, OrgId, SfId};
use sloe_core::inbound::RawEvent;
use sloe_core::time::Timestamp;
use sloe_salesforce::{Advice, Error, Org as Client};
use sloe_store::api::{StoreError, Write};
use sloe_store::key::Key;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::orgs::{OrgWork, ensure, lock};
use super::stored;
use crate::engine::Engine;
use crate::refresh::{Outcome, Refresh, RefreshError};
use crate::tenant::Org;

/// Events that may wait one by one; more are read with the whole org.
const WAITING: usize = 1_000;
/// How far back cancellations are asked for again, in milliseconds: a change
/// that was not visible yet at the last look, and clocks that differ.
const OVERLAP_MILLIS: i64 = 10 * 60 * 1_000;
/// The longest pause after a failure that passes by itself.
const LONGEST: Duration = Duration::from_secs(60);
/// The pause after a failure that a person must mend.
const MENDING: Duration = Duration::from_secs(5 * 60);

/// What to do when an org shows none of its events.
const ALL_GONE_REMEDY: &str = "Check in Salesforce that the integration user still has its \
    permission set and sees the events. If they are really to go, unpublish them there, or, once \
    they are deleted, refresh each by itself: sloe event refresh --org ORG EVENT.";

/// What waits to be read; `None` is the whole org.
#[derive(Default)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Default)]
struct Waiting {
    due: BTreeMap<Option<SfId>, Due>,
    /// The org's allowance is used up until then, whoever asks.
    closed_until: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Due {
    at: Instant,
    /// Failures in a row.
    failures: u32,
}

impl Inbox {
    /// Lets a target wait, unless it does already.
    pub(super) fn push(&self, target: Option<SfId>) {
        let mut waiting = lock(&self.waiting);
        let known = waiting.due.contains_key(&target);
        let full = waiting.due.len() >= WAITING && !known;
        let due = Due { at: Instant::now(), failures: 0 };
        waiting.due.insert(if full { None } else { target }, due);
        self.news.notify_one();
    }

    /// Lets a target that failed wait for its next turn, unless it was asked for anew.
    fn again(&self, target: Option<SfId>, failures: u32, pause: Duration) {
        let at = Instant::now() + pause;
        lock(&self.waiting).due.entry(target).or_insert(Due { at, failures });
    }

    fn close(&self, pause: Duration) {
        lock(&self.waiting).closed_until = Some(Instant::now() + pause);
    }

    /// Takes out what is due, or says when to look again.
    fn take(&self) -> Result<(Option<SfId>, u32), Option<Instant>> {
        let now = Instant::now();
        let mut waiting = lock(&self.waiting);
        if let Some(until) = waiting.closed_until.filter(|until| *until > now) {
            return Err(Some(until));
        }
        let next = waiting.due.iter().min_by_key(|(_, due)| due.at).map(|(t, due)| (*t, *due));
        match next {
            None => Err(None),
            Some((_, due)) if due.at > now => Err(Some(due.at)),
            Some((target, due)) => {
                waiting.due.remove(&target);
                if target.is_none() {
                    // The whole org comes with every event that waits.
                    waiting.due.clear();
                }
                Ok((target, due.failures))
            }
        }
    }

    async fn next(&self) -> (Option<SfId>, u32) {
        loop {
            let news = self.news.notified();
            match self.take() {
                Ok(next) => return next,
                Err(None) => news.await,
                Err(Some(until)) => {
                    let _ = tokio::time::timeout_at(until, news).await;
                }
            }
        }
    }
}

/// Lets an event or a whole org wait for its refresh.
pub(crate) fn request(engine: &Engine, org: OrgId, event: Option<SfId>) {
    if engine.registry().by_id(org).is_none() {
        return;
    }
    if let Some(work) = ensure(engine, org) {
        work.inbox.push(event);
    }
}

/// One org's refreshes, one after the other, until the engine stops.
pub(super) async fn run(engine: Engine, work: Arc<OrgWork>) {
    let stopping = engine.workers().stopping.clone();
    let mut reader = Reader { engine, work, seen: BTreeMap::new() };
    tokio::select! {
        () = reader.work.budget.load(&reader.engine, reader.work.org) => {}
        () = stopping.cancelled() => return,
    }
    loop {
        let (target, failures) = tokio::select! {
            next = reader.work.inbox.next() => next,
            () = stopping.cancelled() => return,
        };
        tokio::select! {
            () = reader.refresh(target, failures) => {}
            // What was begun is done again at the next start.
            () = stopping.cancelled() => return,
        }
    }
}

/// Why nothing came of a refresh.
enum Failed {
    Org(Error),
    Here(RefreshError),
    Store(StoreError),
    /// Not one of so many published events is in the org any more.
    AllGone(usize),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Org(error)
    }
}

struct Reader {
    engine: Engine,
    work: Arc<OrgWork>,
    /// When each event was last read in this process, by the org's clock.
    seen: BTreeMap<SfId, Timestamp>,
}

impl Reader {
    async fn refresh(&mut self, target: Option<SfId>, failures: u32) {
        let Some(org) = self.engine.registry().by_id(self.work.org) else { return };
        let may = self.work.budget.start(Purpose::Refresh, "refresh");
        let settings = &self.engine.workers().settings.salesforce;
        let client = match may.and_then(|()| self.work.client(&org, settings)) {
            Ok(client) => client,
            Err(error) => return self.failed(target, failures, &Failed::Org(error)),
        };
        let done = match target {
            Some(event) => self.one(&org, &client, event).await,
            None => self.all(&org, &client).await,
        };
        match done {
            Ok(outcome) => self.record(target, outcome),
            Err(failed) => self.failed(target, failures, &failed),
        }
    }

    async fn one(
        &mut self,
        org: &Arc<Org>,
        client: &Client,
        event: SfId,
    ) -> Result<Outcome, Failed> {
        let shown = self.engine.catalog().listing(EventRef { org: org.id(), event });
        let since = match (self.seen.get(&event), shown) {
            (Some(seen), _) => Some(*seen),
            (None, Some(listing)) => {
                let snapshot = self.engine.catalog().snapshot(listing.event);
                snapshot.map_err(Failed::Store)?.map(|snapshot| snapshot.as_of)
            }
            (None, None) => None,
        };
        let since = since.map(|since| since.plus_millis(-OVERLAP_MILLIS));
        match client.fetch_event(event, since).await? {
            Some(raw) => self.apply(raw).await,
            None => {
                let withdrawn = self.engine.withdraw(Arc::clone(org), event).await;
                withdrawn.map(|()| Outcome::Gone).map_err(Failed::Here)
            }
        }
    }

    async fn apply(&mut self, raw: RawEvent) -> Result<Outcome, Failed> {
        let (event, as_of) = (raw.event.id, raw.as_of);
        let outcome = match self.engine.apply_refresh(self.work.org, raw).await {
            Ok(applied) => Outcome::Applied(applied),
            Err(RefreshError::Faulty(faults)) => Outcome::Faulty(faults),
            Err(error) => return Err(Failed::Here(error)),
        };
        self.seen.insert(event, as_of);
        Ok(outcome)
    }

    /// Reads every event of the org, a page at a time, and takes down what is gone.
    async fn all(&mut self, org: &Arc<Org>, client: &Client) -> Result<Outcome, Failed> {
        self.work.set_form(client.describe_attendee_form().await?);
        let mark = Key::platform(&format!("read {}", org.id()));
        let key = mark.clone();
        let before = stored(&self.engine, move |store| store.get(&key)).await;
        let before = before.map_err(Failed::Store)?;
        let before = before.and_then(|document| i64::try_from(document.version).ok());
        let since = before.map(|millis| Timestamp(millis).plus_millis(-OVERLAP_MILLIS));
        let mut pages = client.fetch_all(since);
        let (mut good, mut faulty) = (0, 0);
        let (mut there, mut as_of) = (BTreeSet::new(), None);
        loop {
            let page = pages.next_page().await?;
            if page.is_empty() {
                break;
            }
            for raw in page {
                let event = raw.event.id;
                there.insert(event);
                as_of = as_of.or(Some(raw.as_of));
                let outcome = self.apply(raw).await?;
                match &outcome {
                    Outcome::Faulty(_) => faulty += 1,
                    _ => good += 1,
                }
                self.record(Some(event), outcome);
            }
        }
        self.take_down(org, &there).await?;
        if let Some(version) = as_of.and_then(|at: Timestamp| u64::try_from(at.0).ok()) {
            let write = Write { key: mark, version, body: Some(Vec::new()) };
            let put = stored(&self.engine, move |store| store.put(&[write])).await;
            put.map_err(Failed::Store)?;
        }
        Ok(Outcome::Read { good, faulty })
    }

    /// Takes down what is gone from the org. When everything is gone at once,
    /// the integration user has lost its rights rather than the organizer all
    /// events: then they stay, and staff are told.
    async fn take_down(&self, org: &Arc<Org>, there: &BTreeSet<SfId>) -> Result<(), Failed> {
        let shown = self.engine.catalog().events(org.id());
        let shown = shown.iter().filter(|listing| listing.published).map(|l| l.event.event);
        let (kept, gone): (Vec<_>, Vec<_>) = shown.partition(|event| there.contains(event));
        if kept.is_empty() && gone.len() > 1 {
            return Err(Failed::AllGone(gone.len()));
        }
        for event in gone {
            self.engine.withdraw(Arc::clone(org), event).await.map_err(Failed::Here)?;
            self.record(Some(event), Outcome::Gone);
        }
        Ok(())
    }

    fn record(&self, event: Option<SfId>, outcome: Outcome) {
        let org = self.work.org;
        match &outcome {
            Outcome::Faulty(faults) => {
                // Values stay out of the log: an organizer may have put a person's data there.
                let fields: Vec<_> = faults
                    .iter()
                    .map(|fault| format!("{} {}", fault.record, fault.field))
                    .collect();
                tracing::warn!(%org, ?event, ?fields, "a refresh was refused; the last good snapshot stays");
            }
            Outcome::Failed { .. } => {}
            other => tracing::info!(%org, ?event, outcome = ?other, "refreshed"),
        }
        self.work.remember(Refresh { event, at: self.engine.now(), outcome });
    }

    fn failed(&self, target: Option<SfId>, failures: u32, failed: &Failed) {
        let org = self.work.org;
        let (advice, means, remedy) = match failed {
            Failed::Org(error) => {
                tracing::warn!(%org, event = ?target, %error, "a refresh could not be read");
                (error.advice(), error.means(), error.remedy())
            }
            Failed::Here(error) => {
                tracing::warn!(%org, event = ?target, %error, "a refresh could not be written");
                (Advice::Retry, error.to_string(), "Sloe tries again by itself.".to_owned())
            }
            Failed::Store(error) => {
                tracing::error!(%org, event = ?target, %error, "the store can't be read");
                let means = "Sloe's store does not answer.".to_owned();
                (Advice::Retry, means, "Look at Sloe's log.".to_owned())
            }
            Failed::AllGone(events) => {
                tracing::error!(%org, events, "the org shows none of its events any more; they stay as they are");
                (Advice::Stop, all_gone(*events), ALL_GONE_REMEDY.to_owned())
            }
        };
        let pause = match advice {
            Advice::Retry => LONGEST.min(Duration::from_secs(1 << failures.min(6))),
            Advice::Wait | Advice::Reauthenticate => LONGEST,
            Advice::Stop | Advice::DeadLetter => MENDING,
        };
        let pause = match failed {
            Failed::Org(Error::Budget { until, .. }) => {
                self.work.budget.pause(*until).clamp(Duration::from_secs(1), LONGEST)
            }
            _ => pause,
        };
        if advice == Advice::Wait {
            self.work.inbox.close(pause);
        }
        self.work.inbox.again(target, failures.saturating_add(1), pause);
        self.record(target, Outcome::Failed { means, remedy, again: true });
    }
}

fn all_gone(events: usize) -> String {
    format!(
        "Salesforce shows none of the org's {events} published events any more. They stay as they \
         were, because a lost permission looks the same."
    )
}
