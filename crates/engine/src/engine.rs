//! The handle that pages, API and tools hold: everything Sloe can be asked,
//! and the start and end of everything that runs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use dashmap::DashMap;
use sloe_core::catalog::Snapshot;
use sloe_core::ids::{ClaimId, EventRef, OrgId, PublicId};
use sloe_core::lease::NodeId;
use sloe_core::time::Timestamp;
use sloe_store::api::{Destination, Fence, Store, StoreError};
use sloe_store::fenced::Fenced;
use tokio::sync::Notify;

use crate::catalog::Catalog;
use crate::clock::World;
use crate::damage::Quarantined;
use crate::error::Denied;
use crate::keys::EventKeys;
use crate::ledger::{self, Desk, Settings, Stepper};
use crate::nodes::{self, Nodes};
use crate::peers::Peers;
use crate::reach::Reach;
use crate::seal::Key;
use crate::steps::Steps;
use crate::tenant::{Org, OrgError, Registry};
use crate::token::{Kind, Tokens};
use crate::view::{Availability, Found, Listing};
use crate::worker::follow::Told;
use crate::worker::{self, Workers};

/// What an engine is made of.
pub struct Options {
    /// Where everything durable lies.
    pub store: Arc<dyn Store>,
    /// Wraps the orgs' keys; 32 bytes.
    pub master_key: Key,
    /// Clock, ids, randomness.
    pub world: Arc<dyn World>,
    /// Bytes that ledgers in memory may take together.
    pub ledger_bytes: usize,
    /// What runs beside requests; `None` runs nothing, for tools and tests.
    pub workers: Option<worker::Settings>,
}

/// Bytes for ledgers in memory unless told otherwise.
pub const LEDGER_BYTES: usize = 192 * 1024 * 1024;

/// Why an engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An org can't be read.
    #[error(transparent)]
    Org(#[from] OrgError),
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no thread.
    #[error("a thread can't be started: {0}")]
    Thread(#[from] std::io::Error),
    /// Workers need a runtime.
    #[error("workers were asked for outside a tokio runtime")]
    Runtime,
    /// The source org of licenses can't be.
    #[error("licenses can't be read like this: {0}")]
    Licenses(#[from] sloe_salesforce::Error),
    /// The mail settings can't work.
    #[error("mail can't be sent like this: {0}")]
    Mail(String),
}

/// Everything Sloe can be asked. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
    /// Where documents go; under a lease for whoever works under one.
    store: Arc<dyn Store>,
}

struct Inner {
    started: Timestamp,
    nodes: Nodes,
    peers: Arc<Peers>,
    told: Told,
    world: Arc<dyn World>,
    registry: Registry,
    catalog: Catalog,
    availability: Arc<DashMap<EventRef, Arc<Availability>>>,
    quarantined: Quarantined,
    reach: Reach,
    tokens: Tokens,
    event_keys: EventKeys,
    desk: Desk,
    combiner: Mutex<Option<JoinHandle<()>>>,
    news: Arc<News>,
    workers: Workers,
}

/// Wakes the workers that carry news out; they also look by themselves.
#[derive(Default)]
pub(crate) struct News {
    pub(crate) org: Notify,
    pub(crate) mail: Notify,
    pub(crate) orders: Notify,
    pub(crate) removals: Notify,
    pub(crate) retention: Notify,
    pub(crate) nodes: Notify,
    /// Events whose orders may have changed since the projection looked.
    pub(crate) reorder: Mutex<BTreeSet<EventRef>>,
    /// Events whose figures may have changed since the outbox looked.
    pub(crate) recount: Mutex<BTreeSet<EventRef>>,
}

impl News {
    /// What other nodes committed changes figures; its orders are projected by who committed it.
    fn recount(&self, events: &[EventRef]) {
        self.recount.lock().unwrap_or_else(PoisonError::into_inner).extend(events);
    }

    /// Spreads the news of a commit.
    fn spread(&self, events: &[EventRef], destinations: &[Destination]) {
        self.reorder.lock().unwrap_or_else(PoisonError::into_inner).extend(events);
        self.recount(events);
        self.orders.notify_one();
        for destination in destinations {
            match destination {
                Destination::Org => self.org.notify_one(),
                Destination::Mail => self.mail.notify_one(),
            }
        }
    }
}

impl Engine {
    /// Reads orgs and catalog, and starts the combiner.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(mut options: Options) -> Result<Self, StartError> {
        let workers = Workers::new(options.workers.take(), &options.world)?;
        let (engine, combiner) = Self::make(options, workers, |s| Ok(ledger::start(s)?))?;
        *engine.inner.combiner.lock().unwrap_or_else(PoisonError::into_inner) = Some(combiner);
        worker::start(&engine);
        Ok(engine)
    }

    /// An engine in which nothing happens by itself: what its threads and
    /// workers do elsewhere, the other value does when it is told to.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn stepped(mut options: Options) -> Result<(Self, Steps), StartError> {
        let settings = options.workers.take().unwrap_or_default();
        let workers = Workers::inline(settings, &options.world)?;
        let (engine, stepper) = Self::make(options, workers, |s| Ok(Stepper::new(s)))?;
        Ok((engine.clone(), Steps::new(engine, stepper)))
    }

    /// Reads orgs and catalog, and opens a desk with whatever runs its combiner.
    fn make<T>(
        options: Options,
        workers: Workers,
        combine: impl FnOnce(Settings) -> Result<(Desk, T), StartError>,
    ) -> Result<(Self, T), StartError> {
        let Options { store, master_key, world, ledger_bytes, workers: _ } = options;
        let nodes = Nodes::new(NodeId(world.id()), &*store, workers.works(), world.steady());
        let tokens = Tokens::new(master_key.derive("tokens").bytes());
        let reach = Reach::default();
        let peers = Arc::new(Peers::new(master_key.derive("peers"), workers.peering()));
        let registry = Registry::load(&*store, master_key, Arc::clone(&world))?;
        let catalog = Catalog::load(Arc::clone(&store))?;
        let availability = Arc::new(DashMap::new());
        let quarantined = Quarantined::default();
        let news = Arc::new(News::default());
        let (wake, moved, contended) = (Arc::clone(&news), Arc::clone(&news), Arc::clone(&news));
        let (desk, combiner) = combine(Settings {
            store: Arc::clone(&store),
            world: Arc::clone(&world),
            published: Arc::clone(&availability),
            quarantined: Arc::clone(&quarantined),
            budget: ledger_bytes,
            committed: Box::new(move |events, destinations| wake.spread(events, destinations)),
            moved: Box::new(move |events| moved.recount(events)),
            others: nodes.others(),
            clock_off: reach.clock_off(),
            peers: Arc::clone(&peers),
            contended: Box::new(move || contended.nodes.notify_one()),
        })?;
        for org in registry.all() {
            desk.follow(org.id(), org.closed_until);
        }
        let inner = Inner {
            started: world.now(),
            nodes,
            peers,
            told: Told::default(),
            world,
            registry,
            catalog,
            availability,
            quarantined,
            reach,
            tokens,
            event_keys: EventKeys::new(),
            desk,
            combiner: Mutex::default(),
            news,
            workers,
        };
        Ok((Self { inner: Arc::new(inner), store }, combiner))
    }

    /// Lets the workers finish what they do, for a bounded time; then answers
    /// the claims that wait and ends the combiner. Claims after this are not
    /// accepted, and nothing of the engine uses the store any more: when the
    /// last handle is dropped, its directory is free.
    pub async fn stop(&self) {
        self.inner.workers.stop().await;
        if let Err(error) = worker::budget::keep(self, true).await {
            tracing::error!(error, "the last API calls can't be written down");
        }
        if let Err(error) = nodes::leave(self).await {
            tracing::warn!(%error, "this node's work can't be given back; others take it over soon");
        }
        self.inner.desk.stop();
        let combiner = self.inner.combiner.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(combiner) = combiner else { return };
        if !matches!(tokio::task::spawn_blocking(move || combiner.join()).await, Ok(Ok(()))) {
            tracing::error!("the combiner ended by a panic; what it acknowledged is durable");
        }
    }

    /// The orgs, and who may be live.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// The catalog.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.world.now()
    }

    /// Whether an org may take new holds.
    #[must_use]
    pub fn is_live(&self, org: OrgId) -> bool {
        self.inner.registry.licenses.is_live(org, self.now())
    }

    /// An org's events by start; unpublished ones too.
    #[must_use]
    pub fn events(&self, org: &Org) -> Vec<Arc<Listing>> {
        self.inner.catalog.events(org.id())
    }

    /// Where a slug of an org leads.
    ///
    /// # Errors
    /// [`Denied::NotAccepted`] while the store can't be read.
    pub fn find_event(&self, org: &Org, slug: &str) -> Result<Found, Denied> {
        self.inner.catalog.find(org.id(), slug).map_err(|error| unavailable(&error))
    }

    /// An event by its public id, published or not.
    ///
    /// # Errors
    /// [`Denied::NotFound`].
    pub fn event(&self, id: PublicId) -> Result<(Arc<Org>, Arc<Snapshot>), Denied> {
        self.known(self.inner.catalog.by_id(id).ok_or(Denied::NotFound)?)
    }

    /// What is left of an event, at most a second old.
    ///
    /// # Errors
    /// [`Denied`] while its ledger can't be loaded.
    pub async fn availability(&self, event: EventRef) -> Result<Arc<Availability>, Denied> {
        if let Some(known) = self.availability_now(event) {
            return Ok(known);
        }
        let (_, snapshot) = self.known(event)?;
        let loaded = self.inner.desk.load(event).await;
        loaded.map_err(|why| crate::claims::denied(&snapshot, why))?;
        self.availability_now(event).ok_or(Denied::NotFound)
    }

    /// The same, if the event's ledger was loaded since the start.
    #[must_use]
    pub fn availability_now(&self, event: EventRef) -> Option<Arc<Availability>> {
        self.inner.availability.get(&event).map(|known| Arc::clone(&*known))
    }

    /// Whether an org may take new seats.
    pub(crate) fn licensed(&self, org: &Org) -> Result<(), Denied> {
        if self.is_live(org.id()) { Ok(()) } else { Err(Denied::LicenseInactive) }
    }

    /// An event and its org.
    pub(crate) fn known(&self, event: EventRef) -> Result<(Arc<Org>, Arc<Snapshot>), Denied> {
        let org = self.inner.registry.by_id(event.org).ok_or(Denied::NotFound)?;
        let snapshot = self.inner.catalog.snapshot(event).map_err(|error| unavailable(&error))?;
        Ok((org, snapshot.ok_or(Denied::NotFound)?))
    }

    pub(crate) fn open_token(
        &self,
        kind: Kind,
        token: &str,
    ) -> Result<(EventRef, ClaimId), Denied> {
        let found = self.inner.tokens.open(kind, token, |at| self.inner.catalog.at(at));
        found.ok_or(Denied::NotFound)
    }

    /// Reads the store on the runtime's blocking pool.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Denied> {
        let store = Arc::clone(&self.store);
        match self.inner.workers.blocking(move || read(&*store)).await {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(error)) => Err(unavailable(&error)),
            Err(_) => Err(Denied::OutcomeUnknown),
        }
    }

    /// Forgets in memory what is known of an org's events but their ledgers,
    /// which are as their journals.
    pub(crate) fn forget_events(&self, org: OrgId) {
        self.inner.catalog.forget(org);
        self.inner.event_keys.forget(org);
    }

    pub(crate) fn quarantined(&self) -> &Quarantined {
        &self.inner.quarantined
    }

    pub(crate) fn reach(&self) -> &Reach {
        &self.inner.reach
    }

    pub(crate) fn desk(&self) -> &Desk {
        &self.inner.desk
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.inner.tokens
    }

    pub(crate) fn event_keys(&self) -> &EventKeys {
        &self.inner.event_keys
    }

    pub(crate) fn world(&self) -> &dyn World {
        &*self.inner.world
    }

    /// A number by chance, for pauses that are not to be alike.
    pub(crate) fn draw(&self) -> u16 {
        let mut bytes = [0; 2];
        // Without any, all pauses are the longest: late, and nothing worse.
        self.world().random(&mut bytes).map_or(0, |()| u16::from_be_bytes(bytes))
    }

    /// The world for those who outlive a borrow of the engine.
    pub(crate) fn shared_world(&self) -> Arc<dyn World> {
        Arc::clone(&self.inner.world)
    }

    /// The store, under a lease for whoever works under one.
    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The same engine for whoever works under a lease.
    pub(crate) fn under(&self, fence: Fence) -> Self {
        let store = Arc::new(Fenced::new(Arc::clone(&self.store), fence));
        Self { inner: Arc::clone(&self.inner), store }
    }

    /// The nodes on the store, and this one among them.
    pub(crate) fn nodes(&self) -> &Nodes {
        &self.inner.nodes
    }

    /// What the store told of and nobody looked at yet.
    pub(crate) fn told(&self) -> &Told {
        &self.inner.told
    }

    /// The way to the other nodes.
    pub(crate) fn peers(&self) -> &Peers {
        &self.inner.peers
    }

    /// When this engine was started.
    pub(crate) fn started(&self) -> Timestamp {
        self.inner.started
    }

    /// Every event whose figures are known here, and up to which version.
    pub(crate) fn known_versions(&self) -> Vec<(EventRef, u64)> {
        let known = self.inner.availability.iter();
        known.map(|known| (*known.key(), known.value().version)).collect()
    }

    pub(crate) fn news(&self) -> &News {
        &self.inner.news
    }

    pub(crate) fn workers(&self) -> &Workers {
        &self.inner.workers
    }
}

fn unavailable(error: &StoreError) -> Denied {
    tracing::error!(%error, "the store can't be read");
    Denied::not_now()
}
