//! A small event, driven command by command.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "a test reads better")]

use super::*;
use crate::fact::*;
use crate::ids::{ClaimId, SfId};
use crate::time::Timestamp;

const MINUTE: i64 = 60_000;

fn sf(n: u32) -> SfId {
    SfId::parse(&format!("a00{n:012}")).unwrap()
}

fn pool(n: u32, limit: Option<u32>) -> PoolTerms {
    PoolTerms { record: sf(n), limit, external: 0 }
}

fn terms() -> Terms {
    let item = |n, limit| ItemTerms {
        pool: pool(n, limit),
        free: true,
        opens_at: None,
        closes_at: None,
        max_per_order: 10,
    };
    let session =
        |n, limit| SessionTerms { pool: pool(n, limit), ends_at: Timestamp(1_000 * MINUTE) };
    Terms {
        as_of: Timestamp(1),
        standing: Standing::Published,
        opens_at: Some(Timestamp(0)),
        closes_at: Some(Timestamp(900 * MINUTE)),
        ends_at: Timestamp(1_000 * MINUTE),
        hold_millis: 10 * MINUTE,
        max_per_order: 10,
        limit: Some(5),
        external: 0,
        items: vec![item(1, Some(4)), item(2, None)],
        sessions: vec![session(11, Some(2)), session(12, Some(0)), session(13, None)],
    }
}

struct Desk {
    ledger: Ledger,
    now: Timestamp,
    next: u128,
}

impl Desk {
    fn new(terms: Terms) -> Self {
        let mut desk = Self { ledger: Ledger::default(), now: Timestamp(0), next: 0 };
        desk.run(Command::SetTerms(Box::new(terms))).unwrap();
        desk
    }

    fn run(&mut self, command: Command) -> Result<Decision, Refusal> {
        for fact in self.ledger.expire(self.now) {
            self.ledger.apply(&fact, self.now).unwrap();
        }
        let decision = self.ledger.decide(self.now, &command)?;
        for fact in &decision.facts {
            self.ledger.apply(fact, self.now).unwrap();
        }
        self.ledger.close(self.now, 7);
        let image = self.ledger.to_image();
        assert_eq!(Ledger::from_image(&image).unwrap().to_image(), image);
        Ok(decision)
    }

    fn fresh(&mut self) -> (ClaimId, Request) {
        self.next += 1;
        (ClaimId(self.next), Request { key: self.next, body: 0 })
    }

    fn hold(&mut self, places: Vec<PlaceRequest>) -> Result<ClaimId, Refusal> {
        let (claim, request) = self.fresh();
        self.run(Command::Hold { claim, request, places, replaces: None })?;
        Ok(claim)
    }

    fn confirm(&mut self, claim: ClaimId) -> Result<Decision, Refusal> {
        let (_, request) = self.fresh();
        self.run(Command::Confirm { claim, request, sessions: None })
    }

    fn left(&self, key: PoolKey) -> Option<u32> {
        self.ledger.counts().find(|c| c.pool == key).unwrap().left()
    }
}

fn place(item: u32, sessions: &[u32]) -> PlaceRequest {
    PlaceRequest { item: sf(item), sessions: sessions.iter().map(|n| sf(*n)).collect() }
}

fn blocked(pool: PoolKey, asked: u32, left: u32) -> Blocked {
    Blocked { pool, asked, left }
}

#[test]
fn a_claim_takes_all_its_pools_or_none_and_names_every_pool_that_blocks() {
    let mut desk = Desk::new(terms());
    let three = vec![place(1, &[11]), place(1, &[11]), place(1, &[11, 12])];
    let refusal = desk.hold(three).unwrap_err();
    let expected =
        vec![blocked(PoolKey::Session(sf(11)), 3, 2), blocked(PoolKey::Session(sf(12)), 1, 0)];
    assert_eq!(refusal, Refusal::SoldOut(expected));
    assert_eq!(desk.left(PoolKey::Event), Some(5));
    desk.hold(vec![place(1, &[11]), place(2, &[11])]).unwrap();
    assert_eq!(desk.left(PoolKey::Event), Some(3));
    assert_eq!(desk.left(PoolKey::Item(sf(1))), Some(3));
    assert_eq!(desk.left(PoolKey::Session(sf(11))), Some(0));
}

#[test]
fn null_is_unlimited_and_zero_is_sold_out() {
    let mut desk = Desk::new(Terms { limit: None, ..terms() });
    for _ in 0..20 {
        desk.hold(vec![place(2, &[13])]).unwrap();
    }
    assert_eq!(desk.left(PoolKey::Session(sf(13))), None);
    assert!(matches!(desk.hold(vec![place(2, &[12])]), Err(Refusal::SoldOut(_))));
}

#[test]
fn an_expired_hold_gives_its_seats_back_and_is_taken_again_if_they_are_free() {
    let mut desk = Desk::new(terms());
    let first = desk.hold(vec![place(1, &[]); 3]).unwrap();
    desk.now = Timestamp(10 * MINUTE);
    let second = desk.hold(vec![place(1, &[]); 3]).unwrap();
    let gone = vec![blocked(PoolKey::Event, 3, 2), blocked(PoolKey::Item(sf(1)), 3, 1)];
    assert_eq!(desk.confirm(first).unwrap_err(), Refusal::HoldExpired(gone));
    desk.run(Command::Release { claim: second }).unwrap();
    desk.confirm(first).unwrap();
    assert_eq!(desk.left(PoolKey::Event), Some(2));
    assert_eq!(desk.confirm(second).unwrap_err(), Refusal::HoldReleased);
}

#[test]
fn the_same_request_gets_the_same_answer_and_another_body_is_refused() {
    let mut desk = Desk::new(terms());
    let (claim, request) = desk.fresh();
    let hold = |claim, request| Command::Hold {
        claim,
        request,
        places: vec![place(1, &[])],
        replaces: None,
    };
    desk.run(hold(claim, request)).unwrap();
    let again = desk.run(hold(ClaimId(99), request)).unwrap();
    assert_eq!(again, Decision { facts: vec![], claim: Some(claim) });
    let other = Request { body: 1, ..request };
    assert_eq!(desk.run(hold(ClaimId(98), other)).unwrap_err(), Refusal::IdReused);
    let recall = |request| Command::Recall { request };
    assert_eq!(desk.run(recall(request)).unwrap(), again);
    assert_eq!(desk.run(recall(other)).unwrap_err(), Refusal::IdReused);
    let (_, never_made) = desk.fresh();
    assert_eq!(desk.run(recall(never_made)).unwrap_err(), Refusal::UnknownClaim);
    assert_eq!(desk.left(PoolKey::Event), Some(4));
}

#[test]
fn a_visitor_s_new_selection_replaces_the_old_hold_or_leaves_it() {
    let mut desk = Desk::new(terms());
    let old = desk.hold(vec![place(1, &[]); 4]).unwrap();
    let replace = |desk: &mut Desk, n| {
        let (claim, request) = desk.fresh();
        let places = vec![place(1, &[]); n];
        desk.run(Command::Hold { claim, request, places, replaces: Some(old) })
    };
    assert!(matches!(replace(&mut desk, 5), Err(Refusal::SoldOut(_))));
    assert_eq!(desk.ledger.view(old).unwrap().status, ClaimStatus::Held);
    replace(&mut desk, 2).unwrap();
    assert_eq!(desk.ledger.view(old).unwrap().status, ClaimStatus::Released);
    assert_eq!(desk.left(PoolKey::Item(sf(1))), Some(2));
}

#[test]
fn sessions_may_change_at_confirmation_and_only_the_difference_is_taken() {
    let mut desk = Desk::new(terms());
    let claim = desk.hold(vec![place(1, &[11]), place(1, &[11])]).unwrap();
    let (_, request) = desk.fresh();
    let sessions = Some(vec![vec![sf(11)], vec![sf(13), sf(12)]]);
    let refusal = desk.run(Command::Confirm { claim, request, sessions }).unwrap_err();
    assert_eq!(refusal, Refusal::SoldOut(vec![blocked(PoolKey::Session(sf(12)), 1, 0)]));
    let sessions = Some(vec![vec![sf(11)], vec![sf(13)]]);
    desk.run(Command::Confirm { claim, request, sessions }).unwrap();
    assert_eq!(desk.left(PoolKey::Session(sf(11))), Some(1));
    let missing = Some(vec![vec![]]);
    let claim = desk.hold(vec![place(1, &[]); 2]).unwrap();
    let (_, request) = desk.fresh();
    let refusal = desk.run(Command::Confirm { claim, request, sessions: missing }).unwrap_err();
    assert_eq!(refusal, Refusal::Invalid(vec![RequestFault::PlacesDiffer { held: 2 }]));
}

#[test]
fn a_cancelled_ticket_frees_its_seats_once() {
    let mut desk = Desk::new(terms());
    let claim = desk.hold(vec![place(1, &[11]), place(1, &[])]).unwrap();
    let cancel = |place| Command::Cancel { claim, place, actor: Actor::Registrant };
    assert_eq!(desk.run(cancel(None)).unwrap_err(), Refusal::NotConfirmed);
    desk.confirm(claim).unwrap();
    desk.run(cancel(Some(1))).unwrap();
    assert_eq!(desk.left(PoolKey::Session(sf(11))), Some(2));
    assert_eq!(desk.left(PoolKey::Event), Some(4));
    assert_eq!(desk.run(cancel(Some(1))).unwrap().facts, vec![]);
    assert_eq!(desk.run(cancel(Some(3))).unwrap_err(), Refusal::UnknownPlace);
    desk.run(cancel(None)).unwrap();
    assert_eq!(desk.left(PoolKey::Event), Some(5));
}

#[test]
fn a_lowered_limit_over_commits_visibly_and_cancels_nothing() {
    let mut desk = Desk::new(terms());
    let claim = desk.hold(vec![place(1, &[]); 4]).unwrap();
    desk.confirm(claim).unwrap();
    let lowered = Terms { limit: Some(3), external: 1, as_of: Timestamp(2), ..terms() };
    desk.run(Command::SetTerms(Box::new(lowered))).unwrap();
    let count = desk.ledger.counts().next().unwrap();
    assert_eq!((count.left(), count.over_committed()), (Some(0), 2));
    assert!(matches!(desk.hold(vec![place(2, &[])]), Err(Refusal::SoldOut(_))));
    assert_eq!(desk.ledger.view(claim).unwrap().standing().count(), 4);
}

#[test]
fn older_terms_never_replace_newer_ones_and_equal_ones_change_nothing() {
    let mut desk = Desk::new(Terms { as_of: Timestamp(5), ..terms() });
    let older = Command::SetTerms(Box::new(Terms { limit: None, ..terms() }));
    assert_eq!(desk.run(older).unwrap_err(), Refusal::StaleTerms { as_of: Timestamp(5) });
    let same = Command::SetTerms(Box::new(Terms { as_of: Timestamp(6), ..terms() }));
    assert_eq!(desk.run(same).unwrap().facts, vec![]);
}

#[test]
fn windows_decide_new_claims_but_not_live_holds() {
    let opens = Timestamp(5 * MINUTE);
    let mut desk = Desk::new(Terms { opens_at: Some(opens), ..terms() });
    let early = desk.hold(vec![place(1, &[])]).unwrap_err();
    assert_eq!(early, Refusal::NotYetOpen { opens_at: opens });
    desk.now = Timestamp(899 * MINUTE);
    let claim = desk.hold(vec![place(1, &[])]).unwrap();
    desk.now = Timestamp(900 * MINUTE);
    assert_eq!(desk.hold(vec![place(1, &[])]).unwrap_err(), Refusal::Closed);
    desk.confirm(claim).unwrap();
    desk.now = Timestamp(1_000 * MINUTE);
    assert_eq!(desk.hold(vec![place(1, &[])]).unwrap_err(), Refusal::EventOver);
}

#[test]
fn every_fault_of_a_claim_is_named() {
    let mut rules = terms();
    rules.items[1].free = false;
    let mut desk = Desk::new(rules);
    let mut places = vec![place(1, &[11, 11]), place(2, &[]), place(3, &[99])];
    places.extend(vec![place(1, &[]); 10]);
    let refusal = desk.hold(places).unwrap_err();
    let expected = vec![
        RequestFault::TooManyPlaces { max: 10 },
        RequestFault::SessionTwice(sf(11)),
        RequestFault::UnknownSession(sf(99)),
        RequestFault::TooManyOfItem { item: sf(1), max: 10 },
        RequestFault::PaymentNotOpen(sf(2)),
        RequestFault::UnknownItem(sf(3)),
    ];
    assert_eq!(refusal, Refusal::Invalid(expected));
    assert_eq!(desk.hold(vec![]).unwrap_err(), Refusal::Invalid(vec![RequestFault::Empty]));
}

#[test]
fn a_withdrawn_item_can_t_be_claimed_but_its_seats_stay_counted() {
    let mut desk = Desk::new(terms());
    let claim = desk.hold(vec![place(1, &[])]).unwrap();
    let mut rules = Terms { as_of: Timestamp(2), ..terms() };
    rules.items.remove(0);
    desk.run(Command::SetTerms(Box::new(rules))).unwrap();
    let gone = Refusal::Invalid(vec![RequestFault::UnknownItem(sf(1))]);
    assert_eq!(desk.hold(vec![place(1, &[])]).unwrap_err(), gone);
    desk.confirm(claim).unwrap();
    assert_eq!(desk.left(PoolKey::Event), Some(4));
}

#[test]
fn an_order_stays_within_120_bytes() {
    use std::mem::size_of;
    // One claim and one remembered request, each with its 4-byte slot and a
    // control byte in a table that is at least 7/16 full.
    let slot = 5 * 16 / 7;
    let bytes = size_of::<state::Claim>() + size_of::<state::Remembered>() + 2 * slot;
    assert!(bytes <= 120, "{bytes} bytes an order");
}
