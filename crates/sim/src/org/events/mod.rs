//! Change Data Capture: every change of a selected object becomes an event, kept for three days, whatever made it.
//!
//! An event is an [`Entry`] of the log, in the commit of the change that it tells of: both last or neither does.
//! Subscribers get events over the Pub/Sub API, which only a build with the feature `pubsub` serves.

#[cfg(feature = "pubsub")]
mod avro;
pub(super) mod control;
mod difference;
pub(super) mod event;
mod knobs;
#[cfg(feature = "pubsub")]
mod pubsub;
#[cfg(feature = "pubsub")]
mod subscription;
#[cfg(feature = "pubsub")]
#[allow(warnings, reason = "made by a tool")]
mod wire;

use std::collections::VecDeque;
use std::sync::Mutex;

use tokio::sync::watch;

pub(crate) use self::event::Event;
pub(crate) use self::knobs::Knobs;
use super::data::Database;
use super::faults::Luck;
use super::kept::Entry;
use super::schema::Object;
use super::state::lock;

/// Whether this build has the Pub/Sub API.
pub(crate) const SERVED: bool = cfg!(feature = "pubsub");

const HOUR_MS: i64 = 3600 * 1000;

/// Where the Pub/Sub API is served from.
#[cfg(feature = "pubsub")]
pub(super) use self::pubsub::router;

/// A build without the Pub/Sub API serves nothing of it; nobody gets as far as here.
#[cfg(not(feature = "pubsub"))]
pub(super) fn router(_: &std::sync::Arc<super::state::State>) -> axum::Router {
    axum::Router::new()
}

/// All events of an org, and how they are told.
pub(crate) struct Events {
    kept: Mutex<Kept>,
    knobs: Mutex<Knobs>,
    gaps: Mutex<Luck>,
    #[cfg_attr(not(feature = "pubsub"), allow(dead_code, reason = "who delivers, repeats"))]
    repeats: Mutex<Luck>,
    /// The last event's replay id.
    last: watch::Sender<u64>,
    /// Counts how often all subscriptions were cut off.
    cuts: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    events: VecDeque<Event>,
    /// The last replay id that was given.
    last: u64,
    /// No event up to this one is kept any more.
    floor: u64,
    /// The last transaction's number.
    transaction: u64,
    /// Events delivered, by hour.
    delivered: VecDeque<(i64, u64)>,
    subscribers: u32,
}

impl Events {
    /// No events, with the allowance of an edition.
    pub(crate) fn new(edition: &str) -> Self {
        Self {
            kept: Mutex::default(),
            knobs: Mutex::new(Knobs::of(edition)),
            gaps: Mutex::new(Luck::new(None, 1)),
            repeats: Mutex::new(Luck::new(None, 1)),
            last: watch::Sender::new(0),
            cuts: watch::Sender::new(0),
        }
    }

    pub(crate) fn knobs(&self) -> Knobs {
        lock(&self.knobs).clone()
    }

    pub(crate) fn set_knobs(&self, knobs: Knobs) {
        *lock(&self.knobs) = knobs;
    }

    /// The events of the open transaction, noted in it. They are to be published once it lasts.
    pub(crate) fn gather(&self, database: &mut Database) -> Vec<Event> {
        let knobs = self.knobs();
        let changes = event::changes(database, |object| knobs.captures(object));
        if changes.is_empty() {
            return changes;
        }
        let mut events = changes;
        let at = database.clock()().as_millisecond();
        let mut kept = lock(&self.kept);
        kept.transaction += 1;
        // Ids grow, but not by one: clients that count on it would fail in a real org.
        kept.last += 1 + kept.transaction % 3;
        for (place, event) in events.iter_mut().enumerate() {
            kept.last += 1;
            event.replay = kept.last;
            event.transaction = kept.transaction;
            event.sequence = u32::try_from(place + 1).unwrap_or(u32::MAX);
            event.at = at;
            if lock(&self.gaps).hits(knobs.gap_rate) {
                event.become_gap();
            }
            database.note(Entry::Change(event.clone()));
        }
        events
    }

    /// Tells subscribers of events that last.
    pub(crate) fn publish(&self, events: Vec<Event>) {
        let Some(last) = events.last().map(|event| event.replay) else { return };
        let at = events.last().map_or(0, |event| event.at);
        lock(&self.kept).events.extend(events);
        self.drop_old(at);
        self.last.send_replace(last);
    }

    /// Takes up an event of an earlier run.
    pub(crate) fn restore(&self, event: Event) {
        let mut kept = lock(&self.kept);
        kept.last = kept.last.max(event.replay);
        kept.transaction = kept.transaction.max(event.transaction);
        self.last.send_replace(kept.last);
        kept.events.push_back(event);
    }

    /// Takes up how far an earlier run was.
    pub(crate) fn restore_marks(&self, last: u64, floor: u64, transaction: u64) {
        let mut kept = lock(&self.kept);
        kept.last = kept.last.max(last);
        kept.floor = kept.floor.max(floor);
        kept.transaction = kept.transaction.max(transaction);
        let floor = kept.floor;
        kept.events.retain(|event| event.replay > floor);
        self.last.send_replace(kept.last);
    }

    /// How far it is, for the log.
    pub(crate) fn marks(&self) -> Entry {
        let kept = lock(&self.kept);
        Entry::ChangeMarks { last: kept.last, floor: kept.floor, transaction: kept.transaction }
    }

    /// Everything that is kept, for the log.
    pub(crate) fn entries(&self, out: &mut Vec<Entry>) {
        out.push(Entry::ChangeKnobs(self.knobs()));
        out.extend(lock(&self.kept).events.iter().cloned().map(Entry::Change));
        out.push(self.marks());
    }

    /// Forgets what is older than the retention; `now` in milliseconds.
    fn drop_old(&self, now: i64) {
        let oldest = now - lock(&self.knobs).retention_ms;
        let mut kept = lock(&self.kept);
        while kept.events.front().is_some_and(|event| event.at < oldest) {
            let gone = kept.events.pop_front();
            kept.floor = gone.map_or(kept.floor, |event| event.replay);
        }
    }

    /// Forgets all events, as if they were older than the retention.
    pub(crate) fn forget(&self) {
        let mut kept = lock(&self.kept);
        kept.events.clear();
        kept.floor = kept.last;
    }

    /// Adds an event that no change made: lost news of a whole object.
    pub(crate) fn overflow(&self, database: &mut Database, object: &Object) -> Event {
        let at = database.clock()().as_millisecond();
        let mut kept = lock(&self.kept);
        kept.transaction += 1;
        kept.last += 1;
        let mut event = Event::overflow(object, at);
        (event.replay, event.transaction, event.sequence) = (kept.last, kept.transaction, 1);
        database.note(Entry::Change(event.clone()));
        event
    }

    /// The newest events first.
    pub(crate) fn newest(&self, count: usize) -> Vec<Event> {
        lock(&self.kept).events.iter().rev().take(count).cloned().collect()
    }

    /// Events kept, and events delivered in 24 hours.
    pub(crate) fn counts(&self, now: i64) -> (usize, u64) {
        let mut kept = lock(&self.kept);
        (kept.events.len(), kept.delivered_today(now))
    }

    /// Sets what counts as delivered in 24 hours.
    pub(crate) fn set_delivered(&self, now: i64, count: u64) {
        lock(&self.kept).delivered = VecDeque::from([(now.div_euclid(HOUR_MS), count)]);
    }

    /// Cuts all subscriptions off.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Ends all subscriptions, because the org ends.
    pub(crate) fn end(&self) {
        self.cuts.send_replace(u64::MAX);
    }

    /// How many subscribe.
    pub(crate) fn subscribers(&self) -> u32 {
        lock(&self.kept).subscribers
    }
}

impl Kept {
    fn delivered_today(&mut self, now: i64) -> u64 {
        let hour = now.div_euclid(HOUR_MS);
        while self.delivered.front().is_some_and(|(then, _)| *then <= hour - 24) {
            self.delivered.pop_front();
        }
        self.delivered.iter().map(|(_, count)| count).sum()
    }
}
