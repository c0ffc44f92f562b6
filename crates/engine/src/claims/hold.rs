//! Holds: taking seats for a while, and giving them back.

use std::sync::Arc;

use sloe_core::catalog::Snapshot;
use sloe_core::ids::{ClaimId, PublicId};
use sloe_core::ledger::{ClaimStatus, ClaimView, Command, Reply};

use super::{RequestId, deny, request, translate};
use crate::engine::Engine;
use crate::error::Denied;
use crate::tenant::Org;
use crate::token::Kind;
use crate::view::{Choice, HoldView};

/// Who stands before the public site: what its cookies say.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    /// A random name of the browser, if it has one.
    pub name: Option<String>,
    /// The token of its open hold on the event, if it has one.
    pub hold: Option<String>,
}

impl Engine {
    /// Takes seats for a while.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn hold(
        &self,
        event: PublicId,
        id: &RequestId,
        choices: &[Choice],
    ) -> Result<HoldView, Denied> {
        let (org, snapshot) = self.event(event)?;
        self.hold_replacing(&org, snapshot, id, choices, None).await
    }

    /// Takes seats for a visitor of the site. The same selection again is the
    /// same hold, a double click included; another selection replaces the
    /// hold in one commit, or leaves it where it is if refused.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn hold_for_visitor(
        &self,
        event: PublicId,
        visitor: &Visitor,
        choices: &[Choice],
    ) -> Result<HoldView, Denied> {
        let (org, snapshot) = self.event(event)?;
        let before = match &visitor.hold {
            Some(token) => self.find_hold(&snapshot, token).await?,
            None => None,
        };
        if let Some(before) = &before
            && before.status == ClaimStatus::Held
            && same_selection(&snapshot, before, choices)
        {
            return Ok(self.hold_view(org, snapshot, before));
        }
        let replaces = before.as_ref().map(|view| view.claim);
        let Some(name) = &visitor.name else {
            let id = RequestId::Fresh;
            return self.hold_replacing(&org, snapshot, &id, choices, replaces).await;
        };
        // A double click sends the same form twice before the first answer's
        // cookie is there: the request id is made of what both have in common.
        // A hold that ended lends its id to the next, so that the same
        // selection can be made again later.
        let mut last = replaces;
        for _ in 0..32 {
            let after = last.map(|claim| claim.text()).unwrap_or_default();
            let body = String::from_utf8_lossy(&canonical(choices)).into_owned();
            let id = RequestId::Given(format!("{name}\0{after}\0{body}"));
            let snapshot = Arc::clone(&snapshot);
            let hold = self.hold_replacing(&org, snapshot, &id, choices, replaces).await?;
            if hold.status == ClaimStatus::Held {
                return Ok(hold);
            }
            last = Some(hold.claim);
        }
        self.hold_replacing(&org, snapshot, &RequestId::Fresh, choices, replaces).await
    }

    /// A hold as it stands.
    ///
    /// # Errors
    /// [`Denied::NotFound`] for a token that is unknown or forged.
    pub async fn hold_by_token(&self, token: &str) -> Result<HoldView, Denied> {
        let (event, claim) = self.open_token(Kind::Hold, token)?;
        let (org, snapshot) = self.known(event)?;
        let view = self.desk().view(event, claim).await;
        let view = view.map_err(|why| deny::unanswered(&snapshot, why))?.ok_or(Denied::NotFound)?;
        Ok(self.hold_view(org, snapshot, &view))
    }

    /// Gives a hold back. One that ended already is as good as given back.
    ///
    /// # Errors
    /// [`Denied::AlreadyConfirmed`] for an order.
    pub async fn release(&self, token: &str) -> Result<(), Denied> {
        let (event, claim) = self.open_token(Kind::Hold, token)?;
        let (_, snapshot) = self.known(event)?;
        let answer = self.desk().run(event, Command::Release { claim }, None).await;
        answer.map(|_| ()).map_err(|why| deny::unanswered(&snapshot, why))
    }

    async fn find_hold(
        &self,
        snapshot: &Snapshot,
        token: &str,
    ) -> Result<Option<ClaimView>, Denied> {
        // A cookie of another event, or a forged one, is no hold.
        let Ok((of, claim)) = self.open_token(Kind::Hold, token) else { return Ok(None) };
        if of != snapshot.event {
            return Ok(None);
        }
        let view = self.desk().view(of, claim).await;
        view.map_err(|why| match deny::unanswered(snapshot, why) {
            // In doubt is what was asked of that hold before. Of this request nothing was tried.
            Denied::OutcomeUnknown => Denied::not_now(),
            denied => denied,
        })
    }

    async fn hold_replacing(
        &self,
        org: &Arc<Org>,
        snapshot: Arc<Snapshot>,
        id: &RequestId,
        choices: &[Choice],
        replaces: Option<ClaimId>,
    ) -> Result<HoldView, Denied> {
        let event = snapshot.event;
        let claim = ClaimId(self.world().id());
        let body = canonical(choices);
        let places = match self.licensed(org).and_then(|()| translate::places(&snapshot, choices)) {
            Ok(places) => places,
            Err(denied) => {
                let asked = ("hold", id);
                let before = self.answered_before(org, &snapshot, asked, &[&body], denied).await?;
                return Ok(self.hold_view(Arc::clone(org), snapshot, &before));
            }
        };
        let key = self.event_key(org, &snapshot).await?;
        let request = request(&key, "hold", id, claim.0, &[&body]);
        let command = Command::Hold { claim, request, places, replaces };
        let answer = self.desk().run(event, command, None).await;
        let committed = answer.map_err(|why| deny::unanswered(&snapshot, why))?;
        let (Reply::Held(view) | Reply::Confirmed(view)) = committed.reply else {
            return Err(Denied::NotFound);
        };
        Ok(self.hold_view(Arc::clone(org), snapshot, &view))
    }

    fn hold_view(&self, org: Arc<Org>, snapshot: Arc<Snapshot>, view: &ClaimView) -> HoldView {
        let event = snapshot.event;
        let confirmed = view.status == ClaimStatus::Confirmed;
        HoldView {
            token: self.tokens().seal(Kind::Hold, event, view.claim),
            claim: view.claim,
            status: view.status,
            expires_at: view.expires_at,
            places: translate::held(&snapshot, &view.places),
            order: confirmed.then(|| self.tokens().seal(Kind::Order, event, view.claim)),
            snapshot,
            org,
        }
    }
}

/// A selection as bytes that are equal exactly when it is.
pub(super) fn canonical(choices: &[Choice]) -> Vec<u8> {
    let mut out = Vec::with_capacity(choices.len() * 64);
    for choice in choices {
        out.extend_from_slice(choice.item.to_string().as_bytes());
        for session in &choice.sessions {
            out.push(b',');
            out.extend_from_slice(session.to_string().as_bytes());
        }
        out.push(b';');
    }
    out
}

fn same_selection(snapshot: &Snapshot, view: &ClaimView, choices: &[Choice]) -> bool {
    let sorted = |mut places: Vec<(PublicId, Vec<PublicId>)>| {
        for (_, sessions) in &mut places {
            sessions.sort_unstable();
        }
        places.sort_unstable();
        places
    };
    let held = translate::held(snapshot, &view.places);
    let held = sorted(held.into_iter().map(|place| (place.item, place.sessions)).collect());
    let wanted = choices.iter().map(|choice| (choice.item, choice.sessions.clone())).collect();
    held == sorted(wanted)
}
