//! One event's decisions on top of its ledger, tentative until committed.

use sloe_core::ledger::Command;
use sloe_core::planted;

use super::ask::{Decided, Draft, Task};
use super::resident::Resident;

/// Expiries first, then releases, cancellations and terms, then claims.
pub(super) fn decide_all(
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
        let mut task = task;
        if fresh && planted!(DetailsLostOnConflict) {
            draft.sealed.extend(task.sealed.take());
        } else if fresh {
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
