//! Rolling forward: facts change state, nothing is decided.

use super::command::{ClaimStatus, PoolKey};
use super::state::{Ledger, Place, Places, Pool, Role};
use crate::fact::{Batch, Fact, PoolIx, PoolTerms, Request, Selection, Terms};
use crate::ids::ClaimId;
use crate::planted;
use crate::time::Timestamp;

/// A journal that contradicts itself: the event must be quarantined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal contradicts itself at version {version}: {what}")]
pub struct Inconsistent {
    /// Where.
    pub version: u64,
    /// How.
    pub what: &'static str,
}

#[derive(Clone, Copy)]
enum Count {
    Held,
    Sold,
}

impl Ledger {
    /// Applies a whole batch of the journal, which must be the next one.
    ///
    /// # Errors
    /// [`Inconsistent`]; the ledger must then be thrown away.
    pub fn roll_forward(&mut self, batch: &Batch) -> Result<(), Inconsistent> {
        if batch.version != self.version + 1 {
            return Err(self.inconsistent("a version is missing or doubled"));
        }
        for fact in &batch.facts {
            self.apply(fact, batch.at)?;
        }
        self.close(batch.at, batch.nonce);
        Ok(())
    }

    /// Ends a batch whose facts were applied one by one.
    pub fn close(&mut self, at: Timestamp, nonce: u128) {
        self.version += 1;
        self.at = at;
        self.nonce = nonce;
    }

    /// Applies one fact decided at `at`.
    ///
    /// # Errors
    /// [`Inconsistent`]; the ledger must then be thrown away.
    pub fn apply(&mut self, fact: &Fact, at: Timestamp) -> Result<(), Inconsistent> {
        match fact {
            Fact::TermsSet(terms) => self.set_terms(terms),
            Fact::Held { claim, request, expires_at, places } => {
                self.hold(*claim, *request, *expires_at, places)
            }
            Fact::Confirmed { claim, request, places } => {
                self.confirm(*claim, *request, places, at)
            }
            Fact::Released { claim } => self.end_hold(*claim, ClaimStatus::Released),
            Fact::Expired { claim } => self.end_hold(*claim, ClaimStatus::Expired),
            Fact::Cancelled { claim, place, actor } => {
                let (slot, index) = self.place(*claim, *place)?;
                let place = self.claims[slot].places[index];
                if place.cancelled().is_some() {
                    return Err(self.inconsistent("a ticket is cancelled twice"));
                }
                self.note_claim(slot);
                self.claims[slot].places[index].cancel(*actor);
                self.count(&[place], Count::Sold, false)
            }
            Fact::Erased { claim, place } => {
                let (slot, index) = self.place(*claim, *place)?;
                self.note_claim(slot);
                self.claims[slot].places[index].erase();
                Ok(())
            }
        }
    }

    pub(super) fn inconsistent(&self, what: &'static str) -> Inconsistent {
        Inconsistent { version: self.version + 1, what }
    }

    pub(super) fn set_terms(&mut self, terms: &Terms) -> Result<(), Inconsistent> {
        self.note_terms();
        for pool in &mut self.pools {
            if pool.key != PoolKey::Event {
                pool.role = Role::Withdrawn;
                pool.external = 0;
            }
        }
        for (index, item) in terms.items.iter().enumerate() {
            self.offer(PoolKey::Item(item.pool.record), Role::Item(index), &item.pool)?;
        }
        for (index, session) in terms.sessions.iter().enumerate() {
            self.offer(PoolKey::Session(session.pool.record), Role::Session(index), &session.pool)?;
        }
        self.pools[0].limit = terms.limit;
        self.pools[0].external = terms.external;
        self.terms = Some(Box::new(terms.clone()));
        Ok(())
    }

    fn offer(&mut self, key: PoolKey, role: Role, terms: &PoolTerms) -> Result<(), Inconsistent> {
        let ix = match self.by_record.get(&key) {
            Some(ix) => *ix,
            None => self.add_pool(key)?,
        };
        let pool = &mut self.pools[usize::from(ix.0)];
        pool.role = role;
        pool.limit = terms.limit;
        pool.external = terms.external;
        Ok(())
    }

    pub(super) fn add_pool(&mut self, key: PoolKey) -> Result<PoolIx, Inconsistent> {
        let Ok(ix) = u16::try_from(self.pools.len()) else {
            return Err(self.inconsistent("more pools than an event can have"));
        };
        self.pools.push(Pool {
            key,
            role: Role::Withdrawn,
            limit: Some(0),
            held: 0,
            sold: 0,
            external: 0,
        });
        self.by_record.insert(key, PoolIx(ix));
        Ok(PoolIx(ix))
    }

    fn intern_all(&mut self, places: &[Selection]) -> Result<Places, Inconsistent> {
        let mut interned = Places::new();
        for selection in places {
            let Some(index) = self.intern(selection) else {
                return Err(self.inconsistent("a place names an unknown item or session"));
            };
            interned.push(Place::new(index));
        }
        Ok(interned)
    }

    fn hold(
        &mut self,
        claim: ClaimId,
        request: Request,
        expires_at: Timestamp,
        places: &[Selection],
    ) -> Result<(), Inconsistent> {
        if self.slot(claim).is_some() || self.remembered(request.key).is_some() {
            return Err(self.inconsistent("a hold or its request appears twice"));
        }
        let places = self.intern_all(places)?;
        self.count(&places, Count::Held, true)?;
        let slot = self.insert_claim(claim, expires_at, places, ClaimStatus::Held);
        let slot = slot.ok_or_else(|| self.inconsistent("more claims than can be counted"))?;
        self.await_expiry(expires_at, slot);
        self.remember(request, slot)
            .ok_or_else(|| self.inconsistent("more requests than can be counted"))
    }

    fn confirm(
        &mut self,
        claim: ClaimId,
        request: Request,
        places: &[Selection],
        at: Timestamp,
    ) -> Result<(), Inconsistent> {
        if self.remembered(request.key).is_some() {
            return Err(self.inconsistent("a request appears twice"));
        }
        let places = self.intern_all(places)?;
        let slot = match self.slot(claim) {
            None => {
                self.count(&places, Count::Sold, true)?;
                self.insert_claim(claim, at, places, ClaimStatus::Confirmed)
            }
            Some(slot) => {
                self.confirm_hold(slot, places)?;
                u32::try_from(slot).ok()
            }
        };
        if planted!(RequestForgotten) {
            return Ok(());
        }
        slot.and_then(|slot| self.remember(request, slot))
            .ok_or_else(|| self.inconsistent("more claims than can be counted"))
    }

    fn confirm_hold(&mut self, slot: usize, places: Places) -> Result<(), Inconsistent> {
        match self.claims[slot].status {
            ClaimStatus::Held => {
                let held = self.claims[slot].places.clone();
                self.count(&held, Count::Held, false)?;
            }
            ClaimStatus::Expired => {}
            ClaimStatus::Confirmed | ClaimStatus::Released => {
                return Err(self.inconsistent("a hold that ended is confirmed"));
            }
        }
        self.count(&places, Count::Sold, true)?;
        self.note_claim(slot);
        let claim = &mut self.claims[slot];
        claim.places = places;
        claim.status = ClaimStatus::Confirmed;
        Ok(())
    }

    fn end_hold(&mut self, claim: ClaimId, status: ClaimStatus) -> Result<(), Inconsistent> {
        let Some(slot) = self.slot(claim) else {
            return Err(self.inconsistent("an unknown hold ends"));
        };
        if self.claims[slot].status != ClaimStatus::Held && !planted!(DoubleExpiry) {
            return Err(self.inconsistent("a hold ends twice"));
        }
        let places = self.claims[slot].places.clone();
        self.note_claim(slot);
        self.claims[slot].status = status;
        self.count(&places, Count::Held, false)?;
        if planted!(SessionSeatKept) && status == ClaimStatus::Released {
            for place in &places {
                for ix in &self.selections[place.selection()].sessions {
                    self.pools[usize::from(ix.0)].held += 1;
                }
            }
        }
        Ok(())
    }

    fn place(&self, claim: ClaimId, place: u16) -> Result<(usize, usize), Inconsistent> {
        let slot = self.slot(claim).filter(|s| self.claims[*s].status == ClaimStatus::Confirmed);
        let slot = slot.ok_or_else(|| self.inconsistent("an order is unknown"))?;
        let index = usize::from(place).checked_sub(1);
        let index = index.filter(|i| *i < self.claims[slot].places.len());
        index.map(|i| (slot, i)).ok_or_else(|| self.inconsistent("an attendee is unknown"))
    }

    /// Adds to (or takes from) every pool that standing `places` use.
    fn count(&mut self, places: &[Place], count: Count, add: bool) -> Result<(), Inconsistent> {
        for place in places {
            let selection = &self.selections[place.selection()];
            let pools = [PoolIx::EVENT, selection.item];
            for ix in pools.iter().chain(&selection.sessions) {
                let pool = &mut self.pools[usize::from(ix.0)];
                let figure = match count {
                    Count::Held => &mut pool.held,
                    Count::Sold => &mut pool.sold,
                };
                let changed = if add { figure.checked_add(1) } else { figure.checked_sub(1) };
                match changed {
                    Some(changed) => *figure = changed,
                    None => return Err(self.inconsistent("a pool's count leaves its range")),
                }
            }
        }
        Ok(())
    }

    /// Counts a claim read from a checkpoint.
    pub(super) fn count_claim(&mut self, slot: usize) -> Result<(), Inconsistent> {
        let claim = &self.claims[slot];
        let count = match claim.status {
            ClaimStatus::Held => Count::Held,
            ClaimStatus::Confirmed => Count::Sold,
            ClaimStatus::Released | ClaimStatus::Expired => return Ok(()),
        };
        let standing: Places =
            claim.places.iter().copied().filter(|place| place.cancelled().is_none()).collect();
        self.count(&standing, count, true)
    }
}
