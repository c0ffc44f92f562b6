//! What a stretch of an event's journal means for the org: which records have
//! news, and what their newest state is. One state per record, however often
//! it changed; attendees before their sessions; what the org itself cancelled
//! is never written back.

pub mod backoff;

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::fact::{Actor, Batch, Fact};
use crate::ids::{ClaimId, OrgId, PublicId, SfId};
use crate::ledger::{ClaimStatus, ClaimView};
use crate::time::Timestamp;

#[cfg(test)]
mod tests;

/// Which attendees of an order have news.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// When the order was confirmed, if that is part of the stretch.
    pub confirmed_at: Option<Timestamp>,
    /// The journal's version of the last of them; 0 if no stretch tells.
    changed: u64,
    /// Attendees from 1; none stands for all.
    places: SmallVec<[u16; 2]>,
}

impl News {
    /// News of one attendee of an order that was confirmed before.
    #[must_use]
    pub fn of(place: u16, confirmed_at: Option<Timestamp>) -> Self {
        Self { confirmed_at, changed: 0, places: SmallVec::from_slice(&[place]) }
    }

    fn concerns(&self, place: u16) -> bool {
        self.places.is_empty() || self.places.contains(&place)
    }
}

/// Consecutive batches of one journal, boiled down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    upto: u64,
    rows: usize,
    claims: BTreeMap<ClaimId, News>,
}

impl Stretch {
    /// An empty stretch behind version `after`.
    #[must_use]
    pub fn after(after: u64) -> Self {
        Self { upto: after, rows: 0, claims: BTreeMap::new() }
    }

    /// Takes in the journal's next batch.
    pub fn follow(&mut self, batch: &Batch) {
        self.upto = batch.version;
        for fact in &batch.facts {
            match fact {
                Fact::Confirmed { claim, places, .. } => {
                    self.rows += places.iter().map(|place| 1 + place.sessions.len()).sum::<usize>();
                    let (confirmed_at, places) = (Some(batch.at), SmallVec::new());
                    let news = News { confirmed_at, changed: batch.version, places };
                    self.claims.insert(*claim, news);
                }
                // The org knows already.
                Fact::Cancelled { actor: Actor::Org, .. } => {}
                Fact::Cancelled { claim, place, .. } => {
                    self.rows += 1;
                    let news = self.claims.entry(*claim).or_insert_with(|| News::of(*place, None));
                    news.changed = batch.version;
                    if !news.concerns(*place) {
                        news.places.push(*place);
                    }
                }
                Fact::TermsSet(_)
                | Fact::Held { .. }
                | Fact::Released { .. }
                | Fact::Expired { .. }
                | Fact::Erased { .. } => {}
            }
        }
    }

    /// The last version taken in.
    #[must_use]
    pub fn upto(&self) -> u64 {
        self.upto
    }

    /// About how many records have news, sessions of cancelled tickets not counted.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The orders that have news.
    pub fn claims(&self) -> impl Iterator<Item = (ClaimId, &News)> {
        self.claims.iter().map(|(claim, news)| (*claim, news))
    }
}

/// The newest state of one record that Sloe keeps in the org.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its external id.
    pub key: String,
    /// The order.
    pub claim: ClaimId,
    /// The attendee, from 1.
    pub place: u16,
    /// The session, for an attendee's place in one; `None` for the attendee.
    pub session: Option<SfId>,
    /// The attendee's item.
    pub item: SfId,
    /// Whether the ticket stands.
    pub registered: bool,
    /// Whether the personal data was destroyed: it must not be sent any more.
    pub erased: bool,
    /// When the order was confirmed, if the stretch tells.
    pub confirmed_at: Option<Timestamp>,
    /// The journal's version of the order's last news, if the stretch tells; else 0.
    pub changed: u64,
}

/// Records in the order in which they go: parents, then children.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Attendees.
    pub attendees: Vec<Record>,
    /// Their sessions.
    pub sessions: Vec<Record>,
}

impl Plan {
    /// Adds what `news` of an order mean, as the order stands by now.
    pub fn add(&mut self, org: &OrgId, news: &News, view: &ClaimView) {
        if view.status != ClaimStatus::Confirmed {
            return;
        }
        for (place, held) in (1_u16..).zip(&view.places) {
            if !news.concerns(place) || held.cancelled == Some(Actor::Org) {
                continue;
            }
            let attendee = Record {
                key: view.claim.attendee_key(place),
                claim: view.claim,
                place,
                session: None,
                item: held.item,
                registered: held.cancelled.is_none(),
                erased: held.erased,
                confirmed_at: news.confirmed_at,
                changed: news.changed,
            };
            self.sessions.extend(held.sessions.iter().map(|session| Record {
                key: view.claim.session_attendee_key(place, PublicId::derive(org, session)),
                session: Some(*session),
                ..attendee.clone()
            }));
            self.attendees.push(attendee);
        }
    }
}
