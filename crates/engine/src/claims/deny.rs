//! Refusals of the ledger in the words and ids of the public.

use sloe_core::catalog::Snapshot;
use sloe_core::ids::SfId;
use sloe_core::ledger::{Refusal, RequestFault};

use super::translate;
use crate::error::{Denied, Fault, Part};
use crate::ledger::Unanswered;

pub(super) fn unanswered(snapshot: &Snapshot, why: Unanswered) -> Denied {
    match why {
        Unanswered::Refused(refusal) => refused(snapshot, refusal),
        Unanswered::Shed => Denied::crowded(),
        Unanswered::NotAccepted => Denied::not_now(),
        Unanswered::OutcomeUnknown => Denied::OutcomeUnknown,
        Unanswered::Quarantined(_) => Denied::Quarantined,
    }
}

fn refused(snapshot: &Snapshot, refusal: Refusal) -> Denied {
    match refusal {
        Refusal::IdReused => Denied::IdReused,
        Refusal::UnknownClaim | Refusal::UnknownPlace | Refusal::UnknownEvent => Denied::NotFound,
        Refusal::EventCancelled => Denied::EventCancelled,
        Refusal::EventUnpublished => Denied::EventUnpublished,
        Refusal::EventOver => Denied::EventOver,
        Refusal::NotYetOpen { opens_at } => Denied::NotYetOpen { opens_at },
        Refusal::Closed => Denied::Closed,
        Refusal::Invalid(faults) => {
            Denied::Invalid(faults.into_iter().map(|f| fault(snapshot, &f)).collect())
        }
        Refusal::HoldReleased => Denied::HoldReleased,
        Refusal::AlreadyConfirmed => Denied::AlreadyConfirmed,
        Refusal::NotConfirmed => Denied::NotConfirmed,
        Refusal::SoldOut(blocked) => Denied::SoldOut(translate::shortages(snapshot, &blocked)),
        Refusal::HoldExpired(blocked) => {
            Denied::HoldExpired(translate::shortages(snapshot, &blocked))
        }
        // Only a refresh sets terms, and it handles its own refusal.
        Refusal::StaleTerms { .. } => Denied::not_now(),
    }
}

fn fault(snapshot: &Snapshot, fault: &RequestFault) -> Fault {
    let item = |sf: SfId| {
        snapshot.item_by_record(sf).map_or("This ticket".to_owned(), |i| format!("“{}”", i.name))
    };
    let session = |sf: SfId| {
        let named = snapshot.session_by_record(sf);
        named.map_or("This session".to_owned(), |s| format!("“{}”", s.name))
    };
    let (part, code, message) = match fault {
        RequestFault::Empty => {
            (Part::Selection, "required", "Choose at least one ticket.".to_owned())
        }
        RequestFault::TooManyPlaces { max } => {
            (Part::Selection, "too-many", format!("One order can have at most {max} tickets."))
        }
        RequestFault::TooManyOfItem { item: sf, max } => {
            (Part::Item, "too-many", format!("{} can be had {max} times in one order.", item(*sf)))
        }
        RequestFault::UnknownItem(sf) => {
            (Part::Item, "unknown", format!("{} is not offered any more.", item(*sf)))
        }
        RequestFault::UnknownSession(sf) => {
            (Part::Sessions, "unknown", format!("{} is not offered any more.", session(*sf)))
        }
        RequestFault::SessionTwice(sf) => {
            (Part::Sessions, "twice", format!("{} is chosen twice.", session(*sf)))
        }
        RequestFault::TooManySessions { max } => {
            (Part::Sessions, "too-many", format!("One person can have at most {max} sessions."))
        }
        RequestFault::PaymentNotOpen(sf) => (
            Part::Item,
            "payment-not-open",
            format!("{} costs something, and payment is not open yet.", item(*sf)),
        ),
        RequestFault::ItemNotYetOpen { item: sf, opens_at } => {
            (Part::Item, "not-yet-open", format!("{} can be had from {opens_at}.", item(*sf)))
        }
        RequestFault::ItemClosed(sf) => {
            (Part::Item, "closed", format!("{} can't be had any more.", item(*sf)))
        }
        RequestFault::SessionOver(sf) => {
            (Part::Sessions, "over", format!("{} is over.", session(*sf)))
        }
        RequestFault::PlacesDiffer { held } => (
            Part::Attendees,
            "count",
            format!("The hold is for {held} people; give exactly one for each place."),
        ),
    };
    Fault { place: None, part, code, message }
}
