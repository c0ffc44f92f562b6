//! Bugs that a test may plant, one at a time, to see that simulated worlds
//! find them. Compiled in only with the feature `planted`, which no shipped
//! build turns on; and even then none is there unless a test asks for it.

use std::cell::Cell;

/// A mistake that somebody might make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bug {
    /// The store takes a batch whatever version the journal has.
    DroppedPrecondition,
    /// A hold that has expired once expires again.
    DoubleExpiry,
    /// An expired hold is confirmed without taking its seats again.
    ConfirmWithoutClaim,
    /// A cursor passes rows before it is settled what became of them.
    CursorPassesFirst,
    /// Limits that were read earlier replace those that were read later.
    StaleLimits,
    /// Writes under a lease don't check that it is still held.
    UnfencedLease,
    /// A row whose answer was lost is made anew without a look.
    DuplicateUpsert,
    /// Claims are answered before their batch is durable.
    EarlyAnswer,
    /// A commit whose answer was lost is taken for a refusal.
    LostAnswerIsRefusal,
    /// A checkpoint is taken of what is not committed yet.
    TentativeCheckpoint,
    /// After a lost answer any batch at our version is taken for ours.
    NonceNotCompared,
    /// A confirmation's request id is not remembered.
    RequestForgotten,
    /// A released hold keeps its seats in sessions.
    SessionSeatKept,
    /// One seat more than there is.
    OffByOne,
    /// An older state of a row is sent over a newer one.
    OlderStateSent,
    /// Holds end half a minute before their time.
    EarlyExpiry,
    /// Details are sealed away with the first try of a commit only.
    DetailsLostOnConflict,
    /// A repeat with another body is answered as if it were the same.
    BodyNotCompared,
    /// The budget is asked, and not heard.
    BudgetIgnored,
    /// A lease whose taking was answered to nobody is nobody's work.
    LostLease,
    /// What other nodes committed is not told where it was not followed by the worker for that.
    FollowedUntold,
    /// After a failed write the outbox believes what it has in memory.
    BooksKept,
    /// A row that was found is not looked for again although it could not be updated.
    FoundForgotten,
    /// A limit of 0 is taken for none.
    ZeroIsUnlimited,
    /// Figures are told of the event as a whole only.
    FiguresOfEventOnly,
    /// What is left is shown before it is durable, at the version before.
    TentativeShown,
    /// Whoever has a ticket is told to the org as cancelled.
    StatusTurned,
    /// Figures whose answer was lost are taken for those that were told before.
    UnheardFigures,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 28] = [
        Self::DroppedPrecondition,
        Self::DoubleExpiry,
        Self::ConfirmWithoutClaim,
        Self::CursorPassesFirst,
        Self::StaleLimits,
        Self::UnfencedLease,
        Self::DuplicateUpsert,
        Self::EarlyAnswer,
        Self::LostAnswerIsRefusal,
        Self::TentativeCheckpoint,
        Self::NonceNotCompared,
        Self::RequestForgotten,
        Self::SessionSeatKept,
        Self::OffByOne,
        Self::OlderStateSent,
        Self::EarlyExpiry,
        Self::DetailsLostOnConflict,
        Self::BodyNotCompared,
        Self::BudgetIgnored,
        Self::LostLease,
        Self::FollowedUntold,
        Self::BooksKept,
        Self::FoundForgotten,
        Self::ZeroIsUnlimited,
        Self::FiguresOfEventOnly,
        Self::TentativeShown,
        Self::StatusTurned,
        Self::UnheardFigures,
    ];
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Plants a bug in this thread; `None` takes it out.
pub fn plant(bug: Option<Bug>) {
    PLANTED.with(|planted| planted.set(bug));
}

/// Whether that bug is planted in this thread.
#[must_use]
pub fn is(bug: Bug) -> bool {
    PLANTED.with(Cell::get) == Some(bug)
}
