//! The key that an event's request ids and bodies are hashed with on their way
//! into the journal: random, kept outside it under the org's key, and
//! destroyed when the event's retention ends. From then on nobody can tell
//! which request a hash stands for, not even whoever guesses it.
//!
//! A key is used only once it was read back from the store. So no claim is
//! acknowledged under a key that a crash can lose, and of several first claims
//! at once, on however many nodes, all use the key that was stored first.
//!
//! An event whose claims are older than its key (its retention had ended and
//! it was given another date, or its store is from before there were such
//! keys) does not recognize repeats of those claims' requests: a warning says
//! so when the key is made.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use sloe_core::catalog::Snapshot;
use sloe_core::fact::Fact;
use sloe_core::ids::{EventRef, OrgId, SfId, base32};
use sloe_store::api::{Store, StoreError, Write};
use sloe_store::key::{Collection, Key as Document, Range};
use tokio::sync::{Mutex, MutexGuard};

use crate::clock::World;
use crate::engine::Engine;
use crate::error::Denied;
use crate::seal::Key;
use crate::tenant::Org;
use crate::worker::outbox::file;

/// Keys in memory at most.
const KEPT: u64 = 10_000;
/// How long a key stays there: another node may have destroyed it.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// Locks that the events share among them.
const TURNS: usize = 64;
/// Documents looked through at a time.
const PAGE: usize = 500;
/// A journal begins with its terms; claims come in one of its first batches.
const FIRST_BATCHES: usize = 4;

/// Events' keys in memory.
pub(crate) struct EventKeys {
    kept: Cache<EventRef, Key>,
    /// Of many first claims one reads or makes the key, and the others wait for it.
    turns: [Mutex<()>; TURNS],
}

/// A key as it lies in the store.
#[derive(Serialize, Deserialize)]
struct Wrapped {
    wrapped_key: String,
}

impl EventKeys {
    pub(crate) fn new() -> Self {
        let kept = Cache::builder().max_capacity(KEPT).time_to_live(FRESH).build();
        Self { kept, turns: std::array::from_fn(|_| Mutex::default()) }
    }

    /// Forgets the keys of an org's events in memory.
    pub(crate) fn forget(&self, org: OrgId) {
        let all: Vec<EventRef> = self.kept.iter().map(|(event, _)| *event).collect();
        for event in all.into_iter().filter(|event| event.org == org) {
            self.kept.invalidate(&event);
        }
    }

    async fn turn(&self, event: EventRef) -> MutexGuard<'_, ()> {
        let mix = |n: usize, byte: &u8| n.wrapping_mul(31).wrapping_add(usize::from(*byte));
        let place = event.event.as_bytes().iter().fold(0, mix) % TURNS;
        self.turns[place].lock().await
    }
}

impl Engine {
    /// The key of an event's requests, made if there is none yet.
    ///
    /// # Errors
    /// [`Denied::EventOver`] once the event's retention has ended;
    /// [`Denied::NotAccepted`] while the store can't be used;
    /// [`Denied::Quarantined`] if what is stored can't be opened.
    pub(crate) async fn event_key(
        &self,
        org: &Arc<Org>,
        snapshot: &Snapshot,
    ) -> Result<Key, Denied> {
        if org.kept_until(snapshot.ends_at) <= self.now() {
            return Err(Denied::EventOver);
        }
        let (keys, event) = (self.event_keys(), snapshot.event);
        if let Some(key) = keys.kept.get(&event) {
            return Ok(key);
        }
        let _turn = keys.turn(event).await;
        if let Some(key) = keys.kept.get(&event) {
            return Ok(key);
        }
        let (engine, org) = (self.clone(), Arc::clone(org));
        let stored = self.blocking(move |store| read_or_make(store, engine.world(), &org, event));
        let key = stored.await?.ok_or(Denied::Quarantined)?;
        keys.kept.insert(event, key.clone());
        Ok(key)
    }

    /// The key of an event's requests, if one was made and its retention has
    /// not ended.
    ///
    /// # Errors
    /// As [`Engine::event_key`], but for [`Denied::EventOver`].
    pub(crate) async fn known_event_key(
        &self,
        org: &Org,
        snapshot: &Snapshot,
    ) -> Result<Option<Key>, Denied> {
        if org.kept_until(snapshot.ends_at) <= self.now() {
            return Ok(None);
        }
        let event = snapshot.event;
        if let Some(key) = self.event_keys().kept.get(&event) {
            return Ok(Some(key));
        }
        let at = Document::event_key(org.scope, event.event);
        let Some(document) = self.blocking(move |store| store.get(&at)).await? else {
            return Ok(None);
        };
        open(org, event, &document.body).map(Some).ok_or(Denied::Quarantined)
    }

    /// Destroys the keys of events whose retention has ended.
    pub(crate) async fn destroy_event_keys(&self, over: &BTreeSet<EventRef>) -> Result<(), Denied> {
        let mut after = None;
        loop {
            let page = self.blocking(move |store| {
                store.scan(Range::All(Collection::EventKeys), after.as_ref(), PAGE)
            });
            let page = page.await?;
            let ended = page.iter();
            let ended =
                ended.filter(|(key, _)| event_of(key).is_some_and(|event| over.contains(&event)));
            let ended: Vec<_> = ended
                .map(|(key, document)| Write {
                    key: key.clone(),
                    version: document.version + 1,
                    body: None,
                })
                .collect();
            let events: Vec<_> = ended.iter().filter_map(|write| event_of(&write.key)).collect();
            self.blocking(move |store| store.put(&ended)).await?;
            for event in events {
                self.event_keys().kept.invalidate(&event);
                tracing::info!(?event, "retention ended: the key of its requests is destroyed");
            }
            match page.into_iter().next_back() {
                Some((key, _)) => after = Some(key),
                None => return Ok(()),
            }
        }
    }
}

/// The stored key, made first if there is none; `None` if it can't be opened.
fn read_or_make(
    store: &dyn Store,
    world: &dyn World,
    org: &Org,
    event: EventRef,
) -> Result<Option<Key>, StoreError> {
    let at = Document::event_key(org.scope, event.event);
    if let Some(document) = store.get(&at)? {
        return Ok(open(org, event, &document.body));
    }
    let random = |_| StoreError::Unavailable("the system has no randomness to give".to_owned());
    let made = Key::random(world).map_err(random)?;
    let sealed = org.event_keys_key().seal(world, &owner(event), made.bytes()).map_err(random)?;
    let body = file::encode(&Wrapped { wrapped_key: base32::encode(&sealed) });
    store.put(&[Write { key: at.clone(), version: 1, body: Some(body) }])?;
    // The first to be written stands; it may be another's.
    let Some(document) = store.get(&at)? else {
        return Err(StoreError::Unavailable("an event's key went as soon as it came".to_owned()));
    };
    let begun = store.read(event, 0, FIRST_BATCHES)?;
    let claimed = |fact: &Fact| matches!(fact, Fact::Held { .. } | Fact::Confirmed { .. });
    if begun.iter().flat_map(|batch| &batch.facts).any(claimed) {
        tracing::warn!(
            ?event,
            "the event has a new key and older claims: repeats of their requests are not recognized"
        );
    }
    Ok(open(org, event, &document.body))
}

fn open(org: &Org, event: EventRef, body: &[u8]) -> Option<Key> {
    let opened = || {
        let wrapped: Wrapped = file::decode(body).ok()?;
        let sealed = base32::decode(&wrapped.wrapped_key)?;
        let key = org.event_keys_key().open(&owner(event), &sealed).ok()?;
        Some(Key::new(key.as_slice().try_into().ok()?))
    };
    let key = opened();
    if key.is_none() {
        tracing::error!(?event, "the event's key can't be opened; nothing is decided without it");
    }
    key
}

/// Whose a key is: bound into the seal.
fn owner(event: EventRef) -> Vec<u8> {
    [event.org.as_bytes().as_slice(), event.event.as_bytes()].concat()
}

fn event_of(key: &Document) -> Option<EventRef> {
    let (org, event) = key.id().split_once('/')?;
    Some(EventRef { org: OrgId::parse(org).ok()?, event: SfId::parse(event).ok()? })
}
