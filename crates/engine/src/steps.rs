//! An engine's inner life by hand: what its threads and workers do by
//! themselves elsewhere happens here when somebody says so. A simulation has
//! one thread and a clock of its own, so that the same steps are the same run.

use std::collections::BTreeSet;
use std::sync::Arc;

use sloe_core::ids::{EventRef, OrgId};
use sloe_store::api::StoreError;

use crate::engine::Engine;
use crate::ledger::Stepper;
use crate::nodes;
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

    /// This node's name among the nodes.
    #[must_use]
    pub fn node(&self) -> String {
        self.engine.nodes().me().text()
    }

    /// Counts up the node's beat, and takes or gives leases as they should be.
    ///
    /// # Errors
    /// The store's.
    pub async fn look_at_nodes(engine: Engine) -> Result<(), StoreError> {
        nodes::step(&engine).await
    }

    /// Ends the node's work if the store has taken no beat of it for too long.
    pub fn watch(&self) {
        nodes::stop_in_time(&self.engine);
    }

    /// Takes over what other nodes changed.
    ///
    /// # Errors
    /// The store's.
    pub async fn follow(engine: Engine) -> Result<(), StoreError> {
        worker::follow::step(&engine).await
    }

    /// The engine to whoever does an org's work, if that is this node's: what is written through
    /// it is taken only as long as it is.
    #[must_use]
    pub fn at_work(&self, org: OrgId) -> Option<Engine> {
        self.engine.at_work(&nodes::of_org(org)).map(|(engine, _)| engine)
    }

    /// The outbox of an org, which calls it by `dial`, if the org's work is this node's. Each
    /// knows what it has read and sent itself, as the task of a node does.
    #[must_use]
    pub fn outbox(&self, org: OrgId, dial: Arc<dyn Dial>) -> Option<Outbox> {
        let (engine, ended) = self.engine.at_work(&nodes::of_org(org))?;
        Some(Outbox::new(&engine, ended, org, dial))
    }

    /// Writes down what was counted of calls to orgs.
    ///
    /// # Errors
    /// The store's.
    pub async fn keep_budgets(engine: Engine) -> Result<(), String> {
        worker::budget::keep(&engine, true).await
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
