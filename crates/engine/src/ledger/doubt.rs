//! What may have been taken although nobody could say so, as the answer of a
//! commit or of another node was lost. Until the journal tells, nobody may say
//! of it that it was not.

use std::collections::{BTreeSet, HashMap};

use sloe_core::ids::{ClaimId, EventRef};
use sloe_core::ledger::Command;
use sloe_core::time::Timestamp;

use super::ask::Unanswered;

/// What ends a doubt: the journal, known that far.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    /// Up to a batch, which is the one in doubt or came instead.
    Version(u64),
    /// As it was at a time, by the clock that nobody sets.
    Time(Timestamp),
}

#[derive(Default)]
pub(super) struct Doubts {
    now: Timestamp,
    events: HashMap<EventRef, Doubt>,
}

#[derive(Default)]
struct Doubt {
    /// Both must be reached.
    version: u64,
    time: Timestamp,
    /// Keys of requests, and claims.
    of: BTreeSet<u128>,
}

impl Doubts {
    /// What time it is, by the clock that nobody sets.
    pub(super) fn pass(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Whether a command was taken is not known until then.
    pub(super) fn remember(&mut self, event: EventRef, until: Until, command: &Command) {
        let doubt = self.events.entry(event).or_default();
        match until {
            Until::Version(version) => doubt.version = doubt.version.max(version),
            Until::Time(time) => doubt.time = doubt.time.max(time),
        }
        doubt.of.extend(ids(command));
    }

    /// An event's journal is known up to a version, now.
    pub(super) fn settle(&mut self, event: EventRef, version: u64) {
        let is_over = |doubt: &Doubt| doubt.version <= version && doubt.time <= self.now;
        if self.events.get(&event).is_some_and(is_over) {
            self.events.remove(&event);
        }
    }

    /// What is said of a command that can't be decided on now, or is refused.
    pub(super) fn of(&self, event: EventRef, command: &Command, said: Unanswered) -> Unanswered {
        self.or(event, ids(command), said)
    }

    /// The same of a claim that can't be looked up now.
    pub(super) fn of_claim(&self, event: EventRef, claim: ClaimId, said: Unanswered) -> Unanswered {
        self.or(event, Some(claim.0), said)
    }

    fn or(
        &self,
        event: EventRef,
        ids: impl IntoIterator<Item = u128>,
        said: Unanswered,
    ) -> Unanswered {
        let doubt = self.events.get(&event).filter(|doubt| match said {
            // Of the newest journal, so only what is still on its way can prove it wrong.
            Unanswered::Refused(_) => self.now < doubt.time,
            _ => said.says_untaken(),
        });
        match doubt {
            Some(doubt) if ids.into_iter().any(|id| doubt.of.contains(&id)) => {
                Unanswered::OutcomeUnknown
            }
            _ => said,
        }
    }
}

/// What a command is known by.
fn ids(command: &Command) -> impl Iterator<Item = u128> + use<> {
    let claim = match command {
        Command::Hold { claim, .. }
        | Command::Confirm { claim, .. }
        | Command::Register { claim, .. }
        | Command::Release { claim }
        | Command::Cancel { claim, .. } => Some(claim.0),
        Command::SetTerms(_) | Command::Recall { .. } | Command::Erase { .. } => None,
    };
    command.request().map(|request| request.key).into_iter().chain(claim)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use sloe_core::fact::Request;
    use sloe_core::ledger::Refusal;

    use super::*;
    use crate::testing;

    #[test]
    fn what_may_have_been_taken_is_doubted_until_the_journal_is_known_that_far() {
        let event = testing::event();
        let confirm = |claim: u128, key: u128| Command::Confirm {
            claim: ClaimId(claim),
            request: Request { key, body: 1 },
            sessions: None,
        };
        let mut doubts = Doubts::default();
        doubts.remember(event, Until::Version(5), &confirm(1, 10));
        let said = |doubts: &Doubts, claim, key| {
            doubts.of(event, &confirm(claim, key), Unanswered::NotAccepted)
        };
        assert_eq!(said(&doubts, 2, 10), Unanswered::OutcomeUnknown, "by its key");
        assert_eq!(said(&doubts, 1, 20), Unanswered::OutcomeUnknown, "by its claim");
        assert_eq!(said(&doubts, 2, 20), Unanswered::NotAccepted);
        let shed = doubts.of(event, &confirm(1, 20), Unanswered::Shed);
        assert_eq!(shed, Unanswered::OutcomeUnknown);
        let looked_up =
            |doubts: &Doubts| doubts.of_claim(event, ClaimId(1), Unanswered::NotAccepted);
        assert_eq!(looked_up(&doubts), Unanswered::OutcomeUnknown);
        doubts.settle(event, 4);
        assert_eq!(looked_up(&doubts), Unanswered::OutcomeUnknown);
        doubts.settle(event, 5);
        assert_eq!(looked_up(&doubts), Unanswered::NotAccepted);
    }
    #[test]
    fn what_another_node_may_have_taken_is_doubted_for_a_time_also_if_it_is_refused_here() {
        let event = testing::event();
        let release = |claim| Command::Release { claim: ClaimId(claim) };
        let mut doubts = Doubts::default();
        doubts.pass(Timestamp(100));
        doubts.remember(event, Until::Time(Timestamp(200)), &release(1));
        // A commit's lost answer meanwhile takes nothing back.
        doubts.remember(event, Until::Version(5), &release(2));
        doubts.settle(event, 5);
        let refused = Unanswered::Refused(Refusal::UnknownClaim);
        let said = |doubts: &Doubts, claim| doubts.of(event, &release(claim), refused.clone());
        assert_eq!(said(&doubts, 1), Unanswered::OutcomeUnknown);
        assert_eq!(said(&doubts, 3), refused);
        doubts.pass(Timestamp(200));
        assert_eq!(said(&doubts, 1), refused);
        let untaken = |doubts: &Doubts| doubts.of(event, &release(1), Unanswered::NotAccepted);
        assert_eq!(untaken(&doubts), Unanswered::OutcomeUnknown, "nobody has looked since");
        doubts.settle(event, 4);
        assert_eq!(untaken(&doubts), Unanswered::OutcomeUnknown);
        doubts.settle(event, 5);
        assert_eq!(untaken(&doubts), Unanswered::NotAccepted);
    }
}
