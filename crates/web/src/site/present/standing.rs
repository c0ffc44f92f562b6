//! How things stand with an event: whether seats can be taken, else why not,
//! and until when that answer can't change by the clock alone.

use sloe_core::catalog::{EventStatus, Item, Snapshot};
use sloe_core::time::Timestamp;
use sloe_engine::view::{Availability, Left};

use super::{instant, zone};
use crate::site::view::Band;
use crate::site::view::event::ItemState;
use crate::site::view::event_list::Status;
use crate::site::when::Moment;

/// How things stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// In one word.
    pub status: Status,
    /// When registration opens, as a sentence, if that is ahead.
    pub opens: Option<String>,
    /// Whether seats can be taken now.
    pub claimable: bool,
    /// Until when only the ledger or a refresh changes this.
    pub valid_until: Timestamp,
}

/// What is left, with the visitor's own seats given back.
#[derive(Clone, Copy, Debug)]
pub struct Counts<'a> {
    availability: &'a Availability,
    credit: &'a [sloe_engine::view::HeldPlace],
}

impl<'a> Counts<'a> {
    /// What `availability` says, plus what `credit` holds.
    #[must_use]
    pub fn new(availability: &'a Availability, credit: &'a [sloe_engine::view::HeldPlace]) -> Self {
        Self { availability, credit }
    }

    fn plus(left: Option<u32>, own: usize) -> Option<u32> {
        left.map(|left| left.saturating_add(u32::try_from(own).unwrap_or(u32::MAX)))
    }

    /// Of the event as a whole.
    #[must_use]
    pub fn event(&self) -> (Option<u32>, Option<u32>) {
        (Self::plus(self.availability.left, self.credit.len()), self.availability.limit)
    }

    /// Of an item: what is left and its limit; no more than the event has.
    #[must_use]
    pub fn item(&self, item: &Item) -> (Option<u32>, Option<u32>) {
        let own = self.credit.iter().filter(|place| place.item == item.id).count();
        let (event_left, event_limit) = self.event();
        let (left, limit) = Self::of(&self.availability.items, item.id, own);
        match (left, event_left) {
            (Some(item), Some(event)) if event < item => (Some(event), event_limit),
            (None, Some(event)) => (Some(event), event_limit),
            _ => (left, limit),
        }
    }

    /// Of a session: what is left and its limit.
    #[must_use]
    pub fn session(&self, id: sloe_core::ids::PublicId) -> (Option<u32>, Option<u32>) {
        let own = self.credit.iter().filter(|place| place.sessions.contains(&id)).count();
        Self::of(&self.availability.sessions, id, own)
    }

    fn of(pools: &[Left], id: sloe_core::ids::PublicId, own: usize) -> (Option<u32>, Option<u32>) {
        let found = pools.iter().find(|pool| pool.id == id);
        found.map_or((None, None), |pool| (Self::plus(pool.left, own), pool.limit))
    }
}

/// How an item stands by its own window and price, whatever the event's.
#[must_use]
pub(super) fn item_state(
    snapshot: &Snapshot,
    item: &Item,
    counts: &Counts<'_>,
    now: Timestamp,
) -> ItemState {
    if item.price.is_some() {
        return ItemState::Payment;
    }
    if let Some(opens) = item.opens_at.filter(|at| now < *at) {
        return ItemState::Soon(Moment::new(instant(opens), &zone(&snapshot.time_zone)).sentence());
    }
    if item.closes_at.is_some_and(|at| at <= now) {
        return ItemState::Closed;
    }
    let (left, limit) = counts.item(item);
    ItemState::Open(Band::of(left, limit))
}

/// How things stand with `snapshot` at `now`; `live` is its org's license.
#[must_use]
pub fn standing(snapshot: &Snapshot, counts: &Counts<'_>, live: bool, now: Timestamp) -> Standing {
    let states: Vec<_> =
        snapshot.items.iter().map(|item| item_state(snapshot, item, counts, now)).collect();
    let soon = |at: Timestamp| {
        let moment = Moment::new(instant(at), &zone(&snapshot.time_zone));
        let short =
            instant(at).to_zoned(zone(&snapshot.time_zone)).strftime("%b %-d, %H:%M").to_string();
        (Status::Soon(short), Some(moment.sentence()))
    };
    let open = snapshot.opens_at.is_none_or(|at| at <= now);
    let first_item = snapshot
        .items
        .iter()
        .filter(|i| i.price.is_none())
        .filter_map(|i| i.opens_at)
        .filter(|at| now < *at)
        .min();
    let payment_only =
        !states.is_empty() && states.iter().all(|state| *state == ItemState::Payment);
    let best = states.iter().filter_map(ItemState::band).min_by_key(|band| *band as u8);
    let (status, opens) = if snapshot.status == EventStatus::Cancelled {
        (Status::Cancelled, None)
    } else if snapshot.ends_at <= now {
        (Status::Over, None)
    } else if !live {
        (Status::Paused, None)
    } else if !open {
        snapshot.opens_at.map_or((Status::Closed, None), soon)
    } else if snapshot.closes_at.is_some_and(|at| at <= now) {
        (Status::Closed, None)
    } else if let Some(band) = best {
        (Status::Open(band), None)
    } else if let Some(at) = first_item {
        soon(at)
    } else if payment_only {
        (Status::Payment, None)
    } else {
        (Status::Closed, None)
    };
    let claimable = status.is_open();
    Standing { status, opens, claimable, valid_until: next_change(snapshot, now) }
}

/// The next moment at which the clock alone changes the page.
fn next_change(snapshot: &Snapshot, now: Timestamp) -> Timestamp {
    let event =
        [snapshot.opens_at, snapshot.closes_at, Some(snapshot.ends_at)].into_iter().flatten();
    let items = snapshot.items.iter().flat_map(|item| [item.opens_at, item.closes_at]).flatten();
    let sessions = snapshot.sessions.iter().map(|session| session.ends_at);
    event.chain(items).chain(sessions).filter(|at| now < *at).min().unwrap_or(Timestamp::MAX)
}
