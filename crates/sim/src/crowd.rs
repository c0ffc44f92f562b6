//! The storm: a crowd of visitors against any running Sloe, which then proves
//! or refutes that nothing was oversold, lost or doubled.
//!
//! The crowd knows Sloe only from outside: its HTTP interface, and the
//! records that arrive in the org. What a visitor wants and is called follows
//! from the seed and the visitor's number, so the proof needs no memory of
//! it. Load comes from a small client of our own ([`wire`]), because it
//! shares the machine with what it measures.

mod curve;
mod fleet;
mod kind;
mod live;
pub mod load;
mod machine;
mod offer;
mod pace;
mod people;
mod proof;
mod report;
mod scenario;
mod series;
mod tally;
mod visit;
pub mod wire;

use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

pub use curve::Shape;
pub use kind::{Kind, Mix};
pub use live::Screen;
pub use people::Crowd;
pub use report::{Finding, Held, KindReport, Latency, Report, TargetReport, Verdict};
pub use scenario::{
    CONNECTIONS, DEFAULT as DEFAULT_SCENARIO, PARTY, RATES, SESSIONS, Scenario, ScenarioError,
    ScenarioFault, VISITORS,
};

use fleet::{Clients, Fleet};
use offer::{Offer, Wish};
use pace::Pace;
use tally::{Figures, Tally};

/// How the visitors register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// One call of the JSON API.
    Api,
    /// A hold, then its confirmation, by the JSON API.
    Hold,
    /// The site's forms, page by page, with cookies.
    Html,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Api, Self::Hold, Self::Html];

    /// Its name in scenarios and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Hold => "hold",
            Self::Html => "html",
        }
    }
}

/// How fast the visitors come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrival {
    /// So many a second, whether or not the answers keep up. Latency counts
    /// from when a visitor was due, so waiting for a free connection counts.
    Rate(f64),
    /// All at once: every connection is kept busy. Latency counts from when
    /// a visitor's first request is sent.
    Burst,
    /// All of them within this time, by a curve; counted as with a rate.
    Curve(Shape, Duration),
}

/// Where the registrations must arrive in the end.
#[derive(Clone)]
pub struct OrgAccess {
    /// The org's address.
    pub url: String,
    /// A connected app's consumer key, with the client credentials flow.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// How long the outbox may take to drain after the storm.
    pub patience: Duration,
}

impl std::fmt::Debug for OrgAccess {
    /// Secrets stay out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OrgAccess({})", self.url)
    }
}

/// What the storm does.
#[derive(Clone, Debug)]
pub struct Options {
    /// Sloe's address: `http://127.0.0.1:8080`. Of several, each of a visitor's
    /// requests goes to the next one; all of them hear the first one's name.
    pub targets: Vec<String>,
    /// The event: its public id, or `org/slug`.
    pub event: String,
    /// How many visitors come.
    pub visitors: u64,
    /// How fast.
    pub arrival: Arrival,
    /// When the last visitor may begin; the others stay at home.
    pub duration: Option<Duration>,
    /// Lets visitors in, one for each permit, for whoever must decide how many
    /// have come by when; without it all come as soon as they are due.
    pub door: Option<Arc<Semaphore>>,
    /// Ends the storm early when it is told: nobody more comes, and the proof follows.
    pub stop: Option<Arc<Notify>>,
    /// Who they are and how they register.
    pub mix: Mix,
    /// Connections, and so visitors served at once.
    pub connections: usize,
    /// A visitor comes with one to so many people.
    pub party: u16,
    /// Everybody chooses up to so many sessions that don't overlap.
    pub sessions: u16,
    /// How long one answer may take before the visitor asks again.
    pub patience: Duration,
    /// How long a visitor keeps asking before giving up.
    pub persistence: Duration,
    /// How long after the storm the proof waits for seats that were held and left.
    pub expiry: Duration,
    /// Orders that are read back; beyond it a random sample of this size.
    pub read_back: usize,
    /// The org, to prove the arrival there.
    pub org: Option<OrgAccess>,
    /// Decides names and wishes; the same seed is the same crowd.
    pub seed: u64,
    /// What this is called in the report, and what it is about.
    pub title: Option<(String, String)>,
    /// The command that held this storm, for the report.
    pub command: Option<String>,
}

impl Options {
    /// A burst of `visitors` through the API, with a fresh seed from the system.
    /// `target` may be several with commas between them.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn new(target: &str, event: &str, visitors: u64) -> Result<Self, StormError> {
        Ok(Self {
            targets: target.split(',').map(|one| one.trim().to_owned()).collect(),
            event: event.to_owned(),
            visitors,
            arrival: Arrival::Burst,
            duration: None,
            door: None,
            stop: None,
            mix: Mix::registrants(Mode::Api),
            connections: 256,
            party: 1,
            sessions: 2,
            patience: Duration::from_secs(10),
            persistence: Duration::from_secs(60),
            expiry: Duration::from_secs(90),
            read_back: 20_000,
            org: None,
            seed: getrandom::u64().map_err(|_| StormError::Randomness)?,
            title: None,
            command: None,
        })
    }
}

/// Why a storm could not be held, or its result not be judged.
#[derive(Debug, thiserror::Error)]
pub enum StormError {
    /// The target is no address we can call.
    #[error("{0}")]
    Target(#[from] wire::TargetError),
    /// There is none.
    #[error("there is no target; name one with its address, like http://127.0.0.1:8080")]
    NoTarget,
    /// Nobody answers there.
    #[error(
        "{origin} does not answer ({what}); is Sloe running there? `sloe demo` starts one and says \
         its address, and --target names it"
    )]
    Silent {
        /// The target.
        origin: String,
        /// What came instead of an answer.
        what: String,
    },
    /// One of several has not this event, or is not there.
    #[error(
        "{origin} can't take part: {what}; all targets must be nodes of the same Sloe, so start it \
         or leave it out"
    )]
    Node {
        /// The target.
        origin: String,
        /// What came instead of the event.
        what: String,
    },
    /// The event can't be read.
    #[error("the event can't be read from {path}: {what}")]
    Event {
        /// Where it was looked for.
        path: String,
        /// What came instead.
        what: String,
    },
    /// Nothing on offer costs nothing.
    #[error(
        "{0} offers no free item, so no visitor could register; choose an event with a free item"
    )]
    NothingFree(String),
    /// The site's pages have names, not ids.
    #[error("to walk through the site, name the event as in its page's address: org/slug")]
    NoPage,
    /// The org can't be asked.
    #[error("the org at {url} can't be asked: {what}")]
    Org {
        /// The org's address.
        url: String,
        /// What came instead.
        what: String,
    },
    /// The system gives no randomness.
    #[error("the system gives no randomness for a seed; pass one")]
    Randomness,
    /// A visitor's task ended by a panic: a fault of the storm itself.
    #[error("a visitor of the storm failed: {0}; this is a fault of the storm, not of the target")]
    Visitor(#[from] tokio::task::JoinError),
    /// The figures can't be kept.
    #[error("the storm's figures can't be kept: {0}")]
    Figures(String),
}

/// Everything the visitors share.
pub(crate) struct Ground {
    fleet: Fleet,
    crowd: Crowd,
    offer: Offer,
    mix: Mix,
    only: Option<Mode>,
    party: u16,
    sessions: u16,
    patience: Duration,
    persistence: Duration,
}

impl Ground {
    fn clients(&self) -> Clients {
        Clients::new(&self.fleet, self.patience)
    }

    /// What requests name as their host.
    fn authority(&self) -> &str {
        &self.fleet.name().authority
    }

    /// What a visitor wants; always the same for the same number.
    fn wish(&self, visitor: u64) -> Wish {
        self.offer.wish(&self.crowd, visitor, self.party, self.sessions)
    }

    /// How many people a visitor comes with, without working out the rest of the wish.
    fn people(&self, visitor: u64) -> u16 {
        offer::people_of(&self.crowd, visitor, self.party)
    }

    /// What a visitor is up to; always the same for the same number.
    fn role(&self, visitor: u64) -> (Kind, Mode) {
        match self.only {
            Some(mode) => (Kind::Registrants, mode),
            None => self.mix.of(&self.crowd, visitor),
        }
    }
}

/// Holds the storm and judges it. `bar` shows its progress; pass a hidden
/// one for none.
///
/// # Errors
/// [`StormError`]: the storm could not be held. A broken invariant is no
/// error but a [`Verdict`] of the report.
pub async fn run(options: &Options, bar: &ProgressBar) -> Result<Report, StormError> {
    watch(options, &Screen::of(bar.clone())).await
}

/// The same, watched on a screen.
///
/// # Errors
/// As [`run`].
pub async fn watch(options: &Options, screen: &Screen) -> Result<Report, StormError> {
    let outcome = hold(options, screen).await;
    screen.close();
    outcome
}

async fn hold(options: &Options, screen: &Screen) -> Result<Report, StormError> {
    let ground = Arc::new(prepare(options).await?);
    let org = match &options.org {
        Some(access) => Some(proof::OrgReader::sign_in(access).await?),
        None => None,
    };
    let pace = Pace::new(options.arrival, options.visitors, options.duration);
    let pace = Arc::new(pace.behind(options.door.clone()));
    let tally = Tally::new(options.visitors, ground.fleet.len(), pace.start())?;
    screen.open(options, &ground);
    let (figures, took) = rage(options, &ground, (pace, Arc::new(tally)), screen).await?;
    let report = Report::new(options, &ground, &figures, took);
    let findings = proof::judge(options, &ground, &figures, org.as_ref(), screen.bar()).await;
    Ok(report.judged(findings))
}

/// Reads what is on offer, and makes sure that this storm can be held.
async fn prepare(options: &Options) -> Result<Ground, StormError> {
    let fleet = Fleet::resolve(&options.targets).await?;
    let mut clients = Clients::new(&fleet, options.patience);
    let offer = Offer::read(&mut clients, fleet.name(), &options.event).await?;
    if !offer.has_free_items() {
        return Err(StormError::NothingFree(offer.name));
    }
    if options.mix.needs_page() && offer.page.is_none() {
        return Err(StormError::NoPage);
    }
    for (at, origin) in fleet.origins().enumerate() {
        let there = offer.is_at(&mut clients, fleet.name(), at).await;
        there.map_err(|what| StormError::Node { origin: origin.to_owned(), what })?;
    }
    Ok(Ground {
        fleet,
        crowd: Crowd::new(options.seed),
        offer,
        mix: options.mix,
        only: options.mix.only_way(),
        party: options.party.max(1),
        sessions: options.sessions,
        patience: options.patience,
        persistence: options.persistence,
    })
}

/// Lets all visitors come, and waits until the last has gone; the figures, and how long it took.
async fn rage(
    options: &Options,
    ground: &Arc<Ground>,
    (pace, tally): (Arc<Pace>, Arc<Tally>),
    screen: &Screen,
) -> Result<(Figures, Duration), StormError> {
    let mut visitors = JoinSet::new();
    for _ in 0..options.connections.max(1) {
        let (ground, tally, pace) = (Arc::clone(ground), Arc::clone(&tally), Arc::clone(&pace));
        visitors.spawn(async move {
            let (mut clients, mut second) = (ground.clients(), ground.clients());
            while let Some(turn) = pace.next().await {
                visit::visit(&ground, (&mut clients, &mut second), turn, &tally).await;
            }
        });
    }
    let watcher = tokio::spawn(watch_seats(Arc::clone(ground), Arc::clone(&tally)));
    let stop = async {
        match &options.stop {
            Some(stop) => stop.notified().await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(stop);
    let mut stopped = false;
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let ended = loop {
        tokio::select! {
            _ = tick.tick() => screen.show(&tally, &pace),
            () = &mut stop, if !stopped => {
                stopped = true;
                pace.end();
            }
            done = visitors.join_next() => match done {
                Some(Ok(())) => {}
                Some(Err(failed)) => break Err(failed.into()),
                None => break Ok(()),
            },
        }
    };
    watcher.abort();
    screen.show(&tally, &pace);
    let took = tally.elapsed();
    ended.map(|()| (tally.take(), took))
}

/// Looks once a second at what is left of the event.
async fn watch_seats(ground: Arc<Ground>, tally: Arc<Tally>) {
    let mut clients = ground.clients();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        if let Ok(left) = ground.offer.left_now(&mut clients, ground.fleet.name()).await {
            tally.left(left.get("event").copied());
        }
    }
}
