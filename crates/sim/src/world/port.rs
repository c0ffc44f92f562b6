//! The store as one node sees it: the truth that all share, behind a network
//! that loses, delays and doubles, and a process that may end at any call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sloe_core::fact::Batch;
use sloe_core::ids::{ClaimId, EventRef, OrgId};
use sloe_store::api::{
    Append, Appended, Checkpoint, Destination, Document, Fence, Pending, Store, StoreError, Write,
};
use sloe_store::key::{Collection, Key, Range};
use sloe_store::memory::Memory;
use sloe_store::scope::OrgScope;

use super::dice::Dice;

/// How often what happens to a call, in a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// Nothing is written, and the caller is told so.
    pub(crate) refused: u64,
    /// Nothing is written, and the caller does not know.
    pub(crate) request_lost: u64,
    /// It is written, and the caller does not know.
    pub(crate) answer_lost: u64,
    /// The caller does not know, and it arrives later.
    pub(crate) delayed: u64,
    /// It arrives, and once more later.
    pub(crate) doubled: u64,
    /// A read comes to nothing.
    pub(crate) unread: u64,
}

/// What only whoever does an org's work writes.
const ONE_AT_A_TIME: [Collection; 4] =
    [Collection::Delivered, Collection::Sends, Collection::Retries, Collection::DeadLetters];

/// Appends that are still on their way.
pub(crate) type Late = Arc<Mutex<Vec<Vec<Append>>>>;

#[derive(Debug)]
struct State {
    dice: Dice,
    weather: Weather,
    /// The store can't be reached at all.
    away: bool,
    /// The node ends at the call after so many more.
    ends_in: Option<u64>,
    ended: bool,
    /// The node's name among the nodes.
    name: String,
    /// What it wrote of an org whose work was another's.
    trespasses: Vec<String>,
}

/// One node's way to the store.
#[derive(Debug)]
pub(crate) struct Port {
    truth: Memory,
    late: Late,
    state: Mutex<State>,
}

enum Way {
    Through,
    Refused,
    RequestLost,
    AnswerLost,
    Delayed,
    Doubled,
}

impl Port {
    pub(crate) fn new(truth: Memory, late: Late, dice: Dice) -> Self {
        let weather = Weather::default();
        let state = State {
            dice,
            weather,
            away: false,
            ends_in: None,
            ended: false,
            name: String::new(),
            trespasses: Vec::new(),
        };
        Self { truth, late, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_weather(&self, weather: Weather) {
        self.state().weather = weather;
    }

    /// A process of its own again.
    pub(crate) fn revive(&self, weather: Weather) {
        let mut state = self.state();
        (state.ended, state.ends_in, state.weather) = (false, None, weather);
    }

    /// Clears the sky, and tells how it was.
    pub(crate) fn calm(&self) -> Weather {
        let mut state = self.state();
        state.ends_in = None;
        std::mem::take(&mut state.weather)
    }

    pub(crate) fn is_away(&self) -> bool {
        self.state().away
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.state().away = away;
    }

    pub(crate) fn set_name(&self, name: String) {
        self.state().name = name;
    }

    /// What was written that was another node's to write.
    pub(crate) fn trespasses(&self) -> Vec<String> {
        std::mem::take(&mut self.state().trespasses)
    }

    /// Looks whether this node may write what only one node at a time writes.
    fn judge(&self, org: Option<&str>, what: &str) {
        let Some(org) = org else { return };
        let name = self.state().name.clone();
        let lease = self.truth.get(&Key::lease(&format!("org/{org}"))).ok().flatten();
        let holder = lease.map(|lease| String::from_utf8_lossy(&lease.body).into_owned());
        if !name.is_empty() && !holder.is_some_and(|holder| holder.contains(&name)) {
            self.state().trespasses.push(format!("{what} of {org} by a node without its lease"));
        }
    }

    /// Ends the node at one of its next calls.
    pub(crate) fn end_in(&self, calls: u64) {
        self.state().ends_in = Some(calls);
    }

    /// Whether the node has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.state().ended
    }

    fn reads(&self) -> Result<&Memory, StoreError> {
        let mut state = self.state();
        let unread = state.weather.unread;
        if state.away || state.ended || state.dice.chance(unread) {
            return Err(StoreError::Unavailable("simulated: no answer".into()));
        }
        Ok(&self.truth)
    }

    fn way(&self) -> Way {
        let mut state = self.state();
        if state.away || state.ended {
            return Way::Refused;
        }
        if let Some(left) = state.ends_in {
            if left == 0 {
                state.ended = true;
                // Before or after the write took place: nobody is there any more to know.
                return if state.dice.chance(500) { Way::AnswerLost } else { Way::RequestLost };
            }
            state.ends_in = Some(left - 1);
        }
        let weather = state.weather;
        let mut roll = state.dice.below(1_000);
        for (share, way) in [
            (weather.refused, Way::Refused),
            (weather.request_lost, Way::RequestLost),
            (weather.answer_lost, Way::AnswerLost),
            (weather.delayed, Way::Delayed),
            (weather.doubled, Way::Doubled),
        ] {
            if roll < share {
                return way;
            }
            roll -= share;
        }
        Way::Through
    }

    fn write<T>(&self, write: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
        match self.way() {
            Way::Through => write(),
            Way::Refused => Err(StoreError::Unavailable("simulated: refused".into())),
            Way::RequestLost | Way::Delayed => Err(lost()),
            Way::AnswerLost => write().and(Err(lost())),
            Way::Doubled => write().and_then(|_| write()),
        }
    }

    fn send_later(&self, appends: &[Append]) {
        self.late.lock().unwrap_or_else(PoisonError::into_inner).push(appends.to_vec());
    }
}

fn lost() -> StoreError {
    StoreError::OutcomeUnknown("simulated: no answer came".into())
}

/// Whatever comes is written at the journal's end: what a store does that has
/// lost its precondition.
fn append_anywhere(truth: &Memory, appends: &[Append]) -> Result<Vec<Appended>, StoreError> {
    let mut answers = Vec::new();
    for append in appends {
        let mut append = append.clone();
        append.batch.version = truth.reach(append.event) + 1;
        answers.extend(truth.append(std::slice::from_ref(&append))?);
    }
    Ok(answers)
}

impl Store for Port {
    fn append(&self, appends: &[Append]) -> Result<Vec<Appended>, StoreError> {
        let append = || {
            if sloe_core::planted!(DroppedPrecondition) {
                append_anywhere(&self.truth, appends)
            } else {
                self.truth.append(appends)
            }
        };
        match self.way() {
            Way::Through => append(),
            Way::Refused => Err(StoreError::Unavailable("simulated: refused".into())),
            Way::RequestLost => Err(lost()),
            Way::AnswerLost => append().and(Err(lost())),
            Way::Delayed => {
                self.send_later(appends);
                Err(lost())
            }
            Way::Doubled => {
                let answer = append()?;
                self.send_later(appends);
                Ok(answer)
            }
        }
    }

    fn read(&self, event: EventRef, after: u64, limit: usize) -> Result<Vec<Batch>, StoreError> {
        self.reads()?.read(event, after, limit)
    }

    fn find(&self, event: EventRef, claim: ClaimId) -> Result<Option<u64>, StoreError> {
        self.reads()?.find(event, claim)
    }

    fn journals(&self) -> Result<Vec<(EventRef, u64)>, StoreError> {
        self.reads()?.journals()
    }

    fn put_checkpoint(&self, event: EventRef, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        self.write(|| self.truth.put_checkpoint(event, checkpoint))
    }

    fn checkpoint(&self, event: EventRef) -> Result<Option<Checkpoint>, StoreError> {
        self.reads()?.checkpoint(event)
    }

    fn sealed_of(
        &self,
        event: EventRef,
        claims: &[ClaimId],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.reads()?.sealed_of(event, claims)
    }

    fn get(&self, key: &Key) -> Result<Option<Document>, StoreError> {
        self.reads()?.get(key)
    }

    fn put_under(&self, fence: Option<&Fence>, writes: &[Write]) -> Result<(), StoreError> {
        self.write(|| {
            self.truth.put_under(fence, writes)?;
            let of_one =
                writes.iter().filter(|write| ONE_AT_A_TIME.contains(&write.key.collection()));
            for write in of_one {
                let org = write.key.id().split_once('/').map(|(org, _)| org);
                self.judge(org, write.key.collection().name());
            }
            Ok(())
        })
    }

    fn scan(
        &self,
        range: Range,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Document)>, StoreError> {
        self.reads()?.scan(range, after, limit)
    }

    fn versions(&self, range: Range) -> Result<Vec<(Key, u64)>, StoreError> {
        self.reads()?.versions(range)
    }

    fn beyond(&self, known: &[(EventRef, u64)]) -> Result<Vec<EventRef>, StoreError> {
        self.reads()?.beyond(known)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn pending(&self, destination: Destination) -> Result<Vec<Pending>, StoreError> {
        self.reads()?.pending(destination)
    }

    fn advance_under(
        &self,
        fence: Option<&Fence>,
        of: (Destination, EventRef),
        cursor: u64,
        writes: &[Write],
    ) -> Result<(), StoreError> {
        self.write(|| {
            self.truth.advance_under(fence, of, cursor, writes)?;
            self.judge(Some(of.1.org.as_str()), "the cursor");
            Ok(())
        })
    }

    fn open_org(&self, org: OrgId) -> Result<Option<OrgScope>, StoreError> {
        self.reads()?.open_org(org)
    }

    fn add_org(&self, org: OrgId, version: u64, body: Vec<u8>) -> Result<OrgScope, StoreError> {
        self.write(|| self.truth.add_org(org, version, body.clone()))
    }

    fn discard_projections(&self) -> Result<(), StoreError> {
        self.write(|| self.truth.discard_projections())
    }
}
