//! The desk: where claims are brought to the combiner.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Sender, TrySendError};
use sloe_core::ids::{ClaimId, EventRef, OrgId};
use sloe_core::ledger::{ClaimView, Command, PoolCount};
use sloe_core::time::Timestamp;
use sloe_store::api::Sealed;
use tokio::sync::oneshot;

use super::ask::{Answer, Ask, Task, Unanswered, Way};
use super::closed::Closed;

/// Where claims are brought.
#[derive(Clone)]
pub struct Desk {
    asks: Sender<Ask>,
    closed: Closed,
    /// Nobody takes anything out any more.
    ended: Arc<AtomicBool>,
}

impl Desk {
    pub(super) fn new(asks: Sender<Ask>, closed: Closed, ended: Arc<AtomicBool>) -> Self {
        Self { asks, closed, ended }
    }

    /// Runs one command; the answer comes when it is durable.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn run(&self, event: EventRef, command: Command, sealed: Option<Sealed>) -> Answer {
        self.begin(event, command, sealed).await
    }

    /// The same, begun at once: many of them wait together.
    pub(crate) fn begin(
        &self,
        event: EventRef,
        command: Command,
        sealed: Option<Sealed>,
    ) -> impl Future<Output = Answer> + Send + use<> {
        self.begin_as(Way::Leader, event, command, sealed)
    }

    /// The same for another node, which believes that this one leads the event and decides
    /// by itself after `until`.
    pub(crate) fn begin_for_peer(
        &self,
        until: Timestamp,
        event: EventRef,
        command: Command,
        sealed: Option<Sealed>,
    ) -> impl Future<Output = Answer> + Send + use<> {
        self.begin_as(Way::ForPeer { until }, event, command, sealed)
    }

    fn begin_as(
        &self,
        way: Way,
        event: EventRef,
        command: Command,
        sealed: Option<Sealed>,
    ) -> impl Future<Output = Answer> + Send + use<> {
        let (task, answered) = Task::new(way, event, command, sealed);
        let submitted = self.submit(Ask::Run(Box::new(task)));
        async move {
            submitted?;
            // A combiner that ended without answering may have committed before.
            answered.await.unwrap_or(Err(Unanswered::OutcomeUnknown))
        }
    }

    /// Brings a task back that another node did not decide.
    pub(crate) fn submit_task(&self, task: Box<Task>) {
        match self.asks.try_send(Ask::Run(task)) {
            Ok(()) => {}
            Err(TrySendError::Full(ask) | TrySendError::Disconnected(ask)) => {
                if let Ask::Run(task) = ask {
                    // The other node may have taken it.
                    let _ = task.answer.send(Err(Unanswered::OutcomeUnknown));
                }
            }
        }
    }

    /// A claim as it stands.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn view(
        &self,
        event: EventRef,
        claim: ClaimId,
    ) -> Result<Option<ClaimView>, Unanswered> {
        let (answer, answered) = oneshot::channel();
        self.submit(Ask::View { event, claim, answer })?;
        answered.await.unwrap_or(Err(Unanswered::NotAccepted))
    }

    /// Claims as they stand, in their order; a few hundred at a time.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub(crate) async fn views(
        &self,
        event: EventRef,
        claims: Vec<ClaimId>,
    ) -> Result<Vec<Option<ClaimView>>, Unanswered> {
        let (answer, answered) = oneshot::channel();
        self.submit(Ask::Views { event, claims, answer })?;
        answered.await.unwrap_or(Err(Unanswered::NotAccepted))
    }

    /// Every pool's figures, and the version they stand at.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub(crate) async fn counts(
        &self,
        event: EventRef,
    ) -> Result<(u64, Vec<PoolCount>), Unanswered> {
        let (answer, answered) = oneshot::channel();
        self.submit(Ask::Counts { event, answer })?;
        answered.await.unwrap_or(Err(Unanswered::NotAccepted))
    }

    /// Loads an event's ledger, which publishes what is left.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn load(&self, event: EventRef) -> Result<(), Unanswered> {
        self.begin_load(event).await
    }

    /// The same, begun at once.
    pub(crate) fn begin_load(
        &self,
        event: EventRef,
    ) -> impl Future<Output = Result<(), Unanswered>> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        let submitted = self.submit(Ask::Load { event, answer });
        async move {
            submitted?;
            answered.await.unwrap_or(Err(Unanswered::NotAccepted))
        }
    }

    /// Takes nothing of an org any more that it would have to be told. What was
    /// taken before is durable when this returns.
    ///
    /// # Errors
    /// [`Unanswered`]; then it is open as before.
    pub(crate) async fn close(&self, org: OrgId) -> Result<(), Unanswered> {
        self.closed.close(org);
        let (answer, answered) = oneshot::channel();
        let settled = match self.submit(Ask::Settle { answer }) {
            Ok(()) => answered.await.map_err(|_| Unanswered::NotAccepted),
            Err(unanswered) => Err(unanswered),
        };
        settled.inspect_err(|_| self.open(org))
    }

    /// Takes nothing of an org for as long as another node says, which removes it.
    pub(crate) fn follow(&self, org: OrgId, closed_until: Option<Timestamp>) {
        self.closed.follow(org, closed_until);
    }

    /// Takes nothing of an org that was removed here until then.
    pub(crate) fn lapse(&self, org: OrgId, until: Timestamp) {
        self.closed.lapse(org, until);
    }

    /// Takes everything of an org again.
    pub(crate) fn open(&self, org: OrgId) {
        self.closed.open(org);
    }

    /// Ends the combiner after what waits.
    pub(crate) fn stop(&self) {
        let _ = self.asks.send(Ask::Stop);
    }

    fn submit(&self, ask: Ask) -> Result<(), Unanswered> {
        let changes = matches!(ask, Ask::Run(_));
        self.asks.try_send(ask).map_err(|error| match error {
            TrySendError::Full(_) => {
                metrics::counter!("sloe_claims_shed_total").increment(1);
                Unanswered::Shed
            }
            TrySendError::Disconnected(_) => Unanswered::NotAccepted,
        })?;
        // It may have been the last that was taken out, or lie there for ever.
        match (self.ended.load(Ordering::SeqCst), changes) {
            (false, _) => Ok(()),
            (true, true) => Err(Unanswered::OutcomeUnknown),
            (true, false) => Err(Unanswered::NotAccepted),
        }
    }
}
