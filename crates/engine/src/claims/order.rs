//! Orders: looking at them and cancelling tickets.

use std::sync::Arc;

use sloe_core::catalog::Snapshot;
use sloe_core::fact::Actor;
use sloe_core::ledger::{ClaimStatus, ClaimView, Command, Reply};

use super::{attendees, deny, translate};
use crate::engine::Engine;
use crate::error::Denied;
use crate::tenant::Org;
use crate::token::Kind;
use crate::view::{OrderView, Ticket};

impl Engine {
    /// An order as it stands, with its attendees' details.
    ///
    /// # Errors
    /// [`Denied::NotFound`] for a token that is unknown or forged.
    pub async fn order_by_token(&self, token: &str) -> Result<OrderView, Denied> {
        let (event, claim) = self.open_token(Kind::Order, token)?;
        let (org, snapshot) = self.known(event)?;
        let view = self.desk().view(event, claim).await;
        let view = view.map_err(|why| deny::unanswered(&snapshot, why))?;
        let view = view.filter(|v| v.status == ClaimStatus::Confirmed).ok_or(Denied::NotFound)?;
        self.order_view(org, snapshot, view).await
    }

    /// Cancels one attendee's ticket, or all; those cancelled before stay so.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn cancel(&self, token: &str, place: Option<u16>) -> Result<OrderView, Denied> {
        let (event, claim) = self.open_token(Kind::Order, token)?;
        let (org, snapshot) = self.known(event)?;
        let command = Command::Cancel { claim, place, actor: Actor::Registrant };
        let answer = self.desk().run(event, command, None).await;
        let committed = answer.map_err(|why| deny::unanswered(&snapshot, why))?;
        let Reply::Cancelled(view) = committed.reply else { return Err(Denied::NotFound) };
        // It is done: that its details can't be read now is no refusal.
        self.order_view(org, snapshot, view).await.map_err(|denied| match denied {
            Denied::NotAccepted { .. } => Denied::OutcomeUnknown,
            denied => denied,
        })
    }

    /// An order's view with its details unsealed.
    pub(crate) async fn order_view(
        &self,
        org: Arc<Org>,
        snapshot: Arc<Snapshot>,
        view: ClaimView,
    ) -> Result<OrderView, Denied> {
        let (event, claim) = (snapshot.event, view.claim);
        let sealed = self.blocking(move |store| store.sealed(event, claim)).await?;
        let key = org.vault_key();
        let people = sealed.and_then(|body| attendees::open(&key, event, claim, &body));
        let mut people = people.unwrap_or_default();
        people.resize(view.places.len(), None);
        let tickets = translate::held(&snapshot, &view.places)
            .into_iter()
            .zip(&view.places)
            .zip(people)
            .map(|((held, place), attendee)| Ticket {
                place: held.place,
                code: self.tokens().ticket(event, claim, held.place),
                item: held.item,
                sessions: held.sessions,
                cancelled: place.cancelled,
                attendee: attendee.filter(|_| !place.erased),
            })
            .collect();
        Ok(OrderView {
            token: self.tokens().seal(Kind::Order, event, claim),
            claim,
            reference: claim.reference(),
            tickets,
            snapshot,
            org,
        })
    }
}
