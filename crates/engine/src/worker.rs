//! What runs beside requests: reading from Salesforce, writing to it, orders'
//! documents, mail, retention. Every worker takes no input: it looks at what
//! is stored and does what is missing, woken by a signal or by its timer, so
//! that it may be stopped, killed and started at any moment.

pub(crate) mod budget;
pub(crate) mod changes;
mod driver;
mod failed;
pub(crate) mod follow;
mod halt;
pub(crate) mod inbox;
pub(crate) mod license;
pub(crate) mod mail;
mod orders;
pub(crate) mod orgs;
pub(crate) mod outbox;
pub(crate) mod poll;
pub(crate) mod reads;
pub(crate) mod refresh;
mod retention;
pub(crate) mod standing;
mod supervise;
pub(crate) mod verify;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use sloe_core::ids::OrgId;
use sloe_store::api::{Store, StoreError};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::asks;
use crate::clock::World;
use crate::engine::{Engine, StartError};
use crate::mail::MailSettings;
use crate::mapping;
use crate::nodes;
use crate::peers::{self, Peering};
use crate::reach;
pub use budget::Calls24h;
pub use driver::Run;
pub use license::SourceOrg;
use mail::Mailer;
pub use orders::rebuild;
pub(crate) use orders::step as project;
use orgs::OrgWork;
pub use outbox::remote;
pub use outbox::stepped::Outbox;
pub use poll::PollState;
pub use supervise::Stumbles;

/// How long [`Engine::stop`] waits for the workers to come to a safe point.
const DRAIN: Duration = Duration::from_secs(10);

/// How the workers run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How patient and how busy the clients of orgs are.
    pub salesforce: sloe_salesforce::Options,
    /// How long news gathers before an org is written to again; the first
    /// after a quiet time goes at once.
    pub gather: Duration,
    /// Rows from which a Bulk job is cheaper than collections of 200.
    pub bulk_from: usize,
    /// How often an org may be told the figures of its events that changed.
    pub figures_every: Duration,
    /// How often each org is compared with what it was sent.
    pub verify_every: Duration,
    /// How soon an org is compared after a start, and again after differences.
    pub verify_soon: Duration,
    /// How many rows a comparison has in memory at a time; `None` for as many as is sensible.
    pub compared_at_once: Option<u64>,
    /// How far apart looks for changes are that nobody told of.
    pub poll_every: Duration,
    /// How confirmations are sent; `None` sends none, also not later.
    pub mail: Option<MailSettings>,
    /// Where licenses are replicated from; `None` leaves them to be recorded by hand.
    pub licenses: Option<SourceOrg>,
    /// Whether the work that calls orgs, sends mail and looks after what is stored is done here.
    /// Without it others do that, and this node only follows what is stored.
    pub works: bool,
    /// How other nodes are reached, and this one by them; `None` if they aren't.
    pub peering: Option<Peering>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            salesforce: sloe_salesforce::Options::default(),
            gather: Duration::from_millis(5_500),
            bulk_from: 2_000,
            figures_every: Duration::from_secs(60),
            verify_every: Duration::from_secs(60 * 60),
            verify_soon: Duration::from_secs(60),
            compared_at_once: None,
            poll_every: Duration::from_secs(60),
            mail: None,
            licenses: None,
            works: true,
            peering: None,
        }
    }
}

/// Everything that runs, and what it knows.
pub(crate) struct Workers {
    settings: Settings,
    /// Where workers run; `None` when none do.
    runtime: Option<Handle>,
    /// What blocks runs where it is asked for: a simulation has one thread.
    inline: bool,
    orgs: DashMap<OrgId, Arc<OrgWork>>,
    stopping: CancellationToken,
    tasks: TaskTracker,
    mailer: Option<Arc<Mailer>>,
    pub(crate) licenses: license::Reader,
    /// Held by whoever rewrites vault entries.
    pub(crate) erasing: tokio::sync::Mutex<()>,
    /// Held by whoever removes an org, or deletes what is left of one.
    pub(crate) removing: tokio::sync::Mutex<()>,
    /// Wakes nobody: for workers that go by their timer only.
    nothing: Notify,
    runs: Mutex<BTreeMap<&'static str, Run>>,
    /// Orgs' tasks that ended by a panic.
    stumbled: supervise::Stumbled,
    /// How the work stands that other nodes do.
    pub(crate) standings: standing::Standings,
}

impl Workers {
    pub(crate) fn new(
        settings: Option<Settings>,
        world: &Arc<dyn World>,
    ) -> Result<Self, StartError> {
        let runtime = match settings {
            Some(_) => Some(Handle::try_current().map_err(|_| StartError::Runtime)?),
            None => None,
        };
        let settings = settings.unwrap_or_default();
        let mailer = settings.mail.clone().map(Mailer::new).transpose()?;
        let (source, salesforce) = (settings.licenses.as_ref(), &settings.salesforce);
        let licenses = license::Reader::new(source, salesforce, Arc::clone(world))?;
        Ok(Self {
            licenses,
            mailer: mailer.map(Arc::new),
            erasing: tokio::sync::Mutex::default(),
            removing: tokio::sync::Mutex::default(),
            nothing: Notify::new(),
            settings,
            runtime,
            inline: false,
            orgs: DashMap::new(),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
            runs: Mutex::default(),
            stumbled: supervise::Stumbled::default(),
            standings: standing::Standings::default(),
        })
    }

    /// Work that runs by no runtime at all, but where it is asked for.
    pub(crate) fn inline(settings: Settings, world: &Arc<dyn World>) -> Result<Self, StartError> {
        Ok(Self { settings, inline: true, ..Self::new(None, world)? })
    }

    /// Whether nothing runs beside requests, as on a store that a tool looks at.
    pub(crate) fn at_rest(&self) -> bool {
        self.runtime.is_none()
    }

    /// Whether the work that only one node does at a time may be done here.
    pub(crate) fn works(&self) -> bool {
        (self.inline || self.runtime.is_some()) && self.settings.works
    }

    /// How other nodes are reached.
    pub(crate) fn peering(&self) -> Option<Peering> {
        self.settings.peering.clone()
    }

    /// Where licenses are replicated from, if from anywhere.
    pub(crate) fn license_source(&self) -> Option<&SourceOrg> {
        self.settings.licenses.as_ref()
    }

    /// How often each org is compared with what it was sent.
    pub(crate) fn verify_every(&self) -> Duration {
        self.settings.verify_every
    }

    /// Whether mail is sent at all.
    pub(crate) fn sends_mail(&self) -> bool {
        self.mailer.is_some()
    }

    /// Lets mails go that were put among those to be sent again.
    pub(crate) fn ask_mail(&self) {
        if let Some(mailer) = &self.mailer {
            mailer.ask();
        }
    }

    /// What is known of an org's work, if any was ever done.
    pub(crate) fn known(&self, org: OrgId) -> Option<Arc<OrgWork>> {
        self.orgs.get(&org).map(|work| Arc::clone(&*work))
    }

    /// Ends every worker at its next safe point, or after a bounded time where it is.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                "workers are ended in the middle; they go on from there at the next start"
            );
        }
    }

    /// Cancelled when the engine stops.
    pub(crate) fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// What is known of the mails to be sent again is another node's from now on.
    pub(crate) fn forget_platform(&self) {
        self.ask_mail();
    }

    /// Ends all that runs for an org, at its next safe point.
    pub(crate) fn forget(&self, org: OrgId) {
        if let Some((_, work)) = self.orgs.remove(&org) {
            work.left.cancel();
        }
    }

    /// Runs something until it ends, or the engine does.
    pub(crate) fn beside(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.spawn(work);
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let Some(runtime) = &self.runtime else { return };
        let stopping = self.stopping.clone();
        let ended = async move {
            tokio::select! {
                // A worker that looks at the token itself ends cleanly before this.
                () = async { stopping.cancelled().await; tokio::time::sleep(DRAIN).await } => {}
                () = work => {}
            }
        };
        self.tasks.spawn_on(ended, runtime);
    }

    /// Runs what blocks on the runtime's blocking pool. It is waited for at the
    /// end even if whoever asked has gone away.
    ///
    /// # Errors
    /// It ended by a panic, or the runtime did.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, tokio::task::JoinError> {
        if self.inline {
            return Ok(work());
        }
        self.tasks.spawn_blocking(work).await
    }

    /// The same for what nobody waits for but the end.
    pub(crate) fn aside(&self, work: impl FnOnce() + Send + 'static) {
        if self.inline {
            return work();
        }
        drop(self.tasks.spawn_blocking(work));
    }

    fn runs(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Run>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Begins what this node has just taken over.
    pub(crate) fn begin_work(&self, work: &str) {
        let news = self.news();
        news.org.notify_one();
        if work == nodes::PLATFORM {
            self.workers().ask_mail();
            for notify in [&news.mail, &news.removals, &news.retention, &news.orders] {
                notify.notify_one();
            }
        }
    }

    /// When each worker last ran and how that went, by name.
    #[must_use]
    pub fn runs(&self) -> BTreeMap<&'static str, Run> {
        self.workers().runs().clone()
    }

    /// An org's tasks that ended by a panic since the start, and were begun again.
    #[must_use]
    pub fn stumbles(&self, org: OrgId) -> Vec<Stumbles> {
        self.workers().stumbled.of(org)
    }
}

/// Asks the store on the runtime's blocking pool.
pub(crate) async fn stored<T: Send + 'static>(
    engine: &Engine,
    ask: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let store = Arc::clone(engine.store());
    match engine.workers().blocking(move || ask(&*store)).await {
        Ok(answer) => answer,
        Err(_) => Err(StoreError::OutcomeUnknown("the asking thread ended".to_owned())),
    }
}

/// Starts what runs beside requests, if anything is to.
pub(crate) fn start(engine: &Engine) {
    let workers = engine.workers();
    if workers.runtime.is_none() {
        return;
    }
    let often = Duration::from_secs(1);
    let now_and_then = Duration::from_secs(10);
    driver::drive(engine, "licenses", often, |engine| &engine.workers().nothing, license::follow);
    driver::drive(engine, "mappings", now_and_then, |e| &e.workers().nothing, mapping::look);
    driver::drive(engine, "store", often, |e| &e.workers().nothing, reach::look);
    driver::drive(engine, "nodes", often, |e| &e.news().nodes, nodes::look);
    driver::drive(engine, "follow", often, |e| &e.workers().nothing, follow::look);
    workers.spawn(nodes::watch(engine.clone()));
    workers.spawn(peers::carry(engine.clone()));
    workers.spawn(follow::hear(engine.clone()));
    if let Err(error) = follow::listen(engine.clone()) {
        tracing::warn!(%error, "no thread listens for changes; they are looked for");
    }
    let compared = Arc::new(orders::Compared::default());
    driver::drive(
        engine,
        "orders",
        often,
        |engine| &engine.news().orders,
        move |engine| {
            let compared = Arc::clone(&compared);
            async move { orders::look(engine, &compared).await }
        },
    );
    if workers.works() {
        start_work(engine);
    }
}

/// What one node at a time does, if that is this one.
fn start_work(engine: &Engine) {
    let (often, now_and_then) = (Duration::from_secs(1), Duration::from_secs(10));
    driver::drive(
        engine,
        "orgs",
        often,
        |engine| &engine.news().org,
        |engine| async move {
            orgs::look(&engine);
            let kept = budget::keep(&engine, false).await;
            let asked = asks::look(&engine).await.map_err(|error| error.to_string());
            let told = standing::tell(&engine).await.map_err(|error| error.to_string());
            outbox::look(engine).await.and(kept).and(asked).and(told)
        },
    );
    // Without a mail server there is nothing to be quick about.
    let (period, wake): (_, fn(&Engine) -> &Notify) = if engine.workers().mailer.is_some() {
        (often, |engine| &engine.news().mail)
    } else {
        (now_and_then, |engine| &engine.workers().nothing)
    };
    driver::drive(engine, "mail", period, wake, |engine| {
        let mailer = engine.workers().mailer.clone();
        engine.if_platform(|engine| mail::look(engine, mailer))
    });
    driver::drive(
        engine,
        "license-source",
        often,
        |e| &e.workers().nothing,
        |engine| engine.if_platform(license::look),
    );
    driver::drive(
        engine,
        "removals",
        now_and_then,
        |e| &e.news().removals,
        |engine| {
            engine.if_platform(|engine| async move { engine.finish_removals().await.map(drop) })
        },
    );
    let daily = Duration::from_secs(24 * 60 * 60);
    driver::drive(
        engine,
        "retention",
        daily,
        |engine| &engine.news().retention,
        |engine| engine.if_platform(retention::look),
    );
}
