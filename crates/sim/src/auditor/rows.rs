//! What an org must hold of an event's orders once everything has reached it.

use sloe_core::fact::Actor;
use sloe_core::ids::{EventRef, PublicId};

use super::book::Book;

/// One record that the org must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its external id.
    pub key: String,
    /// Its attendee's, for a place in a session.
    pub parent: Option<String>,
    /// Whether its ticket stands.
    pub registered: bool,
    /// The org itself cancelled it: what it says is the org's business.
    pub by_org: bool,
}

/// All records of an event's orders.
#[must_use]
pub fn expected(event: EventRef, book: &Book) -> Vec<Expected> {
    let mut all = Vec::new();
    for (claim, tickets) in book.orders() {
        for (place, ticket) in (1_u16..).zip(tickets) {
            let attendee = Expected {
                key: claim.attendee_key(place),
                parent: None,
                registered: ticket.cancelled.is_none(),
                by_org: ticket.cancelled == Some(Actor::Org),
            };
            // The event's own pool and the item's come first.
            for pool in ticket.pools.iter().skip(2) {
                let Some(session) = book.record(*pool) else { continue };
                let session = PublicId::derive(&event.org, &session);
                all.push(Expected {
                    key: claim.session_attendee_key(place, session),
                    parent: Some(attendee.key.clone()),
                    ..attendee.clone()
                });
            }
            all.push(attendee);
        }
    }
    all
}
