//! Taking tentative facts back. A committer applies facts before they are
//! durable; where another node was first, they never happened, and the ledger
//! goes on from the last version that did, instead of being read anew.

use std::cmp::Reverse;

use super::state::{Claim, Ledger, Pool, hash_of_claim, hash_of_request};
use crate::fact::Terms;
use crate::time::Timestamp;

/// How a ledger was before its tentative facts.
#[derive(Clone, Debug)]
pub(super) struct Undo {
    claims: usize,
    requests: usize,
    selections: usize,
    pools: Vec<Pool>,
    /// The terms before, if they were replaced.
    terms: Option<Option<Box<Terms>>>,
    /// Claims that were there, each as it was before a change.
    changed: Vec<(usize, Claim)>,
    /// Expiries that were met.
    met: Vec<(Timestamp, u32)>,
    /// Expiries of tentative holds: not among the others before they are true.
    fresh: Vec<(Timestamp, u32)>,
}

impl Ledger {
    /// From here on facts are tentative, until they are kept or taken back.
    pub fn begin(&mut self) {
        self.undo = Some(Box::new(Undo {
            claims: self.claims.len(),
            requests: self.requests.len(),
            selections: self.selections.len(),
            pools: self.pools.clone(),
            terms: None,
            changed: Vec::new(),
            met: Vec::new(),
            fresh: Vec::new(),
        }));
    }

    /// What was applied since [`Ledger::begin`] is true.
    pub fn keep(&mut self) {
        if let Some(undo) = self.undo.take() {
            self.expiries.extend(undo.fresh.into_iter().map(Reverse));
        }
    }

    /// What was applied since [`Ledger::begin`] never happened.
    pub fn revert(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        for (slot, before) in undo.changed.into_iter().rev() {
            self.claims[slot] = before;
        }
        while self.claims.len() > undo.claims {
            let slot = self.claims.len() - 1;
            let hash = hash_of_claim(&self.claims[slot]);
            if let Ok(entry) = self.by_claim.find_entry(hash, |at| *at as usize == slot) {
                entry.remove();
            }
            self.claims.pop();
        }
        while self.requests.len() > undo.requests {
            let slot = self.requests.len() - 1;
            let hash = hash_of_request(&self.requests[slot]);
            if let Ok(entry) = self.by_request.find_entry(hash, |at| *at as usize == slot) {
                entry.remove();
            }
            self.requests.pop();
        }
        for selection in self.selections.drain(undo.selections..) {
            self.by_selection.remove(&(selection.item, selection.sessions));
        }
        for pool in &self.pools[undo.pools.len()..] {
            self.by_record.remove(&pool.key);
        }
        self.pools = undo.pools;
        if let Some(terms) = undo.terms {
            self.terms = terms;
        }
        self.expiries.extend(undo.met.into_iter().map(Reverse));
    }

    /// A claim is about to change.
    pub(super) fn note_claim(&mut self, slot: usize) {
        if let Some(undo) = &mut self.undo
            && slot < undo.claims
        {
            undo.changed.push((slot, self.claims[slot].clone()));
        }
    }

    /// The terms are about to be replaced.
    pub(super) fn note_terms(&mut self) {
        if let Some(undo) = &mut self.undo
            && undo.terms.is_none()
        {
            undo.terms = Some(self.terms.clone());
        }
    }

    /// A hold's time was up.
    pub(super) fn note_met(&mut self, at: Timestamp, slot: u32) {
        if let Some(undo) = &mut self.undo {
            undo.met.push((at, slot));
        }
    }

    /// A new hold's time.
    pub(super) fn await_expiry(&mut self, at: Timestamp, slot: u32) {
        match &mut self.undo {
            Some(undo) => undo.fresh.push((at, slot)),
            None => self.expiries.push(Reverse((at, slot))),
        }
    }
}
