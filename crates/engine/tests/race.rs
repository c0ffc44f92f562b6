//! Several engines on one store claim the seats of one event at once, each
//! with a combiner and threads of its own. What became of it is judged by a
//! recount of the journal that knows nothing of the ledger; and the same race
//! on a store that drops its precondition shows that the recount can tell.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Barrier};

use common::{connect, event, org_id, raw, record, start_on};
use sloe_core::fact::{Fact, Selection};
use sloe_core::ids::{ClaimId, SfId};
use sloe_core::inbound::{Field, RawEvent, RawRecord, Value};
use sloe_engine::claims::RequestId;
use sloe_engine::clock::Machine;
use sloe_engine::engine::Engine;
use sloe_engine::error::Denied;
use sloe_engine::view::{AttendeeInput, Choice};
use sloe_store::api::Store;
use sloe_store::embedded::Embedded;
use sloe_store::faulty::{Call, Fault, Faulty, Plan};
use tokio::runtime::Runtime;

const ENGINES: u32 = 3;
/// Visitors of each engine, a thread each.
const VISITORS: u32 = 3;
/// Rounds of taking and giving back before a visitor fills up what is left.
const ROUNDS: usize = 3;
/// How often a visitor asks for the same before that is a failure: each time,
/// the engine lost against the others twenty times in a row.
const TRIES: usize = 100;
/// Seats of the event, of its limited item, and of its session.
const SEATS: u32 = 60;
const ITEM_SEATS: u32 = 40;
const SESSION_SEATS: u32 = 20;

/// One event whose three kinds of pools all have limits.
fn limited() -> RawEvent {
    let mut raw = raw(1, "Event", Some(SEATS), 1);
    let limit = |seats: u32| (Field::Limit, Value::Number(seats.into()));
    raw.items[0].fields.extend([limit(ITEM_SEATS)]);
    raw.sessions[0].fields.extend([limit(SESSION_SEATS)]);
    let open = Value::Text("Open ticket".to_owned());
    raw.items.push(RawRecord {
        id: record("a01", 1_001),
        fields: BTreeMap::from([(Field::Name, open)]),
    });
    raw
}

/// What one attendee may take.
#[derive(Clone)]
struct Kinds {
    /// A seat of the event, of the limited item and of the session.
    everything: Choice,
    /// The same without the session.
    item: Choice,
    /// A seat of the event, and an item without limit.
    open: Choice,
}

impl Kinds {
    fn of(engine: &Engine) -> Self {
        let (_, snapshot) = engine.event(event(org_id(1)).public_id()).unwrap();
        let item = |id| snapshot.items.iter().find(|item| item.sf == id).unwrap().id;
        let (limited, open) = (item(record("a01", 1_000)), item(record("a01", 1_001)));
        let sessions = snapshot.sessions.iter().map(|session| session.id).collect();
        Self {
            everything: Choice { item: limited, sessions },
            item: Choice { item: limited, sessions: Vec::new() },
            open: Choice { item: open, sessions: Vec::new() },
        }
    }
}

/// An order that somebody was told of, and how it was asked for.
struct Told {
    order: String,
    id: RequestId,
    /// The hold it came from; none for a registration in one step.
    hold: Option<String>,
    people: Vec<(Choice, AttendeeInput)>,
    /// Whether the first ticket was cancelled afterwards.
    cancelled: bool,
}

impl Told {
    async fn ask_again(&self, engine: &Engine) -> String {
        let confirmed = match &self.hold {
            None => engine.register(event(org_id(1)).public_id(), &self.id, &self.people).await,
            Some(hold) => {
                let inputs: Vec<_> = self.people.iter().map(|(_, input)| input.clone()).collect();
                engine.confirm(hold, &self.id, &inputs, None).await
            }
        };
        confirmed.unwrap().token
    }
}

/// One visitor of one engine.
struct Visitor {
    name: String,
    engine: Engine,
    kinds: Kinds,
    asked: usize,
    told: Vec<Told>,
}

/// Asks until the claim is decided; none if there are too few seats. An answer
/// that nothing was taken is believed: the same is asked again.
async fn decided<T>(mut ask: impl AsyncFnMut() -> Result<T, Denied>) -> Option<T> {
    for _ in 0..TRIES {
        match ask().await {
            Ok(answer) => return Some(answer),
            Err(Denied::SoldOut(_)) => return None,
            Err(Denied::NotAccepted { .. }) => {}
            Err(denied) => panic!("{denied}"),
        }
    }
    panic!("not accepted {TRIES} times in a row");
}

impl Visitor {
    fn id(&mut self) -> RequestId {
        self.asked += 1;
        RequestId::Given(format!("{} {}", self.name, self.asked))
    }

    fn people(&self, choices: &[&Choice]) -> Vec<(Choice, AttendeeInput)> {
        let one = |(n, choice): (usize, &&Choice)| {
            let input = AttendeeInput {
                first_name: "Ada".to_owned(),
                last_name: self.name.clone(),
                email: format!("{}.{}.{n}@example.org", self.name, self.asked),
                invitation: String::new(),
            };
            ((*choice).clone(), input)
        };
        choices.iter().enumerate().map(one).collect()
    }

    /// Everything a visitor can do, then one ticket after the other until
    /// nothing is left of any kind.
    async fn visit(&mut self) {
        let Kinds { everything, item, open } = self.kinds.clone();
        for _ in 0..ROUNDS {
            if let Some(hold) = self.hold(&[&everything, &open]).await {
                decided(async || self.engine.release(&hold).await).await.unwrap();
            }
            self.hold_and_confirm(&[&everything, &item]).await;
            if self.register(&[&item, &open]).await {
                let told = self.told.last_mut().unwrap();
                told.cancelled = true;
                let cancel = async || self.engine.cancel(&told.order, Some(1)).await;
                decided(cancel).await.unwrap();
            }
        }
        for kind in [everything, item, open] {
            while self.register(&[&kind]).await {}
        }
    }

    async fn hold(&mut self, choices: &[&Choice]) -> Option<String> {
        let id = self.id();
        let choices: Vec<Choice> = choices.iter().map(|choice| (*choice).clone()).collect();
        let event = event(org_id(1)).public_id();
        let hold = decided(async || self.engine.hold(event, &id, &choices).await).await;
        hold.map(|hold| hold.token)
    }

    async fn hold_and_confirm(&mut self, choices: &[&Choice]) {
        let Some(hold) = self.hold(choices).await else { return };
        let id = self.id();
        let people = self.people(choices);
        let inputs: Vec<_> = people.iter().map(|(_, input)| input.clone()).collect();
        let confirm = async || self.engine.confirm(&hold, &id, &inputs, None).await;
        let order = decided(confirm).await.expect("a hold has its seats").token;
        self.told.push(Told { order, id, hold: Some(hold), people, cancelled: false });
    }

    async fn register(&mut self, choices: &[&Choice]) -> bool {
        let id = self.id();
        let people = self.people(choices);
        let event = event(org_id(1)).public_id();
        let register = async || self.engine.register(event, &id, &people).await;
        let Some(order) = decided(register).await else { return false };
        self.told.push(Told { order: order.token, id, hold: None, people, cancelled: false });
        true
    }
}

/// A race that is over.
struct Race {
    runtime: Runtime,
    store: Arc<Faulty<Embedded>>,
    told: Vec<Told>,
    /// Appends that were tried, one batch each.
    tried: u64,
    /// Batches that were there before.
    before: usize,
    _directory: tempfile::TempDir,
}

impl Race {
    fn run(plan: Plan) -> Self {
        let runtime = Runtime::new().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let embedded = Embedded::open(directory.path()).unwrap();
        let store = Arc::new(Faulty::new(embedded, Plan::new()));
        let engine = || start_on(Arc::clone(&store) as Arc<dyn Store>, Arc::new(Machine), None);
        let first = engine();
        connect(&first, &*store, org_id(1), "acme", "http://127.0.0.1:9");
        runtime.block_on(first.apply_refresh(org_id(1), limited())).unwrap();
        let engines: Vec<_> =
            std::iter::once(first).chain((1..ENGINES).map(|_| engine())).collect();
        // From here on every engine has the ledger as it is before the race.
        for engine in &engines {
            let left = runtime.block_on(engine.availability(event(org_id(1)))).unwrap().left;
            assert_eq!(left, Some(SEATS));
        }
        let before = journal(&*store).len();
        store.set_plan(plan);
        let told = visit_all(&runtime, &engines);
        let tried = store.calls(Call::Append);
        store.set_plan(Plan::new());
        for engine in &engines {
            runtime.block_on(engine.stop());
        }
        Self { runtime, store, told, tried, before, _directory: directory }
    }

    /// Appends that came too late.
    fn conflicts(&self) -> u64 {
        let written = journal(self.store.inner()).len() - self.before;
        self.tried - u64::try_from(written).unwrap()
    }
}

fn visit_all(runtime: &Runtime, engines: &[Engine]) -> Vec<Told> {
    let kinds = Kinds::of(&engines[0]);
    let start = Barrier::new(engines.len() * VISITORS as usize);
    std::thread::scope(|scope| {
        let mut visitors = Vec::new();
        for (at, engine) in engines.iter().enumerate() {
            for n in 0..VISITORS {
                let mut visitor = Visitor {
                    name: format!("visitor{at}{n}"),
                    engine: engine.clone(),
                    kinds: kinds.clone(),
                    asked: 0,
                    told: Vec::new(),
                };
                let (start, handle) = (&start, runtime.handle().clone());
                visitors.push(scope.spawn(move || {
                    start.wait();
                    handle.block_on(visitor.visit());
                    visitor.told
                }));
            }
        }
        visitors.into_iter().flat_map(|visitor| visitor.join().unwrap()).collect()
    })
}

fn journal(store: &dyn Store) -> Vec<sloe_core::fact::Batch> {
    store.read(event(org_id(1)), 0, 100_000).unwrap()
}

/// One pool, counted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Pool {
    record: Option<SfId>,
    limit: Option<u32>,
    /// Held and sold in the end.
    taken: u32,
    /// The most that were ever held and sold when a batch was written.
    most: u32,
}

/// The journal, counted by hand: a seat is taken by what says so, and free
/// again by what says so.
#[derive(Default)]
struct Recount {
    /// By number: the event, then items and sessions as the terms name them.
    pools: Vec<Pool>,
    /// Pools taken by each place of a claim.
    claims: HashMap<ClaimId, Vec<Vec<usize>>>,
    /// How often each order was confirmed.
    confirmed: HashMap<ClaimId, usize>,
}

impl Recount {
    fn of(store: &dyn Store) -> Self {
        let mut count = Self::default();
        for (batch, version) in journal(store).iter().zip(1..) {
            assert_eq!(batch.version, version, "the journal has no gaps");
            for fact in &batch.facts {
                count.follow(fact);
            }
            for pool in &mut count.pools {
                pool.most = pool.most.max(pool.taken);
            }
        }
        count
    }

    fn follow(&mut self, fact: &Fact) {
        match fact {
            Fact::TermsSet(terms) => {
                assert!(self.pools.is_empty(), "one refresh, one set of terms");
                let event = Pool { limit: terms.limit, ..Pool::default() };
                let items = terms.items.iter().map(|item| &item.pool);
                let sessions = terms.sessions.iter().map(|session| &session.pool);
                let named = items.chain(sessions).map(|pool| Pool {
                    record: Some(pool.record),
                    limit: pool.limit,
                    ..Pool::default()
                });
                self.pools = std::iter::once(event).chain(named).collect();
            }
            Fact::Held { claim, places, .. } => self.take(*claim, places),
            Fact::Confirmed { claim, places, .. } => {
                self.free(*claim);
                self.take(*claim, places);
                *self.confirmed.entry(*claim).or_default() += 1;
            }
            Fact::Released { claim } | Fact::Expired { claim } => self.free(*claim),
            Fact::Cancelled { claim, place, .. } => {
                let places = self.claims.get_mut(claim).unwrap();
                let pools = std::mem::take(&mut places[usize::from(*place) - 1]);
                self.give_back(&[pools]);
            }
            Fact::Erased { .. } => {}
        }
    }

    fn take(&mut self, claim: ClaimId, places: &[Selection]) {
        let pools = |place: &Selection| {
            let sessions = place.sessions.iter().map(|session| usize::from(session.0));
            [0, usize::from(place.item.0)].into_iter().chain(sessions).collect()
        };
        let places: Vec<Vec<usize>> = places.iter().map(pools).collect();
        for pool in places.iter().flatten() {
            self.pools[*pool].taken += 1;
        }
        assert!(self.claims.insert(claim, places).is_none(), "a claim takes seats twice");
    }

    fn free(&mut self, claim: ClaimId) {
        let places = self.claims.remove(&claim).unwrap_or_default();
        self.give_back(&places);
    }

    fn give_back(&mut self, places: &[Vec<usize>]) {
        for pool in places.iter().flatten() {
            self.pools[*pool].taken -= 1;
        }
    }

    /// Pools that had more taken than there are, at whatever batch.
    fn oversold(&self) -> Vec<&Pool> {
        let over = |pool: &&Pool| pool.limit.is_some_and(|limit| pool.most > limit);
        self.pools.iter().filter(over).collect()
    }
}

#[test]
fn engines_that_race_for_one_event_sell_every_seat_once() {
    let race = Race::run(Plan::new());
    // All engines began with the same version: of their first appends one can
    // have been in time.
    assert!(race.conflicts() >= u64::from(ENGINES) - 1, "they never met: nothing is shown");
    let count = Recount::of(race.store.inner());
    assert_eq!(count.oversold(), Vec::<&Pool>::new());
    let limits: Vec<_> = count.pools.iter().map(|pool| pool.limit).collect();
    assert_eq!(limits, [Some(SEATS), Some(ITEM_SEATS), None, Some(SESSION_SEATS)]);
    assert_eq!(count.pools[0].taken, SEATS, "whoever stopped last found nothing left");
    // Whoever was told of an order has it, and nobody else has one.
    assert_eq!(count.confirmed.len(), race.told.len());
    let store = Arc::clone(&race.store) as Arc<dyn Store>;
    let engine = start_on(store, Arc::new(Machine), None);
    race.runtime.block_on(async {
        for told in &race.told {
            let order = engine.order_by_token(&told.order).await.unwrap();
            assert_eq!(count.confirmed.get(&order.claim), Some(&1));
            let mut places = order.tickets.iter().zip(&told.people);
            assert!(places.all(|(ticket, (_, input))| {
                ticket.attendee.as_ref().is_some_and(|person| person.email == input.email)
            }));
            let cancelled: Vec<_> = order.tickets.iter().map(|t| t.cancelled.is_some()).collect();
            let first = told.cancelled.then_some(0);
            assert!((0..).zip(cancelled).all(|(n, gone)| gone == (Some(n) == first)));
            assert_eq!(told.ask_again(&engine).await, told.order);
        }
        engine.stop().await;
    });
    let after = Recount::of(race.store.inner());
    assert_eq!(after.confirmed, count.confirmed, "asking again makes no second order");
}

#[test]
fn the_same_race_on_a_store_without_its_precondition_oversells() {
    let race = Race::run(Plan::new().always(Call::Append, Fault::Unchecked));
    assert_eq!(race.conflicts(), 0);
    let count = Recount::of(race.store.inner());
    // Nothing tells an engine of the others, so each sells the whole event.
    assert_eq!(count.pools[0].taken, ENGINES * SEATS);
    let oversold = count.oversold();
    assert!(oversold.contains(&&count.pools[0]), "{oversold:?}");
    assert_eq!(count.confirmed.len(), race.told.len(), "and everybody was told so");
}
