//! What may have been taken although nobody could say so, as a commit's answer
//! was lost. Until the journal tells, nobody may say of it that it was not.

use std::collections::{BTreeSet, HashMap};

use sloe_core::ids::{ClaimId, EventRef};
use sloe_core::ledger::Command;

use super::ask::Unanswered;

#[derive(Default)]
pub(super) struct Doubts(HashMap<EventRef, Doubt>);

struct Doubt {
    /// Of the batch that may be there.
    version: u64,
    /// Keys of its requests, and its claims.
    of: BTreeSet<u128>,
}

impl Doubts {
    /// Whether a command was taken, in the batch of this version, is not known.
    pub(super) fn remember(&mut self, event: EventRef, version: u64, command: &Command) {
        let doubt = self.0.entry(event).or_insert(Doubt { version, of: BTreeSet::new() });
        if doubt.version != version {
            *doubt = Doubt { version, of: BTreeSet::new() };
        }
        doubt.of.extend(ids(command));
    }

    /// An event's journal is known up to a version.
    pub(super) fn settle(&mut self, event: EventRef, version: u64) {
        if self.0.get(&event).is_some_and(|doubt| doubt.version <= version) {
            self.0.remove(&event);
        }
    }

    /// What is said of a command that can't be decided on now.
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
        let refusal = matches!(said, Unanswered::NotAccepted | Unanswered::Shed);
        let doubt = self.0.get(&event).filter(|_| refusal);
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
        doubts.remember(event, 5, &confirm(1, 10));
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
}
