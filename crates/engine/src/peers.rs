//! Claims of a hot event, gathered where they are decided. Without it every
//! node competes for the event's next version, and all but one decide in vain.
//! So one node leads the event, and the others hand it the claims that wait,
//! many in one call.
//!
//! This is for speed only. A claim that the leader does not answer is decided
//! here, under the same request id: if the leader took it after all, that is
//! found in the journal, and the answer is the same. Nodes without addresses of
//! their own (Heroku's, for instance) take turns instead (`ledger::rest`).

#![allow(clippy::vec_box, reason = "a task of 250 bytes moves through several queues")]

mod proof;
mod wire;

pub use proof::PeerError;
pub(crate) use wire::travels;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use sloe_core::ids::EventRef;
use sloe_core::lease::{Lease, NodeId};
use sloe_core::time::Timestamp;
use tokio::sync::mpsc;

use crate::engine::Engine;
use crate::ledger::{Desk, Task, Unanswered, Way};
use crate::seal::Key;
use proof::Proofs;
use wire::Heard;

/// Claims that go to a leader in one call.
const AT_ONCE: usize = 1_000;
/// Calls to a leader at once.
const CALLS: usize = 4;
/// How long the leader may take before its claims are decided here.
const PATIENCE: Duration = Duration::from_secs(4);
/// So long after it was sent does the leader begin to decide a call: less than whoever sent
/// it waits for, although each clock may be a second off the store's.
const DECIDES_MILLIS: i64 = 1_900;
/// So long is nothing handed to a node that did not answer.
const SHUNNED_MILLIS: i64 = 10_000;
/// An event that nobody wanted for so long is led no more.
const IDLE_MILLIS: i64 = 60_000;
/// What the leases of hot events begin with.
pub(crate) const EVENT: &str = "event/";
/// Bytes of claims in one call, before they are encoded. The largest become seven times as
/// long, and a node takes 16 MiB.
const CALL_BYTES: usize = 2 * 1024 * 1024;

/// The answer of another node, or why there is none.
pub type Posted = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send>>;

/// How nodes reach each other.
#[derive(Clone)]
pub struct Peering {
    /// Where the other nodes reach this one: `http://10.0.0.3:7070`.
    pub address: String,
    /// Posts a body to an address; the body of a good answer comes back.
    pub post: Arc<dyn Fn(String, Vec<u8>) -> Posted + Send + Sync>,
}

impl std::fmt::Debug for Peering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Peering({})", self.address)
    }
}

/// Who leads which event, as this node knows it.
#[derive(Default)]
struct Leads {
    /// Leads of this node.
    mine: BTreeMap<EventRef, Led>,
    /// Events that several nodes want, and nobody leads.
    wanted: BTreeSet<EventRef>,
    /// Events that living nodes lead, be they reached or not.
    elsewhere: BTreeSet<EventRef>,
    /// Until when nothing is handed to those who did not answer.
    shunned: BTreeMap<Arc<str>, Timestamp>,
}

/// A lead of this node.
#[derive(Clone, Copy)]
struct Led {
    epoch: u64,
    /// When it was last wanted.
    used: Timestamp,
}

/// Claims, and the address of the node that is to decide them.
type Handed = (Arc<str>, Vec<Box<Task>>);

/// This node's way to the others.
pub(crate) struct Peers {
    proofs: Proofs,
    /// Whether any event is led elsewhere: what every claim asks first.
    any: AtomicBool,
    routes: RwLock<BTreeMap<EventRef, Arc<str>>>,
    leads: Mutex<Leads>,
    peering: Option<Peering>,
    queue: Mutex<Option<mpsc::UnboundedSender<Handed>>>,
}

/// What a node does about the leases of hot events.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lead {
    /// Try to lead, at this epoch.
    Take(EventRef, u64),
    /// Lead it no more, which was led at this epoch.
    Drop(EventRef, u64),
}

impl Peers {
    pub(crate) fn new(key: Key, peering: Option<Peering>) -> Self {
        Self {
            proofs: Proofs::new(key),
            any: AtomicBool::new(false),
            routes: RwLock::default(),
            leads: Mutex::default(),
            peering,
            queue: Mutex::default(),
        }
    }

    /// Where the other nodes reach this one, if they do.
    pub(crate) fn address(&self) -> Option<String> {
        self.peering.as_ref().map(|peering| peering.address.clone())
    }

    fn leads(&self) -> MutexGuard<'_, Leads> {
        self.leads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where an event's claims are decided, if not here.
    pub(crate) fn leader_of(&self, event: EventRef) -> Option<Arc<str>> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.routes.read().unwrap_or_else(PoisonError::into_inner).get(&event).cloned()
    }

    /// Another node was first; true if that is news, and nobody leads the event.
    pub(crate) fn contend(&self, event: EventRef) -> bool {
        let mut leads = self.leads();
        self.peering.is_some() && leads.wanted.insert(event) && !leads.elsewhere.contains(&event)
    }

    /// This node took claims of an event.
    pub(crate) fn used(&self, event: EventRef, now: Timestamp) {
        if self.peering.is_some()
            && let Some(led) = self.leads().mine.get_mut(&event)
        {
            led.used = now;
        }
    }

    /// Hands claims to whoever leads their event; those that can't go come back.
    pub(crate) fn hand(&self, to: Arc<str>, tasks: Vec<Box<Task>>) -> Result<(), Vec<Box<Task>>> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match queue.as_ref() {
            Some(queue) => queue.send((to, tasks)).map_err(|refused| refused.0.1),
            None => Err(tasks),
        }
    }

    /// Takes in who leads what, as it is stored, and says what to do. `living`
    /// are the other nodes with where each is reached.
    pub(crate) fn judge(
        &self,
        me: NodeId,
        leases: &BTreeMap<String, Lease>,
        living: &BTreeMap<NodeId, Option<String>>,
        now: Timestamp,
    ) -> Vec<Lead> {
        if self.peering.is_none() {
            return Vec::new();
        }
        let stored = leases.iter().filter_map(|(name, lease)| {
            let event = EventRef::from_partition(name.strip_prefix(EVENT)?)?;
            Some((event, *lease))
        });
        let stored: BTreeMap<EventRef, Lease> = stored.collect();
        let mut leads = self.leads();
        // Also what is this node's without its having heard so: an answer was lost.
        let mine = stored.iter().filter(|(_, lease)| lease.holder == Some(me));
        let led = |(event, lease): (&EventRef, &Lease)| {
            let used = leads.mine.get(event).map_or(now, |led| led.used);
            (*event, Led { epoch: lease.epoch, used })
        };
        leads.mine = mine.map(led).collect();
        let elsewhere = stored.iter().filter_map(|(event, lease)| {
            let address = living.get(&lease.holder?)?.as_deref()?;
            Some((*event, Arc::from(address)))
        });
        let mut routes: BTreeMap<EventRef, Arc<str>> = elsewhere.collect();
        leads.elsewhere = routes.keys().copied().collect();
        leads.shunned.retain(|_, until| now < *until);
        // Who lives and does not answer here may well answer others: it leads on.
        routes.retain(|_, address| !leads.shunned.contains_key(address));
        let mut steps = Vec::new();
        for event in std::mem::take(&mut leads.wanted) {
            if !leads.elsewhere.contains(&event) && !leads.mine.contains_key(&event) {
                let epoch = stored.get(&event).map_or(0, |lease| lease.epoch);
                steps.push(Lead::Take(event, epoch + 1));
            }
        }
        let idle = |led: &Led| now.millis_since(led.used) > IDLE_MILLIS;
        let unused = leads.mine.iter().filter(|(_, led)| idle(led));
        steps.extend(unused.map(|(event, led)| Lead::Drop(*event, led.epoch)));
        drop(leads);
        self.any.store(!routes.is_empty(), Ordering::Release);
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = routes;
        steps
    }

    /// This node leads an event from now on.
    pub(crate) fn lead(&self, event: EventRef, epoch: u64, now: Timestamp) {
        self.leads().mine.insert(event, Led { epoch, used: now });
    }

    /// This node leads an event no more.
    pub(crate) fn drop_lead(&self, event: EventRef) {
        self.leads().mine.remove(&event);
    }

    /// The events that this node leads, with the epoch of each.
    pub(crate) fn led(&self) -> Vec<(EventRef, u64)> {
        self.leads().mine.iter().map(|(event, led)| (*event, led.epoch)).collect()
    }
}

/// Carries claims to those who lead their events, until the engine stops.
pub(crate) async fn carry(engine: Engine) {
    let Some(peering) = engine.peers().peering.clone() else { return };
    let (queue, mut waiting) = mpsc::unbounded_channel();
    *engine.peers().queue.lock().unwrap_or_else(PoisonError::into_inner) = Some(queue);
    let mut ways: BTreeMap<Arc<str>, mpsc::UnboundedSender<Vec<Box<Task>>>> = BTreeMap::new();
    let stopping = engine.workers().stopping();
    while let Some(Some((to, mut tasks))) = stopping.run_until_cancelled(waiting.recv()).await {
        loop {
            let way = ways.entry(Arc::clone(&to)).or_insert_with(|| {
                let (way, inbox) = mpsc::unbounded_channel();
                engine.workers().beside(carry_to(
                    engine.clone(),
                    peering.clone(),
                    Arc::clone(&to),
                    inbox,
                ));
                way
            });
            match way.send(tasks) {
                Ok(()) => break,
                // Its carrier ended by a panic: another one takes over.
                Err(refused) => tasks = refused.0,
            }
            ways.remove(&to);
        }
    }
    // What waits is decided here; nothing is handed over any more.
    *engine.peers().queue.lock().unwrap_or_else(PoisonError::into_inner) = None;
    while let Ok((_, tasks)) = waiting.try_recv() {
        decide_here(engine.desk(), tasks, Way::Declined);
    }
}

/// Carries claims to one leader, in several calls at once: claims that come while
/// a call is under way don't wait for its commit, but are in the leader's next one.
async fn carry_to(
    engine: Engine,
    peering: Peering,
    to: Arc<str>,
    mut inbox: mpsc::UnboundedReceiver<Vec<Box<Task>>>,
) {
    let (mut calls, mut left) = (FuturesUnordered::new(), Vec::new());
    let mut open = true;
    while open || !calls.is_empty() {
        tokio::select! {
            some = inbox.recv(), if open && calls.len() < CALLS => match some {
                Some(tasks) => left.extend(tasks),
                None => open = false,
            },
            heard = calls.next(), if !calls.is_empty() => if heard == Some(false) {
                // What waits for a node that does not answer must not wait for as long again.
                while let Ok(tasks) = inbox.try_recv() {
                    left.extend(tasks);
                }
                decide_here(engine.desk(), std::mem::take(&mut left), Way::Declined);
            },
        }
        while calls.len() < CALLS {
            while left.len() < AT_ONCE
                && let Ok(tasks) = inbox.try_recv()
            {
                left.extend(tasks);
            }
            if left.is_empty() {
                break;
            }
            let rest = left.split_off(fitting(&left));
            calls.push(call(&engine, &peering, &to, std::mem::replace(&mut left, rest)));
        }
    }
}

/// How many of these go in one call: at least one.
fn fitting(tasks: &[Box<Task>]) -> usize {
    let mut bytes = 0;
    let sizes = tasks.iter().take(AT_ONCE).map(|task| task.bytes());
    let fits = |size: &usize| {
        bytes += size;
        bytes <= CALL_BYTES
    };
    sizes.take_while(fits).count().max(1).min(tasks.len())
}

/// One call: every claim is answered, or decided here. Whether the leader was heard.
async fn call(engine: &Engine, peering: &Peering, to: &str, tasks: Vec<Box<Task>>) -> bool {
    let (asked, body) = engine.peers().proofs.sign(engine.now(), &wire::encode_tasks(&tasks));
    let post = (peering.post)(format!("{to}/peer/claims"), body);
    let answers = match tokio::time::timeout(PATIENCE, post).await {
        Ok(Ok(answer)) => {
            let answer = engine.peers().proofs.hear(&asked, &answer);
            answer.and_then(|answer| wire::decode_answers(answer, tasks.len()))
        }
        Ok(Err(why)) => {
            tracing::warn!(to, why, "another node does not take claims; they are decided here");
            None
        }
        Err(_) => None,
    };
    metrics::counter!("sloe_claims_forwarded_total").increment(tasks.len() as u64);
    let Some(answers) = answers else {
        // It may have taken them: whoever decides them now finds that in the journal.
        engine.peers().shun(to, engine.now());
        decide_here(engine.desk(), tasks, Way::Unheard);
        return false;
    };
    let (mut declined, mut unheard) = (Vec::new(), Vec::new());
    for (task, heard) in tasks.into_iter().zip(answers) {
        match heard {
            Heard::Taken(committed) => drop(task.answer.send(Ok(committed))),
            Heard::Declined => declined.push(task),
            Heard::Unknown => unheard.push(task),
        }
    }
    decide_here(engine.desk(), declined, Way::Declined);
    decide_here(engine.desk(), unheard, Way::Unheard);
    true
}

fn decide_here(desk: &Desk, tasks: Vec<Box<Task>>, way: Way) {
    for mut task in tasks {
        // What it went through before has nothing to do with how it goes on here.
        (task.way, task.attempts) = (way, 0);
        desk.submit_task(task);
    }
}

impl Peers {
    /// Nothing is handed to a node for a while: each claim would wait for it as long again.
    fn shun(&self, to: &str, now: Timestamp) {
        self.leads().shunned.insert(Arc::from(to), now.plus_millis(SHUNNED_MILLIS));
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        routes.retain(|_, address| **address != *to);
    }
}

impl Engine {
    /// Decides claims that another node hands over, and answers for each.
    ///
    /// # Errors
    /// [`PeerError`]; then nothing was decided.
    pub async fn decide_for_peer(&self, message: &[u8]) -> Result<Vec<u8>, PeerError> {
        let (asked, sent, body) = self.peers().proofs.open(self.now(), message)?;
        let claims = wire::decode_claims(body).ok_or(PeerError::Unreadable)?;
        let until = sent.plus_millis(DECIDES_MILLIS);
        let begun: Vec<_> = claims
            .into_iter()
            .map(|(event, command, sealed)| {
                self.desk().begin_for_peer(until, event, command, sealed)
            })
            .collect();
        let mut answers = Vec::with_capacity(begun.len());
        for answer in begun {
            answers.push(match answer.await {
                Ok(committed) => Heard::Taken(committed),
                Err(Unanswered::OutcomeUnknown) => Heard::Unknown,
                Err(_) => Heard::Declined,
            });
        }
        Ok(self.peers().proofs.answer(&asked, &wire::encode_answers(answers)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use sloe_core::ids::{OrgId, SfId};

    use super::*;

    fn event() -> EventRef {
        let org = OrgId::parse("00D000000000001").unwrap();
        EventRef { org, event: SfId::parse("a00000000000001").unwrap() }
    }

    fn peers() -> Peers {
        let post = |_, _| -> Posted { Box::pin(async { Err("nobody".to_owned()) }) };
        let peering = Peering { address: "http://me".to_owned(), post: Arc::new(post) };
        Peers::new(Key::new([1; 32]), Some(peering))
    }

    #[test]
    fn an_event_that_several_want_is_led_by_one_while_it_lives_and_is_wanted() {
        let (peers, me, other, now) = (peers(), NodeId(1), NodeId(2), Timestamp(0));
        let name = format!("{EVENT}{}", event().partition());
        let leases = |epoch, holder| BTreeMap::from([(name.clone(), Lease { epoch, holder })]);
        let living = BTreeMap::from([(other, Some("http://other".to_owned()))]);
        assert!(peers.contend(event()) && !peers.contend(event()));
        let steps = peers.judge(me, &BTreeMap::new(), &living, now);
        assert_eq!(steps, [Lead::Take(event(), 1)]);
        // The other one was first.
        assert!(peers.judge(me, &leases(1, Some(other)), &living, now).is_empty());
        assert_eq!(peers.leader_of(event()).as_deref(), Some("http://other"));
        // It died: claims are decided here, and this node may lead.
        peers.contend(event());
        let steps = peers.judge(me, &leases(1, Some(other)), &BTreeMap::new(), now);
        assert_eq!(steps, [Lead::Take(event(), 2)]);
        assert_eq!(peers.leader_of(event()), None);
        peers.lead(event(), 2, now);
        assert!(peers.judge(me, &leases(2, Some(me)), &living, now).is_empty());
        let later = now.plus_millis(IDLE_MILLIS + 1);
        let steps = peers.judge(me, &leases(2, Some(me)), &living, later);
        assert_eq!(steps, [Lead::Drop(event(), 2)]);
        peers.drop_lead(event());
        assert!(peers.led().is_empty());
        // It is still this node's, as nobody took it out of the store: an answer was lost.
        peers.judge(me, &leases(4, Some(me)), &living, later);
        assert_eq!(peers.led(), [(event(), 4)]);
    }
    #[test]
    fn a_living_leader_that_does_not_answer_leads_on_and_is_asked_again_later() {
        let (peers, me, other, now) = (peers(), NodeId(1), NodeId(2), Timestamp(0));
        let name = format!("{EVENT}{}", event().partition());
        let leases = BTreeMap::from([(name, Lease { epoch: 1, holder: Some(other) })]);
        let living = BTreeMap::from([(other, Some("http://other".to_owned()))]);
        peers.judge(me, &leases, &living, now);
        assert!(peers.leader_of(event()).is_some());
        peers.shun("http://other", now);
        assert_eq!(peers.leader_of(event()), None);
        // Both commit now, and are in each other's way: that is no news.
        assert!(!peers.contend(event()));
        assert!(peers.judge(me, &leases, &living, now.plus_millis(50)).is_empty());
        assert_eq!(peers.leader_of(event()), None);
        peers.judge(me, &leases, &living, now.plus_millis(SHUNNED_MILLIS));
        assert!(peers.leader_of(event()).is_some());
    }
}
