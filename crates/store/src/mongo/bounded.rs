//! A bound on every call. The driver has none for an answer that never comes,
//! as from a server that hangs: so threads of our own ask it, and whoever
//! waits stops after a while. Who waits may also be a task, which no thread
//! that the driver blocks on could be.
//!
//! While nothing answers, one call a second tries it and the others are told
//! at once: a page must not wait for a store that is known to be away.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::{Duration, Instant};

use sloe_core::fact::Batch;
use sloe_core::ids::{ClaimId, EventRef, OrgId};
use sloe_core::time::Timestamp;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::Mongo;
use crate::api::{
    Append, Appended, Checkpoint, Destination, Document, Fence, News, Pending, Store, StoreError,
    Write,
};
use crate::key::{Key, Range};
use crate::scope::OrgScope;

/// How long a call may take.
const SHORT: Duration = Duration::from_secs(8);
/// The same for what reads or writes much.
const LONG: Duration = Duration::from_secs(60);
/// A call that failed after so long found nobody.
const FOUND_NOBODY: Duration = Duration::from_secs(2);
/// How far apart calls try a store that was away, in milliseconds.
const TRY_AGAIN: u64 = 1_000;

type Job = Box<dyn FnOnce() + Send>;
type Idle = Mutex<Vec<mpsc::Sender<Job>>>;

/// The store on MongoDB, with a bound on every call.
pub struct Bounded {
    mongo: Arc<Mongo>,
    /// Threads that have nothing to do.
    idle: Arc<Idle>,
    away: Away,
}

/// Whether the store is known to be away.
struct Away {
    began: Instant,
    known: AtomicBool,
    /// From when on the next call may try, in milliseconds since `began`.
    next: AtomicU64,
}

impl Away {
    /// Whether a call may go, and try.
    fn may_try(&self) -> bool {
        if !self.known.load(Ordering::Acquire) {
            return true;
        }
        let now = self.millis();
        let next = self.next.load(Ordering::Acquire);
        let then = now + TRY_AGAIN;
        now >= next
            && self.next.compare_exchange(next, then, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn learn(&self, away: bool) {
        if away {
            let then = self.millis() + TRY_AGAIN;
            self.next.store(then, Ordering::Release);
        }
        self.known.store(away, Ordering::Release);
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Bounded {
    /// Opens the store at `uri`, not longer than `limit`: a server that hangs
    /// may still greet, and answer nothing else.
    ///
    /// # Errors
    /// As [`Mongo::open`].
    pub fn open(uri: &str, limit: Duration) -> Result<Self, StoreError> {
        let (tell, told) = mpsc::sync_channel(1);
        let uri = uri.to_owned();
        let open = move || {
            // Whoever asked may have left.
            let _ = tell.send(Mongo::open(&uri));
        };
        let thread = std::thread::Builder::new().name("sloe-mongo".into());
        thread.spawn(open).map_err(|error| no_thread(&error))?;
        let opened = aside(|| told.recv_timeout(limit));
        opened.unwrap_or_else(|_| Err(StoreError::Unavailable(silent(limit)))).map(Self::new)
    }

    /// Bounds the calls of `mongo`.
    #[must_use]
    pub fn new(mongo: Mongo) -> Self {
        let away =
            Away { began: Instant::now(), known: AtomicBool::new(false), next: AtomicU64::new(0) };
        Self { mongo: Arc::new(mongo), idle: Arc::default(), away }
    }

    /// Has something asked that changes nothing.
    fn look<T: Send + 'static>(
        &self,
        limit: Duration,
        ask: impl FnOnce(&Mongo) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.call(limit, ask, StoreError::Unavailable)
    }

    /// Has something done, of which nobody knows whether it was where no answer comes.
    fn change<T: Send + 'static>(
        &self,
        limit: Duration,
        ask: impl FnOnce(&Mongo) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.call(limit, ask, StoreError::OutcomeUnknown)
    }

    fn call<T: Send + 'static>(
        &self,
        limit: Duration,
        ask: impl FnOnce(&Mongo) -> Result<T, StoreError> + Send + 'static,
        unanswered: fn(String) -> StoreError,
    ) -> Result<T, StoreError> {
        if !self.away.may_try() {
            return Err(StoreError::Unavailable("MongoDB does not answer at present".into()));
        }
        let began = Instant::now();
        let (tell, told) = mpsc::sync_channel(1);
        let mongo = Arc::clone(&self.mongo);
        self.give(Box::new(move || {
            // Whoever asked may have left.
            let _ = tell.send(ask(&mongo));
        }))?;
        let answer =
            aside(|| told.recv_timeout(limit)).unwrap_or_else(|_| Err(unanswered(silent(limit))));
        let lost =
            matches!(answer, Err(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_)));
        // What takes long in any case tells nothing by that.
        self.away.learn(lost && (FOUND_NOBODY..LONG).contains(&began.elapsed()));
        answer
    }

    /// Gives work to a thread that has none.
    fn give(&self, job: Job) -> Result<(), StoreError> {
        let mut job = job;
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(idle) = idle else { break };
            match idle.send(job) {
                Ok(()) => return Ok(()),
                // That thread ended by a panic.
                Err(mpsc::SendError(back)) => job = back,
            }
        }
        let all = Arc::downgrade(&self.idle);
        let thread = std::thread::Builder::new().name("sloe-mongo".into());
        thread.spawn(move || serve(job, &all)).map(drop).map_err(|error| no_thread(&error))
    }
}

fn silent(limit: Duration) -> String {
    format!("MongoDB did not answer within {limit:?}")
}

fn no_thread(error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("the system gives no thread: {error}"))
}

/// Does one job after the other, until nobody is left who could give one.
fn serve(first: Job, idle: &Weak<Idle>) {
    first();
    loop {
        let (give, given) = mpsc::channel();
        match idle.upgrade() {
            Some(idle) => idle.lock().unwrap_or_else(PoisonError::into_inner).push(give),
            None => return,
        }
        match given.recv() {
            Ok(job) => job(),
            Err(_) => return,
        }
    }
}

/// Waits without keeping a thread of tasks from the others.
fn aside<T>(wait: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
        _ => wait(),
    }
}

impl Store for Bounded {
    fn append(&self, appends: &[Append]) -> Result<Vec<Appended>, StoreError> {
        let appends = appends.to_vec();
        self.change(SHORT, move |mongo| mongo.append(&appends))
    }

    fn read(&self, event: EventRef, after: u64, limit: usize) -> Result<Vec<Batch>, StoreError> {
        self.look(SHORT, move |mongo| mongo.read(event, after, limit))
    }

    fn find(&self, event: EventRef, claim: ClaimId) -> Result<Option<u64>, StoreError> {
        self.look(SHORT, move |mongo| mongo.find(event, claim))
    }

    fn journals(&self) -> Result<Vec<(EventRef, u64)>, StoreError> {
        self.look(LONG, Store::journals)
    }

    fn put_checkpoint(&self, event: EventRef, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let checkpoint = checkpoint.clone();
        self.change(LONG, move |mongo| mongo.put_checkpoint(event, &checkpoint))
    }

    fn checkpoint(&self, event: EventRef) -> Result<Option<Checkpoint>, StoreError> {
        self.look(LONG, move |mongo| mongo.checkpoint(event))
    }

    fn sealed_of(
        &self,
        event: EventRef,
        claims: &[ClaimId],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let claims = claims.to_vec();
        self.look(SHORT, move |mongo| mongo.sealed_of(event, &claims))
    }

    fn get(&self, key: &Key) -> Result<Option<Document>, StoreError> {
        let key = key.clone();
        self.look(SHORT, move |mongo| mongo.get(&key))
    }

    fn put_under(&self, fence: Option<&Fence>, writes: &[Write]) -> Result<(), StoreError> {
        let (fence, writes) = (fence.cloned(), writes.to_vec());
        self.change(SHORT, move |mongo| mongo.put_under(fence.as_ref(), &writes))
    }

    fn scan(
        &self,
        range: Range,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Document)>, StoreError> {
        let after = after.cloned();
        self.look(LONG, move |mongo| mongo.scan(range, after.as_ref(), limit))
    }

    fn versions(&self, range: Range) -> Result<Vec<(Key, u64)>, StoreError> {
        self.look(LONG, move |mongo| mongo.versions(range))
    }

    fn beyond(&self, known: &[(EventRef, u64)]) -> Result<Vec<EventRef>, StoreError> {
        let known = known.to_vec();
        self.look(SHORT, move |mongo| mongo.beyond(&known))
    }

    fn watch(&self, tell: &mut dyn FnMut(News) -> bool) -> Result<bool, StoreError> {
        self.mongo.watch(tell)
    }

    fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        self.look(SHORT, Store::clock)
    }

    fn is_shared(&self) -> bool {
        self.mongo.is_shared()
    }

    fn pending(&self, destination: Destination) -> Result<Vec<Pending>, StoreError> {
        self.look(LONG, move |mongo| mongo.pending(destination))
    }

    fn advance_under(
        &self,
        fence: Option<&Fence>,
        of: (Destination, EventRef),
        cursor: u64,
        writes: &[Write],
    ) -> Result<(), StoreError> {
        let (fence, writes) = (fence.cloned(), writes.to_vec());
        self.change(SHORT, move |mongo| mongo.advance_under(fence.as_ref(), of, cursor, &writes))
    }

    fn open_org(&self, org: OrgId) -> Result<Option<OrgScope>, StoreError> {
        self.look(SHORT, move |mongo| mongo.open_org(org))
    }

    fn add_org(&self, org: OrgId, version: u64, body: Vec<u8>) -> Result<OrgScope, StoreError> {
        self.change(SHORT, move |mongo| mongo.add_org(org, version, body))
    }

    fn discard_projections(&self) -> Result<(), StoreError> {
        self.change(LONG, Store::discard_projections)
    }
}
