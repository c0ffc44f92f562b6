//! Orgs that are about to be removed: nothing is taken of them any more that
//! they would have to be told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use sloe_core::fact::Actor;
use sloe_core::ids::OrgId;
use sloe_core::ledger::Command;
use sloe_core::time::Timestamp;

use super::ask::Task;
use crate::worker::orgs::lock;

/// The desk's and the combiner's: until when each org is closed, if it isn't this node that
/// removes it.
#[derive(Clone, Default)]
pub(super) struct Closed(Arc<Mutex<BTreeMap<OrgId, Option<Timestamp>>>>);

impl Closed {
    pub(super) fn close(&self, org: OrgId) {
        lock(&self.0).insert(org, None);
    }

    pub(super) fn lapse(&self, org: OrgId, until: Timestamp) {
        lock(&self.0).insert(org, Some(until));
    }

    pub(super) fn open(&self, org: OrgId) {
        lock(&self.0).remove(&org);
    }

    /// Another node says until when an org is closed, if it is. It may have died since.
    pub(super) fn follow(&self, org: OrgId, until: Option<Timestamp>) {
        let mut closed = lock(&self.0);
        if closed.get(&org) == Some(&None) {
            return;
        }
        match until {
            Some(until) => drop(closed.insert(org, Some(until))),
            None => drop(closed.remove(&org)),
        }
    }

    /// Whether a task may be decided at `now`.
    pub(super) fn admits(&self, task: &Task, now: Timestamp) -> bool {
        if !is_told(&task.command) {
            return true;
        }
        let closed = lock(&self.0).get(&task.event.org).copied();
        closed.is_none_or(|until| until.is_some_and(|until| until <= now))
    }
}

/// Whether the org has to be told of what comes of a command, now or once its
/// hold is confirmed.
fn is_told(command: &Command) -> bool {
    match command {
        Command::Hold { .. } | Command::Confirm { .. } | Command::Register { .. } => true,
        Command::Cancel { actor, .. } => *actor != Actor::Org,
        // The org said so itself, or it is none of its business.
        Command::SetTerms(_)
        | Command::Recall { .. }
        | Command::Release { .. }
        | Command::Erase { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use sloe_core::ids::ClaimId;

    use super::*;
    use crate::ledger::Way;
    use crate::testing::{event, org_id};

    #[test]
    fn an_org_is_closed_for_as_long_as_the_node_that_removes_it_says_and_here_until_it_is_done() {
        let actor = Actor::Registrant;
        let command = Command::Cancel { claim: ClaimId(1), place: None, actor };
        let (task, _) = Task::new(Way::Leader, event(), command, None);
        let closed = Closed::default();
        let admits = |now| closed.admits(&task, Timestamp(now));
        closed.follow(org_id(), Some(Timestamp(10)));
        assert!(!admits(9) && admits(10), "whoever said so may have died");
        closed.follow(org_id(), None);
        assert!(admits(9));
        closed.close(org_id());
        closed.follow(org_id(), Some(Timestamp(10)));
        closed.follow(org_id(), None);
        assert!(!admits(i64::MAX), "it is removed here");
        closed.lapse(org_id(), Timestamp(10));
        assert!(!admits(9) && admits(10));
        // It is connected again, by another node.
        closed.follow(org_id(), None);
        assert!(admits(9));
    }
}
