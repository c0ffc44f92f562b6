//! Ledgers in memory: loaded from checkpoint and tail, dropped when idle and
//! memory is short, thrown away on any doubt.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use dashmap::DashMap;
use sloe_core::ids::{EventRef, PublicId};
use sloe_core::ledger::{Ledger, PoolKey};
use sloe_store::api::{Checkpoint, Store, StoreError};
use sloe_store::record;

use super::ask::Unanswered;
use super::doubt::Doubts;
use crate::damage::Quarantined;
use crate::view::{Availability, Left};

/// Batches read at a time while rolling forward.
const PAGE: usize = 256;
/// A checkpoint is due after this many facts at least; then after as many as
/// there are claims, so that all checkpoints together cost a constant share.
const CHECKPOINT_FACTS: usize = 2_000;
/// What a ledger costs beside its claims.
const LEDGER_BYTES: usize = 8 * 1024;
/// What a claim costs; `sloe_core::ledger` tests that it is no more.
const CLAIM_BYTES: usize = 120;

/// What is left of every event whose ledger was loaded, by event.
pub(crate) type Published = Arc<DashMap<EventRef, Arc<Availability>>>;

pub(super) struct Resident {
    pub(super) ledger: Ledger,
    /// Public ids of the pools, by index; derived once.
    public: Vec<PublicId>,
    facts_since_checkpoint: usize,
    used: u64,
}

/// All resident ledgers within a budget of bytes.
pub(super) struct Residents {
    ledgers: HashMap<EventRef, Resident>,
    /// Thrown away and not loaded since: their holds must end in time all the same.
    forgotten: BTreeSet<EventRef>,
    /// What may have been taken.
    pub(super) doubts: Doubts,
    quarantined: Quarantined,
    published: Published,
    budget: usize,
    /// Other nodes may write the same journals.
    shared: bool,
    uses: u64,
    /// Events of which something was read that others may have written.
    moved: BTreeSet<EventRef>,
    /// See [`CHECKPOINT_FACTS`].
    pub(super) checkpoint_facts: usize,
}

/// Why a ledger can't be had.
#[derive(Debug)]
pub(super) enum LoadError {
    /// The store can't be read now.
    Unavailable,
    /// What is stored is damaged.
    Quarantined(String),
}

impl From<LoadError> for Unanswered {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Unavailable => Self::NotAccepted,
            LoadError::Quarantined(reason) => Self::Quarantined(reason),
        }
    }
}

impl Residents {
    pub(super) fn new(
        (published, quarantined): (Published, Quarantined),
        budget: usize,
        shared: bool,
    ) -> Self {
        Self {
            ledgers: HashMap::new(),
            forgotten: BTreeSet::new(),
            doubts: Doubts::default(),
            quarantined,
            published,
            budget,
            shared,
            uses: 0,
            moved: BTreeSet::new(),
            checkpoint_facts: CHECKPOINT_FACTS,
        }
    }

    /// The event's ledger at the journal's end.
    pub(super) fn load(
        &mut self,
        store: &dyn Store,
        event: EventRef,
    ) -> Result<&mut Resident, LoadError> {
        if let Some(reason) = self.quarantined.get(&event) {
            return Err(LoadError::Quarantined(reason.clone()));
        }
        self.uses += 1;
        let known = self.ledgers.contains_key(&event);
        if !known {
            let resident = load(store, event).inspect_err(|error| {
                if let LoadError::Quarantined(reason) = error {
                    self.quarantine(event, reason.clone());
                }
            })?;
            self.ledgers.insert(event, resident);
            self.forgotten.remove(&event);
            self.publish(event);
            self.moved.insert(event);
        }
        let resident = self.ledgers.get_mut(&event).ok_or(LoadError::Unavailable)?;
        resident.used = self.uses;
        Ok(resident)
    }

    /// The event's ledger with every batch that the journal has by now.
    pub(super) fn catch_up(
        &mut self,
        store: &dyn Store,
        event: EventRef,
    ) -> Result<&mut Resident, LoadError> {
        let up_to_date = !self.shared || !self.ledgers.contains_key(&event);
        let resident = self.load(store, event)?;
        if up_to_date {
            return self.get_mut(event).ok_or(LoadError::Unavailable);
        }
        let before = resident.ledger.version();
        let rolled = roll(store, event, &mut resident.ledger);
        resident.facts_since_checkpoint += rolled.as_ref().map_or(0, |facts| *facts);
        if let Err(LoadError::Quarantined(reason)) = &rolled {
            self.quarantine(event, reason.clone());
        } else if resident.ledger.version() > before {
            // Also what was read before the store stopped answering.
            self.publish(event);
            self.moved.insert(event);
        }
        rolled?;
        self.get_mut(event).ok_or(LoadError::Unavailable)
    }

    /// The events that others may have written since the last call.
    pub(super) fn take_moved(&mut self) -> Vec<EventRef> {
        let moved = std::mem::take(&mut self.moved);
        let told = self.shared && !sloe_core::planted!(FollowedUntold);
        if told { moved.into_iter().collect() } else { Vec::new() }
    }

    pub(super) fn get_mut(&mut self, event: EventRef) -> Option<&mut Resident> {
        self.ledgers.get_mut(&event)
    }

    /// Throws a ledger away; the next load reads what is durable.
    pub(super) fn forget(&mut self, event: EventRef) {
        self.ledgers.remove(&event);
        self.forgotten.insert(event);
    }

    /// Loads what was thrown away and nobody has asked for since; what can't
    /// be read now is tried again another time.
    pub(super) fn load_forgotten(&mut self, store: &dyn Store) {
        for event in self.forgotten.clone() {
            let _ = self.load(store, event);
        }
    }

    pub(super) fn quarantine(&mut self, event: EventRef, reason: String) {
        report_quarantine(event, &reason);
        self.ledgers.remove(&event);
        self.forgotten.remove(&event);
        self.quarantined.insert(event, reason);
    }

    /// Tells readers what is left after a commit.
    pub(super) fn publish(&mut self, event: EventRef) {
        let Some(resident) = self.ledgers.get_mut(&event) else { return };
        let availability = resident.availability(event);
        self.doubts.settle(event, availability.version);
        self.published.insert(event, Arc::new(availability));
    }

    /// Events with a hold whose time may be up.
    pub(super) fn due(&self, now: sloe_core::time::Timestamp) -> Vec<EventRef> {
        let due = |r: &Resident| r.ledger.next_expiry().is_some_and(|at| at <= now);
        let mut events: Vec<_> =
            self.ledgers.iter().filter(|(_, r)| due(r)).map(|(event, _)| *event).collect();
        // The same in every run: a table's own order is by chance.
        events.sort_unstable();
        events
    }

    /// Drops the longest idle ledgers without live holds until the rest fits.
    pub(super) fn fit(&mut self) {
        let bytes = |r: &Resident| LEDGER_BYTES + r.ledger.claim_count() * CLAIM_BYTES;
        let mut total: usize = self.ledgers.values().map(bytes).sum();
        while total > self.budget && self.ledgers.len() > 1 {
            let idle = self.ledgers.iter().filter(|(_, r)| r.used != self.uses);
            let Some((event, size)) = idle
                .filter(|(_, r)| r.ledger.next_expiry().is_none())
                .min_by_key(|(_, r)| r.used)
                .map(|(event, r)| (*event, bytes(r)))
            else {
                return;
            };
            self.ledgers.remove(&event);
            if self.shared {
                // Nobody follows its journal here any more.
                self.published.remove(&event);
            }
            total -= size;
        }
    }
}

impl Resident {
    fn new(ledger: Ledger, tail_facts: usize) -> Self {
        Self { ledger, public: Vec::new(), facts_since_checkpoint: tail_facts, used: 0 }
    }

    /// Counts facts made durable; a checkpoint if one is due, as it is `after` so many.
    pub(super) fn checkpoint(
        &mut self,
        facts: usize,
        after: usize,
    ) -> Option<sloe_core::ledger::Image> {
        self.facts_since_checkpoint += facts;
        if self.facts_since_checkpoint < self.ledger.claim_count().max(after) {
            return None;
        }
        self.facts_since_checkpoint = 0;
        Some(self.ledger.to_image())
    }

    fn availability(&mut self, event: EventRef) -> Availability {
        let mut out = Availability { version: self.ledger.version(), ..Availability::default() };
        for (index, count) in self.ledger.counts().enumerate() {
            if self.public.len() <= index {
                let id = match count.pool {
                    PoolKey::Event => event.public_id(),
                    PoolKey::Item(sf) | PoolKey::Session(sf) => PublicId::derive(&event.org, &sf),
                };
                self.public.push(id);
            }
            let left = Left { id: self.public[index], left: count.left(), limit: count.limit };
            match count.pool {
                PoolKey::Event => {
                    (out.left, out.limit) = (left.left, left.limit);
                    (out.held, out.sold) = (count.held, count.sold);
                }
                PoolKey::Item(_) => out.items.push(left),
                PoolKey::Session(_) => out.sessions.push(left),
            }
        }
        out
    }
}

fn report_quarantine(event: EventRef, reason: &str) {
    tracing::error!(event = ?event, reason, "event quarantined: nothing is decided on it until its journal is mended");
    metrics::counter!("sloe_quarantined_total").increment(1);
}

fn load(store: &dyn Store, event: EventRef) -> Result<Resident, LoadError> {
    let checkpoint = store.checkpoint(event).unwrap_or_else(|error| {
        tracing::warn!(event = ?event, %error, "checkpoint can't be read; rolling forward from the start");
        None
    });
    let mut ledger = checkpoint.and_then(|c| restore(event, &c)).unwrap_or_default();
    let facts = roll(store, event, &mut ledger)?;
    Ok(Resident::new(ledger, facts))
}

/// Applies what the journal has beyond the ledger's version; how many facts.
fn roll(store: &dyn Store, event: EventRef, ledger: &mut Ledger) -> Result<usize, LoadError> {
    let mut facts = 0;
    loop {
        let batches = store.read(event, ledger.version(), PAGE).map_err(|error| match error {
            StoreError::Damaged(reason) => LoadError::Quarantined(reason),
            StoreError::Unavailable(_)
            | StoreError::OutcomeUnknown(_)
            | StoreError::Superseded
            | StoreError::Unusable(_) => LoadError::Unavailable,
        })?;
        for batch in &batches {
            facts += batch.facts.len();
            let rolled = ledger.roll_forward(batch);
            rolled.map_err(|e| LoadError::Quarantined(e.to_string()))?;
        }
        if batches.len() < PAGE {
            return Ok(facts);
        }
    }
}

/// A checkpoint is discardable: one that can't be used is as good as none.
fn restore(event: EventRef, checkpoint: &Checkpoint) -> Option<Ledger> {
    let image = record::ledger::decode(&checkpoint.chunks);
    let ledger = image
        .map_err(|e| e.to_string())
        .and_then(|image| Ledger::from_image(&image).map_err(|e| e.to_string()));
    ledger
        .inspect_err(|error| tracing::warn!(event = ?event, error, "checkpoint is damaged; rolling forward from the start"))
        .ok()
}
