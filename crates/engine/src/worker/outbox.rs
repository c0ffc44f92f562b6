//! Writing to the orgs: each org has its own task, which boils its journals'
//! news down to newest states and sends them in as few calls as it can. What
//! is not in the org yet stands in the journal behind the cursor, among the
//! retries, or among the dead letters, so a kill at any moment loses nothing;
//! external ids make a repeat harmless.

mod again;
mod age;
mod books;
pub(crate) mod figures;
pub(crate) mod file;
pub(crate) mod letter;
pub(crate) mod mend;
mod plan;
pub mod remote;
mod rows;
mod send;
mod settle;
pub(crate) mod stepped;
mod together;
mod unsure;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sloe_core::budget::Purpose;
use sloe_core::ids::EventRef;
use sloe_core::outbox::Plan;
use sloe_core::time::Timestamp;
use sloe_salesforce::{Advice, Error, Job, RowKind};
use sloe_store::api::{Destination, Store, Write};
use sloe_store::key::Key;
use tokio::time::Instant;

use super::halt::{self, Halt};
use super::orgs::{OrgWork, lock};
use super::stored;
use crate::engine::Engine;
use crate::ledger::Unanswered;
use crate::refresh::RefreshError;
use crate::sync::SyncFault;
use crate::tenant::Org;
use books::Books;
use figures::Figures;
use file::Send;
use plan::Part;
use remote::{Dial, Remote};
use send::{Sender, Work};

/// How often an org's task looks by itself.
const PERIOD: Duration = Duration::from_secs(1);
/// The longest pause after a failure that passes by itself: a call in vain
/// costs little, and the backlog goes soon after the org is back.
const LONGEST: Duration = Duration::from_secs(15);
/// The first pause when an allowance is used up, or a person must mend something; each in a row is
/// twice the one before, up to [`LONGEST_MENDING`]: tries in vain take from the allowance that
/// reading the org needs, too. Staff who mended it and send rows again, or change the mapping, end it.
const MENDING: Duration = Duration::from_secs(60);
const LONGEST_MENDING: Duration = Duration::from_secs(15 * 60);
/// What a drain is to the budget.
const SEND: &str = "send rows";

/// One org's outbox until the engine stops.
pub(super) async fn run(engine: Engine, work: Arc<OrgWork>) {
    let stopping = engine.workers().stopping.clone();
    let mut drain = Drain::new(engine, work, None);
    tokio::select! {
        () = drain.work.budget.load(&drain.engine, drain.work.org) => {}
        () = stopping.cancelled() => return,
    }
    while !stopping.is_cancelled() {
        if drain.is_held() {
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => continue,
                () = stopping.cancelled() => return,
            }
        }
        let looked = tokio::select! {
            looked = drain.look() => looked,
            // Like a kill: what was begun is taken up at the next start.
            () = stopping.cancelled() => return,
        };
        let pause = drain.note(looked);
        tokio::select! {
            () = drain.work.outbox.notified(), if pause.is_none() => {}
            () = drain.mended(), if pause.is_some() => (drain.failures, drain.refusals) = (0, 0),
            () = tokio::time::sleep(pause.unwrap_or_else(|| drain.nap())) => {}
            () = stopping.cancelled() => return,
        }
    }
}

struct Drain {
    engine: Engine,
    /// How the org is reached, if not over the network.
    dial: Option<Arc<dyn Dial>>,
    work: Arc<OrgWork>,
    books: Books,
    figures: Figures,
    loaded: bool,
    /// A send may be under way that nobody waits for.
    unsure: bool,
    /// Why figures can't be told, though rows can.
    untold: Option<SyncFault>,
    /// Events whose journal is damaged: they wait for staff, the others go on.
    stuck: BTreeSet<EventRef>,
    /// When journals were last sent from.
    drained: Option<Instant>,
    failures: u32,
    /// Looks in a row that ended with what a person must mend, or with an allowance used up.
    refusals: u32,
    /// The org refused everything, as far as Sloe could tell: few rows are to show that it takes
    /// any before many go in one job.
    doubtful: bool,
    /// The org's budget lets nothing be sent.
    held: bool,
    /// The org as it was connected and mapped at the last look.
    looked: Option<Arc<Org>>,
}

impl Drain {
    fn new(engine: Engine, work: Arc<OrgWork>, dial: Option<Arc<dyn Dial>>) -> Self {
        let settings = &engine.workers().settings;
        Self {
            figures: Figures::new(settings.figures_every, settings.gather),
            engine,
            dial,
            work,
            books: Books::default(),
            loaded: false,
            unsure: true,
            untold: None,
            stuck: BTreeSet::new(),
            drained: None,
            failures: 0,
            refusals: 0,
            doubtful: false,
            held: false,
            looked: None,
        }
    }

    /// Whether the budget still holds what it held.
    fn is_held(&mut self) -> bool {
        self.held = self.held && self.work.budget.start(Purpose::Outbox, SEND).is_err();
        self.held
    }

    /// Until somebody may have mended what the org refuses: rows are to go again, or the org's
    /// connection or mapping is another one than at the last look.
    async fn mended(&self) {
        loop {
            let now = self.engine.registry().by_id(self.work.org);
            if let (Some(now), Some(looked)) = (now, &self.looked)
                && (now.version != looked.version || !Arc::ptr_eq(&now.mapping, &looked.mapping))
            {
                return;
            }
            tokio::select! {
                () = self.work.mended.notified() => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    /// Until when to look by itself: no later than when what gathers may go.
    fn nap(&self) -> Duration {
        let gather = self.engine.workers().settings.gather;
        let left = self.drained.map_or(Duration::ZERO, |at| gather.saturating_sub(at.elapsed()));
        if left.is_zero() { PERIOD } else { left.min(PERIOD) }
    }

    /// Does everything there is to do for the org now.
    async fn look(&mut self) -> Result<(), Halt> {
        let Some(org) = self.engine.registry().by_id(self.work.org) else { return Ok(()) };
        self.looked = Some(Arc::clone(&org));
        if !self.loaded {
            self.load(&org).await?;
            self.loaded = true;
        }
        if self.unsure {
            self.adopt(&org).await?;
            self.unsure = false;
        }
        let gather = self.engine.workers().settings.gather;
        if passed(self.drained, gather) && self.work.take_news() {
            self.drain(&org).await?;
        }
        self.mend(&org).await?;
        self.take_asked(&org).await?;
        let now = self.engine.now();
        if self.books.retries.values().any(|(_, retry)| self.may_go(retry, now)) {
            let due = self.due(&org, now).await?;
            self.send(&org, Vec::new(), due, None).await?;
        }
        self.figures.want(std::mem::take(&mut *lock(&self.work.recount)));
        self.figures.want_anew(std::mem::take(&mut *lock(&self.work.retell)));
        if self.work.budget.start(Purpose::Figures, "update figures").is_err() {
            // They lose nothing by waiting.
            return Ok(());
        }
        let client = self.client(&org, Purpose::Figures)?;
        match self.figures.tell(&self.engine, (&org, &self.work.refused), &*client).await {
            Err(Halt::Org(Error::Budget { .. })) => Ok(()),
            // Somebody must mend the figures' fields; rows don't wait for that.
            Err(Halt::Org(error)) if error.advice() == Advice::Stop => {
                tracing::warn!(org = %org.id(), %error, "figures can't be told");
                self.untold = Some(halt::of_org(self.engine.now(), &error));
                Ok(())
            }
            Ok(true) => {
                self.untold = None;
                Ok(())
            }
            told => told.map(drop),
        }
    }

    /// Reads what an earlier process left: rows to send again, a job to adopt,
    /// figures that were not told.
    async fn load(&mut self, org: &Arc<Org>) -> Result<(), Halt> {
        let left = self.books.load(&self.engine, org.scope).await?;
        self.work.accept(left.accepted);
        if left.forgotten {
            self.leave_all_unsure(org).await?;
        }
        self.figures.load(&self.engine, org).await
    }

    /// Ends a send that was under way when the process before this one ended:
    /// the same stretches again, by the same job.
    async fn adopt(&mut self, org: &Arc<Org>) -> Result<(), Halt> {
        let key = Key::send(org.scope, "bulk");
        let Some(document) = stored(&self.engine, move |store| store.get(&key)).await? else {
            return Ok(());
        };
        let send = match file::decode::<Send>(&document.body) {
            Ok(send) => send,
            Err(error) => {
                tracing::error!(org = %org.id(), %error, "which job is under way can't be read");
                self.leave_all_unsure(org).await?;
                return self.forget_send(org, document.version).await;
            }
        };
        let stretches = send.stretches.iter().filter_map(|(partition, cursor, upto)| {
            let event = EventRef::from_partition(partition)?;
            (!self.stuck.contains(&event)).then_some((event, *cursor, *upto))
        });
        let taken = plan::take(&self.engine, stretches.collect()).await?;
        self.stuck.extend(taken.damaged);
        let parts = taken.parts;
        let rows = if send.stretches.is_empty() {
            self.due(org, Timestamp::MAX).await?
        } else {
            self.plan(&parts).await?
        };
        self.leave_unsure(org, &send).await?;
        self.send(org, parts, rows, send.job()).await?;
        self.forget_send(org, document.version).await
    }

    async fn forget_send(&self, org: &Org, version: u64) -> Result<(), Halt> {
        let key = Key::send(org.scope, "bulk");
        let done = Write { key, version: version + 1, body: None };
        Ok(stored(&self.engine, move |store| store.put(&[done])).await?)
    }

    /// Notes the rows of damaged events that the job of a send may have made:
    /// the job is forgotten before these events can be read again.
    async fn leave_unsure(&mut self, org: &Arc<Org>, send: &Send) -> Result<(), Halt> {
        let stretches = send
            .stretches
            .iter()
            .filter_map(|(partition, _, upto)| Some((EventRef::from_partition(partition)?, *upto)));
        let events: Vec<_> = stretches.filter(|(event, _)| self.stuck.contains(event)).collect();
        let stuck = |retry: &file::Retry| retry.event().is_some_and(|e| self.stuck.contains(&e));
        let retries = self.books.retries.iter().filter(|(_, (_, retry))| stuck(retry));
        let keys: Vec<_> = retries.map(|(key, _)| key.clone()).collect();
        self.note_unsure(org, events, keys).await
    }

    /// Notes that nobody knows of any row still to be sent whether the org has
    /// made it: what said so is damaged.
    async fn leave_all_unsure(&mut self, org: &Arc<Org>) -> Result<(), Halt> {
        let pending = plan::pending(&self.engine, org.id()).await?;
        let events = pending.iter().map(|pending| (pending.event, pending.latest)).collect();
        let keys = self.books.retries.keys().cloned().collect();
        self.note_unsure(org, events, keys).await
    }

    async fn note_unsure(
        &mut self,
        org: &Arc<Org>,
        events: Vec<(EventRef, u64)>,
        keys: Vec<String>,
    ) -> Result<(), Halt> {
        let noted = [self.books.ask_events(org, events), self.books.ask(org, keys)];
        let noted: Vec<_> = noted.into_iter().flatten().collect();
        if noted.is_empty() {
            return Ok(());
        }
        Ok(stored(&self.engine, move |store| store.put(&noted)).await?)
    }

    /// Drains the journals until nothing is pending.
    async fn drain(&mut self, org: &Arc<Org>) -> Result<(), Halt> {
        loop {
            let mut pending = plan::pending(&self.engine, org.id()).await?;
            pending.retain(|pending| !self.stuck.contains(&pending.event));
            if pending.is_empty() {
                return Ok(());
            }
            let wanted = pending.iter().map(|p| (p.event, p.cursor, p.latest)).collect();
            let taken = plan::take(&self.engine, wanted).await?;
            self.stuck.extend(taken.damaged);
            let parts = taken.parts;
            if parts.is_empty() {
                return Ok(());
            }
            self.drained = Some(Instant::now());
            let rows = self.plan(&parts).await?;
            self.figures.want(parts.iter().map(|part| part.event));
            self.send(org, parts, rows, None).await?;
            {
                let mut sync = lock(&self.work.sync);
                sync.last_drain = Some(self.engine.now());
                sync.delivered = self.books.delivered;
            }
            if !taken.full {
                // What came meanwhile gathers first.
                return Ok(());
            }
        }
    }

    /// The records that the parts mean; attendees, then sessions.
    async fn plan(&mut self, parts: &[Part]) -> Result<(Vec<Work>, Vec<Work>), Halt> {
        let (mut attendees, mut sessions) = (Vec::new(), Vec::new());
        for part in parts {
            let mut plan = Plan::default();
            match plan::plan(&self.engine, part, &mut plan).await {
                Ok(()) => {}
                Err(Unanswered::Quarantined(reason)) => {
                    self.stuck.insert(part.event);
                    return Err(Halt::Ledger(RefreshError::Quarantined(reason)));
                }
                Err(_) => return Err(Halt::Ledger(RefreshError::Unavailable)),
            }
            let (event, version) = (part.event, part.stretch.upto());
            let work = |record| Work { event, version, record, forced: false };
            attendees.extend(plan.attendees.into_iter().map(work));
            sessions.extend(plan.sessions.into_iter().map(work));
        }
        Ok((attendees, sessions))
    }

    async fn send(
        &mut self,
        org: &Arc<Org>,
        parts: Vec<Part>,
        (attendees, sessions): (Vec<Work>, Vec<Work>),
        adopt: Option<Job>,
    ) -> Result<(), Halt> {
        let named = |part: &Part| (part.event.partition(), part.cursor, part.stretch.upto());
        if adopt.is_some() || !attendees.is_empty() || !sessions.is_empty() {
            self.work.budget.start(Purpose::Outbox, SEND)?;
        }
        let client = self.client(org, Purpose::Outbox)?;
        let mut sender = Sender {
            engine: &self.engine,
            org: Arc::clone(org),
            client,
            books: &mut self.books,
            stretches: parts.iter().map(named).collect(),
            adopt,
            doubtful: self.doubtful,
            full: None,
        };
        if sloe_core::planted!(CursorPassesFirst) {
            for part in &parts {
                let (event, upto) = (part.event, part.stretch.upto());
                let advance =
                    move |store: &dyn Store| store.advance(Destination::Org, event, upto, &[]);
                stored(&self.engine, advance).await?;
            }
        }
        let (attendees, sessions) = sender.together(attendees, sessions).await?;
        sender.send(RowKind::Attendee, attendees).await?;
        sender.send(RowKind::SessionAttendee, sessions).await?;
        for part in parts {
            let (event, upto) = (part.event, part.stretch.upto());
            let answered: Vec<_> =
                self.books.event_answered(org, event, upto).into_iter().collect();
            let advance =
                move |store: &dyn Store| store.advance(Destination::Org, event, upto, &answered);
            stored(&self.engine, advance).await?;
        }
        Ok(())
    }

    /// A pause, a part of it by chance: orgs that failed together don't come
    /// back together.
    fn apart(&self, pause: Duration) -> Duration {
        pause.mul_f64(1.0 - f64::from(self.engine.draw()) / f64::from(u16::MAX) / 4.0)
    }

    fn client(&self, org: &Org, purpose: Purpose) -> Result<Arc<dyn Remote>, Halt> {
        if let Some(dial) = &self.dial {
            let gate = Arc::<crate::worker::budget::Budget>::clone(&self.work.budget);
            return Ok(dial.dial(purpose, gate));
        }
        let client = self.work.client(org, &self.engine.workers().settings.salesforce)?;
        Ok(Arc::new(client.for_purpose(purpose)))
    }

    /// Notes how a look went, and says how long to leave the org alone.
    fn note(&mut self, looked: Result<(), Halt>) -> Option<Duration> {
        let org = self.work.org;
        let mut sync = lock(&self.work.sync);
        sync.delivered = self.books.delivered;
        sync.retrying = self.books.retries.len();
        let since = self.books.retries.values().filter_map(|(_, retry)| retry.since).min();
        sync.retrying_since = since.map(Timestamp);
        sync.conflicts = self.books.dead.values().filter(|letter| letter.conflict).count();
        sync.dead_letters = self.books.dead.len() - sync.conflicts;
        let halt = match looked {
            Ok(()) => {
                (self.failures, self.refusals) = (0, 0);
                (self.held, self.doubtful) = (false, false);
                sync.fault.clone_from(&self.untold);
                return None;
            }
            Err(halt) => halt,
        };
        self.work.leave_news();
        let at = self.engine.now();
        let growing = self.apart(LONGEST.min(Duration::from_secs(1 << self.failures.min(6))));
        let mending =
            self.apart(MENDING.saturating_mul(1 << self.refusals.min(4)).min(LONGEST_MENDING));
        self.failures = self.failures.saturating_add(1);
        self.unsure = true;
        // The pause is the gathering: a look between that sends nothing would pass for a good one.
        self.drained = None;
        if !matches!(halt, Halt::Org(_)) && !sloe_core::planted!(BooksKept) {
            // What is noted here may not have been written: what is stored is read anew.
            self.books = self.books.unread();
            self.loaded = false;
        }
        sync.fault = Some(halt.tell(org, at, "outbox"));
        Some(match halt {
            Halt::Org(Error::Budget { .. }) => {
                (self.held, self.failures, self.refusals) = (true, 0, 0);
                Duration::ZERO
            }
            Halt::Org(error) => {
                let passes = matches!(error.advice(), Advice::Retry | Advice::Reauthenticate);
                // A job that fails as a whole for what passes by itself may fail so for ever.
                let again = self.doubtful && error.is_of_a_job();
                self.doubtful |= error.advice() == Advice::Stop || error.is_of_a_job();
                if passes && !again {
                    self.refusals = 0;
                    growing
                } else {
                    self.refusals = self.refusals.saturating_add(1);
                    mending
                }
            }
            Halt::Store(_) | Halt::Ledger(_) => growing,
        })
    }
}

/// Tells each org's task whether its journals have news.
pub(super) async fn look(engine: Engine) -> Result<(), String> {
    let pending = stored(&engine, |store| store.pending(Destination::Org)).await;
    let pending = pending.map_err(|error| error.to_string())?;
    age::look(&engine, &pending).await;
    for org in pending.iter().map(|pending| pending.event.org).collect::<BTreeSet<_>>() {
        if let Some(work) = engine.workers().known(org) {
            work.leave_news();
            work.outbox.notify_one();
        }
    }
    let recount = std::mem::take(&mut *lock(&engine.news().recount));
    for event in recount {
        if let Some(work) = engine.workers().known(event.org) {
            lock(&work.recount).insert(event);
        }
    }
    Ok(())
}

/// When something was done, for pauses between.
pub(super) fn passed(since: Option<Instant>, pause: Duration) -> bool {
    since.is_none_or(|since| since.elapsed() >= pause)
}
