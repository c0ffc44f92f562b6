//! A store with planned faults, around any other: for tests of those who use a
//! store. What happens to which call is data, so every run is the same run.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};

use sloe_core::fact::Batch;
use sloe_core::ids::{ClaimId, EventRef, OrgId};
use sloe_core::time::Timestamp;

use crate::api::{
    Append, Appended, Checkpoint, Destination, Document, Fence, News, Pending, Store, StoreError,
    Write,
};
use crate::key::{Key, Range};
use crate::scope::OrgScope;

#[cfg(test)]
mod tests;

/// The calls that faults can meet. Reads are left alone but for a store that
/// is away altogether.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// [`Store::append`].
    Append,
    /// [`Store::put`] and [`Store::add_org`].
    Put,
    /// [`Store::advance`].
    Advance,
    /// [`Store::put_checkpoint`].
    Checkpoint,
}

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is written, and the caller is told so.
    Refused,
    /// Nothing is written, and the caller does not know.
    RequestLost,
    /// It is written, and the caller does not know.
    AnswerLost,
    /// It is sent twice, as a driver does that got no answer; the caller sees
    /// the second one's answer.
    Twice,
    /// It waits until [`Faulty::release`].
    Delayed,
    /// The version check is dropped: a batch that comes too late takes the
    /// next free version. Appends only; any other call goes through.
    Unchecked,
}

/// Which faults meet which calls; calls of a kind are counted from 1.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    single: BTreeMap<(Call, u64), Fault>,
    always: BTreeMap<Call, Fault>,
}

impl Plan {
    /// No faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `fault` meet the `number`th `call`.
    #[must_use]
    pub fn at(mut self, call: Call, number: u64, fault: Fault) -> Self {
        self.single.insert((call, number), fault);
        self
    }

    /// Lets `fault` meet every `call` for which nothing else is planned.
    #[must_use]
    pub fn always(mut self, call: Call, fault: Fault) -> Self {
        self.always.insert(call, fault);
        self
    }

    fn fault(&self, call: Call, number: u64) -> Option<Fault> {
        self.single.get(&(call, number)).or_else(|| self.always.get(&call)).copied()
    }
}

/// A store whose calls meet the faults of a [`Plan`].
#[derive(Debug)]
pub struct Faulty<S> {
    inner: S,
    state: Mutex<State>,
    changed: Condvar,
    shared: bool,
    clock: Option<fn() -> Timestamp>,
}

#[derive(Debug)]
struct State {
    plan: Plan,
    calls: BTreeMap<Call, u64>,
    waiting: usize,
    /// Counts releases: a call waits for one that comes after it.
    releases: u64,
    away: bool,
}

impl<S: Store> Faulty<S> {
    /// `inner` with the faults of `plan`.
    pub fn new(inner: S, plan: Plan) -> Self {
        let calls = BTreeMap::new();
        let state = State { plan, calls, waiting: 0, releases: 0, away: false };
        Self {
            inner,
            state: Mutex::new(state),
            changed: Condvar::new(),
            shared: false,
            clock: None,
        }
    }

    /// The same, as a store that several nodes use: for several engines in one
    /// process, each with its own faults on a store below that they share.
    #[must_use]
    pub fn shared(self) -> Self {
        Self { shared: true, ..self }
    }

    /// The same, as a store on a machine that has a clock of its own.
    #[must_use]
    pub fn with_clock(self, clock: fn() -> Timestamp) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// The store below, past all faults: what really is there.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Replaces the plan; calls are counted from 1 again.
    pub fn set_plan(&self, plan: Plan) {
        self.with(|state| {
            state.plan = plan;
            state.calls.clear();
        });
    }

    /// Takes the store away, reads included, or brings it back.
    pub fn set_away(&self, away: bool) {
        self.with(|state| state.away = away);
    }

    /// Calls of a kind since the plan was set.
    pub fn calls(&self, call: Call) -> u64 {
        self.with(|state| state.calls.get(&call).copied().unwrap_or(0))
    }

    /// Blocks until `count` calls are being delayed.
    pub fn wait_until_delayed(&self, count: usize) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = self.changed.wait_while(state, |state| state.waiting < count);
        drop(wait.unwrap_or_else(PoisonError::into_inner));
    }

    /// Lets all delayed calls go on.
    pub fn release(&self) {
        self.with(|state| state.releases += 1);
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let value = change(&mut state);
        self.changed.notify_all();
        value
    }

    fn delay(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let releases = state.releases;
        state.waiting += 1;
        self.changed.notify_all();
        let wait = self.changed.wait_while(state, |state| state.releases == releases);
        wait.unwrap_or_else(PoisonError::into_inner).waiting -= 1;
    }

    /// Whether the store can be asked at all.
    fn here(&self) -> Result<&S, StoreError> {
        if self.with(|state| state.away) {
            return Err(StoreError::Unavailable("planned: the store is away".into()));
        }
        Ok(&self.inner)
    }

    /// Makes a call of kind `kind` and lets its fault happen.
    fn meet<T>(
        &self,
        kind: Call,
        call: impl Fn() -> Result<T, StoreError>,
        unchecked: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.here()?;
        let fault = self.with(|state| {
            let number = state.calls.entry(kind).or_insert(0);
            *number += 1;
            let number = *number;
            state.plan.fault(kind, number)
        });
        let lost = || StoreError::OutcomeUnknown("planned: no answer came".into());
        match fault {
            None => call(),
            Some(Fault::Refused) => Err(StoreError::Unavailable("planned: refused".into())),
            Some(Fault::RequestLost) => Err(lost()),
            Some(Fault::AnswerLost) => call().and(Err(lost())),
            Some(Fault::Twice) => call().and_then(|_| call()),
            Some(Fault::Delayed) => {
                self.delay();
                call()
            }
            Some(Fault::Unchecked) => unchecked(),
        }
    }

    /// Appends without regard to versions: what came too late goes to the end.
    fn append_unchecked(&self, appends: &[Append]) -> Result<Vec<Appended>, StoreError> {
        let mut answers = Vec::with_capacity(appends.len());
        for append in appends {
            let mut append = append.clone();
            loop {
                let answer = self.inner.append(std::slice::from_ref(&append))?;
                match answer.as_slice() {
                    [Appended::Conflict] => append.batch.version = self.next(append.event)?,
                    _ => {
                        answers.extend(answer);
                        break;
                    }
                }
            }
        }
        Ok(answers)
    }

    fn next(&self, event: EventRef) -> Result<u64, StoreError> {
        let journals = self.inner.journals()?;
        let last = journals.into_iter().find(|(journal, _)| *journal == event);
        Ok(last.map_or(0, |(_, version)| version) + 1)
    }
}

impl<S: Store> Store for Faulty<S> {
    fn append(&self, appends: &[Append]) -> Result<Vec<Appended>, StoreError> {
        let call = || self.inner.append(appends);
        self.meet(Call::Append, call, || self.append_unchecked(appends))
    }

    fn read(&self, event: EventRef, after: u64, limit: usize) -> Result<Vec<Batch>, StoreError> {
        self.here()?.read(event, after, limit)
    }

    fn find(&self, event: EventRef, claim: ClaimId) -> Result<Option<u64>, StoreError> {
        self.here()?.find(event, claim)
    }

    fn journals(&self) -> Result<Vec<(EventRef, u64)>, StoreError> {
        self.here()?.journals()
    }

    fn put_checkpoint(&self, event: EventRef, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let call = || self.inner.put_checkpoint(event, checkpoint);
        self.meet(Call::Checkpoint, call, call)
    }

    fn checkpoint(&self, event: EventRef) -> Result<Option<Checkpoint>, StoreError> {
        self.here()?.checkpoint(event)
    }

    fn sealed_of(
        &self,
        event: EventRef,
        claims: &[ClaimId],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.here()?.sealed_of(event, claims)
    }

    fn get(&self, key: &Key) -> Result<Option<Document>, StoreError> {
        self.here()?.get(key)
    }

    fn put_under(&self, fence: Option<&Fence>, writes: &[Write]) -> Result<(), StoreError> {
        let call = || self.inner.put_under(fence, writes);
        self.meet(Call::Put, call, call)
    }

    fn scan(
        &self,
        range: Range,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Document)>, StoreError> {
        self.here()?.scan(range, after, limit)
    }

    fn versions(&self, range: Range) -> Result<Vec<(Key, u64)>, StoreError> {
        self.here()?.versions(range)
    }

    fn beyond(&self, known: &[(EventRef, u64)]) -> Result<Vec<EventRef>, StoreError> {
        self.here()?.beyond(known)
    }

    fn watch(&self, tell: &mut dyn FnMut(News) -> bool) -> Result<bool, StoreError> {
        self.inner.watch(tell)
    }

    fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        let inner = self.here()?.clock()?;
        Ok(self.clock.map(|clock| clock()).or(inner))
    }

    fn is_shared(&self) -> bool {
        self.shared || self.inner.is_shared()
    }

    fn pending(&self, destination: Destination) -> Result<Vec<Pending>, StoreError> {
        self.here()?.pending(destination)
    }

    fn advance_under(
        &self,
        fence: Option<&Fence>,
        of: (Destination, EventRef),
        cursor: u64,
        writes: &[Write],
    ) -> Result<(), StoreError> {
        let call = || self.inner.advance_under(fence, of, cursor, writes);
        self.meet(Call::Advance, call, call)
    }

    fn open_org(&self, org: OrgId) -> Result<Option<OrgScope>, StoreError> {
        self.here()?.open_org(org)
    }

    fn add_org(&self, org: OrgId, version: u64, body: Vec<u8>) -> Result<OrgScope, StoreError> {
        let call = || self.inner.add_org(org, version, body.clone());
        self.meet(Call::Put, call, call)
    }

    fn discard_projections(&self) -> Result<(), StoreError> {
        self.here()?.discard_projections()
    }
}
