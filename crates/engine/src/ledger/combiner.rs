//! The combiner's thread and the desk in front of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use sloe_core::fact::{Batch, Fact};
use sloe_core::ids::{ClaimId, EventRef, OrgId};
use sloe_core::ledger::{ClaimView, Command, Image, PoolCount};
use sloe_core::limits;
use sloe_core::time::Timestamp;
use sloe_store::api::{Append, Appended, Checkpoint, Destination, Sealed, Store, StoreError};
use sloe_store::record;
use tokio::sync::oneshot;

use super::ask::{Answer, Ask, Committed, Decided, Draft, Task, Unanswered};
use super::closed::Closed;
use super::queue::Queue;
use super::resident::{LoadError, Published, Resident, Residents};
use crate::clock::World;

/// Tasks that may wait before new ones are shed.
const WAITING: usize = 8_192;
/// How often holds of idle events are looked at: expired seats are claimable within a second.
const SWEEP: Duration = Duration::from_millis(250);
/// How often a task is decided again after conflicts before it is given back.
const ATTEMPTS: u8 = 20;

/// Told after every commit: the events touched, and the destinations that have news.
pub(crate) type Committing = Box<dyn Fn(&[EventRef], &[Destination]) + Send>;

/// What the combiner needs.
pub(crate) struct Settings {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) world: Arc<dyn World>,
    pub(crate) published: Published,
    /// Bytes that resident ledgers may take together.
    pub(crate) budget: usize,
    /// Told after every commit.
    pub(crate) committed: Committing,
}

/// Where claims are brought.
#[derive(Clone)]
pub struct Desk {
    asks: Sender<Ask>,
    closed: Closed,
}

impl Desk {
    /// Runs one command; the answer comes when it is durable.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn run(&self, event: EventRef, command: Command, sealed: Option<Sealed>) -> Answer {
        let (answer, answered) = oneshot::channel();
        let task = Task { event, command, sealed, answer, attempts: 0 };
        self.submit(Ask::Run(Box::new(task)))?;
        // A combiner that ended without answering may have committed before.
        answered.await.unwrap_or(Err(Unanswered::OutcomeUnknown))
    }

    /// A claim as it stands.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn view(
        &self,
        event: EventRef,
        claim: ClaimId,
    ) -> Result<Option<ClaimView>, Unanswered> {
        let (answer, answered) = oneshot::channel();
        self.submit(Ask::View { event, claim, answer })?;
        answered.await.unwrap_or(Err(Unanswered::NotAccepted))
    }

    /// Claims as they stand, in their order; a few hundred at a time.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub(crate) async fn views(
        &self,
        event: EventRef,
        claims: Vec<ClaimId>,
    ) -> Result<Vec<Option<ClaimView>>, Unanswered> {
        let (answer, answered) = oneshot::channel();
        self.submit(Ask::Views { event, claims, answer })?;
        answered.await.unwrap_or(Err(Unanswered::NotAccepted))
    }

    /// Every pool's figures, and the version they stand at.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub(crate) async fn counts(
        &self,
        event: EventRef,
    ) -> Result<(u64, Vec<PoolCount>), Unanswered> {
        let (answer, answered) = oneshot::channel();
        self.submit(Ask::Counts { event, answer })?;
        answered.await.unwrap_or(Err(Unanswered::NotAccepted))
    }

    /// Loads an event's ledger, which publishes what is left.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn load(&self, event: EventRef) -> Result<(), Unanswered> {
        let (answer, answered) = oneshot::channel();
        self.submit(Ask::Load { event, answer })?;
        answered.await.unwrap_or(Err(Unanswered::NotAccepted))
    }

    /// Takes nothing of an org any more that it would have to be told. What was
    /// taken before is durable when this returns.
    ///
    /// # Errors
    /// [`Unanswered`]; then it is open as before.
    pub(crate) async fn close(&self, org: OrgId) -> Result<(), Unanswered> {
        self.closed.close(org);
        let (answer, answered) = oneshot::channel();
        let settled = match self.submit(Ask::Settle { answer }) {
            Ok(()) => answered.await.map_err(|_| Unanswered::NotAccepted),
            Err(unanswered) => Err(unanswered),
        };
        settled.inspect_err(|_| self.open(org))
    }

    /// Takes everything of an org again.
    pub(crate) fn open(&self, org: OrgId) {
        self.closed.open(org);
    }

    /// Ends the combiner after what waits.
    pub(crate) fn stop(&self) {
        let _ = self.asks.send(Ask::Stop);
    }

    fn submit(&self, ask: Ask) -> Result<(), Unanswered> {
        self.asks.try_send(ask).map_err(|error| {
            if matches!(error, TrySendError::Full(_)) {
                metrics::counter!("sloe_claims_shed_total").increment(1);
            }
            Unanswered::NotAccepted
        })
    }
}

/// Starts the combiner's thread and the one that writes its checkpoints, which
/// ends before it.
///
/// # Errors
/// The system gives no thread.
pub(crate) fn start(settings: Settings) -> std::io::Result<(Desk, JoinHandle<()>)> {
    let (asks, inbox) = crossbeam_channel::bounded(WAITING);
    let (checkpoints, due) = crossbeam_channel::bounded(4);
    let store = Arc::clone(&settings.store);
    let writer = std::thread::Builder::new()
        .name("sloe-checkpoint".into())
        .spawn(move || write_checkpoints(&*store, &due))?;
    let residents = Residents::new(Arc::clone(&settings.published), settings.budget);
    let (queue, closed) = (Queue::default(), Closed::default());
    let desk = Desk { asks, closed: closed.clone() };
    let combiner = Combiner { settings, inbox, checkpoints, residents, queue, closed };
    let thread = std::thread::Builder::new().name("sloe-combiner".into()).spawn(move || {
        combiner.run();
        // Whoever waits for this thread may open the store again at once.
        if writer.join().is_err() {
            tracing::error!("checkpoints ended by a panic; the journal has it all");
        }
    })?;
    Ok((desk, thread))
}

fn write_checkpoints(store: &dyn Store, due: &Receiver<(EventRef, Image)>) {
    for (event, image) in due {
        let (version, nonce) = (image.version, image.nonce);
        let checkpoint = Checkpoint { version, nonce, chunks: record::ledger::encode(&image) };
        if let Err(error) = store.put_checkpoint(event, &checkpoint) {
            tracing::warn!(event = ?event, %error, "checkpoint not written; the journal has it all");
        }
    }
}

struct Combiner {
    settings: Settings,
    inbox: Receiver<Ask>,
    checkpoints: Sender<(EventRef, Image)>,
    residents: Residents,
    queue: Queue,
    closed: Closed,
}

impl Combiner {
    fn run(mut self) {
        let mut swept = Instant::now();
        let mut stopping = false;
        while !(stopping && self.queue.len() == 0) {
            if self.queue.len() == 0 {
                match self.inbox.recv_timeout(SWEEP.saturating_sub(swept.elapsed())) {
                    Ok(ask) => stopping |= self.accept(ask),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => stopping = true,
                }
            }
            while self.queue.len() < WAITING
                && let Ok(ask) = self.inbox.try_recv()
            {
                stopping |= self.accept(ask);
            }
            let sweeping = swept.elapsed() >= SWEEP;
            if sweeping {
                swept = Instant::now();
            }
            self.commit_next(sweeping);
        }
    }

    /// Takes one ask in; true if it was the last.
    fn accept(&mut self, ask: Ask) -> bool {
        match ask {
            Ask::Run(task) => self.queue.push(task),
            Ask::View { event, claim, answer } => {
                let resident = self.residents.load(&*self.settings.store, event);
                let view = resident.map(|r| r.ledger.view(claim)).map_err(Unanswered::from);
                let _ = answer.send(view);
            }
            Ask::Views { event, claims, answer } => {
                let resident = self.residents.load(&*self.settings.store, event);
                let views = resident
                    .map(|r| claims.into_iter().map(|claim| r.ledger.view(claim)).collect());
                let _ = answer.send(views.map_err(Unanswered::from));
            }
            Ask::Counts { event, answer } => {
                let resident = self.residents.load(&*self.settings.store, event);
                let counts = resident.map(|r| (r.ledger.version(), r.ledger.counts().collect()));
                let _ = answer.send(counts.map_err(Unanswered::from));
            }
            Ask::Load { event, answer } => {
                let resident = self.residents.load(&*self.settings.store, event);
                let _ = answer.send(resident.map(|_| ()).map_err(Unanswered::from));
            }
            // Commits are made by this thread, so none is under way.
            Ask::Settle { answer } => drop(answer.send(())),
            Ask::Stop => return true,
        }
        false
    }

    /// Decides what waits, makes it durable and answers.
    fn commit_next(&mut self, sweeping: bool) {
        let tasks = self.queue.take(limits::MAX_CLAIMS_PER_BATCH, limits::MAX_BATCH_BYTES);
        let now = self.settings.world.now();
        let mut by_event: HashMap<EventRef, Vec<Box<Task>>> = HashMap::new();
        for task in tasks {
            if self.closed.admits(&task) {
                by_event.entry(task.event).or_default().push(task);
            } else {
                let _ = task.answer.send(Err(Unanswered::NotAccepted));
            }
        }
        if sweeping {
            self.residents.load_forgotten(&*self.settings.store);
            for event in self.residents.due(now) {
                by_event.entry(event).or_default();
            }
        }
        let mut drafts = Vec::with_capacity(by_event.len());
        for (event, tasks) in by_event {
            drafts.extend(self.draft(now, event, tasks));
        }
        let (with_facts, without): (Vec<_>, Vec<_>) =
            drafts.into_iter().partition(|draft| !draft.facts.is_empty());
        for draft in without {
            let version = self.residents.get_mut(draft.event).map_or(0, |r| r.ledger.version());
            answer_all(draft.decided, version);
        }
        if !with_facts.is_empty() {
            self.commit(with_facts);
        }
        if sweeping {
            self.residents.fit();
        }
    }

    /// One event's decisions on top of its ledger, tentative until committed.
    fn draft(&mut self, now: Timestamp, event: EventRef, tasks: Vec<Box<Task>>) -> Option<Draft> {
        let resident = match self.residents.load(&*self.settings.store, event) {
            Ok(resident) => resident,
            Err(error) => {
                let unanswered = Unanswered::from(error);
                for task in tasks {
                    let _ = task.answer.send(Err(unanswered.clone()));
                }
                return None;
            }
        };
        let at = now.max(resident.ledger.at());
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

    fn commit(&mut self, drafts: Vec<Draft>) {
        let nonce = self.settings.world.id();
        let started = Instant::now();
        let mut decided = Vec::with_capacity(drafts.len());
        let mut appends = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let version = self.residents.get_mut(draft.event).map_or(0, |r| r.ledger.version());
            decided.push(draft.decided);
            let destinations = destinations(&draft.facts);
            let batch = Batch { version: version + 1, at: draft.at, nonce, facts: draft.facts };
            appends.push(Append { event: draft.event, batch, sealed: draft.sealed, destinations });
        }
        let result = self.settings.store.append(&appends);
        metrics::histogram!("sloe_commit_seconds").record(started.elapsed().as_secs_f64());
        match result {
            Ok(outcomes) => {
                let both = appends.iter().zip(decided).zip(outcomes);
                for ((append, decided), outcome) in both {
                    self.settle(append, decided, outcome);
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

    fn settle(&mut self, append: &Append, decided: Vec<Decided>, outcome: Appended) {
        let event = append.event;
        match outcome {
            Appended::Committed => {
                if let Some(resident) = self.residents.get_mut(event) {
                    resident.ledger.close(append.batch.at, append.batch.nonce);
                    if let Some(image) = resident.checkpoint(append.batch.facts.len()) {
                        // A checkpoint writer that lags is skipped: the next one will do.
                        let _ = self.checkpoints.try_send((event, image));
                    }
                }
                self.residents.publish(event);
                answer_all(decided, append.batch.version);
            }
            Appended::Conflict => {
                metrics::counter!("sloe_conflicts_total").increment(1);
                self.residents.forget(event);
                for Decided { mut task, .. } in decided {
                    task.attempts += 1;
                    if task.attempts >= ATTEMPTS {
                        let _ = task.answer.send(Err(Unanswered::NotAccepted));
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

    /// After a lost or failed commit: what the journal says is true.
    fn resolve(&mut self, append: &Append, decided: Vec<Decided>, error: &StoreError) {
        self.residents.forget(append.event);
        let unanswered = match error {
            StoreError::OutcomeUnknown(_) => {
                let before = append.batch.version - 1;
                match self.settings.store.read(append.event, before, 1) {
                    Ok(batches) if batches.iter().any(|b| b.nonce == append.batch.nonce) => {
                        answer_all(decided, append.batch.version);
                        return;
                    }
                    // Another batch has its version, so it can't come any more.
                    Ok(batches) if !batches.is_empty() => Unanswered::NotAccepted,
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
            let _ = task.answer.send(Err(unanswered.clone()));
        }
    }
}

/// Expiries first, then releases, cancellations and terms, then claims.
fn decide_all(
    resident: &mut Resident,
    draft: &mut Draft,
    mut tasks: Vec<Box<Task>>,
) -> Result<(), (String, Vec<Box<Task>>)> {
    let ledger = &mut resident.ledger;
    for fact in ledger.expire(draft.at) {
        if let Err(error) = ledger.apply(&fact, draft.at) {
            return Err((error.to_string(), tasks));
        }
        draft.facts.push(fact);
    }
    tasks.sort_by_key(|task| takes_seats(&task.command));
    let mut waiting = tasks.into_iter();
    while let Some(task) = waiting.next() {
        let decision = match ledger.decide(draft.at, &task.command) {
            Ok(decision) => decision,
            Err(refusal) => {
                draft.decided.push(Decided { task, outcome: Err(refusal) });
                continue;
            }
        };
        let fresh = !decision.facts.is_empty();
        for fact in decision.facts {
            if let Err(error) = ledger.apply(&fact, draft.at) {
                let left = std::iter::once(task).chain(waiting).collect();
                return Err((error.to_string(), left));
            }
            draft.facts.push(fact);
        }
        if fresh {
            // The task keeps its own: a conflict lets it be decided again.
            draft.sealed.extend(task.sealed.clone());
        }
        let reply = super::ask::reply_of(ledger, &task.command, decision.claim, fresh);
        draft.decided.push(Decided { task, outcome: reply.map(|reply| (reply, fresh)) });
    }
    Ok(())
}

fn takes_seats(command: &Command) -> bool {
    match command {
        // A recall takes none, but what it asks for may be among those that do.
        Command::Hold { .. }
        | Command::Confirm { .. }
        | Command::Register { .. }
        | Command::Recall { .. } => true,
        Command::SetTerms(_)
        | Command::Release { .. }
        | Command::Cancel { .. }
        | Command::Erase { .. } => false,
    }
}

fn destinations(facts: &[Fact]) -> Vec<Destination> {
    let mut to = Vec::new();
    if facts.iter().any(Fact::is_outbound) {
        to.push(Destination::Org);
    }
    if facts.iter().any(|fact| matches!(fact, Fact::Confirmed { .. })) {
        to.push(Destination::Mail);
    }
    to
}

fn answer_all(decided: Vec<Decided>, version: u64) {
    for Decided { task, outcome } in decided {
        let answer = outcome
            .map(|(reply, fresh)| Committed { reply, version, fresh })
            .map_err(Unanswered::Refused);
        // Whoever asked may have gone away; the journal has it all the same.
        let _ = task.answer.send(answer);
    }
}

impl From<LoadError> for Unanswered {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Unavailable => Self::NotAccepted,
            LoadError::Quarantined(reason) => Self::Quarantined(reason),
        }
    }
}
