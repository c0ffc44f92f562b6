//! One org's API budget in force: every call of its client asks here, and our
//! own calls are written down, so that a restart forgets none but those of the
//! last second. What the org itself counts, it tells anew with each answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sloe_core::budget::{Book, May, Purpose, Rules, Told};
use sloe_core::ids::OrgId;
use sloe_core::time::Timestamp;
use sloe_salesforce::{Error, Exhausted, Gate, Usage};
use sloe_store::api::{Document, Store, StoreError, Write};
use sloe_store::key::Key;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::orgs::{ensure, lock};
use super::outbox::file;
use super::stored;
use crate::clock::World;
use crate::engine::Engine;
use crate::error::Denied;
use crate::tenant::{Org, OrgError};

/// How often what was counted is written down.
const KEEP: Duration = Duration::from_secs(1);

/// The counted calls of one org.
pub(crate) struct Budget {
    world: Arc<dyn World>,
    book: Mutex<Book>,
    kept: Mutex<Kept>,
    loaded: OnceCell<()>,
}

/// What the store has.
#[derive(Default)]
struct Kept {
    book: Book,
    version: u64,
    /// When it was last compared.
    at: Option<Instant>,
}

#[derive(Serialize, Deserialize)]
struct Calls {
    /// Ours, by hours since 1970.
    hours: Vec<(i64, u64)>,
    /// Everybody's, allowed, and when the org told so.
    told: Option<(u64, u64, i64)>,
}

impl std::fmt::Debug for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Budget").field("book", &*lock(&self.book)).finish_non_exhaustive()
    }
}

impl Budget {
    pub(super) fn new(world: Arc<dyn World>) -> Self {
        Self { world, book: Mutex::default(), kept: Mutex::default(), loaded: OnceCell::new() }
    }

    /// Reads what an earlier process counted, before the first call.
    pub(super) async fn load(&self, engine: &Engine, org: OrgId) {
        let Some(org) = engine.registry().by_id(org) else { return };
        self.load_from(engine, Key::budget(org.scope), org.budget).await;
    }

    /// The same, from the document that it is written to, under these rules.
    pub(super) async fn load_from(&self, engine: &Engine, key: Key, rules: Rules) {
        let load = || async {
            lock(&self.book).set_rules(rules);
            let at = key.clone();
            let found = stored(engine, move |store| store.get(&at)).await?;
            let Some(document) = found else { return Ok(()) };
            let mut book = decode(&document);
            book.set_rules(rules);
            *lock(&self.book) = book.clone();
            *lock(&self.kept) = Kept { book, version: document.version, at: None };
            Ok::<_, StoreError>(())
        };
        while let Err(error) = self.loaded.get_or_try_init(load).await {
            tracing::error!(key = key.id(), %error, "the org's counted calls can't be read");
            tokio::time::sleep(KEEP).await;
        }
    }

    /// How much Sloe may take from now on.
    pub(super) fn set_rules(&self, rules: Rules) {
        lock(&self.book).set_rules(rules);
    }

    /// Whether a stretch of calls may begin now; the reason why not.
    pub(super) fn start(&self, purpose: Purpose, call: &'static str) -> Result<(), Error> {
        match lock(&self.book).may_start(purpose, self.world.now()) {
            May::Go | May::Look => Ok(()),
            May::Wait { until, closed } => Err(Error::Budget { call, until, closed }),
        }
    }

    /// How long until `until`, by the clock that the budget goes by.
    pub(super) fn pause(&self, until: Timestamp) -> Duration {
        let millis = until.millis_since(self.world.now());
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// Shows how things stand in the metrics.
    fn show(&self, org: &str) {
        let standing = Calls24h::of(&lock(&self.book), self.world.now());
        let org = org.to_owned();
        // Gauges are floats; no org has calls beyond what they hold exactly.
        let float = |calls: u64| u32::try_from(calls).map_or(f64::MAX, f64::from);
        if let Some(told) = standing.told {
            metrics::gauge!("sloe_org_api_calls_used", "org" => org.clone()).set(float(told.used));
            metrics::gauge!("sloe_org_api_calls_max", "org" => org.clone()).set(float(told.max));
        }
        let at_once = u32::try_from(standing.at_once).map_or(f64::MAX, f64::from);
        metrics::gauge!("sloe_org_api_calls_at_once", "org" => org.clone()).set(at_once);
        metrics::gauge!("sloe_org_api_calls_by_sloe", "org" => org.clone())
            .set(float(standing.ours));
        metrics::gauge!("sloe_org_api_calls_left", "org" => org).set(float(standing.left));
    }

    /// What the document at `key` doesn't have yet, of the org that the metrics
    /// call `label`. Looks once in [`KEEP`] only: this is
    /// asked for every org at every news of any.
    pub(super) fn news(&self, key: Key, label: &str, last: bool) -> Option<Write> {
        self.loaded.get()?;
        let mut kept = lock(&self.kept);
        if !last && kept.at.is_some_and(|at| at.elapsed() < KEEP) {
            return None;
        }
        kept.at = Some(Instant::now());
        self.show(label);
        let book = lock(&self.book).clone();
        if book.hours() == kept.book.hours() && book.told() == kept.book.told() {
            return None;
        }
        let body = Some(encode(&book));
        kept.book = book;
        kept.version += 1;
        Some(Write { key, version: kept.version, body })
    }
}

impl Gate for Budget {
    fn begin(&self, purpose: Purpose) -> May {
        lock(&self.book).begin(purpose, self.world.now())
    }

    fn again(&self) {
        lock(&self.book).count(self.world.now());
    }

    fn follow(&self, usage: Usage) {
        lock(&self.book).follow(usage.used, usage.max, usage.app, self.world.now());
    }

    fn refuse(&self, which: Exhausted) {
        let now = self.world.now();
        let mut book = lock(&self.book);
        match which {
            Exhausted::Daily if sloe_core::planted!(BudgetIgnored) => {}
            Exhausted::Daily => book.refuse_daily(now),
            Exhausted::AtOnce => book.refuse_at_once(now),
        }
    }

    fn at_once(&self) -> usize {
        lock(&self.book).at_once(self.world.now())
    }

    fn end(&self) {
        lock(&self.book).end();
    }
}

/// Counts the calls to an org whose budget is not kept here: before it is known which org it is,
/// or because another node works for it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    tallied: Mutex<Tallied>,
    /// The budget as it was written down last; `None` while the org is not known.
    known: Option<Budget>,
}

impl Tally {
    /// Of an org that is connected: its calls stay inside its budget.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn of(engine: &Engine, org: &Org) -> Result<Self, StoreError> {
        let key = Key::budget(org.scope);
        let mut book = stored(engine, move |store| written(store, &key)).await?;
        book.set_rules(org.budget);
        let budget = Budget::new(engine.shared_world());
        *lock(&budget.book) = book;
        Ok(Self { known: Some(budget), ..Self::default() })
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Tallied {
    calls: u64,
    /// What the org told last.
    told: Option<Usage>,
}

impl Tallied {
    fn enter(self, book: &mut Book, now: Timestamp) {
        for call in 1..=self.calls {
            book.count(now);
            if let Some(told) = self.told.filter(|_| call == self.calls) {
                book.follow(told.used, told.max, told.app, now);
            }
            book.end();
        }
    }
}

impl Gate for Tally {
    fn begin(&self, purpose: Purpose) -> May {
        let may = self.known.as_ref().map_or(May::Go, |budget| budget.begin(purpose));
        if !matches!(may, May::Wait { .. }) {
            lock(&self.tallied).calls += 1;
        }
        may
    }

    fn again(&self) {
        lock(&self.tallied).calls += 1;
        self.known.iter().for_each(Gate::again);
    }

    fn follow(&self, usage: Usage) {
        lock(&self.tallied).told = Some(usage);
        self.known.iter().for_each(|budget| budget.follow(usage));
    }

    fn refuse(&self, which: Exhausted) {
        self.known.iter().for_each(|budget| budget.refuse(which));
    }

    fn at_once(&self) -> usize {
        let unknown = || Rules::default().at_once().into();
        self.known.as_ref().map_or_else(unknown, Gate::at_once)
    }

    fn end(&self) {
        self.known.iter().for_each(Gate::end);
    }
}

/// Enters calls that were made in the org's budget, if it is connected by now.
pub(crate) async fn charge(engine: &Engine, org: OrgId, tally: &Tally) {
    let Some(known) = engine.registry().by_id(org) else { return };
    let (tallied, now) = (*lock(&tally.tallied), engine.now());
    if let Some(work) = ensure(engine, org) {
        work.budget.load(engine, org).await;
        tallied.enter(&mut lock(&work.budget.book), now);
        return;
    }
    // Nobody works for the org here: whoever does next reads it.
    let key = Key::budget(known.scope);
    let entered = stored(engine, move |store| {
        let found = store.get(&key)?;
        let mut book = found.as_ref().map(decode).unwrap_or_default();
        tallied.enter(&mut book, now);
        let version = found.map_or(0, |found| found.version) + 1;
        store.put(&[Write { key, version, body: Some(encode(&book)) }])
    });
    if let Err(error) = entered.await {
        tracing::error!(%org, %error, "calls to the org can't be counted");
    }
}

fn encode(book: &Book) -> Vec<u8> {
    let told = book.told().map(|told| (told.used, told.max, told.at.0));
    file::encode(&Calls { hours: book.hours(), told })
}

/// What was written down last.
fn written(store: &dyn Store, key: &Key) -> Result<Book, StoreError> {
    Ok(store.get(key)?.as_ref().map(decode).unwrap_or_default())
}

/// What was counted; nothing if that can't be read: the org tells with its next
/// answer what is used of its allowance, and must not stand still until then.
fn decode(document: &Document) -> Book {
    match file::decode::<Calls>(&document.body) {
        Ok(calls) => {
            let told = calls.told.map(|(used, max, at)| Told { used, max, at: Timestamp(at) });
            Book::restore(calls.hours, told)
        }
        Err(error) => {
            tracing::error!(%error, "the counted calls of an org can't be read; they are counted anew");
            Book::default()
        }
    }
}

/// Writes down what was counted since it was last written; all of it at the end.
pub(crate) async fn keep(engine: &Engine, last: bool) -> Result<(), String> {
    let mut writes = Vec::new();
    for org in engine.registry().all() {
        let Some(work) = engine.workers().known(org.id()) else { continue };
        writes.extend(work.budget.news(Key::budget(org.scope), org.id().as_str(), last));
    }
    writes.extend(engine.workers().licenses.calls(last));
    if writes.is_empty() {
        return Ok(());
    }
    stored(engine, move |store| store.put(&writes)).await.map_err(|error| error.to_string())
}

/// What is known of an org's API allowance, and of Sloe's part in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calls24h {
    /// Calls of the last 24 hours by everybody, and how many are allowed, as the org told last.
    pub told: Option<Told>,
    /// Sloe's own.
    pub ours: u64,
    /// How many more Sloe may make to write to the org.
    pub left: u64,
    /// How many calls Sloe makes at the same time, as the org bore them lately.
    pub at_once: usize,
    /// How much Sloe may take.
    pub rules: Rules,
    /// Sloe's own by hours since 1970.
    pub hours: Vec<(i64, u64)>,
    /// Until when nothing is written to the org; then Sloe looks whether something may be.
    pub waits_until: Option<Timestamp>,
}

impl Calls24h {
    fn of(book: &Book, now: Timestamp) -> Self {
        let waits_until = match book.may_start(Purpose::Outbox, now) {
            May::Go | May::Look => None,
            May::Wait { until, .. } => Some(until),
        };
        let (ours, left) = (book.ours(now), book.left(Purpose::Outbox, now));
        let (at_once, rules) = (book.at_once(now), book.rules());
        Self { told: book.told(), ours, left, at_once, rules, hours: book.hours(), waits_until }
    }

    /// Whether what is told to do about a fault is what is told when only the
    /// org's budget keeps a call: nothing is wrong then, and it passes by itself.
    #[must_use]
    pub fn is_the_remedy(told: &str) -> bool {
        told == sloe_salesforce::BUDGET_REMEDY
    }

    /// Whether everybody's calls together have come to what Sloe leaves alone.
    #[must_use]
    pub fn is_at_the_reserve(&self) -> bool {
        let line = 100 - u128::from(self.rules.reserve());
        self.told.is_some_and(|told| u128::from(told.used) * 100 >= u128::from(told.max) * line)
    }

    /// Why nothing is written to the org now, for its staff; `None` if something may be.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let until = self.waits_until?.to_words();
        Some(format!(
            "{} Sloe looks again at {until} at the latest. Registrations go on, and none is lost.",
            self.means()
        ))
    }

    /// Why Sloe may make no call, if it may not, for the org's staff.
    #[must_use]
    pub fn means(&self) -> String {
        if self.is_at_the_reserve() {
            return "The org's API calls are used up but for the part that Sloe leaves alone."
                .to_owned();
        }
        format!("Sloe keeps to its share of the org's API calls ({} left).", self.left)
    }
}

impl Engine {
    /// How an org's API allowance stands.
    ///
    /// # Errors
    /// [`Denied::NotFound`] for an org that is not connected; the store's.
    pub async fn calls(&self, org: OrgId) -> Result<Calls24h, Denied> {
        let known = self.registry().by_id(org).ok_or(Denied::NotFound)?;
        let work = self.workers().known(org).filter(|work| work.budget.loaded.get().is_some());
        let mut book = match work {
            Some(work) => lock(&work.budget.book).clone(),
            None => {
                let key = Key::budget(known.scope);
                self.blocking(move |store| written(store, &key)).await?
            }
        };
        book.set_rules(known.budget);
        Ok(Calls24h::of(&book, self.now()))
    }

    /// Lets Sloe take so much of an org's API allowance, from its next call
    /// on; `false` if the org is not connected.
    ///
    /// # Errors
    /// The store's; then nothing changed.
    pub fn set_budget(&self, org: OrgId, rules: Rules) -> Result<bool, OrgError> {
        if self.registry().set_budget(&**self.store(), org, rules)?.is_none() {
            return Ok(false);
        }
        if let Some(work) = self.workers().known(org) {
            work.budget.set_rules(rules);
        }
        Ok(true)
    }
}
