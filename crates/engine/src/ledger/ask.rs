//! What travels between a request and the combiner.

use sloe_core::fact::Fact;
use sloe_core::ids::{ClaimId, EventRef};
use sloe_core::ledger::{ClaimView, Command, PoolCount, Refusal, Reply};
use sloe_store::api::Sealed;
use tokio::sync::oneshot;

/// Why a command has no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The ledger refused it.
    Refused(Refusal),
    /// It was not taken; trying again may help.
    NotAccepted,
    /// It may have been taken: ask again with the same request id.
    OutcomeUnknown,
    /// The event's journal is damaged; nothing is decided on it.
    Quarantined(String),
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

/// A decided task, waiting for its batch to become durable.
pub(crate) struct Decided {
    pub(crate) task: Box<Task>,
    pub(crate) outcome: Result<(Reply, bool), Refusal>,
}

/// One event's part of the commit being made.
pub(crate) struct Draft {
    pub(crate) event: EventRef,
    pub(crate) at: sloe_core::time::Timestamp,
    pub(crate) facts: Vec<Fact>,
    pub(crate) sealed: Vec<Sealed>,
    pub(crate) decided: Vec<Decided>,
}

/// The answer that a command's outcome comes to. A claim that a decision
/// names is always there.
pub(crate) fn reply_of(
    ledger: &sloe_core::ledger::Ledger,
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
