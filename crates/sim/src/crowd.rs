//! The storm: a crowd of visitors against any running Sloe, which then proves
//! or refutes that nothing was oversold, lost or doubled.
//!
//! The crowd knows Sloe only from outside: its HTTP interface, and the
//! records that arrive in the org. What a visitor wants and is called follows
//! from the seed and the visitor's number, so the proof needs no memory of
//! it. Load comes from a small client of our own ([`wire`]), because it
//! shares the machine with what it measures.

pub mod load;
mod offer;
mod pace;
mod people;
mod proof;
mod report;
mod tally;
mod visit;
pub mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub use people::Crowd;
pub use report::{Finding, Latency, Report, Verdict};

use offer::{Offer, Wish};
use pace::Pace;
use tally::{Figures, Tally};
use wire::{Client, Target};

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

/// How fast the visitors come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrival {
    /// So many a second, whether or not the answers keep up. Latency counts
    /// from when a visitor was due, so waiting for a free connection counts.
    Rate(f64),
    /// All at once: every connection is kept busy. Latency counts from when
    /// a visitor's first request is sent.
    Burst,
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
    /// Sloe's address: `http://127.0.0.1:8080`.
    pub target: String,
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
    /// How they register.
    pub mode: Mode,
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
    /// Orders that are read back; beyond it a random sample of this size.
    pub read_back: usize,
    /// The org, to prove the arrival there.
    pub org: Option<OrgAccess>,
    /// Decides names and wishes; the same seed is the same crowd.
    pub seed: u64,
}

impl Options {
    /// A burst of `visitors` through the API, with a fresh seed from the system.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn new(target: &str, event: &str, visitors: u64) -> Result<Self, StormError> {
        Ok(Self {
            target: target.to_owned(),
            event: event.to_owned(),
            visitors,
            arrival: Arrival::Burst,
            duration: None,
            door: None,
            mode: Mode::Api,
            connections: 256,
            party: 1,
            sessions: 2,
            patience: Duration::from_secs(10),
            persistence: Duration::from_secs(60),
            read_back: 20_000,
            org: None,
            seed: getrandom::u64().map_err(|_| StormError::Randomness)?,
        })
    }
}

/// Why a storm could not be held, or its result not be judged.
#[derive(Debug, thiserror::Error)]
pub enum StormError {
    /// The target is no address we can call.
    #[error("{0}")]
    Target(#[from] wire::TargetError),
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
    target: Arc<Target>,
    crowd: Crowd,
    offer: Offer,
    mode: Mode,
    party: u16,
    sessions: u16,
    patience: Duration,
    persistence: Duration,
}

impl Ground {
    fn client(&self) -> Client {
        Client::new(Arc::clone(&self.target), self.patience)
    }

    /// What a visitor wants; always the same for the same number.
    fn wish(&self, visitor: u64) -> Wish {
        self.offer.wish(&self.crowd, visitor, self.party, self.sessions)
    }
}

/// A progress bar for a terminal; nothing where there is none.
#[must_use]
pub fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::no_length();
    let style = "{elapsed_precise} {wide_bar} {human_pos}/{human_len} {per_sec} {msg}";
    // The template is fixed and good; without it the bar looks plainer.
    if let Ok(style) = indicatif::ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}

/// Holds the storm and judges it. `bar` shows its progress; pass a hidden
/// one for none.
///
/// # Errors
/// [`StormError`]: the storm could not be held. A broken invariant is no
/// error but a [`Verdict`] of the report.
pub async fn run(options: &Options, bar: &ProgressBar) -> Result<Report, StormError> {
    let target = Arc::new(Target::resolve(&options.target).await?);
    let mut client = Client::new(Arc::clone(&target), options.patience);
    let offer = Offer::read(&mut client, &options.event).await?;
    if !offer.has_free_items() {
        return Err(StormError::NothingFree(offer.name));
    }
    if options.mode == Mode::Html && offer.page.is_none() {
        return Err(StormError::NoPage);
    }
    let org = match &options.org {
        Some(access) => Some(proof::OrgReader::sign_in(access).await?),
        None => None,
    };
    let ground = Arc::new(Ground {
        target,
        crowd: Crowd::new(options.seed),
        offer,
        mode: options.mode,
        party: options.party.max(1),
        sessions: options.sessions,
        patience: options.patience,
        persistence: options.persistence,
    });
    bar.set_length(options.visitors);
    let began = Instant::now();
    let figures = rage(options, &ground, bar).await?;
    let mut report = Report::new(options, &ground, &figures, began.elapsed());
    report.findings = proof::judge(options, &ground, &figures, org.as_ref(), bar).await;
    Ok(report)
}

/// Lets all visitors come, and waits until the last has gone.
async fn rage(
    options: &Options,
    ground: &Arc<Ground>,
    bar: &ProgressBar,
) -> Result<Figures, StormError> {
    let tally = Arc::new(Tally::new(options.visitors)?);
    let pace = Pace::new(options.arrival, options.visitors, options.duration);
    let pace = Arc::new(pace.behind(options.door.clone()));
    let mut visitors = JoinSet::new();
    for _ in 0..options.connections.max(1) {
        let (ground, tally, pace) = (Arc::clone(ground), Arc::clone(&tally), Arc::clone(&pace));
        visitors.spawn(async move {
            let mut client = ground.client();
            while let Some(turn) = pace.next().await {
                visit::visit(&ground, &mut client, turn, &tally).await;
            }
        });
    }
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    loop {
        tokio::select! {
            _ = tick.tick() => tally.show(bar),
            done = visitors.join_next() => match done {
                Some(done) => done?,
                None => break,
            },
        }
    }
    tally.show(bar);
    Ok(tally.take())
}
