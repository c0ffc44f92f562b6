//! What was read of an org: how the last refresh of every event went, and the
//! print of each record as it was then. In memory, and in the store, so that
//! a restart neither forgets a fault nor takes our own figures for news.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use sloe_core::ids::{SfId, base32};
use sloe_core::inbound::{self, Fault, Field, Print, RawEvent};
use sloe_core::time::Timestamp;
use sloe_store::api::{Document, StoreError, Write};
use sloe_store::key::{Collection, Key, Range};
use tokio::sync::OnceCell;

use super::orgs::lock;
use super::outbox::file;
use super::stored;
use crate::clock::World;
use crate::engine::Engine;
use crate::refresh::{Applied, Outcome, Refresh};
use crate::tenant::Org;

/// Events of one org of which this is known; more than Sloe serves an org.
const EVENTS: usize = 20_000;
/// Faults kept of one event.
const FAULTS: usize = 50;
/// Documents read in one go.
const PAGE: usize = 1_000;

/// What is known of one org.
#[derive(Default)]
pub(crate) struct Reads {
    inner: Mutex<Inner>,
    loaded: OnceCell<()>,
}

#[derive(Default)]
struct Inner {
    /// The whole org's under `None`.
    all: BTreeMap<Option<SfId>, Read>,
    /// Which event a record was last read with.
    events: HashMap<SfId, SfId>,
    unsaved: BTreeSet<Option<SfId>>,
}

struct Read {
    /// Of its document.
    version: u64,
    refresh: Refresh,
    seen: Seen,
}

/// What was read of an event.
#[derive(Clone, Default)]
pub(super) struct Seen {
    /// It, its items and its sessions.
    pub(super) records: Vec<(SfId, Print)>,
    /// Attendees made in the org: of the event, and of each session, where there are any.
    pub(super) external: Vec<(SfId, u32)>,
}

impl Seen {
    pub(super) fn of(raw: &RawEvent) -> Self {
        let total = std::iter::once((raw.event.id, raw.external_total));
        let external = total.chain(raw.external_by_session.iter().copied());
        Self {
            records: inbound::prints(raw),
            external: external.filter(|(_, count)| *count > 0).collect(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    at: i64,
    outcome: StoredOutcome,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    records: Vec<(String, Print)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    external: Vec<(String, u32)>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum StoredOutcome {
    Applied {
        changed: bool,
        version: u64,
    },
    Gone,
    Read {
        good: usize,
        faulty: usize,
    },
    /// Faults quote what the organizer wrote: sealed.
    Faulty {
        sealed: String,
    },
    Failed {
        means: String,
        remedy: String,
        again: bool,
    },
}

impl Inner {
    fn forget(&mut self, event: Option<SfId>) {
        let Some(read) = self.all.remove(&event) else { return };
        for (record, _) in read.seen.records {
            if self.events.get(&record).copied() == event {
                self.events.remove(&record);
            }
        }
    }
}

impl Reads {
    /// Reads what an earlier process noted.
    pub(super) async fn load(&self, engine: &Engine, org: &Org) -> Result<(), StoreError> {
        let load = || async {
            let mut after: Option<Key> = None;
            loop {
                let (scope, from) = (org.scope, after.take());
                let page = stored(engine, move |store| {
                    store.scan(Range::Org(Collection::Reads, scope), from.as_ref(), PAGE)
                });
                let page = page.await?;
                after = page.last().map(|(key, _)| key.clone());
                if after.is_none() {
                    return Ok(());
                }
                let mut inner = lock(&self.inner);
                for (key, document) in page {
                    take_in(&mut inner, org, key.local_id(), &document);
                }
            }
        };
        self.loaded.get_or_try_init(load).await.map(|&()| ())
    }

    /// How the last refreshes went: the whole org's first, then by event.
    pub(super) fn all(&self) -> Vec<Refresh> {
        lock(&self.inner).all.values().map(|read| read.refresh.clone()).collect()
    }

    /// Notes how a refresh went; `seen` is what was read, if anything was.
    pub(super) fn note(&self, refresh: Refresh, seen: Option<Seen>) {
        let mut inner = lock(&self.inner);
        let event = refresh.event;
        let before = inner.all.get(&event);
        let version = before.map_or(0, |read| read.version);
        let seen = seen.or_else(|| before.map(|before| before.seen.clone())).unwrap_or_default();
        inner.forget(event);
        if let Some(event) = event {
            inner.events.extend(seen.records.iter().map(|(record, _)| (*record, event)));
        }
        inner.all.insert(event, Read { version: version + 1, refresh, seen });
        inner.unsaved.insert(event);
        if inner.all.len() > EVENTS {
            let ages = inner.all.iter().filter(|(of, _)| of.is_some());
            let oldest = ages.min_by_key(|(_, read)| read.refresh.at).map(|(of, _)| *of);
            if let Some(oldest) = oldest {
                // Its document goes too.
                inner.forget(oldest);
                inner.unsaved.insert(oldest);
            }
        }
    }

    /// The event that a record was last read with, and its print then.
    pub(super) fn known(&self, record: SfId) -> Option<(SfId, Print)> {
        let inner = lock(&self.inner);
        let event = *inner.events.get(&record)?;
        let records = &inner.all.get(&Some(event))?.seen.records;
        records.iter().find(|(id, _)| *id == record).map(|(_, print)| (event, *print))
    }

    /// The events that attendees made in the org took seats of when they were
    /// last read, and how many: of the event, and of each session.
    pub(super) fn external(&self) -> Vec<(SfId, Vec<(SfId, u32)>)> {
        let inner = lock(&self.inner);
        let some = inner.all.iter().filter(|(_, read)| !read.seen.external.is_empty());
        some.filter_map(|(event, read)| Some(((*event)?, read.seen.external.clone()))).collect()
    }

    /// What the store doesn't have yet of `unsaved`.
    fn news(&self, org: &Org, world: &dyn World, unsaved: &BTreeSet<Option<SfId>>) -> Vec<Write> {
        let inner = lock(&self.inner);
        let write = |event: Option<SfId>| {
            let key = Key::read(org.scope, &local(event));
            match inner.all.get(&event) {
                Some(read) => {
                    let body = file::encode(&to_stored(org, world, read)?);
                    Some(Write { key, version: read.version, body: Some(body) })
                }
                None => Some(Write { key, version: u64::MAX >> 1, body: None }),
            }
        };
        unsaved.iter().copied().filter_map(write).collect()
    }

    /// Writes down what was noted; the next time, if the store does not take it now.
    pub(super) async fn save(&self, engine: &Engine, org: &Org) -> Result<(), StoreError> {
        let unsaved = std::mem::take(&mut lock(&self.inner).unsaved);
        let writes = self.news(org, engine.world(), &unsaved);
        if writes.is_empty() {
            return Ok(());
        }
        let saved = stored(engine, move |store| store.put(&writes)).await;
        if saved.is_err() {
            lock(&self.inner).unsaved.extend(unsaved);
        }
        saved
    }
}

/// How the last refreshes of an org went, as an earlier process noted: the
/// whole org's first.
pub(crate) async fn noted(engine: &Engine, org: &Org) -> Result<Vec<Refresh>, StoreError> {
    let reads = Reads::default();
    reads.load(engine, org).await?;
    Ok(reads.all())
}

fn take_in(inner: &mut Inner, org: &Org, id: &str, document: &Document) {
    let event = match id {
        WHOLE => None,
        id => match SfId::parse(id) {
            Ok(id) => Some(id),
            Err(_) => return,
        },
    };
    // What can't be read is read again from Salesforce.
    let Some(read) = from_stored(org, event, document) else { return };
    if let Some(event) = event {
        inner.events.extend(read.seen.records.iter().map(|(record, _)| (*record, event)));
    }
    inner.all.insert(event, read);
}

/// What the whole org's document is called.
const WHOLE: &str = "all";

fn local(event: Option<SfId>) -> String {
    event.map_or(WHOLE.to_owned(), |event| event.to_string())
}

fn owner(event: Option<SfId>) -> Vec<u8> {
    format!("refresh {}", local(event)).into_bytes()
}

fn to_stored(org: &Org, world: &dyn World, read: &Read) -> Option<Stored> {
    let refresh = &read.refresh;
    let outcome = match &refresh.outcome {
        Outcome::Applied(Applied { changed, version }) => {
            StoredOutcome::Applied { changed: *changed, version: *version }
        }
        Outcome::Gone => StoredOutcome::Gone,
        Outcome::Read { good, faulty } => StoredOutcome::Read { good: *good, faulty: *faulty },
        Outcome::Failed { means, remedy, again } => {
            let (means, remedy) = (means.clone(), remedy.clone());
            StoredOutcome::Failed { means, remedy, again: *again }
        }
        Outcome::Faulty(faults) => {
            let each = faults.iter().take(FAULTS);
            let each = each.map(|f| (f.record.to_string(), f.field, f.message.as_str()));
            let plain = serde_json::to_vec(&each.collect::<Vec<_>>()).ok()?;
            let sealed = org.vault_key().seal(world, &owner(refresh.event), &plain).ok()?;
            StoredOutcome::Faulty { sealed: base32::encode(&sealed) }
        }
    };
    let Seen { records, external } = &read.seen;
    Some(Stored {
        at: refresh.at.0,
        outcome,
        records: records.iter().map(|(id, print)| (id.to_string(), *print)).collect(),
        external: external.iter().map(|(id, count)| (id.to_string(), *count)).collect(),
    })
}

fn from_stored(org: &Org, event: Option<SfId>, document: &Document) -> Option<Read> {
    let stored = file::decode::<Stored>(&document.body).ok()?;
    let outcome = match stored.outcome {
        StoredOutcome::Applied { changed, version } => {
            Outcome::Applied(Applied { changed, version })
        }
        StoredOutcome::Gone => Outcome::Gone,
        StoredOutcome::Read { good, faulty } => Outcome::Read { good, faulty },
        StoredOutcome::Failed { means, remedy, again } => Outcome::Failed { means, remedy, again },
        StoredOutcome::Faulty { sealed } => {
            let plain = org.vault_key().open(&owner(event), &base32::decode(&sealed)?).ok()?;
            let faults: Vec<(String, String, String)> = serde_json::from_slice(&plain).ok()?;
            let fault = |(record, field, message): (String, String, String)| {
                let known = Field::ALL.iter().find(|known| known.label() == field)?;
                Some(Fault { record: SfId::parse(&record).ok()?, field: known.label(), message })
            };
            Outcome::Faulty(faults.into_iter().filter_map(fault).collect())
        }
    };
    let record = |(id, print): (String, Print)| Some((SfId::parse(&id).ok()?, print));
    let count = |(id, count): (String, u32)| Some((SfId::parse(&id).ok()?, count));
    let seen = Seen {
        records: stored.records.into_iter().filter_map(record).collect(),
        external: stored.external.into_iter().filter_map(count).collect(),
    };
    let refresh = Refresh { event, at: Timestamp(stored.at), outcome };
    Some(Read { version: document.version, refresh, seen })
}
