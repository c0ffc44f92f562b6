//! From a hold to an order, or to an order in one step.

use sloe_core::catalog::Snapshot;
use sloe_core::ids::{ClaimId, PublicId, SfId};
use sloe_core::ledger::{ClaimView, Command, Reply};

use super::hold::canonical;
use super::{RequestId, attendees, deny, request, translate};
use crate::engine::Engine;
use crate::error::{Denied, Fault, Part};
use crate::token::Kind;
use crate::view::{Attendee, AttendeeInput, Choice};

/// A confirmed order: what its holder needs to find it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// The order's opaque id.
    pub token: String,
    /// What people read out.
    pub reference: String,
    /// Place (from 1) and opaque code of each ticket.
    pub tickets: Vec<(u16, String)>,
}

impl Engine {
    /// Makes a hold an order. `sessions` replaces what each attendee holds.
    /// A hold that expired is taken again if its seats are free.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn confirm(
        &self,
        token: &str,
        id: &RequestId,
        inputs: &[AttendeeInput],
        sessions: Option<&[Vec<PublicId>]>,
    ) -> Result<Confirmed, Denied> {
        let (event, claim) = self.open_token(Kind::Hold, token)?;
        let (org, snapshot) = self.known(event)?;
        let view = self.desk().view(event, claim).await;
        let view = view.map_err(|why| deny::unanswered(&snapshot, why))?.ok_or(Denied::NotFound)?;
        let body = [typed(inputs), chosen(sessions)].concat();
        let operation = format!("confirm {}", claim.text());
        let (checked, records) = match self.checked(&snapshot, &view, inputs, sessions) {
            Ok(checked) => checked,
            Err(denied) => {
                let asked = (operation.as_str(), id);
                let before = self.answered_before(&org, &snapshot, asked, &[&body], denied).await?;
                return Ok(self.confirmed(&snapshot, &before));
            }
        };
        let key = self.event_key(&org, &snapshot).await?;
        let request = request(&key, &operation, id, self.world().id(), &[&body]);
        let sealed = self.seal_attendees(&org, event, claim, checked)?;
        let command = Command::Confirm { claim, request, sessions: records };
        let answer = self.desk().run(event, command, Some(sealed)).await;
        let committed = answer.map_err(|why| deny::unanswered(&snapshot, why))?;
        let Reply::Confirmed(view) = committed.reply else { return Err(Denied::NotFound) };
        Ok(self.confirmed(&snapshot, &view))
    }

    /// Takes seats and confirms them in one commit.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn register(
        &self,
        event: PublicId,
        id: &RequestId,
        people: &[(Choice, AttendeeInput)],
    ) -> Result<Confirmed, Denied> {
        let (org, snapshot) = self.event(event)?;
        let event = snapshot.event;
        let (choices, inputs): (Vec<_>, Vec<_>) = people.iter().cloned().unzip();
        let body = [canonical(&choices), typed(&inputs)];
        let body = body.each_ref().map(Vec::as_slice);
        let checked =
            || both(translate::places(&snapshot, &choices), self.people(&snapshot, &inputs));
        let (places, checked) = match self.licensed(&org).and_then(|()| checked()) {
            Ok(checked) => checked,
            Err(denied) => {
                let asked = ("register", id);
                let before = self.answered_before(&org, &snapshot, asked, &body, denied).await?;
                return Ok(self.confirmed(&snapshot, &before));
            }
        };
        let claim = ClaimId(self.world().id());
        let key = self.event_key(&org, &snapshot).await?;
        let request = request(&key, "register", id, claim.0, &body);
        let sealed = self.seal_attendees(&org, event, claim, checked)?;
        let command = Command::Register { claim, request, places };
        let answer = self.desk().run(event, command, Some(sealed)).await;
        let committed = answer.map_err(|why| deny::unanswered(&snapshot, why))?;
        let Reply::Confirmed(view) = committed.reply else { return Err(Denied::NotFound) };
        Ok(self.confirmed(&snapshot, &view))
    }

    fn checked(
        &self,
        snapshot: &Snapshot,
        hold: &ClaimView,
        inputs: &[AttendeeInput],
        sessions: Option<&[Vec<PublicId>]>,
    ) -> Result<Checked, Denied> {
        let people = self.people(snapshot, inputs)?;
        check_count(hold.places.len(), inputs.len())?;
        let records = sessions.map(|chosen| translate::sessions(snapshot, chosen)).transpose()?;
        Ok((people, records))
    }

    /// The details of `inputs` with who of them was invited, or every fault.
    pub(super) fn people(
        &self,
        snapshot: &Snapshot,
        inputs: &[AttendeeInput],
    ) -> Result<Vec<Attendee>, Denied> {
        let details = attendees::check(&snapshot.form, inputs);
        let (mut people, invitees) = both(details, self.invitees(snapshot.event, inputs))?;
        for (person, invitee) in people.iter_mut().zip(invitees) {
            person.invitee = invitee.map(|invitee| invitee.record().to_string());
        }
        Ok(people)
    }

    fn seal_attendees(
        &self,
        org: &crate::tenant::Org,
        event: sloe_core::ids::EventRef,
        claim: ClaimId,
        checked: Vec<Attendee>,
    ) -> Result<sloe_store::api::Sealed, Denied> {
        let people: Vec<_> = checked.into_iter().map(Some).collect();
        attendees::seal(&org.vault_key(), self.world(), event, claim, &people)
    }

    fn confirmed(&self, snapshot: &Snapshot, view: &ClaimView) -> Confirmed {
        Confirmed {
            token: self.tokens().seal(Kind::Order, snapshot.event, view.claim),
            reference: view.claim.reference(),
            tickets: self.tickets(snapshot, view),
        }
    }

    fn tickets(&self, snapshot: &Snapshot, view: &ClaimView) -> Vec<(u16, String)> {
        let code = |place| self.tokens().ticket(snapshot.event, view.claim, place);
        (1_u16..).zip(&view.places).map(|(place, _)| (place, code(place))).collect()
    }
}

/// What a hold is to become: its attendees, and the sessions they change to.
type Checked = (Vec<Attendee>, Option<Vec<Vec<SfId>>>);

fn check_count(held: usize, given: usize) -> Result<(), Denied> {
    if held == given {
        return Ok(());
    }
    let message = format!("The hold is for {held} people; give exactly one for each place.");
    Err(Denied::Invalid(vec![Fault { place: None, part: Part::Attendees, code: "count", message }]))
}

/// Both results, or the faults of both.
fn both<A, B>(a: Result<A, Denied>, b: Result<B, Denied>) -> Result<(A, B), Denied> {
    match (a, b) {
        (Err(Denied::Invalid(mut faults)), Err(Denied::Invalid(more))) => {
            faults.extend(more);
            Err(Denied::Invalid(faults))
        }
        (a, b) => Ok((a?, b?)),
    }
}

/// What was typed as bytes that are equal exactly when it is.
fn typed(inputs: &[AttendeeInput]) -> Vec<u8> {
    let mut out = Vec::new();
    for input in inputs {
        for text in [&input.first_name, &input.last_name, &input.email] {
            out.extend_from_slice(&text.len().to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        if !input.invitation.is_empty() {
            out.push(b'i');
            out.extend_from_slice(input.invitation.as_bytes());
        }
    }
    out
}

fn chosen(sessions: Option<&[Vec<PublicId>]>) -> Vec<u8> {
    let mut out = vec![u8::from(sessions.is_some())];
    for ids in sessions.unwrap_or_default() {
        out.push(b';');
        for id in ids {
            out.extend_from_slice(id.as_bytes());
        }
    }
    out
}
