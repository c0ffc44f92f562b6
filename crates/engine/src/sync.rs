//! How far each org is: what still has to reach it, what failed, and why.

use sloe_core::ids::{ClaimId, EventRef, OrgId};
use sloe_core::time::Timestamp;
use sloe_salesforce::Usage;
use sloe_store::api::Destination;
use sloe_store::key::{Collection, Range};

use crate::engine::Engine;
use crate::error::Denied;
use crate::tenant::Org;
use crate::worker::outbox::file::{self, Dead};

/// Dead letters shown at once.
const SHOWN: usize = 10_000;

/// What an org's task notes about itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sync {
    pub(crate) last_drain: Option<Timestamp>,
    pub(crate) delivered: u64,
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
    /// Rows that failed for good.
    pub dead_letters: usize,
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

/// A row that failed for good, for the org's staff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The record's external id.
    pub key: String,
    /// Its event.
    pub event: EventRef,
    /// The order's short name.
    pub reference: String,
    /// The attendee, from 1.
    pub place: u16,
    /// When it was given up.
    pub at: Timestamp,
    /// Salesforce's code.
    pub code: String,
    /// The fields it blames.
    pub fields: Vec<String>,
    /// What it means.
    pub means: String,
    /// What to do.
    pub fix: String,
    /// Who can do it: `admin`, `operator` or `nobody`.
    pub owner: String,
    /// The org's own words; may quote personal data, so not for logs.
    pub message: Option<String>,
}

impl Engine {
    /// How far an org is.
    ///
    /// # Errors
    /// [`Denied::NotFound`] for an org that is not connected; the store's.
    pub async fn sync_state(&self, org: OrgId) -> Result<SyncState, Denied> {
        let known = self.registry().by_id(org).ok_or(Denied::NotFound)?;
        let scope = known.scope;
        let (pending, retrying, dead_letters) = self
            .blocking(move |store| {
                let count = |collection| {
                    let all = store.scan(Range::Org(collection, scope), None, SHOWN)?;
                    Ok(all.iter().filter(|(key, _)| !is_mail(key.local_id())).count())
                };
                let pending = store.pending(Destination::Org)?;
                Ok((pending, count(Collection::Retries)?, count(Collection::DeadLetters)?))
            })
            .await?;
        let pending: Vec<_> = pending.into_iter().filter(|p| p.event.org == org).collect();
        let work = self.workers().known(org);
        let sync = work.as_ref().map(|work| work.sync()).unwrap_or_default();
        Ok(SyncState {
            pending_events: pending.len(),
            pending_batches: pending.iter().map(|p| p.latest - p.cursor).sum(),
            retrying,
            dead_letters,
            delivered: sync.delivered,
            last_drain: sync.last_drain,
            fault: sync.fault,
            usage: work.and_then(|work| work.usage()),
        })
    }

    /// The rows of an org that failed for good.
    ///
    /// # Errors
    /// As [`Engine::sync_state`].
    pub async fn dead_letters(&self, org: OrgId) -> Result<Vec<DeadLetter>, Denied> {
        let known = self.registry().by_id(org).ok_or(Denied::NotFound)?;
        let scope = known.scope;
        let all = self
            .blocking(move |store| {
                store.scan(Range::Org(Collection::DeadLetters, scope), None, SHOWN)
            })
            .await?;
        let read = |(key, document): (sloe_store::key::Key, sloe_store::api::Document)| {
            let dead = file::decode::<Dead>(&document.body).ok()?;
            letter(&known, key.local_id(), dead)
        };
        Ok(all.into_iter().filter_map(read).collect())
    }
}

/// Whether a retry or dead letter is a mail's: external ids have no space.
pub(crate) fn is_mail(key: &str) -> bool {
    key.starts_with("mail ")
}

fn letter(org: &Org, key: &str, dead: Dead) -> Option<DeadLetter> {
    let message = dead.sealed_message.as_deref().and_then(|sealed| {
        let sealed = sloe_core::ids::base32::decode(sealed)?;
        let plain = org.vault_key().open(key.as_bytes(), &sealed).ok()?;
        String::from_utf8(plain.to_vec()).ok()
    });
    Some(DeadLetter {
        key: key.to_owned(),
        event: EventRef::from_partition(&dead.event)?,
        reference: ClaimId::parse(&dead.claim)?.reference(),
        place: dead.place,
        at: Timestamp(dead.at),
        code: dead.code,
        fields: dead.fields,
        means: dead.means,
        fix: dead.fix,
        owner: dead.owner,
        message,
    })
}
