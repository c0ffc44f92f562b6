//! A ledger as plain values, for checkpoints: what can't be told from the
//! rest is left out and counted anew.

use std::cmp::Reverse;

use super::apply::Inconsistent;
use super::command::{ClaimStatus, PoolKey};
use super::state::{Ledger, Place};
use crate::fact::{Request, Selection, Terms};
use crate::ids::ClaimId;
use crate::time::Timestamp;

/// One claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimImage {
    /// Its id.
    pub id: ClaimId,
    /// Where it stands.
    pub status: ClaimStatus,
    /// When its hold ends or ended.
    pub expires_at: Timestamp,
    /// Each attendee as the ledger packs it; opaque.
    pub places: Vec<u32>,
}

/// One remembered request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestImage {
    /// Its identity.
    pub request: Request,
    /// Index of the claim that it made.
    pub claim: u32,
}

/// A whole ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// See [`Ledger::version`].
    pub version: u64,
    /// See [`Ledger::at`].
    pub at: Timestamp,
    /// See [`Ledger::nonce`].
    pub nonce: u128,
    /// See [`Ledger::terms`].
    pub terms: Option<Terms>,
    /// Every pool, by index; the event's own first.
    pub pools: Vec<PoolKey>,
    /// Every selection, by index.
    pub selections: Vec<Selection>,
    /// Every claim, by index.
    pub claims: Vec<ClaimImage>,
    /// Every remembered request.
    pub requests: Vec<RequestImage>,
}

impl Ledger {
    /// A copy of everything that matters.
    #[must_use]
    pub fn to_image(&self) -> Image {
        let claim = |claim: &super::state::Claim| ClaimImage {
            id: claim.id(),
            status: claim.status,
            expires_at: claim.expires_at,
            places: claim.places.iter().map(|place| place.0).collect(),
        };
        let requests = self.requests.iter();
        Image {
            version: self.version,
            at: self.at,
            nonce: self.nonce,
            terms: self.terms.as_deref().cloned(),
            pools: self.pools.iter().map(|pool| pool.key).collect(),
            selections: self.selections.clone(),
            claims: self.claims.iter().map(claim).collect(),
            requests: requests
                .map(|r| RequestImage { request: r.request(), claim: r.claim })
                .collect(),
        }
    }

    /// The ledger that `image` was taken of.
    ///
    /// # Errors
    /// [`Inconsistent`] for an image no ledger can have.
    pub fn from_image(image: &Image) -> Result<Self, Inconsistent> {
        let mut ledger = Self { version: image.version, at: image.at, ..Self::default() };
        ledger.nonce = image.nonce;
        for key in image.pools.iter().skip(1) {
            if *key == PoolKey::Event || ledger.by_record.contains_key(key) {
                return Err(ledger.inconsistent("a checkpoint has a pool twice"));
            }
            ledger.add_pool(*key)?;
        }
        for selection in &image.selections {
            if ledger.intern(selection).is_none() {
                return Err(ledger.inconsistent("a checkpoint has a selection of nothing"));
            }
        }
        if let Some(terms) = &image.terms {
            ledger.set_terms(terms)?;
        }
        for claim in &image.claims {
            ledger.restore(claim)?;
        }
        for remembered in &image.requests {
            let known = (remembered.claim as usize) < ledger.claims.len();
            let done = known.then(|| ledger.remember(remembered.request, remembered.claim));
            done.flatten()
                .ok_or_else(|| ledger.inconsistent("a checkpoint's request has no claim"))?;
        }
        Ok(ledger)
    }

    fn restore(&mut self, claim: &ClaimImage) -> Result<(), Inconsistent> {
        let places = claim.places.iter().copied().map(Place);
        let places: super::state::Places = places.collect();
        let known = places.iter().all(|place| place.selection() < self.selections.len());
        if !known || self.slot(claim.id).is_some() {
            return Err(self.inconsistent("a checkpoint's claim is not whole"));
        }
        let slot = self.insert_claim(claim.id, claim.expires_at, places, claim.status);
        let slot = slot.ok_or_else(|| self.inconsistent("more claims than can be counted"))?;
        if claim.status == ClaimStatus::Held {
            self.expiries.push(Reverse((claim.expires_at, slot)));
        }
        self.count_claim(slot as usize)
    }
}
