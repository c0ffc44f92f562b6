//! What decides and commits: takes asks in, makes one commit after the other.
//! It waits for nothing and reads no clock but its world's: a thread runs it
//! (`thread`), or a simulation step by step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use sloe_core::fact::Batch;
use sloe_core::ids::EventRef;
use sloe_core::ledger::Image;
use sloe_core::limits;
use sloe_core::planted;
use sloe_core::time::Timestamp;
use sloe_store::api::{Append, Appended, Destination, Store, StoreError};

use super::ask::{Ask, Committed, Decided, Draft, Task, Unanswered, Way};
use super::closed::Closed;
use super::decide::decide_all;
use super::doubt::Until;
use super::queue::Queue;
use super::resident::{Published, Residents};
use super::rest::Rest;
use crate::clock::World;
use crate::damage::Quarantined;
use crate::peers::{self, Peers};

/// How often a task is decided again after conflicts before it is given back.
const ATTEMPTS: u8 = 20;

/// So long after a leader was not heard may it still have taken what it was handed: what it has
/// begun to decide by then is over when the store has taken or refused it.
const LATE_MILLIS: i64 = 12_000;

/// Told after every commit: the events touched, and the destinations that have news.
pub(crate) type Committing = Box<dyn Fn(&[EventRef], &[Destination]) + Send>;

/// Told which events other nodes have changed.
pub(crate) type Moving = Box<dyn Fn(&[EventRef]) + Send>;

/// What the combiner needs.
pub(crate) struct Settings {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) world: Arc<dyn World>,
    pub(crate) published: Published,
    /// Told which events are set aside.
    pub(crate) quarantined: Quarantined,
    /// Bytes that resident ledgers may take together.
    pub(crate) budget: usize,
    /// Told after every commit.
    pub(crate) committed: Committing,
    pub(crate) moved: Moving,
    /// How many other nodes may want the same events now.
    pub(crate) others: Arc<AtomicUsize>,
    /// Whether this node's clock is too far off the store's to decide anything.
    pub(crate) clock_off: Arc<AtomicBool>,
    /// Who leads which event.
    pub(crate) peers: Arc<Peers>,
    /// Told when an event turns out to be wanted by several nodes.
    pub(crate) contended: Box<dyn Fn() + Send>,
}

/// Everything of a combiner but its thread.
pub(crate) struct Combiner {
    settings: Settings,
    residents: Residents,
    queue: Queue,
    rest: Rest,
    closed: Closed,
    /// What is asked of ledgers without changing them, until the next commit is begun.
    reads: Vec<Ask>,
    /// Checkpoints that are due; a newer one of the same event takes an older one's place.
    due: BTreeMap<EventRef, Image>,
    /// When turns between nodes begin to be counted.
    began: tokio::time::Instant,
}

impl Combiner {
    pub(super) fn new(settings: Settings, closed: Closed) -> Self {
        let residents = Residents::new(
            (Arc::clone(&settings.published), Arc::clone(&settings.quarantined)),
            settings.budget,
            settings.store.is_shared(),
        );
        let (queue, rest) = (Queue::default(), Rest::default());
        let (began, reads, due) = (settings.world.steady(), Vec::new(), BTreeMap::new());
        Self { settings, residents, queue, rest, closed, reads, due, began }
    }

    /// The time by which nodes take turns: it goes on whoever sets the clock.
    fn turn(&self) -> Timestamp {
        let passed = self.settings.world.steady().duration_since(self.began);
        Timestamp(i64::try_from(passed.as_millis()).unwrap_or(i64::MAX))
    }

    /// Tasks that wait for the next commit, and what is asked beside them.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len() + self.reads.len() + self.rest.waiting()
    }

    /// How long nothing of what waits can be done: not at all, or until an
    /// event's turn comes.
    pub(super) fn idle_for(&self) -> Duration {
        if self.queue.len() + self.reads.len() > 0 {
            return Duration::ZERO;
        }
        let Some(next) = self.rest.next() else { return Duration::MAX };
        let millis = next.millis_since(self.turn());
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// Lets a ledger's checkpoint be due after so many facts, or its claims if they are more.
    pub(super) fn checkpoint_after(&mut self, facts: usize) {
        self.residents.checkpoint_facts = facts;
    }

    /// The checkpoints that became due since the last call.
    pub(super) fn due_checkpoints(&mut self) -> BTreeMap<EventRef, Image> {
        std::mem::take(&mut self.due)
    }

    /// Takes one ask in; true if it was the last.
    pub(super) fn accept(&mut self, ask: Ask) -> bool {
        match ask {
            Ask::Run(task) => self.queue.push(task),
            read @ (Ask::View { .. }
            | Ask::Views { .. }
            | Ask::Counts { .. }
            | Ask::Load { .. }) => {
                self.reads.push(read);
            }
            // Commits are made by this thread, so none is under way.
            Ask::Settle { answer } => drop(answer.send(())),
            Ask::Stop => return true,
        }
        false
    }

    /// Answers what is asked of ledgers. On a store of several nodes each ledger
    /// is brought up to date once, after everything that waits had been asked: what
    /// anybody was told before by any node is in the answer.
    fn answer_reads(&mut self) {
        let reads = std::mem::take(&mut self.reads);
        let mut met: BTreeMap<EventRef, Result<(), Unanswered>> = BTreeMap::new();
        for event in reads.iter().filter_map(Ask::read_of) {
            let (residents, store) = (&mut self.residents, &*self.settings.store);
            met.entry(event)
                .or_insert_with(|| residents.catch_up(store, event).map(drop).map_err(Into::into));
        }
        for read in reads {
            let Some(event) = read.read_of() else { continue };
            let resident = match met.get(&event) {
                Some(Err(why)) => Err(match &read {
                    Ask::View { claim, .. } => {
                        self.residents.doubts.of_claim(event, *claim, why.clone())
                    }
                    _ => why.clone(),
                }),
                _ => self.residents.get_mut(event).ok_or(Unanswered::NotAccepted),
            };
            read.answer(resident.map(|resident| &resident.ledger));
        }
    }

    /// Decides what waits, makes it durable and answers.
    pub(super) fn commit_next(&mut self, sweeping: bool) {
        self.residents.doubts.pass(self.turn());
        self.answer_reads();
        let (now, turn) = (self.settings.world.now(), self.turn());
        for task in self.rest.due(turn) {
            self.queue.push(task);
        }
        let tasks = self.queue.take(limits::MAX_CLAIMS_PER_BATCH, limits::MAX_BATCH_BYTES);
        if self.settings.clock_off.load(Ordering::Acquire) {
            // Its time would be the journal's from then on, and holds would end too soon or too late.
            for task in tasks {
                self.deny(*task, Unanswered::NotAccepted);
            }
            return;
        }
        let (open, refused): (Vec<_>, Vec<_>) =
            tasks.into_iter().partition(|task| self.closed.admits(task, now) && !task.is_late(now));
        for task in refused {
            self.deny(*task, Unanswered::NotAccepted);
        }
        let mut by_event: BTreeMap<EventRef, Vec<Box<Task>>> = BTreeMap::new();
        for task in self.hand_over(open) {
            if let Some(task) = self.rest.admit(task, turn) {
                by_event.entry(task.event).or_default().push(task);
            }
        }
        if sweeping {
            self.residents.load_forgotten(&*self.settings.store);
            for event in self.residents.due(now) {
                // Another node may have ended those holds already.
                if self.residents.catch_up(&*self.settings.store, event).is_ok() {
                    by_event.entry(event).or_default();
                }
            }
        }
        let mut drafts = Vec::with_capacity(by_event.len());
        for (event, tasks) in by_event {
            let draft = self.draft(now, event, tasks);
            drafts.extend(draft.and_then(|draft| self.be_sure(now, draft)));
        }
        let (with_facts, without): (Vec<_>, Vec<_>) =
            self.in_time(drafts).into_iter().partition(|draft| !draft.facts.is_empty());
        for draft in without {
            if let Some(resident) = self.residents.get_mut(draft.event) {
                resident.ledger.keep();
            }
            let version = self.residents.get_mut(draft.event).map_or(0, |r| r.ledger.version());
            self.answer_all(draft.decided, version);
        }
        if !with_facts.is_empty() {
            self.commit(with_facts);
        }
        if sweeping {
            self.residents.fit();
            self.rest.forget_old(turn);
        }
        // What another node committed is news to whoever tells an org its figures here.
        let moved = self.residents.take_moved();
        if !moved.is_empty() {
            (self.settings.moved)(&moved);
        }
    }

    /// Hands claims to those who lead their events; the others are decided here.
    fn hand_over(&self, tasks: Vec<Box<Task>>) -> Vec<Box<Task>> {
        let peers = &self.settings.peers;
        let mut here = Vec::with_capacity(tasks.len());
        let mut away: BTreeMap<Arc<str>, Vec<Box<Task>>> = BTreeMap::new();
        for task in tasks {
            let travels = task.way == Way::Leader && peers::travels(&task.command);
            let leader = if travels { peers.leader_of(task.event) } else { None };
            match leader {
                Some(leader) => away.entry(leader).or_default().push(task),
                None => here.push(task),
            }
        }
        for (leader, tasks) in away {
            here.extend(peers.hand(leader, tasks).err().unwrap_or_default());
        }
        here
    }

    /// One event's decisions on top of its ledger, tentative until committed.
    fn draft(&mut self, now: Timestamp, event: EventRef, tasks: Vec<Box<Task>>) -> Option<Draft> {
        let resident = match self.residents.load(&*self.settings.store, event) {
            Ok(resident) => resident,
            Err(error) => {
                let unanswered = Unanswered::from(error);
                for task in tasks {
                    self.deny(*task, unanswered.clone());
                }
                return None;
            }
        };
        let at = now.max(resident.ledger.at());
        if self.settings.store.is_shared() {
            // Another node may be first.
            resident.ledger.begin();
        }
        let mut draft =
            Draft { event, at, facts: Vec::new(), sealed: Vec::new(), decided: Vec::new() };
        match decide_all(resident, &mut draft, tasks) {
            Ok(()) => Some(draft),
            Err((reason, left)) => {
                self.residents.quarantine(event, reason.clone());
                let all = draft.decided.into_iter().map(|d| d.task).chain(left);
                for task in all {
                    let _ = task.answer.send(Err(Unanswered::Quarantined(reason.clone())));
                }
                None
            }
        }
    }

    /// A commit proves that what was decided stood on the newest version.
    /// Where there is nothing to commit it is looked up: another node may have
    /// made what was found missing here.
    fn be_sure(&mut self, now: Timestamp, draft: Draft) -> Option<Draft> {
        if !draft.facts.is_empty() || draft.decided.is_empty() || !self.settings.store.is_shared() {
            return Some(draft);
        }
        let event = draft.event;
        if let Some(resident) = self.residents.get_mut(event) {
            resident.ledger.keep();
        }
        let before = self.residents.get_mut(event).map_or(0, |r| r.ledger.version());
        match self.residents.catch_up(&*self.settings.store, event) {
            Ok(resident) if resident.ledger.version() == before => Some(draft),
            // What is decided now was asked before it was looked up: no need to look again.
            Ok(_) => self.draft(now, event, draft.decided.into_iter().map(|d| d.task).collect()),
            Err(error) => {
                let unanswered = Unanswered::from(error);
                for Decided { task, .. } in draft.decided {
                    self.deny(*task, unanswered.clone());
                }
                None
            }
        }
    }

    /// The drafts of which nobody has been given up while ledgers were read. The others are
    /// begun anew without who was.
    fn in_time(&mut self, drafts: Vec<Draft>) -> Vec<Draft> {
        let now = self.settings.world.now();
        let is_late = |draft: &Draft| draft.decided.iter().any(|d| d.task.is_late(now));
        let (late, in_time): (Vec<_>, Vec<_>) = drafts.into_iter().partition(is_late);
        for draft in late {
            self.step_back(draft.event);
            for Decided { task, .. } in draft.decided {
                self.queue.push(task);
            }
        }
        in_time
    }

    /// Tells that a task can't be decided on, or is refused; if it may have been taken when
    /// it was asked before, or by the node that it was handed to, then that.
    fn deny(&mut self, task: Task, why: Unanswered) {
        let says_no = why.says_untaken() || matches!(why, Unanswered::Refused(_));
        let until = self.turn().plus_millis(LATE_MILLIS);
        let doubts = &mut self.residents.doubts;
        let known = doubts.of(task.event, &task.command, why);
        let told = match known {
            _ if task.way == Way::Unheard && says_no => {
                doubts.remember(task.event, Until::Time(until), &task.command);
                Unanswered::OutcomeUnknown
            }
            known => known,
        };
        let _ = task.answer.send(Err(told));
    }

    fn answer_all(&mut self, decided: Vec<Decided>, version: u64) {
        for Decided { task, outcome } in decided {
            match outcome {
                // Whoever asked may have gone away; the journal has it all the same.
                Ok((reply, fresh)) => {
                    drop(task.answer.send(Ok(Committed { reply, version, fresh })));
                }
                Err(refusal) => self.deny(*task, Unanswered::Refused(refusal)),
            }
        }
    }

    fn commit(&mut self, drafts: Vec<Draft>) {
        let nonce = self.settings.world.id();
        let started = self.settings.world.steady();
        let mut decided = Vec::with_capacity(drafts.len());
        let mut appends = Vec::with_capacity(drafts.len());
        for mut draft in drafts {
            let version = self.residents.get_mut(draft.event).map_or(0, |r| r.ledger.version());
            if planted!(TentativeCheckpoint)
                && let Some(resident) = self.residents.get_mut(draft.event)
            {
                self.due.insert(draft.event, resident.ledger.to_image());
            }
            if planted!(TentativeShown) {
                self.residents.publish(draft.event);
            }
            if planted!(EarlyAnswer) {
                self.answer_all(std::mem::take(&mut draft.decided), version + 1);
            }
            let destinations = draft.destinations();
            decided.push(draft.decided);
            let batch = Batch { version: version + 1, at: draft.at, nonce, facts: draft.facts };
            appends.push(Append { event: draft.event, batch, sealed: draft.sealed, destinations });
        }
        let result = self.settings.store.append(&appends);
        let took = self.settings.world.steady().duration_since(started);
        metrics::histogram!("sloe_commit_seconds").record(took.as_secs_f64());
        match result {
            Ok(outcomes) => {
                let both = appends.iter().zip(decided).zip(outcomes);
                for ((append, decided), outcome) in both {
                    self.settle(append, decided, outcome, took);
                }
            }
            Err(error) => {
                tracing::error!(%error, "commit failed; ledgers are loaded anew");
                for (append, decided) in appends.iter().zip(decided) {
                    self.resolve(append, decided, &error);
                }
            }
        }
        let mut news: Vec<_> = appends.iter().flat_map(|a| a.destinations.clone()).collect();
        news.sort_unstable();
        news.dedup();
        let events: Vec<_> = appends.iter().map(|append| append.event).collect();
        (self.settings.committed)(&events, &news);
    }

    fn settle(
        &mut self,
        append: &Append,
        decided: Vec<Decided>,
        outcome: Appended,
        took: Duration,
    ) {
        let (event, turn) = (append.event, self.turn());
        match outcome {
            Appended::Committed => {
                let after = self.residents.checkpoint_facts;
                let others = self.settings.others.load(Ordering::Relaxed);
                let millis = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
                self.rest.win(event, turn, millis, others);
                self.settings.peers.used(event, self.settings.world.now());
                if let Some(resident) = self.residents.get_mut(event) {
                    resident.ledger.keep();
                    resident.ledger.close(append.batch.at, append.batch.nonce);
                    if let Some(image) = resident.checkpoint(append.batch.facts.len(), after) {
                        self.due.insert(event, image);
                    }
                }
                self.residents.publish(event);
                self.answer_all(decided, append.batch.version);
            }
            Appended::Conflict => {
                metrics::counter!("sloe_conflicts_total").increment(1);
                self.rest.meet(event, turn);
                if self.settings.peers.contend(event) {
                    (self.settings.contended)();
                }
                self.step_back(event);
                for Decided { mut task, .. } in decided {
                    task.attempts += 1;
                    if task.attempts >= ATTEMPTS {
                        self.deny(*task, Unanswered::Shed);
                    } else {
                        self.queue.push(task);
                    }
                }
            }
            Appended::Taken(claim) => {
                let reason = format!("claim {claim:?} is in the journal twice");
                self.residents.quarantine(event, reason.clone());
                for Decided { task, .. } in decided {
                    let _ = task.answer.send(Err(Unanswered::Quarantined(reason.clone())));
                }
            }
        }
    }

    /// What was decided of an event did not happen: its ledger goes on from the
    /// version before, with what happened instead.
    fn step_back(&mut self, event: EventRef) {
        if !self.settings.store.is_shared() {
            return self.residents.forget(event);
        }
        if let Some(resident) = self.residents.get_mut(event) {
            resident.ledger.revert();
        }
        // What can't be read now is read before anything is decided anew: its commit shows it.
        let _ = self.residents.catch_up(&*self.settings.store, event);
    }

    /// After a lost or failed commit: what the journal says is true.
    fn resolve(&mut self, append: &Append, decided: Vec<Decided>, error: &StoreError) {
        self.step_back(append.event);
        let unanswered = match error {
            StoreError::OutcomeUnknown(_) => {
                let before = append.batch.version - 1;
                match self.settings.store.read(append.event, before, 1) {
                    Ok(batches) if batches.iter().any(|b| b.nonce == append.batch.nonce) => {
                        self.answer_all(decided, append.batch.version);
                        return;
                    }
                    // Another batch has its version, so it can't come any more.
                    Ok(batches) if !batches.is_empty() => {
                        if planted!(NonceNotCompared) {
                            self.answer_all(decided, append.batch.version);
                            return;
                        }
                        Unanswered::NotAccepted
                    }
                    _ if planted!(LostAnswerIsRefusal) => Unanswered::NotAccepted,
                    // It may be on its way, or be there once the store is opened anew.
                    Ok(_) | Err(_) => Unanswered::OutcomeUnknown,
                }
            }
            StoreError::Unavailable(_)
            | StoreError::Damaged(_)
            | StoreError::Superseded
            | StoreError::Unusable(_) => Unanswered::NotAccepted,
        };
        for Decided { task, .. } in decided {
            if unanswered == Unanswered::OutcomeUnknown {
                let (event, version) = (append.event, append.batch.version);
                self.residents.doubts.remember(event, Until::Version(version), &task.command);
            }
            self.deny(*task, unanswered.clone());
        }
    }
}
