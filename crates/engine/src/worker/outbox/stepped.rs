//! One org's outbox by hand: a simulation says when it looks, and answers for
//! the org.

use std::sync::Arc;
use std::time::Duration;

use sloe_core::ids::OrgId;
use tokio_util::sync::CancellationToken;

use super::remote::Dial;
use super::{Drain, PERIOD};
use crate::engine::Engine;
use crate::worker::budget::Budget;
use crate::worker::orgs::{OrgWork, lock};

/// The outbox of one org.
pub struct Outbox {
    drain: Drain,
    ended: CancellationToken,
}

impl Outbox {
    pub(crate) fn new(
        engine: &Engine,
        ended: CancellationToken,
        org: OrgId,
        dial: Arc<dyn Dial>,
    ) -> Self {
        let make = || Arc::new(OrgWork::new(org, Budget::new(engine.shared_world())));
        let work = Arc::clone(&*engine.workers().orgs.entry(org).or_insert_with(make));
        Self { drain: Drain::new(engine.clone(), work, Some(dial)), ended }
    }

    /// Whether the org's work is another node's by now: this one ends where it stands, as a task
    /// does whose token is cancelled.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Reads what an earlier process counted of calls to the org. The store must answer.
    pub async fn open(&self) {
        self.drain.work.budget.load(&self.drain.engine, self.drain.work.org).await;
    }

    /// One look, as the task makes it once a second and whenever there is
    /// news; how long to leave the org alone then.
    pub async fn look(&mut self) -> Duration {
        if self.drain.is_held() {
            return PERIOD;
        }
        let (engine, work) = (&self.drain.engine, &self.drain.work);
        work.leave_news();
        {
            let mut recount = lock(&engine.news().recount);
            let ours = recount.extract_if(.., |event| event.org == work.org);
            lock(&work.recount).extend(ours);
        }
        // Dropped, it ends where it stands: as after a kill.
        match self.ended.clone().run_until_cancelled(self.drain.look()).await {
            Some(looked) => self.drain.note(looked).unwrap_or(PERIOD),
            None => PERIOD,
        }
    }

    /// Rows among the retries, and dead letters.
    #[must_use]
    pub fn books(&self) -> (usize, usize) {
        (self.drain.books.retries.len(), self.drain.books.dead.len())
    }
}
