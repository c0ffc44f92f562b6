//! The engine's refusals as pages.

use sloe_core::catalog::Snapshot;
use sloe_engine::error::{Denied, Hindrance};

use super::answer::Failure;
use super::present::{instant, sentence, zone};
use super::view::event_list::Status;
use super::view::message::{Again, MessagePage};
use super::view::{Notice, Org};
use super::when::Moment;
use super::words;
use crate::error::Cause;

/// Where a refusal met the visitor.
#[derive(Clone, Debug, Default)]
pub(super) struct At {
    /// Whose pages they are on.
    pub org: Option<Org>,
    /// The event that it is about.
    pub event: Option<Concerned>,
    /// The form to send again, if that can help.
    pub again: Option<Again>,
}

/// The event that a refusal is about.
#[derive(Clone, Debug)]
pub(super) struct Concerned {
    name: String,
    page: String,
    /// IANA zone, for times.
    zone: String,
}

impl At {
    /// On the pages of an event.
    pub(super) fn event(org: Org, snapshot: &Snapshot) -> Self {
        let event = Concerned {
            name: snapshot.name.clone(),
            page: format!("/{}/{}", org.slug, snapshot.slug),
            zone: snapshot.time_zone.clone(),
        };
        Self { org: Some(org), event: Some(event), again: None }
    }

    /// The page for `denied`.
    pub(super) fn refused(self, denied: &Denied) -> Failure {
        let seconds = match denied {
            Denied::NotAccepted { retry_after, .. } => Some(retry_after.as_secs()),
            Denied::OutcomeUnknown => Some(2),
            _ => None,
        };
        let name = self.event.as_ref().map(|event| event.name.clone());
        let page = self.page(denied);
        let page = match name {
            Some(name) => page.about(&name),
            None => page,
        };
        let failure = Failure::denied(denied, page);
        match seconds {
            Some(seconds) => failure.after(seconds),
            None => failure,
        }
    }

    fn page(self, denied: &Denied) -> MessagePage {
        let org = self.org.as_ref();
        let (back, zone_name) =
            self.event.map_or(("/".to_owned(), String::new()), |event| (event.page, event.zone));
        match (denied, org) {
            (Denied::NotFound, _) => words::not_found(),
            (Denied::HoldExpired(gone) | Denied::SoldOut(gone), Some(org)) => {
                words::hold_gone(org, &back, gone.iter().map(sentence).collect())
            }
            (Denied::HoldReleased, Some(org)) => words::hold_over(org, &back),
            (Denied::OutcomeUnknown, _) => words::outcome_unknown(org, self.again),
            (Denied::NotAccepted { why: Hindrance::Crowd, .. }, _) => words::busy(org, self.again),
            (Denied::NotAccepted { why: Hindrance::Fault, .. }, _) => {
                words::not_now(org, self.again)
            }
            (Denied::Quarantined, _) => words::out_of_order(org),
            (Denied::IdReused | Denied::AlreadyConfirmed | Denied::NotConfirmed, _) => {
                words::sent_before(org, &back)
            }
            (Denied::Invalid(faults), _) => {
                words::bad_request(org, faults.iter().map(|f| f.message.clone()).collect())
            }
            (Denied::EventUnpublished, Some(of)) => words::told(
                org,
                &words::unpublished(),
                ("See all events", &format!("/{}", of.slug)),
            ),
            _ => words::told(org, &notice(denied, &zone_name), ("Back to the event", &back)),
        }
    }
}

/// What stands in the way of any claim on the event.
pub(super) fn notice(denied: &Denied, zone_name: &str) -> Notice {
    let status = match denied {
        Denied::EventCancelled => Status::Cancelled,
        Denied::EventOver => Status::Over,
        Denied::NotYetOpen { opens_at } => {
            let opens = Moment::new(instant(*opens_at), &zone(zone_name)).sentence();
            return words::soon(Some(&opens));
        }
        Denied::LicenseInactive => Status::Paused,
        Denied::EventUnpublished => return words::unpublished(),
        _ => Status::Closed,
    };
    words::about_status(&status, None).unwrap_or_else(words::paused)
}

/// An event or org that isn't shown.
pub(super) fn unknown_event(org: &Org) -> Failure {
    Failure::new(Cause::NotFound, words::unknown_event(org))
}
