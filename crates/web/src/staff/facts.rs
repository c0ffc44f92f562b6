//! What the engine knows of every org, gathered for a page. Many who watch the
//! overview cost no more than one.

use std::sync::Arc;
use std::time::Duration;

use sloe_core::ids::SfId;
use sloe_core::license::{self, Knowledge};
use sloe_core::time::Timestamp;
use sloe_engine::changes::{Changes, ChangesError};
use sloe_engine::damage::Damage;
use sloe_engine::engine::Engine;
use sloe_engine::error::{Denied, Hindrance};
use sloe_engine::refresh::{Progress, Refresh};
use sloe_engine::sync::{LetterFilter, LetterKind, Pile, SyncState};
use sloe_engine::tenant::Org;
use sloe_engine::verify::Verified;
use sloe_engine::view::Listing;
use sloe_engine::worker::{Calls24h, PollState, Stumbles};
use tokio::sync::Mutex;

/// How old the overview's facts may be, in milliseconds.
const FRESH_MILLIS: i64 = 2_000;

/// Everything that is known of how an org stands.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) org: Arc<Org>,
    /// When this was asked.
    pub(super) at: Timestamp,
    pub(super) license: License,
    pub(super) refreshes: Vec<Refresh>,
    pub(super) progress: Option<Progress>,
    pub(super) poll: Option<PollState>,
    pub(super) stumbles: Vec<Stumbles>,
    /// Events of which something can't be read.
    pub(super) damages: Vec<Damage>,
    /// Whether it is being compared now.
    pub(super) verifying: bool,
    /// All events in the catalog.
    pub(super) events: Vec<Arc<Listing>>,
    /// How many of them the public sees.
    pub(super) published: usize,
    /// What the store has; why it can't be told, if so.
    pub(super) stored: Result<Stored, Denied>,
}

/// Whether an org may be live, and why.
#[derive(Debug)]
pub(super) struct License {
    pub(super) live: bool,
    /// Only because the source org was not read since it ended.
    pub(super) grace: bool,
    pub(super) why: String,
    /// Each that names the org.
    pub(super) rows: Vec<String>,
    /// As of when that is known.
    pub(super) known: Knowledge,
}

/// The part that the store knows.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) calls: Calls24h,
    pub(super) sync: SyncState,
    /// Dead letters by kind, the largest pile first.
    pub(super) piles: Vec<Pile>,
    /// How the change events of an org stand that was asked to send them.
    pub(super) changes: Changes,
    /// The last comparison with what the org holds.
    pub(super) verified: Option<Verified>,
    /// How often there is to be one.
    pub(super) compare_every: Duration,
}

impl Stored {
    /// Rows that were refused, rows that need a decision, and mails that were given up.
    pub(super) fn undelivered(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for pile in &self.piles {
            let of = match (pile.kind, pile.conflict) {
                (LetterKind::Mail, _) => 2,
                (_, true) => 1,
                (_, false) => 0,
            };
            counts[of] += pile.count;
        }
        counts
    }
}

impl Facts {
    /// How `org` stands now.
    pub(super) async fn of(engine: &Engine, org: Arc<Org>) -> Self {
        let id = org.id();
        let stored = stored(engine, &org).await;
        let events = engine.events(&org);
        Self {
            at: engine.now(),
            license: license(engine, &org),
            refreshes: engine.refreshes(id),
            progress: engine.progress(id),
            poll: engine.poll_state(id),
            stumbles: engine.stumbles(id),
            damages: engine.damages(id),
            verifying: engine.is_verifying(id),
            published: events.iter().filter(|event| event.published).count(),
            events,
            stored,
            org,
        }
    }

    /// An event in the catalog.
    pub(super) fn listing(&self, event: SfId) -> Option<&Listing> {
        self.events.iter().find(|listing| listing.event.event == event).map(|found| &**found)
    }

    /// When the whole org was read last, well or not.
    pub(super) fn whole(&self) -> Option<&Refresh> {
        self.refreshes.iter().find(|refresh| refresh.event.is_none())
    }
}

async fn stored(engine: &Engine, org: &Org) -> Result<Stored, Denied> {
    let id = org.id();
    Ok(Stored {
        calls: engine.calls(id).await?,
        sync: engine.sync_state(id).await?,
        piles: engine.piles(id, &LetterFilter::default()).await?,
        changes: engine.changes(id).await.map_err(|error| unread(&error))?,
        verified: engine.last_verify(id).await?,
        compare_every: engine.verify_every(),
    })
}

fn unread(error: &ChangesError) -> Denied {
    match error {
        ChangesError::UnknownOrg => Denied::NotFound,
        other => {
            tracing::error!(%other, "how change events stand can't be read");
            Denied::NotAccepted { why: Hindrance::Fault, retry_after: Duration::from_secs(2) }
        }
    }
}

fn license(engine: &Engine, org: &Org) -> License {
    let licensed = engine.licensed_org(org.id());
    let row = |row: &license::License| match row.expires_at {
        Some(end) => {
            format!("{}: {}, to the end of {}", row.number, row.status.name(), end.to_date())
        }
        None => format!("{}: {}", row.number, row.status.name()),
    };
    License {
        live: licensed.answer.is_live(),
        grace: licensed.answer.grace_until().is_some(),
        why: licensed.answer.reason(),
        rows: licensed.rows.iter().map(row).collect(),
        known: licensed.answer.knowledge,
    }
}

/// The overview's facts, shared by everybody who looks within a moment.
#[derive(Default)]
pub(super) struct Glance(Mutex<Option<(Timestamp, Arc<Vec<Facts>>)>>);

impl Glance {
    /// How all orgs stand, at most two seconds ago.
    pub(super) async fn all(&self, engine: &Engine) -> Arc<Vec<Facts>> {
        let mut kept = self.0.lock().await;
        let now = engine.now();
        if let Some((at, facts)) = &*kept
            && (0..FRESH_MILLIS).contains(&now.millis_since(*at))
        {
            return Arc::clone(facts);
        }
        let mut all = Vec::new();
        for org in engine.registry().all() {
            all.push(Facts::of(engine, org).await);
        }
        let all = Arc::new(all);
        *kept = Some((now, Arc::clone(&all)));
        all
    }

    /// Something was done: the next look asks anew.
    pub(super) async fn forget(&self) {
        *self.0.lock().await = None;
    }
}
