//! What the node that does an org's work knows of it, told to the others, so
//! that staff are answered the same whichever node they meet. Nothing is decided
//! by it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dashmap::DashMap;
use serde::{Deserialize, Serialize};
use sloe_core::ids::OrgId;
use sloe_core::time::Timestamp;
use sloe_store::api::{StoreError, Write};
use sloe_store::key::Key;
use tokio::time::Instant;

use super::orgs::{OrgWork, lock};
use super::outbox::file;
use super::poll::PollState;
use super::{reads, stored};
use crate::changes::{Changes, Part};
use crate::engine::Engine;
use crate::nodes;
use crate::refresh::{Progress, Refresh};
use crate::sync::{Sync, SyncFault};

/// How far apart it is told, if it changes.
const APART: Duration = Duration::from_secs(2);
/// How long what another node told is believed without looking again.
const FRESH: Duration = Duration::from_secs(1);

/// How an org's work stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) sync: Sync,
    pub(crate) waiting_since: Option<Timestamp>,
    pub(crate) progress: Option<Progress>,
    pub(crate) poll: PollState,
    pub(crate) changes: Changes,
    pub(crate) verifying: bool,
    pub(crate) refreshes: Vec<Refresh>,
}

/// What other nodes told, and what this one told last.
#[derive(Default)]
pub(crate) struct Standings {
    known: DashMap<OrgId, (Instant, Arc<Standing>)>,
    told: Mutex<BTreeMap<OrgId, Told>>,
}

/// What this node told of an org's work.
struct Told {
    at: Instant,
    epoch: u64,
    /// Nothing where the store did not take it.
    body: Option<Vec<u8>>,
    /// How often.
    count: u32,
}

impl Standings {
    /// What another node told of an org.
    pub(crate) fn of(&self, org: OrgId) -> Option<Arc<Standing>> {
        self.known.get(&org).map(|known| Arc::clone(&known.1))
    }
}

#[derive(Serialize, Deserialize)]
struct Fault {
    at: i64,
    means: String,
    remedy: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
enum StoredPart {
    Connecting,
    Healthy { since: i64 },
    Down { means: String, remedy: String, passes: bool, since: i64, again: i64 },
}

#[derive(Serialize, Deserialize)]
struct Stored {
    last_drain: Option<i64>,
    delivered: u64,
    retrying_since: Option<i64>,
    fault: Option<Fault>,
    waiting_since: Option<i64>,
    /// Since when, how many were read, and how many are known.
    progress: Option<(i64, usize, usize)>,
    poll: StoredPoll,
    changes: StoredChanges,
    verifying: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredPoll {
    at: Option<i64>,
    count: u64,
    every_millis: Option<u64>,
    found: u64,
    fault: Option<String>,
    waits_until: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct StoredChanges {
    parts: BTreeMap<String, StoredPart>,
    last: Option<i64>,
    told: u64,
    passed_over: u64,
}

fn millis(at: Option<Timestamp>) -> Option<i64> {
    at.map(|at| at.0)
}

fn of_work(work: &OrgWork) -> Stored {
    let (sync, poll, changes) = (work.sync(), lock(&work.poll).clone(), work.changes.state());
    let part = |part: Part| match part {
        Part::Connecting => StoredPart::Connecting,
        Part::Healthy(since) => StoredPart::Healthy { since: since.0 },
        Part::Down { means, remedy, passes, since, again } => {
            StoredPart::Down { means, remedy, passes, since: since.0, again: again.0 }
        }
    };
    let every = poll.every.map(|every| u64::try_from(every.as_millis()).unwrap_or(u64::MAX));
    Stored {
        last_drain: millis(sync.last_drain),
        delivered: sync.delivered,
        retrying_since: millis(sync.retrying_since),
        fault: sync.fault.map(|f| Fault { at: f.at.0, means: f.means, remedy: f.remedy }),
        waiting_since: millis(work.waiting_since()),
        progress: work.progress().map(|p| (p.since.0, p.read, p.known)),
        poll: StoredPoll {
            at: millis(poll.at),
            count: poll.count,
            every_millis: every,
            found: poll.found,
            fault: poll.fault,
            waits_until: millis(poll.waits_until),
        },
        changes: StoredChanges {
            parts: changes.parts.into_iter().map(|(of, is)| (of.to_owned(), part(is))).collect(),
            last: millis(changes.last),
            told: changes.told,
            passed_over: changes.passed_over,
        },
        verifying: work.verifying.load(std::sync::atomic::Ordering::Acquire),
    }
}

fn standing(stored: Stored, refreshes: Vec<Refresh>) -> Standing {
    let at = |millis: Option<i64>| millis.map(Timestamp);
    let fault = |f: Fault| SyncFault { at: Timestamp(f.at), means: f.means, remedy: f.remedy };
    let part = |(of, is): (String, StoredPart)| {
        let of = ["event", "item", "session"].into_iter().find(|known| *known == of)?;
        let is = match is {
            StoredPart::Connecting => Part::Connecting,
            StoredPart::Healthy { since } => Part::Healthy(Timestamp(since)),
            StoredPart::Down { means, remedy, passes, since, again } => Part::Down {
                means,
                remedy,
                passes,
                since: Timestamp(since),
                again: Timestamp(again),
            },
        };
        Some((of, is))
    };
    let (poll, changes) = (stored.poll, stored.changes);
    Standing {
        sync: Sync {
            last_drain: at(stored.last_drain),
            delivered: stored.delivered,
            retrying_since: at(stored.retrying_since),
            fault: stored.fault.map(fault),
            ..Sync::default()
        },
        waiting_since: at(stored.waiting_since),
        progress: stored.progress.map(|(since, read, known)| Progress {
            since: Timestamp(since),
            read,
            known,
        }),
        poll: PollState {
            at: at(poll.at),
            count: poll.count,
            every: poll.every_millis.map(Duration::from_millis),
            found: poll.found,
            fault: poll.fault,
            waits_until: at(poll.waits_until),
        },
        changes: Changes {
            source: None,
            parts: changes.parts.into_iter().filter_map(part).collect(),
            last: at(changes.last),
            told: changes.told,
            passed_over: changes.passed_over,
        },
        verifying: stored.verifying,
        refreshes,
    }
}

/// Tells the other nodes how the work stands that this one does.
pub(super) async fn tell(engine: &Engine) -> Result<(), StoreError> {
    if !engine.nodes().shared() {
        return Ok(());
    }
    let (mut writes, mut orgs) = (Vec::new(), Vec::new());
    {
        let mut all = lock(&engine.workers().standings.told);
        for org in engine.registry().all() {
            let epoch = engine.nodes().epoch(&nodes::of_org(org.id()));
            let Some((work, epoch)) = engine.workers().known(org.id()).zip(epoch) else {
                all.remove(&org.id());
                continue;
            };
            let body = Some(file::encode(&of_work(&work)));
            let before = all.get(&org.id()).filter(|told| told.epoch == epoch);
            if before.is_some_and(|told| told.at.elapsed() < APART || told.body == body) {
                continue;
            }
            let count = before.map_or(1, |told| told.count.saturating_add(1));
            all.insert(org.id(), Told { at: Instant::now(), epoch, body: body.clone(), count });
            // Newer than whatever was told by those who did the work before, by any clock.
            let version = (epoch << u32::BITS) | u64::from(count);
            writes.push(Write { key: Key::standing(org.scope), version, body });
            orgs.push(org.id());
        }
    }
    if writes.is_empty() {
        return Ok(());
    }
    let told = stored(engine, move |store| store.put(&writes)).await;
    if told.is_err() {
        let mut all = lock(&engine.workers().standings.told);
        for org in orgs {
            if let Some(told) = all.get_mut(&org) {
                told.body = None;
            }
        }
    }
    told
}

impl Engine {
    /// Reads how an org's work stands, if another node does it: what staff are
    /// shown from then on is a second old at most.
    pub async fn recall_standing(&self, org: OrgId) {
        let standings = &self.workers().standings;
        if !self.nodes().shared() || self.workers().known(org).is_some() {
            standings.known.remove(&org);
            return;
        }
        if standings.known.get(&org).is_some_and(|known| known.0.elapsed() < FRESH) {
            return;
        }
        let Some(known) = self.registry().by_id(org) else { return };
        let key = Key::standing(known.scope);
        let read = async {
            let document = stored(self, move |store| store.get(&key)).await?;
            Ok::<_, StoreError>((document, reads::noted(self, &known).await?))
        };
        match read.await {
            Ok((document, refreshes)) => {
                let told = document.and_then(|found| file::decode::<Stored>(&found.body).ok());
                let standing = match told {
                    Some(told) => standing(told, refreshes),
                    None => Standing { refreshes, ..Standing::default() },
                };
                standings.known.insert(org, (Instant::now(), Arc::new(standing)));
            }
            // What was told last stands; staff see that the store does not answer.
            Err(error) => tracing::warn!(%org, %error, "how an org's work stands can't be read"),
        }
    }
}
