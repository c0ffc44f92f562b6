//! The decision: a command and the time in, facts or a refusal out.

use smallvec::SmallVec;

use super::command::{
    Blocked, ClaimStatus, Command, Decision, PlaceRequest, PoolKey, Refusal, RequestFault,
};
use super::state::{Claim, Ledger, Role};
use crate::fact::{Actor, Fact, PoolIx, Request, Selection, Standing, Terms};
use crate::ids::{ClaimId, SfId};
use crate::limits;
use crate::planted;
use crate::time::Timestamp;

/// Units asked of pools, by pool.
type Asked = SmallVec<[(PoolIx, u32); 8]>;

impl Ledger {
    /// Decides `command` at `now`, which must not be before [`Ledger::at`].
    /// Expiries due must have been applied before: a hold past its time is
    /// then no longer held.
    ///
    /// # Errors
    /// The first [`Refusal`] that applies.
    pub fn decide(&self, now: Timestamp, command: &Command) -> Result<Decision, Refusal> {
        match command {
            Command::SetTerms(terms) => self.decide_terms(terms),
            Command::Hold { claim, request, places, replaces } => {
                self.decide_hold(now, *claim, *request, places, *replaces)
            }
            Command::Confirm { claim, request, sessions } => {
                self.decide_confirm(now, *claim, *request, sessions.as_deref())
            }
            Command::Register { claim, request, places } => {
                if let Some(decision) = self.repeat(*request)? {
                    return Ok(decision);
                }
                let places = self.admit(now, places)?;
                self.require(&self.asked(&places, None)).map_err(Refusal::SoldOut)?;
                let fact = Fact::Confirmed { claim: *claim, request: *request, places };
                Ok(Decision { facts: vec![fact], claim: Some(*claim) })
            }
            Command::Recall { request } => self.repeat(*request)?.ok_or(Refusal::UnknownClaim),
            Command::Release { claim } => self.decide_release(*claim),
            Command::Cancel { claim, place, actor } => self.decide_cancel(*claim, *place, *actor),
            Command::Erase { claim, place } => self.decide_erase(*claim, *place),
        }
    }

    fn decide_terms(&self, terms: &Terms) -> Result<Decision, Refusal> {
        let mut facts = Vec::new();
        if let Some(current) = &self.terms {
            if terms.as_of < current.as_of && !planted!(StaleLimits) {
                return Err(Refusal::StaleTerms { as_of: current.as_of });
            }
            let same = Terms { as_of: terms.as_of, ..(**current).clone() } == *terms;
            if same {
                // No fact for every poll: that a reading newer than these terms found them the
                // same is not recorded. Who reads does so in order.
                return Ok(Decision { facts, claim: None });
            }
        }
        facts.push(Fact::TermsSet(Box::new(terms.clone())));
        Ok(Decision { facts, claim: None })
    }

    fn decide_hold(
        &self,
        now: Timestamp,
        claim: ClaimId,
        request: Request,
        places: &[PlaceRequest],
        replaces: Option<ClaimId>,
    ) -> Result<Decision, Refusal> {
        if let Some(decision) = self.repeat(request)? {
            return Ok(decision);
        }
        let places = self.admit(now, places)?;
        let old =
            replaces.and_then(|old| self.claim(old)).filter(|c| c.status == ClaimStatus::Held);
        self.require(&self.asked(&places, old)).map_err(Refusal::SoldOut)?;
        let terms = self.terms.as_ref().ok_or(Refusal::UnknownEvent)?;
        let expires_at = now.plus_millis(terms.hold_millis);
        let released = old.map(|old| Fact::Released { claim: old.id() });
        let held = Fact::Held { claim, request, expires_at, places };
        let facts = released.into_iter().chain([held]).collect();
        Ok(Decision { facts, claim: Some(claim) })
    }

    fn decide_confirm(
        &self,
        now: Timestamp,
        claim: ClaimId,
        request: Request,
        sessions: Option<&[Vec<SfId>]>,
    ) -> Result<Decision, Refusal> {
        if let Some(decision) = self.repeat(request)? {
            return if decision.claim == Some(claim) {
                Ok(decision)
            } else {
                Err(Refusal::IdReused)
            };
        }
        let held = self.claim(claim).ok_or(Refusal::UnknownClaim)?;
        let wanted = self.reselect(held, sessions);
        let (places, expired) = match held.status {
            ClaimStatus::Confirmed => return Err(Refusal::AlreadyConfirmed),
            ClaimStatus::Released => return Err(Refusal::HoldReleased),
            ClaimStatus::Held => {
                if self.terms.as_ref().is_some_and(|t| t.standing == Standing::Cancelled) {
                    return Err(Refusal::EventCancelled);
                }
                (self.selections_of(now, &wanted, held)?, false)
            }
            ClaimStatus::Expired => (self.admit(now, &wanted)?, true),
        };
        let blocked = self.require(&self.asked(&places, (!expired).then_some(held)));
        let blocked = if expired && planted!(ConfirmWithoutClaim) { Ok(()) } else { blocked };
        blocked.map_err(if expired { Refusal::HoldExpired } else { Refusal::SoldOut })?;
        let fact = Fact::Confirmed { claim, request, places };
        Ok(Decision { facts: vec![fact], claim: Some(claim) })
    }

    /// What a hold's attendees want in the end: the same items, other sessions perhaps.
    fn reselect(&self, held: &Claim, sessions: Option<&[Vec<SfId>]>) -> Vec<PlaceRequest> {
        let Some(view) = self.view(held.id()) else { return Vec::new() };
        let mut places: Vec<_> = view
            .places
            .into_iter()
            .map(|place| PlaceRequest { item: place.item, sessions: place.sessions })
            .collect();
        if let Some(sessions) = sessions {
            // A differing number of attendees stays visible as a fault.
            places.truncate(sessions.len());
            for (place, sessions) in places.iter_mut().zip(sessions) {
                place.sessions.clone_from(sessions);
            }
        }
        places
    }

    /// The selections of a live hold. Windows don't matter any more, nor does
    /// an item that was withdrawn since; a session not held yet must be open.
    fn selections_of(
        &self,
        now: Timestamp,
        wanted: &[PlaceRequest],
        held: &Claim,
    ) -> Result<Vec<Selection>, Refusal> {
        let mut faults = Vec::new();
        let mut places = Vec::with_capacity(wanted.len());
        for (request, place) in wanted.iter().zip(&held.places) {
            let before = &self.selections[place.selection()];
            let sessions = self.sessions(now, request, &before.sessions, &mut faults);
            places.push(Selection { item: before.item, sessions });
        }
        if places.len() != held.places.len() {
            let held = u32::try_from(held.places.len()).unwrap_or(u32::MAX);
            faults.push(RequestFault::PlacesDiffer { held });
        }
        if faults.is_empty() { Ok(places) } else { Err(Refusal::Invalid(faults)) }
    }

    fn decide_release(&self, claim: ClaimId) -> Result<Decision, Refusal> {
        let held = self.claim(claim).ok_or(Refusal::UnknownClaim)?;
        let facts = match held.status {
            ClaimStatus::Held => vec![Fact::Released { claim }],
            ClaimStatus::Released | ClaimStatus::Expired => Vec::new(),
            ClaimStatus::Confirmed => return Err(Refusal::AlreadyConfirmed),
        };
        Ok(Decision { facts, claim: Some(claim) })
    }

    fn decide_cancel(
        &self,
        claim: ClaimId,
        place: Option<u16>,
        actor: Actor,
    ) -> Result<Decision, Refusal> {
        let standing = self.order_places(claim, place)?;
        let standing = standing.into_iter().filter(|(_, cancelled)| !cancelled);
        let facts = standing.map(|(place, _)| Fact::Cancelled { claim, place, actor }).collect();
        Ok(Decision { facts, claim: Some(claim) })
    }

    fn decide_erase(&self, claim: ClaimId, place: Option<u16>) -> Result<Decision, Refusal> {
        let places = self.order_places(claim, place)?;
        let view = self.view(claim).ok_or(Refusal::UnknownClaim)?;
        let erased =
            |place: u16| view.places.get(usize::from(place) - 1).is_some_and(|place| place.erased);
        let facts = places.into_iter().filter(|(place, _)| !erased(*place));
        let facts = facts.map(|(place, _)| Fact::Erased { claim, place }).collect();
        Ok(Decision { facts, claim: Some(claim) })
    }

    /// The attendees meant, from 1, and whether each is cancelled.
    fn order_places(
        &self,
        claim: ClaimId,
        place: Option<u16>,
    ) -> Result<Vec<(u16, bool)>, Refusal> {
        let order = self.claim(claim).ok_or(Refusal::UnknownClaim)?;
        if order.status != ClaimStatus::Confirmed {
            return Err(Refusal::NotConfirmed);
        }
        let all = (1_u16..).zip(&order.places).map(|(n, p)| (n, p.cancelled().is_some()));
        let meant: Vec<_> = all.filter(|(n, _)| place.is_none_or(|place| place == *n)).collect();
        if meant.is_empty() { Err(Refusal::UnknownPlace) } else { Ok(meant) }
    }

    fn claim(&self, claim: ClaimId) -> Option<&Claim> {
        self.slot(claim).map(|slot| &self.claims[slot])
    }

    /// A request seen before: its answer again, or a refusal if the body differs.
    fn repeat(&self, request: Request) -> Result<Option<Decision>, Refusal> {
        let Some(before) = self.remembered(request.key) else { return Ok(None) };
        if before.body != request.body && !planted!(BodyNotCompared) {
            return Err(Refusal::IdReused);
        }
        let claim = self.claims.get(before.claim as usize).map(Claim::id);
        Ok(Some(Decision { facts: Vec::new(), claim }))
    }

    /// Windows and rules for new seats, then the selections they come to.
    fn admit(&self, now: Timestamp, places: &[PlaceRequest]) -> Result<Vec<Selection>, Refusal> {
        let terms = self.terms.as_deref().ok_or(Refusal::UnknownEvent)?;
        match terms.standing {
            Standing::Cancelled => return Err(Refusal::EventCancelled),
            Standing::Unpublished => return Err(Refusal::EventUnpublished),
            Standing::Published => {}
        }
        if now >= terms.ends_at {
            return Err(Refusal::EventOver);
        }
        if let Some(opens_at) = terms.opens_at.filter(|opens_at| now < *opens_at) {
            return Err(Refusal::NotYetOpen { opens_at });
        }
        if terms.closes_at.is_some_and(|closes_at| now >= closes_at) {
            return Err(Refusal::Closed);
        }
        let mut faults = Vec::new();
        Self::check_size(terms, places, &mut faults);
        let mut selections = Vec::with_capacity(places.len());
        let mut of_item: SmallVec<[(SfId, u32); 4]> = SmallVec::new();
        for place in places {
            match of_item.iter_mut().find(|(item, _)| *item == place.item) {
                Some((_, count)) => *count += 1,
                None => of_item.push((place.item, 1)),
            }
            let sessions = self.sessions(now, place, &[], &mut faults);
            if let Some(ix) = self.by_record.get(&PoolKey::Item(place.item)) {
                selections.push(Selection { item: *ix, sessions });
            }
        }
        for (item, count) in of_item {
            self.check_item(now, terms, item, count, &mut faults);
        }
        if faults.is_empty() { Ok(selections) } else { Err(Refusal::Invalid(faults)) }
    }

    fn check_size(terms: &Terms, places: &[PlaceRequest], faults: &mut Vec<RequestFault>) {
        let most = u32::try_from(limits::MAX_PLACES).unwrap_or(u32::MAX).min(terms.max_per_order);
        if places.is_empty() {
            faults.push(RequestFault::Empty);
        }
        if places.len() > most as usize {
            faults.push(RequestFault::TooManyPlaces { max: most });
        }
    }

    fn check_item(
        &self,
        now: Timestamp,
        terms: &Terms,
        item: SfId,
        count: u32,
        faults: &mut Vec<RequestFault>,
    ) {
        let ix = self.by_record.get(&PoolKey::Item(item));
        let role = ix.map(|ix| self.pools[usize::from(ix.0)].role);
        let Some(rules) = (match role {
            Some(Role::Item(index)) => terms.items.get(index),
            _ => None,
        }) else {
            faults.push(RequestFault::UnknownItem(item));
            return;
        };
        if !rules.free {
            faults.push(RequestFault::PaymentNotOpen(item));
        }
        if let Some(opens_at) = rules.opens_at.filter(|opens_at| now < *opens_at) {
            faults.push(RequestFault::ItemNotYetOpen { item, opens_at });
        }
        if rules.closes_at.is_some_and(|closes_at| now >= closes_at) {
            faults.push(RequestFault::ItemClosed(item));
        }
        if count > rules.max_per_order {
            faults.push(RequestFault::TooManyOfItem { item, max: rules.max_per_order });
        }
    }

    /// One attendee's sessions as sorted pools; those in `held` are not questioned.
    fn sessions(
        &self,
        now: Timestamp,
        place: &PlaceRequest,
        held: &[PoolIx],
        faults: &mut Vec<RequestFault>,
    ) -> SmallVec<[PoolIx; 4]> {
        let mut pools = SmallVec::new();
        if place.sessions.len() > limits::MAX_SESSIONS_PER_PLACE {
            let max = u32::try_from(limits::MAX_SESSIONS_PER_PLACE).unwrap_or(u32::MAX);
            faults.push(RequestFault::TooManySessions { max });
            return pools;
        }
        for session in &place.sessions {
            let ix = self.by_record.get(&PoolKey::Session(*session)).copied();
            let fault = match ix {
                None => Some(RequestFault::UnknownSession(*session)),
                Some(ix) if pools.contains(&ix) => Some(RequestFault::SessionTwice(*session)),
                Some(ix) if held.contains(&ix) => None,
                Some(ix) => self.session_fault(now, ix, *session),
            };
            faults.extend(fault);
            pools.extend(ix);
        }
        pools.sort_unstable();
        pools
    }

    fn session_fault(&self, now: Timestamp, ix: PoolIx, session: SfId) -> Option<RequestFault> {
        let rules = match self.pools[usize::from(ix.0)].role {
            Role::Session(index) => self.terms.as_ref().and_then(|t| t.sessions.get(index)),
            Role::Event | Role::Item(_) | Role::Withdrawn => None,
        };
        match rules {
            None => Some(RequestFault::UnknownSession(session)),
            Some(rules) if now >= rules.ends_at => Some(RequestFault::SessionOver(session)),
            Some(_) => None,
        }
    }

    /// What `places` take of each pool beyond what `held` has there already.
    fn asked(&self, places: &[Selection], held: Option<&Claim>) -> Asked {
        let mut asked = Asked::new();
        for place in places {
            for ix in [PoolIx::EVENT, place.item].iter().chain(&place.sessions) {
                match asked.iter_mut().find(|(pool, _)| pool == ix) {
                    Some((_, units)) => *units += 1,
                    None => asked.push((*ix, 1)),
                }
            }
        }
        for place in held.iter().flat_map(|held| &held.places) {
            let before = &self.selections[place.selection()];
            for ix in [PoolIx::EVENT, before.item].iter().chain(&before.sessions) {
                if let Some((_, units)) = asked.iter_mut().find(|(pool, _)| pool == ix) {
                    *units = units.saturating_sub(1);
                }
            }
        }
        asked
    }

    /// All or none: every pool that has too little left.
    fn require(&self, asked: &Asked) -> Result<(), Vec<Blocked>> {
        let blocked = asked.iter().filter(|(_, units)| *units > 0).filter_map(|(ix, units)| {
            let count = self.pools[usize::from(ix.0)].count();
            let spare = u32::from(planted!(OffByOne));
            let left = count.left().filter(|left| left + spare < *units)?;
            Some(Blocked { pool: count.pool, asked: *units, left })
        });
        let blocked: Vec<_> = blocked.collect();
        if blocked.is_empty() { Ok(()) } else { Err(blocked) }
    }
}
