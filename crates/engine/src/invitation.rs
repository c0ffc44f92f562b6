//! Invitations: signed personal links to one event. A link names the invited
//! Contact or Lead, so that the registration it leads to carries that record;
//! it costs no row, here or in the org, until somebody uses it.

use sloe_core::ids::{EventRef, PublicId, SfId};

use crate::engine::Engine;
use crate::error::{Denied, Fault, Part};
use crate::view::AttendeeInput;

/// What can be invited, by the first three characters of its id (Salesforce's
/// key prefixes of standard objects).
const CONTACT: &str = "003";
const LEAD: &str = "00Q";

/// A Contact or a Lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invitee {
    /// Of an org's Contacts.
    Contact(SfId),
    /// Of an org's Leads.
    Lead(SfId),
}

impl Invitee {
    /// Whom a record's id names, if it can be invited.
    #[must_use]
    pub fn of(id: SfId) -> Option<Self> {
        match id.as_str().get(..3) {
            Some(CONTACT) => Some(Self::Contact(id)),
            Some(LEAD) => Some(Self::Lead(id)),
            _ => None,
        }
    }

    /// The record.
    #[must_use]
    pub fn record(self) -> SfId {
        match self {
            Self::Contact(id) | Self::Lead(id) => id,
        }
    }
}

impl Engine {
    /// The path of `who`'s personal link to an event, with a slash in front. It
    /// is the same whenever it is asked for, and holds as long as the event does.
    ///
    /// # Errors
    /// [`Denied::NotFound`] for an event that nobody knows.
    pub fn invite(&self, event: PublicId, who: Invitee) -> Result<String, Denied> {
        let (org, snapshot) = self.event(event)?;
        let token = self.tokens().invitation(snapshot.event, who.record());
        Ok(format!("/{}/{}?invitation={token}", org.profile.slug, snapshot.slug))
    }

    /// Who was invited to this event by `token`; `None` if it was altered or is another event's.
    #[must_use]
    pub fn invited(&self, event: EventRef, token: &str) -> Option<Invitee> {
        self.tokens().open_invitation(event, token).and_then(Invitee::of)
    }

    /// Who of `inputs` was invited, or every fault.
    pub(crate) fn invitees(
        &self,
        event: EventRef,
        inputs: &[AttendeeInput],
    ) -> Result<Vec<Option<Invitee>>, Denied> {
        let mut faults = Vec::new();
        let read = |(place, input): (u16, &AttendeeInput)| {
            if input.invitation.is_empty() {
                return None;
            }
            let invitee = self.invited(event, &input.invitation);
            if invitee.is_none() {
                faults.push(Fault {
                    place: Some(place),
                    part: Part::Invitation,
                    code: "invitation",
                    message: "This is no invitation to this event. Use the one that was sent, \
                              or leave it out."
                        .to_owned(),
                });
            }
            invitee
        };
        let invitees = (1_u16..).zip(inputs).map(read).collect();
        if faults.is_empty() { Ok(invitees) } else { Err(Denied::Invalid(faults)) }
    }
}
