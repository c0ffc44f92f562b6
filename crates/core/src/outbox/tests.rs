//! The outbox against an org that is told of every change at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::fact::{ItemTerms, PoolTerms, Request, SessionTerms, Standing, Terms};
use crate::ledger::{Command, Ledger, PlaceRequest};

fn record(kind: &str, n: u32) -> SfId {
    SfId::parse(&format!("{kind}{n:012}")).unwrap()
}

fn terms() -> Terms {
    let pool = |record| PoolTerms { record, limit: None, external: 0 };
    Terms {
        as_of: Timestamp(0),
        standing: Standing::Published,
        opens_at: None,
        closes_at: None,
        ends_at: Timestamp(i64::MAX),
        hold_millis: 1_000,
        max_per_order: 10,
        limit: None,
        external: 0,
        items: vec![ItemTerms {
            pool: pool(record("a01", 1)),
            free: true,
            opens_at: None,
            closes_at: None,
            max_per_order: 10,
        }],
        sessions: (1..=3)
            .map(|n| SessionTerms { pool: pool(record("a02", n)), ends_at: Timestamp(i64::MAX) })
            .collect(),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Register(Vec<Vec<u32>>),
    Cancel {
        order: usize,
        place: Option<u16>,
        actor: Actor,
    },
    /// The worker drains; the ledger may be ahead of the stretch by then.
    Drain {
        ahead: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let sessions = proptest::sample::subsequence(vec![1_u32, 2, 3], 0..=3);
    let actor = prop_oneof![Just(Actor::Registrant), Just(Actor::Org), Just(Actor::Staff)];
    prop_oneof![
        3 => proptest::collection::vec(sessions, 1..4).prop_map(Step::Register),
        4 => (0..8_usize, proptest::option::of(1..4_u16), actor)
            .prop_map(|(order, place, actor)| Step::Cancel { order, place, actor }),
        2 => any::<bool>().prop_map(|ahead| Step::Drain { ahead }),
    ]
}

fn command(step: &Step, orders: &mut Vec<ClaimId>) -> Option<Command> {
    match step {
        Step::Register(people) => {
            let claim = ClaimId(orders.len() as u128 + 1);
            orders.push(claim);
            let place = |sessions: &Vec<u32>| PlaceRequest {
                item: record("a01", 1),
                sessions: sessions.iter().map(|n| record("a02", *n)).collect(),
            };
            let request = Request { key: claim.0, body: 0 };
            let places = people.iter().map(place).collect();
            Some(Command::Register { claim, request, places })
        }
        Step::Cancel { order, place, actor } => {
            let claim = *orders.get(*order)?;
            Some(Command::Cancel { claim, place: *place, actor: *actor })
        }
        Step::Drain { .. } => None,
    }
}

#[derive(Default)]
struct Org(BTreeMap<String, (bool, u64)>);

impl Org {
    fn take(&mut self, record: &Record, version: u64) {
        let known = self.0.entry(record.key.clone()).or_insert((record.registered, version));
        if version >= known.1 {
            *known = (record.registered, version);
        }
    }
}

fn drain(org: &mut Org, id: &OrgId, stretch: &Stretch, ledger: &Ledger) {
    let mut plan = Plan::default();
    for (claim, news) in stretch.claims() {
        plan.add(id, news, &ledger.view(claim).unwrap());
    }
    let mut seen = BTreeSet::new();
    for record in plan.attendees.iter().chain(&plan.sessions) {
        assert!(seen.insert(record.key.clone()), "{} goes twice in one drain", record.key);
        let place = &ledger.view(record.claim).unwrap().places[usize::from(record.place) - 1];
        assert_ne!(place.cancelled, Some(Actor::Org), "the org's own cancellation is written back");
        if record.session.is_some() {
            let parent = record.claim.attendee_key(record.place);
            let sent = plan.attendees.iter().any(|attendee| attendee.key == parent);
            assert!(sent || org.0.contains_key(&parent), "a child goes without its parent");
        }
        org.take(record, stretch.upto());
    }
}

proptest! {
    #[test]
    fn however_the_journal_is_cut_the_org_ends_in_the_newest_state(
        steps in proptest::collection::vec(step(), 0..60),
    ) {
        let id = OrgId::parse("00D000000000001").unwrap();
        let (mut ledger, mut orders, mut org) = (Ledger::default(), Vec::new(), Org::default());
        let mut journal = Vec::new();
        let (mut cursor, mut late) = (0_usize, Stretch::after(0));
        let append = |ledger: &mut Ledger, command: &Command| -> Option<Batch> {
            let decision = ledger.decide(Timestamp(1), command).ok()?;
            let version = ledger.version() + 1;
            let batch =
                Batch { version, at: Timestamp(1), nonce: 0, facts: decision.facts };
            ledger.roll_forward(&batch).unwrap();
            Some(batch)
        };
        journal.extend(append(&mut ledger, &Command::SetTerms(Box::new(terms()))));
        for step in steps.iter().chain(&[Step::Drain { ahead: false }, Step::Drain { ahead: false }]) {
            if let Some(command) = command(step, &mut orders) {
                journal.extend(append(&mut ledger, &command));
            }
            if let Step::Drain { ahead } = step {
                // What was read earlier goes now, with states that may be newer.
                drain(&mut org, &id, &late, &ledger);
                let mut stretch = Stretch::after(late.upto());
                journal[cursor..].iter().for_each(|batch| stretch.follow(batch));
                cursor = journal.len();
                if *ahead {
                    late = stretch;
                } else {
                    drain(&mut org, &id, &stretch, &ledger);
                    late = Stretch::after(stretch.upto());
                }
            }
        }
        let mut expected = BTreeMap::new();
        let mut the_orgs = BTreeSet::new();
        for view in ledger.views() {
            let mut plan = Plan::default();
            let all = News { places: SmallVec::new(), ..News::default() };
            let mut open = view.clone();
            for place in &mut open.places {
                if place.cancelled == Some(Actor::Org) {
                    place.cancelled = None;
                }
            }
            plan.add(&id, &all, &open);
            for record in plan.attendees.into_iter().chain(plan.sessions) {
                let place = &view.places[usize::from(record.place) - 1];
                if place.cancelled == Some(Actor::Org) {
                    the_orgs.insert(record.key);
                } else {
                    expected.insert(record.key, place.cancelled.is_none());
                }
            }
        }
        org.0.retain(|key, _| !the_orgs.contains(key));
        let found: BTreeMap<_, _> = org.0.into_iter().map(|(key, (on, _))| (key, on)).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn news_of_one_order_are_no_news_of_another() {
    let [first, second] = [ClaimId(1), ClaimId(2)];
    let cancelled = |claim, place| Fact::Cancelled { claim, place, actor: Actor::Registrant };
    let batch = |version, facts| Batch { version, at: Timestamp(1), nonce: 0, facts };
    let mut stretch = Stretch::after(6);
    stretch.follow(&batch(7, vec![cancelled(first, 1), cancelled(second, 1)]));
    stretch.follow(&batch(8, vec![cancelled(first, 2)]));
    stretch.follow(&batch(9, vec![]));
    let changed: Vec<_> = stretch.claims().map(|(claim, news)| (claim, news.changed)).collect();
    assert_eq!((changed, stretch.upto()), (vec![(first, 8), (second, 7)], 9));
}
