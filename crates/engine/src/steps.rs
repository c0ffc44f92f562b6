//! An engine's inner life by hand: what its threads and workers do by
//! themselves elsewhere happens here when somebody says so. A simulation has
//! one thread and a clock of its own, so that the same steps are the same run.

use std::collections::BTreeSet;
use std::sync::Arc;

use sloe_core::ids::{EventRef, OrgId};
use sloe_store::api::StoreError;

use crate::engine::Engine;
use crate::ledger::Stepper;
use crate::worker;
use crate::worker::Outbox;
use crate::worker::orgs::lock;
use crate::worker::remote::Dial;

/// The steps of one engine.
pub struct Steps {
    engine: Engine,
    combiner: Stepper,
}

impl Steps {
    pub(crate) fn new(engine: Engine, combiner: Stepper) -> Self {
        Self { engine, combiner }
    }

    /// Whether no command waits to be decided.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.combiner.is_idle()
    }

    /// The combiner makes one commit of what waits; if `sweeping`, also of the
    /// holds whose time is up.
    pub fn commit(&mut self, sweeping: bool) {
        self.combiner.step(sweeping);
    }

    /// Writes the checkpoints that became due; from now on they are after `facts` facts.
    pub fn write_checkpoints(&mut self, facts: usize) {
        self.combiner.write_checkpoints(facts);
    }

    /// The outbox of an org, which calls it by `dial`. Each knows what it has read and sent
    /// itself, as the task of a node does.
    #[must_use]
    pub fn outbox(&self, org: OrgId, dial: Arc<dyn Dial>) -> Outbox {
        Outbox::new(&self.engine, org, dial)
    }

    /// Writes down what was counted of calls to orgs.
    ///
    /// # Errors
    /// The store's.
    pub async fn keep_budgets(&self) -> Result<(), String> {
        worker::budget::keep(&self.engine, true).await
    }

    /// Projects a little of every journal's orders; whether more is to be done.
    ///
    /// # Errors
    /// The store's, of the first journal that could not be projected.
    pub fn project(&mut self) -> Result<bool, StoreError> {
        let store = self.engine.store();
        let mut changed: BTreeSet<EventRef> =
            std::mem::take(&mut *lock(&self.engine.news().reorder));
        changed.extend(store.journals()?.into_iter().map(|(event, _)| event));
        let mut more = false;
        for event in changed {
            more |= worker::project(&**store, event)?.is_some();
        }
        Ok(more)
    }
}
