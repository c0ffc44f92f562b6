//! Reading events from an org: one task per org, one call at a time, so that
//! what is read later is newer. Public pages never wait for it.
//!
//! Nothing else puts readings in force, and each is in force before the next
//! is begun. The ledger relies on it: terms that are the same again make no
//! fact, so its journal does not say how new they are, and it would take a
//! reading that is older than such a one. Where several nodes run workers, one
//! of them reads an org at a time, for longer than any call of it may take.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sloe_core::budget::Purpose;
use sloe_core::ids::{EventRef, OrgId, SfId};
use sloe_core::inbound::RawEvent;
use sloe_core::time::Timestamp;
use sloe_salesforce::{Advice, Error, Org as Client};
use sloe_store::api::{StoreError, Write};
use sloe_store::key::Key;

use super::failed::{Failed, LONGEST, MENDING, Told, pause_after};
use super::inbox::Turn;
use super::orgs::{OrgWork, lock};
use super::poll::{LOOK, Poll};
use super::reads::Seen;
use super::stored;
use crate::asks::Ask;
use crate::engine::Engine;
use crate::refresh::{Outcome, Progress, Refresh, RefreshError};
use crate::tenant::Org;

/// How far back cancellations are asked for again, in milliseconds: a change
/// that was not visible yet at the last look, and clocks that differ.
pub(super) const OVERLAP_MILLIS: i64 = 10 * 60 * 1_000;
/// How soon the store is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// Lets an event or a whole org wait for its refresh; false if nobody would ever read it.
pub(crate) fn request(engine: &Engine, org: OrgId, event: Option<SfId>, looked_at: bool) -> bool {
    engine.ask_org(org, &Ask::refresh(event, looked_at))
}

/// Sees to it that an org that was just connected is read: once, also where its
/// task began to by itself.
pub(crate) fn request_first(engine: &Engine, org: OrgId) {
    engine.ask_org(org, &Ask::First);
}

/// One org's refreshes and its looks for changes, one after the other, until
/// the engine stops.
pub(super) async fn run(engine: Engine, work: Arc<OrgWork>) {
    let stopping = engine.workers().stopping.clone();
    let mut reader = Reader { engine, work, seen: BTreeMap::new(), poll: Poll::default() };
    tokio::select! {
        () = reader.begin() => {}
        () = stopping.cancelled() => return,
    }
    loop {
        let turn = tokio::select! {
            turn = reader.work.inbox.next() => Some(turn),
            () = reader.poll.due() => None,
            () = reader.work.changes.untold() => {
                reader.poll.hurry();
                continue;
            }
            () = stopping.cancelled() => return,
        };
        let work = async {
            match turn {
                Some(turn) => reader.refresh(turn).await,
                None => reader.look().await,
            }
        };
        tokio::select! {
            () = work => {}
            // What was begun is done again at the next start.
            () = stopping.cancelled() => return,
        }
    }
}

/// What came of a refresh, and what was read.
struct Done {
    outcome: Outcome,
    seen: Option<Seen>,
}

struct Reader {
    engine: Engine,
    work: Arc<OrgWork>,
    /// When each event was last read in this process, by the org's clock.
    seen: BTreeMap<SfId, Timestamp>,
    poll: Poll,
}

impl Reader {
    /// Reads what an earlier process knew, and lets wait what it had to do.
    async fn begin(&mut self) {
        *lock(&self.work.progress) = None;
        self.work.budget.load(&self.engine, self.work.org).await;
        if let Some(turn) = self.work.inbox.left_over() {
            // What made the task stumble is not tried again at once.
            self.work.inbox.again(turn, MENDING);
            let means = "Sloe stumbled over what it read.".to_owned();
            let remedy = "Report it to whoever runs Sloe; its log says where.".to_owned();
            self.record(turn.target, Outcome::Failed { means, remedy, again: true }, None);
        }
        loop {
            match self.recall().await {
                Ok(due) => {
                    // What changed while nobody listened shows within the first minute: the first
                    // look sees it, or everything is read.
                    let due = due.unwrap_or_else(|| vec![None]);
                    due.into_iter().for_each(|target| self.work.inbox.push(target, false));
                    return;
                }
                Err(error) => {
                    tracing::error!(org = %self.work.org, %error, "what was read of the org is not known");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    async fn recall(&mut self) -> Result<Option<Vec<Option<SfId>>>, StoreError> {
        let Some(org) = self.engine.registry().by_id(self.work.org) else { return Ok(None) };
        self.work.reads.load(&self.engine, &org).await?;
        let settings = &self.engine.workers().settings.salesforce;
        match self.work.client(&org, settings) {
            Ok(client) => self.poll.load(&self.engine, &org, client.mapping()).await,
            Err(_) => Ok(None),
        }
    }

    fn client(&self, org: &Org, purpose: Purpose, call: &'static str) -> Result<Client, Error> {
        self.work.budget.start(purpose, call)?;
        self.work.client(org, &self.engine.workers().settings.salesforce)
    }

    async fn refresh(&mut self, turn: Turn) {
        if let Some(org) = self.engine.registry().by_id(self.work.org) {
            let done = match self.client(&org, Purpose::Refresh, "refresh") {
                Ok(client) => match turn.target {
                    Some(event) => self.one(&org, &client, event).await,
                    None => self.all(&org, &client).await,
                },
                Err(error) => Err(Failed::Org(error)),
            };
            *lock(&self.work.progress) = None;
            self.over(turn, done);
            self.save(&org).await;
        }
        self.work.inbox.end();
    }

    /// Notes how a refresh went.
    fn over(&mut self, turn: Turn, done: Result<Done, Failed>) {
        match done {
            Ok(Done { outcome, seen }) => {
                if let Some(asked) = turn.asked {
                    metrics::histogram!("sloe_update_to_page_seconds")
                        .record(asked.elapsed().as_secs_f64());
                }
                self.record(turn.target, outcome, seen);
            }
            Err(failed) => self.failed(turn, &failed),
        }
    }

    /// Writes down how refreshes went.
    async fn save(&self, org: &Org) {
        if let Err(error) = self.work.reads.save(&self.engine, org).await {
            tracing::error!(org = %self.work.org, %error, "how refreshes went can't be written down");
        }
    }

    /// Looks for changes that nobody told of.
    async fn look(&mut self) {
        let Some(org) = self.engine.registry().by_id(self.work.org) else {
            return self.poll.again(LONGEST);
        };
        let whole_waits = || self.work.inbox.targets().contains(&None);
        if self.poll.is_stale(self.engine.now()) && !whole_waits() {
            self.work.inbox.push(None, false);
        }
        let every = self.work.changes.every(self.engine.workers().settings.poll_every);
        let looked = match self.client(&org, Purpose::Poll, LOOK) {
            Ok(client) => {
                let found = self.poll.look(&self.engine, &org, &self.work, &client).await;
                match found {
                    Ok(found) => {
                        let saved =
                            self.poll.save(&self.engine, &org, &self.work, client.mapping()).await;
                        saved.map(|()| found).map_err(Failed::Store)
                    }
                    Err(failed) => Err(failed),
                }
            }
            Err(error) => Err(Failed::Org(error)),
        };
        let pause = self.poll.note(&self.engine, &self.work, every, looked);
        self.poll.again(pause);
    }

    async fn one(&mut self, org: &Arc<Org>, client: &Client, event: SfId) -> Result<Done, Failed> {
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
            Some(raw) => self.apply(client, raw).await,
            None => {
                let withdrawn = self.engine.withdraw(Arc::clone(org), event).await;
                let gone = Done { outcome: Outcome::Gone, seen: Some(Seen::default()) };
                withdrawn.map(|()| gone).map_err(Failed::Here)
            }
        }
    }

    async fn apply(&mut self, client: &Client, mut raw: RawEvent) -> Result<Done, Failed> {
        let (event, as_of) = (raw.event.id, raw.as_of);
        // A look sees records one by one, where a day has no zone yet.
        let seen = Some(Seen::of(&raw));
        client.mapping().moments(&mut raw);
        let outcome = match self.engine.apply_refresh(self.work.org, raw).await {
            Ok(applied) => Outcome::Applied(applied),
            Err(RefreshError::Faulty(faults)) => Outcome::Faulty(faults),
            Err(error) => return Err(Failed::Here(error)),
        };
        self.seen.insert(event, as_of);
        Ok(Done { outcome, seen })
    }

    /// Reads every event of the org, a page at a time, and takes down what is
    /// gone. Between pages, events that somebody asked for have their turn.
    async fn all(&mut self, org: &Arc<Org>, client: &Client) -> Result<Done, Failed> {
        self.work.set_form(client.describe_attendee_form().await?);
        let mark = Key::platform(&format!("read {}", org.id()));
        let key = mark.clone();
        let before = stored(&self.engine, move |store| store.get(&key)).await;
        let before = before.map_err(Failed::Store)?;
        let before = before.and_then(|document| i64::try_from(document.version).ok());
        let since = before.map(|millis| Timestamp(millis).plus_millis(-OVERLAP_MILLIS));
        let known = self.engine.catalog().events(org.id()).len();
        let mut progress = Progress { since: self.engine.now(), read: 0, known };
        let mut pages = client.fetch_all(since);
        let (mut good, mut faulty) = (0, 0);
        let mut there = BTreeSet::new();
        loop {
            *lock(&self.work.progress) = Some(progress.clone());
            let page = pages.next_page().await?;
            if page.is_empty() {
                break;
            }
            for raw in page {
                let event = raw.event.id;
                there.insert(event);
                progress.read += 1;
                if self.seen.get(&event).is_some_and(|seen| *seen > raw.as_of) {
                    // It was read by itself since.
                    good += 1;
                } else if self.apply_of_many(client, raw).await? {
                    good += 1;
                } else {
                    faulty += 1;
                }
            }
            self.save(org).await;
            while let Some(turn) = self.work.inbox.take_event() {
                let Some(event) = turn.target else { break };
                let done = self.one(org, client, event).await;
                self.over(turn, done);
            }
        }
        let as_of = pages.as_of();
        self.take_down(org, &there, as_of).await?;
        if let Some(as_of) = as_of {
            let version = u64::try_from(as_of.0).unwrap_or_default();
            let write = Write { key: mark, version, body: Some(Vec::new()) };
            let put = stored(&self.engine, move |store| store.put(&[write])).await;
            put.map_err(Failed::Store)?;
            let every = self.engine.workers().settings.poll_every;
            self.poll.start_at(as_of, every);
            lock(&self.work.poll).every = Some(every);
            // Whoever starts after this need not read it all again.
            self.work.inbox.end();
            let kept = self.poll.save(&self.engine, org, &self.work, client.mapping()).await;
            kept.map_err(Failed::Store)?;
        }
        Ok(Done { outcome: Outcome::Read { good, faulty }, seen: None })
    }

    /// Applies one event of many; whether it is as Salesforce says. What is
    /// wrong with one holds up no other: it is read again by itself.
    async fn apply_of_many(&mut self, client: &Client, raw: RawEvent) -> Result<bool, Failed> {
        let event = Some(raw.event.id);
        let done = match self.apply(client, raw).await {
            Err(failed @ Failed::Here(RefreshError::Unavailable)) => {
                self.failed(Turn { target: event, failures: 0, asked: None }, &failed);
                return Ok(false);
            }
            Ok(done) => done,
            Err(Failed::Here(error @ RefreshError::Quarantined(_))) => {
                let remedy = "Ask whoever runs Sloe to look at the event's journal.".to_owned();
                let outcome = Outcome::Failed { means: error.to_string(), remedy, again: false };
                Done { outcome, seen: None }
            }
            Err(failed) => return Err(failed),
        };
        let good = matches!(done.outcome, Outcome::Applied(_));
        self.record(event, done.outcome, done.seen);
        Ok(good)
    }

    /// Takes down what is gone from the org. When everything is gone at once,
    /// the integration user has lost its rights rather than the organizer all
    /// events: then they stay, and staff are told.
    async fn take_down(
        &self,
        org: &Arc<Org>,
        there: &BTreeSet<SfId>,
        as_of: Option<Timestamp>,
    ) -> Result<(), Failed> {
        let shown = self.engine.catalog().events(org.id());
        let shown = shown.iter().filter(|listing| listing.published).map(|l| l.event.event);
        // An event may have been made, and read by itself, since the reading began.
        let newer = |event: &SfId| self.seen.get(event).copied() > as_of;
        let (kept, gone): (Vec<_>, Vec<_>) =
            shown.partition(|event| there.contains(event) || newer(event));
        if kept.is_empty() && gone.len() > 1 {
            return Err(Failed::AllGone(gone.len()));
        }
        for event in gone {
            self.engine.withdraw(Arc::clone(org), event).await.map_err(Failed::Here)?;
            self.record(Some(event), Outcome::Gone, Some(Seen::default()));
        }
        Ok(())
    }

    fn record(&self, event: Option<SfId>, outcome: Outcome, seen: Option<Seen>) {
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
        self.work.reads.note(Refresh { event, at: self.engine.now(), outcome }, seen);
    }

    fn failed(&self, turn: Turn, failed: &Failed) {
        let of = turn.target.map(|event| event.to_string());
        let Told { advice, means, remedy } = failed.tell(self.work.org, "a refresh", of.as_deref());
        let pause = match failed {
            Failed::Org(Error::Budget { until, .. }) => {
                self.work.budget.pause(*until).clamp(Duration::from_secs(1), LONGEST)
            }
            _ => pause_after(advice, turn.failures),
        };
        if advice == Advice::Wait {
            self.work.inbox.close(pause);
        }
        self.work.inbox.again(turn, pause);
        self.record(turn.target, Outcome::Failed { means, remedy, again: true }, None);
    }
}
