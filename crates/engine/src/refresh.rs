//! From an org's records to what the public sees: what was read becomes the
//! ledger's terms first, then the snapshot that needs them. Nothing faulty
//! gets through, and nothing older replaces what is newer.

use std::sync::Arc;

use sloe_core::catalog::{AttendeeForm, Snapshot};
use sloe_core::fact::Actor;
use sloe_core::ids::{ClaimId, EventRef, OrgId, SfId};
use sloe_core::inbound::{self, Accepted, Fault, RawEvent};
use sloe_core::ledger::{Command, Refusal, Reply};
use sloe_core::planted;
use sloe_core::time::Timestamp;
use sloe_core::words::counted;

use crate::engine::Engine;
use crate::ledger::Unanswered;
use crate::tenant::Org;
use crate::worker::orgs::lock;

/// Cancellations on their way to the ledger at once.
const CANCELS_AT_ONCE: usize = 256;

/// What a refresh of an event came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Whether the public sees anything else than before.
    pub changed: bool,
    /// The snapshot's version.
    pub version: u64,
}

/// Why a refresh was not applied. The last good snapshot stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    /// Sloe serves no such org.
    #[error("the org is not connected")]
    UnknownOrg,
    /// Every fault of the event's records.
    #[error("the event's records have {}", counted(.0.len(), "fault"))]
    Faulty(Vec<Fault>),
    /// The ledger or the store does not take it now; trying again may help.
    #[error("the event can't be written now")]
    Unavailable,
    /// The event's journal is damaged.
    #[error("the event is out of order: {0}")]
    Quarantined(String),
}

/// How the last refresh of an event, or of a whole org, went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// Which event; `None` is the whole org.
    pub event: Option<SfId>,
    /// When it ended.
    pub at: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
}

impl Refresh {
    /// What is wrong and what to do, for the org's staff; `None` if nothing is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match &self.outcome {
            Outcome::Applied(_) | Outcome::Gone | Outcome::Read { .. } => None,
            Outcome::Failed { means, remedy, .. } => Some(format!("{means} {remedy}")),
            Outcome::Faulty(faults) => {
                let first = faults.first().map(Fault::to_string).unwrap_or_default();
                let count = faults.len();
                Some(format!(
                    "The last good page stays, for {}, first {first}.",
                    counted(count, "fault")
                ))
            }
        }
    }
}

/// What came of a refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The event is as Salesforce says.
    Applied(Applied),
    /// The org has no such event: it is not shown any more.
    Gone,
    /// The whole org was read.
    Read {
        /// Events that are as Salesforce says.
        good: usize,
        /// Events with faults, each with its own entry.
        faulty: usize,
    },
    /// Refused: every fault. The last good snapshot stays.
    Faulty(Vec<Fault>),
    /// It could not be read or written.
    Failed {
        /// What happened, for the org's staff.
        means: String,
        /// What to do.
        remedy: String,
        /// Whether Sloe tries again by itself.
        again: bool,
    },
}

/// How far the refresh of a whole org is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// When it began.
    pub since: Timestamp,
    /// Events read so far.
    pub read: usize,
    /// Events that Sloe knew of when it began.
    pub known: usize,
}

impl Engine {
    /// Asks for one event, or the whole org, to be read from Salesforce soon.
    /// Answers at once. Repeats while one waits are that one: however many ask
    /// within a moment, one runs and one waits.
    pub fn request_refresh(&self, org: OrgId, event: Option<SfId>) {
        crate::worker::refresh::request(self, org, event, false);
    }

    /// Asks for an org that was just connected to be read. It may be under way already.
    pub fn request_first_refresh(&self, org: OrgId) {
        crate::worker::refresh::request_first(self, org);
    }

    /// The same as [`Engine::request_refresh`] for somebody who looks at the page: how long it takes is measured.
    /// Whether anybody will: without workers nobody does.
    pub fn request_update(&self, org: OrgId, event: Option<SfId>) -> bool {
        crate::worker::refresh::request(self, org, event, true)
    }

    /// How far the refresh of a whole org is, if one runs.
    #[must_use]
    pub fn progress(&self, org: OrgId) -> Option<Progress> {
        match self.workers().known(org) {
            Some(work) => work.progress(),
            None => self.workers().standings.of(org)?.progress.clone(),
        }
    }

    /// How the last refreshes of an org went: the whole org's first, then by event.
    #[must_use]
    pub fn refreshes(&self, org: OrgId) -> Vec<Refresh> {
        match self.workers().known(org) {
            Some(work) => work.refreshes(),
            None => self
                .workers()
                .standings
                .of(org)
                .map(|told| told.refreshes.clone())
                .unwrap_or_default(),
        }
    }

    /// Makes what was read of an event what the public sees, and frees the
    /// seats of attendees cancelled in the org. Data older than what is in
    /// force changes nothing.
    ///
    /// # Errors
    /// [`RefreshError`].
    pub async fn apply_refresh(&self, org: OrgId, raw: RawEvent) -> Result<Applied, RefreshError> {
        let org = self.registry().by_id(org).ok_or(RefreshError::UnknownOrg)?;
        let event = EventRef { org: org.id(), event: raw.event.id };
        // Cancellations don't depend on whether the event's records are in order.
        self.cancel_by_org(event, &raw.cancelled).await?;
        let before = self.snapshot_of(event).await?;
        let form = match &before {
            Some(before) => self.form_of(&org).unwrap_or(before.form),
            None => self.form_of(&org).unwrap_or_default(),
        };
        let accepted = inbound::build(org.id(), &raw, &org.profile.time_zone, form);
        let accepted = accepted.map_err(RefreshError::Faulty)?;
        let version = before.as_ref().map_or(0, |before| before.version);
        let put = self.put_in_force(org, before, accepted).await?;
        Ok(put.unwrap_or(Applied { changed: false, version }))
    }

    /// An event that is gone from the org is not shown any more; its orders stay.
    pub(crate) async fn withdraw(&self, org: Arc<Org>, event: SfId) -> Result<(), RefreshError> {
        let event = EventRef { org: org.id(), event };
        let Some(before) = self.snapshot_of(event).await? else { return Ok(()) };
        // What isn't there has no time of the org's own, and by our clock it might be newer than
        // a reading that finds it there again: it is as new as what is in force.
        let mut as_of = before.as_of;
        loop {
            let accepted = inbound::withdraw(&before, as_of);
            let put = self.put_in_force(Arc::clone(&org), Some(Arc::clone(&before)), accepted);
            match put.await? {
                Ok(_) => return Ok(()),
                Err(newer) => as_of = newer,
            }
        }
    }

    /// Ledger first, then the page; or as of when newer is in force.
    async fn put_in_force(
        &self,
        org: Arc<Org>,
        before: Option<Arc<Snapshot>>,
        accepted: Accepted,
    ) -> Result<Result<Applied, Timestamp>, RefreshError> {
        let Accepted { mut snapshot, terms } = accepted;
        if let Some(before) =
            before.filter(|before| snapshot.as_of < before.as_of && !planted!(StaleLimits))
        {
            return Ok(Err(before.as_of));
        }
        let command = Command::SetTerms(Box::new(terms));
        let committed = match self.desk().run(snapshot.event, command, None).await {
            Ok(committed) => committed,
            Err(Unanswered::Refused(Refusal::StaleTerms { as_of })) => return Ok(Err(as_of)),
            Err(Unanswered::Quarantined(reason)) => return Err(RefreshError::Quarantined(reason)),
            Err(_) => return Err(RefreshError::Unavailable),
        };
        snapshot.ledger_version = committed.version;
        let engine = self.clone();
        let publish = move || engine.catalog().publish(&**engine.store(), &org, snapshot);
        match self.workers().blocking(publish).await {
            Ok(Ok((now, seen))) => {
                if seen {
                    // Its terms were news before its page was there, with which its figures go.
                    lock(&self.news().recount).insert(now.event);
                }
                let terms = matches!(committed.reply, Reply::Terms { changed: true });
                Ok(Ok(Applied { changed: seen || terms, version: now.version }))
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "a refreshed event can't be stored");
                Err(RefreshError::Unavailable)
            }
            Err(_) => Err(RefreshError::Unavailable),
        }
    }

    /// Frees the seats of attendees that were cancelled or deleted in the org.
    /// Keys that no order of this event has are somebody else's.
    pub(crate) async fn cancel_by_org(
        &self,
        event: EventRef,
        keys: &[String],
    ) -> Result<(), RefreshError> {
        for some in keys.chunks(CANCELS_AT_ONCE) {
            let cancel = |(claim, place)| {
                let command = Command::Cancel { claim, place: Some(place), actor: Actor::Org };
                self.desk().begin(event, command, None)
            };
            let named = some.iter().filter_map(|key| ClaimId::parse_attendee_key(key));
            let begun: Vec<_> = named.map(cancel).collect();
            for answer in begun {
                match answer.await {
                    Ok(_) | Err(Unanswered::Refused(_)) => {}
                    Err(Unanswered::Quarantined(reason)) => {
                        return Err(RefreshError::Quarantined(reason));
                    }
                    Err(_) => return Err(RefreshError::Unavailable),
                }
            }
        }
        Ok(())
    }

    /// The attendee form's rules as the org described them last.
    fn form_of(&self, org: &Org) -> Option<AttendeeForm> {
        let described = self.workers().known(org.id()).and_then(|work| work.form());
        described.or_else(|| {
            let any = self.catalog().events(org.id()).into_iter().next()?;
            self.catalog().snapshot(any.event).ok().flatten().map(|snapshot| snapshot.form)
        })
    }

    async fn snapshot_of(&self, event: EventRef) -> Result<Option<Arc<Snapshot>>, RefreshError> {
        let engine = self.clone();
        match self.workers().blocking(move || engine.catalog().snapshot(event)).await {
            Ok(Ok(snapshot)) => Ok(snapshot),
            Ok(Err(error)) => {
                tracing::error!(%error, "a snapshot can't be read");
                // The next good refresh mends a damaged snapshot.
                match error {
                    sloe_store::api::StoreError::Damaged(_) => Ok(None),
                    _ => Err(RefreshError::Unavailable),
                }
            }
            Err(_) => Err(RefreshError::Unavailable),
        }
    }
}
