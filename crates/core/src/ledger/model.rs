//! The ledger against a naive model that counts everything anew at each
//! question: random commands, limits, repeats and expiries, and after each
//! step the same answers, the same figures and nothing oversold.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "a test reads better")]

use proptest::prelude::*;

use super::*;
use crate::fact::*;
use crate::ids::{ClaimId, SfId};
use crate::time::Timestamp;

fn sf(n: u32) -> SfId {
    SfId::parse(&format!("a00{n:012}")).unwrap()
}

/// Limits of the event, of items 1 and 2, of sessions 11 and 12.
type Limits = [Option<u32>; 5];

fn terms(limits: Limits, external: u32, as_of: i64) -> Terms {
    let pool = |n, limit| PoolTerms { record: sf(n), limit, external: 0 };
    let item = |n, limit| ItemTerms {
        pool: pool(n, limit),
        free: true,
        opens_at: None,
        closes_at: None,
        max_per_order: 50,
    };
    let session = |n, limit| SessionTerms { pool: pool(n, limit), ends_at: Timestamp::MAX };
    Terms {
        as_of: Timestamp(as_of),
        standing: Standing::Published,
        opens_at: None,
        closes_at: None,
        ends_at: Timestamp::MAX,
        hold_millis: 100,
        max_per_order: 50,
        limit: limits[0],
        external,
        items: vec![item(1, limits[1]), item(2, limits[2])],
        sessions: vec![session(11, limits[3]), session(12, limits[4])],
    }
}

#[derive(Clone, Debug)]
enum Step {
    Hold { key: u8, places: Vec<(bool, bool, bool)>, replaces: Option<u8> },
    Register { key: u8, places: Vec<(bool, bool, bool)> },
    Confirm { which: u8, key: u8 },
    Release { which: u8 },
    Cancel { which: u8, place: Option<u16> },
    Limits(Limits, u32),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let places = || prop::collection::vec(any::<(bool, bool, bool)>(), 1..4);
    let limit = || prop::option::of(0_u32..8);
    let limits = [limit(), limit(), limit(), limit(), limit()];
    prop_oneof![
        4 => (0_u8..60, places(), prop::option::of(0_u8..20))
            .prop_map(|(key, places, replaces)| Step::Hold { key, places, replaces }),
        3 => (0_u8..60, places()).prop_map(|(key, places)| Step::Register { key, places }),
        4 => (0_u8..20, 0_u8..60).prop_map(|(which, key)| Step::Confirm { which, key }),
        2 => (0_u8..20).prop_map(|which| Step::Release { which }),
        2 => (0_u8..20, prop::option::of(1_u16..4))
            .prop_map(|(which, place)| Step::Cancel { which, place }),
        1 => (limits, 0_u32..3).prop_map(|(limits, external)| Step::Limits(limits, external)),
        2 => (0_i64..120).prop_map(Step::Wait),
    ]
}

#[derive(Clone)]
struct Claim {
    status: ClaimStatus,
    expires: i64,
    /// Pools (as indexes of [`Limits`]) of each attendee, and whether it stands.
    places: Vec<(Vec<usize>, bool)>,
}

struct Model {
    limits: Limits,
    external: u32,
    claims: Vec<Claim>,
    /// Request key, operation and body, and the claim that it made.
    keys: Vec<(u128, u64, usize)>,
    now: i64,
}

impl Model {
    fn taken(&self, pool: usize, without: Option<usize>) -> u32 {
        let live = |c: &Claim| matches!(c.status, ClaimStatus::Held | ClaimStatus::Confirmed);
        let claims = self.claims.iter().enumerate().filter(|(i, c)| live(c) && Some(*i) != without);
        let places = claims.flat_map(|(_, c)| &c.places).filter(|(_, stands)| *stands);
        let used = places.filter(|(pools, _)| pools.contains(&pool)).count();
        u32::try_from(used).unwrap() + if pool == 0 { self.external } else { 0 }
    }

    /// Whether `places` fit, each pool where they ask for more than `credit` has.
    fn fits(&self, places: &[Vec<usize>], credit: Option<usize>) -> bool {
        let asks = |places: &mut dyn Iterator<Item = &Vec<usize>>, pool| {
            u32::try_from(places.filter(|p| p.contains(&pool)).count()).unwrap()
        };
        (0..5).all(|pool| {
            let asked = asks(&mut places.iter(), pool);
            let had = credit.map_or(0, |claim| {
                asks(&mut self.claims[claim].places.iter().map(|(p, _)| p), pool)
            });
            let more = asked.saturating_sub(had);
            let left = self.limits[pool].map(|l| l.saturating_sub(self.taken(pool, None)));
            more == 0 || left.is_none_or(|left| more <= left)
        })
    }

    fn expire(&mut self) {
        for claim in &mut self.claims {
            if claim.status == ClaimStatus::Held && claim.expires <= self.now {
                claim.status = ClaimStatus::Expired;
            }
        }
    }
}

fn pools(place: (bool, bool, bool)) -> Vec<usize> {
    let (first, a, b) = place;
    let mut pools = vec![0, if first { 1 } else { 2 }];
    pools.extend([(a, 3), (b, 4)].iter().filter(|(wants, _)| *wants).map(|(_, pool)| *pool));
    pools
}

fn request(place: (bool, bool, bool)) -> PlaceRequest {
    let (first, a, b) = place;
    let sessions = [(a, 11), (b, 12)];
    let sessions = sessions.iter().filter(|(wants, _)| *wants).map(|(_, n)| sf(*n)).collect();
    PlaceRequest { item: sf(if first { 1 } else { 2 }), sessions }
}

struct Bench {
    ledger: Ledger,
    model: Model,
    /// Ids of the model's claims.
    ids: Vec<ClaimId>,
    journal: Vec<Batch>,
}

impl Bench {
    fn run(&mut self, command: Command) -> Result<Option<ClaimId>, Refusal> {
        let at = Timestamp(self.model.now);
        let mut facts = self.ledger.expire(at);
        for fact in &facts {
            self.ledger.apply(fact, at).unwrap();
        }
        self.model.expire();
        let decided = self.ledger.decide(at, &command);
        for fact in decided.iter().flat_map(|d| &d.facts) {
            self.ledger.apply(fact, at).unwrap();
            facts.push(fact.clone());
        }
        let batch = Batch { version: self.ledger.version() + 1, at, nonce: 1, facts };
        self.ledger.close(at, 1);
        self.journal.push(batch);
        decided.map(|d| d.claim)
    }

    /// Takes seats in both; they must agree.
    fn take(&mut self, key: u8, wanted: Vec<(bool, bool, bool)>, hold: bool, replaces: Option<u8>) {
        let claim = ClaimId(1_000 + self.ids.len() as u128);
        let body = wanted.iter().fold(u64::from(hold), |sum, (a, b, c)| {
            sum * 8 + u64::from(*a) * 4 + u64::from(*b) * 2 + u64::from(*c)
        });
        let request_id = Request { key: u128::from(key), body };
        let places: Vec<_> = wanted.iter().copied().map(request).collect();
        let old = replaces.map(usize::from).filter(|old| *old < self.ids.len());
        let command = if hold {
            let replaces = old.map(|old| self.ids[old]);
            Command::Hold { claim, request: request_id, places, replaces }
        } else {
            Command::Register { claim, request: request_id, places }
        };
        let answer = self.run(command);
        let before = self.model.keys.iter().find(|(k, ..)| *k == u128::from(key)).copied();
        if let Some((_, known, made)) = before {
            let same = known == body;
            assert_eq!(
                answer,
                if same { Ok(Some(self.ids[made])) } else { Err(Refusal::IdReused) }
            );
            return;
        }
        let asked: Vec<_> = wanted.into_iter().map(pools).collect();
        let credit = old.filter(|o| hold && self.model.claims[*o].status == ClaimStatus::Held);
        if !self.model.fits(&asked, credit) {
            assert!(matches!(answer, Err(Refusal::SoldOut(_))), "{answer:?}");
            return;
        }
        assert_eq!(answer, Ok(Some(claim)));
        if let Some(old) = credit {
            self.model.claims[old].status = ClaimStatus::Released;
        }
        let status = if hold { ClaimStatus::Held } else { ClaimStatus::Confirmed };
        let places = asked.into_iter().map(|pools| (pools, true)).collect();
        self.model.keys.push((u128::from(key), body, self.ids.len()));
        self.model.claims.push(Claim { status, expires: self.model.now + 100, places });
        self.ids.push(claim);
    }

    fn confirm(&mut self, which: u8, key: u8) {
        let which = usize::from(which);
        let claim = self.ids.get(which).copied().unwrap_or(ClaimId(7));
        let request_id = Request { key: 1_000 + u128::from(key), body: 0 };
        let answer = self.run(Command::Confirm { claim, request: request_id, sessions: None });
        let before = self.model.keys.iter().find(|(k, ..)| *k == request_id.key).copied();
        if let Some((.., made)) = before {
            let same = self.ids[made] == claim;
            assert_eq!(answer, if same { Ok(Some(claim)) } else { Err(Refusal::IdReused) });
            return;
        }
        let Some(known) = self.model.claims.get(which).cloned() else {
            assert_eq!(answer, Err(Refusal::UnknownClaim));
            return;
        };
        let pools: Vec<_> = known.places.iter().map(|(pools, _)| pools.clone()).collect();
        match known.status {
            ClaimStatus::Confirmed => assert_eq!(answer, Err(Refusal::AlreadyConfirmed)),
            ClaimStatus::Released => assert_eq!(answer, Err(Refusal::HoldReleased)),
            ClaimStatus::Expired if !self.model.fits(&pools, None) => {
                assert!(matches!(answer, Err(Refusal::HoldExpired(_))), "{answer:?}");
            }
            ClaimStatus::Held | ClaimStatus::Expired => {
                assert_eq!(answer, Ok(Some(claim)));
                self.model.claims[which].status = ClaimStatus::Confirmed;
                self.model.keys.push((request_id.key, 0, which));
            }
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Hold { key, places, replaces } => self.take(key, places, true, replaces),
            Step::Register { key, places } => self.take(100 + key, places, false, None),
            Step::Confirm { which, key } => self.confirm(which, key),
            Step::Release { which } => {
                let Some(claim) = self.ids.get(usize::from(which)).copied() else { return };
                let answer = self.run(Command::Release { claim });
                let known = &mut self.model.claims[usize::from(which)];
                match known.status {
                    ClaimStatus::Held => known.status = ClaimStatus::Released,
                    ClaimStatus::Confirmed => assert_eq!(answer, Err(Refusal::AlreadyConfirmed)),
                    ClaimStatus::Released | ClaimStatus::Expired => assert!(answer.is_ok()),
                }
            }
            Step::Cancel { which, place } => {
                let Some(claim) = self.ids.get(usize::from(which)).copied() else { return };
                let answer = self.run(Command::Cancel { claim, place, actor: Actor::Org });
                let known = &mut self.model.claims[usize::from(which)];
                if known.status != ClaimStatus::Confirmed {
                    assert_eq!(answer, Err(Refusal::NotConfirmed));
                    return;
                }
                let mut met = false;
                for (number, (_, stands)) in (1..).zip(&mut known.places) {
                    if place.is_none_or(|place| place == number) {
                        (met, *stands) = (true, false);
                    }
                }
                assert_eq!(answer.is_ok(), met);
            }
            Step::Limits(limits, external) => {
                let as_of = i64::try_from(self.journal.len()).unwrap();
                self.run(Command::SetTerms(Box::new(terms(limits, external, as_of)))).unwrap();
                (self.model.limits, self.model.external) = (limits, external);
            }
            Step::Wait(millis) => self.model.now += millis,
        }
    }

    /// Applies what a step would come to and takes it back, as a committer does
    /// that was not the first: it must leave no trace.
    fn in_vain(&mut self, step: &Step, number: u128) {
        let (before, figures) = (self.ledger.to_image(), self.ledger.counts().collect::<Vec<_>>());
        let at = Timestamp(self.model.now);
        self.ledger.begin();
        let due = self.ledger.next_expiry();
        for fact in self.ledger.expire(at) {
            self.ledger.apply(&fact, at).unwrap();
        }
        if let Some(command) = self.command(step, number)
            && let Ok(decision) = self.ledger.decide(at, &command)
        {
            for fact in &decision.facts {
                self.ledger.apply(fact, at).unwrap();
            }
        }
        self.ledger.revert();
        assert_eq!(self.ledger.to_image(), before);
        assert_eq!(self.ledger.counts().collect::<Vec<_>>(), figures);
        assert_eq!(self.ledger.next_expiry(), due);
    }

    /// A step as a command of somebody else.
    fn command(&self, step: &Step, number: u128) -> Option<Command> {
        let (claim, request_id) =
            (ClaimId(900_000 + number), Request { key: 900_000 + number, body: 0 });
        let known = |which: &u8| self.ids.get(usize::from(*which)).copied();
        let seats = |places: &[(bool, bool, bool)]| places.iter().copied().map(request).collect();
        Some(match step {
            Step::Hold { places, replaces, .. } => Command::Hold {
                claim,
                request: request_id,
                places: seats(places),
                replaces: replaces.as_ref().and_then(known),
            },
            Step::Register { places, .. } => {
                Command::Register { claim, request: request_id, places: seats(places) }
            }
            Step::Confirm { which, .. } => {
                Command::Confirm { claim: known(which)?, request: request_id, sessions: None }
            }
            Step::Release { which } => Command::Release { claim: known(which)? },
            Step::Cancel { which, place } => {
                Command::Cancel { claim: known(which)?, place: *place, actor: Actor::Org }
            }
            Step::Limits(limits, external) => {
                let mut terms = terms(*limits, *external, i64::MAX);
                terms.items.push(ItemTerms {
                    pool: PoolTerms { record: sf(3), limit: None, external: 0 },
                    ..terms.items[0].clone()
                });
                Command::SetTerms(Box::new(terms))
            }
            Step::Wait(_) => return None,
        })
    }

    /// Figures agree with the model's, and no claim took what was not there.
    fn check(&mut self, before: &[u32]) {
        for (pool, count) in self.ledger.counts().enumerate() {
            assert_eq!(count.taken(), self.model.taken(pool, None), "pool {pool}");
            assert_eq!(count.limit, self.model.limits[pool]);
            let grew = before.get(pool).is_some_and(|before| count.taken() > *before);
            assert!(!grew || count.over_committed() == 0, "pool {pool} was oversold");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_ledger_does_what_a_naive_count_would(
        steps in prop::collection::vec(step(), 1..60),
        limits in prop::array::uniform5(prop::option::of(0_u32..8)),
    ) {
        let model =
            Model { limits, external: 0, claims: vec![], keys: vec![], now: 0 };
        let mut bench =
            Bench { ledger: Ledger::default(), model, ids: vec![], journal: vec![] };
        bench.run(Command::SetTerms(Box::new(terms(limits, 0, 0)))).unwrap();
        let mut in_vain = steps.clone().into_iter().rev().zip(0..);
        for step in steps {
            if let Some((step, number)) = in_vain.next() {
                bench.in_vain(&step, number);
            }
            let takes = !matches!(step, Step::Limits(..));
            let before: Vec<u32> = bench.ledger.counts().map(|count| count.taken()).collect();
            bench.step(step);
            bench.check(if takes { &before } else { &[] });
        }
        let mut again = Ledger::default();
        for batch in &bench.journal {
            again.roll_forward(batch).unwrap();
        }
        prop_assert_eq!(again.to_image(), bench.ledger.to_image());
        let restored = Ledger::from_image(&again.to_image()).unwrap();
        prop_assert!(restored.counts().eq(bench.ledger.counts()));
    }
}
