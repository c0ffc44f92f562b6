//! Orgs that are about to be removed: nothing is taken of them any more that
//! they would have to be told.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use sloe_core::fact::Actor;
use sloe_core::ids::OrgId;
use sloe_core::ledger::Command;

use super::ask::Task;
use crate::worker::orgs::lock;

/// The desk's and the combiner's.
#[derive(Clone, Default)]
pub(super) struct Closed(Arc<Mutex<BTreeSet<OrgId>>>);

impl Closed {
    pub(super) fn close(&self, org: OrgId) {
        lock(&self.0).insert(org);
    }

    pub(super) fn open(&self, org: OrgId) {
        lock(&self.0).remove(&org);
    }

    /// Whether a task may be decided.
    pub(super) fn admits(&self, task: &Task) -> bool {
        !is_told(&task.command) || !lock(&self.0).contains(&task.event.org)
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
