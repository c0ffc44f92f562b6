//! How far each org is: what still has to reach it, what failed, and why.

mod letters;
mod replay;

use sloe_core::ids::OrgId;
use sloe_core::time::Timestamp;
use sloe_salesforce::Usage;
use sloe_store::api::{Destination, Store, StoreError};
use sloe_store::key::{Collection, Range};
use sloe_store::scope::OrgScope;

use crate::engine::Engine;
use crate::error::Denied;

pub use letters::{Letter, LetterFilter, LetterKind, LetterPage, Pile, Waiting, WaitingPage};
pub use replay::{Replayed, Which};

/// Documents read at a time.
const PAGE: usize = 1_000;

/// What an org's task notes about itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sync {
    pub(crate) last_drain: Option<Timestamp>,
    pub(crate) delivered: u64,
    pub(crate) retrying: usize,
    pub(crate) retrying_since: Option<Timestamp>,
    pub(crate) dead_letters: usize,
    pub(crate) conflicts: usize,
    pub(crate) fault: Option<SyncFault>,
}

/// Why an org is not reached at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncFault {
    /// When that was noticed last.
    pub at: Timestamp,
    /// What happened, for the org's staff.
    pub means: String,
    /// What to do.
    pub remedy: String,
}

/// How far an org is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SyncState {
    /// Events with news that the org doesn't have.
    pub pending_events: usize,
    /// Batches of their journals that the outbox has still to look at.
    pub pending_batches: u64,
    /// Rows that wait to be sent again.
    pub retrying: usize,
    /// Rows that the org refused for good.
    pub dead_letters: usize,
    /// Rows that the org deleted or changed: staff must say who is right.
    pub conflicts: usize,
    /// Since when the oldest news wait that the org doesn't have; `None` if
    /// there are none, or no worker runs here.
    pub waiting_since: Option<Timestamp>,
    /// Rows settled in the org since this process started.
    pub delivered: u64,
    /// When a stretch of a journal was last passed.
    pub last_drain: Option<Timestamp>,
    /// Why the org is not reached, if so.
    pub fault: Option<SyncFault>,
    /// The org's API calls, as it told last.
    pub usage: Option<Usage>,
}

impl SyncState {
    /// Whether the org has everything that it will ever take.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.pending_events == 0 && self.retrying == 0
    }
}

impl Engine {
    /// How far an org is.
    ///
    /// # Errors
    /// [`Denied::NotFound`] for an org that is not connected; the store's.
    pub async fn sync_state(&self, org: OrgId) -> Result<SyncState, Denied> {
        let known = self.registry().by_id(org).ok_or(Denied::NotFound)?;
        let scope = known.scope;
        let (pending, retrying, (dead_letters, conflicts)) = self
            .blocking(move |store| {
                // In the order that rows go: one that moves on meanwhile is seen twice, not never.
                let pending = store.pending(Destination::Org)?;
                let retrying = count(store, Range::Org(Collection::Retries, scope))?;
                Ok((pending, retrying, count_letters(store, scope)?))
            })
            .await?;
        let pending: Vec<_> = pending.into_iter().filter(|p| p.event.org == org).collect();
        self.recall_standing(org).await;
        let (work, told) = (self.workers().known(org), self.workers().standings.of(org));
        let (sync, waiting_since) = match (&work, told) {
            (Some(work), _) => (work.sync(), work.waiting_since()),
            (None, Some(told)) => (told.sync.clone(), told.waiting_since),
            (None, None) => Default::default(),
        };
        // That is noted once a second: it may be of what has arrived since.
        let waits = !pending.is_empty() || retrying > 0;
        let oldest = waiting_since.into_iter().chain(sync.retrying_since).min();
        Ok(SyncState {
            pending_events: pending.len(),
            pending_batches: pending.iter().map(|p| p.latest - p.cursor).sum(),
            retrying,
            dead_letters,
            conflicts,
            waiting_since: oldest.filter(|_| waits),
            delivered: sync.delivered,
            last_drain: sync.last_drain,
            fault: sync.fault,
            usage: work.and_then(|work| work.usage()),
        })
    }
}

/// How many rows of a collection there are; mails are none.
fn count(store: &dyn Store, range: Range) -> Result<usize, StoreError> {
    let (mut total, mut after) = (0, None);
    loop {
        let page = store.scan(range, after.as_ref(), PAGE)?;
        total += page.iter().filter(|(key, _)| !is_mail(key.local_id())).count();
        match page.into_iter().nth(PAGE - 1) {
            Some((last, _)) => after = Some(last),
            None => return Ok(total),
        }
    }
}

/// How many rows were refused, and how many are conflicts.
fn count_letters(store: &dyn Store, scope: OrgScope) -> Result<(usize, usize), StoreError> {
    let (mut refused, mut conflicts) = (0, 0);
    letters::each_letter(store, scope, None, |key, dead| {
        match (is_mail(key), dead.conflict) {
            (true, _) => {}
            (false, true) => conflicts += 1,
            (false, false) => refused += 1,
        }
        Ok(true)
    })?;
    Ok((refused, conflicts))
}

/// Whether a retry or dead letter is a mail's: external ids have no space.
pub(crate) fn is_mail(key: &str) -> bool {
    key.starts_with("mail ")
}
