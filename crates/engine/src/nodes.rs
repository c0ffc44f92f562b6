//! The nodes that run on one store, and which of them does what one node does
//! at a time. `sloe_core::lease` says who should; this keeps the books: each
//! node's beat, the leases, and the tasks that end with them.
//!
//! On a store of one process there is nothing to share: it does everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sloe_core::ids::{EventRef, OrgId};
use sloe_core::lease::{self, Lease, NodeId, Pulse, Step};
use sloe_store::api::{Document, Fence, Store, StoreError, Write};
use sloe_store::key::{Collection, Key, Range};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::peers::{self, Lead};
use crate::worker::{follow, stored};

mod litter;
#[cfg(test)]
mod tests;

use litter::{litter, no_lead};

/// What concerns all orgs: mail, retention, removals, the source org of licenses.
pub(crate) const PLATFORM: &str = "platform";
/// How often it is looked whether the node's own beat is still taken.
const WATCH: Duration = Duration::from_millis(250);
/// Leases that are taken in one commit.
const AT_ONCE: usize = 100;
/// Removes a document whatever its version is.
const ANY: u64 = i64::MAX as u64;

/// The lease of an org's work.
pub(crate) fn of_org(org: OrgId) -> String {
    format!("org/{org}")
}

/// A node as it is stored.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct StoredNode {
    /// Whether it does work that one node does at a time.
    works: bool,
    /// Where other nodes reach it, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    /// Since when it runs, in milliseconds since 1970.
    since: i64,
}

/// A lease as it is stored; its epoch is the document's version.
#[derive(Serialize, Deserialize)]
struct StoredLease {
    node: Option<String>,
    /// Since when, in milliseconds since 1970.
    since: i64,
}

/// A lease that this node holds.
#[derive(Clone)]
struct Tenure {
    epoch: u64,
    /// Cancelled when it ends.
    ended: CancellationToken,
}

#[derive(Default)]
struct State {
    beat: u64,
    /// When the last beat that the store took was sent.
    taken: Option<Instant>,
    pulse: Pulse,
    held: BTreeMap<String, Tenure>,
    /// The others that are alive, with where they are reached.
    others: BTreeMap<NodeId, Option<String>>,
    /// Work that one node at a time does, and none does, as it was seen last.
    undone: usize,
}

/// This node among the others.
pub(crate) struct Nodes {
    me: NodeId,
    shared: bool,
    works: bool,
    began: Instant,
    /// Of work that never ends, as nobody else could do it.
    alone: CancellationToken,
    state: Mutex<State>,
    /// How many other nodes are alive.
    others: Arc<AtomicUsize>,
}

impl Nodes {
    pub(crate) fn new(me: NodeId, store: &dyn Store, works: bool, began: Instant) -> Self {
        let shared = store.is_shared();
        let alone = CancellationToken::new();
        Self { me, shared, works, began, alone, state: Mutex::default(), others: Arc::default() }
    }

    /// Its name.
    pub(crate) fn me(&self) -> NodeId {
        self.me
    }

    /// Whether there may be other nodes.
    pub(crate) fn shared(&self) -> bool {
        self.shared
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }

    /// How many other nodes are alive, as it changes.
    pub(crate) fn others(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.others)
    }

    /// Whether this node does a piece of work.
    pub(crate) fn holds(&self, work: &str) -> bool {
        !self.shared || self.state().held.contains_key(work)
    }

    /// At which epoch this node does a piece of work, if it does it under a lease.
    pub(crate) fn epoch(&self, work: &str) -> Option<u64> {
        self.state().held.get(work).map(|tenure| tenure.epoch)
    }

    /// How it stands, as seen by this node: how many run, how many of the pieces of
    /// work are this node's, and how many are nobody's. Nothing before the first look, or
    /// where there is one process only.
    pub(crate) fn standing(&self) -> Option<(usize, usize, usize)> {
        let state = self.state();
        let seen = self.shared && state.taken.is_some();
        seen.then(|| (state.others.len() + 1, state.held.len(), state.undone))
    }

    /// Whether this node does any work that one node at a time does.
    pub(crate) fn holds_anything(&self) -> bool {
        !self.shared || !self.state().held.is_empty()
    }

    /// Ends all work that one node at a time does if the store has taken no
    /// beat for too long; what was ended.
    fn stop_in_time(&self, now: Instant) -> Vec<String> {
        let mut state = self.state();
        let stop = Duration::from_millis(lease::STOP_MILLIS);
        if state.taken.is_none_or(|taken| now.duration_since(taken) < stop) {
            return Vec::new();
        }
        end_all(&mut state)
    }

    /// Takes in what is stored of all nodes and leases, and says what to do. It was read between
    /// `asked` and `now`: a node that was paused in between must not take what it read for news.
    fn judge(
        &self,
        nodes: &BTreeMap<NodeId, (u64, StoredNode)>,
        leases: &BTreeMap<String, Lease>,
        work: &BTreeSet<String>,
        (asked, now): (Instant, Instant),
    ) -> Judged {
        let (asked, now) = (self.millis(asked), self.millis(now));
        let mut state = self.state();
        let beats: Vec<_> = nodes.iter().map(|(node, (beat, _))| (*node, *beat)).collect();
        state.pulse.see(&beats, now);
        let lost = state.held.iter().filter(|(name, tenure)| {
            let lease = leases.get(*name).copied().unwrap_or_default();
            (lease.epoch, lease.holder) != (tenure.epoch, Some(self.me))
        });
        let lost: Vec<String> = lost.map(|(name, _)| name.clone()).collect();
        let mut ended = Vec::new();
        for name in lost {
            ended.extend(end(&mut state, &name));
        }
        let alive = |node: &NodeId| *node == self.me || state.pulse.is_alive(*node, asked);
        let living = nodes.iter().filter(|(node, _)| alive(node));
        let others = living.clone().filter(|(node, _)| **node != self.me);
        let others = others.map(|(node, (_, stored))| (*node, stored.peer.clone())).collect();
        let able = living.filter(|(_, (_, stored))| stored.works).map(|(node, _)| *node);
        let able: BTreeSet<NodeId> = able.collect();
        let mine = state.held.keys().cloned().collect();
        let steps =
            if self.works { lease::plan(self.me, &able, work, leases, &mine) } else { Vec::new() };
        let has_holder = |name: &&String| {
            let holder = leases.get(*name).and_then(|lease| lease.holder);
            holder.is_some_and(|holder| able.contains(&holder))
        };
        let undone = work.iter().filter(|name| !has_holder(name)).count();
        let litter = litter(self.me, nodes, leases, |node| state.pulse.still_for(node, asked));
        state.others = others;
        state.undone = undone;
        self.others.store(state.others.len(), Ordering::Relaxed);
        Judged { ended, steps, litter }
    }
}

/// What follows from a look.
struct Judged {
    /// Leases that were this node's and are not any more.
    ended: Vec<String>,
    steps: Vec<Step>,
    /// Removes what nodes have left that died long ago.
    litter: Vec<Write>,
}

fn end(state: &mut State, name: &str) -> Option<String> {
    let (name, tenure) = state.held.remove_entry(name)?;
    tenure.ended.cancel();
    Some(name)
}

fn end_all(state: &mut State) -> Vec<String> {
    let held = std::mem::take(&mut state.held);
    held.into_iter().map(|(name, tenure)| (tenure.ended.cancel(), name).1).collect()
}

impl Engine {
    /// The engine as it is to whoever does a piece of work, and the token of
    /// its end; `None` if another node does it. What is written through it is
    /// taken only while the work is this node's.
    pub(crate) fn at_work(&self, work: &str) -> Option<(Self, CancellationToken)> {
        let nodes = self.nodes();
        if !nodes.shared {
            return Some((self.clone(), nodes.alone.clone()));
        }
        let tenure = nodes.state().held.get(work).cloned()?;
        if sloe_core::planted!(UnfencedLease) {
            return Some((self.clone(), tenure.ended));
        }
        let fence = Fence { lease: Key::lease(work), epoch: tenure.epoch };
        Some((self.under(fence), tenure.ended))
    }

    /// Does what concerns all orgs, if that is this node's, until it isn't any more.
    pub(crate) async fn if_platform<F>(self, work: impl FnOnce(Self) -> F) -> Result<(), String>
    where
        F: Future<Output = Result<(), String>>,
    {
        let Some((engine, ended)) = self.at_work(PLATFORM) else { return Ok(()) };
        // Dropped, it ends where it stands: as after a kill.
        ended.run_until_cancelled(work(engine)).await.unwrap_or(Ok(()))
    }

    /// Forgets in memory what belonged to work that is not this node's any more.
    fn leave_work(&self, ended: &[String]) {
        for name in ended {
            tracing::warn!(work = name, "this node does this work no more");
            self.forget_work(name);
        }
    }

    fn forget_work(&self, name: &str) {
        let org = name.strip_prefix("org/").and_then(|org| OrgId::parse(org).ok());
        match org {
            Some(org) => self.workers().forget(org),
            None => self.workers().forget_platform(),
        }
    }
}

/// Watches that this node stops in time when the store takes nothing from it.
pub(crate) async fn watch(engine: Engine) {
    let stopping = engine.workers().stopping();
    while stopping.run_until_cancelled(tokio::time::sleep(WATCH)).await.is_some() {
        stop_in_time(&engine);
    }
}

/// Ends this node's work if it may be another's by now.
pub(crate) fn stop_in_time(engine: &Engine) {
    let ended = engine.nodes().stop_in_time(engine.world().steady());
    if !ended.is_empty() {
        let count = ended.len();
        tracing::error!(count, "the store takes no beat of this node: its work may be another's");
    }
    engine.leave_work(&ended);
}

/// Counts up this node's beat, and takes or gives leases as they should be.
pub(crate) async fn look(engine: Engine) -> Result<(), String> {
    if !engine.nodes().shared {
        return Ok(());
    }
    step(&engine).await.map_err(|error| error.to_string())
}

pub(crate) async fn step(engine: &Engine) -> Result<(), StoreError> {
    let nodes = engine.nodes();
    beat(engine).await?;
    let asked = engine.world().steady();
    // Leases first: whoever has one is among the nodes that are read after it.
    let (leases, there) =
        stored(engine, |store| Ok((all_leases(store)?, all_nodes(store)?))).await?;
    let orgs = engine.registry().all();
    let work: BTreeSet<String> = orgs
        .iter()
        .map(|org| of_org(org.id()))
        .chain(std::iter::once(PLATFORM.to_owned()))
        .collect();
    let judged = nodes.judge(&there, &leases, &work, (asked, engine.world().steady()));
    engine.leave_work(&judged.ended);
    let mut wanted = Vec::new();
    for step in judged.steps {
        match step {
            Step::Take(name, epoch) => wanted.push((name, epoch)),
            Step::Give(name) => give(engine, name).await?,
        }
    }
    if !wanted.is_empty() {
        // What others did last is known before any of it is done here.
        follow::step(engine).await?;
        take(engine, &wanted).await?;
    }
    lead(engine, &leases).await?;
    if !judged.litter.is_empty() {
        stored(engine, move |store| store.put(&judged.litter)).await?;
    }
    metrics::gauge!("sloe_leases").set(u32::try_from(nodes.state().held.len()).unwrap_or(u32::MAX));
    Ok(())
}

async fn beat(engine: &Engine) -> Result<(), StoreError> {
    let nodes = engine.nodes();
    let sent = engine.world().steady();
    let beat = {
        let mut state = nodes.state();
        state.beat += 1;
        state.beat
    };
    let since = engine.started().0;
    let node = StoredNode { works: nodes.works, peer: engine.peers().address(), since };
    let write =
        Write { key: Key::node(&nodes.me.text()), version: beat, body: Some(encode(&node)) };
    stored(engine, move |store| store.put(&[write])).await?;
    nodes.state().taken = Some(sent);
    Ok(())
}

/// Takes leases, many in one commit. A node that takes for long would beat too late: what is left
/// is taken after the next beat.
async fn take(engine: &Engine, wanted: &[(String, u64)]) -> Result<(), StoreError> {
    let nodes = engine.nodes();
    for some in wanted.chunks(AT_ONCE) {
        for (name, epoch) in write_leases(engine, some).await? {
            let node = nodes.me.text();
            tracing::info!(node, work = name, epoch, "this node does this work from now on");
            let tenure = Tenure { epoch, ended: CancellationToken::new() };
            nodes.state().held.insert(name.clone(), tenure);
            engine.begin_work(&name);
        }
        let beaten = nodes.state().taken;
        let passed = beaten.map(|at| engine.world().steady().duration_since(at));
        if passed.is_some_and(|passed| passed.as_millis() >= u128::from(lease::BEAT_MILLIS)) {
            break;
        }
    }
    Ok(())
}

async fn give(engine: &Engine, name: String) -> Result<(), StoreError> {
    let epoch = {
        let mut state = engine.nodes().state();
        let Some(tenure) = state.held.get(&name) else { return Ok(()) };
        let epoch = tenure.epoch + 1;
        end(&mut state, &name);
        epoch
    };
    engine.forget_work(&name);
    let body = encode(&StoredLease { node: None, since: engine.now().0 });
    let write = Write { key: Key::lease(&name), version: epoch, body: Some(body) };
    stored(engine, move |store| store.put(&[write])).await
}

/// Takes or drops the lead of hot events, and learns who leads the others.
async fn lead(engine: &Engine, leases: &BTreeMap<String, Lease>) -> Result<(), StoreError> {
    let (nodes, peers) = (engine.nodes(), engine.peers());
    let living = nodes.state().others.clone();
    let steps = peers.judge(nodes.me, leases, &living, engine.now());
    let taken = steps.iter().any(|step| matches!(step, Lead::Take(..)));
    for step in steps {
        match step {
            Lead::Take(event, epoch) => {
                let name = format!("{}{}", peers::EVENT, event.partition());
                if !write_leases(engine, &[(name, epoch)]).await?.is_empty() {
                    tracing::info!(?event, "this node decides this event's claims from now on");
                    peers.lead(event, epoch, engine.now());
                }
            }
            Lead::Drop(event, epoch) => drop_lead(engine, event, epoch).await?,
        }
    }
    if taken {
        // Whoever was first is where claims go from now on.
        let leases = stored(engine, all_leases).await?;
        peers.judge(nodes.me, &leases, &living, engine.now());
    }
    Ok(())
}

async fn drop_lead(engine: &Engine, event: EventRef, epoch: u64) -> Result<(), StoreError> {
    engine.peers().drop_lead(event);
    let gone = no_lead(&format!("{}{}", peers::EVENT, event.partition()), epoch);
    stored(engine, move |store| store.put(&[gone])).await
}

/// Writes leases of this node; those of which it was the first at their epoch.
async fn write_leases(
    engine: &Engine,
    wanted: &[(String, u64)],
) -> Result<Vec<(String, u64)>, StoreError> {
    let me = engine.nodes().me;
    let body = encode(&StoredLease { node: Some(me.text()), since: engine.now().0 });
    let mut wanted = wanted.to_vec();
    let write = |(name, epoch): &(String, u64)| Write {
        key: Key::lease(name),
        version: *epoch,
        body: Some(body.clone()),
    };
    let writes: Vec<Write> = wanted.iter().map(write).collect();
    let leases = stored(engine, move |store| {
        store.put(&writes)?;
        // Of several that write the same epoch the first one has it.
        all_leases(store)
    });
    let leases = leases.await?;
    wanted.retain(|(name, epoch)| {
        leases.get(name) == Some(&Lease { epoch: *epoch, holder: Some(me) })
    });
    Ok(wanted)
}

/// Gives everything back, so that nobody has to wait until this node is known to be dead.
pub(crate) async fn leave(engine: &Engine) -> Result<(), StoreError> {
    let nodes = engine.nodes();
    let has_beaten = nodes.state().taken.is_some();
    if !nodes.shared || !has_beaten {
        return Ok(());
    }
    let names: Vec<String> = nodes.state().held.keys().cloned().collect();
    for name in names {
        give(engine, name).await?;
    }
    for (event, epoch) in engine.peers().led() {
        drop_lead(engine, event, epoch).await?;
    }
    let gone = Write { key: Key::node(&nodes.me.text()), version: ANY, body: None };
    stored(engine, move |store| store.put(&[gone])).await
}

fn all_nodes(store: &dyn Store) -> Result<BTreeMap<NodeId, (u64, StoredNode)>, StoreError> {
    let all = store.scan(Range::All(Collection::Nodes), None, usize::MAX)?;
    let node = |(key, document): (Key, Document)| {
        let stored = serde_json::from_slice(&document.body).unwrap_or_default();
        Some((NodeId::parse(key.id())?, (document.version, stored)))
    };
    Ok(all.into_iter().filter_map(node).collect())
}

fn all_leases(store: &dyn Store) -> Result<BTreeMap<String, Lease>, StoreError> {
    let all = store.scan(Range::All(Collection::Leases), None, usize::MAX)?;
    Ok(all.into_iter().map(|(key, found)| (key.id().to_owned(), lease_of(&found))).collect())
}

/// A lease that can't be read is nobody's: the next epoch mends it.
fn lease_of(document: &Document) -> Lease {
    let stored: Option<StoredLease> = serde_json::from_slice(&document.body).ok();
    let holder = stored.and_then(|stored| stored.node).and_then(|node| NodeId::parse(&node));
    Lease { epoch: document.version, holder }
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    // Plain texts and numbers always make JSON.
    serde_json::to_vec(value).unwrap_or_default()
}
