//! The mail that confirms an order.

use sloe_core::catalog::Snapshot;
use sloe_engine::view::{OrderView, Ticket};

use super::order::{contact, sessions};
use super::{look, place, when};
use crate::site::view::mail::{MailTicket, OrderMail};

/// What the confirmation of `order` says; `url` is the order's full address.
#[must_use]
pub fn order_mail(order: &OrderView, url: String) -> OrderMail {
    let snapshot = &order.snapshot;
    let profile = &order.org.profile;
    let at = place(&snapshot.place);
    let standing = || order.tickets.iter().filter(|ticket| ticket.cancelled.is_none());
    OrderMail {
        org: profile.name.clone(),
        accent: look(profile).mail_accent(),
        greeting: standing()
            .find_map(|t| t.attendee.as_ref())
            .map(|who| who.first_name.clone())
            .filter(|name| !name.is_empty()),
        event: snapshot.name.clone(),
        when: when(snapshot),
        place: at.venue.into_iter().chain(at.address).collect(),
        online_url: at.online_url,
        reference: order.reference.clone(),
        url,
        tickets: standing().map(|ticket| mail_ticket(snapshot, ticket)).collect(),
        contact: contact(order),
        privacy_url: snapshot.organizer.privacy_url.clone().or_else(|| profile.privacy_url.clone()),
    }
}

fn mail_ticket(snapshot: &Snapshot, ticket: &Ticket) -> MailTicket {
    let name = ticket
        .attendee
        .as_ref()
        .map(|who| format!("{} {}", who.first_name, who.last_name).trim().to_owned());
    MailTicket {
        name: name
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| format!("Ticket {}", ticket.place)),
        item: snapshot.item(ticket.item).map_or("Ticket".to_owned(), |item| item.name.clone()),
        sessions: sessions(snapshot, &ticket.sessions),
    }
}
