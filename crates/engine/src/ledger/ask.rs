//! What travels between a request and the combiner.

use sloe_core::fact::Fact;
use sloe_core::ids::{ClaimId, EventRef};
use sloe_core::ledger::{ClaimView, Command, Ledger, PoolCount, Refusal, Reply};
use sloe_core::limits;
use sloe_core::time::Timestamp;
use sloe_store::api::{Destination, Sealed};
use tokio::sync::oneshot;

/// Why a command has no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The ledger refused it.
    Refused(Refusal),
    /// It was not taken, as too many others wait.
    Shed,
    /// It was not taken; trying again may help.
    NotAccepted,
    /// It may have been taken: ask again with the same request id.
    OutcomeUnknown,
    /// The event's journal is damaged; nothing is decided on it.
    Quarantined(String),
}

impl Unanswered {
    /// Whether it says that the command was not taken, and no more.
    pub(crate) fn says_untaken(&self) -> bool {
        matches!(self, Self::NotAccepted | Self::Shed)
    }
}

/// A reply, durable by now.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The ledger's answer.
    pub reply: Reply,
    /// The version that holds it.
    pub version: u64,
    /// Whether facts were made for it; a repeat makes none.
    pub fresh: bool,
}

/// The answer to a command.
pub type Answer = Result<Committed, Unanswered>;

/// Where a task is decided, and what another node may have made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By whoever leads its event.
    Leader,
    /// Here, for a node that decides by itself after this.
    ForPeer { until: Timestamp },
    /// Here: the leader did not take it, or was not asked.
    Declined,
    /// Here: the leader may have taken it, or may yet for a moment.
    Unheard,
}

/// A command on its way.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) event: EventRef,
    pub(crate) command: Command,
    /// Personal data to seal away or destroy, if the command makes facts.
    pub(crate) sealed: Option<Sealed>,
    pub(crate) answer: oneshot::Sender<Answer>,
    /// How often a conflict threw it back.
    pub(crate) attempts: u8,
    pub(crate) way: Way,
}

/// Bytes of a place in a batch at most: its item and sessions, each by its pool's number.
const PLACE: usize = 3 * (limits::MAX_SESSIONS_PER_PLACE + 2);
/// Bytes of all else that a command's facts say, at most.
const FACTS: usize = 128;
/// Bytes of an item's or a session's terms at most.
const POOL: usize = 64;

impl Task {
    /// A command, and where its answer comes.
    pub(crate) fn new(
        way: Way,
        event: EventRef,
        command: Command,
        sealed: Option<Sealed>,
    ) -> (Self, oneshot::Receiver<Answer>) {
        let (answer, answered) = oneshot::channel();
        (Self { event, command, sealed, answer, attempts: 0, way }, answered)
    }

    /// Whether nobody waits for it any more: the node that handed it over decides it by now,
    /// and may have told somebody that it came to nothing.
    pub(super) fn is_late(&self, now: Timestamp) -> bool {
        matches!(self.way, Way::ForPeer { until } if now > until || self.answer.is_closed())
    }

    /// Bytes that a batch grows by if this is taken, at most.
    pub(crate) fn bytes(&self) -> usize {
        let facts = match &self.command {
            Command::SetTerms(terms) => POOL * (terms.items.len() + terms.sessions.len()),
            Command::Hold { places, .. } | Command::Register { places, .. } => PLACE * places.len(),
            // They repeat what is held, or name each place.
            Command::Confirm { .. } | Command::Cancel { .. } | Command::Erase { .. } => {
                PLACE * limits::MAX_PLACES
            }
            Command::Recall { .. } | Command::Release { .. } => 0,
        };
        let sealed = self.sealed.as_ref().and_then(|sealed| sealed.body.as_ref());
        FACTS + facts + sealed.map_or(0, Vec::len)
    }
}

/// Everything the combiner can be asked.
#[derive(Debug)]
pub(crate) enum Ask {
    Run(Box<Task>),
    View {
        event: EventRef,
        claim: ClaimId,
        answer: oneshot::Sender<Result<Option<ClaimView>, Unanswered>>,
    },
    Views {
        event: EventRef,
        claims: Vec<ClaimId>,
        answer: oneshot::Sender<Result<Vec<Option<ClaimView>>, Unanswered>>,
    },
    Counts {
        event: EventRef,
        answer: oneshot::Sender<Result<(u64, Vec<PoolCount>), Unanswered>>,
    },
    /// Load the event's ledger, which publishes what is left of it.
    Load {
        event: EventRef,
        answer: oneshot::Sender<Result<(), Unanswered>>,
    },
    /// Answer once every commit that was begun before is over.
    Settle {
        answer: oneshot::Sender<()>,
    },
    /// Finish what waits, then end.
    Stop,
}

impl Ask {
    /// The event whose ledger is asked, without changing it.
    pub(super) fn read_of(&self) -> Option<EventRef> {
        match self {
            Self::View { event, .. }
            | Self::Views { event, .. }
            | Self::Counts { event, .. }
            | Self::Load { event, .. } => Some(*event),
            Self::Run(_) | Self::Settle { .. } | Self::Stop => None,
        }
    }

    /// Answers what is asked of a ledger.
    pub(super) fn answer(self, ledger: Result<&Ledger, Unanswered>) {
        // Whoever asked may have gone away.
        match self {
            Self::View { claim, answer, .. } => {
                let _ = answer.send(ledger.map(|ledger| ledger.view(claim)));
            }
            Self::Views { claims, answer, .. } => {
                let views = |ledger: &Ledger| claims.iter().map(|c| ledger.view(*c)).collect();
                let _ = answer.send(ledger.map(views));
            }
            Self::Counts { answer, .. } => {
                let counts = |ledger: &Ledger| (ledger.version(), ledger.counts().collect());
                let _ = answer.send(ledger.map(counts));
            }
            Self::Load { answer, .. } => drop(answer.send(ledger.map(drop))),
            Self::Run(_) | Self::Settle { .. } | Self::Stop => {}
        }
    }
}

/// A decided task, waiting for its batch to become durable.
pub(crate) struct Decided {
    pub(crate) task: Box<Task>,
    pub(crate) outcome: Result<(Reply, bool), Refusal>,
}

/// One event's part of the commit being made.
pub(crate) struct Draft {
    pub(crate) event: EventRef,
    pub(crate) at: Timestamp,
    pub(crate) facts: Vec<Fact>,
    pub(crate) sealed: Vec<Sealed>,
    pub(crate) decided: Vec<Decided>,
}

impl Draft {
    /// Who has to be told of it.
    pub(super) fn destinations(&self) -> Vec<Destination> {
        let mut to = Vec::new();
        if self.facts.iter().any(Fact::is_outbound) {
            to.push(Destination::Org);
        }
        if self.facts.iter().any(|fact| matches!(fact, Fact::Confirmed { .. })) {
            to.push(Destination::Mail);
        }
        to
    }
}

/// The answer that a command's outcome comes to. A claim that a decision
/// names is always there.
pub(crate) fn reply_of(
    ledger: &Ledger,
    command: &Command,
    claim: Option<ClaimId>,
    fresh: bool,
) -> Result<Reply, Refusal> {
    let view = || claim.and_then(|claim| ledger.view(claim)).ok_or(Refusal::UnknownClaim);
    Ok(match command {
        Command::SetTerms(_) => Reply::Terms { changed: fresh },
        Command::Hold { .. } => Reply::Held(view()?),
        Command::Confirm { .. } | Command::Register { .. } => Reply::Confirmed(view()?),
        Command::Recall { .. } => Reply::Recalled(view()?),
        Command::Release { .. } => Reply::Released,
        Command::Cancel { .. } => Reply::Cancelled(view()?),
        Command::Erase { .. } => Reply::Erased(view()?),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use sloe_core::fact::{
        Actor, Batch, ItemTerms, PoolIx, PoolTerms, Request, Selection, Standing, Terms,
    };
    use sloe_core::ids::{OrgId, SfId};
    use sloe_core::time::Timestamp;
    use sloe_store::record;

    use super::*;

    fn bytes(command: Command) -> usize {
        let event = SfId::parse("a00000000000001").unwrap();
        let event = EventRef { org: OrgId::parse("00D000000000001").unwrap(), event };
        Task::new(Way::Leader, event, command, None).0.bytes()
    }

    fn stored(facts: Vec<Fact>) -> usize {
        record::batch::encode(&Batch { version: 1, at: Timestamp(0), nonce: 0, facts }).len()
    }

    #[test]
    fn no_command_s_facts_are_longer_than_is_reckoned() {
        let (claim, request) = (ClaimId(u128::MAX), Request { key: u128::MAX, body: u64::MAX });
        let last = PoolIx(u16::try_from(limits::MAX_POOLS - 1).unwrap());
        let sessions = std::iter::repeat_n(last, limits::MAX_SESSIONS_PER_PLACE).collect();
        let places = vec![Selection { item: last, sessions }; limits::MAX_PLACES];
        let confirm = Command::Confirm { claim, request, sessions: None };
        let confirmed = Fact::Confirmed { claim, request, places: places.clone() };
        assert!(stored(vec![confirmed]) <= bytes(confirm));

        let record = SfId::parse("a01000000000001").unwrap();
        let wanted = sloe_core::ledger::PlaceRequest {
            item: record,
            sessions: vec![record; limits::MAX_SESSIONS_PER_PLACE],
        };
        let hold = Command::Hold {
            claim,
            request,
            places: vec![wanted; limits::MAX_PLACES],
            replaces: Some(claim),
        };
        let expires_at = Timestamp(i64::MAX);
        let held = Fact::Held { claim, request, expires_at, places };
        assert!(stored(vec![Fact::Released { claim }, held]) <= bytes(hold));

        let actor = Actor::Registrant;
        let cancel = Command::Cancel { claim, place: None, actor };
        let numbers = 1..=u16::try_from(limits::MAX_PLACES).unwrap();
        let cancelled = numbers.map(|place| Fact::Cancelled { claim, place, actor });
        assert!(stored(cancelled.collect()) <= bytes(cancel));

        let pool = PoolTerms { record, limit: Some(u32::MAX), external: u32::MAX };
        let item = ItemTerms {
            pool,
            free: true,
            opens_at: Some(Timestamp(i64::MAX)),
            closes_at: Some(Timestamp(i64::MIN)),
            max_per_order: u32::MAX,
        };
        let terms = Box::new(Terms {
            as_of: Timestamp(i64::MAX),
            standing: Standing::Published,
            opens_at: Some(Timestamp(i64::MIN)),
            closes_at: Some(Timestamp(i64::MAX)),
            ends_at: Timestamp(i64::MAX),
            hold_millis: i64::MAX,
            max_per_order: u32::MAX,
            limit: Some(u32::MAX),
            external: u32::MAX,
            items: vec![item; 1_000],
            sessions: Vec::new(),
        });
        assert!(stored(vec![Fact::TermsSet(terms.clone())]) <= bytes(Command::SetTerms(terms)));
    }
}
