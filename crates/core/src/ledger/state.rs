//! What a ledger holds in memory: at most about 120 bytes an order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use hashbrown::HashTable;
use smallvec::SmallVec;

use super::command::{ClaimStatus, ClaimView, PlaceView, PoolCount, PoolKey};
use super::undo::Undo;
use crate::fact::{Actor, Fact, PoolIx, Request, Selection, Terms};
use crate::ids::{ClaimId, SfId};
use crate::limits;
use crate::planted;
use crate::time::Timestamp;

/// What terms a pool's record has at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Event,
    /// Index into the terms' items.
    Item(usize),
    /// Index into the terms' sessions.
    Session(usize),
    /// Its record is gone; seats taken stay counted.
    Withdrawn,
}

#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) key: PoolKey,
    pub(super) role: Role,
    pub(super) limit: Option<u32>,
    pub(super) held: u32,
    pub(super) sold: u32,
    pub(super) external: u32,
}

impl Pool {
    pub(super) fn count(&self) -> PoolCount {
        PoolCount {
            pool: self.key,
            limit: self.limit,
            held: self.held,
            sold: self.sold,
            external: self.external,
        }
    }
}

/// One attendee in 32 bits: the selection's index and what happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(pub(super) u32);

impl Place {
    const ERASED: u32 = 1 << 31;
    const ACTOR_SHIFT: u32 = 29;
    const SELECTION: u32 = (1 << Self::ACTOR_SHIFT) - 1;

    pub(super) fn new(selection: u32) -> Self {
        Self(selection & Self::SELECTION)
    }

    pub(super) fn selection(self) -> usize {
        (self.0 & Self::SELECTION) as usize
    }

    pub(super) fn cancelled(self) -> Option<Actor> {
        match self.0 >> Self::ACTOR_SHIFT & 3 {
            1 => Some(Actor::Registrant),
            2 => Some(Actor::Org),
            3 => Some(Actor::Staff),
            _ => None,
        }
    }

    pub(super) fn erased(self) -> bool {
        self.0 & Self::ERASED != 0
    }

    pub(super) fn cancel(&mut self, actor: Actor) {
        let bits = match actor {
            Actor::Registrant => 1,
            Actor::Org => 2,
            Actor::Staff => 3,
        };
        self.0 |= bits << Self::ACTOR_SHIFT;
    }

    pub(super) fn erase(&mut self) {
        self.0 |= Self::ERASED;
    }
}

pub(super) type Places = SmallVec<[Place; 2]>;

#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// High and low half: a `u128` would align the whole to 16 bytes.
    id: [u64; 2],
    pub(super) expires_at: Timestamp,
    pub(super) places: Places,
    pub(super) status: ClaimStatus,
}

impl Claim {
    pub(super) fn id(&self) -> ClaimId {
        ClaimId(join(self.id))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Remembered {
    key: [u64; 2],
    pub(super) body: u64,
    pub(super) claim: u32,
}

impl Remembered {
    pub(super) fn request(&self) -> Request {
        Request { key: join(self.key), body: self.body }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the two halves of a u128")]
fn split(id: u128) -> [u64; 2] {
    [(id >> 64) as u64, id as u64]
}

fn join([high, low]: [u64; 2]) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

/// Ids are UUIDs or HMACs made here, so no visitor can choose colliding ones;
/// the multiplication spreads their random halves over the high bits that the
/// table looks at.
fn hash([high, low]: [u64; 2]) -> u64 {
    (high ^ low.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Where the tables look for a claim.
pub(super) fn hash_of_claim(claim: &Claim) -> u64 {
    hash(claim.id)
}

/// Where the tables look for a remembered request.
pub(super) fn hash_of_request(remembered: &Remembered) -> u64 {
    hash(remembered.key)
}

/// All pools, claims and remembered requests of one event, at one version.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(super) version: u64,
    pub(super) at: Timestamp,
    pub(super) nonce: u128,
    pub(super) terms: Option<Box<Terms>>,
    pub(super) pools: Vec<Pool>,
    pub(super) by_record: BTreeMap<PoolKey, PoolIx>,
    pub(super) selections: Vec<Selection>,
    pub(super) by_selection: BTreeMap<(PoolIx, SmallVec<[PoolIx; 4]>), u32>,
    pub(super) claims: Vec<Claim>,
    pub(super) by_claim: HashTable<u32>,
    pub(super) requests: Vec<Remembered>,
    pub(super) by_request: HashTable<u32>,
    /// Holds by expiry; entries of holds that ended otherwise are skipped when met.
    pub(super) expiries: BinaryHeap<Reverse<(Timestamp, u32)>>,
    /// How it was before facts that are not durable yet.
    pub(super) undo: Option<Box<Undo>>,
}

impl Default for Ledger {
    /// An event nothing is known of: version 0.
    fn default() -> Self {
        let event = Pool {
            key: PoolKey::Event,
            role: Role::Event,
            limit: Some(0),
            held: 0,
            sold: 0,
            external: 0,
        };
        Self {
            version: 0,
            at: Timestamp(i64::MIN),
            nonce: 0,
            terms: None,
            pools: vec![event],
            by_record: BTreeMap::from([(PoolKey::Event, PoolIx::EVENT)]),
            selections: Vec::new(),
            by_selection: BTreeMap::new(),
            claims: Vec::new(),
            by_claim: HashTable::new(),
            requests: Vec::new(),
            by_request: HashTable::new(),
            expiries: BinaryHeap::new(),
            undo: None,
        }
    }
}

impl Ledger {
    /// The version of the last batch applied; 0 before the first.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The time of the last batch applied.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The nonce of the last batch applied.
    #[must_use]
    pub fn nonce(&self) -> u128 {
        self.nonce
    }

    /// The organizer's limits and rules in force.
    #[must_use]
    pub fn terms(&self) -> Option<&Terms> {
        self.terms.as_deref()
    }

    /// Claims ever made, whatever became of them.
    #[must_use]
    pub fn claim_count(&self) -> usize {
        self.claims.len()
    }

    /// When the next hold ends, if any is live; may be early, never late.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.expiries.peek().map(|Reverse((at, _))| *at)
    }

    /// Every pool's figures: the event's first, withdrawn records' too.
    pub fn counts(&self) -> impl Iterator<Item = PoolCount> {
        self.pools.iter().map(Pool::count)
    }

    /// A claim as it stands.
    #[must_use]
    pub fn view(&self, claim: ClaimId) -> Option<ClaimView> {
        self.slot(claim).map(|slot| self.view_slot(slot))
    }

    /// Every claim as it stands, in the order made.
    pub fn views(&self) -> impl Iterator<Item = ClaimView> {
        (0..self.claims.len()).map(|slot| self.view_slot(slot))
    }

    /// Expiries due at `now`, at most as many as one batch holds.
    #[must_use]
    pub fn expire(&mut self, now: Timestamp) -> Vec<Fact> {
        let mut facts = Vec::new();
        while let Some(Reverse((at, slot))) = self.expiries.peek().copied()
            && at <= (if planted!(EarlyExpiry) { now.plus_millis(30_000) } else { now })
            && facts.len() < limits::MAX_EXPIRIES_PER_BATCH
        {
            let claim = &self.claims[slot as usize];
            let held = claim.status == ClaimStatus::Held || planted!(DoubleExpiry);
            if held && claim.expires_at == at {
                facts.push(Fact::Expired { claim: claim.id() });
            }
            self.expiries.pop();
            self.note_met(at, slot);
        }
        facts
    }

    fn view_slot(&self, slot: usize) -> ClaimView {
        let claim = &self.claims[slot];
        let places = claim.places.iter().map(|place| {
            let selection = &self.selections[place.selection()];
            PlaceView {
                item: self.record(selection.item),
                sessions: selection.sessions.iter().map(|ix| self.record(*ix)).collect(),
                cancelled: place.cancelled(),
                erased: place.erased(),
            }
        });
        ClaimView {
            claim: claim.id(),
            status: claim.status,
            expires_at: claim.expires_at,
            places: places.collect(),
        }
    }

    /// The record behind an item's or session's pool.
    fn record(&self, ix: PoolIx) -> SfId {
        match self.pools[usize::from(ix.0)].key {
            PoolKey::Item(record) | PoolKey::Session(record) => record,
            // Selections name items and sessions only; `intern` checks it.
            PoolKey::Event => unreachable!("a selection of the event's own pool"),
        }
    }

    pub(super) fn slot(&self, claim: ClaimId) -> Option<usize> {
        let id = split(claim.0);
        let found = self.by_claim.find(hash(id), |slot| self.claims[*slot as usize].id == id);
        found.map(|slot| *slot as usize)
    }

    pub(super) fn remembered(&self, key: u128) -> Option<&Remembered> {
        let key = split(key);
        let same = |slot: &u32| self.requests[*slot as usize].key == key;
        self.by_request.find(hash(key), same).map(|slot| &self.requests[*slot as usize])
    }

    /// Adds a claim; `None` when there are more than can be counted.
    pub(super) fn insert_claim(
        &mut self,
        claim: ClaimId,
        expires_at: Timestamp,
        places: Places,
        status: ClaimStatus,
    ) -> Option<u32> {
        let slot = u32::try_from(self.claims.len()).ok()?;
        let id = split(claim.0);
        self.claims.push(Claim { id, expires_at, places, status });
        let claims = &self.claims;
        self.by_claim.insert_unique(hash(id), slot, |slot| hash(claims[*slot as usize].id));
        Some(slot)
    }

    pub(super) fn remember(&mut self, request: Request, claim: u32) -> Option<()> {
        let slot = u32::try_from(self.requests.len()).ok()?;
        let key = split(request.key);
        self.requests.push(Remembered { key, body: request.body, claim });
        let requests = &self.requests;
        self.by_request.insert_unique(hash(key), slot, |slot| hash(requests[*slot as usize].key));
        Some(())
    }

    /// The index of a selection, added if new; `None` if it names what is no
    /// item or session, or there are too many.
    pub(super) fn intern(&mut self, selection: &Selection) -> Option<u32> {
        let known = (selection.item, selection.sessions.clone());
        if let Some(index) = self.by_selection.get(&known) {
            return Some(*index);
        }
        let key = |ix: PoolIx| self.pools.get(usize::from(ix.0)).map(|pool| pool.key);
        let item = matches!(key(selection.item), Some(PoolKey::Item(_)));
        let sessions =
            selection.sessions.iter().all(|ix| matches!(key(*ix), Some(PoolKey::Session(_))));
        let index = u32::try_from(self.selections.len()).ok()?;
        if !item || !sessions || index > Place::SELECTION {
            return None;
        }
        self.selections.push(selection.clone());
        self.by_selection.insert(known, index);
        Some(index)
    }
}
