//! Whose calls the reading of licenses are: the source org's own, which nobody
//! else of Sloe makes; or, where that org is connected too, of one budget with
//! all that is done for it. An allowance has one share for Sloe, not two.

use std::sync::{Arc, Mutex};

use sloe_core::budget::{May, Purpose};
use sloe_core::ids::OrgId;
use sloe_salesforce::{Exhausted, Gate, Usage};

use super::super::budget::Budget;
use super::super::orgs::{ensure, lock};
use crate::engine::Engine;

/// The budget that the source org's calls count in.
#[derive(Debug)]
pub(super) struct Purse {
    own: Arc<Budget>,
    /// The connected org's, if it is one.
    shared: Mutex<Option<Arc<Budget>>>,
}

impl Purse {
    pub(super) fn new(own: Arc<Budget>) -> Self {
        Self { own, shared: Mutex::default() }
    }

    /// The budget in force.
    pub(super) fn current(&self) -> Arc<Budget> {
        lock(&self.shared).as_ref().map_or_else(|| Arc::clone(&self.own), Arc::clone)
    }

    /// Goes by the budget of `org`, if that is connected. Not while a call is under way.
    pub(super) async fn belong_to(&self, engine: &Engine, org: OrgId) {
        let work = engine.registry().by_id(org).and_then(|_| ensure(engine, org));
        let shared = match work {
            Some(work) => {
                work.budget.load(engine, org).await;
                Some(Arc::clone(&work.budget))
            }
            None => None,
        };
        *lock(&self.shared) = shared;
    }
}

impl Gate for Purse {
    fn begin(&self, purpose: Purpose) -> May {
        self.current().begin(purpose)
    }

    fn again(&self) {
        self.current().again();
    }

    fn follow(&self, usage: Usage) {
        self.current().follow(usage);
    }

    fn refuse(&self, which: Exhausted) {
        self.current().refuse(which);
    }

    fn at_once(&self) -> usize {
        self.current().at_once()
    }

    fn end(&self) {
        self.current().end();
    }
}
