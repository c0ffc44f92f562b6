//! One event's journal, read by somebody who trusts nobody.

use std::collections::{BTreeMap, BTreeSet};

use sloe_core::fact::{Actor, Batch, Fact, PoolIx, Selection, Terms};
use sloe_core::ids::{ClaimId, EventRef, PublicId, SfId};
use sloe_core::time::Timestamp;
use sloe_engine::view::Availability;

use super::Limits;

/// Where a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Seats are held.
    Held,
    /// An order.
    Order,
    /// Given back.
    Released,
    /// Its time ran out.
    Expired,
}

/// One attendee of a claim.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// Numbers of the pools that it has a seat in: the event's, an item's, sessions'.
    pub pools: Vec<usize>,
    /// Who cancelled it, if anybody.
    pub cancelled: Option<Actor>,
}

#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) standing: Standing,
    pub(super) expires_at: Timestamp,
    pub(super) tickets: Vec<Ticket>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Event,
    Item,
    Session,
}

#[derive(Clone, Debug)]
struct Pool {
    kind: Kind,
    record: Option<SfId>,
    limit: Option<u32>,
    external: u32,
}

/// Held, sold and external of a pool, and its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Figure {
    limit: Option<u32>,
    held: u32,
    sold: u32,
    external: u32,
}

impl Figure {
    fn taken(self) -> u32 {
        self.held + self.sold + self.external
    }

    fn left(self) -> Option<u32> {
        self.limit.map(|limit| limit.saturating_sub(self.taken()))
    }
}

/// What terms say of seats.
pub(super) fn limits_of(terms: &Terms) -> Limits {
    let items = terms.items.iter().map(|item| &item.pool);
    let sessions = terms.sessions.iter().map(|session| &session.pool);
    let pools = items.chain(sessions).map(|pool| (Some(pool.record), (pool.limit, pool.external)));
    pools.chain([(None, (terms.limit, terms.external))]).collect()
}

/// A claim that became an order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Confirmed {
    pub(super) claim: ClaimId,
    /// Rather than an order in one step.
    pub(super) was_hold: bool,
}

/// The account of one event.
#[derive(Debug, Default)]
pub struct Book {
    version: u64,
    at: Option<Timestamp>,
    as_of: Option<Timestamp>,
    pools: Vec<Pool>,
    claims: BTreeMap<ClaimId, Claim>,
    requests: BTreeSet<u128>,
    /// Every pool's figures, by version from 1.
    history: Vec<Vec<Figure>>,
}

impl Book {
    /// The version of the last batch read.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Claims ever made.
    #[must_use]
    pub fn made(&self) -> usize {
        self.claims.len()
    }

    pub(super) fn claim(&self, claim: ClaimId) -> Option<&Claim> {
        self.claims.get(&claim)
    }

    /// The order that people call by this name.
    pub(super) fn by_reference(&self, reference: &str) -> Option<(ClaimId, &Claim)> {
        let found = self.claims.iter().find(|(claim, _)| claim.reference() == reference);
        found.map(|(id, claim)| (*id, claim))
    }

    /// Every order with its tickets.
    pub fn orders(&self) -> impl Iterator<Item = (ClaimId, &[Ticket])> {
        let orders = self.claims.iter().filter(|(_, claim)| claim.standing == Standing::Order);
        orders.map(|(id, claim)| (*id, claim.tickets.as_slice()))
    }

    /// Holds whose seats are taken.
    #[must_use]
    pub fn holds(&self) -> usize {
        self.claims.values().filter(|claim| claim.standing == Standing::Held).count()
    }

    /// The record behind a pool's number; `None` for the event itself.
    #[must_use]
    pub fn record(&self, pool: usize) -> Option<SfId> {
        self.pools.get(pool)?.record
    }

    /// What is left of the event, an item and sessions together.
    #[must_use]
    pub fn left(&self, records: &[SfId]) -> Option<u32> {
        let wanted = self.pools.iter().enumerate();
        let wanted =
            wanted.filter(|(_, pool)| pool.record.is_none_or(|record| records.contains(&record)));
        wanted.filter_map(|(number, _)| self.figure(number).left()).min()
    }

    /// Every record that has a pool; `None` is the event itself.
    pub fn records(&self) -> impl Iterator<Item = Option<SfId>> {
        self.pools.iter().map(|pool| pool.record)
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.pools.iter().map(|pool| (pool.record, (pool.limit, pool.external))).collect()
    }

    /// Seats sold, external ones too, and held, of the event or one of its records.
    #[must_use]
    pub fn sold_and_held(&self, record: Option<SfId>) -> Option<(u32, u32)> {
        let number = self.pools.iter().position(|pool| pool.record == record)?;
        let figure = self.figure(number);
        Some((figure.sold + figure.external, figure.held))
    }

    /// Reads the next batch; the claims that became orders.
    pub(super) fn follow(&mut self, batch: &Batch) -> Result<Vec<Confirmed>, String> {
        if batch.version != self.version + 1 {
            return Err(format!("it follows version {}", self.version));
        }
        if self.at.is_some_and(|before| batch.at < before) {
            return Err("time goes backward".into());
        }
        self.at = Some(batch.at);
        let mut confirmed = Vec::new();
        // Before a hold that is replaced was given up: what it had is its successor's to take.
        let mut replaced: Option<Vec<Figure>> = None;
        for fact in &batch.facts {
            if !matches!(fact, Fact::Expired { .. })
                && let Some(late) = self.overdue(batch.at)
            {
                return Err(format!("{late:?} is past its time and still held at {fact:?}"));
            }
            let before = self.figures();
            self.take(fact, batch.at, &mut confirmed)?;
            match fact {
                Fact::Held { .. } => {
                    let before = replaced.take().unwrap_or_else(|| before.clone());
                    self.nothing_oversold(&before)?;
                }
                Fact::Confirmed { .. } => self.nothing_oversold(&before)?,
                _ => {}
            }
            replaced = matches!(fact, Fact::Released { .. }).then_some(before);
        }
        self.version = batch.version;
        let figures = self.figures();
        self.history.push(figures);
        Ok(confirmed)
    }

    fn overdue(&self, at: Timestamp) -> Option<ClaimId> {
        let due = |claim: &Claim| claim.standing == Standing::Held && claim.expires_at <= at;
        self.claims.iter().find(|(_, claim)| due(claim)).map(|(id, _)| *id)
    }

    fn take(
        &mut self,
        fact: &Fact,
        at: Timestamp,
        confirmed: &mut Vec<Confirmed>,
    ) -> Result<(), String> {
        match fact {
            Fact::TermsSet(terms) => self.terms(terms),
            Fact::Held { claim, request, expires_at, places } => {
                self.request(request.key)?;
                let tickets = self.tickets(places)?;
                if *expires_at <= at {
                    return Err(format!("{claim:?} is held until it is held"));
                }
                let made = Claim { standing: Standing::Held, expires_at: *expires_at, tickets };
                match self.claims.insert(*claim, made) {
                    None => Ok(()),
                    Some(_) => Err(format!("{claim:?} is held twice")),
                }
            }
            Fact::Confirmed { claim, request, places } => {
                self.request(request.key)?;
                let tickets = self.tickets(places)?;
                let before = self.claims.get(claim).map(|claim| claim.standing);
                if matches!(before, Some(Standing::Order | Standing::Released)) {
                    return Err(format!("{claim:?} had ended as {before:?} and is an order again"));
                }
                confirmed.push(Confirmed { claim: *claim, was_hold: before.is_some() });
                let made = Claim { standing: Standing::Order, expires_at: at, tickets };
                self.claims.insert(*claim, made);
                Ok(())
            }
            Fact::Released { claim } => self.end(*claim, Standing::Released).map(drop),
            Fact::Expired { claim } => {
                let expires_at = self.end(*claim, Standing::Expired)?;
                if expires_at > at {
                    return Err(format!("{claim:?} expires {} ms early", expires_at.0 - at.0));
                }
                Ok(())
            }
            Fact::Cancelled { claim, place, actor } => {
                let ticket = self.ticket(*claim, *place)?;
                match ticket.cancelled.replace(*actor) {
                    None => Ok(()),
                    Some(_) => Err(format!("place {place} of {claim:?} is cancelled twice")),
                }
            }
            Fact::Erased { claim, place } => self.ticket(*claim, *place).map(drop),
        }
    }

    fn ticket(&mut self, claim: ClaimId, place: u16) -> Result<&mut Ticket, String> {
        let order = self.claims.get_mut(&claim).filter(|c| c.standing == Standing::Order);
        let index = usize::from(place).wrapping_sub(1);
        let ticket = order.and_then(|order| order.tickets.get_mut(index));
        ticket.ok_or_else(|| format!("{claim:?} is no order with a place {place}"))
    }

    fn end(&mut self, claim: ClaimId, as_what: Standing) -> Result<Timestamp, String> {
        let Some(known) = self.claims.get_mut(&claim) else {
            return Err(format!("{claim:?} ends and never was"));
        };
        if known.standing != Standing::Held {
            return Err(format!("{claim:?} ends as {as_what:?} and had as {:?}", known.standing));
        }
        known.standing = as_what;
        Ok(known.expires_at)
    }

    fn request(&mut self, key: u128) -> Result<(), String> {
        if self.requests.insert(key) { Ok(()) } else { Err("a request is met twice".into()) }
    }

    fn terms(&mut self, terms: &Terms) -> Result<(), String> {
        if self.as_of.is_some_and(|before| terms.as_of < before) {
            return Err("limits that were read earlier replace later ones".into());
        }
        self.as_of = Some(terms.as_of);
        if self.pools.is_empty() {
            self.pools.push(Pool { kind: Kind::Event, record: None, limit: None, external: 0 });
        }
        for pool in &mut self.pools {
            pool.external = 0;
        }
        let items = terms.items.iter().map(|item| (Kind::Item, &item.pool));
        let sessions = terms.sessions.iter().map(|session| (Kind::Session, &session.pool));
        for (kind, said) in items.chain(sessions) {
            let known = self.pools.iter().position(|pool| pool.record == Some(said.record));
            let pool = Pool {
                kind,
                record: Some(said.record),
                limit: said.limit,
                external: said.external,
            };
            match known {
                Some(number) => self.pools[number] = pool,
                None => self.pools.push(pool),
            }
        }
        self.pools[0].limit = terms.limit;
        self.pools[0].external = terms.external;
        Ok(())
    }

    fn tickets(&self, places: &[Selection]) -> Result<Vec<Ticket>, String> {
        let number = |ix: &PoolIx, kind: Kind| {
            let number = usize::from(ix.0);
            let fits = self.pools.get(number).is_some_and(|pool| pool.kind == kind);
            fits.then_some(number).ok_or_else(|| format!("pool {number} is not of its kind"))
        };
        let ticket = |place: &Selection| {
            let mut pools = vec![0, number(&place.item, Kind::Item)?];
            for session in &place.sessions {
                pools.push(number(session, Kind::Session)?);
            }
            Ok(Ticket { pools, cancelled: None })
        };
        if places.is_empty() {
            return Err("a claim of nothing".into());
        }
        places.iter().map(ticket).collect()
    }

    fn figure(&self, number: usize) -> Figure {
        let pool = &self.pools[number];
        let (mut held, mut sold) = (0, 0);
        for claim in self.claims.values() {
            let seats = claim.tickets.iter().filter(|t| t.cancelled.is_none());
            let seats: usize =
                seats.map(|t| t.pools.iter().filter(|p| **p == number).count()).sum();
            let seats = u32::try_from(seats).unwrap_or(u32::MAX);
            match claim.standing {
                Standing::Held => held += seats,
                Standing::Order => sold += seats,
                Standing::Released | Standing::Expired => {}
            }
        }
        Figure { limit: pool.limit, held, sold, external: pool.external }
    }

    fn figures(&self) -> Vec<Figure> {
        (0..self.pools.len()).map(|number| self.figure(number)).collect()
    }

    fn nothing_oversold(&self, before: &[Figure]) -> Result<(), String> {
        for (number, now) in self.figures().into_iter().enumerate() {
            let grew = before.get(number).is_none_or(|before| now.taken() > before.taken());
            if grew && now.limit.is_some_and(|limit| now.taken() > limit) {
                return Err(format!("pool {number} is oversold: {now:?}"));
            }
        }
        Ok(())
    }

    /// Whether what a page says agrees with what was counted at its version.
    pub(super) fn agrees(&self, event: EventRef, shown: &Availability) -> Result<(), String> {
        if shown.version == 0 {
            return Ok(());
        }
        let index = usize::try_from(shown.version - 1).unwrap_or(usize::MAX);
        let Some(figures) = self.history.get(index) else {
            return Err(format!("version {} before it is durable", shown.version));
        };
        let own = figures.first().copied();
        if own.map(|f| (f.left(), f.held, f.sold)) != Some((shown.left, shown.held, shown.sold)) {
            return Err(format!("{shown:?} instead of {own:?}"));
        }
        if shown.limit != own.and_then(|own| own.limit)
            || 1 + shown.items.len() + shown.sessions.len() != figures.len()
        {
            return Err(format!("{shown:?} instead of all of {figures:?}"));
        }
        let known = shown.items.iter().chain(&shown.sessions);
        for left in known {
            let of = |pool: &Pool| {
                pool.record.is_some_and(|r| PublicId::derive(&event.org, &r) == left.id)
            };
            let figure = self.pools.iter().position(of).and_then(|number| figures.get(number));
            if figure.map(|figure| (figure.left(), figure.limit)) != Some((left.left, left.limit)) {
                return Err(format!("{left:?} instead of {figure:?}"));
            }
        }
        Ok(())
    }
}
